#!/bin/bash
# target_rsync.sh - what the rsync target costs beside a plain `rsync -a` of the same objects, and what an object costs by each way.
# At real servers of its own, on the loopback.
# SPDX-License-Identifier: Apache-2.0
#
#   target_rsync.sh [--objects N] [--size BYTES] [--small N]
#
# N objects of that size (default 8 of 4 MiB) and some small ones of 1 KiB each (default 40). Ratios only: the seconds belong to the machine.
set -euo pipefail
# shellcheck source=../integration/lib.sh disable=SC2154
. "${SRCDIR:?}/tests/integration/lib.sh"
# shellcheck source=../integration/server_rsync.sh
. "$SRCDIR/tests/integration/server_rsync.sh"
: "${BUILDDIR:?the folder of the build}"
objects=8 size=4194304 small=40
while [ $# -gt 0 ]; do
  case $1 in
    --objects | --size | --small) declare "${1#--}=${2:?a number}" && shift 2 ;;
    *) echo "usage: target_rsync.sh [--objects N] [--size BYTES] [--small N]" >&2 && exit 2 ;;
  esac
done
need rsync rrsync ssh python3
start_sshd "$work/ssh"
start_rsyncd "$work/rsyncd"
mkdir -p "$work/set/big" "$work/set/small"
for i in $(seq "$objects"); do head -c "$size" /dev/urandom >"$work/set/big/$i"; done
for i in $(seq "$small"); do head -c 1024 /dev/urandom >"$work/set/small/$i"; done
plain_ssh="ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile=$work/ssh/known_hosts -i $work/ssh/id -p $ssh_port"
export RSYNC_PASSWORD=s3cr3t-word

# timed COMMAND...: prints microseconds.
timed() {
  local start=${EPOCHREALTIME/./}
  "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2 && exit 1; }
  echo $((${EPOCHREALTIME/./} - start))
}
# calls KIND SETTING...: all objects of a kind by the plugin, in one instance.
calls() {
  local kind=$1 f list=()
  shift
  for f in "$work/set/$kind"/*; do list+=(-- put "$kind/${f##*/}" "$f"); done
  "$BUILDDIR/tests/conformance/target_call" "$BUILDDIR/targets/rsync/.libs/rsync.so" host=127.0.0.1 "$@" -- init "${list[@]}"
}
by_ssh=(port="$ssh_port" identity-file="$work/ssh/id" known-hosts="$work/ssh/known_hosts")
by_daemon=(port="$rsyncd_port" username=bk password=s3cr3t-word module=main)
each_alone() { for f in "$work/set/small"/*; do rsync -e "$plain_ssh" --fsync "$f" "127.0.0.1:$1/"; done; }

for kind in big small; do
  mkdir -p "$work/ssh/plain"
  plain=$(timed rsync -a --fsync -e "$plain_ssh" "$work/set/$kind/" "127.0.0.1:$work/ssh/plain/$kind/")
  ours=$(timed calls "$kind" "${by_ssh[@]}" path="$work/ssh/ours-$kind")
  plain_d=$(timed rsync -a --fsync "$work/set/$kind/" "rsync://bk@127.0.0.1:$rsyncd_port/main/plain-$kind/")
  ours_d=$(timed calls "$kind" "${by_daemon[@]}" path="ours-$kind")
  awk -v k="$kind" -v a="$ours" -v b="$plain" -v c="$ours_d" -v d="$plain_d" \
    'BEGIN { printf "%s objects, one after the other, against one rsync -a: ssh %.2f, daemon %.2f\n", k, a / b, c / d }'
  [ "$kind" = big ] || small_ours=$ours
done
mkdir -p "$work/ssh/alone"
alone=$(timed each_alone "$work/ssh/alone")
awk -v a="$alone" -v b="$small_ours" -v n="$small" 'BEGIN { printf "a connection for each of %d small objects, against one for all: %.2f\n", n, a / b }'
