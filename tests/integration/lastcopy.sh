#!/bin/bash
# lastcopy.sh - the last copy of what is still wanted is not deleted: records that cannot be read, a state that was lost, targets that come and go.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034 # variables of lib.sh
. "${SRCDIR:?}/tests/integration/lib.sh"
need python3 gpg faketime strace setsid timeout
# LeakSanitizer does not work under strace.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
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

# ---- a name that somebody made up, with a number far off

forged=$T/records/9999999999-$(printf 'a%.0s' $(seq 64)).json.gpg
echo forged >"$forged"
hf prune
exits 1 "a record with a number far off: prune refuses"
says 'nothing is pruned while the chain shows signs of tampering .target disk: holds a record 9999999999, which is too far' "and says why"
ok "in a few lines" test "$(wc -l <"$work/err")" -lt 5
mine=$M
stranger
last='holdfast restore 3, a stranger'
(ldd "$HOLDFAST" | grep -q libasan || ulimit -v 4000000; timeout 60 "$HOLDFAST" -c "$M" restore 3 --to "$work/r0") >"$work/out" 2>"$work/err"
rc=$?
exits 0 "a machine without the state restores in spite of it"
M=$mine
rm "$forged"
must prune

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

# ---- a new state: what is stored is not stored again, and what cannot be looked at now is no reason not to back up

repo again
must init
fpr=$(basename "$T"/keys/*.asc .asc)
fresh
must backup
gpgconf --homedir "$R/state/gnupg" --kill all
rm -rf "$R/state"
must init --adopt "$fpr"
hf --json backup
exits 0 "a backup with a new state"
is "$(json 'sum(x["bytes_new"] for x in d["sources"]) if d.get("sources") else None')" 0 "stores nothing a second time"
new_repo alone <<END
[source dump]
plugin = exec
command = head -c 300000 /dev/urandom
restore-command = cat
stream = dump
END
sed -i 's/^\[target disk\]/&\nkeep-last = 1/' "$M"
printf '[target far]\nplugin = local\npath = %s\nfsync = none\n' "$R/far" >>"$M"
must init
fpr=$(basename "$T"/keys/*.asc .asc)
must backup
must backup
must prune
is "$(objects indexes)" 1 "the index of a snapshot is only at a target that is not there"
gpgconf --homedir "$R/state/gnupg" --kill all
rm -rf "$R/state"
sed -i 's/^\[target far\]/&\nenabled = no/' "$M"
must init --adopt "$fpr"
hf backup
exits 0 "a backup with a new state, meanwhile"
says 'what that snapshot holds is not known for now' "says what it does not know"
hf prune
exits 1 "prune waits"
sed -i '/^enabled = no/d' "$M"
must backup
hf prune
exits 0 "until it is back"
hf verify --decrypt
exits 0 "and nothing is missing"

# ---- the same data in two packs: the one that is forgotten does not take the other with it

new_repo twice <<END
[source dump]
plugin = exec
command = cat $work/data
restore-command = cat
stream = dump
END
sed -i 's/^\[target disk\]/&\nkeep-last = 1\nkeep-labelled = no/' "$M"
printf '[target far]\nplugin = local\npath = %s\nfsync = none\nkeep-last = 1\n' "$R/far" >>"$M"
data() { head -c 300000 /dev/urandom >"$work/data"; }
must init
fpr=$(basename "$T"/keys/*.asc .asc)
data
cp "$work/data" "$work/data.first"
must backup --label first
data
must backup
must prune
gpgconf --homedir "$R/state/gnupg" --kill all
rm -rf "$R/state"
sed -i 's/^\[target far\]/&\nenabled = no/' "$M"
must init --adopt "$fpr"
cp "$work/data.first" "$work/data"
must backup
sed -i '/^enabled = no/d' "$M"
hf sync
mv "$R/disk" "$R/disk.away"
rm "$R/far/testhost/packs"/*/"$(cd "$R/disk.away/testhost/packs" && find . -type f -size +200k -printf '%T@ %f\n' | sort -n | tail -n 1 | cut -d ' ' -f 2)"
hf restore 2 --to "$work/r4" --target far
exits 0 "the pack that the snapshot refers to is read, and not the other"
ok "whole" cmp "$work/data.first" "$(find "$work/r4" -type f)"
mv "$R/disk.away" "$R/disk"
must sync
data
must backup
must prune
is "$(held far)" '2 7' "the snapshot with the second pack is gone"
hf verify --decrypt
exits 0 "nothing is missing"
rm -rf "$work/r4"
hf restore 2 --to "$work/r4"
exits 0 "and the first comes back"
ok "whole" cmp "$work/data.first" "$(find "$work/r4" -type f)"

# ---- a target that is taken out of the manifest for a while: what it holds is not compacted away, and is known again

repo removed
cp "$M" "$work/with.ini"
sed '/^\[target far\]/,$d' "$M" >"$work/without.ini"
must init
large() { for i in "$@"; do head -c 2500000 /dev/urandom >"$tree/file.$i"; done; }
large $(seq 10 26)
must backup
(cd "$tree" && sha256sum -- *) >"$work/sum"
large $(seq 11 25)
must backup
cp "$work/without.ini" "$M"
must prune
hf --json prune --compact=90
exits 0 "compaction while it is not in the manifest"
is "$(json '"%d %d" % (d["packs"], d["waiting"] > 0) if d["type"] == "compact" else None')" '0 1' "leaves what it holds"
must backup
cp "$work/with.ini" "$M"
must backup
must prune
hf restore 2 --to "$work/r3" --target far
exits 0 "when it is there again, it gives what only it has"
ok "whole" sh -c "cd '$(restored "$work/r3" tree "$tree")' && sha256sum -c --quiet --strict '$work/sum'"
hf verify --decrypt
exits 0 "and nothing is missing"

# ---- a target that drops out of a compaction keeps what it has, for the sources that come behind

mkdir "$work/a" "$work/b"
new_repo drops <<END
[source a]
plugin = files
path = $work/a
[source b]
plugin = files
path = $work/b
END
sed -i 's/^\[target disk\]/&\nkeep-last = 1/' "$M"
printf '[target far]\nplugin = flaky\nretries = 0\npath = %s\nfsync = none\nkeep-last = 2\n' "$R/far" >>"$M"
both() { for i in "$@"; do head -c 2500000 /dev/urandom >"$work/a/file.$i" && head -c 2500000 /dev/urandom >"$work/b/file.$i"; done; }
must init
both $(seq 10 26)
must backup
both $(seq 11 25)
must backup
both 27
must backup
must prune
FLAKY='p 4 1 -1' hf --json prune --compact=90
exits 3 "far fails when the record of the first source is written"
is "$(json '"%d %d" % (d["packs"], d["waiting"]) if d["type"] == "compact" else None')" '2 2' "the packs of the second wait for it"
mv "$R/far" "$R/far.away"
both $(seq 10 27)
hf backup
both 27
hf backup
hf prune
mv "$R/far.away" "$R/far"
hf sync
exits 0 "it is brought level, when disk has long let go of them"
hf verify --read
exits 0 "and nothing is missing"

# ---- one place by two names

repo names
ln -s disk "$R/far"
must init
fresh
must backup
fresh
hf backup
exits 0 "two targets that are one place"
says 'target far: is the same place as another target' "which is said"
hf check
exits 1 "check finds it, too"
says 'target far: is the same place as target disk' "and says which"
hf prune
exits 1 "prune refuses"
says 'target far is the same place as another target of the manifest: .* nothing is pruned' "and says why"
hf verify
exits 0 "and nothing is missing"

# ---- a target that takes only some from now on: what it does not get does not push out what it has

repo takes 'time-zone = UTC'
sed -i 's/^keep-last = 1$//; s/^\[target far\]/&\nkeep-last = 1/' "$M"
hf_at '2026-12-01 10:00' init
fresh
hf_at '2026-12-01 12:00' backup
exits 0 "a snapshot at both"
mv "$R/far" "$R/far.away"
for day in 02 03 04; do
  fresh
  hf_at "2026-12-$day 12:00" backup
done
mv "$R/far.away" "$R/far"
sed -i 's/^\[target far\]/&\ntake = monthly/' "$M"
hf_at '2026-12-05 12:00' prune
exits 3 "far takes only the first of a month from now on, and is behind"
hf_at '2026-12-05 13:00' backup
exits 0 "it is brought level"
hf_at '2026-12-05 14:00' prune
exits 0 "prune"
is "$(held far)" 2 "it still has the one that it had"
hf restore latest --to "$work/r2" --target far
exits 0 "which comes back"
# ---- the newest snapshot is not whole: older ones may be the last that can be restored

new_repo torn <<END
[source tree]
plugin = files
path = $tree
END
sed -i 's/^\[target disk\]/&\nkeep-last = 1/' "$M"
must init
rm -f "$tree"/*
fresh
must backup
head -c 300000 /dev/urandom >"$tree/other"
must backup
find "$T/packs" -type f -printf '%T@ %p\n' | sort -n | tail -n 2 | cut -d ' ' -f 2 >"$work/newest"
cp "$(head -n 1 "$work/newest")" "$work/saved"
rm -f "$(head -n 1 "$work/newest")"
hf prune -n
says 'disk +2 .*keep +the newest are not whole' "a dry run says why"
hf prune
exits 3 "a pack of the newest snapshot is missing: prune removes none"
says '1 packs that the newest snapshots need are not there' "and says why"
is "$(held disk)" '2 3' "both are there"
must restore 2 --to "$work/r4"
ok "and the older one is whole" test -s "$(restored "$work/r4" tree "$tree")/large"
cp "$work/saved" "$(head -n 1 "$work/newest")"
hf prune
exits 0 "once it is back, prune goes on"
is "$(held disk)" 3 "with what the rules say"
rm "$(find "$T/packs" -type f -size +200k | head -n 1)"
hf backup
exits 1 "a backup that finds a pack of its own missing"
must backup
must prune
hf verify --decrypt
exits 0 "the next one has stored it again"

# ---- killed when one target has the record and the other has not, and that one is away in the next run

two() { # NAME
  new_repo "$1" <<END
[source tree]
plugin = files
path = $tree
END
  sed -i 's/^\[target disk\]/&\nremovable = yes/' "$M"
  printf '[target far]\nplugin = local\npath = %s\nfsync = none\n' "$R/far" >>"$M"
  mkdir -p "$R/disk" "$R/far"
}
# cut_off: a backup that is killed as soon as disk has its record.
cut_off() {
  local n=$(($(objects records) + 1)) k
  for ((k = 1; k < 200; k++)); do
    gpgconf --homedir "$R/state/gnupg" --kill all
    rm -rf "$R/state" "$R/disk" "$R/far"
    cp -a "$work/before/." "$R/"
    last="holdfast backup, killed at renameat2 $k"
    setsid -w timeout -s KILL 60 strace -qq -f -b execve -o "$work/strace" -e trace=renameat2 -e "inject=renameat2:signal=KILL:when=$k" "$HOLDFAST" -c "$M" backup >"$work/out" 2>"$work/err" </dev/null
    [ "$(objects records)" -lt "$n" ] || [ "$(records_of far)" -ge "$n" ] || return 0
  done
  return 1
} 2>/dev/null
records_of() { find "$R/$1/testhost/records" -type f | wc -l; }
two cut
must init
must backup
fresh
rm -rf "$work/before"
gpgconf --homedir "$R/state/gnupg" --kill all
cp -a "$R" "$work/before"
ok "a run is killed when one of two targets has its record" cut_off
mv "$R/disk" "$R/disk.away"
fresh
hf backup
exits 0 "the next run, without that target"
says 'record 3 was on its way when a run was cut off: that is done now' "finishes what was begun"
is "$(held far)" '2 3 4' "and makes a snapshot behind it"
mv "$R/disk.away" "$R/disk"
hf backup
exits 0 "with it back, the next"
is "$(held disk)" '2 3 4 5' "brings it level"
hf verify --decrypt
exits 0 "and nobody finds a fork"

done_testing
