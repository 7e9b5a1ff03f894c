#!/bin/bash
# kill9.sh - killed at any system call, a backup, restore or verify leaves a valid repository, and the next run goes on as if nothing had been.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154 # variables of lib.sh
#
# HOLDFAST_KILLS: about how many times each kind of run is killed. Default 16.
. "${SRCDIR:?}/tests/integration/lib.sh"
need strace python3 setsid timeout
# LeakSanitizer does not work under strace.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"

kills=${HOLDFAST_KILLS:-16}
make_key key 'Recipient <recipient@example.com>'
tree=$work/tree
mkdir -p "$tree/small"
for i in $(seq 120); do echo "number $i" >"$tree/small/$i"; done
head -c 30000000 /dev/urandom >"$tree/large"
target_lines='fsync = full'
new_repo main 'checkpoint = 1s' <<EOF
[source tree]
plugin = files
path = $tree
EOF
must init
cp -a "$R" "$work/empty"
must backup
cp -a "$R" "$work/pristine"

# reset STATE: the repository as it was then. The agent of the old one goes with it.
reset() {
  gpgconf --homedir "$R/state/gnupg" --kill all >/dev/null 2>&1
  rm -rf "$R"
  cp -a "$work/$1" "$R"
}

# at CALL N ARGUMENT...: run, and kill the program with SIGKILL when any of its threads makes the Nth such call. What it starts (gpg, an agent
# that stays, the source's worker) is not traced. $killed says whether it came to that.
at() {
  local call=$1 n=$2
  shift 2
  last="killed at $call $n: holdfast $*"
  local start=$SECONDS
  setsid -w timeout -s KILL 90 strace -qq -f -b execve -o "$work/strace" -e trace="$call" -e inject="$call:signal=KILL:when=$n" "$HOLDFAST" -c "$M" "$@" >"$work/out" 2>"$work/err" </dev/null
  rc=$?
  [ $((SECONDS - start)) -lt 90 ] || fault "it did not end"
  killed=no
  ! grep -q 'killed by SIGKILL' "$work/strace" || killed=yes
} 2>/dev/null # that strace dies of the same signal is no news

# after SECONDS ARGUMENT...: the same with a delay: the whole process group at once.
after() {
  local delay=$1
  shift
  last="killed after $delay s: holdfast $*"
  setsid "$HOLDFAST" -c "$M" "$@" >"$work/out" 2>"$work/err" </dev/null &
  local pid=$!
  sleep "$delay"
  killed=no
  ! kill -9 -- "-$pid" 2>/dev/null || killed=yes
  wait "$pid" 2>/dev/null
} 2>/dev/null

# calls CALL ARGUMENT...: how many such calls a run makes that is not killed; those of its busiest thread, since strace counts each by itself.
calls() {
  local call=$1
  shift
  timeout -s KILL 60 strace -qq -f -b execve -o "$work/strace" -e trace="$call" "$HOLDFAST" -c "$M" "$@" >"$work/out" 2>"$work/err" </dev/null
  awk -v call="$call" '$2 ~ "^" call "\\(" && ++n[$1] > most { most = n[$1] } END { print most + 0 }' "$work/strace"
}

bad=0 times=0
# sound: after a kill, is what is there valid, and does the next run do its work?
fault() {
  bad=$((bad + 1))
  [ "$bad" -gt 3 ] || { echo "# $last: $1" && diag "$work/err" "$work/out"; }
}
sound_repository() {
  local was=$last
  hf verify --read || { last=$was fault "verify finds something (exit code $rc)" && return; }
  hf backup || { last=$was fault "the next backup fails (exit code $rc)" && return; }
  [ "$(objects locks)" -eq 0 ] || { last=$was fault "a lock stays" && return; }
  [ -z "$(find "$R/disk" -maxdepth 1 -name '.tmp-*' ! -name '*.lock')" ] || { last=$was fault "temporary files stay" && return; }
  rm -rf "$work/r"
  hf restore latest --to "$work/r" || { last=$was fault "the next restore fails (exit code $rc)" && return; }
  describe "$tree" >"$work/want"
  describe "$(restored "$work/r" tree "$tree")" | diff "$work/want" - >"$work/diff" || { last=$was fault "the restored tree is another one" && diag "$work/diff"; }
}

edit() { # something new to store, in a small and in a large file
  echo "edit $1" >>"$tree/small/$((1 + $1 % 100))"
  head -c 3000000 /dev/urandom | dd of="$tree/large" bs=1M seek=$(($1 % 20)) conv=notrunc status=none
}

# spread N COUNT: up to COUNT numbers from 1 to N, the first and the last few among them.
spread() {
  awk -v n="$1" -v c="$2" 'BEGIN {
    if (n < 1) exit
    for (i = 0; i < c; i++) { k = 1 + int((n - 1) * i / (c > 1 ? c - 1 : 1) + 0.5); if (!(k in seen)) { seen[k] = 1; print k } }
  }'
}

report() { # NAME LEAST
  is "$bad" 0 "$1: valid each time, and the next run succeeds"
  [ "$times" -ge "$2" ]
  result $? "$1: it was killed $times times"
  bad=0 times=0
}

# ---- the first backup, killed

i=0
for call in renameat2 fdatasync pwrite64 write unlink; do
  reset empty
  n=$(calls "$call" backup)
  for k in $(spread "$n" $((kills / 8))); do
    reset empty
    at "$call" "$k" backup
    [ $killed = no ] || times=$((times + 1))
    sound_repository
  done
done
report "first backup, killed at a system call" $((kills / 4))

# ---- a later backup, on one repository, killed over and over

reset pristine
for call in renameat2 fsync fdatasync pwrite64 write sendmsg unlink; do
  edit $((i += 1))
  n=$(calls "$call" backup)
  for k in $(spread "$n" $((kills / 6))); do
    edit $((i += 1))
    at "$call" "$k" backup
    [ $killed = no ] || times=$((times + 1))
    sound_repository
  done
done
report "later backups, killed at a system call" $((kills / 4))

for k in $(seq $((kills / 2))); do
  edit $((i += 1))
  after "0.$(printf '%03d' $((k * 700 / kills)))" backup
  [ $killed = no ] || times=$((times + 1))
  sound_repository
done
report "later backups, killed at some moment" $((kills / 6))
hf verify --decrypt
exits 0 "after all that the repository is valid to the last depth"
hf list
echo "# $(grep -cE '^ *[0-9]+ ' "$work/out") snapshots"

# What a killed run had stored and indexed is not stored again: killed when the index is there and the record is not. Without checkpoints, that index
# has all of it, however slow the run is.
sed -i 's/^checkpoint = .*/checkpoint = 1h/' "$work/empty/m.ini"
reset empty
n=$(calls renameat2 backup)
for k in $(for _ in 1 2 3 4; do seq "$n" -1 1; done); do
  reset empty
  at renameat2 "$k" backup
  [ "$(objects indexes)" -eq 0 ] || [ "$(objects records)" -ne 1 ] || break
done
stored=$(objects packs)
hf backup
is "$rc $(objects packs) $(objects indexes)" "0 $stored 1" "what the killed run had indexed is not stored again ($stored packs)"

# ---- restore and verify, killed

reset pristine
for call in pwrite64 write openat; do
  rm -rf "$work/k"
  n=$(calls "$call" restore latest --to "$work/k")
  for k in $(spread "$n" $((kills / 8))); do
    rm -rf "$work/k"
    at "$call" "$k" restore latest --to "$work/k"
    [ $killed = no ] || times=$((times + 1))
    hf verify || fault "verify finds something"
    rm -rf "$work/k"
    hf restore latest --to "$work/k" || fault "the next restore fails"
  done
done
[ -z "$(find "$R/state" -newer "$work/pristine/m.ini" -name '*.tmp*')" ] || fault "temporary files stay in the state folder"
report "restore, killed" $((kills / 8))

for call in pwrite64 openat; do
  n=$(calls "$call" verify --read --decrypt)
  for k in $(spread "$n" $((kills / 8))); do
    at "$call" "$k" verify --read --decrypt
    [ $killed = no ] || times=$((times + 1))
    hf verify --read --decrypt || fault "the next verify finds something"
  done
done
report "verify, killed" $((kills / 12))
sound_repository
is "$bad" 0 "and backup and restore work as before"

# ---- interrupted, not killed: ends in order, says so

edit $((i += 1))
setsid "$HOLDFAST" -c "$M" backup >"$work/out" 2>"$work/err" </dev/null &
pid=$!
for _ in $(seq 200); do
  [ "$(objects locks)" -eq 0 ] || break
  sleep 0.01
done
kill -TERM "$pid"
wait "$pid"
rc=$?
last="holdfast backup, with SIGTERM"
exits 143 "a backup that is told to stop ends as a shell says it: 128 and the signal"
says 'stopped' "and says so"
is "$(objects locks)" 0 "its lock is gone"
sound_repository
is "$bad" 0 "and the next one succeeds"

# ---- killed in the middle of a source: its second half comes when the checkpoint of the first is due

head -c 20000000 /dev/urandom >"$work/half1"
head -c 20000000 /dev/urandom >"$work/half2"
cat >"$work/give" <<END
#!/bin/sh
cat $work/half1
sleep 2
cat $work/half2
touch $work/second
until [ -e $work/go ]; do sleep 0.02; done
END
chmod +x "$work/give"
new_repo halves 'checkpoint = 1s' <<END
[source halves]
plugin = exec
command = $work/give
stream = halves
END
must init
last="killed between two checkpoints: holdfast backup"
setsid "$HOLDFAST" -c "$M" backup >"$work/out" 2>"$work/err" </dev/null &
pid=$!
until_there "$work/second" "$pid"
sleep 0.5 # until its own notes have the checkpoint, too
kill -9 -- "-$pid"
wait "$pid" 2>/dev/null
touch "$work/go"
hf backup --json
exits 0 "killed between two checkpoints: the next backup"
is "$(json 'd["sources"][0]["bytes_new"] < 22500000 if d["type"] == "backup" else None')" True "stores no more than what came behind the first"
done_testing
