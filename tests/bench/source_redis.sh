#!/bin/bash
# source_redis.sh - the backup of a Redis server beside what an admin would write: redis-cli --rdb - | zstd -3 -T0 | gpg -e.
# SPDX-License-Identifier: Apache-2.0
#
# There is no time that this fails for: it measures. Both read the same server in the same run, in turn, and both leave their result on the same disk.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../integration/server_redis.sh
. "$top/tests/integration/server_redis.sh"

usage() {
  cat <<'END'
usage: source_redis.sh [OPTION...]
  --size MiB     data in the server; default 2048
  --runs N       rounds; default 3
  --disk         the server writes its RDB to its disk first (repl-diskless-sync no)
  --dir FOLDER   work there; default: a temporary folder, removed at the end
Needs room for four times the size, and memory for the server.
END
}

size=2048 runs=3 dir='' diskless=yes
while [ $# -gt 0 ]; do
  case $1 in
    --size | --runs | --dir)
      [ $# -ge 2 ] || die "$1 needs a value"
      declare "${1#--}=$2"
      shift
      ;;
    --disk) diskless=no ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift
done
: "${HOLDFAST:?the program to measure}"
need redis-server redis-cli python3
set_up "$dir"
trap 'redis_stop_all; clean_up' EXIT
redis_start "$work/redis" "repl-diskless-sync $diskless"
say "filling the server with $size MiB"
redis_fill "$work/redis" "$size"
# shellcheck disable=SC2154 # of lib.sh
cat >"$work/hf/m.ini" <<END
[holdfast]
host       = bench
state      = $work/hf/state
recipients = $recipient
[source cache]
plugin   = redis
socket   = $work/redis/s
password = secret
[target disk]
plugin = local
path   = $work/repo/holdfast
END
chmod 600 "$work/hf/m.ini"

pipeline() {
  mkdir -p "$work/repo/pipe"
  REDISCLI_AUTH=secret redis-cli --no-auth-warning -s "$work/redis/s" --rdb - 2>/dev/null | zstd -q -3 -T0 |
    gpg --batch --quiet --yes --trust-model always --no-auto-check-trustdb --compress-algo none -r "$recipient" -e -o "$work/repo/pipe/dump.rdb.zst.gpg"
  sync "$work/repo/pipe/dump.rdb.zst.gpg" # as holdfast does
}
export -f pipeline
export work recipient

# wall COMMAND...: sets $wall and $cpu, in seconds.
wall() {
  "$work/measure" "$work/figures" "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2 && die "$*: exit code $?"; }
  read -r wall user system _ <"$work/figures"
  cpu=$(awk -v u="$user" -v s="$system" 'BEGIN { print u + s }')
}

: >"$work/times"
for ((round = 1; round <= runs; round++)); do
  # The first backup each time: a repository that has the data already would have nothing to do.
  rm -rf "$work/repo" "$work/hf/state"
  mkdir -p "$work/repo"
  "$HOLDFAST" -q -c "$work/hf/m.ini" init >/dev/null
  for ((i = 0; i < 2; i++)); do
    if [ $(((round + i) % 2)) -eq 0 ]; then
      wall "$HOLDFAST" -q -c "$work/hf/m.ini" backup
      holdfast=$wall holdfast_cpu=$cpu stored=$(du -s -B 1 --apparent-size "$work/repo/holdfast" | cut -f 1)
    else
      wall bash -c pipeline
      pipe=$wall pipe_cpu=$cpu
    fi
  done
  say "round $round: holdfast $holdfast s, pipeline $pipe s"
  echo "$holdfast $pipe $stored $(stat -c %s "$work/repo/pipe/dump.rdb.zst.gpg") $holdfast_cpu $pipe_cpu" >>"$work/times"
done
stop_agents
awk -v size="$size" -v diskless="$diskless" '
  { ratio[NR] = $2 / $1; stored = $3 / $4; cpu += $5 / $6 }
  END {
    sort_up(ratio, NR)
    printf "redis, %d MiB, repl-diskless-sync %s, %d rounds: ", size, diskless, NR
    printf "holdfast has %.2f of the speed of redis-cli | zstd | gpg (goal: at least 0.80), median of", ratio[int((NR + 1) / 2)]
    for (i = 1; i <= NR; i++) printf " %.2f", ratio[i]
    printf "; %.2f of its processor time, %.2f of its bytes\n", cpu / NR, stored
  }
  function sort_up(a, n,    i, j, t) {
    for (i = 2; i <= n; i++) { t = a[i]; for (j = i - 1; j > 0 && a[j] > t; j--) a[j + 1] = a[j]; a[j + 1] = t }
  }' "$work/times"
