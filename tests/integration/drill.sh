#!/bin/bash
# drill.sh - rehearsing a restore: verdicts, damage, room, and nothing left behind.
# SPDX-License-Identifier: Apache-2.0
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "${SRCDIR:?the folder of the sources}/tests/integration/lib.sh"

make_key key 'Drill <drill@example.com>'
mkdir "$work/data"
head -c 3000000 /dev/urandom >"$work/data/big"
echo one >"$work/data/small"
new_repo repo <<END
[source data]
plugin = files
path = $work/data
[source plain]
plugin = example
END
must init
must backup

hf --json drill
exits 0 "a drill of everything"
is "$(json '" ".join(s["name"] + "=" + s["verdict"] for s in d["sources"])')" 'data=passed plain=restored' "each source has its verdict"
is "$(json 'd["sources"][0]["files"]')" 2 "and counts"
is "$(find "$TMPDIR" -name 'holdfast-drill-*')" '' "nothing is left of it"
hf drill latest data
exits 0 "a drill of one source"
says '^data +passed +2 ' "says what it found"
says '^snapshot 2: 1 of 1 sources came back' "and sums up"
mkdir "$work/scratch"
hf drill --scratch "$work/scratch" 2 data
exits 0 "a drill below another folder"
hf drill --scratch relative
exits 2 "which has to be an absolute one"
hf drill latest nobody
exits 1 "a source that the snapshot does not have"
says 'has no source nobody' "is named"

stranger
hf drill
exits 0 "on another machine that holds the key"
M=$R/m.ini

# A source that failed when the snapshot was taken fails in the drill.
mv "$work/data" "$work/away"
hf backup
mv "$work/away" "$work/data"
hf drill
exits 1 "a drill of a snapshot in which a source failed"
says '^data +failed .*it failed when the snapshot was taken' "says which and why"
must backup

# One byte of one pack.
pack=$(find "$T/packs" -type f -size +1000k | sort | head -n 1)
printf x | dd of="$pack" bs=1 seek=500000 conv=notrunc status=none
hf drill
exits 1 "a damaged pack fails the drill"
says '^data +failed ' "of its source"
says '^plain +restored ' "and of no other"
is "$(find "$TMPDIR" -name 'holdfast-drill-*')" '' "nothing is left of this one either"
done_testing
