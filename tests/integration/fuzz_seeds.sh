#!/bin/sh
# fuzz_seeds.sh - every seed and every past finding of the fuzzers runs through its fuzz target without harm.
# SPDX-License-Identifier: Apache-2.0
set -eu

: "${SRCDIR:?the folder of the sources}" "${BUILDDIR:?the folder of the build}" "${FUZZ_TARGETS?the names of the programs}"
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# shellcheck disable=SC2086 # a list of words
set -- $FUZZ_TARGETS
if [ $# -eq 0 ]; then
  echo "1..0 # SKIP there are no fuzz targets"
  exit 0
fi
echo "1..$#"
n=0
for program in "$@"; do
  n=$((n + 1))
  name=${program##*/}
  seeds=$(find "$SRCDIR/tests/fuzz/corpus/$name" -type f 2>/dev/null | wc -l)
  # With libFuzzer the file names mean the same: each is run once.
  if [ "$seeds" -gt 0 ] && find "$SRCDIR/tests/fuzz/corpus/$name" -type f -exec "$BUILDDIR/$program" {} + >"$out" 2>&1; then
    echo "ok $n - $name: $seeds inputs"
  else
    echo "not ok $n - $name: $seeds inputs"
    tail -n 30 "$out" | sed 's/^/# /'
  fi
done
