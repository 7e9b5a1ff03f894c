#!/bin/bash
# sequoia.sh - packs, indexes, records and secrets decrypt with Sequoia as well as with GnuPG, to the same bytes.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034 # variables of lib.sh
. "${SRCDIR:?}/tests/integration/lib.sh"
need sq gpg zstd

make_key key 'Recipient <recipient@example.com>'
# An RSA key as well: older ones are.
mygpg --quick-gen-key 'Older <older@example.com>' rsa2048 cert never 2>/dev/null
mygpg --quick-add-key "$(mygpg --with-colons --list-keys older@example.com | awk -F: '$1 == "fpr" { print $10; exit }')" rsa2048 encr never
mkdir "$work/tree"
head -c 3000000 /dev/urandom >"$work/tree/large"
seq 20000 >"$work/tree/small"
mygpg --export-secret-keys "$key" >"$work/secret.pgp"
mygpg --export-secret-keys older@example.com >"$work/older.pgp"

# Its options have changed their names since.
if sq decrypt --help | grep -qe --recipient-key; then key_option=--recipient-key signer_option=--signer-cert; else key_option=--recipient-file signer_option=--signer-file; fi

both() { # NAME LINE...
  local name=$1
  shift
  recipients="$key, older@example.com"
  new_repo "$name" "$@" <<EOF
[source tree]
plugin = files
path = $work/tree
EOF
  must init
  must backup
  local kind file bad=0 n=0 recipient
  for kind in packs indexes records secrets; do
    while IFS= read -r file; do
      n=$((n + 1))
      gpg --batch --quiet --decrypt "$file" >"$work/gpg.out" 2>/dev/null
      for recipient in secret older; do
        rm -f "$work/sq.out"
        # Metadata is signed, by the host key; packs are not.
        signed=("$signer_option" "$(echo "$T"/keys/*.asc)")
        [ "$kind" != packs ] || signed=()
        if ! sq decrypt "$key_option" "$work/$recipient.pgp" "${signed[@]}" --output "$work/sq.out" "$file" 2>"$work/sq.err" ||
          [ ! -s "$work/gpg.out" ] || ! cmp -s "$work/gpg.out" "$work/sq.out"; then
          bad=$((bad + 1))
          echo "# $recipient: $file" && diag "$work/sq.err"
        fi
      done
    done < <(find "$T/$kind" -type f)
  done
  [ "$bad" -eq 0 ] && [ "$n" -ge 6 ]
  result $? "$name: sq decrypts and verifies all $n objects, for each recipient, to what gpg gives"
  p=$(find "$T/packs" -type f | head -n 1)
  sq decrypt "$key_option" "$work/secret.pgp" "$p" 2>/dev/null | zstd -dcq | tar -tf - >"$work/list" 2>&1
  [ -s "$work/list" ] && ! grep -qvE '^[0-9a-f]{64}$' "$work/list"
  result $? "$name: and it is a zstd of a tar of chunks" || diag "$work/list"
}
both plain
both hidden 'hide-recipients = yes' 'padding = yes'
done_testing
