#!/bin/bash
# run.sh - holdfast beside restic, borgbackup and the pipeline that admins write themselves, in one run.
# SPDX-License-Identifier: Apache-2.0
#
# The tools take turns within every round, in another order each time; the page cache is warm for each of them, and what a job before has
# left to be written is written first. The table's ratios are between medians, and nothing is dropped. Restores are compared with what was backed up.
# There is no time that this fails for: it measures.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

usage() {
  cat <<END
usage: run.sh [OPTION]...
  --sets LIST    small (200,000 files), large (4 GiB), usr (a copy of /usr); default small,large,usr
  --tools LIST   default ${all_tools// /,}
  --runs N       rounds; default 3
  --scale F      sets F times as large (0.01: a hundredth)
  --dir FOLDER   work there, and keep the sets and results.tsv; default: a temporary folder, removed at the end
  --restore-to FOLDER  restore to a folder of another file system: /dev/shm where the disk is too noisy to tell tools apart
  --tsv FILE     keep the raw figures as FILE
  --no-memory    leave out the runs that measure memory
  --readme       put the table into README.md, between its markers
  --report FILE  make the table from raw figures again, and run nothing
All sets together need about 40 GiB below the folder (or TMPDIR), and an hour for three rounds.
Options are also taken from the environment variable BENCH_FLAGS: make bench BENCH_FLAGS='--runs 1'
END
}

sets=small,large,usr tools=${all_tools// /,} runs=3 scale=1 dir='' tsv='' memory=1 readme='' report='' restore_to=''
# shellcheck disable=SC2086 # a list of words
set -- ${BENCH_FLAGS:-} "$@"
while [ $# -gt 0 ]; do
  option=$1
  case $1 in
    --sets | --tools | --runs | --scale | --dir | --tsv | --report | --restore-to)
      [ $# -ge 2 ] || die "$1 needs a value"
      option=${option#--}
      declare "${option//-/_}=$2"
      shift
      ;;
    --no-memory) memory='' ;;
    --readme) readme=1 ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
  shift
done
IFS=, read -ra sets <<<"$sets"
IFS=, read -ra tools <<<"$tools"
for t in "${tools[@]}"; do
  case " $all_tools " in *" $t "*) ;; *) die "there is no tool $t" ;; esac
done

# The machine, without its name.
machine() {
  local cpu memory system borg restic version
  cpu=$(awk -F': *' '$1 ~ /^(model name|Model|cpu model)/ { print $2; exit }' /proc/cpuinfo)
  memory=$(awk '$1 == "MemTotal:" { printf "%.0f", $2 / 1048576 }' /proc/meminfo)
  system=$(stat -f -c %T "$work" | sed 's:^ext2/ext3$:ext4:')
  version=$("${HOLDFAST:-holdfast}" --version 2>/dev/null | awk 'NR == 1 { print $NF }') || version=
  restic=$(restic version 2>/dev/null | awk '{ print $2 }') || restic=
  borg=$(borg --version 2>/dev/null | awk '{ print $2 }') || borg=
  printf 'machine\t%s cores%s, %s GiB of memory, %s, Linux %s\n' "$(nproc)" "${cpu:+ ($cpu)}" "$memory" "$system" "$(uname -r | sed 's/[^0-9.].*//')"
  printf 'versions\tholdfast %s, restic %s, borg %s, %s, zstd %s, %s\n' "${version:--}" "${restic:--}" "${borg:--}" "$(gpg --version | awk 'NR == 1 { print "gpg", $NF }')" \
    "$(zstd -V | sed 's/.* v\([0-9.]*\).*/\1/')" "$(tar --version | awk 'NR == 1 { print "tar", $NF }')"
}

# note SET JOB TOOL ROUND VALUE...: one line of raw figures.
note() {
  local IFS=$'\t'
  printf '%s\n' "$*" >>"$work/results.tsv"
}

# timed SET JOB ROUND: every tool that can do it, in an order that is another one each round.
timed() {
  local i tool
  for ((i = 0; i < ${#tools[@]}; i++)); do
    tool=${tools[(i + $3) % ${#tools[@]}]}
    can "$tool" "$2" || continue
    if [ "$2" = first ]; then prepare "$tool" "$1"; fi
    perform "$tool" "$2" "$1"
    note "$1" "$2" "$tool" "$3" "$wall" "$user" "$system"
    say "$1 $2 $tool: $wall s"
    if [ "$2" = first ]; then note "$1" stored "$tool" "$3" "$(stored_by "$tool")"; fi
    # The pipeline has only what was there at its first backup.
    if [ "$tool" != pipe ]; then same "$tool" "$1" "$2"; fi
    rm -rf "${outs:?}/$tool"
  done
}

# The same jobs once more, watched. The pipeline starts over each time, so its backup comes last for it as for the others.
watched() {
  local job tool
  for job in unchanged restore one check decrypt first; do
    for tool in "${tools[@]}"; do
      can "$tool" "$job" || continue
      if [ "$job" = first ]; then prepare "$tool" "$1"; fi
      perform "$tool" "$job" "$1" -m
      note "$1" "memory-$job" "$tool" 0 "$peak"
      say "$1 $job $tool: $((peak / 1048576)) MiB"
      rm -rf "${outs:?}/$tool"
    done
  done
}

if [ -n "$report" ]; then
  [ -r "$report" ] || die "$report cannot be read"
  table=$(awk -f "$bench/report.awk" "$report")
else
  for t in "${tools[@]}"; do
    case $t in
      holdfast) : "${HOLDFAST:?the program to measure}" ;;
      restic*) need restic ;;
      borg*) need borg ;;
    esac
  done
  set_up "$dir" "$restore_to"
  machine >"$work/results.tsv"
  if [ -n "$restore_to" ]; then printf 'restores\t%s\n' "$(stat -f -c %T "$outs")" >>"$work/results.tsv"; fi
  printf 'scale\t%s\nrounds\t%s\n' "$scale" "$runs" >>"$work/results.tsv"
  for s in "${sets[@]}"; do
    make_set "$s"
    one=$(one_file_of "$work/set/$s")
    [ -n "$one" ] || die "the set $s has no file"
    printf 'set\t%s\t%s\t%s\n' "$s" "$(find "$work/set/$s" -type f | wc -l)" "$(du -s --apparent-size -B 1 "$work/set/$s" | cut -f 1)" >>"$work/results.tsv"
    for ((round = 1; round <= runs; round++)); do
      say "$s, round $round of $runs"
      timed "$s" first "$round"
      timed "$s" unchanged "$round"
      "$work/mkset" change "$work/set/$s" 1 "$round" >/dev/null
      sync
      sleep 2
      for job in changed restore one check decrypt; do timed "$s" "$job" "$round"; done
    done
    if [ -n "$memory" ]; then watched "$s"; fi
    stop_agents
    rm -rf "${work:?}/repo" "$outs" "$work/cache"
    mkdir -p "$work/repo" "$outs" "$work/cache"
    [ -n "$dir" ] || rm -rf "${work:?}/set/$s"
  done
  if [ -n "$tsv" ]; then cp "$work/results.tsv" "$tsv"; fi
  table=$(awk -f "$bench/report.awk" "$work/results.tsv")
fi

printf '%s\n' "$table"
if [ -n "$readme" ]; then
  file=$top/README.md
  [ "$(grep -c -x -e '<!-- bench:begin -->' -e '<!-- bench:end -->' "$file")" = 2 ] || die "$file has no markers for the table"
  TABLE=$table awk '
    /^<!-- bench:begin -->$/ { print; print ENVIRON["TABLE"]; inside = 1 }
    /^<!-- bench:end -->$/ { inside = 0 }
    !inside { if (!/^<!-- bench:begin -->$/) print }' "$file" >"$file.new"
  cat "$file.new" >"$file"
  rm -f "$file.new"
fi
