#!/bin/bash
# source_postgres.sh - a base backup by holdfast beside pg_basebackup | zstd | gpg, and what a second one stores when 1 % of the rows have changed.
# SPDX-License-Identifier: Apache-2.0
#
#   source_postgres.sh [--size MIB] [--runs N]
#
# A real server with one table of SIZE MiB (2048), whose rows compress to about a half. The two take turns in every round (1); the ratio
# is between the sums of their times.
# There is no time that this fails for: it measures.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

size=2048 runs=1
while [ $# -gt 0 ]; do
  case $1 in
    --size) size=${2:?MiB} && shift ;;
    --runs) runs=${2:?a number} && shift ;;
    *)
      echo "usage: source_postgres.sh [--size MIB] [--runs N]" >&2
      exit 2
      ;;
  esac
  shift
done
: "${HOLDFAST:?the program to measure}"
set_up ""
chmod 711 "$work"
pg_bin=$(for d in /usr/lib/postgresql/*/bin; do [ -x "$d/postgres" ] && echo "$d"; done | sort -V | tail -n 1)
pg=$work/pg

as_postgres() { if [ "$(id -u)" -eq 0 ]; then (cd / && setpriv --reuid=postgres --regid=postgres --init-groups "$@"); else "$@"; fi; }
sql() { "$pg_bin/psql" -XAtq -v ON_ERROR_STOP=1 -h "$pg" -U pgadm -d postgres -c "$1"; }
stop_server() {
  as_postgres "$pg_bin/pg_ctl" -D "$pg/data" -w -s -m immediate stop >/dev/null 2>&1 || :
  clean_up
}
trap stop_server EXIT

say "making a server with $size MiB"
mkdir "$pg"
[ "$(id -u)" -ne 0 ] || chown postgres "$pg"
as_postgres "$pg_bin/initdb" -D "$pg/data" -U pgadm -A trust -E UTF8 --locale=C.UTF-8 -N -k >"$work/log"
as_postgres tee -a "$pg/data/postgresql.conf" >/dev/null <<END
listen_addresses = ''
unix_socket_directories = '$pg'
fsync = off
shared_buffers = 128MB
max_wal_size = 4GB
autovacuum = off
END
as_postgres "$pg_bin/pg_ctl" -D "$pg/data" -l "$pg/log" -w -s start
# A row is about 256 bytes; its digests are hexadecimal, so they compress to about a half.
rows=$((size * 4096))
sql "CREATE TABLE t (id int, n int, a text, b text, c text, d text, e text, f text)"
sql "INSERT INTO t SELECT g, 0, md5(g::text), md5((g + 1e9)::text), md5((g + 2e9)::text), md5((g + 3e9)::text),
  md5((g + 4e9)::text), md5((g + 5e9)::text) FROM generate_series(1, $rows) g"
sql "ALTER TABLE t ADD PRIMARY KEY (id)"
sql 'VACUUM FREEZE'
sql CHECKPOINT

mkdir -p "$work/hf"
cat >"$work/hf/manifest.ini" <<MANIFEST
[holdfast]
host       = bench
recipients = $recipient
state      = $work/hf/state
padding    = no

[source pg]
plugin = postgres
mode   = physical
host   = $pg
username = pgadm

[target disk]
plugin = local
path   = $work/repo/holdfast
MANIFEST
hf() { "$HOLDFAST" -q --no-progress -c "$work/hf/manifest.ini" "$@"; }
# timed VARIABLE COMMAND...: adds the seconds to the variable.
timed() {
  local into=$1
  shift
  "$work/measure" "$work/figures" "$@" >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    die "$* failed"
  }
  read -r wall _ <"$work/figures"
  printf -v "$into" %s "$(awk -v a="${!into}" -v b="$wall" 'BEGIN { print a + b }')"
}
# shellcheck disable=SC2016
pipeline='"$1/pg_basebackup" -Ft -X fetch -c fast -D - -h "$2" -U pgadm | zstd -q -3 -T0 |
  gpg --batch -q --trust-model always -z 0 -r "$3" -e | tee "$4/backup" | sha256sum >"$4/sum"'

ours=0 theirs=0
for ((i = 1; i <= runs; i++)); do
  rm -rf "$work/repo" "$work/hf/state"
  mkdir -p "$work/repo/pipe"
  hf init >"$work/log" 2>&1
  warm "$pg/data"
  timed ours "$HOLDFAST" -q --no-progress -c "$work/hf/manifest.ini" backup
  warm "$pg/data"
  timed theirs bash -o pipefail -c "$pipeline" - "$pg_bin" "$pg" "$recipient" "$work/repo/pipe"
done
first=$(stored_by holdfast) piped=$(stored_by pipe)

# after SQL: the bytes that one more backup stores.
after() {
  local before
  sql "$1" >/dev/null
  sql CHECKPOINT
  before=$(stored_by holdfast)
  hf backup >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    die "backup failed"
  }
  echo $(($(stored_by holdfast) - before))
}
again=$(after 'SELECT 1')
range=$(after "UPDATE t SET n = n + 1 WHERE id BETWEEN $((rows / 3)) AND $((rows / 3 + rows / 100))")
pages=$(sql "SELECT round(count(DISTINCT (ctid::text::point)[0]) * 100.0 / (pg_relation_size('t') / 8192), 1) FROM t WHERE hashint4(id) % 100 = 7")
random=$(after "UPDATE t SET n = n + 1 WHERE hashint4(id) % 100 = 7")

row() { awk -v n="$1" -v a="$2" -v b="$3" -v goal="$4" 'BEGIN { printf "| %s | %.3f | %s |\n", n, a / b, goal }'; }
echo "| a table of $size MiB | ratio | goal |"
echo "|---|---|---|"
row "base backup: time, against pg_basebackup, zstd -3 -T0 and gpg" "$ours" "$theirs" "≤ 1.25"
row "base backup: bytes stored, against the same" "$first" "$piped" "–"
row "again, nothing changed: bytes stored, against the first" "$again" "$first" "–"
row "1 % of the rows, a range, updated: bytes stored, against the first" "$range" "$first" "≤ 0.05"
row "1 % of the rows at random, which are on $pages % of the pages, updated: bytes stored, against the first" "$random" "$first" "–"
