#!/bin/bash
# lastcopy.sh - the last copy of what is still wanted is not deleted: records that cannot be read, a state that was lost, targets that come and go.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034 # variables of lib.sh
. "${SRCDIR:?}/tests/integration/lib.sh"
need python3 gpg faketime
flaky_plugin
make_key key 'Recipient <recipient@example.com>'
tree=$work/tree
mkdir "$tree"
# repo NAME [LINE...]: one source; target disk keeps the newest only, target far all.
repo() {
  new_repo "$@" <<END
[source tree]
plugin = files
path = $tree
END
  sed -i 's/^\[target disk\]/&\nkeep-last = 1/' "$M"
  printf '[target far]\nplugin = local\npath = %s\nfsync = none\n' "$R/far" >>"$M"
}
fresh() { head -c 300000 /dev/urandom >"$tree/large"; }
packs_of() { find "$R/$1/testhost/packs" -type f | wc -l; }
held() {
  hf --json list --target "$1"
  json 'd["seq"]' | paste -sd ' '
}

# ---- the newest record is one that this state does not know of, and cannot be read for now

new_repo unread <<END
[source tree]
plugin = files
path = $tree
END
sed -i 's/^plugin = local/plugin = flaky\nretries = 0\nkeep-last = 9/' "$M"
must init
fresh
must backup
cp -a "$R/state" "$R/state.before"
fresh
must backup
gpgconf --homedir "$R/state/gnupg" --kill all
rm -rf "$R/state"
mv "$R/state.before" "$R/state"
before=$(cd "$T" && find . -type f ! -path './locks/*' | sort)
for status in -1 -3 -6 -9; do
  FLAKY="g 1 999 $status" hf prune
  exits 1 "a record cannot be read ($status): prune refuses"
  says 'nothing is pruned while a record that is there cannot be read .target disk: ' "and says why"
done
is "$(cd "$T" && find . -type f ! -path './locks/*' | sort)" "$before" "nothing was deleted, or written"
fresh
FLAKY='g 1 999 -1' hf backup
exits 1 "nor does a backup write another record of that number"
is "$(find "$T/records" -type f | wc -l)" 3 "there are as many as before"
hf prune
exits 0 "when it can be read, prune goes on"
hf verify --decrypt
exits 0 "and nothing is missing"
is "$(held disk)" '2 3' "both snapshots are there"

# ---- the state was lost, and what a target holds that is not there is remembered by nobody

repo lost
must init
fpr=$(basename "$T"/keys/*.asc .asc)
mv "$R/far" "$R/far.away"
fresh
sum=$(sha256sum <"$tree/large")
hf backup
exits 3 "far is down when a snapshot is taken"
mv "$R/far.away" "$R/far"
must sync
fresh
must backup
gpgconf --homedir "$R/state/gnupg" --kill all
rm -rf "$R/state"
sed -i 's/^\[target far\]/&\nenabled = no/' "$M"
must init --adopt "$fpr"
fresh
must backup
hf --json prune
exits 0 "prune while it is away, with a new state"
is "$(json 'd["gone"] if d["type"] == "prune" else None')" '[]' "what it may have got is not gone"
sed -i '/^enabled = no/d' "$M"
must backup
hf prune
exits 0 "and when it is back"
is "$(held far)" '2 3 5 7' "it holds what it held"
hf restore 2 --to "$work/r1" --target far
exits 0 "the only copy comes back"
is "$(sha256sum <"$(restored "$work/r1" tree "$tree")/large")" "$sum" "whole"
hf verify --decrypt
exits 0 "and nothing is missing"

# A target that was seen behind, and is away again: what it lacks, it is not asked for.
repo behind
must init
fpr=$(basename "$T"/keys/*.asc .asc)
must backup
mv "$R/far" "$R/far.away"
fresh
hf backup
gpgconf --homedir "$R/state/gnupg" --kill all
rm -rf "$R/state"
mv "$R/far.away" "$R/far"
hf init --adopt "$fpr"
exits 3 "a new state, and a target that is behind"
mv "$R/far" "$R/far.away"
fresh
hf backup
hf --json prune
is "$(json 'd["gone"] if d["type"] == "prune" else None')" '[3]' "what a target that was looked at lacks can be gone"
mv "$R/far.away" "$R/far"
must backup
hf prune
exits 0 "it is brought level without that"
is "$(held far)" '2 5 7' "and keeps the rest"
hf verify
exits 0 "and nothing is missing"

# ---- a target that takes only some from now on: what it does not get does not push out what it has

export FAKETIME_DONT_FAKE_MONOTONIC=1
# then_ TIME ARGUMENT...: hf at that time.
then_() {
  local time=$1
  shift
  last="at $time: holdfast $*"
  faketime "$time" "$HOLDFAST" -c "$M" "$@" >"$work/out" 2>"$work/err" </dev/null
  rc=$?
}
repo takes 'time-zone = UTC'
sed -i 's/^keep-last = 1$//; s/^\[target far\]/&\nkeep-last = 1/' "$M"
then_ '2026-12-01 10:00' init
fresh
then_ '2026-12-01 12:00' backup
exits 0 "a snapshot at both"
mv "$R/far" "$R/far.away"
for day in 02 03 04; do
  fresh
  then_ "2026-12-$day 12:00" backup
done
mv "$R/far.away" "$R/far"
sed -i 's/^\[target far\]/&\ntake = monthly/' "$M"
then_ '2026-12-05 12:00' prune
exits 3 "far takes only the first of a month from now on, and is behind"
then_ '2026-12-05 13:00' backup
exits 0 "it is brought level"
then_ '2026-12-05 14:00' prune
exits 0 "prune"
is "$(held far)" 2 "it still has the one that it had"
hf restore latest --to "$work/r2" --target far
exits 0 "which comes back"
done_testing
