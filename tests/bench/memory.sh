#!/bin/bash
# memory.sh - does holdfast's memory grow with the number of files? Its peaks on a tenth of the set of small files and on the whole.
# SPDX-License-Identifier: Apache-2.0
#
#   memory.sh [--scale F]
#
# All processes together, in MiB, with what run.sh also uses; the last column is the ratio of the two.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

factor=1
case ${1:-} in
  '') ;;
  --scale) factor=${2:?a number} ;;
  *)
    echo "usage: memory.sh [--scale F]" >&2
    exit 2
    ;;
esac
: "${HOLDFAST:?the program to measure}"
set_up ""
declare -A peaks=()
jobs='first unchanged changed restore one check decrypt'
for part in 0.1 1; do
  scale=$(awk -v a="$part" -v b="$factor" 'BEGIN { print a * b }')
  make_set small
  # shellcheck disable=SC2034 # command_of reads it
  one=$(one_file_of "$work/set/small")
  prepare holdfast small
  for job in $jobs; do
    if [ "$job" = changed ]; then "$work/mkset" change "$work/set/small" 1 1 >/dev/null; fi
    perform holdfast "$job" small -m
    case $job in restore | one) same holdfast small "$job" ;; esac
    peaks[$part-$job]=$peak
    say "$job, $part of the set: $((peak / 1048576)) MiB"
  done
done
printf '| peak memory, MiB | %s files | %s files | ratio |\n|---|---|---|---|\n' "$(scale=$(awk -v f="$factor" 'BEGIN { print f / 10 }') scaled 200000)" "$(scale=$factor scaled 200000)"
for job in $jobs; do
  awk -v j="$job" -v a="${peaks[0.1-$job]}" -v b="${peaks[1-$job]}" 'BEGIN { printf "| %s | %.0f | %.0f | %s |\n", j, a / 1048576, b / 1048576, a ? sprintf("%.2f", b / a) : "-" }'
done
