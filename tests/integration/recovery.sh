#!/bin/bash
# recovery.sh - the runbook of holdfast-recovery(7), walked: each loss is made, and each command of its section is run as it stands there, but for the folders.
# SPDX-License-Identifier: Apache-2.0
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2034,SC2154 # variables of lib.sh
. "${SRCDIR:?the folder of the sources}/tests/integration/lib.sh"
need python3 sqlite3 zstd tar

page=$SRCDIR/man/holdfast-recovery.7
key='' narrow='' evil=''
make_key key 'Keeper <keeper@example.com>'
make_key narrow 'Narrow <narrow@example.com>'
M=$work/etc/holdfast/manifest.ini
R=$work/state
T=$work/mnt/backup/shop1
mkdir -p "$work/etc/holdfast" "$work/srv/app" "$work/srv/data" "$work/mnt"
cat >"$M" <<EOF
[holdfast]
host = shop1
state = $work/state
recipients = $key
rto = 1h
[source etc]
plugin = files
path = $work/etc
[source app]
plugin = files
path = $work/srv/app
[source db]
plugin = sqlite
database = $work/srv/data/shop.db
[source private]
plugin = files
path = $work/srv/app/shop.conf
recipients = $narrow
enabled = no
[target backup]
plugin = local
path = $work/mnt/backup
fsync = none
[target second]
plugin = local
path = $work/mnt/second
fsync = none
[contact first]
phone = +1 555 0100
EOF
echo 'colour = blue' >"$work/srv/app/shop.conf"
sqlite3 "$work/srv/data/shop.db" 'CREATE TABLE t (n); INSERT INTO t VALUES (1)'
must init
cp "$work/out" "$work/init.out"
fpr=$(sed -n 's/^host key  \([0-9A-F]*\) .*/\1/p' "$work/out")
must backup
echo 'colour = red' >"$work/srv/app/shop.conf"
must backup
cp "$M" "$work/manifest.kept"

# commands SECTION: those of the page, a line each.
commands() { awk -v s=".Ss $1" '/^\.S[sh] / { on = $0 == s } on && /^\.Dl # / { sub(/^\.Dl # /, ""); print }' "$page"; }
# walk SECTION [NUMBER...]: run its commands, or those of these numbers; each must succeed. The terminal's question is answered by --yes.
walked=0
walk() {
  local section=$1 n=0 line
  shift
  while IFS= read -r line; do
    n=$((n + 1))
    case " $* " in "  " | *" $n "*) ;; *) continue ;; esac
    walked=$((walked + 1))
    last=$line
    line=$(printf '%s\n' "$line" | sed -e "s|/srv/back/etc/etc/|@back@/etc$work/etc/|g" -e "s|/mnt/|$work/mnt/|g; s|/srv/|$work/srv/|g; s| /etc/| $work/etc/|g; s|@back@|$work/srv/back|g" \
      -e "s/FINGERPRINT/$fpr/; s/--in-place/--in-place --yes/; s/--undo\( last\)\?$/--undo\1 --yes/" -e "s|^holdfast |'$HOLDFAST' -c '$M' |")
    bash -c "$line" >"$work/out" 2>"$work/err" </dev/null
    rc=$?
    exits "${want:-0}" "$section: $last"
  done < <(commands "$section")
  [ "$n" -gt 0 ] || result 1 "the page has commands for: $section"
}
lose_state() {
  gpgconf --homedir "$work/state/gnupg" --kill all >/dev/null 2>&1
  rm -rf "$work/state"
}
pin() { sed -i "s/^\[source etc\]/host-key = $fpr\n&/" "$M"; }
rows() { sqlite3 "$work/srv/data/shop.db" 'SELECT n FROM t'; }

ok "init says where the host key is kept" grep -q 'secret half is in the repository' "$work/init.out"

# ---- the whole host

lose_state
rm -r "${work:?}/srv" "${work:?}/etc"
mkdir -p "$work/etc/holdfast" "$work/srv"
cp "$work/manifest.kept" "$M"
pin
walk 'The whole host' 1 2 3 4
is "$(cat "$work/srv/app/shop.conf") $(rows)" 'colour = red 1' "all is back"
walk 'The whole host' 5
ok "undone: nothing is there again" test ! -e "$work/srv/app/shop.conf"
walk 'The whole host' 6 7 8 9
is "$(cat "$work/srv/app/shop.conf") $(rows)" 'colour = red 1' "and forth again"
hf list
exits 0 "the new machine is the host"
says_not 'trusted because|issue|gap' "of an unbroken chain"
hf verify --decrypt
exits 0 "of which every record is signed as before"

# ---- one database, one file

sqlite3 "$work/srv/data/shop.db" 'DELETE FROM t'
walk 'One database' 1 2 3
is "$(rows)" 1 "the database is back"
walk 'One database' 4
is "$(rows)" '' "and away"
walk 'One database' 5
ok "and an older one is beside" test -s "$work/srv/back/db/shop.db"
rm -r "$work/srv/back"
echo 'colour = none' >"$work/srv/app/shop.conf"
walk 'One file'
is "$(cat "$work/srv/app/shop.conf")" 'colour = red' "the file is back"
says 'can be undone' "and what it replaced is listed"

# ---- the state folder

lose_state
hf backup
exits 1 "without the state folder there is no backup"
hf init
exits 1 "and no new repository over the old one"
says 'holdfast init --adopt' "and what to do is said"
walk 'The state folder, or the host key'
hf --json list
is "$(json 'd["seq"]' | sort -n | head -n 1)" 2 "old snapshots are there"

# ---- the manifest

rm "$M"
walk 'The manifest'
pin
must backup
rm -r "$work/srv/back"

# ---- a target

rm -r "$work/mnt/backup"
walk 'A target, or a provider' 1
want=3 walk 'A target, or a provider' 2
walk 'A target, or a provider' 3 4
is "$(cd "$work/mnt/second/shop1/packs" && find . -type f | sort | sha256sum)" "$(cd "$work/mnt/backup/shop1/packs" && find . -type f | sort | sha256sum)" "both hold the same"

# ---- holdfast itself

rm -rf "$work/srv/back"
walk 'Holdfast itself'
is "$(cat "$work/srv/back/app$work/srv/app/shop.conf")" 'colour = red' "the file is there"
is "$(sqlite3 "$work/srv/back/db/shop.db" 'SELECT count(*) FROM t')" 0 "and the database, as it was last"

# ---- who may not adopt

cp -r "$work/state" "$work/state.kept"
lose_state
hf init --adopt 0123
exits 2 "a fingerprint that is none"
hf init --adopt "$key"
exits 1 "a key that is not the host's"
says 'host-key: is|that is trusted|signed by' "is refused"
ok "and nothing is made" test ! -e "$work/state/gnupg"
# Somebody who has only the key of a narrower audience reads metadata, and does not become the host.
mkdir -m 700 "$work/narrow"
mygpg --export-secret-keys "$narrow" | gpg --homedir "$work/narrow" --batch --quiet --import 2>/dev/null
mygpg --export "$key" | gpg --homedir "$work/narrow" --batch --quiet --import 2>/dev/null
GNUPGHOME=$work/narrow hf init --adopt "$fpr"
exits 1 "the key of one source's recipient alone is not enough"
ok "and nothing is made" test ! -e "$work/state/gnupg"
mkdir -m 700 "$work/nobody"
GNUPGHOME=$work/nobody hf init --adopt "$fpr"
exits 1 "nor is none"

# An attacker who can write to the target puts a key there, and a record that makes it a host key.
make_key evil 'Attacker <attacker@example.com>'
mygpg --quick-add-key "$evil" ed25519 sign never
mygpg --armor --export "$evil" >"$work/evil.asc"
newest=$(cd "$T/records" && printf '%s\n' * | sort | tail -n 1)
seq=$((10#${newest%%-*} + 1))
python3 - "$seq" "$(sha256sum <"$T/records/$newest" | cut -d ' ' -f 1)" "$(sed -n 's/^repository = //p; s/^id = //p' "$T/repository.ini" | head -n 1)" "$evil" >"$work/evil.json" <<'PY'
import json, sys
seq, prev, repo, key = sys.argv[1:]
print(json.dumps({"format": "holdfast-record 1", "type": "keys", "seq": int(seq), "prev": prev, "repository": repo, "id": "0" * 32, "host": "shop1", "tool": "holdfast 9", "time": 1800000000,
                  "label": None, "host_keys": [key]}, indent=1))
PY
mygpg --export "$key" >"$work/keeper.pub"
gpg --batch --quiet --yes --trust-model always --rfc4880 --compress-algo none --cipher-algo AES256 --digest-algo SHA512 --local-user "$evil" --recipient "$key" --sign --encrypt \
  --output "$work/evil.gpg" "$work/evil.json"
cp "$work/evil.gpg" "$T/records/$(printf %010d "$seq")-$(sha256sum <"$work/evil.gpg" | cut -d ' ' -f 1).json.gpg"
cp "$work/evil.asc" "$T/keys/$evil.asc"
hf list
exits 0 "with the host key pinned, a reader elsewhere goes on"
says "$(printf %010d "$seq")-.*is signed by key [0-9A-F]+, which is not a host key of this repository" "and reports the record"
sh "$T/recover.sh" -k "$fpr" "$T" latest "$work/srv/r2" app >"$work/out" 2>"$work/err"
rc=$? last='recover.sh -k'
says "$(printf %010d "$seq")-.*not signed by a host key" "recover.sh tells of it, too"
is "$(cat "$work/srv/r2/app$work/srv/app/shop.conf")" 'colour = red' "and gets back what is signed by the host key it was told"
# One target is away, and the other has not what it has.
mv "$work/mnt/second" "$work/mnt/away"
hf init --adopt "$fpr"
exits 1 "while a target is away it is not adopted"
says 'may hold newer records.*out of the manifest' "which says why, and what to do"
ok "and nothing is made" test ! -e "$work/state/gnupg" -a ! -e "$work/mnt/second"
mv "$work/mnt/away" "$work/mnt/second"
hf init --adopt "$fpr"
exits 0 "the repository is adopted by the true key all the same" || show_last
says 'error: .*records/' "which reports the record too"
hf backup
hf list
says "holds a record $seq that is not the one" "the host reports it ever after"
lose_state
sed -i '/^host-key = /d' "$M"
hf list
exits 1 "a reader that was told nothing does not choose between two host keys"
says "hold 2 host keys.*host-key =" "and says what to do"
sh "$T/recover.sh" "$T" latest "$work/srv/r1" app >"$work/out" 2>"$work/err"
rc=$? last=recover.sh
exits 1 "nor does recover.sh"
says 'several host keys.*-k' "which says so"
rm "$T/keys/$evil.asc" "$T/records/$(printf %010d "$seq")-$(sha256sum <"$work/evil.gpg" | cut -d ' ' -f 1).json.gpg"

# ---- without escrow

sed -i "s|^state = .*|state = $work/state2\nhost-key-escrow = no|; s|^path = $work/mnt/|&other/|" "$M"
mkdir -p "$work/mnt/other"
must init
says 'in this state folder alone' "without escrow, init says where the host key is"
other=$(sed -n 's/^host key  \([0-9A-F]*\) .*/\1/p' "$work/out")
must backup
gpgconf --homedir "$work/state2/gnupg" --kill all
mv "$work/state2" "$work/state3"
hf init --adopt "$other"
exits 1 "and it cannot be adopted"
says 'does not hold its host key.*put the state folder back' "which is said"
mv "$work/state3" "$work/state2"
hf backup
exits 0 "the state folder put back is enough"

walk 'Signs of tampering'
is "$walked" "$(grep -c '^\.Dl # ' "$page")" "every command of the page was run"
done_testing
