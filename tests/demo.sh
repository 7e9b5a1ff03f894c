#!/bin/bash
# demo.sh - back up real files, change some, back up again, look at it, restore it with and without holdfast, and compare.
# SPDX-License-Identifier: Apache-2.0
#
#   HOLDFAST=PROGRAM HOLDFAST_PLUGIN_PATH=FOLDERS demo.sh [--keep]
#
# /etc and /usr/share/doc are backed up as they are, and so is a copy of them in the demo's own folder, where nobody else changes anything: that one must come
# back exactly. Everything else happens in that folder, which is removed at the end (not with --keep). Exit 1 when anything differs.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
export LC_ALL=C
umask 022

: "${HOLDFAST:?the program}"
keep=
case ${1:-} in
  '') ;;
  --keep) keep=1 ;;
  *)
    echo "usage: demo.sh [--keep]" >&2
    exit 2
    ;;
esac

demo=$(mktemp -d "${TMPDIR:-/tmp}/hfdemo.XXXXXX")
export GNUPGHOME=$demo/gnupg
manifest=$demo/manifest.ini
failed=

clean_up() {
  for home in "$GNUPGHOME" "$demo/state/gnupg"; do
    if [ -d "$home" ]; then gpgconf --homedir "$home" --kill all 2>/dev/null || :; fi
  done
  if [ -n "$keep" ]; then
    echo "kept: $demo"
  else
    # What was restored may have folders without write permission.
    chmod -R u+rwX "$demo" 2>/dev/null || :
    rm -rf "$demo"
  fi
}
trap clean_up EXIT
trap 'exit 130' HUP INT TERM

step() { printf '\n== %s\n' "$*"; }
good() { printf 'ok: %s\n' "$*"; }

wrong() {
  printf 'WRONG: %s\n' "$*"
  failed=1
}

die() {
  printf 'demo: %s\n' "$*" >&2
  exit 1
}

# hf ARGUMENT...: run holdfast, and show what is run. What is done in part is a failure too, but for what an account other than root cannot read or set.
hf() {
  local rc=0
  printf '$ holdfast %s\n' "$*" >&2
  "$HOLDFAST" --no-progress -c "$manifest" "$@" || rc=$?
  [ "$rc" -eq 0 ] || { [ "$rc" -eq 3 ] && [ "$(id -u)" -ne 0 ]; } || die "holdfast $1: exit code $rc"
}

# number KEY FILE: the number of that key in a line of JSON.
number() { sed -n "s/.*\"$1\": *\([0-9.]*\).*/\1/p" "$2"; }

# total KEY FILE: the sum over the sources of a backup. The four counts stand together, unlike others of the same name.
total() {
  grep -o '"bytes": *[0-9]*, *"bytes_read": *[0-9]*, *"bytes_new": *[0-9]*, *"bytes_stored": *[0-9]*' "$2" |
    tr -d '" ' | tr ',' '\n' | awk -F: -v k="$1" '$1 == k { n += $2; found = 1 } END { if (!found) exit 1; printf "%.0f\n", n }'
}

# describe FOLDER FILE: everything about what is in it but the content of files, one line or block an entry, in the order of paths.
describe() {
  local missing=
  (
    cd "$1"
    # Kind, mode, owner by number and name, time, then size and link target; the size of a folder is the file system's business.
    find . -mindepth 1 -type d -printf '%P\t%y\t%m\t%U\t%G\t%u\t%g\t%T@\0' | sort -z
    find . -mindepth 1 ! -type d -printf '%P\t%y\t%m\t%U\t%G\t%u\t%g\t%T@\t%s\t%n\t%l\0' | sort -z
    printf '\n'
    # Names of one file, each with the first of them.
    find . ! -type d -links +1 -printf '%i\t%P\n' | sort -k 2 | awk -F '\t' '!($1 in first) { first[$1] = $2 } { print $2 " is " first[$1] }'
    if command -v getfattr >/dev/null; then find . -print0 | sort -z | xargs -0 -r getfattr -h -d -m - -e hex 2>/dev/null || :; fi
    if command -v getfacl >/dev/null; then find . ! -type l -print0 | sort -z | xargs -0 -r getfacl -n 2>/dev/null || :; fi
    if command -v getcap >/dev/null; then getcap -r . 2>/dev/null | sort; fi
    true
  ) | tr '\0' '\n' >"$2"
  for tool in getfattr getfacl getcap; do command -v "$tool" >/dev/null || missing="$missing $tool"; done
  [ -z "$missing" ] || echo "note: not installed, so not compared:$missing" >&2
}

# identical ORIGINAL RESTORED WHAT: content and metadata.
identical() {
  local rc=0
  diff -r --no-dereference "$1" "$2" >"$demo/content.diff" 2>&1 </dev/null || rc=$?
  # FIFOs and devices have no content; that they are there and of the same kind is seen below.
  if [ "$rc" -ne 0 ] && grep -v -e ' is a fifo while file ' -e ' is a character special file while file ' -e ' is a block special file while file ' "$demo/content.diff" >"$demo/content.left"; then
    head -n 20 "$demo/content.left"
    wrong "$3: the content differs"
    return
  fi
  describe "$1" "$demo/original.meta"
  describe "$2" "$demo/restored.meta"
  if ! diff -a "$demo/original.meta" "$demo/restored.meta" >"$demo/meta.diff"; then
    head -n 20 "$demo/meta.diff"
    wrong "$3: the metadata differs"
    return
  fi
  good "$3: $(find "$1" -mindepth 1 | wc -l) entries, content and metadata identical"
}

# holes ORIGINAL RESTORED WHAT: no more blocks than the original has, but for some that a file system may add.
holes() {
  if [ "$(stat -c %b "$2")" -le $(($(stat -c %b "$1") + 256)) ]; then good "$3: its holes are holes"; else wrong "$3: its holes take space"; fi
}

# survey FOLDER FILE: PATH, a tab, and what is known of it; a second line for the content of a file. Sockets are not restored, nor owners without root.
survey() {
  local owner='%U %G %u %g'
  [ "$(id -u)" -eq 0 ] || owner=
  (
    cd "$1"
    find . -mindepth 1 ! -type s ! -type d -printf "%P\t%y %m $owner %T@ %s %l\n"
    find . -mindepth 1 -type d -printf "%P\t%y %m $owner %T@\n"
    find . -type f -readable -printf '%P\0' | xargs -0 -r sha256sum | sed 's/^\(\\\{0,1\}[0-9a-f]*\)  \(.*\)/\2\tsha256 \1/'
  ) 2>"$demo/errors" | sort >"$2" || [ "$(id -u)" -ne 0 ] || {
    cat "$demo/errors"
    wrong "$1 cannot be read"
  }
}

# as_now LIVE RESTORED WHAT: the same for a tree that is in use. What has changed there since the backup began is named and passed over; and so is, when this is not run by
# root, what this account cannot read.
as_now() {
  local path
  survey "$1" "$demo/original.list"
  survey "$2" "$demo/restored.list"
  find "$1" -newercm "$demo/started" -printf '%P\n' 2>/dev/null | sort >"$demo/moved" || :
  comm -3 "$demo/original.list" "$demo/restored.list" | sed 's/^\t//' | cut -f 1 | sort -u >"$demo/other"
  : >"$demo/bad"
  while IFS= read -r path; do
    # What is gone from a folder has changed that folder.
    if grep -qxF -e "$path" "$demo/moved"; then
      echo "changed meanwhile: $1/$path"
    elif [ "$(id -u)" -ne 0 ] && [ ! -L "$1/$path" ] && [ ! -r "$1/$path" ]; then
      echo "not readable by this account: $1/$path"
    elif [ ! -e "$1/$path" ] && [ ! -L "$1/$path" ] && grep -qx -e "$(dirname "$path" | sed 's/^\.$//; s/[][\.*^$]/\\&/g')" "$demo/moved"; then
      echo "removed meanwhile: $1/$path"
    else
      printf '%s\n' "$path" >>"$demo/bad"
      grep -hF -e "$path"$'\t' "$demo/original.list" "$demo/restored.list" || :
    fi
  done <"$demo/other"
  if [ -s "$demo/bad" ]; then
    wrong "$3: $(wc -l <"$demo/bad") entries did not come back as they are"
  else
    good "$3: $(wc -l <"$demo/original.list") facts of entries and contents are as they are now"
  fi
}

# ---- a key whose private half would be elsewhere, and a manifest
step "a recipient's key, a manifest, and a copy of /etc and /usr/share/doc"
mkdir -m 700 "$GNUPGHOME"
gpg --batch --quiet --passphrase '' --quick-generate-key 'Demo <demo@example.com>' ed25519 cert never 2>/dev/null || die "gpg cannot make a key in $GNUPGHOME"
recipient=$(gpg --batch --quiet --no-auto-check-trustdb --with-colons --list-keys | awk -F: '$1 == "fpr" { print $10; exit }')
gpg --batch --quiet --passphrase '' --quick-add-key "$recipient" cv25519 encr never 2>/dev/null

live=()
mkdir "$demo/copy"
for from in /etc /usr/share/doc; do
  [ -d "$from" ] || continue
  live+=("$from")
  # Without root some of it cannot be read, and is not in the copy then.
  cp -a "$from" "$demo/copy/" 2>/dev/null || [ "$(id -u)" -ne 0 ] || die "cannot copy $from"
done
touch "$demo/started"

{
  printf '[holdfast]\nhost       = demo\nrecipients = %s\nstate      = %s\n\n' "$recipient" "$demo/state"
  for from in "${live[@]}"; do printf '[source %s]\nplugin = files\npath   = %s\n\n' "${from##*/}" "$from"; done
  printf '[source copy]\nplugin = files\npath   = %s\n\n' "$demo/copy"
  printf '[target disk]\nplugin = local\npath   = %s\n' "$demo/repository"
} >"$manifest"
cat "$manifest"
hf init
hf check

# ---- two backups, with changes in between
step "the first backup"
hf --json backup --label first >"$demo/first.json"
first=$(number seq "$demo/first.json")
cp -a "$demo/copy" "$demo/before"

step "some changes in the copy"
files=()
while IFS= read -r -d '' f; do files+=("$f"); done < <(cd "$demo/copy" && find . -type f -size +1 -links 1 -writable -regex '[A-Za-z0-9._/+-]*' -printf '%P\0' | sort -z)
[ ${#files[@]} -ge 40 ] || die "there are too few files in /etc and /usr/share/doc for a demonstration"
pick() { printf '%s\n' "${files[$((${#files[@]} * $1 / 10))]}"; }
(
  cd "$demo/copy"
  printf 'a line more\n' >>"$(pick 1)"
  printf 'X' | dd of="$(pick 2)" bs=1 seek=100 conv=notrunc status=none
  rm "$(pick 3)"
  mv "$(pick 4)" moved-away
  chmod 0751 "$(pick 5)"
  touch -d '2001-02-03 04:05:06.123456789' "$(pick 6)"
  ln "$(pick 7)" 'another name'
  ln -s ../nowhere dangling
  mkdir -m 1770 'a new folder'
  printf 'new\n' >'a new folder/with a
newline in its name'
  mkfifo -m 640 'a new folder/fifo'
  truncate -s 50M sparse
  printf 'data between two holes' | dd of=sparse bs=1 seek=20000000 conv=notrunc status=none
  head -c 3000000 /dev/urandom >random
  setfattr -n user.demo -v 'an attribute' "$(pick 8)" 2>/dev/null || echo "note: no extended attributes here"
  setfacl -m u:12345:r "$(pick 9)" 2>/dev/null || echo "note: no access control lists here"
  cp /bin/true program
  if [ "$(id -u)" -eq 0 ]; then setcap cap_net_bind_service=ep program 2>/dev/null || echo "note: no file capabilities here"; fi
)
{
  printf 'M %s\n' "$(pick 1)" "$(pick 2)" "$(pick 6)"
  printf -- '- %s\n' "$(pick 3)" "$(pick 4)"
  printf 'U %s\n' "$(pick 5)"
  printf '+ %s\n' moved-away 'another name' dangling 'a new folder/' 'a new folder/fifo' sparse random program
} >"$demo/changes"
cat "$demo/changes"

step "the second backup"
hf --json backup --label second >"$demo/second.json"
second=$(number seq "$demo/second.json")

# ---- looking at them
step "list, ls, diff, cat, verify"
hf list | tee "$demo/list"
for label in first second; do grep -q " $label " "$demo/list" || wrong "list does not show the snapshot labelled $label"; done
hf ls "$second"
hf ls "$second" copy >"$demo/ls"
listed=$(wc -l <"$demo/ls")
there=$(find "$demo/copy" ! -type s -printf '\n' | wc -l)
[ "$listed" -eq "$there" ] || [ "$(id -u)" -ne 0 ] || wrong "ls shows $listed entries of $there"
hf diff "$first" "$second" copy | tee "$demo/diff"
base=${demo#/}/copy
while IFS= read -r line; do
  grep -qxF -e "${line:0:2}$base/${line:2}" "$demo/diff" || wrong "diff does not show: $line"
done <"$demo/changes"
hf cat "$second" copy "$base/$(pick 1)" | cmp - "$demo/copy/$(pick 1)" || wrong "cat gives other bytes"
hf verify --decrypt
[ -n "$failed" ] || good "snapshot $second shows $listed entries of the copy, and every change"

# ---- back, with holdfast
owner=()
[ "$(id -u)" -eq 0 ] || owner=(--no-owner)
step "restore"
hf restore latest --to "$demo/restored" "${owner[@]}"
identical "$demo/copy" "$demo/restored/copy$demo/copy" "the changed copy"
holes "$demo/copy/sparse" "$demo/restored/copy$demo/copy/sparse" "the sparse file"
for from in "${live[@]}"; do as_now "$from" "$demo/restored/${from##*/}$from" "$from"; done
rm -rf "$demo/restored"
hf restore "$first" copy --to "$demo/earlier" "${owner[@]}"
identical "$demo/before" "$demo/earlier/copy$demo/copy" "the copy as it was before the changes"
rm -rf "$demo/earlier"

# ---- back, without holdfast
step "recover.sh from the repository, with gpg, zstd and tar alone"
if env -i PATH=/usr/bin:/bin sh -c 'command -v holdfast' >/dev/null; then echo "note: holdfast is installed here; recover.sh does not use it"; fi
env -i PATH=/usr/bin:/bin HOME="$demo" GNUPGHOME="$GNUPGHOME" sh "$demo/repository/demo/recover.sh" "$demo/repository/demo" latest "$demo/recovered" || wrong "recover.sh: exit code $?"
identical "$demo/copy" "$demo/recovered/copy$demo/copy" "the changed copy, by recover.sh"
holes "$demo/copy/sparse" "$demo/recovered/copy$demo/copy/sparse" "the sparse file, by recover.sh"
for from in "${live[@]}"; do as_now "$from" "$demo/recovered/${from##*/}$from" "$from, by recover.sh"; done

# ---- in figures
step "in figures"
{
  echo 'BACKUP|FOUND|READ|NEW|STORED|SECONDS|DEDUP|COMPRESSION'
  for run in first second; do
    printf '%s %s %s %s %s %s\n' "$run" "$(total bytes "$demo/$run.json")" "$(total bytes_read "$demo/$run.json")" "$(total bytes_new "$demo/$run.json")" "$(total bytes_stored "$demo/$run.json")" \
      "$(number seconds "$demo/$run.json")"
  done | awk '
    function mib(n) { return sprintf("%.1f MiB", n / 1048576) }
    function ratio(a, b) { return b ? sprintf("%.1f", a / b) : "-" }
    { printf "%s|%s|%s|%s|%s|%.2f|%s|%s\n", $1, mib($2), mib($3), mib($4), mib($5), $6, ratio($2, $4), ratio($4, $5) }'
} | awk -F '|' '{ printf "%-8s %12s %12s %12s %12s %9s %7s %12s\n", $1, $2, $3, $4, $5, $6, $7, $8 }'
if [ -n "$failed" ]; then
  echo "demo: NOT everything came back as it was"
  exit 1
fi
echo "demo: everything came back as it was, with holdfast and without it"
