# target.sh - what the tests of the targets that are services share: a double of the service, calls of the plugin, what is made of their answers, rounds of holdfast.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2034 # variables of lib.sh and of the test
#
# To be sourced, behind lib.sh. Needs BUILDDIR, and plugin: the name of the target's plugin. What it leaves: $so the plugin, $call the program that calls it,
# $double the folder of the double and $double_url where it listens. $more: settings of all calls that at makes, besides its own.

: "${BUILDDIR:?the folder of the build}" "${plugin:?whose tests these are}"
so=$BUILDDIR/targets/$plugin/.libs/$plugin.so
call=$BUILDDIR/tests/integration/target_call
double=$work/double
more=()
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
export HOME=$work no_proxy='*'

# ---- calls

# call ARGUMENT... -- OPERATION...: calls of the plugin; one line for each in $work/out.
call() {
  last="target_call $*"
  timeout 60 "$call" "$so" "$@" >"$work/out" 2>"$work/err" </dev/null
  rc=$?
}

# answers REGEX NAME: is that the last line?
answers() {
  tail -n 1 "$work/out" | grep -Eqe "$1"
  result $? "$2" || { echo "# wanted: $1" && show_last; }
}

# statuses OPERATION: what all calls of that name returned, in a row.
statuses() { sed -n "s/^$1: \([a-z-]*\).*/\1/p" "$work/out" | tr '\n' ' '; }
# outcomes WANTED NAME: what each of the calls returned.
outcomes() { is "$(sed -n 's/^\([a-z]*: [a-z-]*\).*/\1/p' "$work/out" | tr '\n' ',')" "$@"; }

# opens COMMAND: of each line BUCKET|STATUS MESSAGE that is read: COMMAND BUCKET open answers so.
opens() {
  local bucket wanted
  while IFS='|' read -r bucket wanted; do
    "$1" "$bucket" open
    answers "^open: $wanted" "open: $bucket"
  done
}

# operates COMMAND: of each line BUCKET|OPERATION|STATUS MESSAGE: after the opening, that is what the operation comes to. FILES/ stands for $work/.
operates() {
  local bucket op wanted
  while IFS='|' read -r bucket op wanted; do
    "$1" "$bucket" open "${op/FILES\//$work/}"
    answers "^[a-z]*: $wanted" "$bucket: $op"
  done
}

# ---- the double

# double_start SCRIPT: in the background; double_wait sees that it is there.
double_start() {
  mkdir -p "$double"
  python3 "$here/$1" "$double" 2>"$double/err" &
  jobs_started+=($!)
  disown
}
double_wait() {
  until [ -e "$double/port" ]; do sleep 0.02; done
  double_url=http://127.0.0.1:$(cat "$double/port")
}

# seen EXPRESSION: over r, each request the double has seen, h its headers and q its query.
seen() {
  python3 -c '
import json, sys, urllib.parse
for line in open(sys.argv[1]):
    r = json.loads(line); h = r["headers"]; q = dict(urllib.parse.parse_qsl(r.get("query") or r["path"].partition("?")[2]))
    v = eval(sys.argv[2])
    if v is not None: print(v)' "$double/log" "$1"
}
forget() { : >"$double/log"; }

# A server that falls silent takes seconds to be found out: meanwhile the rest goes on.
# stall_start SETTING...: a get that the double never ends. stall_end: it was given up.
stall_start() {
  timeout 60 "$call" "$so" "$@" stall-timeout=1 -- open 'get k' >"$work/stall.out" 2>&1 </dev/null &
  stalling=$!
}
stall_end() {
  wait "$stalling"
  grep -q '^get: transient timed out' "$work/stall.out"
  result $? "stall: get k" || diag "$work/stall.out"
}

# ---- real servers

# certificate NAME: $work/NAME.crt and .key, for 127.0.0.1.
certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$work/$1.key" -out "$work/$1.crt" 2>/dev/null
}

# conformed STATUS NAME: how the conformance program has ended, with its log in $work/conformance.log.
conformed() { result "$1" "$2" || grep -E '^(not ok|#|Bail)' "$work/conformance.log" | sed 's/^/# /'; }

# one_second: sets $when to a whole second that has gone by: its times of versions are compared with the second that is named.
one_second() {
  when=$(date -u +%FT%TZ)
  until [ "$(date -u +%FT%TZ)" != "$when" ]; do sleep 0.05; done
}

# ---- holdfast itself

# make_tree: $tree, of one large file and 50 small ones.
make_tree() {
  tree=$work/tree
  mkdir -p "$tree/sub"
  head -c 5000000 /dev/urandom >"$tree/large"
  for i in {1..50}; do echo "number $i" >"$tree/sub/$i"; done
}

# target_repo NAME LINE...: a repository of $tree with one target, which has the lines.
target_repo() {
  local name=$1
  shift
  new_repo "$name" <<<"[source tree]
plugin = files
path = $tree"
  sed -i '/^\[target disk\]/,$d' "$M"
  {
    printf '\n[target %s]\nplugin = %s\nprefix = some/where\n' "$plugin" "$plugin"
    printf '%s\n' "$@"
  } >>"$M"
}

# there_and_back SECRET: init, check, two backups, verify, restore; no line has the secret, a regular expression.
there_and_back() {
  must init
  hf check
  exits 0 "check is content"
  must backup
  hf verify
  exits 0 "backup and verify"
  echo more >"$tree/sub/new"
  must backup
  hf restore latest --to "$work/restored"
  exits 0 "restore"
  same "$tree" "$(restored "$work/restored" tree "$tree")" "all of it is back"
  says_not "$1" "no secret is shown"
}

rcl() { rclone --config "$work/rclone.conf" --retries 1 --low-level-retries 1 "$@" 2>"$work/rclone.log"; }

# by_other_hands REMOTE COMMAND SETTING: rclone copies the repository that is in backups, recover.sh restores from that, and holdfast from another copy.
by_other_hands() {
  local object
  rcl copy "$1:backups/some/where" "$work/copied"
  result $? "rclone reads what was put" || diag "$work/rclone.log"
  T=$work/copied/testhost
  recover latest "$work/recovered"
  exits 0 "and recover.sh restores from its copy"
  same "$tree" "$(restored "$work/recovered" tree "$tree")" "all of it, again"
  object=$(cd "$T" && find packs -type f | head -n 1)
  "$2" backups open "stat some/where/testhost/$object"
  answers "^stat: ok [0-9]+ $(sha256sum <"$T/$object" | cut -d ' ' -f 1)$" "the digest that is kept with an object is that of its bytes"
  rcl mkdir "$1:copy" && rcl copy "$work/copied" "$1:copy/some/where"
  result $? "rclone puts it elsewhere" || diag "$work/rclone.log"
  sed -i "s|^$3 = .*|$3 = copy|" "$M"
  hf restore latest --to "$work/restored2"
  exits 0 "and holdfast restores from there"
  same "$tree" "$(restored "$work/restored2" tree "$tree")" "all of it, once more"
}
