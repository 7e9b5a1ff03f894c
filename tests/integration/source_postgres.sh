#!/bin/bash
# source_postgres.sh - the postgres source, mode = logical, with a real server: dumps under load, restore, rehearsal, and all that may go wrong.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034 # variables of lib.sh
. "${SRCDIR:?}/tests/integration/lib.sh"
# shellcheck source=server_postgres.sh
. "${SRCDIR:?}/tests/integration/server_postgres.sh"
need python3 setpriv
: "${BUILDDIR:?the folder of the build}"

make_key key 'Recipient <recipient@example.com>'
pg_start server
pg_psql postgres "CREATE ROLE app LOGIN PASSWORD 'app-secret-4711'; CREATE ROLE reader; GRANT reader TO app"
pg_psql postgres "CREATE DATABASE shop OWNER app" && pg_psql postgres 'CREATE DATABASE "we ird.db"' && pg_psql postgres "CREATE DATABASE small"
as_postgres "$pg_bin/pgbench" -h "$pg_dir" -p "$pg_port" -U pgadm -i -q -s 1 shop >"$work/pgbench.out" 2>&1
pg_psql shop "GRANT SELECT ON pgbench_accounts TO reader; CREATE SCHEMA more; CREATE TABLE more.t (a int PRIMARY KEY, b text); INSERT INTO more.t SELECT i, repeat('x', i) FROM generate_series(1, 100) i;
  ALTER DATABASE shop SET work_mem = '7MB'; ALTER DATABASE shop SET search_path = more, public; GRANT CONNECT ON DATABASE shop TO reader; REVOKE TEMPORARY ON DATABASE shop FROM PUBLIC;
  ALTER TABLE more.t OWNER TO app; COMMENT ON DATABASE shop IS 'the shop''s'; SELECT lo_from_bytea(0, 'a large object')" >/dev/null
pg_psql 'we ird.db' 'CREATE TABLE "odd ""table" ("a b" int); INSERT INTO "odd ""table" VALUES (1), (2)'
pg_psql small 'CREATE TABLE one (a int); INSERT INTO one VALUES (1)'

# source_lines MORE...: the source with what all tests share.
source_lines() { printf '%s\n' '[source pg]' 'plugin = postgres' 'host = 127.0.0.1' "port = $pg_port" 'username = pgadm' 'password = pw' "$@"; }
# with LINE...: $M with more lines in the source.
with() {
  M=$R/with.ini
  awk -v more="$(printf '%s\n' "$@")" '{ print } /^plugin = postgres/ { print more }' "$R/m.ini" >"$M"
  chmod 600 "$M"
}
plain() { M=$R/m.ini; }
balanced='SELECT (SELECT sum(abalance) FROM public.pgbench_accounts) = (SELECT sum(tbalance) FROM public.pgbench_tellers) AND (SELECT sum(bbalance) FROM public.pgbench_branches) = (SELECT sum(tbalance) FROM public.pgbench_tellers) AND (SELECT sum(delta) FROM public.pgbench_history) = (SELECT sum(tbalance) FROM public.pgbench_tellers)'

# ---- the contract

so=${HOLDFAST_PLUGIN_PATH%%:*}/postgres.so
"$BUILDDIR/holdfast-source-conformance" "$so" host="$pg_dir" port="$pg_port" username=pgadm database=small row-counts=yes >"$work/out" 2>"$work/err"
rc=$? last=holdfast-source-conformance
exits 0 "the conformance program finds nothing"
grep '^not ok\|^# ' "$work/out" | head -n 20

# ---- backup while writers write

source_lines 'exclude-database = small' 'row-counts = yes' "assert = shop: $balanced" 'assert = shop: SELECT count(*) = 100 FROM more.t' >"$work/lines"
new_repo main <"$work/lines"
chmod 600 "$M"
must init
hf check
exits 0 "check"
says 'PostgreSQL 1[0-9].* would dump 3 databases and the roles' "says what would be dumped"
says_not 'password|pw' "and no secret"
as_postgres "$pg_bin/pgbench" -h "$pg_dir" -p "$pg_port" -U pgadm -n -c 4 -T 600 shop >"$work/pgbench.out" 2>&1 &
pgbench=$!
jobs_started+=("$pgbench")
history() { pg_psql shop 'SELECT count(*) FROM public.pgbench_history'; }
# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
  local until=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $until ] || return 1
    sleep 0.05
  done
}
some_history() { [ "$(history)" -gt "$1" ]; }
wait_for 20 some_history 0
before=$(history)
must backup
after=$(history)
ok "pgbench wrote while the backup ran ($before to $after transactions)" test "$after" -gt "$before"
hf ls latest pg
says 'shop\.dump' "a stream for a database"
says 'we_ird_db\.[0-9]+\.dump' "one for a database with a name that no stream may have"
says 'globals\.sql' "and one for roles"
says_not 'small' "but none for one that is excluded"
hf restore latest pg --to "$work/to"
exits 0 "restore to a folder"
dump=$work/to/pg/shop.dump
ok "a dump is a pg_dump archive" eval '"$pg_bin/pg_restore" -l "$dump" | grep -q "TABLE DATA public pgbench_accounts"'
ok "which is not compressed" eval '"$pg_bin/pg_restore" -l "$dump" | grep -Eqi "compression: (none|0)"'
ok "the roles are there with their passwords" grep -q "CREATE ROLE app" "$work/to/pg/globals.sql"
recover latest "$work/recovered" pg
exits 0 "recover.sh gets it back without holdfast"
ok "the same" cmp "$dump" "$work/recovered/pg/shop.dump"
hf drill
exits 0 "a rehearsal restores all of it into a temporary server"
says 'passed.*3 dumps restored into a temporary PostgreSQL.*amcheck.*2 assertions hold' "and says what it looked at"
is "$(find "$work/tmp" -mindepth 1 | wc -l)" 0 "and leaves nothing behind"
history_at_backup=$("$pg_bin/pg_restore" --data-only --table=pgbench_history -f - "$dump" | grep -c '^[0-9]')

# ---- rehearsals that must fail

with "assert = shop: SELECT false"
hf drill
exits 1 "an assertion that does not hold"
says 'failed.*assert = shop: SELECT false: it gave f' "is named"
with "assert = nowhere: SELECT true"
hf drill
says 'nowhere' "one about a database that is not there"
with "assert = shop: SELECT * FROM gone"
hf drill
says 'assert = shop.*relation "gone" does not exist' "one that is wrong"
plain
if [ "$(id -u)" -eq 0 ]; then
  with 'server-user = nobody-here'
  hf drill
  exits 1 "no account for the temporary server"
  says 'server-user = nobody-here: there is no such account' "and the message says so"
  plain
fi

done_testing
