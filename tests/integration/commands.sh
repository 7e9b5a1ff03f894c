#!/bin/bash
# commands.sh - what every command prints, for people and as JSON, and its exit code; mistakes on the command line; what check finds.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034,SC2016 # variables of lib.sh; eval
. "${SRCDIR:?}/tests/integration/lib.sh"
need python3 gpg

make_key key 'Recipient <recipient@example.com>'
make_key soon 'Soon <soon@example.com>' 10d
tree=$work/tree
mkdir -p "$tree/sub"
echo one >"$tree/file"
echo two >"$tree/sub/other"
printf x >"$tree/"$'a\nnewline \xff'
ln -s file "$tree/link"
ln "$tree/file" "$tree/second-name"
mkfifo "$tree/fifo"

# ---- mistakes on the command line: exit code 2, and a word of what would be right

new_repo main <<END
[source tree]
plugin = files
path = $tree
[source greetings]
plugin = example
END
wrong() { # NAME REGEX ARGUMENT...
  local name=$1 regex=$2
  shift 2
  hf "$@"
  exits 2 "$name: exit code 2"
  says "$regex" "$name: is said"
}
wrong "no command" 'command is missing'
wrong "a mistyped command" 'did you mean backup' bakcup
wrong "an unknown command" 'no command zzzzzz' zzzzzz
wrong "an unknown option" 'no option|unknown option|--nonsense' backup --nonsense
wrong "an option without its value" 'label' backup --label
wrong "an option that takes no value" 'dry-run' backup --dry-run=3
wrong "too few words" . ls
wrong "too many words" . ls a b c d e f
wrong "help about nothing" 'no command' help zzzzzz
wrong "help about two things" 'one command' help backup restore
hf --json bakcup
is "$(json 'd["type"]')" error "a mistake is told as JSON, too"
hf --version
exits 0 "--version"
says '^holdfast [0-9]' "prints the version"
for c in init check plugins backup list ls diff cat restore verify drill sync status notify completion; do
  hf "$c" --help
  [ $rc -eq 0 ] && grep -q "^usage: holdfast \[OPTION...\] $c" "$work/out" && hf help "$c" && grep -q "^usage: holdfast .* $c" "$work/out"
  result $? "help of $c" || show_last
done
hf --help
exits 0 "--help"
says 'restore' "lists the commands"

# ---- check, before and after init, and of everything that can be wrong

verdict() { json "d['verdict'] if d['type'] == 'check' and d['what'] == '$1' and '$2' in d['name'] else None" | sort -u; }
hf check --json
exits 1 "check before init"
is "$(verdict 'host key' '')" failed "there is no host key"
is "$(verdict state '')" failed "nor a state folder"
is "$(verdict recipient "$key")" ok "the recipient will do"
is "$(verdict source tree)" ok "so will the source"
hf check
exits 1 "and for people"
says '^failed +host key .*run holdfast init' "says what to do"
must init
wrong "a source that is not there" 'no \[source nosuch\]' backup nosuch
must backup --label first
hf check --json
exits 0 "check after init"
is "$(verdict 'host key' '')$(verdict state '')$(verdict repository '')$(verdict manifest '')$(verdict source tree)$(verdict source greetings)" okokokokokok "all is well"
is "$(verdict recipient number)" warning "but for there being one recipient only"
is "$(json 'd["failed"] if d["type"] == "summary" else None')" 0 "as the summary says"
hf -q check
says_not '^ok' "quiet: only what is not well"
says '^warning +recipient' "is said"
cp "$M" "$work/m.good"
{
  sed "s/^recipients = .*/&\nrecipients = soon@example.com\nrecipients = nobody@example.com/; s|^path = $tree|&/nosuch|" "$work/m.good"
  printf '[source off]\nplugin = example\nenabled = no\n[target off]\nplugin = local\npath = /nosuch\nenabled = no\n[target away]\nplugin = local\npath = /nosuch\n'
} >"$M"
chmod 0755 "$R/state"
PATH=/nonexistent:$(dirname "$(command -v gpg)") hf check --json
exits 1 "check of a manifest with much that is wrong"
is "$(verdict recipient nobody)" failed "a recipient that is not known"
is "$(verdict recipient soon)" failed "one that init has not taken yet"
is "$(verdict source tree)" failed "a source whose folder is not there"
is "$(verdict source off)$(verdict target off)" okok "what is switched off is not asked"
is "$(verdict target away)" failed "a target that is not there"
is "$(verdict state '')" warning "a state folder that others can read"
chmod 0700 "$R/state"
sed "s/^recipients = .*/&\nrecipients = soon@example.com/" "$work/m.good" >"$M"
must init
hf check --json
is "$(verdict recipient soon)" warning "a key that expires soon is a warning"
cp "$work/m.good" "$M"
must init
chmod 0640 "$R/state/state.sqlite"
hf check --json
is "$(verdict state state.sqlite)" failed "a state database that others can read"
chmod 0600 "$R/state/state.sqlite"
touch -d '1 hour' "$R/state/state.sqlite"
hf check --json
exits 1 "a clock that was set back"
is "$(verdict clock '')" failed "is found by what the machine wrote last"
touch "$R/state/state.sqlite"
sed "s|^plugin = example|&\nbefore = no-such-program now\nafter = $work/nosuch\nafter = true|" "$work/m.good" >"$M"
hf check --json
exits 1 "hooks that are not there"
is "$(json 'd["message"] if d["type"] == "check" and d["what"] == "hook" and d["verdict"] == "failed" else None' | grep -c 'no-such-program is not on PATH\|/nosuch is not there')" 2 "are named"
cp "$work/m.good" "$M"
hf check
says "^ok +target disk: an object was stored, read back, listed and deleted; .* free" "a target is tried"
is "$(find "$T/check" -type f 2>/dev/null | wc -l)" 0 "and nothing is left"
hf check --no-write
says "^ok +target disk: opens and lists; .* free" "unless it must not be"
mkdir -p "$T/check"
touch "$T/check/1700000000-0123.txt" "$T/check/4000000000-0123.txt"
must check
is "$(cd "$T/check" && echo *)" 4000000000-0123.txt "what was left long ago is removed"
hf verify --read
exits 0 "verify is not troubled by it"
rm -r "$T/check"
mv "$R/state/gnupg/private-keys-v1.d" "$R/private"
gpgconf --homedir "$R/state/gnupg" --kill all
hf check --json
is "$(verdict 'host key' '')" failed "the host key without its secret half"
gpgconf --homedir "$R/state/gnupg" --kill all
rm -rf "$R/state/gnupg/private-keys-v1.d"
mv "$R/private" "$R/state/gnupg/private-keys-v1.d"
stranger
hf check
exits 1 "check on a machine that is not the host"
M=$R/m.ini

# ---- plugins

hf plugins
exits 0 "plugins"
says '^source +files ' "lists the sources"
says '^target +local ' "and the targets"
hf plugins files
says 'path' "one with its settings"
hf plugins --json
is "$(json 'd["name"]' | sort)" "$(cd "$plugins" && printf '%s\n' *.so | sed 's/\.so$//' | sort)" "as JSON: all there are"
hf plugins nosuch
exits 1 "one that is not there"
cp "$plugins/files.so" "$plugins/broken.so"
truncate -s 1000 "$plugins/broken.so"
hf plugins
exits 0 "one that is broken does not hide the others"
says 'broken.so' "and is named"
rm "$plugins/broken.so"
HOLDFAST_PLUGIN_PATH=$work/nosuch hf backup
exits 2 "without its plugins the manifest is wrong"

# ---- what was backed up

rm "$tree/link" "$tree/sub/other"
ln -s elsewhere "$tree/link"
chmod 600 "$tree/sub"
echo new >"$tree/sub/new"
echo changed >>"$tree/file"
rm "$tree/fifo"
mkdir "$tree/fifo"
sed -i 's/^plugin = example/&\ncount = 5/' "$M"
must backup --label second
hf list --json
is "$(json 'd["label"] if d["type"] == "snapshot" else None' | tr '\n' ' ')" "first second " "list --json"
hf list
says 'first' "list"
number_of() { hf list --json && json "d['seq'] if d.get('label') == '$1' else None"; }
first=$(number_of first)
second=$(number_of second)
hf ls --json latest tree
is "$(json 'd["path"] if d["type"] == "entry" and d.get("kind", d.get("entry")) is not None and "newline" in str(d["path"]) else None' | wc -l)" 2 "ls --json: a name of any bytes"
hf ls -l latest tree "$tree/link"
says '-> elsewhere' "ls -l shows where a link leads"
hf ls latest greetings
says 'numbers' "ls names the streams"
hf ls --json latest greetings
is "$(json 'd["name"] if d["type"] == "stream" else None')" numbers "and as JSON"
hf ls latest greetings numbers
exits 0 "ls of a stream"
hf ls latest tree /nosuch
exits 1 "ls of what is not there"
hf ls latest nosuch
exits 1 "ls of a source that is not there"
says 'it has tree, greetings' "says which there are"

hf diff "$first" latest
exits 0 "diff"
p=${tree#/}
is "$(grep -E "^. $p/(file|link|sub|sub/new|sub/other|fifo)" "$work/out" | cut -d ' ' -f 1,2 | sed "s|$p/||; s|/\$||" | sort -k 2 | tr '\n' ' ')" \
  "T fifo M file M link U sub + sub/new - sub/other " "each change with its letter"
says '^M stream numbers' "a stream that changed"
hf diff --json "$first" latest
is "$(json 'd["change"] if d["type"] == "entry" and d["path"].endswith(("/link", "/sub", "/new", "/other", "/fifo")) else None' | sort | tr '\n' ' ')" \
  "added content metadata removed type " "diff --json"
is "$(json 'd["from"]["kind" if "kind" in d["from"] else "entry"] if d["type"] == "entry" and d["change"] == "removed" else None' | wc -l)" 1 "with what was"
is "$(json 'd["to"] is None if d["type"] == "entry" and d["change"] == "removed" else None')" True "and what is"
hf diff "$first" latest nosuch
exits 1 "diff of a source that is not there"
hf diff latest latest
says '^0 added, 0 removed, 0 changed' "diff of a snapshot with itself"
mv "$M" "$M.all"
awk '/^\[source greetings\]/ { off = 1 } /^\[target/ { off = 0 } !off' "$M.all" >"$M"
must backup
hf diff "$second" latest
says 'source greetings: only in the first' "a source that was dropped"
hf diff latest "$second"
says 'source greetings: only in the second' "and the other way round"
hf diff --json latest "$second"
is "$(json 'd["change"] if d["type"] == "source" else None')" added "as JSON"
mv "$M.all" "$M"

# ---- cat and its refusals

hf cat "$first" tree "$tree/sub/other"
is "$(cat "$work/out")" two "cat of a file"
hf cat "$second" greetings
exits 2 "cat: several streams, none named"
for what in sub link fifo; do
  hf cat "$second" tree "$tree/$what"
  exits 1 "cat of what is no file: $what"
done
hf cat "$second" tree /nosuch
exits 1 "cat of what is not there"
hf cat "$second" nosuch
exits 1 "cat of a source that is not there"

# ---- names of snapshots

for spec in 99 '@2001-01-01' 0000000; do
  hf ls "$spec" tree
  exits 1 "no such snapshot: $spec"
done
for spec in '@nonsense' 'not-a-name' ''; do
  hf ls "$spec" tree
  exits 2 "no name of a snapshot: '$spec'"
done

# ---- restore as JSON, with something in the way

hf restore --json latest tree --to "$work/r"
exits 0 "restore --json"
is "$(json 'd["lost"] if d["type"] == "restore" else None')" 0 "says that nothing was lost"
hf restore latest tree --to "$work/r"
exits 1 "a folder that is not empty"
says 'is not empty' "is not mixed with what comes"
hf restore --json latest nosuch --to "$work/r3"
exits 1 "a source that is not there"
is "$(json 'd["code"] if d["type"] == "error" else None')" "not found" "as JSON"
hf restore "$second" greetings --in-place --yes
exits 1 "a plugin without a restore half, in place"
says 'restore it with --to|--to' "says what to do"

# ---- backup as JSON, in part; and standard output that cannot be written

sed -i 's/^count = 5/&\nmisbehave = fail-finish/' "$M"
hf backup --json
exits 3 "one source fails"
is "$(json '[s["status"] for s in d["sources"]] if "sources" in d else None' | head -n 1)" "['complete', 'failed']" "is in the JSON"
hf restore latest --to "$work/r4"
exits 3 "what restore says of a source that failed when it was backed up"
hf restore latest greetings --to "$work/r5"
exits 1 "and of that alone"
hf cat latest greetings
exits 1 "cat of it"
hf ls latest greetings
exits 1 "ls of it"
sed -i '/^misbehave/d' "$M"
"$HOLDFAST" -c "$M" list >/dev/full 2>"$work/err"
is "$?" 1 "standard output that is full is an error"
"$HOLDFAST" -c "$M" ls latest tree >/dev/full 2>"$work/err"
is "$?" 1 "in the middle of a listing, too"

# ---- every pack is gone: a restore names what is lost, and leaves no half of it

new_repo gone <<END
[source greetings]
plugin = example
END
must init
must backup
rm -rf "$T/packs"
hf restore --json latest --to "$work/r6"
exits 3 "restore with every pack gone"
is "$(json 'd["lost"] if d["type"] == "problem" and d["path"] == "numbers" else None')" True "names the stream that is lost"
ok "and the packs" test "$(json '1 if d["type"] == "damaged" else None' | wc -l)" -ge 1
is "$(json 'd["lost"] > 0 if d["type"] == "restore" else None')" True "and counts what is lost"
ok "and leaves nothing of it" test ! -e "$work/r6/greetings/numbers"
hf cat latest greetings numbers
exits 1 "cat of it"
is "$(wc -c <"$work/out")" 0 "writes nothing"
hf ls latest greetings
exits 0 "ls works all the same, from what the host remembers"
done_testing
