#!/bin/bash
# reader.sh - a reader in another language, written from holdfast-repository(5) alone, restores streams and checks every chunk's id.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2016,SC2034 # variables of lib.sh; eval
. "${SRCDIR:?}/tests/integration/lib.sh"
need python3 gpg zstd tar

make_key key 'Recipient <recipient@example.com>'
make_key second 'Second <second@example.com>'
tree=$work/tree
mkdir -p "$tree/sub"
head -c 30000000 /dev/urandom >"$tree/large"
for i in $(seq 300); do seq "$i" $((i * 7)) >"$tree/sub/$i"; done
truncate -s 5M "$tree/sparse"
echo end >>"$tree/sparse"
ln -s sub/1 "$tree/link"
new_repo main 'padding = yes' <<EOF
[source tree]
plugin = files
path = $tree
recipients = $key, $second
[source numbers]
plugin = example
count = 300000
EOF
must init
must backup
describe "$tree" >"$work/state.2"
echo changed >"$tree/sub/7"
must backup --label 'with a label'
describe "$tree" >"$work/state.3"
host_key=$(basename "$T"/keys/*.asc .asc)

reader() { python3 "$SRCDIR/tests/reader/reader.py" "$T" "${fingerprint:-$host_key}" "$@" >"$work/stream" 2>"$work/reader.err"; }
# reads NAME SNAPSHOT
reads() {
  rm -rf "$work/x"
  mkdir "$work/x"
  reader "$2" tree tree && tar -xpf "$work/stream" -C "$work/x" && describe "$work/x$tree" >"$work/got" && diff "$work/state.$3" "$work/got" >"$work/diff"
  result $? "$1" || diag "$work/reader.err" "$work/diff"
}
reads "a tree, of the newest snapshot" latest 3
reads "a tree, of the one before" 2 2
hf cat 3 tree tree
reader 3 tree tree
ok "the same bytes as holdfast cat gives" cmp "$work/stream" "$work/out"
reader latest numbers numbers
ok "a raw stream" cmp "$work/stream" <(seq 300000)

# It does look: what is not in order is refused.
p=$(find "$T/packs" -type f -size +1000k | sort | head -n 1)
cp "$p" "$work/kept"
flip "$p" 500000
ok "a damaged pack is refused" eval '! reader latest tree tree && grep -q digest "$work/reader.err"'
cp "$work/kept" "$p"
make_key other 'Other <other@example.com>'
mygpg --armor --export "$other" >"$T/keys/$other.asc"
fingerprint=$other
ok "another host key is refused" eval '! reader latest tree tree && grep -q "not signed by the host" "$work/reader.err"'
ok "the reader has no more than a hundred lines" test "$(grep -cvE '^ *(#|$)' "$SRCDIR/tests/reader/reader.py")" -le 100
done_testing
