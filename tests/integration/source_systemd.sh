#!/bin/bash
# source_systemd.sh - the systemd source: units with all that belongs to them, on a root folder without a manager and under a real one.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2154 # variables of lib.sh
. "${SRCDIR:?the folder of the sources}/tests/integration/lib.sh"
# shellcheck source=server_systemd.sh
. "$here/server_systemd.sh"
: "${BUILDDIR:?the folder of the build}"
need python3 systemctl systemd-analyze

make_key key 'Recipient <recipient@example.com>'
echo data >"$work/file"
safety=$work/safety

# make_units ROOT: an application with a timer, a socket, drop-ins, a template with two instances, an alias, environment files.
make_units() {
  local r=$1 e=$1/etc/systemd/system
  mkdir -p "$e/app.service.d" "$e/app@.service.d" "$e/app-.service.d" "$e/service.d" "$e/timers.target.wants" "$e/multi-user.target.wants" "$e/app.target.wants" "$r/etc/app" \
    "$r/usr/lib/systemd/system/app.service.d" "$r/opt/app" "$r/etc/default"
  [ -e "$r/lib" ] || ln -s usr/lib "$r/lib"
  printf '[Unit]\nDescription=the application\n[Service]\nExecStart=/bin/true\nEnvironmentFile=/etc/app/env\nEnvironmentFile=-/etc/app/not-there\n[Install]\nWantedBy=multi-user.target\nAlias=application.service\n' >"$e/app.service"
  printf '[Service]\nEnvironmentFile=/etc/app/more-*.env\n' >"$e/app.service.d/10-more.conf"
  printf '[Service]\nNice=5\n' >"$r/usr/lib/systemd/system/app.service.d/20-package.conf"
  printf '[Service]\nNice=9\n' >"$r/usr/lib/systemd/system/app.service.d/10-more.conf"
  printf '[Service]\nUMask=0077\n' >"$e/app-.service.d/all-apps.conf"
  printf '[Service]\nExecStart=/bin/true\n' >"$e/app-web-front.service"
  printf '[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n' >"$e/app.timer"
  printf '[Timer]\nOnCalendar=daily\nUnit=app.service\n' >"$e/nightly.timer"
  printf '[Timer]\nOnCalendar=daily\nUnit=job@%%i.service\n' >"$e/night@.timer"
  printf '[Service]\nExecStart=/bin/true\n' >"$e/job@.service"
  ln -s ../night@.timer "$e/timers.target.wants/night@x.timer"
  printf '[Socket]\nListenStream=/run/each.sock\nAccept=yes\n' >"$e/each.socket"
  printf '[Service]\nExecStart=/bin/true\n' >"$e/each@.service"
  printf '[Socket]\nListenStream=/run/app.sock\nService=app.service\n' >"$e/app-listen.socket"
  printf '[Service]\nExecStart=/bin/echo %%i\nEnvironmentFile=/etc/default/app-%%i\n[Install]\nWantedBy=multi-user.target\n' >"$r/usr/lib/systemd/system/app@.service"
  printf '[Service]\nNice=1\n' >"$e/app@.service.d/nice.conf"
  printf '[Unit]\nDescription=not ours\n[Service]\nExecStart=/bin/true\n' >"$e/stranger.service"
  ln -s ../app.timer "$e/timers.target.wants/app.timer"
  ln -s /etc/systemd/system/app.service "$e/multi-user.target.wants/app.service"
  ln -s /etc/systemd/system/app.service "$e/application.service"
  ln -s /lib/systemd/system/app@.service "$e/multi-user.target.wants/app@one.service"
  ln -s /lib/systemd/system/app@.service "$e/multi-user.target.wants/app@two.service"
  ln -s /dev/null "$e/masked.service"
  printf '[Service]\nExecStart=/bin/true\n' >"$r/opt/app/linked.service"
  ln -s /opt/app/linked.service "$e/linked.service"
  echo A=1 >"$r/etc/app/env"
  echo B=2 >"$r/etc/app/more-b.env"
  echo C=3 >"$r/etc/app/more-c.env"
  echo D=4 >"$r/etc/default/app-one"
  echo E=5 >"$r/etc/default/app-two"
  chmod 600 "$r/etc/app/env"
}

# with_source ROOT LINE...: a manifest for the repository, with a systemd source "units" and a files source "plain".
with_source() {
  local root=$1
  shift
  new_repo repo <<EOF
[source units]
plugin = systemd
root = $root
safety = $safety
$(printf '%s\n' "$@")
[source plain]
plugin = files
path = $work/file
EOF
  [ -e "$R/state" ] && [ -z "${more:-}" ] || must init
}

# holds: the paths of files and links in the newest snapshot of the source, without the root.
holds() {
  rm -rf "$work/held"
  hf restore latest units --to "$work/held"
  (cd "$work/held/units$1" && find . ! -type d | sed 's/^\.//' | sort)
}

# ---- a root folder without a manager

root=$work/system
make_units "$root"
# What enables and disables elsewhere agrees that these are enabled.
is "$(systemctl --root="$root" is-enabled app.service app.timer app@one.service masked.service | tr '\n' ' ')" "enabled enabled enabled masked " "systemctl sees the units as they are meant"
ok "conformance" "$BUILDDIR/holdfast-source-conformance" "$BUILDDIR/plugins/systemd/.libs/systemd.so" "root=$root" 'unit=app*'

with_source "$root" 'unit = app.service'
hf check
exits 0 "check"
says 'units.* units \(app\.service, .*app\.timer.*no manager' "says what it would read"
hf backup
exits 0 "backup of one service"
e=/etc/systemd/system
is "$(holds "$root")" "$(printf '%s\n' /etc/app/env /etc/app/more-b.env /etc/app/more-c.env \
  $e/app-listen.socket $e/app.service $e/app.service.d/10-more.conf $e/app.timer $e/application.service \
  $e/multi-user.target.wants/app.service $e/nightly.timer $e/timers.target.wants/app.timer /usr/lib/systemd/system/app.service.d/20-package.conf | sort)" \
  "with drop-ins, environment, timers, socket, alias and links, and nothing else"
is "$(stat -c %a "$work/held/units$root/etc/app/env")" 600 "with modes"
is "$(readlink "$work/held/units$root$e/multi-user.target.wants/app.service")" /etc/systemd/system/app.service "and links as they are"
hf drill latest units
exits 0 "a drill"
says 'units +passed' "passes"

with_source "$root" 'unit = app@.service' 'environment-files = no'
hf backup
exits 0 "backup of a template"
is "$(holds "$root")" "$(printf '%s\n' $e/app@.service.d/nice.conf $e/multi-user.target.wants/app@one.service $e/multi-user.target.wants/app@two.service /lib \
  /usr/lib/systemd/system/app@.service)" "with its drop-in, the links of its instances, and the link that these go through"
with_source "$root" 'unit = app@one.service'
hf backup
is "$(holds "$root" | tr '\n' ' ')" "/etc/default/app-one $e/app@.service.d/nice.conf $e/multi-user.target.wants/app@one.service /lib /usr/lib/systemd/system/app@.service " "an instance, with its environment and no other's"
with_source "$root" 'unit = app-web-front'
hf backup
is "$(holds "$root" | tr '\n' ' ')" "$e/app-.service.d/all-apps.conf $e/app-web-front.service " "drop-ins for all units whose names begin alike"
with_source "$root" 'unit = night@x.timer'
hf backup
is "$(holds "$root" | tr '\n' ' ')" "$e/job@.service $e/night@.timer $e/timers.target.wants/night@x.timer " "an instance of a timer brings the service that it names"
with_source "$root" 'unit = job@.service' 'unit = each@.service'
hf backup
is "$(holds "$root" | tr '\n' ' ')" "$e/each.socket $e/each@.service $e/job@.service $e/night@.timer $e/timers.target.wants/night@x.timer " "and a template the timers and sockets that start it"
with_source "$root" 'unit = linked' 'unit = mask*'
hf backup
is "$(holds "$root" | tr '\n' ' ')" "$e/linked.service $e/masked.service /opt/app/linked.service " "a linked unit with its file, and a masked one"
with_source "$root" 'unit = nightly.timer'
hf backup
is "$(holds "$root" | grep -c .)" 12 "a timer brings its service and all that belongs to that"

# In place, into a root without a manager.
cp -a "$root" "$work/kept"
rm -rf "$root/etc/systemd" "$root/etc/app"
hf restore latest units --in-place --yes
exits 0 "restore in place"
says 'enabled: .*app.service \(multi-user.target\)' "says what it enabled"
says 'no manager runs below' "and that there is no manager"
is "$(systemctl --root="$root" is-enabled app.service app.timer | tr '\n' ' ')" "enabled enabled " "systemctl agrees"
ok "files and links are as they were" diff -r --no-dereference "$work/kept/etc/app" "$root/etc/app"
echo '[Service]' >"$root/etc/systemd/system/app.service"
echo newer >"$root/usr/lib/systemd/system/app.service.d/20-package.conf"
hf restore latest units --in-place --yes
exits 0 "over units that have changed"
says 'app.service.d/20-package.conf belongs to a package.*left as it is' "what a package owns is left"
is "$(cat "$root/usr/lib/systemd/system/app.service.d/20-package.conf")" newer "as it is"
ok "the admin's is back" cmp "$work/kept$e/app.service" "$root$e/app.service"
says "kept in $safety/" "what was replaced is kept"
is "$(cat "$safety"/*"$root$e/app.service")" '[Service]' "as it was"
hf restore --undo --yes
exits 0 "which one command puts back"
is "$(cat "$root$e/app.service")" '[Service]' "undone"
hf restore --undo --yes
exits 0 "and forth"
ok "the undo is undone" cmp "$work/kept$e/app.service" "$root$e/app.service"
rm "$root$e/app.service"
mkdir "$root$e/app.service"
hf restore latest units --in-place --yes
exits 1 "a folder where a unit is to go"
says 'app.service: a folder is where the file is to go' "is named"
rm -rf "$root" && cp -a "$work/kept" "$root"

# ---- what goes wrong: costs this source, and is said once

# failing NAME REGEX
failing() {
  hf backup
  exits 3 "$1: exit code 3"
  is "$(grep -cE "source units: .*($2)" "$work/err")" 1 "$1: one clear message"
  rm -rf "$work/plain"
  hf restore latest plain --to "$work/plain"
  ok "$1: the other source is committed" cmp "$work/file" "$work/plain/plain$work/file"
}
with_source "$root" 'unit = nosuch.service'
failing "a unit that does not exist" 'unit = nosuch.service: there is no such unit below .*ignore-missing'
with_source "$root" 'unit = nosuch*'
failing "a pattern that nothing fits" 'unit = nosuch\*: no unit fits'
with_source "$root" 'unit = a/b'
failing "no name of a unit" 'unit = a/b: not the name of a unit'
mkdir -p "$root/run/systemd/system"
echo '[Service]' >"$root/run/systemd/system/fleeting.service"
with_source "$root" 'unit = fleeting.service'
failing "a unit that is made anew at each start" 'fleeting.service: it is only in /run/systemd/system'
with_source "$work/nowhere" 'unit = app.service'
failing "a root that is not there" 'root = .*nowhere: No such file'
with_source "$root" 'unit = nosuch.service' 'unit = app.service' 'ignore-missing = yes'
hf backup
exits 0 "ignore-missing"
says 'unit = nosuch.service: not there, passed over' "says what it passed over"

with_source "$root" 'unit = app.service'
printf '[Service]\nExecStart=/bin/true\nthis is no setting\n' >"$root$e/app.service"
hf backup
exits 3 "a unit that does not parse: exit code 3"
says 'app.service.*line 3 is neither a section nor a setting' "names the line"
hf cat latest units "$root$e/app.service"
ok "the file is kept as it is" cmp "$work/out" "$root$e/app.service"
hf drill latest units
exits 1 "a drill of it fails"
says 'systemd-analyze verify: .*app.service' "with the words of systemd-analyze"
cp -a "$work/kept$e/app.service" "$root$e/app.service"
rm "$root/etc/app/env"
hf backup
exits 3 "an environment file that is missing: exit code 3"
says 'etc/app/env.*EnvironmentFile= of app.service' "is named"
cp -a "$work/kept/etc/app/env" "$root/etc/app/env"

# Links of a root folder must not lead out of it.
ln -sfn /etc/passwd "$root/etc/app/env"
hf backup
exits 3 "an absolute link below root"
rm -rf "$work/held"
hf restore latest units --to "$work/held"
ok "leads nowhere outside of it" test ! -e "$work/held/units/etc/passwd"
rm "$root/etc/app/env"
cp -a "$work/kept/etc/app/env" "$root/etc/app/env"

# ---- while somebody edits

python3 - "$root$e/app.service.d/10-more.conf" "$work/stop" <<'EOF' &
import os, sys
path, stop = sys.argv[1:]
n = 0
while not os.path.exists(stop):
    n += 1
    with open(path + ".tmp", "w") as f:
        f.write(f"[Service]\n# {n}\n")
    os.rename(path + ".tmp", path)
EOF
jobs_started+=($!)
until grep -q '# ' "$root$e/app.service.d/10-more.conf"; do :; done
# On a busy machine the writer may not get its turn while the file is read.
for _ in {1..20}; do
  hf backup
  [ "$rc" -eq 0 ] || break
done
exits 3 "a backup while a drop-in is rewritten all the time: exit code 3"
says '10-more.conf.*changed' "names it"
touch "$work/stop"
wait
hf backup
exits 0 "afterwards all is well"

# ---- a real manager

if ! systemd_can; then
  echo "# no real systemd: needs root, dbus and a cgroup2 mount"
  done_testing
  exit
fi
sd=$work/sd
systemd_boot "$sd" "$work" "$BUILDDIR"
result $? "systemd runs"
make_units "$sd.units"
systemd_enter "$sd" cp -a "$sd.units/etc" "$sd.units/usr" "$sd.units/opt" /
systemd_enter "$sd" systemctl daemon-reload
systemd_enter "$sd" systemctl start app.timer
# inside ARGUMENT...: hf, run where that systemd is PID 1.
inside() {
  last="holdfast $* (inside)"
  systemd_enter "$sd" env GNUPGHOME="$GNUPGHOME" TMPDIR="$TMPDIR" HOLDFAST_PLUGIN_PATH="$HOLDFAST_PLUGIN_PATH" LC_ALL=C "$HOLDFAST" -c "$M" "$@" >"$work/out" 2>"$work/err" </dev/null
  rc=$?
}
with_source / 'unit = app.service' 'unit = app@*.service'
inside check
says 'units.*a manager runs' "check sees the manager"
inside backup
exits 0 "backup under a manager"
"$HOLDFAST" -c "$M" --json list >"$work/out" 2>/dev/null
inside drill latest units
exits 0 "a drill under it"
systemd_enter "$sd" systemctl stop app.timer
systemd_enter "$sd" rm -rf /etc/systemd/system/app.service /etc/systemd/system/app.service.d /etc/systemd/system/app.timer /etc/systemd/system/timers.target.wants/app.timer /etc/app
systemd_enter "$sd" systemctl daemon-reload
is "$(systemd_enter "$sd" systemctl show -p LoadState --value app.timer)" not-found "the units are gone"
inside restore latest units --in-place --yes
exits 0 "restore in place"
says 'enabled: app.timer \(timers.target\)' "says what it enabled"
says 'manager has read its units again' "and that the manager knows"
is "$(systemd_enter "$sd" systemctl show -p LoadState --value app.timer)" loaded "which it does"
is "$(systemd_enter "$sd" systemctl is-enabled app.service app.timer app@two.service | tr '\n' ' ')" "enabled enabled enabled " "the units are enabled"
ok "and start" systemd_enter "$sd" systemctl start app.service
systemd_enter "$sd" systemctl stop app.service
inside restore --undo --yes
exits 0 "undone"
says 'manager has read its units again' "which the manager knows"
is "$(systemd_enter "$sd" systemctl show -p LoadState --value app.timer)" not-found "the units are gone"
inside restore --undo --yes
exits 0 "and the undo undone"
is "$(systemd_enter "$sd" systemctl is-enabled app.service app.timer app@two.service | tr '\n' ' ')" "enabled enabled enabled " "they are enabled again"
systemd_enter "$sd" sh -c 'echo "# later" >>/etc/systemd/system/app.service'
inside backup
exits 0 "a unit that changed since the manager read it"
says 'app.service has changed since the manager read it' "is pointed out"
systemd_stop "$sd"
done_testing
