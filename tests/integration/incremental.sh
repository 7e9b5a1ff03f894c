#!/bin/bash
# incremental.sh - every kind of change is seen and restored; what is unchanged is not opened; thirty random generations come back.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2016 # variables of lib.sh; eval
. "${SRCDIR:?}/tests/integration/lib.sh"
need python3 strace setfattr

make_key key 'Recipient <recipient@example.com>'
tree=$work/tree
mkdir -p "$tree/dir/sub" "$tree/many"
for i in $(seq 400); do head -c $((i * 13)) /dev/urandom >"$tree/many/plain-$i"; done
head -c 3000000 /dev/urandom >"$tree/large"
for n in content same-size same-time mode owner renamed deleted becomes-dir becomes-link xattr-added hole touched truncated grown; do
  echo "this is $n" >"$tree/dir/$n"
done
mkdir "$tree/dir/becomes-file" "$tree/dir/dir-mode"
ln -s content "$tree/dir/sym"
echo linked >"$tree/dir/link-a"
ln "$tree/dir/link-a" "$tree/dir/link-b"
ln "$tree/large" "$tree/dir/sub/large too"

new_repo main <<EOF
[source tree]
plugin = files
path = $tree
EOF
must init
sleep 1.1
must backup
describe "$tree" >"$work/state.2"

# restores SEQ NAME: is snapshot SEQ the tree that was described as state.SEQ?
restores() {
  rm -rf "$work/r"
  hf restore "$1" --to "$work/r"
  if [ $rc -ne 0 ]; then
    exits 0 "$2"
    return
  fi
  describe "$(restored "$work/r" tree "$tree")" >"$work/got"
  diff "$work/state.$1" "$work/got" >"$work/diff"
  result $? "$2" || diag "$work/diff"
}

# opened: a backup under strace; $work/opened are the files of the tree that were opened for reading.
opened() {
  # LeakSanitizer does not work under strace.
  strace -f -qq -s 300 -E ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0" -e trace=open,openat,openat2 -o "$work/strace" "$HOLDFAST" -c "$M" backup >"$work/out" 2>"$work/err"
  rc=$?
  last="strace holdfast backup"
  # The folders have to be listed; what counts is regular files.
  grep -v -e O_DIRECTORY -e O_PATH "$work/strace" | grep -oE '"[^"]*(plain-[0-9]+|large( too)?|this|content|same-(size|time)|link-[ab])"' | tr -d '"' | sort -u >"$work/opened"
}

# ---- what is unchanged is not read

opened
exits 0 "backup with nothing changed"
is "$(wc -l <"$work/opened")" 0 "no file is opened"
describe "$tree" >"$work/state.3"
ok "folders were looked at, under strace" grep -q 'O_DIRECTORY' "$work/strace"
echo changed >>"$tree/many/plain-200"
sleep 0.01
opened
exits 0 "backup with one small file changed"
n=$(wc -l <"$work/opened")
[ "$n" -ge 1 ] && [ "$n" -le 250 ] && grep -q 'plain-200$' "$work/opened" && ! grep -q large "$work/opened"
result $? "only what is around it is read ($n files), and not the large file"
describe "$tree" >"$work/state.4"
restores 4 "and the snapshot is right"

# ---- every kind of change, each in a snapshot of its own

seq=4
# change NAME COMMAND...: do it, back up, restore.
change() {
  local name=$1
  shift
  "$@"
  seq=$((seq + 1))
  if ! hf backup; then
    exits 0 "$name"
    return
  fi
  describe "$tree" >"$work/state.$seq"
  cmp -s "$work/state.$seq" "$work/state.$((seq - 1))" && [ "$name" != "same size and time" ] && echo "# nothing has changed: $name"
  restores "$seq" "changed: $name"
}
d=$tree/dir
same_size() { printf 'THAT' | dd of="$d/same-size" conv=notrunc status=none; }
# As deceitful as it gets without setting the clock: only ctime tells.
same_time() {
  local t
  t=$(stat -c %y "$d/same-time")
  printf 'THAT' | dd of="$d/same-time" conv=notrunc status=none
  touch -d "$t" "$d/same-time"
}
same_time_large() {
  local t
  t=$(stat -c %y "$tree/large")
  printf 'THAT' | dd of="$tree/large" bs=1 seek=2000000 conv=notrunc status=none
  touch -d "$t" "$tree/large"
}
retype_dir() { rm "$d/becomes-dir" && mkdir "$d/becomes-dir" && echo in >"$d/becomes-dir/in"; }
retype_link() { rm "$d/becomes-link" && ln -s content "$d/becomes-link"; }
retype_file() { rmdir "$d/becomes-file" && echo file >"$d/becomes-file"; }
break_link() { cp "$d/link-a" "$d/link-new" && mv "$d/link-new" "$d/link-b"; }
join_link() { ln -f "$d/content" "$d/link-b"; }
swap_names() { mv "$tree/many/plain-1" "$tree/many/x" && mv "$tree/many/plain-2" "$tree/many/plain-1" && mv "$tree/many/x" "$tree/many/plain-2"; }
relink() { ln -sfn elsewhere "$d/sym"; }
punch() { head -c 200000 /dev/urandom >"$d/hole" && truncate -s 900000 "$d/hole"; }
remove_large() { rm "$tree/large"; }
move_folder() { mv "$tree/many" "$tree/many.moved"; }

change "content" eval 'echo new >"$d/content"'
change "content, same size" same_size
change "content, same size and modification time" same_time
change "content of a large file, same size and modification time" same_time_large
change "mode" chmod 4711 "$d/mode"
change "mode of a folder" chmod 2700 "$d/dir-mode"
if [ "$(id -u)" -eq 0 ]; then change "owner" chown 12:34 "$d/owner"; else change "group bits" chmod 070 "$d/owner"; fi
change "modification time" touch -d '2001-01-01 01:01:01.000000001' "$d/touched"
change "an extended attribute" setfattr -n user.new -v value "$d/xattr-added"
change "an extended attribute is gone" setfattr -x user.new "$d/xattr-added"
change "renamed" mv "$d/renamed" "$d/a new name"
change "two files swapped" swap_names
change "deleted" rm "$d/deleted"
change "added" cp "$d/content" "$d/added"
change "truncated" truncate -s 3 "$d/truncated"
change "grown over the bound of large files" eval 'head -c 400000 /dev/urandom >"$d/grown"'
change "a file becomes a folder" retype_dir
change "a file becomes a link" retype_link
change "a folder becomes a file" retype_file
change "a link's target" relink
change "a hard link broken" break_link
change "a hard link made" join_link
change "a hole" punch
change "the first name of a large file removed" remove_large
change "a folder renamed" move_folder

# ---- the kept recipe is lost: a full read, and nothing stored again

touch "$work/mark"
seq=$((seq + 1))
rm -rf "$R/state/recipes"
opened
exits 0 "backup without the recipe of last time"
n=$(grep -c plain- "$work/opened")
[ "$n" -ge 400 ]
result $? "everything is read ($n of 400 files)"
# What was patched into a group since the group was last stored whole comes anew; all else is found to be there.
now=$(find "$T/packs" -type f -newer "$work/mark" -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }')
all=$(find "$T/packs" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }')
[ "$now" -lt $((all / 5)) ]
result $? "next to nothing is stored again ($now of $all bytes)"
describe "$tree" >"$work/state.$seq"
restores "$seq" "and the snapshot is right"
opened
is "$(wc -l <"$work/opened")" 0 "the run after that opens nothing"
seq=$((seq + 1))

main=$M
new_repo once <<EOF
[source tree]
plugin = files
path = $tree
EOF
must init
must backup
packs=$(objects packs)
rm -rf "$R/state/recipes"
hf backup
is "$rc $(objects packs)" "0 $packs" "of a snapshot that was stored in one go, nothing at all"
M=$main R=$work/main T=$work/main/disk/testhost

# ---- thirty generations of random changes

rm -rf "$tree"
python3 "$here/mutate.py" "$tree" 0
for generation in $(seq 30); do
  python3 "$here/mutate.py" "$tree" "$generation"
  seq=$((seq + 1))
  hf backup || { exits 0 "generation $generation" && continue; }
  describe "$tree" >"$work/state.$seq"
done
bad=0
first=$((seq - 29))
for s in $(seq "$first" "$seq"); do
  rm -rf "$work/r"
  if hf restore "$s" --to "$work/r" && describe "$(restored "$work/r" tree "$tree")" >"$work/got" && diff "$work/state.$s" "$work/got" >"$work/diff"; then
    continue
  fi
  bad=$((bad + 1))
  [ $bad -gt 2 ] || { echo "# snapshot $s:" && show_last && diag "$work/diff"; }
done
is "$bad" 0 "thirty generations of random changes, each restored as it was"
ok "the generations do differ" test "$(cat "$work"/state.* | sort -u | wc -l)" -gt 1000
hf verify --read --decrypt
exits 0 "verify finds nothing"
done_testing
