#!/bin/bash
# server_sqlite.sh - SQLite databases that other processes write to, for tests.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# To be sourced; it has no need of lib.sh. Needs python3 and sqlite3, and $work, an existing folder. Run by itself it does nothing.
#   sqlite_make FILE JOURNAL [ROWS [PAGE_SIZE]]  a new database in journal mode wal, delete, truncate or persist: accounts whose balances
#                                                add up to 100000, a counter, a log with a row for each count, a parent and its children.
#                                                ROWS (default 1000) rows of about 600 bytes each of ballast
#   sqlite_writers FILE N                        start N processes that write until sqlite_stop: each transaction moves money between
#                                                accounts, counts one up and logs it. The first one also runs checkpoints of all kinds.
#                                                Returns when they have begun to commit
#   sqlite_stop                                  stop all of them; fails if one of them failed
#   sqlite_count FILE                            the counter now
#   sqlite_sound FILE                            do the sum and the counter fit together, and is the file whole? Says what does not
#   sqlite_hold FILE STATEMENT                   a process that runs a statement (BEGIN EXCLUSIVE) and keeps the connection until
#                                                sqlite_stop. Returns when it has it
# sqlite_pids holds the processes; what sources this ends them in its own cleanup: sqlite_stop, or kill them.

: "${work:?a folder}"
sqlite_pids=()

sqlite_make() {
  python3 - "$@" <<'END'
import os, random, sqlite3, sys
path, journal = sys.argv[1:3]
rows = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
page = int(sys.argv[4]) if len(sys.argv) > 4 else 4096
db = sqlite3.connect(path, isolation_level=None)
db.execute(f"PRAGMA page_size={page}")
db.execute(f"PRAGMA journal_mode={journal}")
db.execute("PRAGMA synchronous=OFF")
db.executescript("""BEGIN;
CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL CHECK(typeof(balance) = 'integer'));
CREATE TABLE counter(n INTEGER NOT NULL);
CREATE TABLE log(n INTEGER PRIMARY KEY, filler BLOB);
CREATE TABLE parent(id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE child(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent(id));
CREATE TABLE ballast(id INTEGER PRIMARY KEY, data BLOB);
INSERT INTO counter VALUES (0);
INSERT INTO parent VALUES (1, 'one'), (2, 'two');
INSERT INTO child VALUES (1, 1), (2, 1), (3, 2);
COMMIT""")
rnd = random.Random(path)
db.execute("BEGIN")
db.executemany("INSERT INTO account VALUES (?, 1000)", ((i,) for i in range(100)))
db.executemany("INSERT INTO ballast VALUES (?, ?)", ((i, rnd.randbytes(300) + bytes(300)) for i in range(rows)))
db.execute("COMMIT")
db.close()
END
}

# A program of its own, so that it is a process that can be ended by its number.
sqlite_writer='
import os, random, signal, sqlite3, sys, time
path, number, ready = sys.argv[1], int(sys.argv[2]), sys.argv[3]
stop = []
signal.signal(signal.SIGTERM, lambda *a: stop.append(1))
db = sqlite3.connect(path, isolation_level=None, timeout=30)
db.execute("PRAGMA synchronous=OFF")
wal = db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
db.execute("PRAGMA wal_autocheckpoint=%d" % (50 if number % 2 else 0))
rnd, done = random.Random(number), 0
while not stop:
    a, b, amount = rnd.randrange(100), rnd.randrange(100), rnd.randrange(1, 50)
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE account SET balance = balance - ? WHERE id = ?", (amount, a))
    db.execute("UPDATE account SET balance = balance + ? WHERE id = ?", (amount, b))
    db.execute("UPDATE counter SET n = n + 1")
    db.execute("INSERT INTO log SELECT n, randomblob(200) FROM counter")
    db.execute("UPDATE ballast SET data = randomblob(600) WHERE id = abs(random()) % (SELECT max(id) + 1 FROM ballast)")
    db.execute("COMMIT")
    time.sleep(0.001)  # or two that write without a pause keep a third out for longer than it waits: SQLite queues nobody
    done += 1
    if done == 5:
        os.close(os.open(ready, os.O_CREAT | os.O_WRONLY))
    if number == 0 and wal and done % 20 == 0:
        db.execute("PRAGMA busy_timeout=0")
        db.execute("PRAGMA wal_checkpoint(%s)" % rnd.choice(["PASSIVE", "FULL", "RESTART", "TRUNCATE"])).fetchall()
        db.execute("PRAGMA busy_timeout=30000")
db.close()
'

# _sqlite_await FILE PID: wait until the process has made the file, or has ended.
_sqlite_await() {
  while [ ! -e "$1" ]; do
    kill -0 "$2" 2>/dev/null || { echo "a process of the tests ended early" >&2 && return 1; }
    sleep 0.02
  done
}

sqlite_writers() {
  local i ready
  for ((i = 0; i < $2; i++)); do
    ready=$work/sqlite-ready.$RANDOM$RANDOM
    python3 -c "$sqlite_writer" "$1" "$i" "$ready" &
    sqlite_pids+=($!)
    _sqlite_await "$ready" $! || return 1
  done
}

sqlite_hold() {
  local ready=$work/sqlite-ready.$RANDOM$RANDOM
  python3 -c '
import os, signal, sqlite3, sys
signal.signal(signal.SIGTERM, lambda *a: sys.exit(0))
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
db.execute(sys.argv[2]).fetchall()
os.close(os.open(sys.argv[3], os.O_CREAT | os.O_WRONLY))
signal.pause()' "$1" "$2" "$ready" &
  sqlite_pids+=($!)
  _sqlite_await "$ready" $!
}

sqlite_stop() {
  local pid rc=0
  for pid in "${sqlite_pids[@]}"; do kill "$pid" 2>/dev/null; done
  for pid in "${sqlite_pids[@]}"; do wait "$pid" || rc=1; done
  sqlite_pids=()
  return $rc
}

sqlite_count() { sqlite3 -cmd '.timeout 10000' "$1" 'SELECT n FROM counter'; }

sqlite_sound() {
  local got
  got=$(sqlite3 "$1" "SELECT (SELECT sum(balance) FROM account), n = (SELECT count(*) FROM log), n = (SELECT coalesce(max(n), 0) FROM log) FROM counter;
    PRAGMA integrity_check; PRAGMA foreign_key_check" 2>&1)
  [ "$got" = "100000|1|1"$'\n'ok ] || { printf '%s\n' "$1: $got" && return 1; }
}
