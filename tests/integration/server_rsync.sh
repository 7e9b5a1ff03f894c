# server_rsync.sh - real servers for the tests of the rsync target: sshd with keys of all rights and of few, and an rsync daemon.
# All on the loopback, as the caller, below one folder.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # printf -v sets them
#
# To be sourced, behind lib.sh: what is started is added to jobs_started, which its cleanup ends.

# wait_port PORT PID: until something listens, or the process has ended.
wait_port() {
  for _ in $(seq 500); do
    if (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return 0; fi
    kill -0 "$2" 2>/dev/null || return 1
    sleep 0.02
  done
  return 1
}

# start_sshd DIR: sets ssh_port and ssh_pid. DIR/id may do all, DIR/id_rr is held below DIR/vault by rrsync, DIR/id_nodel cannot
# delete there, DIR/id_ro not write, DIR/id_wo not read; DIR/id_stranger may nothing. DIR/known_hosts is right, DIR/known_none empty,
# DIR/known_wrong another key's.
start_sshd() {
  local dir=$1 k rrsync
  rrsync=$(command -v rrsync) || return 1
  mkdir -p "$dir/vault" "$dir/home"
  for k in host id id_rr id_nodel id_ro id_wo id_stranger; do [ -f "$dir/$k" ] || ssh-keygen -q -t ed25519 -N '' -C "$k" -f "$dir/$k" || return 1; done
  {
    cat "$dir/id.pub"
    echo "restrict,command=\"$rrsync $dir/vault\" $(cat "$dir/id_rr.pub")"
    echo "restrict,command=\"$rrsync -no-del $dir/vault\" $(cat "$dir/id_nodel.pub")"
    echo "restrict,command=\"$rrsync -ro $dir/vault\" $(cat "$dir/id_ro.pub")"
    echo "restrict,command=\"$rrsync -wo $dir/vault\" $(cat "$dir/id_wo.pub")"
  } >"$dir/authorized_keys"
  chmod 600 "$dir/authorized_keys"
  ssh_port=$(free_port)
  # The home folder is an empty one: what the account's shell reads at its start is not what is tested.
  cat >"$dir/sshd_config" <<END
Port $ssh_port
ListenAddress 127.0.0.1
HostKey $dir/host
PidFile none
AuthorizedKeysFile $dir/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
SetEnv HOME=$dir/home
LogLevel VERBOSE
END
  echo "[127.0.0.1]:$ssh_port $(cut -d ' ' -f 1,2 "$dir/host.pub")" >"$dir/known_hosts"
  : >"$dir/known_none"
  echo "[127.0.0.1]:$ssh_port $(cut -d ' ' -f 1,2 "$dir/id_stranger.pub")" >"$dir/known_wrong"
  [ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
  again_sshd "$dir"
}

# again_sshd DIR: the same once more, at the same port.
again_sshd() {
  /usr/sbin/sshd -D -f "$1/sshd_config" -E "$1/log" &
  ssh_pid=$!
  jobs_started+=("$ssh_pid")
  disown "$ssh_pid"
  wait_port "$ssh_port" "$ssh_pid" || { cat "$1/log" >&2 && return 1; }
}

# start_rsyncd DIR: sets rsyncd_port and rsyncd_pid. Modules main, readonly and nodelete (DIR/main), closed (DIR/closed, as an account
# without rights when root runs this) and gone (no folder); user bk, password s3cr3t-word.
start_rsyncd() {
  local dir=$1 uid gid closed_uid closed_gid
  uid=$(id -u) gid=$(id -g) closed_uid=$uid closed_gid=$gid
  [ "$uid" -ne 0 ] || closed_uid=65534 closed_gid=65534
  mkdir -p "$dir/main" "$dir/closed"
  echo 'bk:s3cr3t-word' >"$dir/secrets"
  chmod 600 "$dir/secrets"
  rsyncd_port=$(free_port)
  cat >"$dir/conf" <<END
address = 127.0.0.1
port = $rsyncd_port
log file = $dir/log
use chroot = no
munge symlinks = no
read only = no
auth users = bk
secrets file = $dir/secrets
uid = $uid
gid = $gid
[main]
path = $dir/main
[readonly]
path = $dir/main
read only = yes
[nodelete]
path = $dir/main
refuse options = delete-missing-args
[closed]
path = $dir/closed
uid = $closed_uid
gid = $closed_gid
[gone]
path = $dir/no-such-folder
END
  again_rsyncd "$dir"
}

again_rsyncd() {
  rsync --daemon --no-detach --config="$1/conf" &
  rsyncd_pid=$!
  jobs_started+=("$rsyncd_pid")
  disown "$rsyncd_pid"
  wait_port "$rsyncd_port" "$rsyncd_pid" || { cat "$1/log" >&2 && return 1; }
}
