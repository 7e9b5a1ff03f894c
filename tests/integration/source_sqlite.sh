#!/bin/bash
# source_sqlite.sh - the sqlite source against databases that programs write to: consistent copies, restores, drills, and all that can go wrong.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2016,SC2034 # variables of lib.sh; eval
. "${SRCDIR:?}/tests/integration/lib.sh"
# shellcheck source=server_sqlite.sh
. "$here/server_sqlite.sh"
need python3 sqlite3 setpriv
: "${BUILDDIR:?the folder of the build}"
trap 'sqlite_stop; cleanup' EXIT

make_key key 'Recipient <recipient@example.com>'
db=$work/db
mkdir "$db"

# source_of LINE...: from now on the source "data" is one of the sqlite plugin with these settings. A second source must never suffer.
source_of() {
  sed -i '/^\[source data\]/,/^$/d' "$M"
  printf '[source data]\nplugin = sqlite\n' >>"$M"
  printf '%s\n' "$@" '' >>"$M"
}
mkdir "$work/other"
echo other >"$work/other/file"
new_repo main <<END
[source other]
plugin = files
path = $work/other

END
must init

# restore_to FOLDER [SNAPSHOT]: the newest, of the source "data"; the databases lie in FOLDER/data.
restore_to() {
  rm -rf "${work:?}/$1"
  must restore "${2:-latest}" data --to "$work/$1"
}

# pragma FILE NAME: its value.
pragma() { sqlite3 "file:$1?immutable=1" "PRAGMA $2"; }

# statuses: of both sources in the newest snapshot.
statuses() {
  hf list --json
  json '" ".join(s["name"] + "=" + s["status"] for s in d["sources"]) if d.get("sources") else None' | tail -n 1
}

# fails REGEX NAME: a backup in which the source data fails with one message, and the other source is stored.
fails() {
  hf backup
  exits 3 "$2: done in part"
  says "$1" "$2: says what is wrong"
  is "$(grep -Ec "$1" "$work/err")" 1 "$2: and once"
  is "$(statuses)" "other=complete data=failed" "$2: the source is marked failed, the other is complete"
}

# ---- the contract, with databases of all kinds that nobody writes to

still=$work/still
mkdir -p "$still/a" "$still/b" "$still/tree"
sqlite_make "$still/a/same.db" wal 200
sqlite_make "$still/b/same.db" delete 200
sqlite_make "$still/small pages.db" truncate 50 512
sqlite_make "$still/large-pages.db" wal 300 65536
: >"$still/empty.db"
conformance=$BUILDDIR/holdfast-source-conformance
plugin=$BUILDDIR/plugins/sqlite/.libs/sqlite.so
"$conformance" "$plugin" "database=$still/*.db" "database=$still/?/same.db" >"$work/conformance" 2>&1
result $? "the plugin keeps the contract" || grep -v '^ok' "$work/conformance" | sed 's/^/# /'
"$conformance" "$plugin" "database=$still/a/same.db" chunk=4K check=none >"$work/conformance" 2>&1
result $? "and with other settings" || grep -v '^ok' "$work/conformance" | sed 's/^/# /'
is "$(find "$still" -name '*-wal' -o -name '*-shm')" "" "a database that nobody uses is left without files beside it"

# ---- files as they come: patterns, names, modes; the same bytes

chmod 640 "$still/a/same.db"
sqlite_hold "$still/large-pages.db" "SELECT n FROM counter" # its log stays, as it does with a program that runs
sqlite3 "$still/large-pages.db" "UPDATE counter SET n = 1; INSERT INTO log VALUES (1, 'in the log')"
ok "there is a log with content" test -s "$still/large-pages.db-wal"
source_of "database = $still/*" "database = $still/*/same.db" "exclude = small*" \
  "assert = same.db: SELECT sum(balance) = 100000 FROM account" "assert = large-pages.db: SELECT n = 1 FROM counter"
sed -n 's/^\.It Ic \([a-z-]*\) Li.*/\1/p' "$SRCDIR/man/holdfast-source-sqlite.7" | sort >"$work/page"
hf plugins sqlite --json
json '"\n".join(s["name"] for s in d["settings"]) if d.get("settings") else None' | sort >"$work/table"
ok "the manual page names the settings that there are" diff "$work/page" "$work/table"
hf backup
exits 0 "backup of what patterns name"
restore_to r
is "$(cd "$work/r/data" && echo *)" "$(cd "$work/r/data" && echo empty.db large-pages.db same.db-*)" "restored by their names"
is "$(find "$work/r/data" -name 'same.db-????????' | wc -l)" 2 "two of one name are told apart"
sum=$(sha256sum <"$still/b/same.db")
is "$(sha256sum "$work/r/data"/same.db-* | grep -c "^${sum%% *}")" 1 "a database that nobody writes to comes back byte for byte"
is "$(stat -c %a "$work/r/data"/same.db-* | sort | tr '\n' ' ')" "640 644 " "with its mode"
ok "what was in the log only is there" test "$(sqlite3 "file:$work/r/data/large-pages.db?immutable=1" 'SELECT n FROM counter')" = 1
ok "no log is needed" test ! -e "$work/r/data/large-pages.db-wal"
is "$(pragma "$work/r/data/large-pages.db" page_size)" 65536 "page size as it was"
is "$(stat -c %s "$work/r/data/empty.db")" 0 "an empty database is empty"
sqlite_stop
hf drill latest data
exits 0 "a drill"
says '3 assertions passed|4 databases' "says what was checked"
hf check
exits 0 "check looks beforehand"

# ---- consistent while writers write

for mode in wal delete; do
  live=$db/live-$mode.db
  sqlite_make "$live" $mode 9000
  source_of "database = $live" "check = none"
  sqlite_writers "$live" 3
  before=$(sqlite_count "$live")
  for i in 1 2 3; do
    hf backup
    exits 0 "$mode: backup $i while three processes write"
    seq[i]=$(sed -n 's/^snapshot \([0-9]*\) .*/\1/p' "$work/out")
  done
  after=$(sqlite_count "$live")
  sqlite_stop
  result $? "$mode: no writer failed"
  ok "$mode: there were commits meanwhile ($((after - before)))" test "$after" -gt $((before + 20))
  least=$before
  for i in 1 2 3; do
    restore_to r "${seq[i]}"
    ok "$mode: copy $i is whole, its sums are right" sqlite_sound "$work/r/data/live-$mode.db"
    n=$(sqlite_count "$work/r/data/live-$mode.db")
    ok "$mode: and it is of its time" test "$n" -ge "$least" -a "$n" -le "$after"
    least=$n
  done
done
is "$(find "$TMPDIR" -name 'holdfast-sqlite-*' | wc -l)" 0 "no copy is left behind"

# ---- little is stored of a little change

source_of "database = $db/little.db"
sqlite_make "$db/little.db" wal 20000
stored() { find "$T" -type f -printf '%s\n' | awk '{ n += $1 } END { print n }'; }
before=$(stored)
must backup
first=$(($(stored) - before))
before=$(stored)
sqlite3 "$db/little.db" 'UPDATE ballast SET data = randomblob(600) WHERE id BETWEEN 10000 AND 10199' >/dev/null
must backup
second=$(($(stored) - before))
ok "1 % of the rows in a row: at most 5 % is stored ($second of $first)" test $((second * 20)) -le "$first"
sqlite3 "$db/little.db" 'PRAGMA journal_mode = DELETE; PRAGMA page_size = 8192; VACUUM' >/dev/null
hf backup
exits 0 "a database that has another page size than last time"
restore_to r
is "$(pragma "$work/r/data/little.db" page_size)" 8192 "comes back with it"
ok "whole" sqlite_sound "$work/r/data/little.db"

# ---- drills find what is wrong with the content

source_of "database = $db/drill.db" "assert = SELECT count(*) > 0 FROM log"
sqlite_make "$db/drill.db" wal 10
must backup
hf drill latest data
exits 1 "an assertion that is not true"
says 'drill.db: assert = SELECT count.* > 0 FROM log: not true: the answer is 0' "is named, with the answer"
sed -i 's/^assert = .*/assert = other.db: SELECT 1/' "$M"
hf drill latest data
exits 1 "an assertion about a database there is not"
says 'no database other.db' "is named"
sed -i 's/^assert = .*/assert = DELETE FROM log/' "$M"
hf drill latest data
says 'must be one statement that only reads' "an assertion that would write is refused"
sed -i '/^assert = /d' "$M"
sqlite3 "$db/drill.db" 'INSERT INTO child VALUES (9, 77)'
must backup
hf drill latest data
exits 1 "a row without its parent"
says 'drill.db: foreign_key_check: row 9 of table child refers to a row of table parent' "is named"
sed -i 's/^plugin = sqlite/&\nforeign-keys = no/' "$M"
hf drill latest data
exits 0 "foreign-keys = no leaves that out"

# ---- in place

place=$work/gone/place
mkdir -p "$place"
chmod 2770 "$place"
for mode in wal delete; do
  at=$place/$mode.db
  sqlite_make "$at" $mode 500
  chmod 660 "$at"
  [ "$(id -u)" -ne 0 ] || chown 12:34 "$at"
  source_of "database = $at" "busy-timeout = 1s"
  must backup
  want=$(stat -c '%a %u:%g' "$at")
  sqlite3 "$at" "UPDATE account SET balance = 1; UPDATE counter SET n = 7"
  sqlite_hold "$at" "SELECT n FROM counter"
  sqlite3 "$at" "UPDATE counter SET n = 8"
  hf restore latest data --in-place --yes
  [ $rc -ne 0 ]
  result $? "$mode: not while a program has it open"
  says "$mode.db: process [0-9]+ \(python3?[0-9.]*\) has it open: stop that program" "$mode: which is named"
  is "$(sqlite3 "$at" 'SELECT n FROM counter')" 8 "$mode: nothing has been changed"
  kill -9 "${sqlite_pids[@]}" && wait "${sqlite_pids[@]}" 2>/dev/null
  sqlite_pids=()
  [ $mode = delete ] || ok "$mode: what was killed left a log" test -s "$at-wal"
  hf restore latest data --in-place --yes
  exits 0 "$mode: in place"
  ok "$mode: what was stored is back" sqlite_sound "$at"
  is "$(sqlite3 "$at" 'SELECT n FROM counter; PRAGMA journal_mode')" "0"$'\n'"$mode" "$mode: in its state and journal mode"
  is "$(stat -c '%a %u:%g' "$at")" "$want" "$mode: with its mode and owner"
  kept=$(find "$place" -name "$mode.db.before-restore-*")
  says "$kept" "$mode: it is said where the old one is"
  is "$(sqlite3 "$kept" 'SELECT n FROM counter')" 8 "$mode: which is as it was, with what was in the log"
  is "$(find "$place" -name '.holdfast*' | wc -l)" 0 "$mode: nothing else is left"
done
head -c 5000 /dev/urandom >"$at"
echo log >"$at-journal"
hf restore latest data --in-place --yes
exits 0 "in place of what is no database any more"
ok "what was stored is back" sqlite_sound "$at"
ok "without the journal of the old one" test ! -e "$at-journal"
rm "$place"/delete.db*
hf restore latest data --in-place --yes
exits 0 "in place of nothing"
ok "it is there again" sqlite_sound "$at"
rm -r "$work/gone"
hf restore latest data --in-place --yes
exits 0 "where not even the folder is left"
ok "it is there again" sqlite_sound "$at"
is "$(stat -c %a "$place")" 2770 "in a folder of the mode it had"
says "$place: was not there, and has been made" "which is told"

# Of several databases all are replaced, or none.
sqlite_make "$place/other.db" wal 10
source_of "database = $place/delete.db" "database = $place/other.db" "busy-timeout = 1s"
must backup
for f in delete other; do sqlite3 "$place/$f.db" "UPDATE counter SET n = 9"; done
sqlite_hold "$place/other.db" "SELECT n FROM counter"
hf restore latest data --in-place --yes
[ $rc -ne 0 ]
result $? "one of two databases is in use"
is "$(for f in delete other; do sqlite3 "$place/$f.db" "SELECT n FROM counter"; done | tr '\n' ' ')" "9 9 " "neither is replaced"
sqlite_stop
hf restore latest data --in-place --yes
exits 0 "and both when it is free"
is "$(for f in delete other; do sqlite3 "$place/$f.db" "SELECT n FROM counter"; done | tr '\n' ' ')" "0 0 " "both are replaced"

# ---- trouble

bad=$work/bad
mkdir "$bad"
# corrupt FILE: spoil a page of a table.
corrupt() {
  local page
  page=$(sqlite3 "$1" "SELECT rootpage FROM sqlite_master WHERE name = 'log'")
  printf 'spoilt by a test' | dd of="$1" bs=1 seek=$((4096 * (page - 1))) conv=notrunc 2>/dev/null
}

source_of "database = $bad/the.db" "busy-timeout = 1s"
fails 'the.db: there is no such file' "a missing file"
seq 1000 >"$bad/the.db"
fails 'the.db: file is not a database' "not a database"
head -c 40960 /dev/urandom >"$bad/the.db"
fails 'the.db: file is not a database.*encrypted' "encrypted"
rm "$bad/the.db"
sqlite_make "$bad/the.db" delete 100
corrupt "$bad/the.db"
fails 'the.db: .*(malformed|btreeInitPage|Tree [0-9]+ page|invalid page)' "a corrupt page, in SQLite's words"
sed -i 's/^busy-timeout = 1s/&\ncheck = none/' "$M"
hf backup
exits 0 "check = none stores it as it is"
hf drill latest data
exits 1 "and a drill finds out"
says 'the.db: .*(malformed|btreeInitPage|Tree [0-9]+ page|invalid page)' "in the same words"
sed -i '/^check = none/d' "$M"
rm "$bad/the.db"
sqlite_make "$bad/the.db" delete 100
truncate -s -8192 "$bad/the.db"
fails 'the.db: .*malformed' "a truncated file"
rm "$bad/the.db"
sqlite_make "$bad/the.db" wal 100
sqlite_hold "$bad/the.db" "SELECT n FROM counter"
sqlite3 "$bad/the.db" "UPDATE counter SET n = 1" # leaves it in the log
truncate -s -8192 "$bad/the.db"
fails 'the.db: .*(malformed|ends before|btreeInitPage|Tree [0-9]+ page)' "a truncated file with a log"
sqlite_stop
rm "$bad"/the.db*
for mode in delete wal; do
  sqlite_make "$bad/the.db" $mode 100
  sqlite_hold "$bad/the.db" "BEGIN EXCLUSIVE"
  if [ $mode = delete ]; then
    fails 'the.db: database is locked.*longer than busy-timeout' "a writer that keeps its lock"
  else
    hf backup
    exits 0 "in write-ahead mode a writer that keeps its lock does not matter"
  fi
  sqlite_stop
  rm "$bad"/the.db*
done

# A journal that a killed program left, with half of its changes in the file.
sqlite_make "$bad/the.db" delete 3000
python3 - "$bad/the.db" <<'END'
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA cache_size=10")
db.execute("PRAGMA cache_spill=10")
db.execute("BEGIN IMMEDIATE")
db.execute("UPDATE account SET balance = 5")
db.execute("UPDATE ballast SET data = zeroblob(600)")
os._exit(0)
END
ok "there is a hot journal" test -s "$bad/the.db-journal"
hf check
exits 0 "check does not mind a hot journal"
ok "and leaves it alone" test -s "$bad/the.db-journal"
hf backup
exits 0 "a hot journal"
restore_to r
ok "what is stored is the state before" sqlite_sound "$work/r/data/the.db"

# Several databases: one that is bad costs itself only.
sqlite_make "$bad/good.db" wal 10
seq 1000 >"$bad/the.db"
source_of "database = $bad/*.db"
hf backup
exits 3 "one of two is no database: done in part"
says 'the.db: file is not a database' "which is named"
is "$(statuses)" "other=complete data=partial" "the source is there in part"
restore_to r
ok "the other one is stored" sqlite_sound "$work/r/data/good.db"
seq 1000 >"$bad/good.db"
fails 'none of the 2 databases can be read; the first: .*good.db: file is not a database' "when all are bad"
source_of "database = $bad/*.sqlite3"
fails 'sqlite3: the pattern matches no file' "a pattern that matches nothing"
sed -i 's/^plugin = sqlite/&\nignore-missing = yes/' "$M"
hf backup
exits 0 "unless that is allowed"
source_of "database = here.db"
fails 'database = here.db: not an absolute path' "a relative path"
source_of "database = $bad/the.db" "chunk = 5000"
fails 'chunk: a power of two' "a chunk of a strange size"
source_of "database = $bad/the.db" "scratch = $work/nowhere"
rm -f "$bad"/the.db*
sqlite_make "$bad/the.db" delete 10
fails 'scratch: no file can be made in .*nowhere' "no scratch folder"

if [ "$(id -u)" -eq 0 ]; then
  chmod 755 "$work" "$bad"
  chmod 600 "$bad/the.db"
  source_of "database = $bad/the.db" "user = nobody"
  fails 'the.db: cannot be read by this account \(Permission denied\)' "no permission"
  rm "$bad/the.db"
  sqlite_make "$bad/the.db" wal 10
  fails 'the.db: attempt to write a readonly database: in write-ahead mode' "no permission for the files beside a database in write-ahead mode"
  sqlite_hold "$bad/the.db" "SELECT n FROM counter"
  hf backup
  exits 0 "which a program that runs has made already: reading is enough"
  sqlite_stop

  disk=$work/disk
  mkdir "$disk"
  mount -t tmpfs -o size=8m,mode=755 tmpfs "$disk" || { echo "Bail out! no tmpfs can be mounted" && exit 1; }
  mounts+=("$disk")
  sqlite_make "$disk/full.db" wal 4000
  source_of "database = $disk/full.db"
  must backup
  head -c 5m /dev/urandom >"$disk/filler"
  sum=$(sha256sum <"$disk/full.db")
  hf restore latest data --in-place --yes
  [ $rc -ne 0 ]
  result $? "disk full at a restore in place"
  says 'full.db: no room for [0-9]+ MiB' "is said"
  is "$(sha256sum <"$disk/full.db")" "$sum" "the old one is as it was"
  is "$(cd "$disk" && echo .h* *)" ".h* filler full.db" "and nothing is left beside it"
  rm "$disk/filler"
  source_of "database = $db/live-delete.db" "scratch = $disk"
  fails 'live-delete.db: no room in .*/disk for a copy of [0-9]+ MiB' "no room for a copy"
fi
done_testing
