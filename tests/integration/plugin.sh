#!/bin/bash
# plugin.sh - the example plugin builds out of tree against what is installed, passes conformance and backs up; a plugin in trouble costs its own source.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2016 # variables of lib.sh; eval
. "${SRCDIR:?}/tests/integration/lib.sh"
: "${BUILDDIR:?the folder of the build}" "${MAKE:=make}" "${CC:=cc}"
need pkg-config "${CC%% *}" python3 pgrep

make_key key 'Recipient <recipient@example.com>'

# ---- out of tree

if "$MAKE" -s -C "$BUILDDIR" install DESTDIR="$work/dest" >"$work/install.log" 2>&1; then result 0 "make install DESTDIR"; else
  result 1 "make install DESTDIR"
  tail -n 20 "$work/install.log" | sed 's/^/# /'
fi
pc=$(find "$work/dest" -name holdfast.pc)
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$work/dest
out=$work/out-of-tree
mkdir "$out"
cp "$SRCDIR/plugins/example/example.c" "$SRCDIR/plugins/example/Makefile" "$out"
# The copy must need nothing but pkg-config: no path of the sources is given.
(cd "$out" && "$MAKE" CC="$CC" CFLAGS='-g -O2 -Wall -Wextra -Werror') >"$work/make.log" 2>&1
result $? "the example builds out of tree, with pkg-config only" || diag "$work/make.log"
conformance=$(find "$work/dest" -name holdfast-source-conformance)
ok "it passes the installed conformance program" "$conformance" "$out/example.so"
(cd "$out" && "$MAKE" install DESTDIR="$work/dest2") >"$work/make.log" 2>&1
found=$(find "$work/dest2" -name example.so)
is "${found##*/holdfast/}" sources/example.so "its make install puts it among the sources"
for f in bin/holdfast lib/holdfast/sources/files.so lib/holdfast/targets/local.so share/man/man5/holdfast.ini.5; do
  [ -n "$(find "$work/dest" -path "*/$f")" ] || echo "$f"
done >"$work/missing"
is "$(cat "$work/missing")" "" "program, plugins and manual pages are installed"
is "$(find "$work/dest" -name '*.la')" "" "and nothing of libtool"
unset PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR

rm "$plugins/example.so"
new_repo main <<EOF
[source greetings]
plugin = example
message = good morning
count = 5000
EOF
hf init
exits 2 "without the plugin the manifest is wrong"
says 'no source plugin "example"' "and the message says so"
export HOLDFAST_PLUGIN_PATH=$plugins:$out
must init
hf check
exits 0 "check"
says '5000 files and one stream' "and the plugin's own words"
hf backup
exits 0 "backup with the plugin built out of tree"
hf restore latest --to "$work/r"
exits 0 "restore"
is "$(cat "$work/r/greetings/greetings/004999")" 'good morning' "its files"
is "$(find "$work/r/greetings/greetings" -type f | wc -l)" 5000 "all of them"
is "$(readlink "$work/r/greetings/greetings/latest")" 004999 "its link"
ok "its stream" cmp <(seq 5000) "$work/r/greetings/numbers"
hf cat latest greetings numbers
ok "cat of its stream" cmp <(seq 5000) "$work/out"
recover latest "$work/rec"
exits 0 "recover.sh"
ok "its files and its stream" diff -r "$work/r/greetings" "$work/rec/greetings"
n=$(objects packs)
hf backup
is "$rc $(objects packs)" "0 $n" "backup again: nothing new"

# ---- in trouble: costs its own source

# A crash is to be one under AddressSanitizer, too.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}handle_segv=0"

mkdir "$work/tree"
seq 100000 >"$work/tree/file"
# trouble MODE REGEX: the other source is committed, exit code 3, the message matches.
trouble() {
  rm -rf "$work/bad" "$work/r"
  new_repo bad <<EOF
[source bad]
plugin = example
misbehave = $1
timeout = 2s
[source tree]
plugin = files
path = $work/tree
EOF
  must init
  local start=$SECONDS
  hf backup
  exits 3 "misbehave = $1: exit code 3"
  is "$(grep -cE "source bad: .*($2)" "$work/err")" 1 "misbehave = $1: one clear message" || show_last
  [ $((SECONDS - start)) -le 10 ]
  result $? "misbehave = $1: in time"
  hf restore latest tree --to "$work/r"
  ok "misbehave = $1: the other source is committed" cmp "$work/tree/file" "$(restored "$work/r" tree "$work/tree/file")"
  is "$(pgrep -f "^holdfast-worker" -P 1 -c)" "$workers" "misbehave = $1: no process stays"
}
workers=$(pgrep -f "^holdfast-worker" -P 1 -c)
trouble crash-open 'crashed'
trouble crash-next 'crashed'
trouble crash-read 'crashed'
trouble hang 'no progress for 2 s'
trouble fail-open 'misbehave = fail-open'
trouble fail-next 'misbehave = fail-next'
trouble fail-finish 'misbehave = fail-finish'
trouble lie-path 'path|\.\.'
trouble lie-read 'read|bytes'
hf restore latest bad --to "$work/r3"
[ "$rc" -ne 0 ]
result $? "what failed cannot be restored" || show_last
says 'source bad: it failed' "which is said"
hf restore latest --to "$work/r4"
exits 3 "and restoring everything is done in part"
recover latest "$work/rec2"
exits 3 "recover.sh says so, too"
hf verify --read --decrypt
exits 0 "the repository is valid"

# A plugin that cannot read its entries, or gives less than it said: its entries are named, the run is done in part.
for how in fail-read lie-size; do
  rm -rf "$work/bad"
  new_repo bad <<EOF
[source bad]
plugin = example
misbehave = $how
[source tree]
plugin = files
path = $work/tree
EOF
  must init
  hf backup
  exits 3 "misbehave = $how: exit code 3"
  says 'source bad: .*(000000|numbers|misbehave|bytes)' "misbehave = $how: what is wrong is named"
  hf verify --read --decrypt
  exits 0 "misbehave = $how: the repository is valid"
  rm -rf "$work/r"
  hf restore latest tree --to "$work/r"
  exits 0 "misbehave = $how: the other source is committed"
done

# One that leaks: more memory than a worker may have.
sed 's|^  size_t done = 0;|&\n  for (size_t n_ = 0; n_ < 64; n_++) memset(malloc(64u << 20), 1, 64u << 20);|; s|"example"|"leaky"|' "$SRCDIR/plugins/example/example.c" >"$work/leaky.c"
# shellcheck disable=SC2086 # CC may have options
$CC -std=gnu17 -I"$SRCDIR/core/include" -O0 -fPIC -fvisibility=hidden -shared -o "$plugins/leaky.so" "$work/leaky.c"
rm -rf "$work/bad"
new_repo bad <<EOF
[source bad]
plugin = leaky
timeout = 20s
[source tree]
plugin = files
path = $work/tree
EOF
must init
hf backup
exits 3 "a plugin that leaks: exit code 3"
says 'source bad: .*memory' "and is said to"

# ---- wrong plugins: one message, exit code 2

built=$BUILDDIR/tests/conformance/badplugins/.libs
# refused NAME REGEX
refused() {
  rm -rf "$work/wrong" "$work/one"
  mkdir "$work/one"
  cp "$built/$1.so" "$work/one/" || return
  new_repo wrong <<EOF
[source x]
plugin = $1
EOF
  HOLDFAST_PLUGIN_PATH=$plugins:$work/one
  hf init
  [ "$rc" -eq 2 ] && [ "$(grep -c . "$work/err")" -eq 1 ] && grep -Eqe "$2" "$work/err" && [ ! -e "$R/state" ]
  result $? "refused: $1" || { echo "# wanted: exit code 2 and one message: $2" && show_last; }
}
refused major 'major'
refused larger 'larger|newer|struct|bytes'
refused short 'mandatory|struct|read'
refused header 'struct|header'
refused missing 'callback'
refused noname 'name'
refused othername 'name|calls itself'
refused nosettings 'settings'
refused badtype 'strange.*type'
refused reserved 'timeout.*reserved'
refused baddefault 'default'
refused noentry 'holdfast_source_plugin|entry'
refused null 'entry function|nothing'
cp -r "$built" "$work/built"
built=$work/built
echo 'not a plugin at all' >"$built/text.so"
refused text 'does not load'
mkdir "$work/old.d"
cp "$BUILDDIR/tests/conformance/badplugins/.libs/old.so" "$work/old.d"
HOLDFAST_PLUGIN_PATH=$plugins:$work/old.d
new_repo old <<EOF
[source x]
plugin = old
EOF
must init
hf backup
exits 0 "a plugin made for an older, shorter struct works"
hf restore latest --to "$work/r5"
is "$(cat "$work/r5/x/file")" works "and its data comes back"
if [ "$(id -u)" -eq 0 ]; then
  chmod o+w "$work/old.d/old.so"
  hf backup
  exits 2 "root: a plugin that others can write is refused"
  says 'old.so' "and named"
fi
done_testing
