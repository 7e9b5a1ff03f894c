#!/bin/bash
# inplace.sh - restore in place: what was lost or changed comes back, a safety copy is kept, the rest is left alone, no link leads out.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154 # variables of lib.sh
. "${SRCDIR:?}/tests/integration/lib.sh"
need python3 tar setfattr setfacl

make_key key 'Recipient <recipient@example.com>'
tree=$work/holder/tree
prepare() {
  rm -rf "$tree" "$R/state/safety"
  mkdir -p "$tree/sub/deep" "$tree/other"
  for f in file sub/file sub/deep/file other/file; do echo "original $f" >"$tree/$f"; done
  head -c 700000 /dev/urandom >"$tree/sub/large"
  ln "$tree/sub/file" "$tree/sub/hard"
  ln -s file "$tree/link"
  chmod 750 "$tree/sub/deep"
}
R=$work/main
prepare
new_repo main <<EOF
[source tree]
plugin = files
path = $tree
EOF
must init
must backup
describe "$tree" >"$work/want"
cp -a "$tree" "$work/original"

again() {
  rm -rf "$tree" "$R/state/safety"
  cp -a "$work/original" "$tree"
}
safety() { find "$R/state/safety" -name '*.tar' 2>/dev/null; }

# ---- it does not happen by mistake

hf restore latest --in-place
exits 2 "without a terminal and without --yes it is refused"
says '--yes' "and says what is wanted"
is "$(safety)" "" "nothing has been done"

# ---- all of it

echo changed >"$tree/file"
rm "$tree/sub/large"
rm "$tree/sub/hard"
echo not a link any more >"$tree/sub/hard"
chmod 777 "$tree/sub/deep"
echo new >"$tree/sub/new"
ln -sfn elsewhere "$tree/link"
describe "$tree" >"$work/before"
hf restore latest --in-place --yes
exits 0 "restore --in-place"
ok "a file that is not in the snapshot is left alone" grep -qx new "$tree/sub/new"
rm "$tree/sub/new"
# The folder's time has changed since by the removal: compare without.
describe "$tree" | grep -v "^b'sub' " >"$work/got"
grep -v "^b'sub' " "$work/want" >"$work/want.sub"
ok "everything else is as it was in the snapshot" diff "$work/want.sub" "$work/got"
copy=$(safety)
is "$(safety | wc -l)" 1 "there is a safety copy"
says "$copy" "and the message says where"
is "$(stat -c %a "$copy")" 600 "readable by its owner alone"
mkdir "$work/undo"
ok "tar reads it" tar -xpf "$copy" -C "$work/undo" --xattrs --acls
describe "$work/undo$tree" >"$work/got"
ok "and it is what was there before" diff "$work/before" "$work/got"

# ---- some of it

again
rm -rf "$tree/sub"
echo changed >"$tree/other/file"
rm "$tree/file"
hf restore latest --in-place --yes --path "$tree/sub/deep" --path "$tree/file"
exits 0 "restore --in-place --path"
ok "what was asked for is back" cmp "$tree/sub/deep/file" "$work/original/sub/deep/file"
is "$(stat -c %a "$tree/sub/deep")" 750 "a folder with its mode"
ok "a file too" cmp "$tree/file" "$work/original/file"
ok "and no more" test ! -e "$tree/sub/large"
is "$(cat "$tree/other/file")" changed "what was not asked for is not touched"

# ---- a source whose tree is gone altogether

again
rm -rf "$tree"
hf restore latest --in-place --yes
exits 0 "the whole tree is gone"
describe "$tree" >"$work/got"
ok "and comes back" diff "$work/want" "$work/got"

# ---- links must not lead out

again
mkdir "$work/outside" "$work/outside/deep"
echo precious >"$work/outside/file"
echo precious >"$work/outside/deep/file"
describe "$work/outside" >"$work/outside.before"
rm -rf "$tree/sub"
ln -s "$work/outside" "$tree/sub"
hf restore latest --in-place --yes --path "$tree/sub/deep"
exits 0 "a folder that has been replaced by a symbolic link"
ok "is a folder again" test ! -L "$tree/sub"
ok "with what was asked for" cmp "$tree/sub/deep/file" "$work/original/sub/deep/file"
describe "$work/outside" >"$work/outside.after"
ok "nothing is written where the link led" diff "$work/outside.before" "$work/outside.after"
ok "and the link is in the safety copy" grep -q -e "tree/sub -> $work/outside" <(tar -tvf "$(safety)")
again
rm -rf "$tree/sub"
echo a file now >"$tree/sub"
hf restore latest --in-place --yes --path "$tree/sub/deep"
ok "so is a file in the place of a folder" grep -qx 'a file now' <(tar -xOf "$(safety)" "${tree#/}/sub")
again
mv "$work/holder" "$work/moved"
mkdir -p "$work/outside2/tree"
ln -s outside2 "$work/holder"
hf restore latest --in-place --yes
exits 3 "a folder above the tree replaced by a symbolic link: exit code 3"
says 'holder.*symbolic link' "and the message says so"
is "$(find "$work/outside2" ! -type d | wc -l)" 0 "nothing is written where it leads"
rm "$work/holder"
mv "$work/moved" "$work/holder"
rm -rf "$tree/sub"
ln -s "$work/outside" "$tree/sub"
hf restore latest --in-place --yes
exits 0 "a folder that has been replaced, with everything asked for"
describe "$work/outside" >"$work/outside.after"
ok "nothing is written where it leads" diff "$work/outside.before" "$work/outside.after"
again
ln -sfn "$work/outside/file" "$tree/file"
hf restore latest --in-place --yes
exits 0 "a file replaced by a symbolic link"
ok "is a file again" cmp "$tree/file" "$work/original/file"
describe "$work/outside" >"$work/outside.after"
ok "nothing is written where it led" diff "$work/outside.before" "$work/outside.after"

# A folder in the place of a file, with something in it that nobody asked to remove.
again
rm "$tree/file"
mkdir "$tree/file"
echo keep >"$tree/file/in it"
hf restore latest --in-place --yes
exits 3 "a folder with something in it in the place of a file: exit code 3"
says 'tree/file' "which is named"
ok "and it is left alone" grep -qx keep "$tree/file/in it"
# ---- folders above that are gone

mkdir -p "$work/upper/a b/c/private"
chmod 700 "$work/upper/a b/c/private"
echo one >"$work/upper/a b/c/private/file"
new_repo above <<END
[source data]
plugin = files
path = $work/upper/a b/c/private
END
must init
must backup
rm -r "$work/upper"
hf restore latest --in-place --yes
exits 0 "in place where the folders above are gone"
is "$(cat "$work/upper/a b/c/private/file")" one "what was in it is back"
is "$(stat -c %a "$work/upper/a b/c/private" "$work/upper/a b/c" "$work/upper/a b" "$work/upper" | tr '\n' ' ')" '700 755 755 755 ' "with its mode, and those above it can be passed by all"

# Whoever owns a folder above swaps one that has just been made for a link to somebody else's: the mode goes to what was made. And what came is on the disk when it ends.
if command -v strace >/dev/null 2>&1 && strace -o /dev/null true 2>/dev/null; then
  rm -r "$work/upper"
  mkdir "$work/upper"
  mkdir -m 700 "$work/somebody"
  {
    for ((i = 0; i < 3000; i++)); do
      if [ -d "$work/upper/a b" ]; then
        mv "$work/upper/a b" "$work/upper/away"
        ln -s "$work/somebody" "$work/upper/a b"
        break
      fi
      sleep 0.002
    done
  } &
  swapper=$!
  strace -f -E ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0" -o "$work/trace" -e trace=fchmod,fchmodat,syncfs -e inject=fchmod,fchmodat:delay_enter=300000:when=1 "$HOLDFAST" -c "$M" restore latest --in-place --yes >"$work/out" 2>"$work/err" </dev/null
  rc=$? last='restore with a folder swapped'
  wait "$swapper"
  exits 3 "a folder that was swapped for a link on the way is not followed"
  ok "it was swapped" test -L "$work/upper/a b"
  is "$(stat -c %a "$work/somebody")" 700 "and the folder that the link leads to has its mode"
  rm "$work/upper/a b"
  strace -f -o "$work/trace" -e trace=syncfs "$HOLDFAST" -c "$M" restore latest --in-place --yes >"$work/out" 2>"$work/err" </dev/null
  ok "what came is put on the disk" grep -q 'syncfs(.*= 0' "$work/trace"
  echo two >"$work/upper/a b/c/private/file"
  must restore latest --in-place --yes
  strace -f -o "$work/trace" -e trace=syncfs "$HOLDFAST" -c "$M" restore --undo --yes >"$work/out" 2>"$work/err" </dev/null
  ok "and so is what is put back" grep -q 'syncfs(.*= 0' "$work/trace"
fi

# ---- what the source does not read any more, and the snapshot holds

less=$work/less
mkdir -p "$less/dropped/sub" "$less/kept/cache" "$less/kept/way"
echo old | tee "$less/dropped/file" "$less/dropped/sub/file" "$less/kept/x.bak" "$less/kept/cache/file" "$less/kept/way/in" "$less/kept/other" >"$less/kept/first"
ln "$less/kept/first" "$less/kept/second"
ln -s old "$less/kept/link.bak"
echo old >"$less/kept/holes.bak"
echo old >"$less/kept/empty.bak"
echo old >"$less/kept/fifo.bak"
new_repo rest <<EOF
[source data]
plugin = files
path = $less/kept
path = $less/dropped
EOF
must init
must backup
must restore 2 --to "$work/rest.old"
# Since then: patterns, a path less, and other content.
sed -i "s|^path = $less/dropped|exclude = *.bak\nexclude = cache/|" "$M"
echo precious | tee "$less/dropped/file" "$less/dropped/sub/file" "$less/kept/x.bak" "$less/kept/cache/file" >"$less/kept/first"
chmod 640 "$less/kept/x.bak"
chmod 710 "$less/dropped/sub" "$less/kept/cache"
setfattr -n user.note -v why "$less/kept/x.bak"
setfacl -m u:7:r "$less/kept/cache/file"
touch -d '2001-02-03 04:05:06.789' "$less/kept/x.bak" "$less/dropped/sub"
ln -sfn precious "$less/kept/link.bak"
truncate -s 3M "$less/kept/holes.bak"
: >"$less/kept/empty.bak"
rm "$less/kept/fifo.bak"
mkfifo "$less/kept/fifo.bak"
rm -r "$less/kept/way"
echo precious >"$less/kept/way"
describe "$less" >"$work/rest.before"
hf restore latest --in-place --yes
exits 0 "in place, where the source reads less than the snapshot holds"
says 'data: [0-9]+ more that the source does not read are kept in .*rest.tar' "it says that the rest is kept as well"
same "$less/kept" "$work/rest.old/data$less/kept" "everything is as in the snapshot"
same "$less/dropped" "$work/rest.old/data$less/dropped" "and so is the path that was dropped"
hf restore --undo --yes
exits 0 "taken back"
describe "$less" >"$work/rest.after"
ok "all of it is as it was before, with its metadata" diff "$work/rest.before" "$work/rest.after"
ok "a file that is mostly a hole still is" test "$(stat -c %b "$less/kept/holes.bak")" -lt 100
hf restore --undo --yes
exits 0 "and forth again"
same "$less/kept" "$work/rest.old/data$less/kept" "everything is as in the snapshot again"
same "$less/dropped" "$work/rest.old/data$less/dropped" "and so is the path that was dropped"
hf restore --undo --yes
describe "$less" >"$work/rest.after"
ok "and back once more" diff "$work/rest.before" "$work/rest.after"

# A pattern says nothing of what stands where its folders have to be.
hf restore latest --in-place --yes --path "$less/kept/w*/in"
exits 0 "a file in the place of a folder on the way to a pattern"
is "$(cat "$less/kept/way/in")" old "what was asked for is there"
hf restore --undo --yes
is "$(cat "$less/kept/way")" precious "the file comes back"

# Of two names of a file only one is replaced, and the other becomes another file meanwhile.
hf restore latest --in-place --yes --path "$less/kept/second"
is "$(cat "$less/kept/first" "$less/kept/second")" $'precious\nold' "one of two names is replaced"
echo newer >"$less/kept/new"
mv "$less/kept/new" "$less/kept/first"
hf restore --undo --yes
exits 0 "and taken back"
is "$(cat "$less/kept/first" "$less/kept/second")" $'newer\nprecious' "it is what it was, not what the other has become"

# What cannot be kept is not replaced.
if [ "$(id -u)" -eq 0 ] && mkdir "$work/small" && mount -t tmpfs -o size=2m none "$work/small" 2>/dev/null; then
  mounts+=("$work/small")
  head -c 3000000 /dev/urandom >"$less/kept/x.bak"
  sum=$(sha256sum <"$less/kept/x.bak")
  cp -a "$R/state" "$work/small/state"
  sed -i "s|^state = .*|state = $work/small/state|" "$M"
  hf restore latest --in-place --yes --path "$less/kept/x.bak"
  exits 1 "no room to keep what is replaced"
  is "$(sha256sum <"$less/kept/x.bak")" "$sum" "it is not replaced"
fi

# ---- one of two sources

mkdir "$work/one"
echo 1 | tee "$work/one/file" >"$work/dump"
new_repo one <<EOF
[source data]
plugin = files
path = $work/one
[source service]
plugin = exec
command = cat $work/dump
restore-command = dd of=$work/dump status=none
restore-before = sh -c 'echo stopped >>$work/hooks.log'
restore-after = sh -c 'echo started >>$work/hooks.log'
EOF
must init
must backup
echo 2 | tee "$work/one/file" >"$work/dump"
hf restore latest --in-place --yes --path "$work/one/file"
exits 0 "a path of one source, and no source named"
is "$(cat "$work/one/file" "$work/dump")" $'1\n2' "comes back, and nothing of the other source"
ok "whose service was not stopped" test ! -e "$work/hooks.log"
echo 3 >"$work/dump"
hf restore --undo --yes
exits 0 "taken back"
is "$(cat "$work/one/file" "$work/dump")" $'2\n3' "and the other source is left as it is by now"
ok "its service still runs" test ! -e "$work/hooks.log"
hf restore latest --in-place --yes --path output
exits 0 "the other way round"
is "$(cat "$work/one/file" "$work/dump") $(tr '\n' ' ' <"$work/hooks.log")" $'2\n1 stopped started ' "only the service's data"
hf restore latest --in-place --yes --path ''
exits 2 "a pattern that is empty is refused"
is "$(cat "$work/one/file")" 2 "and does not mean everything"
hf restore latest --in-place --yes --path /nowhere
exits 1 "nothing that fits"

done_testing
