#!/bin/bash
# source_postgres_physical.sh - the postgres source, mode = physical, with a real server: base backups under load, restore to a folder and in place,
# rehearsal, and all that may go wrong.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034 # variables of lib.sh
. "${SRCDIR:?}/tests/integration/lib.sh"
need_root "the owner of a data directory, mounts"
# shellcheck source=server_postgres.sh
. "${SRCDIR:?}/tests/integration/server_postgres.sh"
need python3 setpriv mount tar
: "${BUILDDIR:?the folder of the build}"

# wait_for COMMAND...: until it succeeds, at most 30 s.
wait_for() {
  local until=$((SECONDS + 30))
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $until ] || { echo "# never: $*" && return 1; }
    sleep 0.05
  done
}
# gives DATABASE SQL: t or f; is it t?
gives() { [ "$(pg_psql "$1" "$2")" = t ]; }

make_key key 'Recipient <recipient@example.com>'
# Small segments: every backup ends one, and there are many here.
pg_initdb=--wal-segsize=1
pg_start server
mkdir "$work/space"
chown postgres:postgres "$work/space"
pg_psql postgres "CREATE TABLESPACE extra LOCATION '$work/space'"
pg_psql postgres "CREATE ROLE plain LOGIN" && pg_psql postgres "CREATE ROLE rep LOGIN REPLICATION"
pg_psql postgres "CREATE DATABASE shop"
sed -i '1i local replication rep reject' "$pg_dir/data/pg_hba.conf"
pg_psql postgres 'SELECT pg_reload_conf()' >/dev/null
"$pg_bin/pgbench" -h "$pg_dir" -p "$pg_port" -U pgadm -i -q -s 1 shop >"$work/pgbench.out" 2>&1
pg_psql shop "CREATE TABLE placed TABLESPACE extra AS SELECT g, md5(g::text) FROM generate_series(1, 5000) g;
  CREATE INDEX ON placed (g) TABLESPACE extra; CHECKPOINT"
oid=$(pg_psql postgres "SELECT oid FROM pg_tablespace WHERE spcname = 'extra'")
data=$pg_dir/data sock=$pg_dir port=$pg_port
sums() { printf '(SELECT coalesce(sum(%s), 0) FROM public.pgbench_%s)' "$1" "$2"; }
tellers=$(sums tbalance tellers)
balanced="SELECT $tellers = $(sums abalance accounts) AND $tellers = $(sums bbalance branches) AND $tellers = $(sums delta history)"

# source_lines NAME LINE...: a source on the server at $port, as pgadm unless the lines say something else.
source_lines() {
  printf '%s\n' "[source $1]" 'plugin = postgres' 'mode = physical'
  shift
  case "$*" in *'username = '*) ;; *) echo 'username = pgadm' ;; esac
  case "$*" in *'port = '*) ;; *) echo "port = $port" ;; esac
  printf '%s\n' "$@"
}

# ---- the contract

so=${HOLDFAST_PLUGIN_PATH%%:*}/postgres.so
"$BUILDDIR/holdfast-source-conformance" "$so" mode=physical host="$sock" port="$port" username=pgadm >"$work/out" 2>"$work/err"
rc=$? last=holdfast-source-conformance
exits 0 "the conformance program finds nothing"
grep '^not ok' "$work/out" | sed 's/^/# /'
is "$(pg_psql postgres 'SELECT count(*) FROM pg_replication_slots')" 0 "no slot is left"

# ---- a backup while writers write

source_lines pg "host = $sock" "assert = shop: $balanced" 'assert = shop: SELECT count(*) = 5000 FROM public.placed' >"$work/lines"
new_repo main <"$work/lines"
must init
hf check
exits 0 "check"
says 'PostgreSQL 1[0-9]\.[0-9]+, system [0-9]+, .*would make a base backup' "says what it found"
"$pg_bin/pgbench" -h "$sock" -p "$port" -U pgadm -n -c 4 -T 600 shop >"$work/pgbench.out" 2>&1 &
pgbench=$!
jobs_started+=("$pgbench")
wait_for gives shop 'SELECT count(*) > 0 FROM pgbench_history'
before=$(pg_psql shop 'SELECT count(*) FROM pgbench_history')
must backup
after=$(pg_psql shop 'SELECT count(*) FROM pgbench_history')
ok "pgbench wrote while the backup ran ($before to $after transactions)" test "$after" -gt "$before"
hf ls latest pg
is "$(sort "$work/out" | tr -s ' \n' ' ')" "$oid.tar backup_manifest base.tar " "the streams: a tar for each tablespace, the manifest"

# check_copy DIR NAME LOCATION: start a server on DIR, and look.
check_copy() {
  local dir=$1
  mkdir -p "$work/copy.sock"
  chown postgres "$work/copy.sock"
  (cd / && as_postgres "$pg_bin/pg_ctl" -D "$dir" -l "$work/copy.sock/log" -w -t 60 -s \
    -o "-c port=$port -c unix_socket_directories=$work/copy.sock -c listen_addresses=''" start) >"$work/pg_ctl.out" 2>&1
  result $? "$2: a server starts on it" || diag "$work/copy.sock/log" "$work/pg_ctl.out"
  local there="$pg_bin/psql -XAtq -h $work/copy.sock -p $port -U pgadm -d shop -c"
  is "$($there "$balanced")" t "$2: pgbench's books balance"
  is "$($there "SELECT count(*) = 5000 AND pg_tablespace_location($oid) = '$3' FROM placed")" t "$2: the tablespace is there, at $3"
  (cd / && as_postgres "$pg_bin/pg_ctl" -D "$dir" -w -s -m fast stop) >/dev/null 2>&1
}

hf restore latest pg --to "$work/to"
exits 0 "restore to a folder"
chmod 711 "$work/to" "$work/to/pg"
ok "pg_verifybackup finds nothing" "$pg_bin/pg_verifybackup" -i tablespace_map "$work/to/pg/data"
is "$(cd "$work/to/pg" && stat -c '%a %U' data data/PG_VERSION "tablespaces/$oid" | tr '\n' ' ')" '700 postgres 600 postgres 700 postgres ' "modes and owners"
is "$(find "$work/to/pg/data" "$work/to/pg/tablespaces" ! -user postgres 2>&1 | wc -l)" 0 "all of it is the server's"
is "$(readlink "$work/to/pg/data/pg_tblspc/$oid")" "$work/to/pg/tablespaces/$oid" "the tablespace is linked to its copy"
check_copy "$work/to/pg/data" "restored to a folder" "$work/to/pg/tablespaces/$oid"
hf restore latest pg --to "$work/to"
says "is not empty" "restoring over it is refused"
ok "and leaves it alone" test -e "$work/to/pg/data/PG_VERSION"

recover latest "$work/recovered" pg
exits 0 "recover.sh gets the streams back without holdfast"
by_hand() {
  mkdir -p "$work/hand/pg_tblspc/$oid" && tar -xf "$work/recovered/pg/base.tar" -C "$work/hand" &&
    tar -xf "$work/recovered/pg/$oid.tar" -C "$work/hand/pg_tblspc/$oid" &&
    cp "$work/recovered/pg/backup_manifest" "$work/hand" && "$pg_bin/pg_verifybackup" "$work/hand"
}
ok "tar unpacks them, and pg_verifybackup finds nothing" by_hand
rm -rf "$work/hand" "$work/to"

hf drill
exits 0 "a rehearsal"
says 'passed.*PostgreSQL 1[0-9] started on it and recovered; .*amcheck: sound.*2 assertions hold' "says what it looked at"
is "$(find "$work/tmp" -mindepth 1 | wc -l)" 0 "and leaves nothing behind"
sed 's/= 5000/= 5001/' "$R/m.ini" >"$R/wrong.ini"
M=$R/wrong.ini
hf drill
exits 1 "an assertion that does not hold"
says 'failed.*5001.*it gave f' "is named"
M=$R/m.ini

# ---- in place

hf restore latest pg --in-place --yes
says 'a server is running there \(process [0-9]+\): stop it first' "restore in place while the server runs is refused"
ok "and it still runs" pg_psql postgres 'SELECT 1'
kill "$pgbench"
wait "$pgbench" 2>/dev/null
pg_psql shop 'CREATE TABLE later (a int)'
kill -9 "$(head -n 1 "$data/postmaster.pid")"
rm -f "$sock"/.s.PGSQL.*
ok "the server was killed: its postmaster.pid is still there" test -e "$data/postmaster.pid"
rm -rf "${data:?}/base"

mount --bind "$data" "$data" && mounts+=("$data")
hf restore latest pg --in-place --yes
[ $rc -ne 0 ]
result $? "a data directory that cannot be moved" || show_last
says 'is a mount point' "is named"
umount "$data"
is "$(find "$work/space" "$work/server" -maxdepth 1 -name '*holdfast*' -o -maxdepth 1 -name '*before*' | wc -l)" 0 "what was done in the tablespace is undone"
ok "and nothing was replaced" test ! -e "$data/base"

hf restore latest pg --in-place --yes
exits 0 "restore in place, over a damaged data directory"
says "what was in $data is now in $data\.before-" "says where the old one is"
ok "which is kept" test -e "$(find "$pg_dir" -maxdepth 1 -name 'data.before-*')/PG_VERSION"
is "$(find "$work/space" -mindepth 1 -maxdepth 1 -name 'PG_*' | wc -l)" 2 "the tablespace's, too"
pg_again
is "$(pg_psql shop "$balanced")" t "the server starts; pgbench's books balance"
is "$(pg_psql shop "SELECT count(*) FROM placed")" 5000 "the tablespace is there"
is "$(pg_psql shop "SELECT to_regclass('later') IS NULL")" t "what came later is not"
is "$(pg_psql postgres "SELECT pg_tablespace_location($oid)")" "$work/space" "the tablespace is where it was"

# ---- and back

hf restore --undo --yes
says 'a server is running there \(process [0-9]+\): stop it first' "an undo while the server runs is refused"
is "$(pg_psql shop "$balanced")" t "and it still runs"
pg_psql shop 'CREATE TABLE since (a int)'
pg_stop fast
hf restore --undo --yes
exits 0 "undone with the server stopped"
says 'the data directory is what it was before: start the server' "says what is left to do"
ok "the damaged data directory is back" test -e "$data/PG_VERSION" -a ! -e "$data/base"
is "$(find "$work/space" -mindepth 1 -maxdepth 1 -name 'PG_*' | wc -l)" 2 "what was in the tablespace, too"
hf restore --undo --yes
exits 0 "the undo is undone"
pg_again
is "$(pg_psql shop "$balanced")" t "the server starts on what was restored"
is "$(pg_psql shop "SELECT to_regclass('since') IS NOT NULL")" t "with what it wrote since"
is "$(pg_psql shop "SELECT count(*) FROM placed")" 5000 "and with its tablespace"
must restore --forget-undo last
is "$(find "$pg_dir" "$work/space" -maxdepth 1 -name '*.before-*' | wc -l)" 0 "forgotten: what was kept is gone"
plain=$M

sed "s|^plugin = postgres|&\nuser = postgres\ndata-directory = $pg_dir/other|" "$M" >"$R/other.ini"
M=$R/other.ini
hf restore latest pg --in-place --yes
says "$data: a server is running there" "elsewhere, but with the tablespaces of a server that runs: refused"
pg_stop fast
mv "$work/space" "$work/space.old"
install -d -o postgres -g postgres -m 711 "$work/space"
hf restore latest pg --in-place --yes
exits 0 "to another data directory, as the account of the server"
is "$(stat -c '%a %U' "$pg_dir/other" "$pg_dir/other/PG_VERSION" | tr '\n' ' ')" '700 postgres 600 postgres ' "which is its own"
check_copy "$pg_dir/other" "restored elsewhere" "$work/space"
rm -rf "$pg_dir/other" "$work/space"
mv "$work/space.old" "$work/space"
pg_again

# ---- disk full

mkdir "$work/full"
mount -t tmpfs -o size=16m,mode=700 tmpfs "$work/full" && mounts+=("$work/full")
hf restore latest pg --to "$work/full/r"
[ $rc -ne 0 ]
result $? "disk full at a restore" || show_last
says 'No space left' "is said"
ok "no data directory that looks whole" test ! -e "$work/full/r/pg/data"

# ---- refused

# fails NAME REGEX LINE...: in one run with a source that is well, a source of these lines fails with this one message.
n_fails=0
fails() {
  local name=$1 regex=$2
  shift 2
  n_fails=$((n_fails + 1))
  { source_lines bad "$@"; printf '\n[source good]\nplugin = example\n'; } >"$work/lines"
  new_repo "fails$n_fails" <"$work/lines"
  must init
  hf backup
  exits 3 "$name: exit code 3"
  says "bad.*$regex" "$name: the message"
  is "$(grep -cE "$regex" "$work/err")" 1 "$name: comes once"
  hf ls latest good
  says greetings "$name: the other source is committed"
}

fails "a role that may not" 'must be superuser or replication role' "host = $sock" 'username = plain'
fails "pg_hba.conf says no" 'pg_hba.conf rejects replication connection' "host = $sock" 'username = rep'
fails "a rate that the server does not take" 'max-rate = 1K: 32K to 1G' "host = $sock" 'max-rate = 1K'
fails "no server" 'port 1\b.*failed' 'host = 127.0.0.1' 'port = 1'

# proxied HOW ARGUMENT...: $proxy is a socket folder of a proxy before the server.
n_proxies=0
proxied() {
  n_proxies=$((n_proxies + 1))
  proxy=$work/proxy$n_proxies
  mkdir "$proxy"
  python3 "$here/proxy_postgres.py" "$proxy/.s.PGSQL.$port" "$sock/.s.PGSQL.$port" "$@" >"$proxy/out" 2>"$proxy/err" &
  jobs_started+=("$!")
  wait_for grep -q ready "$proxy/out"
}
idle() { gives postgres "SELECT NOT EXISTS (SELECT FROM pg_stat_progress_basebackup) AND NOT EXISTS (SELECT FROM pg_replication_slots)"; }

proxied cut 5000000
fails "a connection that is cut" 'connection (was lost|.*closed)' "host = $proxy"
ok "and the server's side of it ends" wait_for idle
proxied replace '"Path": "PG_VERSION", "Size": 3' '"Path": "PG_VERSION", "Size": 4'
fails "a manifest with another size" 'PG_VERSION: has 3 bytes in the backup and 4' "host = $proxy"
proxied replace 'GMT", "Checksum-Algorithm"' 'GMt", "Checksum-Algorithm"'
fails "a manifest with one changed byte" 'backup_manifest: .*checksum does not match' "host = $proxy"
proxied replace '# PostgreSQL configuration file' '# PostgreSQL configuration fill'
fails "a file with one changed byte" 'postgresql.conf: its checksum' "host = $proxy"
fails "the same with SHA-256" 'postgresql.conf: its checksum' "host = $proxy" 'manifest-checksums = sha256'

# ---- a run that is stopped

source_lines pg "host = $sock" 'max-rate = 1M' >"$work/lines"
new_repo slow <"$work/lines"
must init
"$HOLDFAST" -c "$M" backup >"$work/out" 2>"$work/err" </dev/null &
slow=$!
jobs_started+=("$slow")
streaming="EXISTS (SELECT FROM pg_stat_progress_basebackup WHERE phase = 'streaming database files')"
ok "a backup under way" wait_for gives postgres "SELECT $streaming AND EXISTS (SELECT FROM pg_replication_slots WHERE temporary)"
kill -TERM "$slow"
wait "$slow" 2>/dev/null
ok "is stopped: the server ends it and drops the slot" wait_for idle

# ---- a damaged page

pg_psql shop 'CHECKPOINT'
file=$data/$(pg_psql shop "SELECT pg_relation_filepath('pgbench_accounts')")
cp -a "$file" "$work/accounts"
printf 'damaged' | dd of="$file" bs=1 seek=81000 conv=notrunc 2>/dev/null
M=$plain
hf backup
exits 3 "the server's own files are damaged"
says 'damaged pages.*checksum verification failed in file' "is said"
cp "$work/accounts" "$file"
hf restore latest pg --to "$work/damaged"
exits 0 "what there is is in the snapshot"
rm -rf "$work/damaged"

# ---- a standby as the source

hf backup
hf restore latest pg --to "$work/standby"
chmod 711 "$work/standby" "$work/standby/pg"
primary_sock=$pg_dir
mv "$work/standby/pg/data" "$work/standby/data"
as_postgres touch "$work/standby/data/standby.signal"
mkdir "$work/second"
chown postgres "$work/second"
second_port=$(pg_free_port)
printf '%s\n' "port = $second_port" "unix_socket_directories = '$work/second'" "listen_addresses = ''" \
  "primary_conninfo = 'host=$primary_sock port=$port user=pgadm'" >>"$work/standby/data/postgresql.conf"
(cd / && as_postgres "$pg_bin/pg_ctl" -D "$work/standby/data" -l "$work/second/log" -w -s start) >"$work/pg_ctl.out" 2>&1 || diag "$work/second/log"
source_lines pg "host = $work/second" "port = $second_port" 'slot = no' >"$work/lines"
new_repo standby <"$work/lines"
must init
hf backup
exits 0 "a standby as the source"
hf drill
exits 0 "and its backup is good"
says 'started on it and recovered' "as a server of its own"
(cd / && as_postgres "$pg_bin/pg_ctl" -D "$work/standby/data" -w -s -m immediate stop) >/dev/null 2>&1

# ---- no room for replication

pg_stop immediate
pg_start tight 'max_replication_slots = 0' 'max_wal_senders = 1'
sock=$pg_dir port=$pg_port
fails "no replication slots" 'replication slot refused.*max_replication_slots' "host = $sock"
"$pg_bin/pg_receivewal" -h "$sock" -p "$port" -U pgadm -D "$work" --no-loop >"$work/receivewal.out" 2>&1 &
jobs_started+=("$!")
wait_for gives postgres 'SELECT count(*) = 1 FROM pg_stat_replication'
fails "all WAL senders taken" 'exceeds max_wal_senders' "host = $sock" 'slot = no'
done_testing
