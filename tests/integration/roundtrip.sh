#!/bin/bash
# roundtrip.sh - a tree with every kind of file comes back identical, by restore and by recover.sh; cat, ls, diff tell the truth.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2016 # variables of lib.sh; eval
. "${SRCDIR:?}/tests/integration/lib.sh"
need_root "device nodes, owners and trusted attributes"
need python3 setfacl getfacl getfattr setcap getcap zstd tar

make_key key 'Recipient <recipient@example.com>'
tree=$work/tree
python3 "$here/make_tree.py" "$tree" || { echo "Bail out! the tree could not be made" && exit 1; }
setfacl -m u:1234:rw,g:55:r,m::rwx "$tree/acl/access"
setfacl -m u:4000000000:rwx,m::r "$tree/acl/mask"
setfacl -d -m u:7:rwx,g::rx,o::- "$tree/acl/default"
setfacl -m u:8:rwx -d -m g:9:r "$tree/acl/both"
setcap cap_net_raw,cap_net_bind_service+ep "$tree/acl/caps"
setcap cap_dac_override+eip "$tree/acl/caps-large"
setfacl -m u:99:x "$tree/acl/caps"
setcap cap_net_raw+ep "$tree/acl/caps"
touch -d '2020-02-02 02:02:02.020202020' "$tree/acl"

# A path far over PATH_MAX, in a tree of its own: not every tar can make such a path.
deep=$work/deep
mkdir "$deep"
python3 - "$deep" <<'PY'
import os, sys
os.chdir(sys.argv[1])
for i in range(30):
    os.mkdir("d%02d" % i + "x" * 240)
    os.chdir("d%02d" % i + "x" * 240)
    with open("file", "w") as f:
        f.write("depth %d\n" % i)
with open("large", "wb") as f:
    f.write(os.urandom(700000))
os.link("file", "hard")
os.symlink("file", "link")
PY
truncate -s 3T "$work/huge"
printf 'far out' | dd of="$work/huge" bs=1 seek=1099511627776 conv=notrunc status=none
sleep 1.1 # what was changed in the second of a backup is looked at again by the next one

new_repo main <<EOF
[source tree]
plugin = files
path = $tree
[source deep]
plugin = files
path = $deep
[source one]
plugin = files
path = $tree/sizes/big
[source huge]
plugin = files
path = $work/huge
EOF

hf init
exits 0 "init"
hf check
exits 0 "check"
hf backup --label 'the first'
exits 0 "backup"

# ---- restore

hf restore latest --to "$work/r1"
exits 0 "restore"
got=$(restored "$work/r1" tree "$tree")
same "$tree" "$got" "restore gives back every entry, content and metadata" no-sockets
same "$deep" "$(restored "$work/r1" deep "$deep")" "also with paths of 7500 bytes"
ok "and a single file as source" cmp "$tree/sizes/big" "$(restored "$work/r1" one "$tree/sizes/big")"
# is_huge FILE: the size, and a little data at the right place.
is_huge() {
  [ "$(stat -c %s "$1")" = 3298534883328 ] && [ "$(stat -c %b "$1")" -lt 64 ] &&
    [ "$(dd if="$1" bs=1 skip=1099511627776 count=7 status=none)" = 'far out' ]
}
ok "and a file of 3 TB that is nearly all hole" is_huge "$(restored "$work/r1" huge "$work/huge")"
ok "a socket is not restored" test ! -e "$got/special/socket"

# compare_with_tools WHAT DIR: what the usual tools see, besides describe.py.
compare_with_tools() {
  local d i=0
  for d in "$tree" "$2"; do
    i=$((i + 1))
    (
      cd "$d" || exit
      find . ! -type s -printf '%P %y %#m %U %G %T@ %l\0' | sort -z | tr '\0' '\n'
      find . -type f -printf '%P %s %n\0' | sort -z | tr '\0' '\n'
      find . -type b -printf '%P\n' -o -type c -printf '%P\n' | sort | while IFS= read -r f; do stat -c '%n %t %T' "$f"; done
    ) >"$work/find.$i"
    (cd "$d" && getfattr -R -h -d -m - -e hex . 2>/dev/null) | sed 's/^# file: //' | awk -v RS= '{ print }' >"$work/fattr.$i"
    (cd "$d" && find acl meta ! -type l -print0 | sort -z | xargs -0 getfacl -n) >"$work/facl.$i" 2>/dev/null
    (cd "$d" && getcap -r acl) >"$work/cap.$i"
  done
  ok "$1: find sees the same" cmp "$work/find.1" "$work/find.2"
  ok "$1: getfattr sees the same" test "$(sort "$work/fattr.1" | sha256sum)" = "$(sort "$work/fattr.2" | sha256sum)"
  ok "$1: getfacl sees the same" cmp "$work/facl.1" "$work/facl.2"
  is "$(cat "$work/cap.2")" "$(cat "$work/cap.1")" "$1: getcap sees the same"
  [ "$(wc -l <"$work/cap.1")" -eq 2 ] && grep -q 'user:1234:rw-' "$work/facl.1" && grep -q trusted.on.link "$work/fattr.1"
  result $? "$1: and there was something to see"
}
compare_with_tools restore "$got"

# A hole comes back as a hole: no file takes notably more room than it did.
holes() {
  local f was is bad=0
  for f in "$tree"/sparse/*; do
    was=$(stat -c %b "$f") is=$(stat -c %b "$1/sparse/${f##*/}")
    [ "$is" -le $((was + 64)) ] || { bad=1 && echo "${f##*/}: $was blocks, now $is"; }
  done
  [ "$(stat -c %b "$1/sizes/zeros")" -gt 0 ] || echo "note: written zeros became a hole"
  return $bad
}
ok "holes are holes again" holes "$got"

# ---- the same with standard tools

recover latest "$work/rec" tree one huge
exits 0 "recover.sh, in an environment without holdfast"
ok "holdfast is not on that PATH" test -z "$(env -i PATH=/usr/local/bin:/usr/bin:/bin sh -c 'command -v holdfast')"
same "$tree" "$(restored "$work/rec" tree "$tree")" "recover.sh gives back every entry, content and metadata" no-sockets
compare_with_tools recover.sh "$(restored "$work/rec" tree "$tree")"
ok "recover.sh: holes are holes again" holes "$(restored "$work/rec" tree "$tree")"
ok "recover.sh: a single file as source" cmp "$tree/sizes/big" "$(restored "$work/rec" one "$tree/sizes/big")"
ok "recover.sh: the 3 TB" is_huge "$(restored "$work/rec" huge "$work/huge")"
ok "recover.sh leaves no plain pieces behind" test -z "$(find "$work/rec" -maxdepth 1 -name '.recover-*')"

# ---- parts of it

path=${tree#/}
# part NAME PATTERN EXPECTED...: restore --path PATTERN gives exactly these files and links (relative to the tree), with their folders.
part() {
  local name=$1 pattern=$2
  shift 2
  rm -rf "$work/part"
  hf restore latest tree --to "$work/part" --path "$pattern"
  if [ $rc -ne 0 ]; then
    exits 0 "$name"
    return
  fi
  (cd "$(restored "$work/part" tree "$tree")" && find . ! -type d -printf '%P\n' | sort) >"$work/part.got" 2>&1
  printf '%s\n' "$@" | sort >"$work/part.want"
  diff "$work/part.want" "$work/part.got" >"$work/part.diff" && for f in "$@"; do
    [ ! -f "$tree/$f" ] || cmp "$tree/$f" "$(restored "$work/part" tree "$tree")/$f" || exit 1
  done
  result $? "$name" || diag "$work/part.diff"
}
part "--path: one small file" "$path/sizes/text-513" sizes/text-513
part "--path: one large file, with a leading slash" "/$path/sizes/random-4194305" sizes/random-4194305
part "--path: a folder" "$path/sparse" sparse/small sparse/small-end sparse/hole-only sparse/hole-small sparse/middle sparse/start sparse/end \
  sparse/many sparse/large sparse/unaligned
part "--path: a pattern" "$path/sizes/text-26214*" sizes/text-262143 sizes/text-262144 sizes/text-262145
part "--path: a hard link whose other name is not asked for" "$path/many/00/hard too" "many/00/hard too"
part "--path: a hard link to a large file" "$path/links/hard to a large file" "links/hard to a large file"
part "--path: a name with blanks" "$path/names/blank in it" "names/blank in it"
got=$(restored "$work/part" tree "$tree")
rm -rf "$work/part"
hf restore latest tree --to "$work/part" --path "$path/meta" --path "$path/xattr"
same "$tree/meta" "$got/meta" "--path twice: the metadata is there, too"
same "$tree/xattr" "$got/xattr" "and the extended attributes"
hf restore latest --to "$work/part2" --path "$path/no/such/thing"
exits 1 "a --path that nothing matches is an error"
says 'has nothing that --path .*no/such/thing matches' "which is said"
ok "and gives no file" test -z "$(find "$work/part2" ! -type d)"
hf restore latest tree --to "$work/part"
exits 1 "a folder that holds something is not restored into"
hf restore latest nosuch --to "$work/part3"
says 'no source nosuch' "a source that is not in the snapshot is named"

# ---- cat, ls, diff

# cat_is NAME PATH FILE
cat_is() {
  hf cat latest tree "$2"
  [ $rc -eq 0 ] && cmp "$work/out" "$3" >"$work/cmp" 2>&1
  result $? "cat: $1" || { echo "# exit code $rc" && diag "$work/err" "$work/cmp"; }
}
cat_is "a small file" "$tree/sizes/text-4096" "$tree/sizes/text-4096"
cat_is "an empty file" "$path/sizes/random-0" /dev/null
cat_is "a file of 20 MB" "$path/sizes/big" "$tree/sizes/big"
cat_is "a sparse file" "$path/sparse/large" "$tree/sparse/large"
cat_is "a hard link" "$path/links/hard to a large file" "$tree/links/hard to a large file"
cat_is "a name that is not UTF-8" "$path/names/"$'\xff\xfe'" not utf-8" "$tree/names/"$'\xff\xfe'" not utf-8"
cat_is "a name with a newline" "$path/names/new"$'\n'"line" "$tree/names/new"$'\n'"line"
hf cat latest tree tree
mkdir "$work/untar"
ok "cat: the whole stream is a tar" tar -xpf "$work/out" -C "$work/untar" --acls --xattrs --xattrs-include='*' --numeric-owner
same "$tree" "$work/untar/$path" "and tar gives back every entry from it" no-sockets
hf cat latest tree "$path/no-such-file"
exits 1 "cat: a file that is not there"

hf ls latest
says 'tree' "ls: the sources"
hf ls latest tree
is "$(wc -l <"$work/out")" "$(find "$tree" -printf 'x\n' | wc -l)" "ls: every entry"
hf ls latest tree "$path/special"
ok "ls: a folder, and what is in it" grep -q 'special/fifo again' "$work/out"
hf ls -l latest tree "$path/meta"
ok "ls -l: modes and numbers" grep -Eq 's.*1234.*4321.*setuid-owned' "$work/out"

# ---- the second snapshot

packs=$(objects packs) indexes=$(objects indexes) records=$(objects records)
hf backup --label second
exits 0 "backup again, nothing changed"
is "$(objects packs) $(objects indexes) $(objects records)" "$packs $indexes $((records + 1))" "a record is all that is new"
hf diff 2 3
ok "diff: nothing" eval '! grep -qE "^[-+MUT] " "$work/out"'
is "$rc" 0 "diff: exit code"

echo changed >"$tree/sizes/text-512"
rm "$tree/sizes/text-1"
echo new >"$tree/sizes/new one"
chmod 600 "$tree/sizes/text-511"
rm "$tree/links/dangling"
mkdir "$tree/links/dangling"
hf backup
exits 0 "backup of changes"
hf diff 3 4 tree
ok "diff: content" grep -Eq '^M.*sizes/text-512$' "$work/out"
ok "diff: removed" grep -Eq '^-.*sizes/text-1$' "$work/out"
ok "diff: added" grep -Eq '^\+.*sizes/new one$' "$work/out"
ok "diff: metadata" grep -Eq '^U.*sizes/text-511$' "$work/out"
ok "diff: another kind" grep -Eq '^T.*links/dangling' "$work/out"
says_not 'text-513|many/' "diff: nothing else"
hf restore 4 tree --to "$work/r4"
same "$tree" "$(restored "$work/r4" tree "$tree")" "the newest snapshot is the tree as it is now" no-sockets
hf list
ok "list: labels" grep -q 'the first' "$work/out"
is "$(grep -cE '^ *[0-9]+ ' "$work/out")" 3 "list: three snapshots"
hf list --json
id=$(json 'd.get("id") if d.get("seq") == 3 else None')
hf cat "${id:0:10}" tree "$path/sizes/text-1"
ok "a snapshot by the start of its id" test "$(wc -c <"$work/out")" -eq 1
hf cat "@$(date +%Y-%m-%dT%H:%M:%SZ)" tree "$path/sizes/text-512"
is "$(cat "$work/out")" changed "a snapshot by time"

# ---- recover.sh with a path that tar cannot make, and older snapshots

recover 2 "$work/rec2" one
ok "recover.sh: an older snapshot, one source" cmp "$tree/sizes/big" "$(restored "$work/rec2" one "$tree/sizes/big")"

hf verify --read --decrypt
exits 0 "verify, to the last depth, finds nothing"
done_testing
