#!/bin/bash
# target_s3.sh - the s3 target beside rclone and awscli: the same files to the same service on this host, with the same concurrency, in one run.
# SPDX-License-Identifier: Apache-2.0
#
# The tools take turns in every round; the ratios are between medians. There is no time that this fails for: it measures.
set -euo pipefail
: "${SRCDIR:?the folder of the sources}" "${BUILDDIR:?the folder of the build}" "${CC:=cc}"
# shellcheck source-path=SCRIPTDIR source=../integration/server_s3.sh
. "$SRCDIR/tests/integration/server_s3.sh"

for name in $(compgen -e AWS_); do unset "$name"; done
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
count=24 size=32 threads=8 runs=3
usage() {
  cat <<END
usage: target_s3.sh [--count FILES] [--size MiB] [--threads N] [--runs N]
Needs radosgw, ceph-mon, ceph-osd, rclone, awscli; memory for eight times FILES x MiB.
END
}
while [ $# -gt 0 ]; do
  case $1 in
    --count | --size | --threads | --runs) declare "${1#--}=$2" && shift 2 ;;
    *) usage && exit 2 ;;
  esac
done

work=$(mktemp -d "${TMPDIR:-/tmp}/hfbench.XXXXXX")
trap 's3_stop "$work/ceph"; rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

mkdir "$work/files"
for ((i = 0; i < count; i++)); do head -c "${size}M" /dev/urandom >"$work/files/$i"; done
"$CC" -O2 -I"$SRCDIR/core/include" -o "$work/load" "$SRCDIR/tests/bench/target_load.c" -lcrypto -ldl -pthread
S3_STORE_BYTES=$((count * size * 1048576 * 8 + 1073741824)) s3_start "$work/ceph" || { echo "the service does not start" >&2 && exit 1; }

cat >"$work/rclone.conf" <<END
[ceph]
type = s3
provider = Ceph
endpoint = $s3_url
access_key_id = $s3_access
secret_access_key = $s3_secret
END
# One request for each file, as holdfast does it, is rclone's fastest way on this service, too.
rclone_() { rclone --config "$work/rclone.conf" --transfers "$threads" --checkers "$threads" --s3-upload-cutoff 1G "$@"; }
cat >"$work/aws.conf" <<END
[default]
region = us-east-1
s3 =
  max_concurrent_requests = $threads
  addressing_style = path
END
aws_() {
  AWS_CONFIG_FILE=$work/aws.conf AWS_ACCESS_KEY_ID=$s3_access AWS_SECRET_ACCESS_KEY=$s3_secret AWS_EC2_METADATA_DISABLED=true \
    "${AWSCLI:-/usr/bin/aws}" --endpoint-url "$s3_url" s3 "$@"
}

load() {
  "$work/load" "$BUILDDIR/targets/s3/.libs/s3.so" "$1" "$work/files" "$threads" bucket=ours endpoint="$s3_url" access-key="$s3_access" \
    secret-key="$s3_secret" connections="$threads"
}

# timed TOOL WAY COMMAND...
timed() {
  local tool=$1 way=$2 a b
  shift 2
  a=$(date +%s.%N)
  "$@" >"$work/said" || { cat "$work/said" >&2 && exit 1; }
  b=$(date +%s.%N)
  echo "$tool $way $(awk -v a="$a" -v b="$b" 'BEGIN { print b - a }') $(awk 'NF == 3 { print $3 }' "$work/said")" >>"$work/times"
}

rclone_ mkdir ceph:rclone
aws_ mb s3://awscli
for ((i = 0; i < runs; i++)); do
  timed holdfast put load put
  timed rclone put rclone_ copy --ignore-times "$work/files" ceph:rclone
  timed awscli put aws_ cp --only-show-errors --recursive "$work/files" s3://awscli
  timed holdfast get load get
  rm -rf "$work/out" && timed rclone get rclone_ copy ceph:rclone "$work/out"
  rm -rf "$work/out" && timed awscli get aws_ cp --only-show-errors --recursive s3://awscli "$work/out"
  rm -rf "$work/out"
  # What was replaced is kept by the service for hours otherwise; a store that is full answers no more.
  s3_admin "$work/ceph" gc process --include-all >/dev/null
done

awk -v mib=$((count * size)) '
  { k = $1 " " $2; n[k]++; v[k, n[k]] = $3; if ($4 > peak[k]) peak[k] = $4 }
  function median(k, i, j, t, m) {
    m = n[k]
    for (i = 1; i <= m; i++) for (j = i + 1; j <= m; j++) if (v[k, j] < v[k, i]) { t = v[k, i]; v[k, i] = v[k, j]; v[k, j] = t }
    return m % 2 ? v[k, (m + 1) / 2] : (v[k, m / 2] + v[k, m / 2 + 1]) / 2
  }
  END {
    split("put get", ways, " "); split("holdfast rclone awscli", tools, " ")
    for (w = 1; w <= 2; w++) for (t = 1; t <= 3; t++) {
      k = tools[t] " " ways[w]; m = median(k); if (t == 1) first = m
      more = peak[k] ? sprintf("; peak %d MiB resident", peak[k] / 1048576) : ""
      printf "%s %-9s %7.2f s %8.1f MiB/s  time %.2f of holdfast%s\n", ways[w], tools[t], m, mib / m, m / first, more
    }
  }' "$work/times"
