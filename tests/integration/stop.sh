#!/bin/bash
# stop.sh - commands that are told to stop: they end in order, say so, keep what they have stored, leave no lock; the second signal ends them at once.
# SPDX-License-Identifier: Apache-2.0
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2154
. "${SRCDIR:?the folder of the sources}/tests/integration/lib.sh"
need python3
flaky_plugin
make_key key 'Recipient <recipient@example.com>'

# start ARGUMENT...: run it in the background, with signals as at a terminal; $pid.
start() {
  last="holdfast $*"
  rm -f "$work/stalled" "$work/stalled.told"
  env --default-signal=INT,HUP "$HOLDFAST" -c "$M" "$@" >"$work/out" 2>"$work/err" </dev/null &
  pid=$!
  jobs_started+=("$pid")
}
# ended: $rc, once it is.
ended() {
  wait "$pid"
  rc=$?
}

# ---- backup: what was stored is kept, hooks come after, the lock goes

mkdir "$work/data"
echo one >"$work/data/one"
cat >"$work/give" <<'END'
#!/bin/sh
# What is asked for, and then nothing until there is a word.
cat "$1"
until [ -e "$1.go" ]; do sleep 0.02; done
END
chmod +x "$work/give"
head -c 80000000 /dev/urandom >"$work/large"
new_repo main 'checkpoint = 1h' <<END
[source large]
plugin = exec
command = $work/give $work/large
stream = large
before = touch $work/before
after = touch $work/after
[source data]
plugin = files
path = $work/data
after = touch $work/never
END
must init
start backup
while [ "$(objects packs)" -lt 3 ] && kill -0 "$pid"; do sleep 0.02; done
kill -TERM "$pid"
ended
exits 143 "backup, SIGTERM: the exit code says it"
run_log=$(find "$R/state/runs" -name '*.log' | sort -V | tail -n 1)
grep -q '\[holdfast testhost\] backup was stopped$' "$run_log" && grep -q 'exit code 143$' "$run_log"
result $? "and so does what is noted of the run" || diag "$run_log"
says 'stopped; what was stored is kept' "and a message"
ok "the hook that comes after has run" test -e "$work/before" -a -e "$work/after"
ok "the sources behind it were not begun" test ! -e "$work/never"
is "$(objects locks) $(objects records)" "0 1" "no lock is left, and there is no snapshot"
is "$(objects indexes)" 1 "what was stored is in an index"
hf verify --read
exits 0 "verify finds nothing"
touch "$work/large.go"
hf backup --json
exits 0 "the next backup"
ok "stores again less than half of it" test "$(json 'd["sources"][0]["bytes_new"] if d["type"] == "backup" else None')" -lt 40000000
rm -rf "$work/r"
must restore latest --to "$work/r"
ok "and is whole" cmp "$work/large" "$work/r/large/large"

for sig in INT:130 HUP:129; do
  rm -f "$work/large.go" "$work/before" "$work/after"
  echo "$sig" >>"$work/large"
  start backup
  until_there "$work/before" "$pid"
  kill -"${sig%:*}" "$pid"
  ended
  exits "${sig#*:}" "backup, SIG${sig%:*}"
  ok "the hook that comes after has run" test -e "$work/after"
  is "$(objects locks)" 0 "no lock is left"
done
start -v --json backup
while [ "$(objects locks)" -eq 0 ] && kill -0 "$pid"; do sleep 0.02; done
kill -TERM "$pid"
ended
is "$(json 'd["code"] if d["type"] == "error" else None')" canceled "as JSON"

# ---- restore, verify, sync, stopped in the middle of a transfer: the target waits for the signal

sed -i 's/plugin = local/plugin = flaky/' "$M"
cat >>"$M" <<END

[target second]
plugin = flaky
path = $R/second
fsync = none
END
touch "$work/large.go"
hf init
exits 3 "a second target, which is behind"
cp -a "$R/second" "$work/second.empty"
hf backup
exits 0 "a snapshot, for which it catches up"
# stopped KINDS COMMAND...: count those calls of a whole run; then stop one in the middle of them. What the run leaves is removed by `fresh`.
stopped() {
  local kinds=$1 n
  shift
  fresh
  FLAKY="$kinds 1000000 0 0" FLAKY_COUNT=$work/count hf "$@" || { result 1 "preparation: $last" && show_last; }
  n=$(cat "$work/count")
  fresh
  FLAKY_STALL="$kinds $((n > 1 ? n - 1 : 1)) $work/stalled" start "$@"
  until_there "$work/stalled" "$pid"
  kill -TERM "$pid"
  ended
  exits 143 "$1, SIGTERM"
  says 'stopped' "it says so"
  is "$(objects locks) $(find "$R/second/testhost/locks" -type f 2>/dev/null | wc -l)" "0 0" "no lock is left"
}

fresh() {
  rm -rf "$R/second"
  cp -a "$work/second.empty" "$R/second"
}
stopped p sync
copied=$(find "$R/second" -type f | wc -l)
hf sync --json
exits 0 "the next sync"
is "$(json 'd["copied"] if d["type"] == "target" and d["target"] == "disk" else None')" 0 "has nothing to do at the one"
[ "$(json 'd["copied"] if d["type"] == "target" and d["target"] == "second" else None')" -lt "$copied" ]
result $? "and at the other only what was not there yet"
hf verify --read
exits 0 "and both hold everything"

fresh() { rm -rf "$work/r"; }
stopped g restore latest --to "$work/r" --target disk
hf restore latest --to "$work/r2"
exits 0 "the next restore"
ok "is whole" cmp "$work/large" "$work/r2/large/large"
stopped g verify --read --target disk
hf verify --read
exits 0 "the next verify"

# ---- a call that hears nothing: the first signal is noted, the second ends

echo more >>"$work/large"
FLAKY_STALL="p 3 $work/stalled deaf" start backup
until_there "$work/stalled" "$pid"
kill -TERM "$pid"
until_there "$work/stalled.told" "$pid"
ok "one signal does not end what hears nothing" kill -0 "$pid"
kill -TERM "$pid"
wait "$pid" 2>/dev/null
rc=$?
exits 143 "the second does" 2>/dev/null
says_not 'stopped' "without another word"
hf backup
exits 0 "the next backup takes its lock over"
is "$(objects locks)" 0 "and leaves none"
hf verify --read
exits 0 "the repository is valid"
done_testing
