#!/bin/bash
# tamper.sh - truncated, bit-flipped, swapped, missing and foreign objects of each kind are named by verify; restore gives all the rest.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154 # variables of lib.sh
. "${SRCDIR:?}/tests/integration/lib.sh"
need python3 gpg

make_key key 'Recipient <recipient@example.com>'
tree=$work/tree
mkdir -p "$tree/small" "$tree/late"
for i in $(seq 60); do echo "number $i" >"$tree/small/$i"; done
head -c 52000000 /dev/urandom >"$tree/large-1" # more than two packs: the second one holds nothing else
new_repo other <<EOF
[source tree]
plugin = files
path = $tree/small
EOF
must init
must backup
other=$T
cp -a "$R" "$work/other.pristine"

new_repo main <<EOF
[source tree]
plugin = files
path = $tree
[source second]
plugin = files
path = $tree/small
EOF
must init                                 # record 1
must backup                               # 2: packs of large-1 and small
cp -al "$R/disk" "$work/disk.2"
describe "$tree" >"$work/state.2"
# The packs so far, told apart by the index: data of the two sources, recipes. Read with the recipient's key.
for f in "$T"/indexes/*; do gpg --batch --quiet --decrypt "$f" 2>/dev/null | zstd -dcq; done >"$work/index.txt"
for i in $(seq 20); do echo "late $i" >"$tree/late/$i"; done
head -c 5000000 /dev/urandom >"$tree/large-2"
must backup                               # 3
describe "$tree" >"$work/state.3"
cp -al "$R" "$work/pristine"
cp -a --remove-destination "$R/state/." "$work/pristine/state"
host=$M

fresh() {
  M=$host
  rm -rf "$R"
  mkdir "$R"
  cp -a "$work/pristine/state" "$work/pristine/m.ini" "$R"
  cp -al "$work/pristine/disk" "$R" # objects are never written to, but by mutate
}

# pack KIND SOURCE N: the Nth such pack's file.
pack() { awk -v k="$1" -v s="$2" -v n="$3" '$1 == "pack" && $5 == k && $6 == s && ++i == n { print "packs/" substr($2, 1, 2) "/" $2 ".tar.zst.gpg" }' "$work/index.txt"; }
nth() { (cd "$T" && find "$1" -type f | sort | sed -n "${2}p"); }

# ---- damaging one object

mutate() { # HOW KEY OTHER-KEY FOREIGN-FILE
  local f=$T/$2
  cp "$f" "$work/unshared"
  mv -f "$work/unshared" "$f"
  case $1 in
    truncated) truncate -s -7 "$f" ;;
    emptied) : >"$f" ;;
    bit-flipped) python3 -c '
import sys
with open(sys.argv[1], "r+b") as f:
    b = bytearray(f.read())
    b[len(b) // 2] ^= 4
    f.seek(0)
    f.write(b)' "$f" ;;
    swapped) mv "$f" "$work/swap" && mv "$T/$3" "$f" && mv "$work/swap" "$T/$3" ;;
    missing) rm "$f" ;;
    foreign) cp "$4" "$f" ;;
  esac
}

# found DEPTH-OPTIONS HOW KIND KEY: verify at that depth names the object and exits 1.
found() {
  # shellcheck disable=SC2086 # options
  hf verify $1
  [ $rc -eq 1 ] && cat "$work/err" "$work/out" | grep -qF -e "$4"
  result $? "verify${1:+ $1} names $3, $2" || { echo "# wanted exit code 1 and $4" && show_last; }
}

large=$(pack data tree 1)
small_second=$(pack data second 1)
recipe=$(pack recipe tree 1)
index=$(nth indexes 1)
secret=$(nth secrets 1)
hostkey=$(nth keys 1)
record=$(nth records 3)
for o in "$large" "$small_second" "$recipe" "$index" "$secret" "$record"; do [ -n "$o" ] || { echo "Bail out! objects not found" && exit 1; }; done

hf verify --read --decrypt
exits 0 "verify finds nothing in a repository that is as it should be"

# Each kind of object, each kind of damage: the depth at which it must show. A first row without option means: by listing alone.
table() {
  cat <<EOF
truncated|a pack||$large|$small_second
missing|a pack||$large|$small_second
bit-flipped|a pack|--read|$large|$small_second
emptied|a pack||$large|$small_second
swapped|a pack|--read|$large|$(pack data tree 2)
foreign|a pack|--read|$large|-
missing|a pack of recipes||$recipe|-
bit-flipped|a pack of recipes|--read|$recipe|-
truncated|an index|--read|$index|-
missing|an index||$index|-
bit-flipped|an index|--read|$index|-
swapped|an index|--read|$index|$(nth indexes 2)
foreign|an index|--read|$index|-
truncated|the secret|--read|$secret|-
missing|the secret||$secret|-
bit-flipped|the secret|--read|$secret|-
foreign|the secret|--read|$secret|-
truncated|a record|--read|$record|-
bit-flipped|a record|--read|$record|-
emptied|a record|--read|$record|-
swapped|a record|--read|$record|$(nth records 2)
foreign|a record|--read|$record|-
missing|the host's public key||$hostkey|-
foreign|the host's public key|--read|$hostkey|-
emptied|the host's public key|--read|$hostkey|-
EOF
}
table >"$work/table"
while IFS='|' read -r how what depth object with <&3; do
  fresh
  foreign=$(find "$other/${object%%/*}" -type f | head -n 1)
  mutate "$how" "$object" "$with" "$foreign"
  found "$depth" "$how" "$what" "$object"
done 3<"$work/table"

fresh
mutate bit-flipped "$large"
hf verify
exits 0 "a flipped bit does not show in a listing"
hf verify --decrypt
exits 1 "but when packs are decrypted"
fresh
mutate missing "$record"
hf verify
exits 1 "verify: the newest record deleted"
says 'record|behind|rolled back' "and says so"
hf verify --json
ok "as JSON: one finding or issue" test "$(json '1 if d["type"] in ("finding", "issue") else None' | wc -l)" -ge 1

# ---- restore goes on

# partly NAME LOST...: restore of snapshot 3 exits 3 and names these (of the tree); all else is right.
partly() {
  local name=$1 p
  shift
  rm -rf "$work/r"
  hf restore 3 tree --to "$work/r"
  cp "$work/err" "$work/restore.err"
  describe "$(restored "$work/r" tree "$tree")" >"$work/got" 2>/dev/null
  cp "$work/state.3" "$work/want"
  for p in "$@"; do
    grep -v -e "^b'$p" "$work/want" >"$work/want.less"
    mv "$work/want.less" "$work/want"
    grep -qF -e "$p" "$work/err" || { rc="$rc, and $p is not named" && break; }
  done
  # Folders that lost an entry keep their times all the same.
  [ "$rc" = 3 ] && diff "$work/want" "$work/got" >"$work/diff"
  result $? "$name" || { echo "# wanted exit code 3" && show_last && diag "$work/diff"; }
}
whole() {
  rm -rf "$work/r"
  hf restore 3 tree --to "$work/r"
  [ $rc -eq 0 ] && describe "$(restored "$work/r" tree "$tree")" >"$work/got" && diff "$work/state.3" "$work/got" >"$work/diff"
  result $? "$1" || { show_last && diag "$work/diff"; }
}

# Which packs hold only data of the large files?
for how in missing truncated bit-flipped foreign; do
  fresh
  mutate "$how" "$(pack data tree 2)" - "$(find "$other/packs" -type f | head -n 1)"
  partly "restore with a pack $how: all but what was in it, which is named" large-1
done
fresh
mutate bit-flipped "$(pack data tree 2)"
hf restore 3 --to "$work/r5"
ok "the other source is whole" cmp "$tree/small/7" "$(restored "$work/r5" second "$tree/small/7")"
says 'pack' "and the bad object is named"
recover 3 "$work/rec"
exits 3 "recover.sh: the same, exit code 3"
says 'DAMAGE.*large-1' "recover.sh names what was lost"
ok "recover.sh: all the rest is there" cmp "$tree/small/9" "$(restored "$work/rec" tree "$tree/small/9")"

fresh
stranger
mutate bit-flipped "$recipe"
hf restore 2 --to "$work/r6"
exits 3 "restore with a source's recipe damaged"
ok "the other source is whole" cmp "$tree/small/7" "$(restored "$work/r6" second "$tree/small/7")"
says 'tree.*recipe of stream tree is lost' "what is lost is named"

fresh
mutate bit-flipped "$index"
whole "restore with a damaged index, on the host, which knows what was in it"
fresh
stranger
mutate bit-flipped "$index"
hf restore 3 --to "$work/r7"
[ $rc -eq 1 ] || [ $rc -eq 3 ]
result $? "the same elsewhere does not say all is well" || show_last
says "${index##*/}" "and names the index"

# ---- the chain

# A record by another key: sign a record's text with another key and put it in place of the newest.
fresh
make_key evil 'Evil <evil@example.com>'
mygpg --quick-add-key "$evil" ed25519 sign never
gpg --batch --quiet --decrypt "$T/$record" >"$work/record.json" 2>/dev/null
seal() { # SIGNER FILE OUT
  mygpg --trust-model always --no-auto-key-locate --cipher-algo AES256 -z 0 -u "$1" -r "$key" -s -e -o "$3" "$2"
}
forge() { # JSON SEQ: put it as that record
  local digest
  rm -f "$work/forged"
  seal "$evil" "$1" "$work/forged"
  digest=$(sha256sum <"$work/forged" | cut -d' ' -f1)
  cp "$work/forged" "$T/records/$(printf '%010d' "$2")-$digest.json.gpg"
  forged=$digest
}
forge "$work/record.json" 3
rm "$T/$record"
hf verify
exits 1 "host: a record signed by another key"
says "$forged|record 3" "is named"
stranger
hf list
says "$forged" "elsewhere: it is named"
hf ls 3
exits 1 "and not accepted"
hf restore latest --to "$work/r8"
exits 0 "latest is the newest good one"
says "$forged.*signed|signed.*$forged" "and the other one is named"
ok "it is snapshot 2" test ! -e "$(restored "$work/r8" tree "$tree")/large-2"
M=$host
fresh
sed 's/"seq": 3,/"seq": 4,/' "$work/record.json" >"$work/record.4"
forge "$work/record.4" 4
hf verify
exits 1 "a new record signed by another key"
recover latest "$work/rec3" second
says 'DAMAGE: record 0000000004-' "recover.sh refuses it, and says so"
ok "recover.sh takes the one before" cmp "$tree/small/7" "$(restored "$work/rec3" second "$tree/small/7")"
hf backup
says "$forged|record 4" "backup says so, too"

# Rolled back: the target is as it was before the last run.
fresh
rm -rf "$R/disk"
cp -a "$work/disk.2" "$R/disk"
hf verify
exits 1 "a target that was rolled back: verify"
says 'rolled back|behind' "is said"
hf list
says 'rolled back|behind' "list says so, too"
hf backup
[ $rc -ne 0 ]
result $? "a backup does not go on as if nothing had happened" || show_last
says 'rolled back|behind|whole chain' "and says why"

# A record of another repository.
fresh
cp "$(find "$other/records" -type f | sort | tail -n 1)" "$T/records/"
hf verify
exits 1 "a record of another repository"
says 'record 2|not the one of this|repository|signed' "is named"

# All records gone.
fresh
rm -f "$T"/records/*
hf verify
exits 1 "all records deleted: verify"
hf list
says 'missing|rolled back|behind|lacks' "all records deleted: list says so"
stranger
hf list
[ $rc -ne 0 ] || [ -s "$work/err" ]
result $? "elsewhere: not taken for an empty repository" || show_last

# ---- two targets: what one lost the other has

M=$host
fresh
cat >>"$M" <<EOF
[target copy]
plugin = local
path = $R/copy
EOF
cp -a "$R/disk" "$R/copy"
mutate bit-flipped "$large"
mutate missing "$recipe"
mutate truncated "$index"
mutate truncated "$record"
whole "restore takes from the other target what one has lost"
says 'target disk' "and says what was wrong"
M=$host
hf verify --read
exits 1 "verify says which target it is"
ok "and names it four times" test "$(cat "$work/err" "$work/out" | grep -cE "disk.*(packs|indexes|records)/")" -ge 4
ok "the other is not blamed" test "$(cat "$work/err" "$work/out" | grep -cE "copy.*(packs|indexes|records)/")" -eq 0
# ---- the script that an admin would run

new_repo script <<EOF
[source tree]
plugin = files
path = $tree/small
EOF
must init
must backup
echo 'echo pwned' >>"$T/recover.sh"
hf verify
exits 0 "a listing does not show that recover.sh was altered"
hf verify --read
exits 1 "reading does"
says 'recover.sh: is not what was put there: no record names its digest; do not run it' "and says so"

done_testing
