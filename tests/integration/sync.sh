#!/bin/bash
# sync.sh - targets that fell behind, are new, or hold damage are brought level; what belongs to nobody is not spread.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2016 # variables of lib.sh; eval
. "${SRCDIR:?}/tests/integration/lib.sh"
need python3 gpg

make_key key 'Recipient <recipient@example.com>'
tree=$work/tree
mkdir "$tree"
for i in 1 2 3; do echo "number $i" >"$tree/$i"; done
head -c 3000000 /dev/urandom >"$tree/large"

new_repo main <<END
[source tree]
plugin = files
path = $tree
END
# objects_of DIR: names and digests of all that is there but locks, and repository.ini, which says when it was made there.
objects_of() { (cd "$1/testhost" && find . -type f ! -path './locks/*' ! -name repository.ini -exec sha256sum {} + | sort -k 2); }
level() {
  objects_of "$R/disk" >"$work/level.a"
  objects_of "$R/second" >"$work/level.b"
  diff "$work/level.a" "$work/level.b"
}

must init
must backup
hf sync
exits 1 "with one target there is nothing to bring level"
says 'only one target' "which is said"

# ---- a target that is new

printf '[target second]\nplugin = local\npath = %s\nfsync = none\n' "$R/second" >>"$M"
hf init
exits 3 "init of a new target"
says 'second: does not hold the whole repository' "says that it is behind"
hf sync --json -n
exits 0 "sync --dry-run"
is "$(json 'd["target"] if d["type"] == "target" and d["copied"] else None')" second "says which target lacks something"
is "$(json 'd["dry_run"] if d["type"] == "target" else None' | sort -u)" True "and that nothing is copied"
is "$(find "$R/second/testhost/records" -type f 2>/dev/null | wc -l)" 0 "and copies nothing"
hf sync --target nosuch
exits 2 "a target that the manifest does not have"
hf sync --target disk
exits 0 "only the one that is level"
is "$(find "$R/second/testhost/records" -type f 2>/dev/null | wc -l)" 0 "leaves the other as it is"
hf sync
exits 0 "sync"
says '^second +[1-9]' "says how much"
ok "the two are the same" level
hf sync
exits 0 "again"
says '^second +0 ' "nothing is left to do"
hf backup
exits 0 "a backup reaches both"
hf verify --read --decrypt
exits 0 "verify finds nothing"

# ---- one that was away

mv "$R/second" "$R/second.away"
echo more >>"$tree/1"
hf backup
exits 3 "a target is away"
hf sync
[ $rc -ne 0 ]
result $? "with one of two there is nothing to sync with" || show_last
mv "$R/second.away" "$R/second"
hf verify --target second
exits 1 "it lacks a snapshot"
hf sync
exits 0 "sync brings it level"
ok "the two are the same again" level

# ---- and without sync: the next backup sees to it

mv "$R/second" "$R/second.away"
echo still more >>"$tree/1"
hf backup
exits 3 "away again"
mv "$R/second.away" "$R/second"
rm "$(find "$R/second/testhost/packs" -type f | sort | head -n 1)"
hf backup
exits 0 "a backup brings it level"
says 'second: .*objects that it lacked were copied' "and says so"
ok "the two are the same" level
hf verify --read --decrypt
exits 0 "verify finds nothing"

# ---- objects that are gone or of the wrong size, and such as belong to nobody

rm "$(find "$R/second/testhost/packs" -type f | sort | head -n 1)"
: >"$(find "$R/second/testhost/packs" -type f | sort | tail -n 1)"
rm "$(find "$R/second/testhost/indexes" -type f | sort | head -n 1)" "$R/second/testhost/recover.sh"
stray=00/$(printf '0%.0s' $(seq 64)).tar.zst.gpg
mkdir -p "$R/disk/testhost/packs/00"
echo stray >"$R/disk/testhost/packs/$stray"
echo stray >"$R/disk/testhost/records/0000000099-$(printf '0%.0s' $(seq 64)).json.gpg"
echo note >"$R/disk/testhost/note"
hf sync
[ $rc -eq 0 ] || [ $rc -eq 3 ]
result $? "with objects missing and strangers about" || show_last
hf verify --target second
says_not 'second.*(packs|indexes)/.* is missing, or' "what was missing is back"
ok "no stranger was spread" test ! -e "$R/second/testhost/packs/$stray" -a ! -e "$R/second/testhost/note" -a -z "$(find "$R/second/testhost/records" -name '0000000099*')"
rm -f "$R/disk/testhost/packs/$stray" "$R/disk/testhost/note" "$R"/disk/testhost/records/*0000000099*

# ---- what has no digest in its name: who has one target does not get his script, or his key, to the others that way

for name in README.txt recover.sh "$(cd "$R/disk/testhost" && echo keys/*)"; do
  cp "$R/disk/testhost/$name" "$work/was"
  echo 'echo pwned' >"$R/disk/testhost/$name"
  rm "$R/second/testhost/$name"
  hf sync
  exits 0 "${name%/*} is missing at one target, and at the other it is somebody else's"
  ok "what is put there is the host's own" cmp "$work/was" "$R/second/testhost/$name"
  cp "$work/was" "$R/disk/testhost/$name"
done

# ---- what is damaged is not spread; and a record does not go before what it needs

rm -rf "$R/second/testhost/packs" "$R/second/testhost/indexes" "$R/second/testhost/records"
mkdir -p "$R/second/testhost/records"
bad=$(find "$R/disk/testhost/packs" -type f | sort | head -n 1)
cp -p "$bad" "$work/good"
flip "$bad" 100
hf sync
exits 3 "the only copy of a pack is damaged"
says 'damaged' "which is said"
is "$(find "$R/second/testhost/packs" -type f | wc -l)" "$(($(find "$R/disk/testhost/packs" -type f | wc -l) - 1))" "all the others are copied"
is "$(find "$R/second/testhost/records" -type f | wc -l)" 0 "and no record"
cp -p "$work/good" "$bad"
hf sync
exits 0 "with the pack good again"
ok "the two are the same" level
hf verify --read --decrypt
exits 0 "verify finds nothing"
mv "$R/disk" "$R/disk.away"
hf restore latest --to "$work/r"
exits 0 "the second target alone restores"
ok "the tree" diff -r "$tree" "$(restored "$work/r" tree "$tree")"
done_testing
