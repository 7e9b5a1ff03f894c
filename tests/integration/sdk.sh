#!/bin/sh
# sdk.sh - the public headers compile alone, as C and as C++, without a warning; so does the smallest use of each macro.
# SPDX-License-Identifier: Apache-2.0
set -eu

: "${SRCDIR:?the folder of the sources}" "${CC:=cc}" "${CXX:=c++}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
warn='-Wall -Wextra -Wpedantic -Werror'

n=0
# try WHAT COMMAND...: one result.
try() {
  what=$1
  shift
  n=$((n + 1))
  if "$@" >"$work/out" 2>&1; then
    echo "ok $n - $what"
  else
    echo "not ok $n - $what"
    sed 's/^/# /' "$work/out"
  fi
}

use_source='static struct holdfast_source_plugin p; HOLDFAST_SOURCE_PLUGIN(p)'
use_target='static struct holdfast_target_plugin p; HOLDFAST_TARGET_PLUGIN(p)'
printf '#include <holdfast/plugin.h>\nint at_least_one_declaration;\n' >"$work/plugin.c"
printf '#include <holdfast/source.h>\n%s\n' "$use_source" >"$work/source.c"
printf '#include <holdfast/target.h>\n%s\n' "$use_target" >"$work/target.c"

echo 1..9
# shellcheck disable=SC2086 # the flags are words
for header in plugin source target; do
  for std in c11 c17; do
    try "<holdfast/$header.h> as $std" $CC -std=$std $warn -I"$SRCDIR/core/include" -fsyntax-only "$work/$header.c"
  done
  if command -v "${CXX%% *}" >/dev/null 2>&1; then
    try "<holdfast/$header.h> as C++" $CXX -std=c++11 $warn -x c++ -I"$SRCDIR/core/include" -fsyntax-only "$work/$header.c"
  else
    n=$((n + 1))
    echo "ok $n - <holdfast/$header.h> as C++ # SKIP no C++ compiler"
  fi
done
