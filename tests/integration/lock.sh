#!/bin/bash
# lock.sh - two runs at once: the second is refused or waits, as it was asked to, and is told who holds the lock.
# SPDX-License-Identifier: Apache-2.0
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2154
. "${SRCDIR:?the folder of the sources}/tests/integration/lib.sh"
need python3
make_key key 'Recipient <recipient@example.com>'

cat >"$work/slow" <<'END'
#!/bin/sh
touch "$1/started"
until [ -e "$1/go" ]; do sleep 0.02; done
echo done
END
chmod +x "$work/slow"
new_repo main 'lock-wait = 1h' <<END
[source slow]
plugin = exec
command = $work/slow $work
END
must init

# begin NAME ARGUMENT...: a run in the background; its process id goes to $pid, its outputs to $work/NAME.out and .err.
begin() {
  local name=$1
  shift
  : >"$work/$name.err" # nobody is to see what an earlier one said: a signal that comes before there is a handler ends nothing
  "$HOLDFAST" -c "$M" "$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null &
  pid=$!
  jobs_started+=("$pid")
}
# first: one that holds the locks until $work/go is there.
first() {
  rm -f "$work/started" "$work/go"
  begin first backup
  first=$pid
  until_there "$work/started" "$first"
}
when='since 20[0-9-]+T[0-9:]+Z'

# ---- the same state folder

first
hf --lock-wait 0 backup
exits 1 "a second run that may not wait is refused"
says "another holdfast works on this host's repository: .*/lock is locked by holdfast backup \(process $first, $when\)" "and told who holds the lock, and since when"
hf --json sync --lock-wait 0
is "$(json 'd["code"]')" exists "as JSON, with the option behind the command"
hf list
exits 0 "reading does not wait"
begin second backup
second=$pid
until_said "waiting for holdfast backup \(process $first, $when\), at most 1h" "$work/second.err" "$second"
result $? "the manifest says that it waits: it says for whom" || diag "$work/second.err"
begin third --lock-wait 2h backup
third=$pid
until_said 'at most 2h' "$work/third.err" "$third"
result $? "the option counts more" || diag "$work/third.err"
kill -TERM "$third"
wait "$third"
is "$?" 143 "who waits can be stopped"
touch "$work/go"
wait "$first"
is "$?" 0 "the first ends well"
wait "$second"
is "$?" 0 "the second after it" || diag "$work/second.err"
hf list --json
is "$(json 'd["seq"] if d["type"] == "snapshot" else None' | tr '\n' ' ')" '2 3 ' "both took a snapshot"
hf --lock-wait soon backup
exits 2 "a time to wait that is none"
says 'lock-wait.*soon' "is named"

# ---- another state folder, as on another machine that takes itself for this host: the lock objects at the target

gpgconf --homedir "$R/state/gnupg" --kill all
cp -a "$R/state" "$R/twin"
sed "s|^state = .*|state = $R/twin|" "$M" >"$R/twin.ini"
first
M=$R/twin.ini
hf --lock-wait 0 backup
exits 1 "another machine is refused, too"
says "target disk: the repository of testhost is being written by another machine or user \(holdfast backup, process $first on .*, $when; lock until" "and told by whom"
is "$(objects locks)" 1 "its own lock is gone again"
begin second backup
second=$pid
until_said "waiting: target disk: the repository of testhost is being written .* process $first" "$work/second.err" "$second"
result $? "or waits" || diag "$work/second.err"
begin third backup
third=$pid
until_said "waiting for holdfast backup \(process $second" "$work/third.err" "$third"
result $? "and another of its own waits for it" || diag "$work/third.err"
kill -TERM "$third"
wait "$third"
touch "$work/go"
wait "$first"
is "$?" 0 "the first ends well"
wait "$second"
is "$?" 0 "then the other does its work" || diag "$work/second.err"
is "$(objects locks)" 0 "no lock is left"
hf list --json
is "$(json 'd["seq"] if d["type"] == "snapshot" else None' | tr '\n' ' ')" '2 3 4 5 ' "all took a snapshot"

first
begin second backup
second=$pid
M=$R/m.ini
until_said "waiting" "$work/second.err" "$second"
kill -TERM "$second"
wait "$second"
is "$?" 143 "who waits there can be stopped as well"
touch "$work/go"
wait "$first"
is "$(objects locks)" 0 "and leaves no lock"
done_testing
