#!/bin/bash
# secrets.sh - who can read what: audiences, changed recipients, nothing of the plain data where it should not be.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2016,SC2034 # variables of lib.sh; eval
. "${SRCDIR:?}/tests/integration/lib.sh"
need python3 gpg zstd

make_key key 'General <general@example.com>'
make_key narrow 'Security <security@example.com>'
make_key third 'Third <third@example.com>'
tree=$work/tree
mkdir -p "$tree"
head -c 2000000 /dev/urandom >"$tree/data"
echo 'THE PLAIN SECRET' >"$tree/secret-name-4711"
new_repo main <<EOF
[source general]
plugin = files
path = $tree
[source secrets]
plugin = files
path = $tree
recipients = security@example.com
EOF
must init
sleep 1.1
must backup
describe "$tree" >"$work/want"

# only FINGERPRINT: a GnuPG home that has this private key and no other; use it as the caller's.
only() {
  local home=$work/home-$1
  if [ ! -d "$home" ]; then
    mkdir -m 700 "$home"
    mygpg --homedir "$work/gnupg" --export-secret-keys "$1" | mygpg --homedir "$home" --import
  fi
  GNUPGHOME=$home
}
all_keys() { GNUPGHOME=$work/gnupg; }

for f in "$T"/indexes/*; do gpg --batch --quiet --decrypt "$f" 2>/dev/null | zstd -dcq; done >"$work/index"
for s in general secrets; do
  awk -v s=$s '$1 == "pack" { mine = $6 == s; if (mine) print $2 >"'"$work"'/packs." s } $1 == "chunk" && mine { print $2 >"'"$work"'/chunks." s }' "$work/index"
done
is "$(sort "$work/chunks.general" "$work/chunks.secrets" | uniq -d | wc -l)" 0 "the same data for two audiences shares no chunk id"
# Where each audience's chunks end is a matter of its own keys; all of them together are the same tar.
data_bytes() { awk -v s="$1" '$1 == "pack" { mine = $6 == s && $5 == "data" } $1 == "chunk" && mine { n += $4 } END { print n + 0 }' "$work/index"; }
is "$(data_bytes general)" "$(data_bytes secrets)" "though they are of as many bytes"
ok "and there are some" test "$(data_bytes general)" -gt 2000000

# ids PACK: the key ids it is encrypted to.
ids() { gpg --batch --list-packets --list-only "$T/packs/${1:0:2}/$1.tar.zst.gpg" 2>/dev/null | grep -o 'keyid [0-9A-F]*' | sort -u; }
subkey() { gpg --batch --with-colons --list-keys "$1" | awk -F: '$1 == "sub" { print "keyid " $5 }'; }
bad=0
while read -r p; do [ "$(ids "$p")" = "$(subkey "$key")" ] || bad=$((bad + 1)); done <"$work/packs.general"
while read -r p; do [ "$(ids "$p")" = "$(subkey "$narrow")" ] || bad=$((bad + 1)); done <"$work/packs.secrets"
is "$bad" 0 "every pack is encrypted to the recipients of its source, and to nobody else"

only "$key"
hf restore latest general --to "$work/r1"
exits 0 "the general recipient reads the general source"
describe "$(restored "$work/r1" general "$tree")" >"$work/got"
ok "and gets it whole" cmp "$work/want" "$work/got"
hf restore latest secrets --to "$work/r2"
[ $rc -ne 0 ] && [ -z "$(find "$work/r2" -type f)" ]
result $? "but not the narrow one" || show_last
says 'key|decrypt' "and is told that it is for want of a key"
pack=$(head -n 1 "$work/packs.secrets")
ok "nor does gpg" eval '! gpg --batch --quiet --decrypt "$T/packs/${pack:0:2}/$pack.tar.zst.gpg" >/dev/null'
only "$narrow"
hf restore latest secrets --to "$work/r3"
exits 0 "the narrow recipient reads the narrow source"
describe "$(restored "$work/r3" secrets "$tree")" >"$work/got"
ok "and gets it whole" cmp "$work/want" "$work/got"

# The host itself cannot read its backups.
mkdir -m 700 "$work/nokeys"
GNUPGHOME=$work/nokeys
rm -rf "$work/state.kept"
cp -a "$R/state" "$work/state.kept"
rm -rf "$R/state/recipes"
hf restore latest --to "$work/r4"
[ $rc -ne 0 ] && [ -z "$(find "$work/r4" -type f)" ]
result $? "the host cannot restore without a recipient's key" || show_last
hf cat latest general "${tree#/}/data"
[ $rc -eq 1 ] && [ ! -s "$work/out" ]
result $? "nor cat" || show_last
hf list
exits 0 "but list"
hf verify --read
exits 0 "and verify that all is there"
hf backup
exits 0 "and back up"
bad=0
for p in "$T"/packs/*/*; do ! gpg --homedir "$R/state/gnupg" --batch --quiet --decrypt "$p" >/dev/null 2>&1 || bad=$((bad + 1)); done
is "$bad" 0 "the host's own key opens no pack"
all_keys

# Nothing plain at the target; in the state folder only names, for root alone.
ok "no plain data and no name at the target" eval '! grep -rqF -e "THE PLAIN SECRET" -e secret-name-4711 "$R/disk"'
ok "no plain data in the state folder" eval '! grep -rqF -e "THE PLAIN SECRET" "$R/state"'
is "$(stat -c %a "$R/state")" 700 "the state folder is its owner's alone"

# ---- the recipients change

before=$(objects packs) secrets_before=$(objects secrets)
sed -i "s/^recipients = $key\$/recipients = $key, third@example.com/" "$M"
hf backup
exits 1 "a new recipient is not taken without being asked"
says 'third@example.com.*holdfast init' "and says how"
must init
hf backup
exits 0 "backup after init with a new recipient"
is "$(objects secrets)" $((secrets_before + 2)) "the repository secret and the host key are encrypted anew"
hf list --json
hf verify --json
only "$third"
hf restore latest general --to "$work/r5"
exits 0 "the new recipient reads the new snapshot"
describe "$(restored "$work/r5" general "$tree")" >"$work/got"
ok "and gets it whole" cmp "$work/want" "$work/got"
hf restore 2 general --to "$work/r6"
[ $rc -ne 0 ]
result $? "and not the old one" || show_last
only "$key"
hf restore 2 general --to "$work/r7"
exits 0 "the old recipient still reads the old one"
describe "$(restored "$work/r7" general "$tree")" >"$work/got"
ok "and gets it whole" cmp "$work/want" "$work/got"
all_keys
ok "the changed audience's data is stored afresh, the other's is not" test "$(objects packs)" -gt "$before"
for f in "$T"/indexes/*; do gpg --batch --quiet --decrypt "$f" 2>/dev/null | zstd -dcq; done >"$work/index"
is "$(awk '$1 == "pack" && $6 == "secrets" { print $2 }' "$work/index" | sort -u | wc -l)" "$(sort -u "$work/packs.secrets" | wc -l)" "the narrow source stored nothing"
n=$(objects packs)
hf backup
is "$rc $(objects packs)" "0 $n" "and nothing more the time after"
# A keys record: the chain has init, snapshots, and it.
for f in "$T"/records/*; do gpg --batch --quiet --decrypt "$f" 2>/dev/null | grep -o '"type": "[a-z]*"'; done >"$work/types"
is "$(sort "$work/types" | uniq -c | awk '{ printf "%s%s ", $1, $3 }')" '1"init" 1"keys" 4"snapshot" ' "the chain says that the keys changed"
sed -i "s/^recipients = $key, third@example.com\$/recipients = $key/" "$M"
hf backup
exits 0 "a recipient is dropped"
only "$third"
hf restore latest general --to "$work/r8"
[ $rc -ne 0 ]
result $? "and cannot read what came after" || show_last
all_keys
hf verify --read --decrypt
exits 0 "verify with all keys finds nothing"

# ---- a secret in the environment is not for the account of a source

if [ "$(id -u)" = 0 ]; then
  chmod 711 "$work" # for nobody to find the plugin in
  new_repo env <<EOF
[source ours]
plugin = exec
command = env
[source theirs]
plugin = exec
user = nobody
command = env
[source with]
plugin = exec
command = true
empty = ok
secret-env = HF_TEST_KEY
secret-variable = KEY
EOF
  export HF_TEST_KEY=4711 HF_TEST_OTHER=4712
  must init
  must backup
  hf cat latest theirs output
  cp "$work/out" "$work/theirs"
  ok "the environment of a source with user = is ours" grep -q '^HF_TEST_OTHER=4712$' "$work/theirs"
  ok "but for the secret of another one" eval '! grep -q 4711 "$work/theirs"'
  hf cat latest ours output
  ok "a source of our own account has it" grep -q '^HF_TEST_KEY=4711$' "$work/out"
  unset HF_TEST_KEY HF_TEST_OTHER
fi

# ---- hidden recipients, padding

new_repo hidden 'hide-recipients = yes' 'padding = yes' <<EOF
[source tree]
plugin = files
path = $tree
EOF
must init
must backup
p=$(find "$T/packs" -type f | head -n 1)
is "$(gpg --batch --list-packets --list-only "$p" 2>/dev/null | grep -o 'keyid [0-9A-F]*' | sort -u)" 'keyid 0000000000000000' "hide-recipients: no key id in a pack"
hf restore latest --to "$work/r9"
describe "$(restored "$work/r9" tree "$tree")" >"$work/got"
ok "hide-recipients and padding: restored all the same" cmp "$work/want" "$work/got"
recover latest "$work/rec"
describe "$(restored "$work/rec" tree "$tree")" >"$work/got"
ok "and by recover.sh" cmp "$work/want" "$work/got"
done_testing
