#!/bin/bash
# chain.sh - what somebody who owns one of two targets can do to the chain without a key: numbers from nowhere, copies of records under other digests. The other target still counts.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154 # variables of lib.sh
. "${SRCDIR:?}/tests/integration/lib.sh"
need python3 gpg timeout

make_key key 'Recipient <recipient@example.com>'
tree=$work/tree
mkdir "$tree"
echo one >"$tree/file"
new_repo main <<EOF
[source tree]
plugin = files
path = $tree
[target second]
plugin = local
path = $work/second
fsync = none
EOF
host=$M
must init # record 1
for i in 2 3 4; do
  echo "state of $i" >"$tree/file"
  must backup
done
cp -a "$R" "$work/pristine"
cp -a "$work/second" "$work/second.pristine"
fresh() {
  M=$host
  rm -rf "${R:?}" "${work:?}/second"
  cp -a "$work/pristine" "$R"
  cp -a "$work/second.pristine" "$work/second"
}
# record N: the one that the other target holds.
record() { (cd "$work/second/testhost" && printf '%s\n' records/"$(printf %010d "$1")"-*); }

# copy_of NUMBER lower|higher: the same message with one more session key packet before it, for a key that nobody has; its digest sorts before or behind the original's.
copy_of() {
  python3 - "$T" "$(record "$1")" "$2" <<'EOF'
import hashlib, os, sys
top, name, how = sys.argv[1:]
data = open(os.path.join(top, name), "rb").read()
while True:
    body = b"\x03" + os.urandom(8) + b"\x01" + (256).to_bytes(2, "big") + b"\x80" + os.urandom(31)
    copy = bytes([0xC1, len(body)]) + body + data
    digest = hashlib.sha256(copy).hexdigest()
    if (digest < name[19:83]) == (how == "lower"):
        break
open("%s/%s-%s.json.gpg" % (top, name[:18], digest), "wb").write(copy)
EOF
}

# ---- a number that is far away

fresh
echo junk >"$work/junk"
digest=$(sha256sum <"$work/junk" | cut -d' ' -f1)
cp "$work/junk" "$T/records/9999999999-$digest.json.gpg"
cp "$work/junk" "$T/records/9999999998-$digest.json.gpg"
stranger
timeout -s KILL 20 "$HOLDFAST" -c "$M" restore latest --to "$work/r1" >"$work/out" 2>"$work/err"
rc=$? last='holdfast restore latest'
exits 0 "a record of number 9999999999: a restore elsewhere goes on"
ok "with the newest snapshot" grep -qx 'state of 4' "$(restored "$work/r1" tree "$tree/file")"
says 'target disk: holds a record 9999999998, which is too far' "it is said which target has it"
says_not 'missing everywhere' "and it makes no gap"
M=$host
hf list
exits 0 "on the host"
says 'target disk: holds a record 9999999998, which is too far' "it is said"
ok "in a few lines" test "$(wc -l <"$work/err")" -lt 10
echo 'state of 5' >"$tree/file"
hf backup
exits 0 "a backup goes on"
ok "with the number that is due" test -e "$T/$(record 5)"

fresh
cp "$work/junk" "$T/records/0000000009-$digest.json.gpg"
stranger
hf list
says_not 'missing everywhere' "a bad record of a number that is near makes no gap either"
says "$digest" "but is named"
gone=$(record 3)
rm -f "$T/$gone" "$work/second/testhost/$gone"
hf list
says 'record 3 is missing everywhere: the chain has a gap' "one before a good record is a gap"
gone=$(record 2)
rm -f "$T/$gone" "$work/second/testhost/$gone"
hf list
says 'records 2 to 3 are missing everywhere: the chain has a gap' "so are two"

# ---- copies of a record

for how in lower higher; do
  fresh
  copy_of 3 "$how"
  stranger
  hf restore latest --to "$work/r-$how"
  exits 0 "a copy of a record under a $how digest: restore elsewhere"
  ok "takes the newest snapshot all the same" grep -qx 'state of 4' "$(restored "$work/r-$how" tree "$tree/file")"
  says 'target disk: holds a record 3 that is not the one' "and blames the target that has the copy"
  says_not 'target second: (holds|is|was)' "and not the other"
done
fresh
copy_of 4 lower
copy_of 3 lower
stranger
hf restore latest --to "$work/r-two"
ok "copies of the two newest records: the newest snapshot" grep -qx 'state of 4' "$(restored "$work/r-two" tree "$tree/file")"
says 'target disk: holds a record 4 that is not the one' "the one that more targets hold counts"

# The host with an older state: it learns the chain from the targets, and what it adds follows the record that the others hold.
fresh
cp -a "$R/state" "$work/older"
echo 'state of 5' >"$tree/file"
must backup
echo 'state of 6' >"$tree/file"
must backup
rm -rf "${R:?}/state"
cp -a "$work/older" "$R/state"
copy_of 5 lower
copy_of 6 lower
echo 'state of 7' >"$tree/file"
hf backup
says 'target disk: holds a record 6 that is not the one' "an older state of the host: the copies are named"
says_not 'target second: holds' "and the target without is not blamed"
stranger
hf restore latest --to "$work/r-older" --target second
ok "what the host adds follows the real chain" grep -qx 'state of 7' "$(restored "$work/r-older" tree "$tree/file")"
says_not 'fork|gap' "which is whole at the other target"

done_testing
