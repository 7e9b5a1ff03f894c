#!/bin/bash
# source_exec.sh - what commands print, backed up and given back to commands; a command in any kind of trouble fails its source, and no half dump is kept.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2016 # variables of lib.sh; texts for other shells
. "${SRCDIR:?}/tests/integration/lib.sh"
: "${BUILDDIR:?the folder of the build}"
need python3 sqlite3 tar pgrep

make_key key 'Recipient <recipient@example.com>'
# A number that no other process has among its arguments: what is left of this test can be told from all else.
mark=8$((RANDOM % 10))$$
tree=$work/tree
mkdir "$tree"
seq 20000 >"$tree/numbers"
head -c 300000 /dev/urandom >"$tree/random"

# ---- conformance

conforms() {
  local name=$1
  shift
  ok "conformance: $name" "$BUILDDIR/holdfast-source-conformance" "$plugins/exec.so" "$@"
}
conforms "a command" command="seq 200000" restore-command="cat"
conforms "tar" command="tar -cf - -C $tree ." stderr=ignore
conforms "shell, environment, a secret, a size of chunks" shell=yes command='"printf %s \$A\$B; seq 1000 | tail -n 10"' environment=A=1 secret=hush secret-variable=B \
  fixed-chunk=4K stream=some.thing
conforms "nothing at all, allowed" command=true empty=ok

# ---- what works

db=$work/app.db
sqlite3 "$db" 'PRAGMA journal_mode=WAL; CREATE TABLE account (id INTEGER PRIMARY KEY, cents INTEGER); CREATE TABLE log (n INTEGER);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO account SELECT i, 100 FROM n;' >/dev/null
# Moves money from one to the other for as long as it is there: at any moment the sum is the same.
cat >"$work/writer.py" <<'PY'
import os, random, sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
n = 0
while os.path.exists(sys.argv[2]):
    a, b, c = random.randint(1, 2000), random.randint(1, 2000), random.randint(1, 50)
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE account SET cents = cents - ? WHERE id = ?", (c, a))
    db.execute("UPDATE account SET cents = cents + ? WHERE id = ?", (c, b))
    db.execute("INSERT INTO log VALUES (?)", (n,))
    db.execute("COMMIT")
    n += 1
    if n == 20:
        open(sys.argv[2] + ".going", "w").close()
PY
cat >"$work/slow.py" <<'PY'
import sys, time
for i in range(8):
    sys.stdout.write("line %d\n" % i)
    sys.stdout.flush()
    time.sleep(0.1)
PY
cat >"$work/load.sh" <<SH
#!/bin/sh
set -e
rm -f '$db.new'
sqlite3 -bail '$db.new'
mv '$db.new' '$db'
rm -f '$db-wal' '$db-shm'
echo "loaded" >&2
SH
printf '# a comment\n\nTWO=from the file\nTHREE = \nTHREE="quoted \\"3\\" $x"\n' | sed '/^THREE = $/d' >"$work/env"
printf 'hush-hush-%s' "$mark" >"$work/secret"
chmod 600 "$work/secret"
chmod 755 "$work/load.sh"

new_repo good <<INI
[source archive]
plugin = exec
command = tar -cf - -C $tree .
restore-command = tar -xf - -C $work/back
verify-command = tar -tf -
stream = tree.tar

[source app]
plugin = exec
command = sqlite3 -readonly $db .dump
restore-command = $work/load.sh
verify-command = sh -c 'test "\$(sqlite3 :memory: ".read \$HOLDFAST_FILE" "SELECT sum(cents) FROM account")" = 200000'
stream = app.sql

[source large]
plugin = exec
command = head -c 134217728 /dev/zero
fixed-chunk = 1M

[source slow]
plugin = exec
command = python3 $work/slow.py

[source noisy]
plugin = exec
command = python3 -c 'import sys; [(print(i, "x" * 1000), print("words", i, "y" * 1000, file=sys.stderr)) for i in range(2000)]'

[source quiet]
plugin = exec
command = sh -c 'echo not to be seen >&2; echo out'
stderr = ignore

[source surroundings]
plugin = exec
command = sh -c 'printf "%s\n" "\$ONE" "\$TWO" "\$THREE" "\${SECRET#hush}"; pwd; cat; umask; readlink /proc/self/fd/0; echo "it is \$SECRET" >&2'
environment = ONE=first
environment = TWO=overridden
environment-file = $work/env
secret-file = $work/secret
secret-variable = SECRET
directory = $tree

[source nothing]
plugin = exec
command = true
empty = ok

[source three]
plugin = exec
command = sh -c 'echo out; exit 3'
success-exit = 0, 3

[source pipes]
plugin = exec
command = sh -c 'yes | head -n 100000'

[source bash]
plugin = exec
shell = yes
command = "printf '%s\n' a b 'c d' | tac"
INI
must init
hf check
exits 0 "check"
says "sqlite3, to the stream app.sql" "which says what program it is"
says 'slow.*without restore-command' "and what cannot be restored in place"

touch "$work/go"
python3 "$work/writer.py" "$db" "$work/go" &
writer=$!
jobs_started+=("$writer")
until [ -e "$work/go.going" ]; do sleep 0.05; done
hf backup
rm "$work/go"
wait "$writer"
exits 0 "backup of eleven commands, a writer at work"
cp "$work/err" "$work/backup.err"
says 'source noisy: command \(python3\): words 99 y' "what a command says on standard error is logged"
says_not 'words 100 y' "a hundred lines of it"
says 'source noisy: command \(python3\): 1900 more lines are not shown' "and the others are counted"
says_not 'not to be seen' "stderr = ignore"
says 'source surroundings: .*it is \*\*\*' "a secret in it is not shown"
says_not 'hush' "nowhere"
is "$(grep -rlae "hush-hush-$mark" "$R/state" "$R/disk" | wc -l)" 0 "and is in neither state nor repository"

hf restore latest --to "$work/r"
exits 0 "restore --to"
mkdir "$work/unpacked"
ok "the archive is one" tar -xf "$work/r/archive/tree.tar" -C "$work/unpacked"
ok "with everything in it" diff -r "$tree" "$work/unpacked"
is "$(sqlite3 :memory: ".read $work/r/app/app.sql" 'SELECT sum(cents), count(*) > 19 FROM account, (SELECT count(*) AS n FROM log) WHERE id <= 2000')" '200000|1' \
  "the dump is of one moment"
is "$(stat -c %s "$work/r/large/output") $(tr -d '\0' <"$work/r/large/output" | wc -c)" '134217728 0' "the large output"
is "$(cat "$work/r/slow/output")" "$(printf 'line %d\n' 0 1 2 3 4 5 6 7)" "the slow one"
is "$(cut -d' ' -f1 "$work/r/noisy/output" | md5sum)" "$(seq 0 1999 | md5sum)" "the noisy one"
printf '%s\n' first overridden 'quoted "3" $x' "-hush-$mark" "$tree" 0077 /dev/null >"$work/want"
ok "environment, secret, folder, umask, standard input" cmp "$work/want" "$work/r/surroundings/output"
is "$(stat -c %s "$work/r/nothing/output")" 0 "nothing, with empty = ok"
is "$(cat "$work/r/three/output")" out "an exit code that counts as success"
is "$(wc -l <"$work/r/pipes/output")" 100000 "a broken pipe within the command is its own affair"
is "$(cat "$work/r/bash/output")" "$(printf '%s\n' 'c d' b a)" "shell = yes"
hf cat latest app app.sql
ok "cat" cmp "$work/out" "$work/r/app/app.sql"
recover latest "$work/rec"
exits 0 "recover.sh"
ok "gives the same" diff -r "$work/r" "$work/rec"
hf verify --read --decrypt
exits 0 "verify"

# ---- drill

hf drill latest archive app quiet
exits 0 "drill"
says 'archive.*bytes; verify-command \(tar\) finds them good' "asks the verify-command"
says 'app.*finds them good' "which may want a file"
says 'quiet.*4 bytes.*no verify-command' "and says where there is none"

# ---- in place

mkdir "$work/back"
sqlite3 "$db" 'DELETE FROM account WHERE id > 10'
hf restore latest app archive --in-place --yes
exits 0 "restore --in-place"
says 'restore-command \(load.sh\): loaded' "with what the command says"
is "$(sqlite3 "$db" 'SELECT sum(cents), count(*) FROM account')" '200000|2000' "the database is back"
ok "and the folder" diff -r "$tree" "$work/back"
copy=$(find "$R/state/safety" -name '*app.sql')
is "$(sqlite3 :memory: ".read $copy" 'SELECT count(*) FROM account')" 10 "what was there before is in the safety copy"
hf restore latest slow --in-place --yes
exits 1 "no restore-command: exit code 1"
says 'source slow: there is no restore-command' "and the message says so"

# replaced KEY VALUE: the restore-command of source app, from here on.
replaced() { sed -i "/^\[source app\]/,/^\[/ s|^$1 = .*|$1 = $2|" "$M"; }
replaced restore-command "sh -c 'head -c 10 >$work/first10'"
hf restore latest app --in-place --yes
exits 0 "a command that does not want all of its input"
is "$(cat "$work/first10")" "$(head -c 10 "$work/r/app/app.sql")" "gets what it wants"
replaced restore-command "sh -c 'cat >/dev/null; echo one >\&2; echo no such table >\&2; exit 4'"
hf restore latest app --in-place --yes
exits 1 "a restore-command that fails: exit code 1"
is "$(grep -c 'source app: restore-command (sh): ended with exit code 4: no such table' "$work/err")" 1 "and its last words" || show_last
sed -i 's/^stream = app.sql$/&\ntime-limit = 1s/' "$M"
replaced restore-command "sh -c 'cat >/dev/null; sleep 7$mark; sleep 7$mark'"
hf restore latest app --in-place --yes
exits 1 "a restore-command that does not end: exit code 1"
says 'source app: restore-command \(sh\): not done after time-limit = 1s' "and why"
sed -i '/^time-limit = 1s$/d' "$M"
replaced restore-command /nowhere/load
hf restore latest app --in-place --yes
exits 1 "a restore-command that is not there: exit code 1"
says 'restore-command: there is no program /nowhere/load' "and it is named"
replaced restore-command "sh -c 'touch $work/begun'"
replaced command "sh -c 'echo server is down >\&2; exit 2'"
hf restore latest app --in-place --yes
exits 1 "no safety copy: exit code 1"
says 'safety copy of source app: .*exit code 2: server is down' "which is said"
ok "and the restore-command does not run" test ! -e "$work/begun"
replaced command "seq 10"
replaced verify-command "sh -c 'echo line 7 is odd >\&2; exit 1'"
hf drill latest app
exits 1 "a verify-command that fails: exit code 1"
says 'app.*verify-command \(sh\): ended with exit code 1: line 7 is odd' "and its last words"
if [ "$(id -u)" -eq 0 ]; then
  mkdir "$work/full"
  mount -t tmpfs -o size=64k tmpfs "$work/full" && mounts+=("$work/full")
  TMPDIR=$work/full hf restore latest app --in-place --yes
  exits 1 "no room for the temporary file: exit code 1"
  says "$work/full: No space left on device" "and where is said"
  ok "and the restore-command does not run" test ! -e "$work/begun"
fi
# The packs of all sources but the archive's go.
hf restore latest app --in-place --yes
ok "with all its data the restore-command runs" test -e "$work/begun"
rm "$work/begun"
find "$T/packs" -type f -exec rm {} +
hf restore latest app --in-place --yes
[ "$rc" -ne 0 ]
result $? "data that is lost: not restored" || show_last
ok "and the restore-command does not run" test ! -e "$work/begun"

# ---- what does not work: each costs its own source

cat >"$work/half.py" <<'PY'
import sys
sys.stdout.write("INSERT INTO t VALUES (1);\n" * 100000)
sys.stdout.flush()
raise ConnectionError("server has gone away")
PY
printf 'GOOD=1\nnot good\n' >"$work/badenv"
n_bad=0
expected=()
# bad NAME REGEX LINE...: a source that must fail with one message that matches.
bad() {
  local name=$1
  expected+=("$name" "$2")
  shift 2
  n_bad=$((n_bad + 1))
  printf '[source %s]\nplugin = exec\n' "$name"
  printf '%s\n' "$@"
}
{
  bad nosuch 'command: there is no program no-such-program on PATH' 'command = no-such-program'
  bad nopath 'command: there is no program /usr/bin/no-such-program' 'command = /usr/bin/no-such-program -x'
  bad nodir 'directory = /no/such/folder: No such file' 'command = echo x' 'directory = /no/such/folder'
  bad notprog 'command: there is no program .*/numbers that this account may run' "command = $tree/numbers"
  bad half 'command \(python3\): ended with exit code 1: ConnectionError: server has gone away' "command = python3 $work/half.py" 'stderr = ignore'
  bad killed 'command \(sh\): ended by signal 9 \(SIGKILL\)' "command = sh -c 'seq 100000; kill -9 \$\$'"
  bad nothing 'command \(true\): printed nothing.*empty = ok' 'command = true'
  bad onlywords 'command \(sh\): printed nothing.*no such schema' "command = sh -c 'echo no such schema >&2'" 'stderr = ignore'
  bad limit 'command \(sh\): not done after time-limit = 1s' "command = sh -c 'echo x; sleep 1$mark | sleep 2$mark'" 'time-limit = 1s'
  bad silent 'no progress for 2 s' "command = sh -c 'sleep 3$mark | sleep 4$mark'" 'timeout = 2s'
  bad deaf 'command \(sh\): not done after time-limit = 1s' "command = sh -c 'trap \"\" TERM; sleep 5$mark; sleep 5$mark'" 'time-limit = 1s'
  bad leftover 'command \(sh\): has ended, but a process that it left behind' "command = sh -c 'echo x; sleep 6$mark &'"
  bad code 'command \(sh\): ended with exit code 3$' "command = sh -c 'echo x; exit 3'" 'success-exit = 0' 'success-exit = 1, 2'
  bad zero 'command \(echo\): ended with exit code 0' 'command = echo x' 'success-exit = 7'
  bad pipe 'command \(bash\): ended with exit code 7' 'shell = yes' 'command = "(seq 100000; exit 7) | cat"'
  bad sigpipe 'command \(bash\): ended by signal 13 \(SIGPIPE\)' 'shell = yes' 'command = "yes | head -n 10"'
  bad control 'command \(sh\): ended with exit code 1: bad \?\[31mred\?' "command = sh -c 'printf \"bad \\033[31mred\\001\\n\\n\" >&2; exit 1'" 'stderr = ignore'
  bad longline 'command \(sh\): ended with exit code 1: a{400}\.\.\.$' "command = sh -c 'head -c 100000 /dev/zero | tr \"\\0\" a >&2; exit 1'" 'stderr = ignore'
  bad secretive 'command \(sh\): ended with exit code 1: password \*\*\* refused' "command = sh -c 'echo password \$PW refused >&2; exit 1'" 'stderr = ignore' "secret-file = $work/secret" \
    'secret-variable = PW'
  bad envfile "environment-file = $work/badenv: line 2: write NAME=VALUE" 'command = echo x' "environment-file = $work/badenv"
  bad noenvfile 'environment-file = /no/such/file: No such file' 'command = echo x' 'environment-file = /no/such/file'
  bad envname 'environment: number 1 is not NAME=VALUE' 'command = echo x' 'environment = 1X=hush'
  bad nosecret 'secret-variable = PW: there is no secret' 'command = echo x' 'secret-variable = PW'
  bad novariable 'secret is given without secret-variable' 'command = echo x' "secret-file = $work/secret"
  bad stream 'stream = \.\./up: a name has' 'command = echo x' 'stream = ../up'
  bad exitcode 'success-exit = 256: write an exit code' 'command = echo x' 'success-exit = 256'
  bad chunk 'fixed-chunk: from 4K to 4M' 'command = echo x' 'fixed-chunk = 8M'
  bad words 'command: with shell = yes it is one text' 'command = echo x' 'shell = yes'
  printf '[source tree]\nplugin = files\npath = %s\n' "$tree"
} >"$work/bad.ini"
# Not in a pipe: the lists are needed here.
new_repo bad <"$work/bad.ini"
must init
hf backup
exits 3 "$n_bad sources in trouble: exit code 3"
for ((i = 0; i < ${#expected[@]}; i += 2)); do
  name=${expected[i]}
  [ "$(grep -c "source $name: " "$work/err")" -eq 1 ] && grep -Eq "source $name: (output: cannot [a-z]+: )?${expected[i + 1]}" "$work/err"
  result $? "$name: one clear message" || grep "source $name: " "$work/err" | cut -b 1-300 | sed 's/^/# /'
done
says_not "hush-hush" "no secret is shown"
is "$(pgrep -f "sleep [1-6]$mark" | wc -l)" 0 "no process stays" || pgrep -af "sleep [1-6]$mark" | sed 's/^/# /'
# Stopped while a command is at work.
cp "$M" "$R/whole.ini"
printf '\n[source waiting]\nplugin = exec\ncommand = sh -c "echo x; sleep 8%s | sleep 9%s"\n' "$mark" "$mark" >>"$M"
"$HOLDFAST" -c "$M" backup waiting >"$work/out" 2>"$work/err" </dev/null &
stopped=$!
jobs_started+=("$stopped")
until [ "$(pgrep -f "^sleep [89]$mark" | wc -l)" -eq 2 ]; do
  kill -0 "$stopped" 2>/dev/null || break
  sleep 0.05
done
kill -TERM "$stopped"
wait "$stopped"
is $? 143 "a run that is stopped: exit code 143"
says 'stopped' "which is said"
is "$(pgrep -f "sleep [1-9]$mark" | wc -l)" 0 "no process stays" || pgrep -af "sleep [1-9]$mark" | sed 's/^/# /'
mv "$R/whole.ini" "$M"
hf list --json
is "$(json 'sum(s["status"] == "failed" for s in d["sources"]) if d["type"] == "snapshot" else None')" "$n_bad" "they are marked as failed"
for name in half killed limit; do
  hf restore latest "$name" --to "$work/none"
  [ "$rc" -ne 0 ]
  result $? "$name: nothing of it can be restored" || show_last
done
hf restore latest tree --to "$work/rt"
exits 0 "the other source is committed"
ok "whole" diff -r "$tree" "$(restored "$work/rt" tree "$tree")"
hf verify --read --decrypt
exits 0 "the repository is valid"
done_testing
