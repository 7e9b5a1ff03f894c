# lib.sh - what the integration tests share: a work folder that is cleaned up, throw-away keys, repositories, comparing trees, TAP.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# To be sourced. A script calls its checks, and done_testing at its end. Needs SRCDIR, HOLDFAST and HOLDFAST_PLUGIN_PATH.
# What it leaves: $work the work folder, $M the manifest in use, $R the folder of the repository made last, $T the host's objects
# at its target, $rc, $work/out and $work/err: exit code, standard output and standard error of the command run last.

set -u
: "${SRCDIR:?the folder of the sources}" "${HOLDFAST:?the program}" "${HOLDFAST_PLUGIN_PATH:?where its plugins are}"
here=$SRCDIR/tests/integration
export LC_ALL=C TZ=UTC
unset GPG_TTY HOLDFAST_MANIFEST CREDENTIALS_DIRECTORY
umask 022

work=$(realpath "$(mktemp -d "${TMPDIR:-/tmp}/hf.XXXXXX")") || exit 1
# What a killed program leaves goes with the rest.
mkdir -m 1777 "$work/tmp"
export TMPDIR=$work/tmp
mounts=()
jobs_started=()

cleanup() {
  local home pid at
  for pid in "${jobs_started[@]}"; do kill -9 -- "$pid" 2>/dev/null; done
  # Below $work only: the homes of this run, and no others.
  find "$work" -xdev -type d -name private-keys-v1.d 2>/dev/null | while IFS= read -r home; do
    gpgconf --homedir "${home%/*}" --kill all >/dev/null 2>&1
  done
  for at in "${mounts[@]}"; do
    for home in "$at/gnupg" "$at/state/gnupg"; do
      [ ! -d "$home" ] || gpgconf --homedir "$home" --kill all >/dev/null 2>&1
    done
    umount -l "$at" 2>/dev/null
  done
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' HUP INT PIPE TERM

# A copy of the plugins that is root's alone when root runs this, as the loader wants it.
plugins=$work/plugins
mkdir "$plugins"
IFS=: read -r -a plugin_dirs <<<"$HOLDFAST_PLUGIN_PATH"
for d in "${plugin_dirs[@]}"; do cp "$d"/*.so "$plugins/" || exit 1; done
export HOLDFAST_PLUGIN_PATH=$plugins

# flaky_plugin: make the plugin `flaky` of flaky.c: the target `local`, which fails or stalls as it is told. Objects of its own, since the entry
# function gets another name.
flaky_plugin() {
  local f
  : "${CC:=cc}"
  need "${CC%% *}"
  mkdir "$work/flaky"
  for f in "$SRCDIR"/targets/local/*.c; do
    $CC -std=gnu17 -D_GNU_SOURCE -w -O1 -fPIC -fvisibility=hidden -Dholdfast_target_plugin=local_target_plugin \
      -I"$SRCDIR/core/include" -I"$SRCDIR/targets" -c "$f" -o "$work/flaky/$(basename "$f" .c).o" ||
      { echo "Bail out! flaky does not compile" && exit 1; }
  done
  $CC -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -O1 -fPIC -fvisibility=hidden -I"$SRCDIR/core/include" -shared \
    -o "$plugins/flaky.so" "$here/flaky.c" "$work"/flaky/*.o || { echo "Bail out! flaky does not compile" && exit 1; }
}

# small_disk DIR SIZE: a file system of that size.
small_disk() {
  mkdir -p "$1"
  mount -t tmpfs -o "size=$2,mode=700" tmpfs "$1" || { echo "Bail out! no tmpfs can be mounted" && exit 1; }
  mounts+=("$1")
}

# until_there FILE PID: wait until the file is there; false when the process ends before.
until_there() {
  while [ ! -e "$1" ]; do
    kill -0 "$2" 2>/dev/null || { [ -e "$1" ] && return 0; return 1; }
    sleep 0.02
  done
}

# until_said REGEX FILE PID: the same for what it prints.
until_said() {
  while ! grep -Eqse "$1" "$2"; do
    kill -0 "$3" 2>/dev/null || { grep -Eqse "$1" "$2" && return 0; return 1; }
    sleep 0.02
  done
}

# ---- TAP

tests=0

# result STATUS NAME: one line; shows what the last command said when it is bad.
result() {
  [ -z "${HOLDFAST_TEST_TIMES:-}" ] || echo "# $SECONDS s"
  tests=$((tests + 1))
  if [ "$1" -eq 0 ]; then
    echo "ok $tests - $2"
    return 0
  fi
  echo "not ok $tests - $2"
  return 1
}

# diag FILE...: the first lines of files, as comments.
diag() {
  local f
  for f in "$@"; do
    [ ! -s "$f" ] || head -n 25 "$f" | cut -b 1-400 | sed "s|^|# ${f##*/}: |"
  done
}

show_last() {
  echo "# exit code $rc of: $last"
  diag "$work/err" "$work/out"
}

# ok NAME COMMAND...: does the command succeed?
ok() {
  local name=$1
  shift
  "$@" >"$work/ok.log" 2>&1
  result $? "$name" || { echo "# failed: $*" && diag "$work/ok.log"; }
}

# is GOT WANTED NAME
is() {
  [ "$1" = "$2" ]
  result $? "$3" || { echo "# got:    $1" && echo "# wanted: $2"; }
}

# exits CODE NAME: the exit code of the last hf.
exits() {
  [ "$rc" -eq "$1" ]
  result $? "$2" || { echo "# wanted exit code $1" && show_last; }
}

# says REGEX NAME: did the last hf say that, on either output?
says() {
  grep -Eqe "$1" "$work/err" "$work/out"
  result $? "$2" || { echo "# wanted: $1" && show_last; }
}

says_not() {
  ! grep -Eqe "$1" "$work/err" "$work/out"
  result $? "$2" || { echo "# not wanted: $1" && show_last; }
}

# same DIR DIR NAME [OPTION...]: the same trees, by content and all metadata.
same() {
  local a=$1 b=$2 name=$3
  shift 3
  describe "$a" "$@" >"$work/same.a" && describe "$b" "$@" >"$work/same.b" && [ -s "$work/same.a" ] && diff "$work/same.a" "$work/same.b" >"$work/same.diff"
  result $? "$name" || diag "$work/same.diff"
}

describe() { python3 "$here/describe.py" "$@"; }

done_testing() { echo "1..$tests"; }

skip_all() {
  echo "1..0 # SKIP $*"
  exit 0
}

need_root() { [ "$(id -u)" -eq 0 ] || skip_all "needs root: $*"; }

need() {
  local tool
  for tool in "$@"; do command -v "$tool" >/dev/null 2>&1 || { echo "Bail out! $tool is not installed" && exit 1; }; done
}

# free_port: one that nobody listens on, below the range that outgoing connections get.
free_port() {
  python3 -c '
import random, socket
while True:
    port = random.randint(20000, 32000)
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
        print(port)
        break'
}

# need_npm NAME...: what ./bootstrap installs with npm.
need_npm() {
  local name
  for name in "$@"; do
    [ -d "${NPM_DIR:?where npm has installed}/node_modules/$name" ] || { echo "Bail out! $name is not in $NPM_DIR: run ./bootstrap deps" && exit 1; }
  done
}

# flip FILE OFFSET: one byte becomes another one, whatever it was.
flip() {
  python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(int(sys.argv[2])); b = f.read(1)[0]; f.seek(int(sys.argv[2])); f.write(bytes([b ^ 255]))' "$1" "$2"
}

# ---- keys: in a GnuPG home of their own, the caller's

export GNUPGHOME=$work/gnupg
mkdir -m 700 "$GNUPGHOME"

mygpg() { gpg --batch --quiet --yes --no-tty --pinentry-mode loopback --passphrase '' "$@"; }

# make_key VARIABLE USER-ID [EXPIRE]: a signing key with an encryption subkey and no passphrase; its fingerprint goes to the variable.
make_key() {
  local fpr
  mygpg --quick-gen-key "$2" ed25519 cert "${3:-never}" 2>/dev/null || return 1
  fpr=$(mygpg --with-colons --list-keys "=$2" | awk -F: '$1 == "fpr" { print $10; exit }')
  mygpg --quick-add-key "$fpr" cv25519 encr "${3:-never}" || return 1
  printf -v "$1" %s "$fpr"
}

# ---- repositories

# new_repo NAME [LINE...]: folder $work/NAME with manifest, state folder and a local target "disk". The lines go to [holdfast], the sources
# come on standard input. $target_lines are more keys of the target.
target_lines='fsync = none'
new_repo() {
  R=$work/$1
  M=$R/m.ini
  T=$R/disk/testhost
  shift
  mkdir -p "$R"
  {
    printf '[holdfast]\nhost = testhost\nstate = %s\nrecipients = %s\n' "$R/state" "${recipients:-$key}"
    [ $# -eq 0 ] || printf '%s\n' "$@"
    echo
    cat
    printf '\n[target disk]\nplugin = local\npath = %s\n%s\n' "$R/disk" "$target_lines"
  } >"$M"
}

# stranger: a manifest $work/NAME/stranger.ini for reading the same repository on a machine that is not its host. Makes it $M.
stranger() {
  sed "s|^state = .*|state = $R/no-such-state|" "$R/m.ini" >"$R/stranger.ini"
  M=$R/stranger.ini
}

rc=0
last=
# hf ARGUMENT...: run it; $rc, $work/out, $work/err.
hf() {
  last="holdfast $*"
  "$HOLDFAST" -c "$M" "$@" >"$work/out" 2>"$work/err" </dev/null
  rc=$?
  return $rc
}

# faked TIME COMMAND...: by a clock of faketime's: a date, or +TIME for so much later. Monotonic clocks are true: what waits, waits as long as it says. What killed
# runs left of faketime's semaphores, which are named by process ids, can be in its way: the next try has another id.
faked() {
  local time=$1 status try how=()
  shift
  [ "${time#+}" = "$time" ] || how=(-f)
  for try in 1 2 3 4 5; do
    ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" FAKETIME_DONT_FAKE_MONOTONIC=1 faketime "${how[@]}" "$time" "$@" 2>"$work/faked.err"
    status=$?
    grep -q '^faketime: sem_open: File exists' "$work/faked.err" && [ "$try" -lt 5 ] || break
  done
  cat "$work/faked.err" >&2
  return "$status"
}
# hf_at TIME ARGUMENT...: hf by that clock.
hf_at() {
  local time=$1
  shift
  last="at $time: holdfast $*"
  faked "$time" "$HOLDFAST" -c "$M" "$@" >"$work/out" 2>"$work/err" </dev/null
  rc=$?
  return $rc
}

# must ARGUMENT...: an hf that is no test of its own but has to work.
must() {
  hf "$@" && return 0
  result 1 "preparation: holdfast $*"
  show_last
  return 1
}

# objects KIND: how many there are at $T.
objects() { find "$T/$1" -type f 2>/dev/null | wc -l; }

# restored DIR SOURCE PATH: where restore and recover.sh put a source's path.
restored() { printf '%s/%s%s' "$1" "$2" "$3"; }

# recover SNAPSHOT OUT [SOURCE...]: recover.sh as it is in the repository, in an environment without holdfast.
recover() {
  last="recover.sh $*"
  env -i HOME="$work" PATH=/usr/local/bin:/usr/bin:/bin GNUPGHOME="$GNUPGHOME" sh "$T/recover.sh" "$T" "$@" >"$work/out" 2>"$work/err" </dev/null
  rc=$?
  return $rc
}

# json FILTER: the JSON lines of the last output through a Python expression over d (one line's object); prints what is not None.
json() {
  python3 -c '
import json, sys
for line in sys.stdin:
    d = json.loads(line)
    v = eval(sys.argv[1])
    if v is not None:
        print(v)' "$1" <"$work/out"
}
