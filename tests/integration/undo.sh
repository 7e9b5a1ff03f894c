#!/bin/bash
# undo.sh - an application that runs is restored in place and put back as it was, and forth again: files, SQLite, nginx, Redis, PostgreSQL, a command; with what is asked before, and what is kept after.
# SPDX-License-Identifier: Apache-2.0
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2034,SC2154 # variables of lib.sh
. "${SRCDIR:?the folder of the sources}/tests/integration/lib.sh"
# shellcheck source=server_redis.sh
. "$here/server_redis.sh"
# shellcheck source=server_nginx.sh
. "$here/server_nginx.sh"
# shellcheck source=server_postgres.sh
. "$here/server_postgres.sh"
need python3 sqlite3 redis-server redis-cli nginx curl openssl pgrep
trap 'redis_stop_all; cleanup' EXIT

make_key key 'Undo <undo@example.com>'
app=$work/app
mkdir -p "$app/files/sub" "$app/loaded"
web=$work/web
nginx_site "$web"
nginx_start "$web"
cache=$work/cache
redis_start "$cache" 'save 3600 1'
pg_start server
pg_psql postgres 'CREATE DATABASE shop'

# state N: the application as it is at time N. All of it runs.
state() {
  rm -rf "$app/files/sub" "$app/files/only"*
  mkdir "$app/files/sub"
  echo "one $1" >"$app/files/one"
  echo "sub $1" >"$app/files/sub/file"
  head -c 700000 /dev/zero | tr '\0' "$1" >"$app/files/large"
  ln -sfn "target $1" "$app/files/link"
  echo "only at $1" >"$app/files/only$1"
  mkdir "$app/files/sub/folder$1"
  echo x >"$app/files/sub/folder$1/x"
  chmod "70$1" "$app/files/sub"
  sqlite3 "$app/jobs.db" "PRAGMA journal_mode = wal; CREATE TABLE IF NOT EXISTS t (n); DELETE FROM t; INSERT INTO t VALUES ($1)" >/dev/null
  sed -i "s/X-Version .*/X-Version v$1;/" "$web/etc/nginx/sites-available/site"
  echo "# $1" >"$web/etc/nginx/sites-enabled/only$1"
  [ "$1" = 1 ] || rm -f "$web/etc/nginx/sites-enabled/only1"
  [ "$1" = 2 ] || rm -f "$web/etc/nginx/sites-enabled/only2"
  /usr/sbin/nginx -c "$web/etc/nginx/nginx.conf" -e "$web/error.log" -s reload
  redis_at "$cache" set version "$1" >/dev/null
  redis_at "$cache" save >/dev/null
  pg_psql shop "DROP TABLE IF EXISTS t; CREATE TABLE t AS SELECT $1 AS n"
  echo "dump $1" >"$app/dump"
}

# is_state N NAME: is all of it as at N, and does it run so?
is_state() {
  local i seen
  for ((i = 0; i < 200; i++)); do
    seen=$(nginx_get "$web" x.txt | tr -d '\r' | sed -n 's/^X-Version: //p')
    [ "$seen" != "v$1" ] || break
    sleep 0.02
  done
  is "$seen" "v$1" "$2: nginx"
  is "$(cat "$app/files/one" "$app/files/sub/file" "$app/files/only"* "$app/files/sub/folder"*/x | tr '\n' ' ')" "one $1 sub $1 only at $1 x " "$2: files, and no others"
  is "$(tr -d "$1" <"$app/files/large" | wc -c) $(stat -c %s "$app/files/large") $(readlink "$app/files/link") $(stat -c %a "$app/files/sub")" "0 700000 target $1 70$1" "$2: a large file, a link, a mode"
  is "$(sqlite3 "$app/jobs.db" 'SELECT n FROM t; PRAGMA integrity_check')" "$1"$'\n'ok "$2: SQLite"
  is "$(ls "$web/etc/nginx/sites-enabled")" "$(printf 'only%s\nsite' "$1")" "$2: nginx has its files, and no others"
  is "$(redis_at "$cache" get version)" "$1" "$2: Redis"
  is "$(pg_psql shop 'SELECT n FROM t')" "$1" "$2: PostgreSQL"
  is "$(cat "$app/loaded/dump")" "dump $1" "$2: what a command takes"
}

cat >"$work/redis-stop" <<EOF
#!/bin/bash
redis-cli --no-auth-warning -a secret -s $cache/s shutdown nosave >/dev/null 2>&1
for ((i = 0; i < 500; i++)); do kill -0 "\$(cat $cache/pid)" 2>/dev/null || exit 0; sleep 0.02; done
exit 1
EOF
cat >"$work/redis-start" <<EOF
#!/bin/bash
setsid redis-server $cache/conf </dev/null >>$cache/out 2>&1 &
echo \$! >$cache/pid
for ((i = 0; i < 500; i++)); do redis-cli --no-auth-warning -a secret -s $cache/s ping 2>/dev/null | grep -q PONG && exit 0; sleep 0.02; done
exit 1
EOF
chmod 755 "$work/redis-stop" "$work/redis-start"
echo secret >"$work/redis.pw"
chmod 600 "$work/redis.pw"
new_repo repo 'rto = 1h' <<EOF
[source files]
plugin = files
path = $app/files
[source jobs]
plugin = sqlite
database = $app/jobs.db
[source web]
plugin = nginx
config = $web/etc/nginx/nginx.conf
safety = $work/nginx-safety
reload = yes
[source cache]
plugin = redis
socket = $cache/s
password-file = $work/redis.pw
restore-before = $work/redis-stop
restore-after = $work/redis-start
[source db]
plugin = postgres
host = $pg_dir
port = $pg_port
username = pgadm
database = shop
replace = yes
disconnect = yes
[source command]
plugin = exec
command = cat $app/dump
restore-command = dd of=$app/loaded/dump status=none
[contact second]
email = second@example.com
priority = 2
[contact first]
role = on call
phone = +1 555 0100
priority = 1
EOF
state 1
echo 'dump 1' >"$app/loaded/dump"
must init
must backup
state 2
# What the command has taken, and what it gives, are one: so is its safety copy.
cp "$app/dump" "$app/loaded/dump"

# ---- what is asked

hf restore latest --in-place
exits 2 "without a terminal and without --yes it is refused"
is_state 2 "refused"
# typed TEXT ARGUMENT...: holdfast at a terminal where somebody types that.
typed() {
  last="holdfast ${*:2}"
  python3 - "$1" "$HOLDFAST" -c "$M" "${@:2}" >"$work/out" 2>"$work/err" <<'PY'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
out, sent = b"", False
while True:
    try:
        more = os.read(fd, 65536)
    except OSError:
        break
    if not more:
        break
    out += more
    if not sent and b"type the host's name" in out:
        os.write(fd, sys.argv[1].encode() + b"\n")
        sent = True
sys.stdout.buffer.write(out.replace(b"\r\n", b"\n"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
  rc=$?
}
typed yes restore latest files --in-place
exits 1 "at a terminal, the wrong word"
says 'nothing was changed' "changes nothing"
says 'replaced by snapshot 2 of 20.*Z, .* old:$' "what would be replaced, and how old it is, is said before"
says "^  files \(files\), [0-9]+ files, .*: path = $app/files" "with paths and sizes"
says '^contacts first \(on call\), \+1 555 0100' "contacts are said, the first in their order"
says '^ +second, second@example.com' "before the second"
is "$(cat "$app/files/one")" 'one 2' "nothing was done"
hf restore --list-undo
says 'nothing that a restore in place has replaced is kept' "and nothing is kept"
typed testhost restore latest files --in-place --path "$app/files/one"
exits 0 "the host's name is the answer that is wanted"
is "$(cat "$app/files/one")" 'one 1' "and it is done"
typed testhost restore --undo
exits 0 "an undo asks the same"
is "$(cat "$app/files/one")" 'one 2' "and puts it back"

# ---- everything

hf --json restore latest --in-place --yes
exits 0 "everything in place, while all of it runs" || show_last
first=$(json 'd["undo"]')
is "$(json 'd["rto"], d["checked"] > 700000')" '(3600, True)' "files are read back, and the time is compared with rto"
# A restore in place removes nothing.
ok "files that the snapshot does not have stay" test -e "$app/files/only2"
is "$(redis_at "$cache" get version) $(pg_psql shop 'SELECT n FROM t') $(cat "$app/loaded/dump") $(sqlite3 "$app/jobs.db" 'SELECT n FROM t')" '1 1 dump 1 1' "the databases are those of the snapshot"
cp "$app/loaded/dump" "$app/dump"
hf restore --list-undo
says "^ *$first +20.*Z +restore of snapshot 2 +[0-9.]+ [KM]iB +can be undone +files, jobs, web, cache, db, command" "what can be undone is listed, with its size"
hf restore --undo --yes
exits 0 "one command undoes all of it" || show_last
cp "$app/loaded/dump" "$app/dump"
is_state 2 "undone"
hf restore --undo "$first" --yes
exits 2 "what was undone is not undone again"
says "$first has been undone already" "and that is said"
hf restore --undo last --yes
exits 0 "the undo is undone"
cp "$app/loaded/dump" "$app/dump"
is "$(cat "$app/files/one") $(redis_at "$cache" get version) $(pg_psql shop 'SELECT n FROM t') $(cat "$app/loaded/dump") $(sqlite3 "$app/jobs.db" 'SELECT n FROM t')" 'one 1 1 1 dump 1 1' "and all is as the restore had left it"
ok "with the files that were new then" test -e "$app/files/only1" -a -e "$web/etc/nginx/sites-enabled/only1"
hf restore --undo --yes
exits 0 "and once more"
cp "$app/loaded/dump" "$app/dump"
is_state 2 "undone again"

# ---- where nothing was

rm -r "${app:?}/files" "${app:?}/jobs.db"*
pg_psql postgres 'DROP DATABASE shop'
hf restore latest files jobs db --in-place --yes
exits 0 "in place where nothing is left"
is "$(cat "$app/files/one")$(sqlite3 "$app/jobs.db" 'SELECT n FROM t')$(pg_psql shop 'SELECT n FROM t')" 'one 111' "all is back"
hf restore --undo --yes
exits 0 "undone"
ok "nothing is left again" test ! -e "$app/files" -a ! -e "$app/jobs.db"
is "$(pg_psql postgres "SELECT count(*) FROM pg_database WHERE datname = 'shop'")" 0 "nor is the database"
hf restore --undo --yes
exits 0 "and back again"
is "$(cat "$app/files/sub/file")$(stat -c %a "$app/files/sub")$(sqlite3 "$app/jobs.db" 'SELECT n FROM t')$(pg_psql shop 'SELECT n FROM t')" 'sub 170111' "with everything"

# ---- order, trouble

# number: that undoes the restore just made.
number() { sed -n 's/^to undo it: holdfast restore --undo //p' "$work/out"; }
echo 'one 3' >"$app/files/one"
must restore latest files --in-place --yes
lower=$(number)
must restore latest files --in-place --yes
upper=$(number)
hf restore --undo "$lower" --yes
exits 2 "one that another restore has replaced since is not undone"
says "source files was replaced again by $upper: undo that first" "and the message says what is to be done"
must restore --undo "$upper" --yes
hf restore --undo "$lower" --yes
exits 2 "nor before the undo of the other is, which stands above it"
echo new >"$app/files/sub/folder1/new"
must restore --forget-undo last
hf restore --undo "$lower" --yes
exits 0 "with that forgotten it is"
is "$(cat "$app/files/one")" 'one 3' "and put back"
ok "what came since stays" test -e "$app/files/sub/folder1/new"
exec 9>"$R/state/safety/lock"
flock 9
hf restore latest files --in-place --yes
exits 1 "two at once are not"
says 'another restore in place is at work' "and that is said"
exec 9>&-
sqlite3 "$app/jobs.db" 'UPDATE t SET n = 5'
must restore latest jobs --in-place --yes
exec 8<"$app/jobs.db"
hf restore --undo --yes
exits 1 "a database that a program has open is not put back"
says 'has it open: stop that program' "and the message says so"
exec 8<&-
kept=$(find "$app" -name 'jobs.db.before-restore-*' -newer "$app/files/one" | sort | tail -n 1)
mv "$kept" "$work/elsewhere"
hf restore --undo --yes
exits 1 "what was kept is gone"
says 'is not there any more' "and that is said"
mv "$work/elsewhere" "$kept"
hf restore --undo --yes
exits 0 "with it back again"
is "$(sqlite3 "$app/jobs.db" 'SELECT n FROM t')" 5 "it is put back"
printf '{' >"$R/state/safety/1/journal.json"
hf restore --list-undo
exits 3 "a damaged journal"
says 'safety/1/journal.json' "is named"
rm -r "${R:?}/state/safety/1"

# Killed on its way: what was replaced until then comes back.
cp "$M" "$work/before.ini"
sed -i "s|^path = $app/files|&\nrestore-after = sh -c 'kill -9 \$PPID'|" "$M"
echo 'one 4' >"$app/files/one"
rm -r "$app/files/sub"
hf restore latest files --in-place --yes
is "$rc $(cat "$app/files/one")" '137 one 1' "killed after it has replaced things"
cp "$work/before.ini" "$M"
hf restore --undo --yes
exits 0 "it is undone all the same"
is "$(cat "$app/files/one") $(find "$app/files/sub" 2>/dev/null)" 'one 4 ' "from its journal"

# ---- how long it is kept

# Days ago for all that is kept so far.
age() { find "$R/state/safety" -name journal.json -exec sed -i 's/"time": "20[0-9][0-9]/"time": "2001/' {} +; }
count() { find "$R/state/safety" -mindepth 1 -maxdepth 1 -type d | wc -l; }
hf restore --forget-undo 999
exits 2 "nothing of that number"
must restore latest files --in-place --yes
ok "some are kept" test "$(count)" -gt 3
last_of_them=$(number)
age
must restore latest files --in-place --yes
says "what the restore in place $last_of_them of 2001.* replaced is removed: it is older than safety-keep" "what is older than safety-keep goes, with a word"
is "$(count)" 1 "and nothing else"
is "$(pg_psql postgres "SELECT count(*) FROM pg_database WHERE datname LIKE 'shop\_before%'")" 0 "databases that were kept as well"
is "$(find "$work/nginx-safety" -mindepth 1)" '' "and copies, with their folders"
is "$(find "$app" "$cache/data" -name '*.before-*')" '' "and what was moved aside"
age
hf restore --undo --yes
exits 0 "the newest is there, however old"
sed -i 's/^rto = 1h$/safety-keep = 0/' "$M"
age
before=$(count)
must restore latest files --in-place --yes
is "$(count)" $((before + 1)) "safety-keep = 0 keeps all"
hf restore --undo --target disk
exits 2 "an option that does not go with it"

# ---- a stranger's machine: nothing of it is lost with a temporary folder

stranger
echo 'one 7' >"$app/files/one"
hf restore latest files --in-place --yes
exits 0 "on a machine without the host's state"
hf restore --undo --yes
exits 0 "it can be undone as well"
is "$(cat "$app/files/one")" 'one 7' "from what was kept in the state folder"

# ---- asked to stop

# nginx takes its time over the test of what has just been put in place.
here_ns=$(readlink /proc/self/ns/mnt)
cat >"$work/slow-nginx" <<EOF
#!/bin/sh
if [ -e $work/slow ] && [ "\$(readlink /proc/self/ns/mnt)" = "$here_ns" ]; then
  rm $work/slow
  sleep 2
fi
exec /usr/sbin/nginx "\$@"
EOF
chmod 755 "$work/slow-nginx"
sqlite3 "$work/large.db" 'CREATE TABLE t (n BLOB); INSERT INTO t VALUES (randomblob(30000000)), (randomblob(30000000))'
new_repo stopped <<EOF
[source web]
plugin = nginx
nginx = $work/slow-nginx
config = $web/etc/nginx/nginx.conf
safety = $work/stopped-safety
[source large]
plugin = sqlite
database = $work/large.db
EOF
state 1
must init
must backup
version() { sed -n 's/.*X-Version \(.*\);/\1/p' "$web/etc/nginx/sites-available/site"; }
sed -i 's/X-Version .*/X-Version v9;/' "$web/etc/nginx/sites-available/site"
touch "$work/slow"
last='restore, SIGTERM'
"$HOLDFAST" -c "$M" restore latest --in-place --yes >"$work/out" 2>"$work/err" </dev/null &
pid=$!
while [ -e "$work/slow" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
kill -TERM "$pid"
wait "$pid"
rc=$?
exits 143 "a restore that is asked to stop while a plugin replaces things"
is "$(version)" v1 "what has been begun comes to its end"
says 'web: what it has begun to replace comes to its end' "which it says"
is "$(find "$work/stopped-safety" -name '.incoming-*')" '' "keys that were to be put in place are not left lying about"
says_not 'large\.db.*is kept' "the next source is not begun with"
hf restore --undo --yes
exits 0 "it can be undone"
is "$(version)" v9 "and is"

# Before anything is replaced: at once, and with nothing left of what was to be put in place.
"$HOLDFAST" -c "$M" restore latest large --in-place --yes >"$work/out" 2>"$work/err" </dev/null &
pid=$!
while ! compgen -G "$work/.holdfast-restore-*" >/dev/null && kill -0 "$pid" 2>/dev/null; do sleep 0.002; done
kill -TERM "$pid"
wait "$pid"
rc=$?
exits 143 "a restore that is asked to stop while a database is written"
is "$(find "$work" -maxdepth 1 -name 'large.db?*' -o -maxdepth 1 -name '.holdfast-restore-*')" '' "leaves no copy beside it"
nginx_stop "$web"
done_testing
