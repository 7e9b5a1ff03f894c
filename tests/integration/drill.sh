#!/bin/bash
# drill.sh - rehearsing a restore: verdicts, damage, room, and nothing left behind.
# SPDX-License-Identifier: Apache-2.0
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "${SRCDIR:?the folder of the sources}/tests/integration/lib.sh"
need sqlite3 python3

make_key key 'Drill <drill@example.com>'
mkdir "$work/data"
head -c 3000000 /dev/urandom >"$work/data/big"
echo one >"$work/data/small"
new_repo repo <<END
[source data]
plugin = files
path = $work/data
[source plain]
plugin = example
END
must init
must backup

hf --json drill
exits 0 "a drill of everything"
is "$(json '" ".join(s["name"] + "=" + s["verdict"] for s in d["sources"])')" 'data=passed plain=restored' "each source has its verdict"
is "$(json 'd["sources"][0]["files"]')" 2 "and counts"
is "$(find "$TMPDIR" -name 'holdfast-drill-*')" '' "nothing is left of it"
hf drill latest data
exits 0 "a drill of one source"
says '^data +passed +2 ' "says what it found"
says '^snapshot 2: 1 of 1 sources came back' "and sums up"
mkdir "$work/scratch"
hf drill --scratch "$work/scratch" 2 data
exits 0 "a drill below another folder"
hf drill --scratch relative
exits 2 "which has to be an absolute one"
hf drill latest nobody
exits 1 "a source that the snapshot does not have"
says 'has no source nobody' "is named"

stranger
hf drill
exits 0 "on another machine that holds the key"
M=$R/m.ini

# A source that failed when the snapshot was taken fails in the drill.
mv "$work/data" "$work/away"
hf backup
mv "$work/away" "$work/data"
hf drill
exits 1 "a drill of a snapshot in which a source failed"
says '^data +failed .*it failed when the snapshot was taken' "says which and why"
must backup

# One byte of one pack.
pack=$(find "$T/packs" -type f -size +1000k | sort | head -n 1)
flip "$pack" 500000
hf drill
exits 1 "a damaged pack fails the drill"
says '^data +failed ' "of its source"
says '^data +failed .*packs/[0-9a-f]{2}/[0-9a-f]{64}' "and names the object"
says '^plain +restored ' "and of no other"
is "$(find "$TMPDIR" -name 'holdfast-drill-*')" '' "nothing is left of this one either"

# Killed: what it left is plain data, and the next drill removes it; of one that goes on, and of what is no drill's, it keeps its hands off.
"$HOLDFAST" -c "$M" drill --no-record 2 data >"$work/out" 2>"$work/err" </dev/null &
killed=$!
for ((i = 0; i < 2000; i++)); do [ ! -e "$(echo "$TMPDIR"/holdfast-drill-*/data)" ] || break; sleep 0.005; done
kill -9 $killed
wait $killed 2>/dev/null
left=$(find "$TMPDIR" -maxdepth 1 -name 'holdfast-drill-*')
ok "a drill that was killed leaves its folder" test -d "$left"
mkdir "$TMPDIR/holdfast-drill-busy00" "$TMPDIR/holdfast-drill-of-somebody"
touch -d '1 hour ago' "$TMPDIR"/holdfast-drill-*
python3 -c 'import fcntl, os, sys, time; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX); time.sleep(600)' "$TMPDIR/holdfast-drill-busy00" &
busy=$!
jobs_started+=("$busy")
for ((i = 0; i < 500; i++)); do flock -n "$TMPDIR/holdfast-drill-busy00" true || break; sleep 0.01; done
hf drill --no-record 2 plain
says "removed $left, which a drill that was killed had left" "the next one says that it removes it"
is "$(find "$TMPDIR" -maxdepth 1 -name 'holdfast-drill-*' -printf '%f\n' | sort | tr '\n' ' ')" 'holdfast-drill-busy00 holdfast-drill-of-somebody ' "and removes nothing else"
kill -9 "$busy" 2>/dev/null
rmdir "$TMPDIR/holdfast-drill-busy00" "$TMPDIR/holdfast-drill-of-somebody"

# ---- an application with a clock, assertions, and people to call

mkdir "$work/app"
sqlite3 "$work/app/shop.db" 'CREATE TABLE orders (id INTEGER PRIMARY KEY, cents INT); INSERT INTO orders (cents) VALUES (5), (7)'
sqlite3 "$work/app/shop.db" .dump >"$work/app/dump.sql"
for i in 1 2 3; do echo "file $i" >"$work/app/$i"; done
ln "$work/app/1" "$work/app/hard"
ln -s 1 "$work/app/soft"
mkfifo "$work/app/fifo"
new_repo app 'rto = 1h' <<END
[source files]
plugin = files
path = $work/app
exclude = *.db
[source shop]
plugin = sqlite
database = $work/app/shop.db
assert = SELECT count(*) = 2 FROM orders
[source dump]
plugin = exec
command = cat $work/app/dump.sql
verify-command = sqlite3 -bail $work/loaded.db
[contact second]
email = second@example.com
note = 5 < 7 & "more" <script>
priority = 20
[contact first]
role = on call
phone = +1 555 0100
priority = 1
END
must init
must backup
hf --json drill --report "$work/report.html"
exits 0 "a drill of an application"
is "$(json 'd["verdict"]')" passed "passes" || show_last
is "$(json '" ".join(s["name"] + "=" + s["verdict"] for s in d["sources"])')" 'files=passed shop=passed dump=passed' "with every source"
is "$(json 'd["contacts"][0]["name"]')" first "and says whom to call"
is "$(json 'd["record"]')" 3 "and its record is on the chain"
record=$(find "$T/records" -name '0000000003-*')
mygpg --decrypt "$record" 2>/dev/null >"$work/record.json"
# extra EXPRESSION: of the decrypted record.
extra() { python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); x = r["extra"]; print(eval(sys.argv[2]))' "$work/record.json" "$1"; }
is "$(extra 'r["type"], x["snapshot"], x["verdict"], x["rto"], [s["name"] for s in x["sources"]]')" "('drill', 2, 'passed', 3600, ['files', 'shop', 'dump'])" "which says what was found"
is "$(extra 'all(isinstance(s[k], int) for s in x["sources"] for k in ("restore_seconds", "verify_seconds")) and isinstance(x["seconds"], int)')" True "in whole numbers"
gpg --homedir "$R/state/gnupg" --decrypt "$record" >/dev/null 2>"$work/err"
says 'Good signature' "and is signed by the host"
page=$(cat "$work/report.html")
ok "the page is there" grep -q '<p class="verdict passed">passed</p>' "$work/report.html"
ok "what the manifest says is escaped in it" grep -q '5 &lt; 7 &amp; &quot;more&quot; &lt;script&gt;' "$work/report.html"
[[ $page != *'<script'* && $page != *'http://'* && $page != *'https://'* && $page != *' src='* && $page != *'url('* ]]
result $? "nothing in it comes from elsewhere, and nothing runs"
[[ $page == *'>first<'*'>second<'* ]]
result $? "contacts are in it by priority"
is "$(stat -c %a "$work/report.html")" 600 "its owner alone may read it"
rm -f "$work/loaded.db"
hf drill --no-record latest shop
exits 0 "a drill without a record"
is "$(find "$T/records" -name '0000000004-*')" '' "leaves none"
hf drill --report "$work/no/such/folder/x.html" latest shop
exits 1 "a report that cannot be written"
says 'no/such/folder' "is named"

hf drill --random
exits 1 "no older snapshot to choose from"
says 'no older snapshot' "is said"
must backup
must backup
newest=$(objects records)
for i in 1 2 3 4; do
  hf --json drill --random shop
  json 'd["seq"]' >>"$work/picked"
done
is "$(sort -u "$work/picked" | grep -cvx -e 2 -e $((newest - 1)))" 0 "one of the older ones is chosen" || diag "$work/picked"
is "$(json 'len(d["sources"])')" 1 "and what is named with --random are sources"

# Beside production: restore, server and verification are of the lowest priority.
sed -i "s|^verify-command = .*|verify-command = sh -c 'cat >/dev/null; ps -o ni= -p \$\$ >$work/nice; ionice -p \$\$ >>$work/nice'|" "$M"
hf drill latest dump
exits 0 "a verification that looks at itself"
is "$(tr -d ' \n' <"$work/nice")" 19idle "is of the lowest priority"
hf drill --full-speed latest dump
is "$(head -n 1 "$work/nice" | tr -d ' ')" "$(ps -o ni= -p $$ | tr -d ' ')" "unless it is told otherwise"

# ---- exactly what failed

sed -i "s|^verify-command = .*|verify-command = sqlite3 -bail $work/loaded.db|" "$M"
rm -f "$work/loaded.db"
echo 'INSERT INTO no_such_table VALUES (1);' >>"$work/app/dump.sql"
must backup dump
hf drill latest dump
exits 1 "a dump that does not load"
says '^dump +failed .*no such table: no_such_table' "fails with the words of what loads it"
says 'the drill FAILED; record' "and the failure is on the chain"
says '^contacts first \(on call\), \+1 555 0100' "and whom to call is said"
must backup shop files
sed -i 's/^assert = .*/assert = SELECT count(*) = 3 FROM orders/' "$M"
hf drill latest shop
exits 1 "an assertion that does not hold"
says '^shop +failed .*SELECT count\(\*\) = 3 FROM orders' "is named"
sed -i 's/^assert = .*/assert = SELECT count(*) = 2 FROM orders\nrto = 1s/' "$M"
sed -i "s|^verify-command = .*|verify-command = sh -c 'cat >/dev/null; sleep 1.1'\nrto = 1s|" "$M"
hf drill @"$(date -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)" shop files
exits 0 "in time"
must backup dump
hf drill latest dump
exits 1 "a source that takes longer than its rto"
says '^dump +failed .*late: it took [0-9.]+ s, and rto is 1\.0 s \(otherwise: ' "is late, and says so beside what was found"
sed -i 's/^rto = 1s$/rto = 0/; s/^rto = 1h$/rto = 1s/' "$M"
hf --json drill latest dump
exits 1 "all together longer than the rto of the host"
is "$(json 'd["verdict"], d["failed"], d["late"][:5]')" "('failed', 0, 'late:')" "is late with no source failed" || show_last

# ---- what was held so far

hf drill --history
exits 0 "the history"
says '^20.* +2 +passed ' "has those that passed"
says '^20.* +failed .* dump$' "and those that failed, with the source"
says '^20.* +failed .* late$' "or late"
sed -i 's/^rto = 1s$/drill-keep = 2/' "$M"
hf drill latest dump
is "$(find "$R/state/drills" -type f | wc -l)" 2 "no more are kept than drill-keep says"
hf --json drill --history
is "$(json 'd["verdict"]' | tail -n 1)" passed "the newest last"
echo '{' >"$R/state/drills/20200101T000000Z-1-abcd.json"
hf drill --history
exits 3 "a damaged report"
says '20200101T000000Z-1-abcd.json' "is named, and the others are listed"
# Each object in turn: what a restore elsewhere would lack fails the drill, although the state folder of this host has the same.
unseen='' lacked=0 said=0
for object in $(find "$T/packs" "$T/indexes" -type f | sort); do
  mv "$object" "$work/object"
  recover latest "$work/without" dump
  lacking=$rc
  hf drill --no-record latest dump
  if [ "$lacking" -ne 0 ]; then
    lacked=$((lacked + 1))
    [ "$rc" -eq 1 ] || unseen="$unseen $object"
    ! grep -q "^dump  *failed .*would not on a machine without this state folder: .*${object##*/}" "$work/out" || said=$((said + 1))
  fi
  mv "$work/object" "$object"
  rm -rf "$work/without"
done
ok "recover.sh wants some of the objects" test "$lacked" -ge 3
is "$unseen" '' "no drill passes without one of them"
ok "and of an index it says what is missing" test "$said" -ge 1
hf drill --no-record latest dump
exits 0 "with all of them it passes"

mv "$T/records" "$T/away"
hf drill latest dump
[ "$rc" -ne 0 ]
result $? "a drill whose target is in disorder does not pass unseen"
mv "$T/away" "$T/records"
stranger
hf --json drill latest dump
exits 0 "on another machine"
is "$(json 'd["record"]')" '' "there is no record" || show_last
done_testing
