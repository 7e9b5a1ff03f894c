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
secret=the-secret-4711
pg_start server
pg_psql postgres "ALTER ROLE pgadm PASSWORD '$secret'; CREATE ROLE lone CONNECTION LIMIT 7; COMMENT ON ROLE lone IS 'it''s; lonely'"
pg_psql postgres "CREATE ROLE app LOGIN PASSWORD 'app-secret-4711'; CREATE ROLE reader; GRANT reader TO app"
pg_psql postgres "CREATE DATABASE shop OWNER app" && pg_psql postgres 'CREATE DATABASE "we ird.db"' && pg_psql postgres "CREATE DATABASE small"
as_postgres "$pg_bin/pgbench" -h "$pg_dir" -p "$pg_port" -U pgadm -i -q -s 1 shop >"$work/pgbench.out" 2>&1
pg_psql shop "GRANT SELECT ON pgbench_accounts TO reader; CREATE SCHEMA more; CREATE TABLE more.t (a int PRIMARY KEY, b text); INSERT INTO more.t SELECT i, repeat('x', i) FROM generate_series(1, 100) i;
  ALTER DATABASE shop SET work_mem = '7MB'; ALTER DATABASE shop SET search_path = more, public; GRANT CONNECT ON DATABASE shop TO reader; REVOKE TEMPORARY ON DATABASE shop FROM PUBLIC;
  ALTER TABLE more.t OWNER TO app; COMMENT ON DATABASE shop IS 'the shop''s'; SELECT lo_from_bytea(0, 'a large object')" >/dev/null
pg_psql 'we ird.db' 'CREATE TABLE "odd ""table" ("a b" int); INSERT INTO "odd ""table" VALUES (1), (2)'
pg_psql small 'CREATE TABLE one (a int); INSERT INTO one VALUES (1)'

# source_lines MORE...: the source with what all tests share.
source_lines() { printf '%s\n' '[source pg]' 'plugin = postgres' 'host = 127.0.0.1' "port = $pg_port" 'username = pgadm' "password = $secret" "$@"; }
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

# ---- rehearsals that must fail

source_lines 'database = small' 'globals = no' 'row-counts = yes' >"$work/lines"
new_repo little <"$work/lines"
chmod 600 "$M"
must init
must backup
hf drill
exits 0 "a rehearsal without roles"

with "assert = small: SELECT false"
hf drill
exits 1 "an assertion that does not hold"
says 'failed.*assert = small: SELECT false: it gave f' "is named"
with "assert = nowhere: SELECT true"
hf drill
says 'nowhere' "one about a database that is not there"
with "assert = small: SELECT * FROM gone"
hf drill
says 'assert = small.*relation "gone" does not exist' "one that is wrong"
plain
if [ "$(id -u)" -eq 0 ]; then
  with 'server-user = nobody-here'
  hf drill
  exits 1 "no account for the temporary server"
  says 'server-user = nobody-here: there is no such account' "and the message says so"
fi

# The real programs, but for a pg_restore that spoils what it has restored.
spoil=$work/spoil
mkdir "$spoil"
ln -s "$pg_bin"/* "$spoil/"
rm "$spoil/pg_restore"
cat >"$spoil/pg_restore" <<EOF
#!/bin/bash
"$pg_bin/pg_restore" "\$@" || exit
for a in "\$@"; do case \$a in --host=*) host=\${a#--host=} ;; esac; done
[ -z "\${host:-}" ] || "$pg_bin/psql" -Xq -v ON_ERROR_STOP=1 -h "\$host" -p 5432 -U pgadm -d small -f "$work/spoil.sql"
EOF
chmod +x "$spoil/pg_restore"
with "bin-dir = $spoil"
echo 'INSERT INTO one VALUES (2)' >"$work/spoil.sql"
hf drill
exits 1 "a table with another number of rows than at the backup"
says 'database small: the table public\.one has 2 rows; it had 1 at the backup' "is named"
echo 'DROP TABLE one' >"$work/spoil.sql"
hf drill
says 'database small: the table public\.one is not there; it had 1 rows at the backup' "so is one that is gone"
cat >"$work/spoil.sql" <<'EOF'
CREATE TABLE two AS SELECT generate_series(1, 100) AS a;
CREATE INDEX up ON two (a);
CREATE INDEX down ON two (a DESC);
SET allow_system_table_mods = on;
UPDATE pg_class c SET relfilenode = (SELECT relfilenode FROM pg_class o WHERE o.relname = 'down') WHERE relname = 'up';
EOF
hf drill
says 'database small is damaged: item order invariant violated for index "up"' "and an index whose entries are in disorder"

# ---- backup while writers write

source_lines 'exclude-database = small' 'row-counts = yes' "assert = shop: $balanced" 'assert = shop: SELECT count(*) = 100 FROM t' >"$work/lines"
new_repo main <"$work/lines"
chmod 600 "$M"
must init
hf check
exits 0 "check"
says 'PostgreSQL 1[0-9].* would dump 3 databases and the roles' "says what would be dumped"
as_postgres "$pg_bin/pgbench" -h "$pg_dir" -p "$pg_port" -U pgadm -n -c 4 -R 100 -T 600 shop >"$work/pgbench.out" 2>&1 &
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
seq=$(sed -n 's/^snapshot \([0-9]*\) .*/\1/p' "$work/out")
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

# ---- restore in place

shop=(restore latest pg --in-place --yes --path shop.dump)
kept() { pg_psql postgres "SELECT datname FROM pg_database WHERE datname LIKE '$1\_before\_%'"; }
unfinished() { pg_psql postgres "SELECT datname FROM pg_database WHERE datname LIKE '%\_restoring'"; }
hf "${shop[@]}"
exits 1 "a database that is not empty is not restored over"
says 'shop: there is a database of this name that is not empty: set replace = yes' "and the message says what would be right"
with 'replace = yes'
hf "${shop[@]}"
exits 1 "nor one that is in use"
says 'database shop is in use by [0-9]+ session\(s\), of pgbench for one: stop what uses it, or set disconnect = yes' "and the message says by whom"
is "$(unfinished)" "" "nothing is left behind"
ok "pgbench has not noticed" kill -0 "$pgbench"
with 'replace = yes' 'disconnect = yes'
hf "${shop[@]}"
exits 0 "unless it is asked for"
wait "$pgbench"
says 'what it was before is kept as database shop_before_' "the old database is kept, and the message says as what"
says_not "$secret" "no secret in what is said"
old=$(kept shop)
ok "it is there" test -n "$old"
is "$(history)" "$history_at_backup" "the restored one has what was in the dump"
is "$(pg_psql shop "$balanced")" t "and its books are balanced"
ok "the old one has more" test "$(pg_psql "$old" 'SELECT count(*) FROM public.pgbench_history')" -ge "$after"
is "$(pg_psql shop 'SELECT sum(a), max(length(b)) FROM more.t')" "5050|100" "a table in another schema"
is "$(pg_psql shop "SELECT convert_from(lo_get(oid), 'UTF8') FROM pg_largeobject_metadata")" "a large object" "a large object"
is "$(pg_psql shop "SELECT tableowner FROM pg_tables WHERE tablename = 't'")" app "owners"
like="SELECT pg_get_userbyid(datdba), shobj_description(oid, 'pg_database'), has_database_privilege('reader', oid, 'CONNECT'), datacl::text LIKE '%=c/app%', (SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = d.oid) FROM pg_database d WHERE datname ="
is "$(pg_psql postgres "$like 'shop'")" "$(pg_psql postgres "$like '$old'")" "owner, comment, rights and settings of the database"
ok "statistics are there" test "$(pg_psql shop "SELECT count(*) FROM pg_stats WHERE tablename = 'pgbench_accounts'")" -gt 0
pg_psql postgres "DROP DATABASE \"$old\""

pg_psql postgres 'DROP DATABASE shop' && pg_psql postgres 'DROP DATABASE "we ird.db"' && pg_psql postgres 'DROP ROLE lone; ALTER ROLE reader CONNECTION LIMIT 3'
plain
hf restore latest pg --in-place --yes
exits 0 "everything, of databases and roles that are gone or not"
is "$(history)" "$history_at_backup" "a database that was dropped is back"
is "$(pg_psql 'we ird.db' 'SELECT sum("a b") FROM "odd ""table"')" 3 "one with an odd name too"
is "$(pg_psql postgres "SELECT rolconnlimit, shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = 'lone'")" "7|it's; lonely" "a role that was dropped"
is "$(pg_psql postgres "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'reader'")" 3 "a role that is there is left as it is"
is "$(kept postgres)$(unfinished)" "" "nothing is left of databases that were empty"

with 'restore-database = copy' 'restore-owner = no'
hf restore latest pg --in-place --yes
exits 1 "one name for several databases is refused"
says 'restore-database = copy is one name, and several databases are to be restored: choose one with --path' "and the message says why"
hf "${shop[@]}"
exits 0 "one under another name"
is "$(pg_psql copy "$balanced")" t "is there"
is "$(pg_psql copy "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('public', 'more')")" pgadm "and belongs to the role that restored it, when owners are not wanted"
is "$(history)" "$history_at_backup" "the original is untouched"
pg_psql postgres 'CREATE DATABASE waiting'
with 'restore-database = waiting'
hf "${shop[@]}"
exits 0 "into an empty database"
is "$(pg_psql waiting "$balanced")$(kept waiting)" t "which need not be kept"
plain

# ---- a program that stops in the middle: the real one, whose data flows when the test says so

slow=$work/slow
mkdir "$slow"
ln -s "$pg_bin"/* "$slow/"
rm "$slow/pg_dump" "$slow/pg_restore"
cat >"$slow/pg_dump" <<EOF
#!/bin/bash
[ "\$1" != --version ] || exec "$pg_bin/pg_dump" --version
set -o pipefail
"$pg_bin/pg_dump" "\$@" | { head -c 200000; touch "$work/half"; until [ -e "$work/go" ]; do sleep 0.02; done; cat; }
EOF
cat >"$slow/pg_restore" <<EOF
#!/bin/bash
[ "\$1" != --version ] || exec "$pg_bin/pg_restore" --version
echo \$\$ >"$work/half"
exec sleep 600
EOF
chmod +x "$slow/pg_dump" "$slow/pg_restore"

# Another source in the same run has to get through whatever happens to this one.
mkdir "$work/files"
echo good >"$work/files/file"
printf '\n[source files]\nplugin = files\npath = %s\n' "$work/files" >>"$R/m.ini"
# fails_alone REGEX NAME: the last backup failed in pg alone, and says so.
fails_alone() {
  exits 3 "$2: exit code 3"
  says "$1" "$2: says what is wrong"
  hf ls latest files
  says 'file' "$2: the other source is committed"
}
# begin_slowly: a backup of shop alone in the background, now in the middle of the dump.
begin_slowly() {
  rm -f "$work/half" "$work/go"
  with "bin-dir = $slow" 'database = shop' 'globals = no'
  sed -i '/^exclude-database/d; /^row-counts/d' "$M"
  "$HOLDFAST" -c "$M" backup >"$work/slow.out" 2>"$work/slow.err" </dev/null &
  backup=$!
  jobs_started+=("$backup")
  wait_for 20 test -e "$work/half" || echo "# it did not begin"
}
end_slowly() {
  touch "$work/go"
  wait "$backup"
  rc=$? last='backup in the background'
  cp "$work/slow.out" "$work/out"
  cp "$work/slow.err" "$work/err"
}

begin_slowly
for f in /proc/[0-9]*/cmdline; do tr '\0' ' ' <"$f"; done >"$work/cmdlines" 2>/dev/null
ok "pg_dump is told what it needs on its command line" grep -q -e "--snapshot=.*--dbname=.*dbname='shop'" "$work/cmdlines"
is "$(grep -c "$secret" "$work/cmdlines")" 0 "but not the password"
pg_psql postgres 'DROP DATABASE shop WITH (FORCE)'
end_slowly
fails_alone 'shop: pg_dump: error: .*(terminating connection|closed the connection)' "a database dropped while it is dumped"
pg_psql postgres 'CREATE DATABASE shop TEMPLATE copy'
begin_slowly
pg_stop immediate
end_slowly
fails_alone 'database shop: pg_dump: error: ' "a server that crashes while it is dumped"
plain
hf backup
fails_alone 'port .* failed: Connection refused' "a server that is not there"
pg_again

# ---- settings that do not fit

trouble() {
  local regex=$1 name=$2
  shift 2
  with "$@"
  hf backup
  fails_alone "$regex" "$name"
  plain
}
sed "s/$secret/wrong-secret/" "$R/m.ini" >"$R/wrong.ini"
chmod 600 "$R/wrong.ini"
M=$R/wrong.ini
hf backup
says_not 'wrong-secret' "a wrong password is not shown"
fails_alone 'password authentication failed for user "pgadm"' "a wrong password"
sed "/^password/d" "$R/m.ini" >"$R/wrong.ini"
hf backup
fails_alone 'no password supplied \(password, passfile or service gives one\)' "no password"
trouble 'database = shoop: the server has no such database' "no such database" 'database = shoop'
with 'database = shoop' 'ignore-missing = yes'
hf backup
exits 0 "unless that is all right"
trouble 'libpq has no such keyword' "a parameter there is not" 'connection = sslmodus=require'
trouble 'sslpassword=...: a secret does not belong here' "a secret in the wrong place" 'connection = sslpassword=x'
trouble 'connection = host=...: there is a setting for that: host' "a parameter that is a setting" 'connection = host=elsewhere'
trouble 'server does not support SSL' "a parameter that asks too much" 'connection = sslmode=require'
trouble 'assert = true: not of the form DATABASE: QUERY' "an assertion of no database" 'assert = true'
mkdir "$work/old"
printf '#!/bin/sh\necho "pg_dump (PostgreSQL) 12.9"\n' >"$work/old/pg_dump"
chmod +x "$work/old/pg_dump"
trouble 'old/pg_dump is of PostgreSQL 12, and the server or the data of 1[0-9]: pg_dump 1[0-9] or later is needed' "a pg_dump older than the server" "bin-dir = $work/old"
trouble 'bin-dir = .*files: there is no program pg_dump' "no pg_dump in bin-dir" "bin-dir = $work/files"
"$pg_bin/psql" -Xq -h "$pg_dir" -p "$pg_port" -U pgadm -d copy >/dev/null 2>&1 <<<"BEGIN; LOCK TABLE more.t;
\\! touch $work/locked; while [ ! -e $work/unlock ]; do sleep 0.02; done" &
jobs_started+=($!)
wait_for 10 test -e "$work/locked"
trouble 'copy: pg_dump: error: .*timeout \(LOCK TABLE more\.t' "a table that is locked for too long" 'database = copy' 'lock-timeout = 1s'
touch "$work/unlock"

# ---- other ways to say who one is

printf '127.0.0.1:%s:*:pgadm:%s\n' "$pg_port" "$secret" >"$work/passfile"
chmod 644 "$work/passfile"
sed "s|^password.*|passfile = $work/passfile|" "$R/m.ini" >"$R/passfile.ini"
M=$R/passfile.ini
hf backup
fails_alone 'passfile = .*: it has to be a file closed to group and others: chmod 600' "a password file that everybody can read"
chmod 600 "$work/passfile"
hf backup
exits 0 "a password file"
printf '[ours]\nhost=127.0.0.1\nport=%s\nuser=pgadm\npassword=%s\n' "$pg_port" "$secret" >"$work/services"
sed '/^host = 127/d; /^port/d; /^username/d; s/^password.*/service = ours/' "$R/m.ini" >"$R/service.ini"
M=$R/service.ini
PGSERVICEFILE=$work/services hf backup
exits 0 "a service"
sed "s/^username.*/username = app/; s/$secret/app-secret-4711/" "$R/m.ini" >"$R/app.ini"
chmod 600 "$R/app.ini"
M=$R/app.ini
hf check
says 'app is no superuser and cannot read the passwords of roles: set role-passwords = no' "a role that cannot read what is wanted is told beforehand"
plain

# ---- restores that fail

shop_oid() { pg_psql postgres "SELECT oid FROM pg_database WHERE datname = 'shop'"; }
first=("${shop[@]/latest/$seq}")
oid=$(shop_oid)
with "bin-dir = $slow" 'replace = yes'
rm -f "$work/half"
"$HOLDFAST" -c "$M" "${first[@]}" >/dev/null 2>&1 </dev/null &
restore=$!
jobs_started+=("$restore")
wait_for 20 test -s "$work/half"
kill -9 "$restore"
child_gone() { ! kill -0 "$(cat "$work/half")"; }
ok "a restore that is killed ends pg_restore too" wait_for 20 child_gone
is "$(unfinished)" shop_restoring "it leaves the database that it had begun"
is "$(shop_oid)" "$oid" "and the one in use as it was"
with 'replace = yes'
hf "${first[@]}"
exits 0 "the next restore"
says 'removing shop_restoring, which an earlier restore left unfinished' "removes that"
is "$(unfinished)$(pg_psql shop "$balanced")" t "and gets through"
pg_psql postgres 'CREATE DATABASE copy_restoring'
with 'restore-database = copy' 'replace = yes'
hf "${first[@]}"
says 'copy_restoring: there is a database of this name already, and it is not holdfast' "but no database that is not its own"
ok "which it leaves alone" pg_psql postgres 'DROP DATABASE copy_restoring'
mkdir "$work/tight"
if [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o size=40m,mode=700 tmpfs "$work/tight" 2>/dev/null; then
  mounts+=("$work/tight")
  chown postgres "$work/tight"
  pg_psql postgres "CREATE TABLESPACE tight LOCATION '$work/tight'" && pg_psql postgres "CREATE DATABASE tight TEMPLATE copy TABLESPACE tight"
  with 'database = tight' 'globals = no'
  must backup pg
  pg_psql postgres CHECKPOINT # or the server itself could not drop anything for want of space
  head -c 100m /dev/zero >"$work/tight/full" 2>/dev/null
  truncate -s "$(($(stat -c %s "$work/tight/full") - 11000000))" "$work/tight/full"
  with 'restore-database = tight2'
  hf restore latest pg --in-place --yes --path tight.dump
  exits 1 "a disk that is full"
  says 'database tight2: pg_restore: error: .*(No space left on device|wrote only)' "and the message says so"
  is "$(pg_psql postgres "SELECT datname FROM pg_database WHERE datname LIKE 'tight2%'")" "" "nothing of it is left"
  rm "$work/tight/full"
  pg_psql postgres 'DROP DATABASE tight' && pg_psql postgres 'DROP TABLESPACE tight'
else
  echo "# no tmpfs can be mounted here: a full disk is not tried"
fi
oid=$(shop_oid)
find "$T/packs" -type f -size +20k -delete
with 'replace = yes'
hf "${first[@]}"
ok "a dump that is damaged in the repository" test "$rc" -ne 0
is "$(shop_oid)$(unfinished)" "$oid" "replaces nothing"

done_testing
