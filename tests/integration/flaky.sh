#!/bin/bash
# flaky.sh - a target whose calls fail one by one, in every command: a clear message, the right exit code, nothing lost, and all is well afterwards.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034,SC2086 # variables of lib.sh; flags and commands are words
. "${SRCDIR:?}/tests/integration/lib.sh"
need python3 gpg

flaky_plugin
make_key key 'Recipient <recipient@example.com>'
tree=$work/tree
mkdir "$tree"
for i in 1 2 3; do echo "number $i" >"$tree/$i"; done
head -c 300000 /dev/urandom >"$tree/large"
change() {
  echo "$1" >"$tree/1"
  head -c 300000 /dev/urandom >"$tree/large"
}

# failing PLAN ARGUMENT...: hf with the target failing so.
failing() {
  local plan=$1
  shift
  export FLAKY=$plan FLAKY_COUNT=$work/count
  hf "$@"
  unset FLAKY FLAKY_COUNT
}
# number KINDS ARGUMENT...: $calls is how many such calls a run makes.
number() {
  failing "$1 1000000 0 0" "${@:2}"
  calls=$(cat "$work/count")
}
# clean_and_whole: verify finds nothing, the newest snapshot is the tree, no lock is left.
clean_and_whole() {
  hf verify --read --decrypt || return 1
  rm -rf "$work/r"
  hf restore latest tree --to "$work/r" && diff -r "$tree" "$(restored "$work/r" tree "$tree")" >/dev/null && [ "$(objects locks)" -eq 0 ]
}

new_repo one <<END
[source tree]
plugin = files
path = $tree
END
sed -i 's/plugin = local/plugin = flaky/' "$M"

# ---- init: each call of it fails, and all that follow; then it is run again

number pglsr init
exits 0 "init with a target that works"
n=$calls bad=0 said=0
for ((i = 1; i <= n; i++)); do
  rm -rf "${R:?}/state" "${R:?}/disk"
  failing "pglsr $i 1000 -1" init
  [ $rc -eq 1 ] || { bad=$((bad + 1)) && show_last; }
  grep -q 'as it was told' "$work/err" && said=$((said + 1))
  hf init || { bad=$((bad + 1)) && show_last; }
done
is "$bad" 0 "init fails at each of its $n calls with exit code 1, and can be run again"
is "$said" "$n" "and says why, each time"
[ "$n" -ge 5 ]
result $? "there are as many calls as there must be"

# ---- backup: each call fails, and all that follow, with each class in turn

classes=(-1 -2 -3 -5 -7 -8 -9 -10 -12 -13)
number pgls backup
exits 0 "backup"
n=$calls bad=0 lost=0 quiet=0
for ((i = 1; i <= n; i++)); do
  change "generation $i"
  before=$(objects records)
  failing "pgls $i 1000 ${classes[i % ${#classes[@]}]}" backup
  [ $rc -eq 1 ] || { bad=$((bad + 1)) && show_last; }
  grep -q 'target disk: ' "$work/err" || { quiet=$((quiet + 1)) && show_last; }
  [ "$(objects records)" -eq "$before" ] || bad=$((bad + 1))
  { hf backup && clean_and_whole; } || { lost=$((lost + 1)) && show_last; }
done
is "$bad" 0 "backup fails at each of its $n calls with exit code 1, and there is no snapshot"
is "$quiet" 0 "and names the target, each time"
is "$lost" 0 "the next one succeeds and is whole"

# What gets there although the put seems to fail must not be taken for somebody else's.
change once
number p backup
n=$calls bad=0
for ((i = 1; i <= n; i++)); do
  change "after $i"
  failing "p $i 1 -6 after" backup
  [ $rc -eq 0 ] || { bad=$((bad + 1)) && show_last; }
done
is "$bad" 0 "each of the $n puts done, but answered with a transient failure: the backup succeeds"
ok "and is whole" clean_and_whole

# The lock cannot be taken away.
failing "r 1 1000 -1" backup
exits 0 "the lock stays behind: the backup succeeds"
says 'cannot delete locks/' "which is said"
hf backup
exits 0 "and the next one takes it over"
is "$(objects locks)" 0 "no lock stays"

# ---- what reads: a call that fails ends in an error, or is survived; never in wrong data

for command in "verify --read" "verify --decrypt" list "ls latest tree" "cat latest tree $tree/large" "restore latest tree --to $work/back"; do
  rm -rf "$work/back"
  number gls $command
  exits 0 "${command%% *} with a target that works"
  n=$calls bad=0
  for ((i = 1; i <= n; i += n / 10 + 1)); do
    rm -rf "$work/back"
    failing "gls $i 1000 -3" $command
    case $rc:$command in
      0:verify*) bad=$((bad + 1)) ;;
      0:restore*) diff -r "$tree" "$(restored "$work/back" tree "$tree")" >/dev/null || bad=$((bad + 1)) ;;
      0:cat*) cmp -s "$tree/large" "$work/out" || bad=$((bad + 1)) ;;
      0:*) ;;
      [13]:*) grep -q 'disk' "$work/err" "$work/out" || { bad=$((bad + 1)) && show_last; } ;;
      *) bad=$((bad + 1)) && show_last ;;
    esac
  done
  is "$bad" 0 "${command%% --to*}: an orderly end wherever in its $n calls"
done
ok "nothing was changed by it" clean_and_whole
# ---- check: what a target does not do is said

new_repo checked <<END
[source tree]
plugin = files
path = $tree
END
sed -i 's/plugin = local/plugin = flaky/' "$M"
must init
failing "p 1 1 -5" check
exits 1 "check of a target that takes nothing"
says 'failed +target disk: .*cannot store check/.*as it was told' "says so"
failing "r 1 1 -5" check
exits 0 "check of one that deletes nothing"
says 'warning +target disk: nothing can be deleted there' "warns"
is "$(objects check)" 1 "the object stays"
cp "$M" "$R/plain.ini"
echo 'keep-daily = 7' >>"$M"
failing "r 1 1 -5" check
exits 1 "where retention asks for deletion it is a failure"
says 'failed +target disk: nothing can be deleted there.*which the manifest asks for' "which is said"
mv "$R/plain.ini" "$M"
number g check
failing "g $calls 1 -8" check
exits 1 "check of one that does not give back what was stored"
failing "p 1 1 -5" check --no-write
exits 0 "check that writes nothing does not find out"
done_testing
