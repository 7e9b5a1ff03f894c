#!/bin/sh
# listed.sh - no source file, test or manual page lies about that the build does not know of.
# SPDX-License-Identifier: Apache-2.0
set -eu

: "${SRCDIR:?the folder of the sources}"
cd "$SRCDIR"

words=$(find . -name local.mk -not -path './build/*' -exec cat {} + | awk '{ sub(/#.*/, ""); for (i = 1; i <= NF; i++) print $i }')

# missing WORD...: those that no local.mk names.
missing() {
  for word in "$@"; do
    printf '%s\n' "$words" | grep -Fxq -e "$word" || printf '%s ' "$word"
  done
}

n=0
# check WHAT WORD...
check() {
  what=$1
  shift
  n=$((n + 1))
  lost=$(missing "$@")
  if [ $# -gt 0 ] && [ -z "$lost" ]; then
    echo "ok $n - $what: $# known to the build"
  else
    echo "not ok $n - $what: unknown to the build: ${lost:-there are none at all}"
  fi
}

echo 1..6
# shellcheck disable=SC2046 # names of source files have no blanks
{
  check "sources" $(find core plugins targets tests -name '*.[ch]' -type f -not -name 'test_*.c' -not -name 'fuzz_*.c' -not -path 'tests/bench/*' | sort)
  check "unit tests" $(find tests/unit -name 'test_*.c' | sed 's/\.c$//' | sort)
  check "fuzz targets" $(find tests/fuzz -name 'fuzz_*.c' | sed 's/\.c$//' | sort)
  check "integration tests" $(find tests/integration -name '*.sh' -not -name lib.sh -not -name 'server_*.sh' | sort)
  check "manual pages" $(find man -name '*.[1-8]' | sort)
}
n=$((n + 1))
if [ "$(missing core/base/no-such-file.c)" = "core/base/no-such-file.c " ]; then
  echo "ok $n - a file that is not listed would be found"
else
  echo "not ok $n - a file that is not listed would be found"
fi
