#!/bin/bash
# source_redis.sh - the redis source against real servers: backup while writers write, rehearsal, restores of every kind, and trouble.
# SPDX-License-Identifier: Apache-2.0
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2034,SC2154,SC2016 # variables of lib.sh; eval
. "${SRCDIR:?the folder of the sources}/tests/integration/lib.sh"
# shellcheck source-path=SCRIPTDIR source=server_redis.sh
. "$SRCDIR/tests/integration/server_redis.sh"
: "${BUILDDIR:?the folder of the build}"
need redis-server redis-cli redis-check-rdb openssl python3
trap 'redis_stop_all; cleanup' EXIT

make_key key 'Redis <redis@example.com>'
mkdir "$work/files"
echo here >"$work/files/file"

# with_redis NAME LINE...: a repository with a source of files and a source "cache" of redis with these settings.
with_redis() {
  local name=$1
  shift
  new_repo "$name" < <(
    printf '[source files]\nplugin = files\npath = %s\n' "$work/files"
    printf '[source cache]\nplugin = redis\n'
    printf '%s\n' "$@"
  )
  chmod 600 "$M"
  must init
}

# settings LINE...: other settings for that source, in the same repository.
settings() {
  awk '/^\[source cache\]/ { print; print "plugin = redis"; skip = 1; next } /^\[/ { skip = 0 } !skip' "$M" >"$M.new"
  awk -v lines="$(printf '%s\n' "$@")" '{ print } /^plugin = redis$/ { print lines "\n" }' "$M.new" >"$M"
}

# trouble NAME REGEX LINE...: one more source with these settings, which is to fail with this message. run_troubles runs them all at once: each must fail,
# say its message once, and cost nothing but itself.
troubles=()
trouble() {
  local name=$1 n=$((${#troubles[@]} / 2))
  troubles+=("$1" "$2")
  shift 2
  printf '[source t%d]\nplugin = redis\n' "$n" >>"$work/troubles"
  printf '%s\n' "$@" >>"$work/troubles"
}
run_troubles() {
  local i statuses
  new_repo "${1:?}" < <(
    printf '[source files]\nplugin = files\npath = %s\n' "$work/files"
    cat "$work/troubles"
  )
  chmod 600 "$M"
  must init
  hf backup
  exits 3 "$1: done in part"
  cp "$work/err" "$work/troubles.err"
  hf --json list
  statuses=$(json '" ".join(s["name"] + "=" + s["status"] for s in d["sources"] if s["status"] != "failed")')
  statuses="$statuses $(json 'len([s for s in d["sources"] if s["status"] == "failed"])')"
  is "$statuses" "files=complete $((${#troubles[@]} / 2))" "$1: those in trouble are marked as failed, the other is there"
  for ((i = 0; i < ${#troubles[@]}; i += 2)); do
    grep -E "error: source t$((i / 2)):" "$work/troubles.err" >"$work/err"
    is "$(grep -cE "${troubles[i + 1]}" "$work/err") of $(wc -l <"$work/err")" '1 of 1' "$1: ${troubles[i]}: one clear message" || diag "$work/err"
  done
  troubles=()
  rm -f "$work/troubles"
}

digest() { redis_at "$1" debug digest; }

# ---- a server with data of every kind, and with users

backup_user='user bk on >bkpw resetchannels -@all +psync +replconf +info +config|get +acl|list'
poor_user='user poor on >poorpw resetchannels -@all +info +ping'
sync_user='user sync on >syncpw resetchannels -@all +psync +replconf'
dry_user='user dry on >drypw resetchannels -@all +replconf +info +acl|dryrun'
main=$work/main
redis_certificates "$work/tls" || echo "Bail out! no certificates"
REDIS_ACL="$backup_user
$poor_user
$sync_user
$dry_user" REDIS_TLS=$work/tls redis_start "$main" 'enable-debug-command yes' 'repl-diskless-sync yes' 'databases 20' || exit 1
port=$redis_port tls_port=$redis_tls_port
{
  echo 'set string "with \"quotes\""'
  echo 'rpush list a b c'
  echo 'sadd set 1 2 3 x'
  echo 'zadd sorted 1.5 a 2 b'
  echo 'hset hash field value other 2'
  echo 'xadd stream 1-1 name value'
  echo 'pfadd log a b c'
  echo 'setex leaving 100000 soon'
  echo 'select 17'
  echo 'mset one 1 two 2'
  echo 'select 0'
  echo 'function load "#!lua name=lib\nredis.register_function(\"f\", function() return 42 end)"'
} | redis_at "$main" >/dev/null

conformance() { "$BUILDDIR/holdfast-source-conformance" "$BUILDDIR/plugins/redis/.libs/redis.so" "$@"; }
ok "conformance: Unix socket, without a copy on the server's disk" conformance socket="$main/s" password=secret
redis_at "$main" config set repl-diskless-sync no >/dev/null
ok "conformance: TCP, an ACL user, by way of the server's disk" conformance port="$port" username=bk password=bkpw
redis_at "$main" config set repl-diskless-sync yes >/dev/null
ok "conformance: TLS" conformance host=localhost port="$tls_port" password=secret tls=yes tls-ca="$work/tls/ca.pem"

redis_fill "$main" 24

# ---- backup, rehearsal, restore to a folder

common="port = $port
username = bk
password = bkpw"
with_redis repo "$common" 'assert = EXISTS string' "assert = GET string == 'with \"quotes\"'" 'assert = 17: DBSIZE == 2' 'assert = LLEN list >= 3'
hf check
exits 0 "check"
says 'redis 7.*keys in 2 databases' "says what it found"
want=$(digest "$main")
rm -f "$main/data/dump.rdb"
hf backup
exits 0 "backup"
ls "$main/data" >"$work/left"
is "$(cat "$work/left")" '' "nothing is written to the server's disk"
hf drill latest cache
exits 0 "drill"
says 'cache +passed .*loads it: [0-9]+ keys in 2 databases, 1 with an expiry \(as at the backup\); 4 of 4 assertions hold' \
  "counts the keys and tries the assertions"
hf restore latest cache --to "$work/to"
exits 0 "restore --to"
ok "the RDB is sound for redis-check-rdb" redis-check-rdb "$work/to/cache/dump.rdb"
is "$(stat -c %a "$work/to/cache/users.acl" "$work/to/cache/redis.conf" | sort -u)" 600 "ACLs and configuration are for their owner only"
is "$(sort "$work/to/cache/users.acl")" "$(redis_at "$main" acl list | sort)" "the ACL users are as the server lists them"

# A server with the restored configuration, users and data, on another port and folder.
copy=$work/copy
mkdir -p "$copy/data"
cp "$work/to/cache/dump.rdb" "$copy/data"
cp "$work/to/cache/users.acl" "$copy/users.acl"
redis_port=$(redis_free_port)
{
  cat "$work/to/cache/redis.conf"
  printf '%s\n' "port $redis_port" 'tls-port 0' "unixsocket $copy/s" "dir $copy/data" "aclfile $copy/users.acl" "logfile $copy/log" "enable-debug-command yes"
} >"$copy/conf"
redis-server "$copy/conf" </dev/null >"$copy/out" 2>&1 &
echo $! >"$copy/pid"
disown $!
redis_dirs+=("$copy")
for _ in $(seq 300); do [ "$(redis_at "$copy" ping 2>/dev/null)" != PONG ] || break && sleep 0.01; done
is "$(digest "$copy")" "$want" "a server starts with the restored configuration and has the same data" || diag "$copy/out" "$copy/log"
is "$(redis_at "$copy" fcall f 0)" 42 "its functions too"
is "$(redis-cli --no-auth-warning -s "$copy/s" --user bk --pass bkpw info server | grep -c redis_version)" 1 "its users can log in"
redis_stop "$copy" KILL

# ---- consistency while writers write

cat >"$work/writer.py" <<'PY'
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
f = s.makefile('rwb')
def send(*words):
    f.write(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words))
send(b'AUTH', b'secret')
n = 0
while True:
    n += 1
    v = b'%d' % n
    for c in ((b'MULTI',), (b'SET', b'pair:a', v), (b'SET', b'pair:b', v * 100), (b'INCR', b'counter'), (b'RPUSH', b'journal', v),
              (b'SET', b'tmp:' + v, v), (b'DEL', b'tmp:%d' % (n - 3)), (b'EXEC',)):
        send(*c)
    f.flush()
    s.recv(1 << 16)
    time.sleep(0.0005)  # others want the processor, too
PY
writers=()
python3 "$work/writer.py" "$main/s" >/dev/null 2>&1 &
writers+=($!)
jobs_started+=($!)
wait_for_key() { for _ in $(seq 500); do [ "$(redis_at "$main" exists "$1")" = 0 ] || return 0; sleep 0.01; done; return 1; }
ok "a writer writes" wait_for_key journal
before=$(redis_at "$main" get counter)
for round in diskless disk; do
  [ $round = diskless ] || redis_at "$main" config set repl-diskless-sync no >/dev/null
  must backup
  hf restore latest cache --to "$work/w-$round"
  redis_start "$work/r-$round" 'databases 20'
  redis_stop "$work/r-$round"
  cp "$work/w-$round/cache/dump.rdb" "$work/r-$round/data/dump.rdb"
  redis_start "$work/r-$round"
  a=$(redis_at "$work/r-$round" get pair:a)
  is "$(redis_at "$work/r-$round" get pair:b)" "$(python3 -c 'import sys; print(sys.argv[1] * 100)' "$a")" \
    "$round: what belongs to one transaction is of one transaction"
  is "$(redis_at "$work/r-$round" get counter) $(redis_at "$work/r-$round" llen journal) $(redis_at "$work/r-$round" lindex journal -1)" \
    "$a $a $a" "$round: in all its keys"
  ok "$round: and was written before or during the backup" test "$a" -ge "$before"
  redis_stop "$work/r-$round"
  hf drill latest cache
  exits 0 "$round: drill of it"
  says 'at the backup' "$round: says what the counts mean"
done
ok "the writer wrote on meanwhile" test "$(redis_at "$main" get counter)" -gt "$a"
kill "${writers[@]}"
redis_at "$main" config set repl-diskless-sync yes >/dev/null

# ---- the rehearsal finds what is wrong

# Keys that have expired since are keys of the snapshot all the same: one that has already, and that the server has not noticed.
redis_at "$main" debug set-active-expire 0 >/dev/null
redis_at "$main" set leaving-soon 1 px 1 >/dev/null
must backup
hf drill latest cache
exits 0 "a drill does not miss a key that has expired"
says 'cache +passed .*2 with an expiry \(as at the backup\)' "but counts it"
redis_at "$main" debug set-active-expire 1 >/dev/null
settings "$common" 'assert = GET string == other'
must backup
hf drill latest cache
exits 1 "an assertion that does not hold"
says 'cache +failed .*assert = GET string == other: the reply is with "quotes"' "says which, and what the reply was"
settings "$common" 'assert = GETT string'
hf drill latest cache
says 'cache +failed .*assert = GETT string: the reply is ERR unknown command' "a command there is not"
settings "$common" 'assert = DBSIZE >'
hf drill latest cache
says 'cache +failed .*there is nothing to compare with' "an assertion that is none"
settings "$common" 'redis-server = /nonexistent/redis-server'
hf drill latest cache
says 'cache +failed .*/nonexistent/redis-server' "a redis-server that is not there"
settings "$common" 'redis-server = redis-server --no-such-setting 1'
hf drill latest cache
says 'cache +failed .*redis-server ended with code 1' "a redis-server that does not start"
settings "$common" "redis-server = redis-server --maxmemory-policy noeviction" 'assert = CONFIG GET maxmemory-policy'
hf drill latest cache
exits 0 "redis-server with arguments"
is "$(find "$TMPDIR" -mindepth 1)" '' "nothing is left of the rehearsals"

# ---- restore in place, into the folder of a stopped server

want=$(digest "$main")
must backup
hf restore latest cache --in-place --yes
[ "$rc" -ne 0 ]
result $? "in place while the server runs: refused" || show_last
says 'the server is running.*restore-into = server' "and says why and what else"
redis_at "$main" config set save '3600 1' >/dev/null
redis_at "$main" set string wrong >/dev/null
redis_at "$main" del list hash >/dev/null
redis_stop "$main"
chmod 640 "$main/data/dump.rdb"
[ "$(id -u)" -ne 0 ] || chown 65534:65534 "$main/data/dump.rdb"
owner=$(stat -c '%u:%g %a' "$main/data/dump.rdb")
cp "$main/data/dump.rdb" "$work/old.rdb"
hf restore latest cache --in-place --yes
exits 0 "in place, with the server stopped"
says "dump.rdb is kept as dump.rdb.before-restore-" "says where the old one is"
ok "which it is" cmp "$work/old.rdb" "$main"/data/dump.rdb.before-restore-*
is "$(stat -c '%u:%g %a' "$main/data/dump.rdb")" "$owner" "owner and mode are those of the old one"
is "$(find "$main/data" -name '.*' -type f)" '' "nothing else is left"
REDIS_ACL="$backup_user
$poor_user
$sync_user
$dry_user" REDIS_TLS=$work/tls redis_start "$main"
is "$(digest "$main")" "$want" "the server has the data of the snapshot"
port=$redis_port tls_port=$redis_tls_port
common="port = $port
username = bk
password = bkpw"

# With an append-only file, which a server prefers to an RDB.
aof=$work/aof
redis_start "$aof" 'appendonly yes' 'enable-debug-command yes'
for i in $(seq 200); do echo "set key:$i $i"; done | redis_at "$aof" >/dev/null
want_aof=$(digest "$aof")
with_redis aof "socket = $aof/s" 'password = secret'
must backup
redis_at "$aof" flushall >/dev/null
redis_at "$aof" set other 1 >/dev/null
redis_stop "$aof"
hf restore latest cache --in-place --yes
exits 0 "in place, with an append-only file"
says 'appendonlydir is kept as appendonlydir.before-restore-' "which is put aside"
redis_start "$aof"
is "$(digest "$aof")" "$want_aof" "the server has the data of the snapshot and not that of its append-only file"
redis_at "$aof" set more 1 >/dev/null
want_aof=$(digest "$aof")
redis_stop "$aof" KILL
redis_start "$aof"
is "$(digest "$aof")" "$want_aof" "and goes on with a new one"
redis_stop "$aof"
mv "$aof/data/dump.rdb" "$aof/data/elsewhere.rdb"
settings "socket = $aof/s" 'password = secret' "rdb-path = $work/no/such/dump.rdb"
hf restore latest cache --in-place --yes
exits 1 "a folder that is not there"
says "$work/no/such: No such file" "is named"
settings "host = redis.example.com" 'password = secret' 'connect-timeout = 1s'
hf restore latest cache --in-place --yes
exits 1 "a server on another machine, and no rdb-path"
says 'is another machine' "is said"

# A disk that fills up: the old file stays.
if [ "$(id -u)" -eq 0 ]; then
  mkdir -p "$work/full"
  mount -t tmpfs -o size=4m tmpfs "$work/full" && mounts+=("$work/full")
  echo old >"$work/full/dump.rdb"
  M=$work/repo/m.ini
  R=$work/repo
  settings "host = 127.0.0.1" "port = $(redis_free_port)" "rdb-path = $work/full/dump.rdb"
  hf restore latest cache --in-place --yes
  exits 1 "a disk that is full"
  says 'dump.rdb: cannot be written: No space left' "is said"
  is "$(cat "$work/full/dump.rdb") $(find "$work/full" -mindepth 1 | wc -l)" 'old 1' "the old file is as it was, and nothing is left"
fi

# ---- restore into a running server that is empty

M=$work/repo/m.ini
R=$work/repo
live=$work/live
filler_user='user filler on >fillerpw resetchannels -@all +info +replicaof +config|get +config|set'
REDIS_ACL=$filler_user REDIS_TLS=$work/tls redis_start "$live" \
  'enable-debug-command yes' 'databases 20' 'masterauth before' 'masteruser someone' 'tls-replication yes'
into="socket = $live/s
username = filler
password = fillerpw
restore-into = server"
settings "$into"
redis_at "$live" set precious 1 >/dev/null
hf restore latest cache --in-place --yes
exits 1 "into a running server that is not empty: refused"
says 'the server is not empty: it has 1 keys' "and says why"
is "$(redis_at "$live" get precious)" 1 "nothing is lost"
redis_at "$live" flushall >/dev/null
hf restore latest cache --in-place --yes
exits 0 "into a running, empty server"
says '[0-9]+ keys are in the server' "says how many keys are there"
is "$(digest "$live")" "$want" "the server has the data of the snapshot"
is "$(redis_at "$live" fcall f 0)" 42 "its functions too"
setting() { redis_at "$live" config get "$1" | tail -n 1; }
is "$(redis_at "$live" role | head -n 1) $(setting masterauth) $(setting masteruser) $(setting tls-replication)" \
  'master before someone yes' "it is a master, set as it was"
ok "and takes writes" redis_at "$live" set more 1
redis_at "$live" flushall >/dev/null
settings "$into" 'redis-server = /nonexistent/redis-server'
hf restore latest cache --in-place --yes
exits 1 "no redis-server to fill it from"
is "$(redis_at "$live" role | head -n 1) $(redis_at "$live" dbsize)" 'master 0' "the server is as it was"
redis_stop "$live" KILL
rm -f "$live"/data/*
redis_start "$live" 'databases 4'
settings "$into"
hf restore latest cache --in-place --yes
exits 1 "a server with too few databases"
says 'the server has 4 databases, and the snapshot has keys in database 17' "is told so"
is "$(redis_at "$live" dbsize)" 0 "and left alone"
redis_stop "$live" KILL

# ---- trouble that shows at once

gone=$(redis_free_port)
tls="port = $tls_port
password = secret
tls = yes"
trouble "wrong password" 'AUTH: WRONGPASS.*username or password is wrong' "port = $port" 'username = bk' 'password = wrong-password'
trouble "no password" 'NOAUTH.*set password' "port = $port"
trouble "a user without rights" 'the user poor may not run .*NOPERM' "port = $port" 'username = poor' 'password = poorpw' 'acl = no' 'config = no'
trouble "a user that may not synchronise" 'the user dry may not run PSYNC: NOPERM' "port = $port" 'username = dry' 'password = drypw' 'acl = no' 'config = no'
trouble "server down" 'no connection to the server: Connection refused; is it running\?' "port = $gone" 'password = x'
trouble "no such socket" 'no-such-socket: no connection to the server: No such file' "socket = $work/no-such-socket"
trouble "no such host" 'host = no-such-host.invalid: ' "host = no-such-host.invalid"
trouble "a server without TLS" 'no TLS with the server' "port = $port" 'tls = yes' 'connect-timeout = 1s'
trouble "a server with TLS only, without it" 'does it want TLS' "port = $tls_port" 'password = secret'
trouble "TLS with a wrong CA" 'certificate is not trusted.*tls-ca' 'host = localhost' "$tls" "tls-ca = $work/tls/other-ca.pem"
trouble "TLS with the system's CAs" 'certificate is not trusted.*tls-ca' "$tls"
trouble "a certificate for another name" 'certificate is not for other.example.com' "$tls" "tls-ca = $work/tls/ca.pem" 'tls-server-name = other.example.com'
trouble "a CA file that is none" 'tls-ca = .*no certificates in PEM' "$tls" "tls-ca = $work/files/file"
trouble "a key that is not the certificate's" 'tls-key = .*belongs to tls-cert' "$tls" \
  "tls-ca = $work/tls/ca.pem" "tls-cert = $work/tls/client.pem" "tls-key = $work/tls/server.key"
trouble "a certificate without its key" 'belong together' "$tls" "tls-ca = $work/tls/ca.pem" "tls-cert = $work/tls/client.pem"
trouble "TLS files without TLS" 'do nothing without tls = yes' "port = $port" 'password = secret' "tls-ca = $work/tls/ca.pem"
trouble "a user without a password" 'username is set, and password is not' "port = $port" 'username = bk'
trouble "no port" 'a port is 1 to 65535' 'port = 70000'
run_troubles at-once
hf check
exits 1 "check finds the same"
is "$(grep -cE '^failed +source t[0-9]+: ' "$work/out") $(grep -cE '^ok +source t' "$work/out")" '18 0' "all of it"
says 'the user dry may not run PSYNC: give it .psync' "a user that may not synchronise, without trying"
ok "the password is in no message" test "$(cat "$work/err" "$work/out" "$work/troubles.err" | grep -cE 'wrong-password|poorpw|drypw')" = 0

with_redis rights "port = $port" 'username = sync' 'password = syncpw' 'acl = no' 'config = no'
hf backup
exits 0 "a user with the rights to synchronise only"
hf drill latest cache
exits 0 "drill of it"
says 'not compared' "says what is not known"
settings "port = $port" 'username = sync' 'password = syncpw'
hf backup
exits 3 "a user that may not list users and configuration"
says 'users.acl.*ACL LIST.*NOPERM.*acl = no' "each is a problem"
says 'redis.conf.*CONFIG GET.*NOPERM.*config = no' "of its own"
hf restore latest cache --to "$work/to-sync"
is "$(ls "$work/to-sync/cache")" dump.rdb "and the data is there"
settings "$tls" "tls-ca = $work/tls/ca.pem" "tls-cert = $work/tls/client.pem" "tls-key = $work/tls/client.key"
hf backup
exits 0 "TLS with a certificate of our own"

# ---- trouble on the way

# A proxy that passes on so many bytes of what the server says, and then does something.
cat >"$work/proxy.py" <<'PY'
import os, signal, socket, sys, threading
port, limit, action = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
l = socket.create_server(('127.0.0.1', 0))
print(l.getsockname()[1], flush=True)
lock = threading.Lock()
passed = 0
def up(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
def serve(c):
    global passed
    s = socket.create_connection(('127.0.0.1', port))
    threading.Thread(target=up, args=(c, s), daemon=True).start()
    total, flipped = 0, False
    while data := s.recv(65536):
        if total + len(data) > limit:
            if action == 'cut':
                c.sendall(data[:limit - total])
                c.shutdown(socket.SHUT_RDWR)
                s.close()
                return
            if action == 'stall':
                threading.Event().wait()
            if action == 'flip' and not flipped:
                flipped = True
                data = data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]
            if action.isdigit():
                os.kill(int(action), signal.SIGKILL)
        total += len(data)
        try:
            c.sendall(data)
        except OSError:
            return
    c.shutdown(socket.SHUT_RDWR)
while True:
    threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()
PY
# proxy PORT BYTES ACTION: sets $proxy_port.
proxy() {
  rm -f "$work/proxy.port"
  mkfifo "$work/proxy.port"
  python3 "$work/proxy.py" "$@" >"$work/proxy.port" 2>/dev/null &
  jobs_started+=($!)
  disown $!
  read -r proxy_port <"$work/proxy.port"
}
disk=$work/disk
redis_start "$disk" 'repl-diskless-sync no'
redis_fill "$disk" 40
disk_port=$redis_port
proxy "$port" 2000000 cut
trouble "a connection cut in the middle" 'an RDB cut short: the server closed the connection after [0-9]+ bytes' "port = $proxy_port" 'password = secret'
proxy "$disk_port" 2000000 cut
trouble "the same by way of the server's disk" 'an RDB cut short: the server closed the connection after [0-9]+ bytes' "port = $proxy_port" 'password = secret'
proxy "$disk_port" 2000000 flip
trouble "bytes damaged on the way" 'a damaged RDB: the checksum' "port = $proxy_port" 'password = secret'
proxy "$port" 2000000 stall
trouble "a server that falls silent" 'silent for 1 s .stall-timeout.' "port = $proxy_port" 'password = secret' 'stall-timeout = 1s'
proxy "$port" 0 stall
trouble "a server that never answers" 'silent for 1 s .stall-timeout.' "port = $proxy_port" 'password = secret' 'stall-timeout = 1s'
proxy "$disk_port" 2000000 "$(redis_pid "$disk")"
trouble "a server killed while it sends" 'an RDB cut short: the server closed the connection after [0-9]+ bytes' "port = $proxy_port" 'password = secret'
# A replica without its master: what INFO says, and what PSYNC says when INFO may not be asked.
REDIS_ACL=$sync_user redis_start "$work/replica" 'replicaof 127.0.0.1 1'
trouble "a replica without its master" 'no link to its master' "socket = $work/replica/s" 'password = secret'
trouble "the same for a user without INFO" 'NOMASTERLINK.*no link to its master' "socket = $work/replica/s" \
  'username = sync' 'password = syncpw' 'acl = no' 'config = no'
sentinel=$work/sentinel
mkdir "$sentinel"
sentinel_port=$(redis_free_port)
printf '%s\n' "port $sentinel_port" 'bind 127.0.0.1' "dir $sentinel" >"$sentinel/conf"
redis-server "$sentinel/conf" --sentinel </dev/null >"$sentinel/out" 2>&1 &
echo $! >"$sentinel/pid"
disown $!
redis_dirs+=("$sentinel")
for _ in $(seq 300); do [ "$(redis-cli -p "$sentinel_port" ping 2>/dev/null)" != PONG ] || break && sleep 0.01; done
trouble "a sentinel" 'this is a sentinel.*SENTINEL MASTERS' "port = $sentinel_port"
# A server that loads its data: a slow one.
redis_start "$work/slow" 'enable-debug-command yes' 'loading-process-events-interval-bytes 1024'
redis_fill "$work/slow" 8
redis_at "$work/slow" config set key-load-delay 100000 >/dev/null
redis_at "$work/slow" debug reload >/dev/null 2>&1 &
disown $!
is_loading() { for _ in $(seq 500); do redis_at "$work/slow" ping 2>&1 | grep -q LOADING && return 0; sleep 0.01; done; return 1; }
ok "a server loads its data" is_loading
trouble "a server that is loading" 'still loading its data' "socket = $work/slow/s" 'password = secret'
run_troubles on-the-way

# ---- the manual page knows every setting

"$HOLDFAST" plugins redis >"$work/settings" 2>&1
missing=
for name in $(sed -n 's/^    \([a-z][a-z-]*\) = .*/\1/p' "$work/settings" | sort -u); do
  grep -qE "^\.It Ic $name( |\$)" "$SRCDIR/man/holdfast-source-redis.7" || missing="$missing $name"
done
is "$missing" '' "every setting is in the manual page"
done_testing
