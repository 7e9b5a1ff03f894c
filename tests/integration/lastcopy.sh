#!/bin/bash
# lastcopy.sh - the last copy of what is still wanted is not deleted: records that cannot be read, a state that was lost, targets that come and go.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034 # variables of lib.sh
. "${SRCDIR:?}/tests/integration/lib.sh"
need python3 gpg faketime
flaky_plugin
make_key key 'Recipient <recipient@example.com>'
tree=$work/tree
mkdir "$tree"
# repo NAME [LINE...]: one source; target disk keeps the newest only, target far all.
repo() {
  new_repo "$@" <<END
[source tree]
plugin = files
path = $tree
END
  sed -i 's/^\[target disk\]/&\nkeep-last = 1/' "$M"
  printf '[target far]\nplugin = local\npath = %s\nfsync = none\n' "$R/far" >>"$M"
}
fresh() { head -c 300000 /dev/urandom >"$tree/large"; }
packs_of() { find "$R/$1/testhost/packs" -type f | wc -l; }
held() {
  hf --json list --target "$1"
  json 'd["seq"]' | paste -sd ' '
}

# ---- the newest record is one that this state does not know of, and cannot be read for now

new_repo unread <<END
[source tree]
plugin = files
path = $tree
END
sed -i 's/^plugin = local/plugin = flaky\nretries = 0\nkeep-last = 9/' "$M"
must init
fresh
must backup
cp -a "$R/state" "$R/state.before"
fresh
must backup
gpgconf --homedir "$R/state/gnupg" --kill all
rm -rf "$R/state"
mv "$R/state.before" "$R/state"
before=$(cd "$T" && find . -type f ! -path './locks/*' | sort)
for status in -1 -3 -6 -9; do
  FLAKY="g 1 999 $status" hf prune
  exits 1 "a record cannot be read ($status): prune refuses"
  says 'nothing is pruned while a record that is there cannot be read .target disk: ' "and says why"
done
is "$(cd "$T" && find . -type f ! -path './locks/*' | sort)" "$before" "nothing was deleted, or written"
fresh
FLAKY='g 1 999 -1' hf backup
exits 1 "nor does a backup write another record of that number"
is "$(find "$T/records" -type f | wc -l)" 3 "there are as many as before"
hf prune
exits 0 "when it can be read, prune goes on"
hf verify --decrypt
exits 0 "and nothing is missing"
is "$(held disk)" '2 3' "both snapshots are there"

done_testing
