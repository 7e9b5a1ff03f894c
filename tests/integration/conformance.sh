#!/bin/sh
# conformance.sh - every source and target keeps its contract; and the conformance programs do see what is wrong.
# SPDX-License-Identifier: Apache-2.0
set -eu

: "${BUILDDIR:?the folder of the build}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
n=0

# check WHAT EXPECTED PROGRAM ARGUMENT...: one result. EXPECTED is good, or part of the line that must say what is wrong.
check() {
  what=$1 expected=$2 program=$3
  shift 3
  n=$((n + 1))
  code=0
  "$BUILDDIR/$program" "$@" >"$work/out" 2>&1 || code=$?
  if [ "$expected" = good ]; then
    fine=$([ "$code" -eq 0 ] && grep -q '^1\.\.' "$work/out" && echo yes || echo no)
  else
    fine=$([ "$code" -ne 0 ] && grep -E '^(not ok|Bail out!|#)' "$work/out" | grep -qF -e "$expected" && echo yes || echo no)
  fi
  if [ "$fine" = yes ]; then
    echo "ok $n - $what"
  else
    echo "not ok $n - $what (exit code $code)"
    grep -v '^ok ' "$work/out" | sed 's/^/# /'
  fi
}

source_ok() { what=$1 && shift && check "$what" good holdfast-source-conformance "$@"; }
source_bad() { what=$1 expected=$2 && shift 2 && check "$what" "$expected" holdfast-source-conformance "$@"; }
target_ok() { what=$1 && shift && check "$what" good holdfast-target-conformance "$@"; }

files=$BUILDDIR/plugins/files/.libs/files.so
example=$BUILDDIR/plugins/example/.libs/example.so
local=$BUILDDIR/targets/local/.libs/local.so
bad=$BUILDDIR/tests/conformance/badplugins/.libs

echo 1..30

# A tree of many kinds.
tree=$work/tree
mkdir -p "$tree/sub/deep" "$tree/sub.x" "$tree/empty"
echo one >"$tree/file"
echo two >"$tree/sub/deep/file"
: >"$tree/sub/nothing"
head -c 3000000 /dev/urandom >"$tree/sub/large"
ln "$tree/sub/large" "$tree/sub.x/again"
ln -s ../file "$tree/sub/link"
mkfifo "$tree/fifo"
truncate -s 5M "$tree/sparse"
printf middle | dd of="$tree/sparse" bs=1 seek=2000000 conv=notrunc 2>/dev/null
i=0
while [ $i -lt 200 ]; do
  i=$((i + 1))
  echo "number $i" >"$tree/sub.x/$i"
done

source_ok "files" "$files" path="$tree"
source_ok "example" "$example"
source_ok "example with a message and 500 files" "$example" message="good morning" count=500
source_ok "example with nothing but a stream" "$example" count=0
source_ok "a plugin that was compiled against an older, shorter struct" "$bad/old.so"
target_ok "local" "$local" path="$work/repository/new"
target_ok "local, one at a time, without fsync, other modes" \
  "$local" path="$work/other" fsync=none mode=0640 dir-mode=0750

source_bad "an error of open is seen" "misbehave = fail-open" "$example" misbehave=fail-open
source_bad "an error of next is seen" "misbehave = fail-next" "$example" misbehave=fail-next
source_bad "an error of read is seen" "at least one entry can be read" "$example" misbehave=fail-read
source_bad "an error of finish is seen" "misbehave = fail-finish" "$example" misbehave=fail-finish
source_bad "a crash is seen" "crashed" "$example" misbehave=crash-next
source_bad "an unsafe path is seen" "unsafe or malformed path: ../greetings/000000" "$example" misbehave=lie-path
source_bad "a wrong size is seen" "1005 bytes were announced, 5 were read" "$example" misbehave=lie-size
source_bad "too much of a read is seen" "and was asked for" "$example" misbehave=lie-read
source_bad "a setting there is not" "no such setting: colour=red" "$example" colour=red
source_bad "a value of the wrong form" "count: the value has not the form of its type" "$example" count=many

source_bad "another major version" "ABI major version 2" "$bad/major.so"
source_bad "a struct larger than the host's" "not larger than this program knows" "$bad/larger.so"
source_bad "a struct without the mandatory callbacks" "holds all mandatory callbacks" "$bad/short.so"
source_bad "a struct without a whole header" "holds all mandatory callbacks" "$bad/header.so"
source_bad "a missing callback" "all mandatory callbacks are there" "$bad/missing.so"
source_bad "no name" "name is the file's name" "$bad/noname.so"
source_bad "another name than the file's" "name is the file's name" "$bad/othername.so"
source_bad "no settings table" "has a settings table" "$bad/nosettings.so"
source_bad "a setting of an unknown type" "strange: no such type: 4711" "$bad/badtype.so"
source_bad "a setting with a name of the host" "timeout: the name is the host's" "$bad/reserved.so"
source_bad "a default that is not of its type" 'the default "plenty"' "$bad/baddefault.so"
source_bad "no entry function" "has no symbol holdfast_source_plugin" "$bad/noentry.so"
source_bad "an entry function that returns nothing" "returned NULL" "$bad/null.so"
