#!/bin/bash
# hooks.sh - the admin's commands before and after backups and restores: order, environment, failures, limits.
# SPDX-License-Identifier: Apache-2.0
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "${SRCDIR:?the folder of the sources}/tests/integration/lib.sh"

make_key key 'Hooks <hooks@example.com>'
mkdir "$work/data"
echo one >"$work/data/a"

# A program that notes what it is told, and ends as it is told.
cat >"$work/note" <<'END'
#!/bin/sh
echo "$1 hook=$HOLDFAST_HOOK source=$HOLDFAST_SOURCE plugin=$HOLDFAST_SOURCE_PLUGIN host=$HOLDFAST_HOST status=${HOLDFAST_STATUS-none} label=${HOLDFAST_LABEL-none} snapshot=${HOLDFAST_SNAPSHOT-none} files=${HOLDFAST_FILES-none} error=${HOLDFAST_ERROR-none}" >>"$LOG"
[ -z "$3" ] || echo "$3" >&2
exit "${2:-0}"
END
chmod +x "$work/note"
export LOG=$work/log

# ---- a run in which all is well

new_repo good <<END
[source data]
plugin = files
path = $work/data
before = $work/note "first word"
before = $work/note second
after = $work/note done 0 'a word on the way'
on-failure = $work/note never
restore-before = $work/note stop
restore-after = $work/note start
END
must init
: >"$LOG"
hf backup --label 'a label'
exits 0 "a backup with hooks"
says 'a word on the way' "what a hook says on standard error is passed on"
is "$(cut -d ' ' -f 1,2 "$LOG" | tr '\n' ' ')" 'first word second hook=before done hook=after ' "before, in order; then after; on-failure not at all"
ok "before knows source, plugin, host and label" grep -q 'first word hook=before source=data plugin=files host=testhost status=none label=a label' "$LOG"
ok "after knows how it went" grep -q 'done hook=after .* status=complete .* files=1 error=none' "$LOG"
: >"$LOG"
hf backup -n
exits 0 "a dry run"
is "$(cat "$LOG")" '' "runs no hook"

: >"$LOG"
hf restore latest --to "$work/restored"
is "$rc $(cat "$LOG")" '0 ' "restoring to a folder runs no hook"
echo changed >"$work/data/a"
hf restore latest --in-place --yes
exits 0 "a restore in place with hooks"
is "$(cut -d ' ' -f 1 "$LOG" | tr '\n' ' ')" 'stop start ' "restore-before, then restore-after"
ok "restore-before knows the snapshot" grep -q 'stop hook=restore-before .* snapshot=2' "$LOG"
ok "restore-after knows how it went" grep -q 'start hook=restore-after .* status=complete' "$LOG"
is "$(cat "$work/data/a")" one "and what was changed is back"

# ---- hooks that fail

hooks() { # NAME LINE...: a repository with two sources, the first of which has these lines
  local name=$1
  shift
  new_repo "$name" <<END
[source data]
plugin = files
path = $work/data
$(printf '%s\n' "$@")
[source other]
plugin = files
path = $work/data
END
  : >"$LOG"
}

hooks before "before = $work/note a 7 'out of order'" "before = $work/note b" "after = $work/note c" "on-failure = $work/note d"
must init
hf backup
exits 3 "a before that fails costs its source"
says 'source data: before: the command .*/note ended with exit code 7: out of order' "and says so, with its last words"
is "$(cut -d ' ' -f 1 "$LOG" | tr '\n' ' ')" 'a d c ' "what follows it in before is not run; on-failure and after are"
ok "on-failure knows why" grep -q 'd hook=on-failure .* status=failed .* error=before: the command .* out of order' "$LOG"
hf --json list
is "$(json '" ".join(s["name"] + "=" + s["status"] for s in d["sources"])')" 'data=failed other=complete' "the record has it, and the other source"

hooks after "after = $work/note a 1 'not started'"
must init
hf backup
exits 3 "an after that fails makes the run one done in part"
says 'source data: after: the command .* not started' "and says so"
hf --json list
is "$(json '" ".join(s["name"] + "=" + s["status"] for s in d["sources"])')" 'data=partial other=complete' "what was read is kept"

hooks gone "before = /no/such/program"
must init
hf backup
exits 3 "a hook that cannot be started costs its source"
says 'source data: before: .*/no/such/program' "and is named"

hooks slow 'before = sleep 60' 'hook-timeout = 1s'
must init
hf backup
exits 3 "a hook that takes too long is ended"
says 'source data: before: sleep took longer than 1 s and was ended' "and named"

hooks restore "restore-before = $work/note a 1 'cannot stop it'" "restore-after = $work/note b"
must init
must backup
: >"$LOG"
echo changed >"$work/data/a"
hf restore latest data --in-place --yes
exits 1 "a restore-before that fails prevents the restore"
says 'source data: restore-before: the command .* cannot stop it' "and says so"
is "$(cat "$work/data/a") $(cut -d ' ' -f 1 "$LOG" | tr '\n' ' ')" 'changed a b ' "nothing was changed, and restore-after was run"
hf restore latest --in-place --yes
exits 3 "with another source that can be restored, it is done in part"
is "$(cat "$work/data/a")" one "and that one is"

# ---- what hooks print

hooks words "before = sh -c 'echo one; echo two >&2; echo three >&2; exit 7'"
must init
hf backup data
exits 1 "a hook that fails, and has said more than one line"
run_log=$(find "$R/state/runs" -name '*.log')
is "$(sed -n 's/.* source data: before: \(one\|two\|three\)$/\1/p' "$run_log" | tr '\n' ' ')" 'one two three ' "all of it is in the run's log"
hooks slow "before = sh -c 'echo waiting for a lock >&2; sleep 60'" 'hook-timeout = 1s'
must init
hf backup data
exits 1 "a hook that does not end"
says 'source data: before: waiting for a lock' "what it said is passed on all the same"
hooks much "before = sh -c 'yes | head -n 500000'"
must init
mv "$work/data" "$work/gone"
hf backup
exits 1 "a hook that prints more than a log takes"
mv "$work/gone" "$work/data"
run_log=$(find "$R/state/runs" -name '*.log')
[ "$(stat -c %s "$run_log")" -le $((8 << 20)) ] && grep -q 'the log is as large as it may be' "$run_log"
result $? "the log has its bound" || ls -l "$run_log"
ok "and still says what went wrong" grep -q 'error: source other: ' "$run_log"
ok "and what came of the run" grep -q '\[holdfast testhost\] backup FAILED' "$run_log"

# ---- the manifest

for bad in "before = 'open" 'hook-timeout = 0'; do
  hooks "bad${#bad}" "$bad"
  hf check
  exits 2 "refused: $bad"
done
says 'hook-timeout: at least 1s' "with what would be right"

# ---- a run that is stopped starts again what it has stopped

hooks stopped 'before = sh -c "echo $$ >'"$work"'/pid; sleep 3"' "after = $work/note started"
must init
"$HOLDFAST" -c "$M" backup >"$work/out" 2>"$work/err" </dev/null &
pid=$!
while [ ! -s "$work/pid" ]; do sleep 0.05; done
kill -TERM "$pid"
wait "$pid"
rc=$? last='holdfast backup, stopped'
exits 143 "a run that is stopped in a hook"
ok "runs what is to come after" grep -q 'started hook=after .* status=failed' "$LOG"
done_testing
