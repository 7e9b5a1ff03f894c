#!/bin/bash
# memory.sh - does holdfast's memory grow with what it backs up? Its peaks on sets and on such that are ten times as large.
# SPDX-License-Identifier: Apache-2.0
#
#   memory.sh [--sets LIST] [--scale F] [--dir DIR] [--restore-to DIR]
#
# The sets are those of run.sh, small and large when nothing else is said; F, 0.1 when nothing else is said, is the scale of the smaller ones, so that the
# larger ones have run.sh's own size. Options are also taken from BENCH_FLAGS: make bench-memory BENCH_FLAGS='--scale 1'.
# All processes together, in MiB; the last column is the ratio of the two.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

sets=small,large scale=0.1 dir='' restore_to=''
# shellcheck disable=SC2086 # a list of words
set -- ${BENCH_FLAGS:-} "$@"
while [ $# -gt 0 ]; do
  option=$1
  case $1 in
    --sets | --scale | --dir | --restore-to)
      [ $# -ge 2 ] || die "$1 needs a value"
      option=${option#--}
      declare "${option//-/_}=$2"
      ;;
    *)
      echo "usage: memory.sh [--sets LIST] [--scale F] [--dir DIR] [--restore-to DIR]" >&2
      exit 2
      ;;
  esac
  shift 2
done
IFS=, read -ra sets <<<"$sets"
factor=$scale
: "${HOLDFAST:?the program to measure}"
set_up "$dir" "$restore_to"
declare -A peaks=()
jobs='first unchanged changed restore one check decrypt'
printf '| peak memory, MiB | smaller | ten times as large | ratio |\n|---|---|---|---|\n'
for name in "${sets[@]}"; do
  for times in 1 10; do
    scale=$(awk -v a="$times" -v b="$factor" 'BEGIN { print a * b }')
    make_set "$name"
    # shellcheck disable=SC2034 # command_of reads it
    one=$(one_file_of "$work/set/$name")
    prepare holdfast "$name"
    for job in $jobs; do
      if [ "$job" = changed ]; then "$work/mkset" change "$work/set/$name" 1 1 >/dev/null; fi
      perform holdfast "$job" "$name" -m
      case $job in restore | one) same holdfast "$name" "$job" ;; esac
      rm -rf "${outs:?}/holdfast"
      peaks[$times-$job]=$peak
      say "$name at $scale, $job: $((peak / 1048576)) MiB"
    done
  done
  rm -rf "${work:?}/repo/holdfast"
  [ -n "$dir" ] || rm -rf "${work:?}/set/$name"
  for job in $jobs; do
    awk -v j="$name, $job" -v a="${peaks[1-$job]}" -v b="${peaks[10-$job]}" 'BEGIN { printf "| %s | %.0f | %.0f | %s |\n", j, a / 1048576, b / 1048576, a ? sprintf("%.2f", b / a) : "-" }'
  done
done
