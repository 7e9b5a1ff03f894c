#!/bin/sh
# lint.sh - the manual pages are clean for mandoc, the shell scripts for shellcheck.
# SPDX-License-Identifier: Apache-2.0
set -eu

: "${SRCDIR:?the folder of the sources}"
cd "$SRCDIR"
out=$(mktemp)
trap 'rm -f "$out"' EXIT

pages=$(find man -name '*.[1-8]' | LC_ALL=C sort)
# Those that are run from the top folder, and what is stored in repositories.
scripts=$(find bootstrap .ci/run core tests -type f '(' -name '*.sh' -o -name bootstrap -o -name run ')' | LC_ALL=C sort)

n=0
# lint TOOL FILE COMMAND...: one result.
lint() {
  tool=$1 file=$2
  shift 2
  n=$((n + 1))
  if ! command -v "$tool" >/dev/null 2>&1; then
    echo "ok $n - $file # SKIP $tool is not installed"
  elif "$@" >"$out" 2>&1; then
    echo "ok $n - $file"
  else
    echo "not ok $n - $file"
    sed 's/^/# /' "$out"
  fi
}

# Also of matters of style. That a page of another package is not installed here is none.
page_is_clean() { ! mandoc -T lint "$1" 2>&1 | grep -Ev 'STYLE: referenced manual not found|outdated mandoc.db'; }

# shellcheck disable=SC2086 # lists of words: the names have no blanks
{
  set -- $pages
  [ $# -gt 0 ] || echo "Bail out! no manual pages found"
  pages_n=$#
  set -- $scripts
  [ $# -gt 0 ] || echo "Bail out! no scripts found"
  echo "1..$((pages_n + $#))"
}
for page in $pages; do lint mandoc "$page" page_is_clean "$page"; done
for script in $scripts; do lint shellcheck "$script" shellcheck -x -S warning -P SCRIPTDIR "$script"; done
