#!/bin/bash
# transport.sh - the way to a target: trouble that passes and trouble that does not, proxies, certificates, limits, archives; and no secret in what is told of it.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034 # variables of lib.sh
. "${SRCDIR:?}/tests/integration/lib.sh"
need python3 gpg openssl
for name in $(compgen -e AWS_); do unset "$name"; done
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY
export AWS_EC2_METADATA_DISABLED=true

# server NAME SCRIPT ARGUMENT...: one of ours in the background; its port is $port.
server() {
  local dir=$work/$1 script=$2
  shift 2
  mkdir "$dir"
  python3 "$here/$script" "$dir" "$@" 2>"$dir/err" &
  jobs_started+=($!)
  disown
  until [ -e "$dir/port" ]; do sleep 0.02; done
  port=$(cat "$dir/port")
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
  -keyout "$work/tls.key" -out "$work/tls.crt" 2>/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=other -keyout "$work/other.key" -out "$work/other.crt" 2>/dev/null
server double double_s3.py
url=http://127.0.0.1:$port
server tls double_s3.py "$work/tls.crt" "$work/tls.key"
tls_url=https://127.0.0.1:$port
server proxy proxy_http.py
proxy=127.0.0.1:$port
server guarded proxy_http.py user:hushhush
guarded=127.0.0.1:$port

make_key key 'Recipient <recipient@example.com>'
tree=$work/tree
mkdir -p "$tree"
head -c 3000000 /dev/urandom >"$tree/large"
for i in 1 2 3; do echo "number $i" >"$tree/$i"; done
(umask 077 && echo verysecretkey >"$work/secret")

# target NAME BUCKET URL [LINE...]: a target of the manifest.
target() {
  local name=$1 bucket=$2 at=$3
  shift 3
  printf '\n[target %s]\nplugin = s3\nbucket = %s\nendpoint = %s\naccess-key = ACCESS\nsecret-key-file = %s\n' "$name" "$bucket" "$at" "$work/secret" >>"$M"
  [ $# -eq 0 ] || printf '%s\n' "$@" >>"$M"
}
# repo NAME: a repository whose targets are to be added.
repo() {
  new_repo "$1" <<<"[source tree]
plugin = files
path = $tree"
  sed -i '/^\[target disk\]/,$d' "$M"
}
# comes_back NAME: the newest snapshot is the tree.
comes_back() {
  rm -rf "$work/r"
  hf restore latest tree --to "$work/r" && diff -r "$tree" "$(restored "$work/r" tree "$tree")" >"$work/ok.log" 2>&1
  result $? "$1" || show_last
}
# puts BUCKET: how often the double was asked to store a pack there.
puts() { grep -c "\"PUT\", \"path\": \"/$1/.*/packs/" "$work/double/log"; }

# ---- trouble that passes: 500, 503 and 429 with Retry-After, a connection lost, a body cut short, half a listing

repo rough
target one rough "$url" 'retries = 6'
hf -v init
exits 0 "init, although every object fails at first"
says 'trying again in' "which is told when asked for"
hf -v backup
exits 0 "backup"
says '(503|429).*trying again in 1\.' "as long as the server asks to be left alone"
hf verify --read
exits 0 "verify: no listing is taken for whole that is not, and nothing is told twice"
comes_back "and it comes back"
echo more >"$tree/1"
must backup
comes_back "a second snapshot"

repo asleep
target one asleep "$url"
hf -v init
exits 0 "a server that is not there yet when the target is opened"
says 'the server refuses \(503\); trying again in' "is asked again"

repo lost
target one lost "$url"
must init
hf backup
exits 0 "a server whose answers get lost after it has stored an object"
hf check
exits 0 "is content to check, too"

# ---- trouble that does not pass: an end, and a reason

repo down
target one down "$url" 'retries = 2'
must init
hf backup
exits 1 "a server that stays down"
says 'target one: cannot store packs/.*SlowDown.*drops out' "is given up with its reason"
n=$(puts down)
[ "$n" -ge 3 ] && [ "$n" -le 6 ]
result $? "after the retries of those that were under way" || echo "# $n requests"
repo patient
target one patient "$url" 'deadline = 1h'
must init
hf backup
exits 1 "a server that wants more time than there is"
says 'there is no time to try again: deadline is 3600s' "is not waited for"
repo liar
target one liar "$url"
hf init
exits 1 "a server that stores something else"
says 'the server (stored other bytes than were sent|computed the SHA-256)' "is caught"

# Two targets, and one is down: the other has all.
repo both
target one down "$url" 'retries = 0' 'prefix = both'
target two two "$url"
must init
hf backup
exits 3 "one of two targets is down"
says 'target one: .*drops out' "which is said"
hf verify --read --target two
exits 0 "the other is whole"

# ---- proxies

repo proxied
target one proxied "$url" "proxy = http://$proxy"
hf init
exits 0 "by way of a proxy"
must backup
ok "all requests go there" grep -q "^PUT $url/proxied/.*/packs/" "$work/proxy/log"
comes_back "and it comes back"
repo tunnel
target one tunnel "$tls_url" "proxy = http://$proxy" "ca-file = $work/tls.crt"
hf init
exits 0 "TLS by way of a proxy"
ok "in a tunnel" grep -q "^CONNECT ${tls_url#https://}" "$work/proxy/log"
repo login
target one login "$url" "proxy = http://user:hushhush@$guarded"
chmod 600 "$M"
hf -vv init
exits 0 "a proxy that wants a login"
says "PUT $url/login/testhost/.*: 200, [0-9]+ bytes sent" "each request is told at -vv"
says_not 'hushhush|verysecretkey|Signature=|dXNlcjpodXNoaHVzaA' "without password, key and signature"
sed -i 's/hushhush@/wrongword@/' "$M"
hf -vv backup
exits 1 "a login that is wrong"
says '407' "is said"
says_not 'wrongword' "without the password"
repo dead
target one dead "$url" 'proxy = http://127.0.0.1:1' 'retries = 0'
hf init
exits 1 "a proxy that is not there"
says 'target one: .*no connection' "is said"
repo none
target one none "$url" 'proxy = none'
http_proxy=http://127.0.0.1:1 hf init
exits 0 "proxy = none: whatever the environment says"
repo none2
target one none2 "$url" 'retries = 0'
http_proxy=http://127.0.0.1:1 hf init
exits 1 "without it, the environment counts"

# ---- certificates

repo trusted
target one trusted "$tls_url" "ca-file = $work/tls.crt"
hf init
exits 0 "ca-file: a certificate of one's own"
sed -i "s|^ca-file = .*|ca-file = $work/other.crt|" "$M"
hf backup
exits 1 "another one"
says 'certificate is not to be trusted' "is not taken"
# libcurl looks in a folder, too, beside the system's file. With ca-file nothing of that counts.
mkdir "$work/system"
cp "$work/tls.crt" "$work/system/$(openssl x509 -noout -hash -in "$work/tls.crt").0"
cp /etc/ssl/certs/ca-certificates.crt "$work/system/" 2>/dev/null
# trusting ARGUMENT...: hf where the system trusts the server.
trusting() {
  last="holdfast $* where the system trusts the server"
  unshare -m sh -c 'mount --bind "$1" /etc/ssl/certs && shift && exec "$@"' - "$work/system" "$HOLDFAST" -c "$M" "$@" >"$work/out" 2>"$work/err" </dev/null
  rc=$?
}
# Where that can be arranged: by root, and with a libcurl that has its folder there.
sed -i '/^ca-file = /d' "$M"
trusting backup
trusts=$rc
echo "ca-file = $work/other.crt" >>"$M"
if [ "$trusts" -eq 0 ]; then
  trusting backup
  exits 1 "ca-file is instead of what the system trusts"
  says 'certificate is not to be trusted' "all of it"
fi
sed -i "s|^ca-file = .*|ca-file = $work/nothing.crt|" "$M"
hf backup
exits 1 "a file that is not there"
says 'the certificates to trust cannot be read' "is said"

# ---- limits: three megabytes at one and a half a second take two at least, less what is on credit

repo slow
target one slow "$url" 'limit-up = 1536K'
must init
before=${EPOCHREALTIME/./}
must backup
took=$((${EPOCHREALTIME/./} - before))
[ "$took" -ge 1500000 ]
result $? "limit-up is kept to over HTTP" || echo "# $took us"
sed -i 's/^limit-up.*/limit-down = 1536K/' "$M"
before=${EPOCHREALTIME/./}
must verify --read
took=$((${EPOCHREALTIME/./} - before))
[ "$took" -ge 1500000 ]
result $? "and limit-down" || echo "# $took us"
new_repo disk <<<"[source tree]
plugin = files
path = $tree"
echo 'limit-up = 1536K' >>"$M"
must init
before=${EPOCHREALTIME/./}
must backup
took=$((${EPOCHREALTIME/./} - before))
[ "$took" -ge 1500000 ]
result $? "and to a disk" || echo "# $took us"

# ---- archives

repo glacier
target one glacier "$url" 'thaw = bulk'
must init
must backup
hf restore latest tree --to "$work/r1"
exits 1 "a restore from an archive"
says 'being brought back from an archive, which is done within 48 hours .thaw = bulk.; run the same command again then' "says when to come back"
[ ! -e "$work/r1/tree" ] || [ -z "$(find "$work/r1/tree" -type f)" ]
result $? "and restores nothing meanwhile"
hf restore latest tree --to "$work/r2"
exits 1 "once more: still on its way"
is "$(grep -c '"POST", "path": "/glacier/.*restore' "$work/double/log")" "$(grep '"POST", "path": "/glacier/.*restore' "$work/double/log" | sort -u | wc -l)" \
  "nothing is asked for twice"
hf verify --read
exits 1 "verify cannot read them either"
says 'objects are in an archive and could not be read: .*within 48 hours' "and says so once"
touch "$work/double/thawed"
comes_back "when it is back, it is restored"
rm "$work/double/thawed"
repo second
target one glacier "$url" 'thaw = bulk' 'prefix = second'
target two warm "$url"
must init
must backup
hf restore latest tree --to "$work/r3"
exits 0 "another target that has it at hand is read instead"
[ "$(grep -c '"GET", "path": "/warm/.*packs/' "$work/double/log")" -gt 0 ]
result $? "whichever of them seemed nearer"
done_testing
