# server_systemd.sh - a real systemd for the tests: the machine's own, as PID 1 of new namespaces over a throw-away copy of its root folder.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# To be sourced behind lib.sh, which ends what is started here. Needs root, systemd, dbus and overlay mounts.
#   systemd_can                is all that there?
#   systemd_boot DIR [SHOW...] boot it; returns when it runs. Whatever is written in it goes to memory. The folders SHOW, with what is in them, are
#                              the real ones inside, too.
#   systemd_enter DIR COMMAND  run a command in it.
#   $systemd_net               what unshare is told of its network: one of its own. Empty: that of the caller

systemd_can() {
  [ "$(id -u)" -eq 0 ] && [ -x /lib/systemd/systemd ] && command -v dbus-daemon nsenter unshare >/dev/null && [ -n "$(systemd_cgroups)" ]
}

# systemd_cgroups: where the unified hierarchy is mounted.
systemd_cgroups() { awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts; }

# What makes no sense in a container, or looks for hardware.
systemd_masked='systemd-udevd.service systemd-udev-trigger.service systemd-udevd-kernel.socket systemd-udevd-control.socket systemd-resolved.service
  systemd-networkd.service systemd-timesyncd.service systemd-modules-load.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount
  sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount systemd-binfmt.service
  systemd-remount-fs.service systemd-sysctl.service kmod-static-nodes.service'

systemd_net=--net
systemd_boot() {
  local d=$1 group init i pid
  shift
  group=$(systemd_cgroups)/holdfast-test.$$
  mkdir -p "$d/w" "$d/root" && mkdir "$group" || return 1
  {
    echo 'set -eu'
    # shellcheck disable=SC2016 # for the other shell
    printf 'd=%q masked=%q show=(%s)\n' "$d" "$systemd_masked" "$(printf '%q ' "$@")"
    cat <<'EOF'
mount --make-rprivate /
mount -t tmpfs -o mode=755 t "$d/w"
mkdir "$d/w/u" "$d/w/k"
mount -t overlay -o "lowerdir=/,upperdir=$d/w/u,workdir=$d/w/k" o "$d/root"
r=$d/root
mount -t proc proc "$r/proc"
mount -t sysfs -o ro sysfs "$r/sys" || mount --rbind /sys "$r/sys"
mount -t tmpfs -o mode=755 t "$r/sys/fs/cgroup" 2>/dev/null || :
mount -t cgroup2 -o nsdelegate cgroup2 "$r/sys/fs/cgroup"
mount -t tmpfs -o mode=755 t "$r/dev"
for i in null zero full random urandom tty; do
  touch "$r/dev/$i"
  mount --bind "/dev/$i" "$r/dev/$i"
done
mkdir "$r/dev/shm" "$r/dev/pts"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$r/dev/pts"
ln -s pts/ptmx "$r/dev/ptmx"
ln -s /proc/self/fd "$r/dev/fd"
mount -t tmpfs t "$r/dev/shm"
mount -t tmpfs -o mode=755 t "$r/run"
mount -t tmpfs -o mode=1777 t "$r/tmp"
for i in "${show[@]}"; do
  mkdir -p "$r$i"
  mount --rbind "$i" "$r$i"
done
rm -f "$r"/etc/systemd/system/*.wants/*
mkdir -p "$r/etc/systemd/system"
for i in $masked; do ln -sf /dev/null "$r/etc/systemd/system/$i"; done
: >"$r/etc/fstab"
echo holdfast-test >"$r/etc/hostname"
echo 0123456789abcdef0123456789abcdef >"$r/etc/machine-id"
# In a container the manager leaves this to who made it. Credentials are mounted for a service from elsewhere.
mount --make-rshared "$r"
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 chroot "$r" /lib/systemd/systemd --unit=basic.target --log-target=console --show-status=no
EOF
  } >"$d/init.sh"
  # In a group of its own from the start: the manager takes over the one it finds itself in.
  (echo "$BASHPID" >"$group/cgroup.procs" && exec unshare --pid --fork --mount --uts --ipc ${systemd_net:+"$systemd_net"} --cgroup --kill-child bash "$d/init.sh") </dev/null >"$d/log" 2>&1 &
  init=$!
  jobs_started+=("$init")
  for ((i = 0; i < 600; i++)); do
    pid=$(cat "/proc/$init/task/$init/children" 2>/dev/null)
    if [ -n "$pid" ]; then
      echo "${pid%% *}" >"$d/pid"
      if systemd_enter "$d" systemctl is-system-running 2>/dev/null | grep -Eq 'running|degraded'; then
        # In a service that may not trace, LeakSanitizer fails at the end of a program that was built with it.
        systemd_enter "$d" systemctl set-environment "ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
        return 0
      fi
    fi
    [ -d "/proc/$init" ] || break
    sleep 0.05
  done
  tail -n 20 "$d/log" | sed 's/^/# /'
  return 1
}

systemd_enter() {
  local pid
  pid=$(cat "$1/pid") || return 1
  shift
  nsenter -t "$pid" -a -r env -C / PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@"
}

# systemd_stop DIR: end it, and remove its group once it is empty.
systemd_stop() {
  local i group
  group=$(systemd_cgroups)/holdfast-test.$$
  kill -9 "$(cat "$1/pid")" 2>/dev/null
  for ((i = 0; i < 200; i++)); do
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
    [ -d "$group" ] || return 0
    sleep 0.02
  done
}
