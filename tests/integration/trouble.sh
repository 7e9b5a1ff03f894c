#!/bin/bash
# trouble.sh - full disks, unreadable files, keys that will not do, locks, targets that fail: one clear message, the right exit code, nothing lost.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2016,SC2034 # variables of lib.sh; eval
. "${SRCDIR:?}/tests/integration/lib.sh"
need_root "mounts, other accounts"
need python3 gpg setpriv mount

make_key key 'Recipient <recipient@example.com>'
tree=$work/tree
mkdir -p "$tree/a" "$tree/b"
for i in $(seq 50); do echo "number $i" >"$tree/a/$i"; done
head -c 40000000 /dev/urandom >"$tree/b/large"

# intact NAME: verify finds nothing at the target "disk", and the newest snapshot is the tree as it is.
intact() {
  hf verify --read --decrypt --target disk || { exits 0 "$1: verify" && return; }
  rm -rf "$work/r"
  hf restore latest tree --to "$work/r" || { exits 0 "$1: restore" && return; }
  same "$tree" "$(restored "$work/r" tree "$tree")" "$1"
}

# ---- the target's disk is full

small_disk "$work/full/disk" 16m
new_repo full <<EOF
[source tree]
plugin = files
path = $tree
EOF
must init
hf backup
exits 1 "full disk at the only target"
says '[Nn]o space|full' "is said"
is "$(grep -ciE 'no space|full' "$work/err")" "$(sort -u "$work/err" | grep -ciE 'no space|full')" "and no message comes twice"
hf list
says_not '^ *[0-9]+ +20' "there is no snapshot"
hf verify
exits 0 "what there is is valid"
mount -o remount,size=200m "$work/full/disk"
hf backup
exits 0 "with room, the next backup succeeds"
intact "and is whole"
hf verify --json
mount -o remount,size=100m "$work/full/disk"
head -c 200m /dev/zero >"$work/full/disk/filler" 2>/dev/null
echo more >>"$tree/a/1"
hf backup
exits 1 "not even room for a record"
rm "$work/full/disk/filler"
hf backup
exits 0 "and again with room"
intact "nothing is lost"

# ---- a disk that is full to the last block, or below free-space-floor, is pruned

small_disk "$work/prune/disk" 100m
mkdir "$work/prune-tree"
target_lines='keep-last = 1' new_repo prune <<EOF
[source tree]
plugin = files
path = $work/prune-tree
EOF
must init
# The first backup's pack also has the end of the archive, which all share.
for i in 1 2 3; do
  head -c 20000000 /dev/urandom >"$work/prune-tree/large.$i"
  rm -f "$work/prune-tree/large.$((i - 1))"
  must backup
done
fill() { head -c 200m /dev/zero >"$R/disk/filler" 2>/dev/null || :; }
fill
echo more >"$work/prune-tree/small"
hf backup
exits 1 "not even room for a lock: no backup"
hf prune
exits 0 "but it is pruned"
says 'the disk is full: .* kept for this are used' "with what was kept in reserve, which is said"
hf list --json
is "$(json 'd["seq"] if d["type"] == "snapshot" else None' | wc -l)" 1 "the old snapshots are gone" || show_last
[ "$(stat -f -c %a "$R/disk")" -gt 4000 ]
result $? "and its space is free"
must backup
tree=$work/prune-tree intact "what is kept, and the next backup"
[ -s "$R/disk/.holdfast-reserve" ]
result $? "and the reserve is there again"
fill
rm "$R/disk/.holdfast-reserve"
fill
hf prune
exits 1 "without a reserve it cannot be pruned"
says '[Nn]o space' "is said"
rm "$R/disk/filler"
sed -i 's/^plugin = local/&\nfree-space-floor = 1T/' "$M"
hf backup
exits 1 "below the floor there is no backup"
says 'free-space-floor' "is said"
hf prune
exits 0 "but it is pruned"
hf list --json
is "$(json 'd["seq"] if d["type"] == "snapshot" else None' | wc -l)" 1 "down to the newest" || show_last

# ---- the state folder's disk is full

small_disk "$work/sfull/state" 8m
new_repo sfull <<EOF
[source tree]
plugin = files
path = $tree
[source names]
plugin = example
count = 60000
EOF
must init
head -c 100m /dev/zero >"$R/state/filler" 2>/dev/null
hf backup
exits 1 "full disk at the state folder"
says '[Nn]o space|full' "is said"
rm "$R/state/filler"
hf verify
exits 0 "what there is is valid"
truncate -s 0 "$R/state/filler"
mount -o remount,size=200m "$R/state"
hf backup
exits 0 "with room, the next backup succeeds"
intact "and is whole"

# ---- a full disk where a restore goes to

small_disk "$work/rfull" 8m
hf restore latest tree --to "$work/rfull/r"
[ $rc -eq 1 ] || [ $rc -eq 3 ]
result $? "full disk under a restore: exit code 1 or 3" || show_last
says '[Nn]o space|full' "is said"

# ---- files that cannot be read, by an account that is not root

chmod 755 "$work"
mkdir "$work/bin" "$work/home65534"
cp "$HOLDFAST" "$work/bin/holdfast"
chmod -R a+rX "$plugins" "$work/bin"
cp -r "$GNUPGHOME/." "$work/home65534"
rm -f "$work/home65534"/S.*
cp -r "$tree/a" "$work/nobody-tree"
mkdir "$work/nobody-tree/closed"
echo hidden >"$work/nobody-tree/closed/in"
new_repo nobody <<EOF
[source tree]
plugin = files
path = $work/nobody-tree
EOF
chown -R 65534:65534 "$R" "$work/home65534" "$work/nobody-tree"
chown root "$work/nobody-tree/7" "$work/nobody-tree/closed"
chmod 600 "$work/nobody-tree/7"
chmod 700 "$work/nobody-tree/closed" "$work/home65534"
nobody() {
  last="as an account without rights: holdfast $*"
  (cd / && GNUPGHOME=$work/home65534 setpriv --reuid=65534 --regid=65534 --clear-groups "$work/bin/holdfast" -c "$M" "$@") >"$work/out" 2>"$work/err" </dev/null
  rc=$?
  return $rc
}
nobody init
exits 0 "another account than root: init"
nobody backup
exits 3 "unreadable file and folder: exit code 3"
says 'tree/7.*([Pp]ermission|read)' "the file is named"
says 'closed' "the folder is named"
nobody restore latest --to "$R/r"
exits 0 "all the rest is restored"
got=$(restored "$R/r" tree "$work/nobody-tree")
is "$(find "$got" -type f | wc -l)" 49 "49 of 50 files"
ok "with the right content" diff -r -x 7 -x closed "$work/nobody-tree" "$got"
nobody list
ok "list shows that it was in part" grep -q partial "$work/out"

# ---- recipients

# recipient NAME EXIT REGEX: init with $recipients.
refused_recipient() {
  rm -rf "$work/keys"
  new_repo keys <<EOF
[source tree]
plugin = files
path = $tree/a
EOF
  hf init
  if [ "$rc" -eq "$1" ] && grep -Eq "$2" "$work/err" && [ "$(grep -c . "$work/err")" -eq 1 ] && [ "$(objects records)" -eq 0 ]; then
    result 0 "$3"
  else
    result 1 "$3"
    echo "# wanted: exit code $1, one message with $2"
    show_last
  fi
}
recipients=nobody@example.com
refused_recipient 1 'nobody@example.com.*no public key' "a recipient without a key"
recipients=0123456789012345678901234567890123456789
refused_recipient 1 '0123456789012345678901234567890123456789.*no public key' "a fingerprint that nobody has"
mygpg --quick-gen-key 'Signer <signer@example.com>' ed25519 cert,sign never 2>/dev/null
recipients=signer@example.com
refused_recipient 1 'encrypt' "a recipient whose key cannot encrypt"
mygpg --faked-system-time 20200101T000000! --quick-gen-key 'Old <old@example.com>' ed25519 cert 1y 2>/dev/null
old=$(mygpg --with-colons --list-keys old@example.com | awk -F: '$1 == "fpr" { print $10; exit }')
mygpg --faked-system-time 20200101T000000! --quick-add-key "$old" cv25519 encr 1y
recipients=$old
refused_recipient 1 'expired' "an expired recipient"
make_key revoked 'Revoked <revoked@example.com>'
sed 's/^:-----/-----/' "$GNUPGHOME/openpgp-revocs.d/$revoked.rev" >"$work/revoked.rev"
cp -r "$GNUPGHOME" "$work/gnupg.unrevoked"
rm -f "$work/gnupg.unrevoked"/S.*
mygpg --import "$work/revoked.rev" 2>/dev/null
recipients=$revoked
refused_recipient 1 'revoked' "a revoked recipient"
make_key twice1 'Twice <twice@example.com>'
mygpg --quick-gen-key 'Twice again <twice@example.com>' ed25519 cert never 2>/dev/null
recipients=twice@example.com
refused_recipient 1 'twice@example.com.*2 keys|names' "an address that two keys have"

# Revoked or expired after init.
recipients=$revoked,$key
GNUPGHOME=$work/gnupg.unrevoked
new_repo later <<EOF
[source tree]
plugin = files
path = $tree/a
EOF
must init
must backup
GNUPGHOME=$work/gnupg
n=$(objects packs)
hf init
exits 1 "init sees the revocation"
hf backup
exits 1 "and from then on there is no backup"
says "$revoked.*revoked" "which is said"
is "$(objects packs)" "$n" "nothing was stored"
make_key short 'Short <short@example.com>' seconds=4
recipients=$short
new_repo short <<EOF
[source tree]
plugin = files
path = $tree/a
EOF
hf init
says 'expires' "a key that soon expires: a warning"
sleep 5
hf backup
exits 1 "an expired recipient: no backup"
says 'expired' "which is said"
is "$(objects packs)" 0 "nothing was stored"
unset recipients

# No private key.
new_repo nokey <<EOF
[source tree]
plugin = files
path = $tree/a
EOF
must init
must backup
mkdir -m 700 "$work/empty-home"
GNUPGHOME=$work/empty-home
stranger
hf list
exits 1 "no private key: list elsewhere"
says 'decrypt|secret key|private key' "which is said"
M=$R/m.ini
hf restore latest --to "$work/r2"
exits 1 "no private key: restore on the host"
says 'decrypt|secret key|private key' "which is said"
is "$(grep -c . "$work/err")" 1 "once"
hf verify --decrypt
exits 1 "no private key: verify --decrypt"
hf verify --read
exits 0 "verify --read needs none"
recover latest "$work/rec"
exits 1 "no private key: recover.sh"
GNUPGHOME=$work/gnupg

# ---- two runs at once, and what is left of one

new_repo lock 'lock-wait = 0' <<EOF
[source slow]
plugin = example
misbehave = hang
timeout = 6s
[source tree]
plugin = files
path = $tree/a
EOF
must init
must backup tree
"$HOLDFAST" -c "$M" backup >/dev/null 2>&1 &
first=$!
jobs_started+=("$first")
for _ in $(seq 100); do
  [ "$(objects locks)" -eq 0 ] || break
  sleep 0.05
done
hf backup tree
exits 1 "two runs at once: the second one fails"
says "another holdfast.*process $first" "and names the first"
hf list
exits 0 "reading goes on meanwhile"
sed -i 's/^lock-wait = 0/lock-wait = 60s/' "$M"
hf backup tree
exits 0 "with lock-wait the second one waits"
wait "$first"
is $? 3 "and the first one ends as it would have"
is "$(objects locks)" 0 "no lock stays"

# The state of another place, the same repository: a second writer.
lock() { # MACHINE BOOT PID EXPIRES
  printf '{"host": "elsewhere", "machine": "%s", "boot": "%s", "pid": %s, "command": "backup", "started": 1, "expires": %s}' "$@" >"$T/locks/00000000000000000000000000000001.json"
}
mkdir -p "$T/locks"
lock another-machine x 1 $(($(date +%s) + 3600))
hf backup tree
exits 1 "the lock of another machine holds"
says 'another machine.*elsewhere' "and says whose it is"
is "$(objects locks)" 1 "its lock stays, ours is gone"
lock another-machine x 1 $(($(date +%s) - 10))
hf backup tree
exits 0 "an expired one does not"
hidden() { printf 'holdfast lock %s' "$(cat "$1")" | sha256sum | cut -c 1-32; }
if [ -s /etc/machine-id ]; then
  machine=$(hidden /etc/machine-id)
  lock "$machine" "$(hidden /proc/sys/kernel/random/boot_id)" 999999999 $(($(date +%s) + 3600))
  hf backup tree
  exits 0 "nor that of a process that is no more"
  lock "$machine" 00000000000000000000000000000000 1 $(($(date +%s) + 3600))
  hf backup tree
  exits 0 "nor that of before the last boot"
else
  for what in "nor that of a process that is no more" "nor that of before the last boot"; do
    tests=$((tests + 1))
    echo "ok $tests - $what # SKIP there is no /etc/machine-id to know this machine by"
  done
fi
is "$(objects locks)" 0 "no lock stays"

# ---- a target that is not mounted

new_repo unmounted <<EOF
[source tree]
plugin = files
path = $tree/a
EOF
must init
must backup
mv "$R/disk" "$R/disk.away"
mkdir "$R/disk"
hf backup
exits 1 "the disk is not mounted"
says 'holds no .holdfast-target' "which is said"
is "$(find "$R/disk" | wc -l)" 1 "and nothing goes to the folder below"
rmdir "$R/disk"
hf backup
exits 1 "the folder is not there at all"
mv "$R/disk.away" "$R/disk"
hf backup
exits 0 "mounted again"

# ---- two targets

small_disk "$work/two/tiny" 8m
new_repo two <<EOF
[source tree]
plugin = files
path = $tree
EOF
printf '[target tiny]\nplugin = local\npath = %s\n' "$R/tiny" >>"$M"
must init
hf backup
exits 3 "one of two targets fails in mid-run: exit code 3"
says 'target disk: committed' "the other one has the snapshot"
says 'target tiny: .*([Nn]o space|full)' "and the first one's reason is given"
intact "the snapshot is whole"
is "$(find "$R/tiny/testhost/records" -type f | wc -l)" 1 "the failed target has no record of it"
hf verify
exits 1 "verify says that it is behind"
says 'target tiny: .*behind|target tiny: lacks' "and names it"
mount -o remount,size=400m "$R/tiny"
echo more >>"$tree/a/2"
hf backup
exits 0 "a target that is behind, and has room again"
says 'target disk: committed' "the level one goes on"
says 'target tiny: committed; [0-9]+ objects copied there' "the other one is brought level"
intact "the snapshot is whole"
mv "$R/disk" "$R/disk.away"
hf backup
[ $rc -ne 0 ]
result $? "one target is away" || show_last
mv "$R/disk.away" "$R/disk"
hf backup
exits 0 "and back"
says 'target disk: committed; [0-9]+ objects copied there' "it lacked what had gone to the other alone"
hf list --target tiny
says '^ *2 ' "the one that was behind has the first snapshot, too"

# Two targets, one of them away from the start.
new_repo away <<EOF
[source tree]
plugin = files
path = $tree/a
EOF
printf '[target second]\nplugin = local\npath = %s\n' "$R/second" >>"$M"
must init
must backup
mv "$R/second" "$R/second.away"
hf backup
exits 3 "one of two targets is away: exit code 3"
says 'target second: |second.*no such|second.*there is no' "which is said"
mv "$R/second.away" "$R/second"
mv "$R/disk" "$R/disk.away"
rm -rf "$work/r"
hf restore 2 --to "$work/r"
exits 0 "the other one alone restores what it has"
ok "whole" diff -r "$tree/a" "$(restored "$work/r" tree "$tree/a")"
# ---- a target that may be away

new_repo visitor <<EOF
[source tree]
plugin = files
path = $tree/a
EOF
printf '[target usb]\nplugin = local\npath = %s\nremovable = yes\n' "$R/usb" >>"$M"
must init
mv "$R/usb" "$R/usb.away"
hf backup
exits 0 "a removable target that is not there is no failure"
says 'usb: .*removable, and left out' "but is said"
hf check
says '^warning +target usb: .*removable' "check warns"
hf verify
exits 0 "verify leaves it out"
hf verify --target usb
exits 1 "who names it wants it"
printf 'no folder' >"$R/usb"
hf backup
exits 3 "one that is there and cannot be used is a failure"
rm "$R/usb"
mv "$R/disk" "$R/disk.away"
hf backup
exits 1 "with no other target there is no backup"
mv "$R/disk.away" "$R/disk"
mv "$R/usb.away" "$R/usb"
must sync
hf verify --read --target usb
exits 0 "back, it is brought level"

done_testing
