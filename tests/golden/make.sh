#!/bin/bash
# make.sh - make the golden repository beside this script: run once for each version of the format, and never again for that version.
# SPDX-License-Identifier: Apache-2.0
#
#   eval "$(make -s test-env)"; tests/golden/make.sh FORMAT        FORMAT is the version of the format, as in v1
#
# A program of any later version has to restore what is in here (tests/integration/golden.sh). So a folder that is there is never made anew, whatever
# else changes; a new version of the format gets a folder of its own. What is made:
#
#   FORMAT/disk/                a target of the plugin local, with the repository of host "golden"
#   FORMAT/test-key-[abc].asc   the recipients' secret keys, for this test and nothing else: they protect nothing, have no passphrase, never expire
#   FORMAT/host-key             the fingerprint of the key that signed
#   FORMAT/SEQ.SOURCE.list      for each snapshot what each source held, by listing.py; SEQ.example.numbers the raw stream's digest
#
# Records: 1 init; 2, 3 and 5 snapshots; 4 the change of recipients. Sources and what they stand for:
#
#   tree      key a, padded: small files in groups, of which the later snapshots use slices; a large file of more than one chunk; small and large
#             sparse files; hard and symbolic links, a FIFO, xattrs, an ACL, names of all kinds
#   example   key b, from snapshot 5 on b and c; recipients' ids hidden: a tree and a raw stream
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022
: "${HOLDFAST:?the program}" "${HOLDFAST_PLUGIN_PATH:?where its plugins are}"
here=$(cd "$(dirname "$0")" && pwd)
[[ ${1:-} =~ ^v[0-9]+$ ]] || { echo "usage: make.sh vN" >&2 && exit 2; }
out=$here/$1
[ ! -e "$out" ] || { echo "make.sh: $out is there already, and stays as it is" >&2 && exit 1; }
# The folder's name is in the repository, so it is the same for everybody.
work=/tmp/holdfast-golden
mkdir "$work"
cleanup() {
  for home in "$work/gnupg" "$work/state/gnupg"; do gpgconf --homedir "$home" --kill all 2>/dev/null || :; done
  rm -rf "$work"
}
trap cleanup EXIT
mkdir "$work/plugins" "$work/made"
IFS=: read -r -a folders <<<"$HOLDFAST_PLUGIN_PATH"
for d in "${folders[@]}"; do cp "$d"/*.so "$work/plugins/"; done
export HOLDFAST_PLUGIN_PATH=$work/plugins GNUPGHOME=$work/gnupg
mkdir -m 700 "$GNUPGHOME"

a='' b='' c=''
for k in a b c; do
  id="holdfast test key $k (public knowledge, do not use) <test-key-$k@example.com>"
  gpg --batch --quiet --passphrase '' --quick-gen-key "$id" ed25519 cert never
  fpr=$(gpg --batch --with-colons --list-keys "=$id" | awk -F: '$1 == "fpr" { print $10; exit }')
  gpg --batch --quiet --passphrase '' --quick-add-key "$fpr" cv25519 encr never
  gpg --batch --quiet --passphrase '' --pinentry-mode loopback --armor --export-secret-keys "$fpr" >"$work/made/test-key-$k.asc"
  printf -v "$k" %s "$fpr"
done

# manifest MESSAGE RECIPIENT...: of the source "example".
manifest() {
  local message=$1
  shift
  {
    printf '[holdfast]\nhost = golden\nstate = %s\nrecipients = %s\n\n' "$work/state" "$a"
    printf '[source tree]\nplugin = files\npath = %s\npadding = yes\n\n' "$work/tree"
    printf '[source example]\nplugin = example\nmessage = %s\ncount = 40\nhide-recipients = yes\n' "$message"
    printf 'recipients = %s\n' "$@"
    printf '\n[target disk]\nplugin = local\npath = %s\n' "$work/made/disk"
  } >"$work/manifest.ini"
}

hf() { "$HOLDFAST" --no-progress -c "$work/manifest.ini" "$@"; }

# snapshot SEQ: back up, and note down what there was.
snapshot() {
  # What was changed in the second of a backup is looked at again by the next one; this one is to use slices.
  sleep 1.1
  hf backup --label "golden $1"
  [ "$(hf --json list | tail -n 1 | sed -n 's/.*"seq": *\([0-9]*\).*/\1/p')" = "$1" ]
  python3 "$here/listing.py" "$work/tree" >"$work/made/$1.tree.list"
  hf cat "$1" example numbers | sha256sum | cut -d ' ' -f 1 >"$work/made/$1.example.numbers"
  hf restore "$1" example --to "$work/restored.$1"
  python3 "$here/listing.py" "$work/restored.$1/example/greetings" >"$work/made/$1.example.list"
}

# ---- a tree with all there is
mkdir -p "$work/tree"
cd "$work/tree"
mkdir -p small links odd sparse empty deep/er/and/deeper
# Paths end groups by chance, one in 64: so many files are several groups, and most of them more than one entry.
for i in $(seq -w 1 150); do printf 'file %s\n' "$i" >"small/$i"; done
chmod 600 small/003
chmod 755 small/004
chmod 2770 deep/er
chmod 1777 empty
: >deep/er/and/deeper/nothing
printf 'in the deep\n' >deep/er/and/deeper/something
# A chunk has at most 4 MiB. Many different lines, so that it is cut by content, and each often, so that it packs well.
awk 'BEGIN { for (i = 0; i < 6000; i++) for (k = 0; k < 160; k++) print i }' >large
[ "$(stat -c %s large)" -gt 4194304 ]
head -c 262143 large >just-small
head -c 262144 large >just-large
truncate -s 100K sparse/small
printf 'in the middle' | dd of=sparse/small bs=1 seek=50000 conv=notrunc status=none
truncate -s 64M sparse/large
printf 'far out' | dd of=sparse/large bs=1 seek=40000000 conv=notrunc status=none
awk 'BEGIN { for (i = 0; i < 30000; i++) print "the end of", int(i / 100) }' | dd of=sparse/large bs=1M seek=60 conv=notrunc status=none
truncate -s 300K sparse/hole
printf 'one file, three names\n' >links/first
ln links/first links/second
ln links/first small/third
ln large links/large
ln -s ../small/001 links/relative
ln -s /nowhere/at/all links/dangling
ln -s "$(printf 'an odd\ntarget \\ \303\251')" links/odd
mkfifo -m 640 links/fifo
for name in 'blank in it' $'line\nfeed' 'back\slash' $'\377\376 bytes' $'\303\244\303\266' '-rf' '*?[x]' '"quotes'\' $'tab\there' '~' '#' $'\001'; do
  printf '%s' "$name" >"odd/$name"
done
long=$(printf 'x%.0s' $(seq 1 200))
mkdir -p "odd/$long/$long"
printf 'a long path\n' >"odd/$long/$long/$long"
printf 'attributes\n' >xattr
setfattr -n user.note -v 'some text' xattr
setfattr -n user.binary -v 0x00ff0a3d0d xattr
setfattr -n user.empty xattr
setfattr -n user.of-a-folder -v yes deep
printf 'an ACL\n' >acl
setfacl -m u:4711:rw,g:4712:r acl
setfacl -d -m u:4711:rwx empty
touch -d '1969-12-31 23:59:58.25' small/010
touch -d '2099-01-01 00:00:00.999999999' small/011
touch -h -d '2001-02-03 04:05:06' links/relative
touch -d '2020-02-02 02:02:02.020202020' empty

manifest 'good morning' "$b"
hf init
sed -n 's/.*"host_key": *"\([0-9A-F]*\)".*/\1/p' <(hf --json init) >"$work/made/host-key"
[ "$(wc -c <"$work/made/host-key")" -eq 41 ]
snapshot 2

# ---- one small file among many, a name less, a name more, the end of the large file
printf 'file 042 has changed, and is longer now\n' >small/042
rm small/100
printf 'a new one\n' >small/0505
printf 'the end\n' >>large
manifest 'good evening' "$b"
snapshot 3

# ---- other recipients; what was a file is a folder
manifest 'good evening' "$b" "$c"
hf init
rm deep/er/and/deeper/something
mkdir deep/er/and/deeper/something
printf 'file 042 once more\n' >small/042
setfattr -n user.note -v 'other text' xattr
snapshot 5

hf verify --decrypt
# A run's locks are gone with it, and folders without files are nothing that can be kept.
rmdir "$work/made/disk/golden/locks" 2>/dev/null || :
cp -r "$work/made" "$out"
find "$out" -type f -exec chmod 644 {} +
find "$out" -type d -exec chmod 755 {} +
du -sk --apparent-size "$out"
