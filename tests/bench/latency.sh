#!/bin/bash
# latency.sh - what a far target costs: backup, verify --read and restore with and without added latency, one target against two, beside rclone with as many connections.
# SPDX-License-Identifier: Apache-2.0
#
# The service and the latency are on this host; data that does not compress. One target against two is measured with a service that costs next to nothing, so that it is not the service's own work on this host that is
# measured. Ratios are between medians of the same run. There is no time that this fails for: it measures.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
: "${SRCDIR:?the folder of the sources}" "${BUILDDIR:?the folder of the build}" "${HOLDFAST:?the program to measure}"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../integration/server_s3.sh
. "$SRCDIR/tests/integration/server_s3.sh"
for name in $(compgen -e AWS_); do unset "$name"; done
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY

mib=1024 delay=50 runs=3
usage() {
  cat <<END
usage: latency.sh [--mib MiB] [--delay MILLISECONDS] [--runs N]
The delay is that of each way. Needs radosgw, ceph-mon, ceph-osd, rclone; memory for ten times the MiB.
END
}
while [ $# -gt 0 ]; do
  case $1 in
    --mib | --delay | --runs) declare "${1#--}=$2" && shift 2 ;;
    *) usage && exit 2 ;;
  esac
done
need rclone radosgw ceph-mon ceph-osd
set_up ""
helpers=()
finish() {
  local one
  for one in "${helpers[@]}"; do kill "$one" 2>/dev/null || :; done
  s3_stop "$work/ceph"
  clean_up
}
trap finish EXIT
# helper NAME COMMAND...: in the background; the port it prints is $port.
helper() {
  local file=$work/$1.port
  shift
  "$@" >"$file" &
  helpers+=($!)
  until [ -s "$file" ]; do sleep 0.02; done
  port=$(cat "$file")
}

mkdir -p "$work/set/files"
for ((i = 0; i < mib / 16; i++)); do head -c 16M /dev/urandom >"$work/set/files/$i"; done
sleep 2
"${CC:-cc}" -std=gnu17 -O2 -o "$work/latency_proxy" "$bench/latency_proxy.c" -pthread
S3_STORE_BYTES=$((mib * 10 * 1048576 + 1073741824)) s3_start "$work/ceph" || die "the service does not start"
helper far "$work/latency_proxy" "${s3_url##*:}" "$delay"
far=http://127.0.0.1:$port
helper null python3 "$bench/null_s3.py"
null=http://127.0.0.1:$port
helper nullfar "$work/latency_proxy" "$port" "$delay"
nullfar=http://127.0.0.1:$port
(umask 077 && printf '%s\n' "$s3_secret" >"$work/secret")

# target NAME URL PREFIX
target() {
  printf '\n[target %s]\nplugin = s3\nbucket = bench\nprefix = %s/%s\nendpoint = %s\naccess-key = %s\nsecret-key-file = %s\n' "$1" "$3" "$1" "$2" "$s3_access" \
    "$work/secret" >>"$work/hf/manifest.ini"
}
# repo PREFIX URL...: an empty repository with a target for each.
repo() {
  local prefix=$1 url n=0
  shift
  gpgconf --homedir "$work/hf/state/gnupg" --kill all 2>/dev/null || :
  rm -rf "$work/hf"
  mkdir -p "$work/hf"
  printf '[holdfast]\nhost = bench\nrecipients = %s\nstate = %s\n\n[source set]\nplugin = files\npath = %s\n' "$recipient" "$work/hf/state" "$work/set/files" \
    >"$work/hf/manifest.ini"
  for url in "$@"; do target "t$((++n))" "$url" "$prefix"; done
  hf init
}
hf() { "$HOLDFAST" -q -c "$work/hf/manifest.ini" "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2 && die "holdfast $1 fails"; }; }

# timed NAME [-m] COMMAND...
timed() {
  local name=$1 memory=()
  shift
  [ "$1" != -m ] || { memory=(-m) && shift; }
  "$work/measure" "${memory[@]}" "$work/figures" "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2 && die "$name fails"; }
  echo "$name $(awk '{ print $1, $4 }' "$work/figures")" >>"$work/times"
}
holdfast=("$HOLDFAST" -q -c "$work/hf/manifest.ini")

cat >"$work/rclone.conf" <<END
[near]
type = s3
provider = Ceph
endpoint = $s3_url
access_key_id = $s3_access
secret_access_key = $s3_secret
[far]
type = s3
provider = Ceph
endpoint = $far
access_key_id = $s3_access
secret_access_key = $s3_secret
END
rclone_=(rclone --config "$work/rclone.conf" --transfers 4 --checkers 4 --s3-upload-cutoff 1G)
"${rclone_[@]}" mkdir near:rclone

for ((i = 0; i < runs; i++)); do
  for where in near far; do
    url=$s3_url
    [ "$where" = near ] || url=$far
    repo "$i-$where" "$url"
    timed "backup-$where" "${holdfast[@]}" backup
    timed "verify-$where" "${holdfast[@]}" verify --read
    timed "restore-$where" "${holdfast[@]}" restore latest set --to "$work/out"
    diff -r "$work/set/files" "$work/out/set$work/set/files" >/dev/null || die "what is restored is not what was backed up"
    rm -rf "$work/out"
    timed "rclone-$where" "${rclone_[@]}" copy --ignore-times "$work/set/files" "$where:rclone"
    timed "rclone-get-$where" "${rclone_[@]}" copy "$where:rclone" "$work/out"
    rm -rf "$work/out"
  done
  repo "$i-one" "$null"
  timed null-one "${holdfast[@]}" backup
  repo "$i-two" "$null" "$null"
  timed null-two "${holdfast[@]}" backup
  repo "$i-far" "$nullfar"
  timed null-far "${holdfast[@]}" backup
  "${rclone_[@]}" purge near:bench
  s3_admin "$work/ceph" gc process --include-all >/dev/null
done
repo memory "$far" "$far"
timed memory-backup -m "${holdfast[@]}" backup
timed memory-verify -m "${holdfast[@]}" verify --read
timed memory-restore -m "${holdfast[@]}" restore latest set --to "$work/out"

[ -z "${HOLDFAST_BENCH_TIMES:-}" ] || cat "$work/times" >&2
awk -v delay="$delay" '
  { n[$1]++; v[$1, n[$1]] = $2; if ($3 > peak[$1]) peak[$1] = $3 }
  function median(k, i, j, t, m) {
    m = n[k]
    for (i = 1; i <= m; i++) for (j = i + 1; j <= m; j++) if (v[k, j] < v[k, i]) { t = v[k, i]; v[k, i] = v[k, j]; v[k, j] = t }
    return m % 2 ? v[k, (m + 1) / 2] : (v[k, m / 2] + v[k, m / 2 + 1]) / 2
  }
  function ratio(what, a, b) { printf "%-50s %.2f\n", what, median(a) / median(b) }
  END {
    printf "time with %d ms each way, of that without:\n", delay
    ratio("  backup", "backup-far", "backup-near")
    ratio("  backup, to the service that costs nothing", "null-far", "null-one")
    ratio("  verify --read", "verify-far", "verify-near")
    ratio("  restore", "restore-far", "restore-near")
    ratio("  rclone, to the service", "rclone-far", "rclone-near")
    ratio("  rclone, back", "rclone-get-far", "rclone-get-near")
    print "time with two targets, of that with one:"
    ratio("  backup", "null-two", "null-one")
    print "holdfast, of rclone:"
    ratio("  backup, near", "backup-near", "rclone-near")
    ratio("  backup, far", "backup-far", "rclone-far")
    ratio("  restore, near", "restore-near", "rclone-get-near")
    ratio("  restore, far", "restore-far", "rclone-get-far")
    print "peak memory of all processes, two far targets:"
    printf "  backup %d MiB, verify --read %d MiB, restore %d MiB\n", peak["memory-backup"] / 1048576, peak["memory-verify"] / 1048576, peak["memory-restore"] / 1048576
  }' "$work/times"
