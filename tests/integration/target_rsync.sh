#!/bin/bash
# target_rsync.sh - the rsync target at real servers: over ssh, with restricted accounts, and at a daemon. What can go wrong there has
# the right class and message, and loses nothing.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2016,SC2034 # variables of lib.sh; eval
. "${SRCDIR:?}/tests/integration/lib.sh"
# shellcheck source=server_rsync.sh
. "$here/server_rsync.sh"
: "${BUILDDIR:?the folder of the build}"
need python3 gpg rsync rrsync ssh ssh-keygen
[ -x /usr/sbin/sshd ] || { echo "Bail out! sshd is not installed" && exit 1; }
so=$BUILDDIR/targets/rsync/.libs/rsync.so
call=$BUILDDIR/tests/conformance/target_call

S=$work/ssh D=$work/rsyncd
start_sshd "$S" && start_rsyncd "$D" || { echo "Bail out! a server does not start" && exit 1; }
by_ssh=(host=127.0.0.1 port="$ssh_port" identity-file="$S/id" known-hosts="$S/known_hosts")
by_daemon=(host=127.0.0.1 port="$rsyncd_port" username=bk password=s3cr3t-word)

# conforms NAME ARGUMENT...
conforms() {
  local name=$1
  shift
  "$BUILDDIR/holdfast-target-conformance" "$@" >"$work/conf" 2>&1 && grep -q '^1\.\.' "$work/conf"
  result $? "$name" || grep -v '^ok' "$work/conf" | sed 's/^/# /'
}

# t SETTING... -- CALL...: calls of the plugin. Of a setting that is given twice the last one counts.
t() {
  local order=() name
  local -A value=()
  last="calls: $*"
  while [ "$1" != -- ]; do
    name=${1%%=*}
    [ -n "${value[$name]:-}" ] || order+=("$name")
    value[$name]=$1
    shift
  done
  for name in "${order[@]}"; do set -- "${value[$name]}" "$@"; done
  "$call" "$so" "$@" >"$work/out" 2>"$work/err" </dev/null
  rc=$?
}

# gives REGEX NAME: the whole line that a call of t printed.
gives() {
  grep -Eqxe "$1" "$work/out"
  result $? "$2" || { echo "# wanted: $1" && show_last; }
}

# wait_until COMMAND...: until it succeeds; 20 seconds at most.
wait_until() {
  for _ in $(seq 1000); do
    "$@" && return 0
    sleep 0.02
  done
  return 1
}

logins() { grep -c 'Accepted publickey' "$S/log"; }

# ---- the contract

conforms "conformance over ssh, two at once" -n 5 "$so" "${by_ssh[@]}" path="$S/conformance/new" connections=2 fsync=none
conforms "conformance at a daemon" -n 12 "$so" "${by_daemon[@]}" module=main path=conformance/new connections=2
is "$(find "$S/conformance" "$D/main/conformance" -type f ! -name .holdfast-target)" "" "nothing is left at the far ends"
is "$(find "$TMPDIR" -name 'holdfast-rsync-*')" "" "nor in the spool, of killed processes either"

# ---- init, backup, verify, sync, restore; over ssh as an account that rrsync keeps below its folder

make_key key 'Recipient <recipient@example.com>'
tree=$work/tree
mkdir -p "$tree/sub"
for i in $(seq 30); do echo "number $i" >"$tree/sub/$i"; done
head -c 6000000 /dev/urandom >"$tree/large"
new_repo cycle <<END
[source tree]
plugin = files
path = $tree
END
cat >>"$M" <<END
[target ssh]
plugin = rsync
host = 127.0.0.1
port = $ssh_port
path = deep/web
identity-file = $S/id_rr
known-hosts = $S/known_hosts
[target daemon]
plugin = rsync
host = 127.0.0.1
port = $rsyncd_port
module = main
path = web
username = bk
password-file = $R/password
END
echo s3cr3t-word >"$R/password"
chmod 600 "$R/password"
hf init
exits 0 "init of a folder, a restricted ssh account and a daemon"
before=$(logins)
hf backup
exits 0 "backup"
is "$(($(logins) - before))" 1 "one login for all objects"
before=$(logins)
hf verify --read --decrypt
exits 0 "verify"
is "$(($(logins) - before))" 1 "one login for all objects"
ok "the three hold the same objects: ssh" diff -r -x ".holdfast-*" -x repository.ini "$R/disk" "$S/vault/deep/web"
ok "the three hold the same objects: daemon" diff -r -x ".holdfast-*" -x repository.ini -x locks "$R/disk" "$D/main/web"
echo more >>"$tree/sub/1"
mv "$D/main/web" "$D/main/away"
hf backup
exits 3 "a daemon whose disk is not mounted: exit code 3"
says 'daemon: .*holds no \.holdfast-target.*not mounted' "is said"
is "$(find "$D/main" -maxdepth 1 -name web)" "" "and nothing goes to the place below"
mv "$D/main/away" "$D/main/web"
hf sync
exits 0 "sync brings it level"
hf verify --read --target daemon
exits 0 "verify finds it whole"
for target in ssh daemon; do
  rm -rf "$work/r"
  hf restore latest tree --to "$work/r" --target "$target"
  same "$tree" "$(restored "$work/r" tree "$tree")" "restored from the target $target"
done
T=$S/vault/deep/web/testhost
recover latest "$work/rec"
exits 0 "recover.sh does with what ssh has stored"
ok "the tree is the same" diff -r "$tree" "$(restored "$work/rec" tree "$tree")"
echo not-the-word-at-all >"$R/password"
hf backup
exits 3 "a wrong password at one of three"
says 'daemon: .*auth failed' "is said"
says_not 'not-the-word-at-all|s3cr3t' "and shown to nobody"

# ---- logins

head -c 3000000 /dev/urandom >"$work/three"
echo small >"$work/small"
t "${by_ssh[@]}" path="$S/vault/one" -- init -- put a/b "$work/three"
gives 'put OK ' "something to look at, over ssh"
t "${by_daemon[@]}" module=main path=one -- init -- put a/b "$work/three"
gives 'put OK ' "something to look at, at a daemon"
t "${by_daemon[@]}" password=nonsense module=main path=one -- list ''
gives 'open AUTH .*auth failed.*; look at username, password.*' "wrong password: AUTH"
t host=127.0.0.1 port="$rsyncd_port" module=main path=one -- list ''
gives 'open AUTH .*auth failed.*' "no password, and none is asked for: AUTH"
t "${by_ssh[@]}" identity-file="$S/id_stranger" path="$S/vault/one" -- list ''
gives 'open AUTH .*Permission denied \(publickey\).*; see identity-file.*' "a key that is not known there: AUTH"
t "${by_ssh[@]}" identity-file="$S/no-such-key" path="$S/vault/one" -- list ''
gives 'open AUTH .*(no such identity|not accessible|Permission denied).*; see identity-file.*' "a key that is not there: AUTH"
t "${by_ssh[@]}" known-hosts="$S/known_none" path="$S/vault/one" -- list ''
gives 'open AUTH .*host key is known for.*; see known-hosts.*' "an unknown host key: AUTH"
is "$(wc -c <"$S/known_none")" 0 "and it is not taken for good"
t "${by_ssh[@]}" known-hosts="$S/known_wrong" path="$S/vault/one" -- list ''
gives 'open AUTH .*HOST IDENTIFICATION HAS CHANGED.*another machine.*' "another host key: AUTH"
t "${by_ssh[@]}" ssh-options=stricthostkeychecking=no path="$S/vault/one" -- list ''
gives 'open CONFIG ssh-options = .*: StrictHostKeyChecking is set by holdfast.*' "the check of host keys cannot be switched off"
t "${by_ssh[@]}" ssh-options=NoSuchThing=1 path="$S/vault/one" -- list ''
gives 'open CONFIG .*[Bb]ad configuration option.*; see ssh-options' "an option that ssh does not know: CONFIG"

# ---- what is not there

t "${by_ssh[@]}" path="$S/vault/nowhere" -- list ''
gives 'open NOT_FOUND .*(nowhere|holds no \.holdfast-target).*' "no such folder: NOT_FOUND"
is "$(find "$S/vault" -name nowhere)" "" "and it is not made"
t "${by_daemon[@]}" module=nosuch -- list ''
gives 'open NOT_FOUND .*Unknown module .nosuch.*; see module' "no such module: NOT_FOUND"
t "${by_daemon[@]}" module=gone -- list ''
gives 'open NOT_FOUND .*chdir failed.*not mounted.*' "a module without its folder: NOT_FOUND"
t "${by_daemon[@]}" module=main path=one -- get no/such 0 - "$work/got" -- stat no/such -- list no/such/ -- remove no/such
gives 'get NOT_FOUND .*there is no no/such' "get of what is not there"
gives 'stat NOT_FOUND .*there is no no/such' "stat of it"
gives 'list OK ' "a prefix that holds nothing"
t "${by_ssh[@]}" remote-rsync=/no/such/rsync path="$S/vault/one" -- list ''
gives 'open CONFIG .*(missing or too old).*' "no rsync at the far end: CONFIG"
t "${by_ssh[@]}" rsync-program=/no/such/rsync path="$S/vault/one" -- list ''
gives 'open CONFIG cannot start /no/such/rsync: it is not installed.*; see rsync-program' "no rsync here: CONFIG, and not NOT_FOUND"

# The disk goes while it is in use: that must look like neither an absent object nor an empty repository.
"$call" "$so" "${by_daemon[@]}" module=main path=one -- pause "$work/gone" -- stat a/b -- get a/b 0 - "$work/got" -- list '' >"$work/out" 2>"$work/err" &
caller=$!
jobs_started+=("$caller")
wait_until test -s "$work/gone.here"
mv "$D/main/one" "$D/main/one.away"
touch "$work/gone"
wait "$caller"
last='calls while the disk goes'
rc=$?
mv "$D/main/one.away" "$D/main/one"
for name in stat get list; do gives "$name FATAL .*holds no \\.holdfast-target.*" "the disk goes: $name is FATAL"; done

# ---- what is not allowed

t "${by_daemon[@]}" module=readonly path=one -- put a/c "$work/small" -- remove a/b -- get a/b 5 7 "$work/got" -- list ''
gives 'put AUTH .*module is read only.*' "put to a read-only module: AUTH"
gives 'remove AUTH .*module is read only.*' "remove there: AUTH"
gives 'get OK ' "get works"
is "$(cmp "$work/got" <(tail -c +6 "$work/three" | head -c 7))" "" "and gives the range"
gives 'a/b 3000000' "nothing has changed"
t "${by_daemon[@]}" module=readonly path=one -- probe
gives 'probe AUTH .*module is read only.*' "probe sees it beforehand"
t "${by_daemon[@]}" module=nodelete path=one -- put a/c "$work/small" -- remove a/b a/c -- list ''
gives 'put OK ' "put to a module that refuses to delete"
gives 'remove AUTH .*does not let anybody delete.*' "remove there: AUTH"
gives 'a/b 3000000' "the object stays"
t "${by_ssh[@]}" identity-file="$S/id_nodel" path=one -- put a/c "$work/small" -- remove a/b -- list ''
gives 'put OK ' "put with rrsync -no-del"
gives 'remove AUTH .*this account may not delete \(rrsync -no-del\)' "remove there: AUTH"
gives 'a/b 3000000' "the object stays"
mkdir -p "$work/append-only"
echo data >"$work/append-only/file"
new_repo append <<END
[source tree]
plugin = files
path = $work/append-only
END
sed -i "/^\[target disk\]/,\$d" "$M"
cat >>"$M" <<END
[target far]
plugin = rsync
host = 127.0.0.1
port = $ssh_port
path = append
identity-file = $S/id_nodel
known-hosts = $S/known_hosts
END
must init
must backup
echo more >"$work/append-only/file"
hf backup
exits 0 "an account that may not delete backs up again and again"
says 'the lock of a run that is no more .* is passed over, since it may not be removed' "and passes over the locks that it leaves"
hf verify --read
exits 0 "and all is there"
t "${by_ssh[@]}" identity-file="$S/id_ro" path=one -- put a/d "$work/small" -- list ''
gives 'put AUTH .*read-only server.*' "put with rrsync -ro: AUTH"
gives 'a/b 3000000' "list works"
t "${by_ssh[@]}" identity-file="$S/id_wo" path=one -- list ''
gives 'open AUTH .*write-only server.*; a target is read, too' "rrsync -wo: AUTH"

# ---- create-only

t "${by_ssh[@]}" path="$S/vault/one" -- create c "$work/small" -- create c "$work/three" -- get c 0 - "$work/got" -- remove c -- create c "$work/three"
is "$(grep -c '^create OK' "$work/out")" 2 "create-only put"
gives 'create EXISTS .*c is there already' "of a key that is taken: EXISTS"
ok "and changes nothing" cmp "$work/small" "$work/got"

# ---- full disks

if [ "$(id -u)" -eq 0 ] && mkdir -p "$D/main/full" && mount -t tmpfs -o size=4m tmpfs "$D/main/full"; then
  mounts+=("$D/main/full")
  head -c 9000000 /dev/urandom >"$work/nine"
  t "${by_daemon[@]}" module=main path=full -- init -- put p/small "$work/small" -- put p/nine "$work/nine" -- stat p/nine \
    -- put p/other "$work/three" -- list ''
  gives 'put NO_SPACE .*No space left on device.*' "a full disk at the far end: NO_SPACE"
  gives 'stat NOT_FOUND .*' "nothing can be seen of the object"
  is "$(grep -c '^put OK' "$work/out")" 2 "and nothing of it takes the place of a smaller one"
  gives 'p/other 3000000' "which is stored"
else
  for i in 1 2 3 4; do result 0 "full disk # SKIP needs root"; done
fi

# ---- a transfer that is cut, and taken up again

# A program that stands in for rsync: it makes the first put slow and kills it with SIGKILL in the middle of the file, and says what the second one had to send.
cat >"$work/cut-rsync" <<'END'
#!/bin/bash
case " $* " in
  *" --no-whole-file "*) ;;
  *) exec rsync "$@" ;;
esac
if [ -e CUT ]; then exec rsync --stats "$@" >STATS; fi
rsync --bwlimit=4M "$@" &
pid=$!
for _ in $(seq 1000); do
  size=$(find FAR -name '.big.*' -printf '%s\n' 2>/dev/null | head -n 1)
  [ "${size:-0}" -lt 2000000 ] || break
  sleep 0.02
done
: >CUT
kill -9 $pid
wait $pid
exit 137
END
sed -i "s|CUT|$work/cut|; s|STATS|$work/stats|; s|FAR|$D/main/one|" "$work/cut-rsync"
chmod 755 "$work/cut-rsync"
head -c 12000000 /dev/urandom >"$work/twelve"
t "${by_daemon[@]}" module=main path=one rsync-program="$work/cut-rsync" -- put big "$work/twelve" -- stat big -- list ''
gives 'put TRANSIENT .*(signal 9|Killed|closed|reset).*' "rsync is killed in the middle of a file: TRANSIENT"
gives 'stat NOT_FOUND .*' "nothing can be seen"
says_not '^big|partial' "in a listing neither"
ok "what had arrived is kept for the next try" wait_until test -s "$D/main/one/.holdfast-partial/big"
t "${by_daemon[@]}" module=main path=one rsync-program="$work/cut-rsync" -- put big "$work/twelve" -- get big 0 - "$work/got"
gives 'put OK ' "which succeeds"
ok "the object is whole" cmp "$work/twelve" "$work/got"
matched=$(sed -n 's/^Matched data: \([0-9,]*\).*/\1/p' "$work/stats" | tr -d ,)
[ "${matched:-0}" -gt 1000000 ]
result $? "and did not send again what had arrived" || diag "$work/stats"
is "$(find "$D/main/one" -path '*partial/*')" "" "nothing of it is left"

# ---- listings that fail half way

cat >"$work/half-rsync" <<'END'
#!/bin/bash
case " $* " in *" -r "*) rsync "$@" | head -n 3 && kill -9 $$ ;; *) exec rsync "$@" ;; esac
END
chmod 755 "$work/half-rsync"
t "${by_daemon[@]}" module=main path=one rsync-program="$work/half-rsync" -- list ''
gives 'list TRANSIENT .*signal 9' "a listing that is cut: TRANSIENT"
is "$(grep -vc '^list ' "$work/out")" 0 "and nothing of it is told"
if [ "$(id -u)" -eq 0 ]; then
  chown -R 65534:65534 "$D/closed"
  chmod 755 "$work"
  t "${by_daemon[@]}" module=closed -- init -- put a/1 "$work/small" -- put b/2 "$work/small"
  gives 'put OK ' "a folder of another account"
  chown root "$D/closed/b"
  t "${by_daemon[@]}" module=closed -- list '' -- stat b/2 -- put b/3 "$work/small" -- remove b/2
  gives 'list AUTH .*Permission denied \(13\)' "a folder that cannot be read: AUTH"
  is "$(grep -vcE '^(list|stat|put|remove) ' "$work/out")" 0 "and nothing is told of the others"
  gives 'stat AUTH .*Permission denied \(13\)' "stat: AUTH, and not NOT_FOUND"
  gives 'put AUTH .*Permission denied \(13\)' "put: AUTH"
  gives 'remove AUTH .*Permission denied \(13\)' "remove: AUTH"
else
  for i in 1 2 3 4 5 6; do result 0 "unreadable folder # SKIP needs root"; done
fi
ln -s /etc "$D/main/one/link"
t "${by_daemon[@]}" module=main path=one -- list ''
gives 'list FAILED .*link is neither a file nor a folder' "a link may hide a part: an error"
rm "$D/main/one/link"

# ---- what dead writers left

mkdir -p "$D/main/one/a/.holdfast-partial"
touch "$D/main/one/a/.new.abcDEF" "$D/main/one/a/not a key"
touch -d '3 days ago' "$D/main/one/a/.old.abcDEF" "$D/main/one/a/.holdfast-partial/old" "$D/main/one/.other-name"
mkdir -p "$work/tmp/holdfast-rsync-dead00/1"
touch "$work/tmp/holdfast-rsync-dead00/1/data"
t "${by_daemon[@]}" module=main path=one -- list '' -- put tidy "$work/small"
says_not 'abcDEF|partial|not a key' "files that are no objects are not listed"
left=$(cd "$D/main/one/a" && find . -type f -name '.*' -o -name old | sort | tr '\n' ' ')
is "$left" "./.new.abcDEF " "old ones are removed, a new one is not"
is "$(find "$work/tmp" -name 'holdfast-rsync-*')" "" "nor is there anything left of a dead process here"
t "${by_daemon[@]}" module=main path=one -- put a/.new.abcDEF "$work/small"
gives 'put UNSUPPORTED .*' "a name that rsync uses itself is no key"

# ---- connections

rm -f "$work/go" "$work/go.here"
"$call" "$so" "${by_ssh[@]}" path="$S/vault/one" -- stat a/b -- pause "$work/go" -- stat a/b -- put again "$work/small" >"$work/out" 2>"$work/err" &
caller=$!
jobs_started+=("$caller")
wait_until test -s "$work/go.here"
inner=$(cat "$work/go.here")
before=$(logins)
# The one connection of that process.
ok "the connection is cut" pkill -TERM -P "$inner" -x ssh
wait_until eval 'ps -o stat= --ppid "$inner" | grep -q Z'
touch "$work/go"
wait "$caller"
last='calls across a cut'
rc=$?
gives 'put OK ' "it is made anew"
is "$(($(logins) - before))" 1 "once"

kill "$ssh_pid" "$rsyncd_pid"
wait_until eval '! (: <"/dev/tcp/127.0.0.1/$ssh_port") 2>/dev/null && ! (: <"/dev/tcp/127.0.0.1/$rsyncd_port") 2>/dev/null'
t "${by_ssh[@]}" path="$S/vault/one" -- list ''
gives 'open TRANSIENT .*Connection refused' "sshd is down: TRANSIENT"
t "${by_daemon[@]}" module=main path=one -- list ''
gives 'open TRANSIENT .*Connection refused.*' "the daemon is down: TRANSIENT"

# ---- secrets

cat >"$work/noting-rsync" <<END
#!/bin/bash
echo "\$@" >>"$work/noted"
exec rsync "\$@"
END
chmod 755 "$work/noting-rsync"
again_rsyncd "$D"
t "${by_daemon[@]}" rsync-program="$work/noting-rsync" module=main path=one -- put secret "$work/small"
gives 'put OK ' "a put that is watched"
ok "it was" grep -q rsync:// "$work/noted"
is "$(grep -c s3cr3t "$work/noted")" 0 "the password is on no command line"
done_testing
