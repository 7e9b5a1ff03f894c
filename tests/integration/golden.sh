#!/bin/bash
# golden.sh - the repositories that earlier versions made, one for each version of the format, still verify and come back whole.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154 # variables of lib.sh
#
# They are in tests/golden (make.sh there says what they hold). Nothing is written to them, and no state of the host is left: what is done here is what
# somebody does who has the repository, a recipient's key, and the host key's fingerprint noted down.
. "${SRCDIR:?}/tests/integration/lib.sh"
need python3 zstd tar
golden=$SRCDIR/tests/golden

list() { python3 "$golden/listing.py" "$1"; }

# as_listed FOLDER LIST NAME: is what came back what was there?
as_listed() {
  list "$1" >"$work/list.now" 2>"$work/list.err" && [ -s "$2" ] && diff "$2" "$work/list.now" >"$work/list.diff"
  result $? "$3" || diag "$work/list.err" "$work/list.diff"
}

# all_back FOLDER SNAPSHOT BY-WHAT: both sources, against the lists.
all_back() {
  as_listed "$(restored "$1" tree /tmp/holdfast-golden/tree)" "$G/$2.tree.list" "$3: snapshot $2, tree"
  as_listed "$1/example/greetings" "$G/$2.example.list" "$3: snapshot $2, example"
  is "$(sha256sum <"$1/example/numbers" | cut -d ' ' -f 1)" "$(cat "$G/$2.example.numbers")" "$3: snapshot $2, raw stream"
}

# use VERSION: a copy of that repository, which nobody may write to, and the manifest of a reader.
use() {
  G=$golden/$1
  R=$work/$1
  T=$R/disk/golden
  M=$R/m.ini
  mkdir "$R"
  # What is checked out may be linked or read-only; and folders without files are not kept at all.
  cp -rL "$G/disk" "$R/disk"
  chmod -R u+rwX,go-w "$R/disk"
  {
    printf '[holdfast]\nhost = golden\nhost-key = %s\nstate = %s\n' "$(cat "$G/host-key")" "$R/no-such-state"
    printf 'recipients = test-key-a@example.com\n\n[source tree]\nplugin = files\npath = /tmp/holdfast-golden/tree\n\n'
    printf '[source example]\nplugin = example\n\n[target disk]\nplugin = local\npath = %s\n' "$R/disk"
  } >"$M"
  find "$R/disk" -type f -exec sha256sum {} + | sort -k 2 >"$work/before"
}

# recovered SCRIPT SNAPSHOT OUT NAME: by a recover.sh, in an environment without holdfast; only the noted key is believed.
recovered() {
  last="$1 $2"
  env -i HOME="$work" PATH=/usr/local/bin:/usr/bin:/bin GNUPGHOME="$GNUPGHOME" \
    sh "$1" -k "$(cat "$G/host-key")" "$T" "$2" "$3" >"$work/out" 2>"$work/err" </dev/null
  rc=$?
  exits 0 "$4: snapshot $2"
  all_back "$3" "$2" "$4"
}

for version in $(cd "$golden" && printf '%s\n' v[0-9]*); do
  use "$version"
  mygpg --import "$G"/test-key-?.asc 2>/dev/null || { echo "Bail out! the test keys cannot be imported" && exit 1; }

  hf verify --decrypt
  exits 0 "$version: verify --decrypt"
  hf --json list
  seqs=$(json 'd.get("seq") if d.get("type") == "snapshot" else None' | sort -n | tr '\n' ' ' | sed 's/ $//')
  is "$seqs" "$(cd "$G" && printf '%s\n' *.tree.list | sed 's/\..*//' | sort -n | tr '\n' ' ' | sed 's/ $//')" "$version: list names the snapshots"
  for seq in $seqs; do
    hf restore "$seq" --to "$R/restored.$seq"
    exits 0 "$version: restore of snapshot $seq"
    all_back "$R/restored.$seq" "$seq" "$version: restore"
    recovered "$T/recover.sh" "$seq" "$R/recovered.$seq" "$version: recover.sh of the repository"
  done
  # The script of this version reads the old formats too.
  recovered "$SRCDIR/core/repo/recover.sh" "${seqs##*[!0-9]}" "$R/recovered.now" "$version: recover.sh of this version"

  # So does the reader that was written from the manual page.
  python3 "$SRCDIR/tests/reader/reader.py" "$T" "$(cat "$G/host-key")" latest example numbers >"$work/out" 2>"$work/err"
  is "$(sha256sum <"$work/out" | cut -d ' ' -f 1)" "$(cat "$G/${seqs##*[!0-9]}.example.numbers")" "$version: another reader, raw stream" || diag "$work/err"

  # One audience's key opens that audience's sources, and nothing else.
  mygpg --delete-secret-keys "$(mygpg --with-colons --list-keys test-key-a@example.com | awk -F: '$1 == "fpr" { print $10; exit }')" 2>/dev/null
  for seq in $seqs; do
    hf restore "$seq" example --to "$R/alone.$seq"
    exits 0 "$version: snapshot $seq, example, without the key of tree"
    as_listed "$R/alone.$seq/example/greetings" "$G/$seq.example.list" "$version: snapshot $seq, example, is whole"
    hf restore "$seq" tree --to "$R/closed.$seq"
    [ "$rc" -ne 0 ]
    result $? "$version: snapshot $seq, tree, is closed without its key" || show_last
  done

  find "$R/disk" -type f -exec sha256sum {} + | sort -k 2 >"$work/after"
  ok "$version: a reader leaves the repository as it is" cmp "$work/before" "$work/after"
done
done_testing
