# lib.sh - what the benchmarks share: the work folder, the sets, the tools, and how a job is timed.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash

# Set here, used by the scripts that read this file.
# shellcheck disable=SC2034
all_tools='holdfast restic restic-none borg-zstd borg-lz4 pipe'
bench=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=${SRCDIR:-$(cd "$bench/../.." && pwd)}
work=
outs=
keep=
declare -A archive=()

say() { printf '%s\n' "bench: $*" >&2; }

die() {
  say "$*"
  exit 1
}

need() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || die "$program is needed and not installed"
  done
}

stop_agents() {
  local home
  for home in "$work/gnupg" "$work/hf/state/gnupg"; do
    if [ -d "$home" ]; then gpgconf --homedir "$home" --kill all 2>/dev/null || :; fi
  done
}

clean_up() {
  [ -n "$work" ] || return 0
  stop_agents
  [ -z "$outs" ] || rm -rf "$outs"
  if [ -z "$keep" ]; then
    rm -rf "$work"
  else
    rm -rf "$work/repo" "$work/out" "$work/hf" "$work/gnupg" "$work/cache"
  fi
}

# set_up FOLDER [RESTORES]: the work folder, the helpers, a recipient's key, and the environment of all tools. A folder that is given is kept, with its sets; none (an empty word) means a temporary one.
# RESTORES is a folder, perhaps on another file system, to make one in for what is restored.
set_up() {
  if [ -n "$1" ]; then
    mkdir -p "$1"
    work=$(cd "$1" && pwd)
    keep=1
    rm -rf "$work/repo" "$work/out" "$work/hf" "$work/gnupg" "$work/cache"
  else
    work=$(mktemp -d "${TMPDIR:-/tmp}/hfbench.XXXXXX")
  fi
  if [ -n "${2:-}" ]; then outs=$(mktemp -d "$(cd "$2" && pwd)/hfbench.XXXXXX"); else outs=$work/out; fi
  trap clean_up EXIT
  trap 'exit 130' HUP INT TERM
  need "${CC:-cc}" gpg gpgconf zstd tar sha256sum diff
  "${CC:-cc}" -std=gnu17 -O2 -o "$work/mkset" "$bench/mkset.c" -lm
  "${CC:-cc}" -std=gnu17 -O2 -o "$work/measure" "$bench/measure.c"
  mkdir -m 700 "$work/gnupg"
  mkdir -p "$work/set" "$work/repo" "$outs" "$work/hf" "$work/cache"
  export LC_ALL=C.UTF-8
  export GNUPGHOME=$work/gnupg XDG_CACHE_HOME=$work/cache
  export RESTIC_PASSWORD=benchmark RESTIC_CACHE_DIR=$work/cache/restic
  export BORG_PASSPHRASE=benchmark BORG_BASE_DIR=$work/cache/borg
  unset RESTIC_REPOSITORY RESTIC_COMPRESSION BORG_REPO
  gpg --batch --quiet --passphrase '' --quick-generate-key 'Benchmark <bench@example.com>' ed25519 cert never 2>/dev/null ||
    die "gpg cannot make a key in $GNUPGHOME"
  recipient=$(gpg --batch --quiet --no-auto-check-trustdb --with-colons --list-keys | awk -F: '$1 == "fpr" { print $10; exit }')
  gpg --batch --quiet --passphrase '' --quick-add-key "$recipient" cv25519 encr never 2>/dev/null
}

# scaled NUMBER: times the scale, at least 1.
scaled() { awk -v n="$1" -v f="${scale:-1}" 'BEGIN { v = int(n * f + 0.5); print v < 1 ? 1 : v }'; }

# make_set NAME: fill $work/set/NAME, unless it is there from an earlier run with the same scale.
make_set() {
  local dir=$work/set/$1 step
  [ "$(cat "$dir.made" 2>/dev/null)" != "${scale:-1}" ] || return 0
  rm -rf "$dir" "$dir.made"
  say "making the set $1"
  case $1 in
    small) "$work/mkset" small "$dir" "$(scaled 200000)" "$(scaled 2000)" ;;
    large) "$work/mkset" large "$dir" "$(scaled 4096)" ;;
    usr)
      # Every so many-th entry when scaled down. What cannot be read is left out.
      mkdir -p "$dir"
      step=$(awk -v f="${scale:-1}" 'BEGIN { s = int(1 / f + 0.5); print s < 1 ? 1 : s }')
      (cd / && find usr -xdev -print0 | LC_ALL=C sort -z | sed -z -n "1~${step}p" | tar -c --no-recursion --null -T - --acls --xattrs -f - 2>/dev/null) |
        tar -x -p --acls --xattrs '--xattrs-include=*' -f - -C "$dir"
      ;;
    *) die "there is no set $1" ;;
  esac
  printf '%s\n' "${scale:-1}" >"$dir.made"
  # Files made within the same tick of the clock as a backup starts are not trusted by any tool the next time.
  sync
  sleep 2
}

# Have the files below these folders in the page cache, and nothing waiting to be written.
warm() {
  sync
  find "$@" -type f -print0 2>/dev/null | xargs -0 -r cat >/dev/null
  find "$@" -printf '%s%C@' >/dev/null
}

# Have the files below a folder out of the page cache.
forget() { [ ! -d "$1" ] || "$work/mkset" forget "$1"; }

# A file in the middle of a set, relative to it, with a name that means itself in every tool's patterns.
one_file_of() {
  find "$1" -type f -size +0 -printf '%P\n' | grep -x '[A-Za-z0-9_./-]*' | LC_ALL=C sort >"$work/names"
  sed -n "$(($(wc -l <"$work/names") / 2 + 1))p" "$work/names"
}

# prepare TOOL SET: an empty repository.
prepare() {
  local repo=$work/repo/$1
  rm -rf "$repo" "${outs:?}/$1"
  archive[$1]=
  case $1 in
    holdfast)
      gpgconf --homedir "$work/hf/state/gnupg" --kill all 2>/dev/null || :
      rm -rf "$work/hf"
      mkdir -p "$work/hf"
      cat >"$work/hf/manifest.ini" <<MANIFEST
[holdfast]
host       = bench
recipients = $recipient
state      = $work/hf/state
padding    = no

[source set]
plugin = files
path   = $work/set/$2

[target disk]
plugin = local
path   = $repo
MANIFEST
      "$HOLDFAST" -q -c "$work/hf/manifest.ini" init >"$work/log" 2>&1
      ;;
    restic*) restic -q -r "$repo" init >"$work/log" 2>&1 ;;
    borg*) borg init -e repokey-blake2 "$repo" >"$work/log" 2>&1 ;;
    pipe) mkdir -p "$repo" ;;
  esac || {
    cat "$work/log" >&2
    die "$1 cannot make a repository"
  }
}

# can TOOL JOB: is there such a thing?
can() {
  case $1-$2 in
    pipe-unchanged | pipe-changed) return 1 ;;
    *-decrypt) [ "$1" = holdfast ] ;;
  esac
}

# The pipeline. gpg's own compression is off: on what zstd has packed it only costs time.
# shellcheck disable=SC2016
{
  pipe_backup='tar -C / -c "${1#/}" | zstd -q -3 -T0 | gpg --batch -q --trust-model always -z 0 -r "$2" -e | tee "$3/backup" | sha256sum >"$3/sum"'
  pipe_restore='repo=$1; shift; gpg --batch -q -d "$repo/backup" | zstd -q -d | tar -x "$@"'
  pipe_check='sha256sum <"$1/backup" | cmp - "$1/sum"'
}

# command_of TOOL JOB SET: what to run, in the array command; restores go to the current folder.
command_of() {
  local repo=$work/repo/$1 set=$work/set/$3 out=$outs/$1 compression=auto
  local hf=("${HOLDFAST:-holdfast}" -q --no-progress -c "$work/hf/manifest.ini")
  case $1 in
    restic-none) compression=off ;;
    borg-zstd) compression=zstd,3 ;;
    borg-lz4) compression=lz4 ;;
  esac
  case $1-$2 in
    holdfast-first | holdfast-unchanged | holdfast-changed) command=("${hf[@]}" backup) ;;
    holdfast-restore) command=("${hf[@]}" restore latest --to "$out") ;;
    holdfast-one) command=("${hf[@]}" restore latest --to "$out" --path "$set/$one") ;;
    holdfast-check) command=("${hf[@]}" verify --read) ;;
    holdfast-decrypt) command=("${hf[@]}" verify --decrypt) ;;
    restic*-first | restic*-unchanged | restic*-changed) command=(restic -q -r "$repo" --compression "$compression" backup "$set") ;;
    restic*-restore) command=(restic -q -r "$repo" restore latest --target "$out") ;;
    restic*-one) command=(restic -q -r "$repo" restore latest --target "$out" --include "$set/$one") ;;
    restic*-check) command=(restic -q -r "$repo" check --read-data) ;;
    borg*-first | borg*-unchanged | borg*-changed)
      archive[$1]=$2-$RANDOM$RANDOM
      command=(borg create --compression "$compression" "$repo::${archive[$1]}" "$set")
      ;;
    borg*-restore) command=(borg extract "$repo::${archive[$1]}") ;;
    borg*-one) command=(borg extract "$repo::${archive[$1]}" "${set#/}/$one") ;;
    borg*-check) command=(borg check --verify-data "$repo") ;;
    pipe-first) command=(bash -o pipefail -c "$pipe_backup" - "$set" "$recipient" "$repo") ;;
    pipe-restore) command=(bash -o pipefail -c "$pipe_restore" - "$repo") ;;
    pipe-one) command=(bash -o pipefail -c "$pipe_restore" - "$repo" "${set#/}/$one") ;;
    pipe-check) command=(bash -c "$pipe_check" - "$repo") ;;
  esac
}

# restored_at TOOL SET: where a restore has put the set.
restored_at() {
  case $1 in
    holdfast) printf '%s\n' "$outs/$1/set$work/set/$2" ;;
    *) printf '%s\n' "$outs/$1$work/set/$2" ;;
  esac
}

# perform TOOL JOB SET [-m]: run one job, all other things equal; the result is in the variables wall, user, system and peak.
perform() {
  local set=$work/set/$3 repo=$work/repo/$1 out=$outs/$1 rc=0 other
  local command=()
  command_of "$1" "$2" "$3"
  rm -rf "$out"
  mkdir -p "$out"
  # In memory is what the job reads, and not what other jobs read: with all of it taken, making room costs whoever writes most.
  sync
  for other in "$work/repo"/*; do [ "$other" = "$repo" ] || forget "$other"; done
  case $2 in
    restore | one | check | decrypt)
      forget "$work/set"
      warm "$repo"
      ;;
    *) warm "$set" ;;
  esac
  # An agent that an earlier job left is another's memory, and a start that only some would have to wait for.
  if [ "${4:-}" = -m ]; then stop_agents; else gpg-connect-agent --quiet /bye 2>/dev/null || :; fi
  "$work/measure" ${4:+"$4"} -C "$out" "$work/figures" "${command[@]}" >"$work/log" 2>&1 || rc=$?
  read -r wall user system peak <"$work/figures"
  if [ "$rc" -ne 0 ]; then
    cat "$work/log" >&2
    die "$1, $2 of $3: exit code $rc"
  fi
}

# same TOOL SET JOB: is what was restored what was backed up? A tool that is fast and wrong is not compared.
same() {
  local from to
  from=$work/set/$2
  to=$(restored_at "$1" "$2")
  case $3 in
    one) cmp "$from/$one" "$to/$one" ;;
    restore) diff -r -q --no-dereference "$from" "$to" ;;
  esac >"$work/log" 2>&1 || {
    head -n 20 "$work/log" >&2
    die "$1 restored $2 wrongly"
  }
}

# The bytes a repository takes.
stored_by() { find "$work/repo/$1" -type f -printf '%s\n' | awk '{ n += $1 } END { printf "%.0f\n", n }'; }
