#!/bin/sh
# recover.sh - get a holdfast backup back with standard tools: gpg, zstd, tar, cat, sha256sum, awk, sort, head, tail.
# SPDX-License-Identifier: Apache-2.0
#
#   sh recover.sh [-k FINGERPRINT]... REPOSITORY-FOLDER SNAPSHOT OUT-FOLDER [SOURCE...]
#
# REPOSITORY-FOLDER holds records/, indexes/, packs/ (a copy fetched from object storage will do). SNAPSHOT is "latest" or a
# sequence number. Each source is written to OUT-FOLDER/SOURCE, which must not exist yet. The secret key of one recipient must
# be in your GnuPG keyring. OUT-FOLDER also holds, while this runs, a private folder with plain pieces of the data.
#
# What is checked: every object's SHA-256 against its name or the index before it is decrypted; the signatures of the record
# and the indexes by a host key; the digest of every recipe, and of every stream that is one file. What is not: the chain of records
# (holdfast verify does that), and whether the host keys found in keys/ are the right ones: give -k with the fingerprint
# you noted down, and no other key is accepted.
#
# Exit: 0 all is there, 1 failed, 2 wrong usage, 3 something is missing or damaged (all of it is named).

set -u
umask 077
LC_ALL=C
export LC_ALL

say() { printf '%s\n' "recover: $*" >&2; }
die() { say "$*"; exit 1; }
usage() { printf '%s\n' 'usage: sh recover.sh [-k FINGERPRINT]... REPOSITORY-FOLDER SNAPSHOT OUT-FOLDER [SOURCE...]' >&2; exit 2; }
worst=0
damage() { worst=3; say "DAMAGE: $*"; }

pinned=
while getopts k: opt; do
  case $opt in
  k) pinned="$pinned $(printf '%s' "$OPTARG" | awk '{ gsub(/[ :]/, ""); printf "%s", toupper($0) }')" ;;
  *) usage ;;
  esac
done
shift $((OPTIND - 1))
[ $# -ge 3 ] || usage
case $1 in /*) repo=$1 ;; *) repo=$PWD/$1 ;; esac
snapshot=$2
case $3 in /*) out=$3 ;; *) out=$PWD/$3 ;; esac
shift 3
case $snapshot in latest) ;; '' | *[!0-9]*) usage ;; esac

for tool in gpg zstd tar cat sha256sum awk sort head tail mktemp; do
  command -v "$tool" >/dev/null 2>&1 || die "$tool is needed and not installed"
done
[ -d "$repo/records" ] || die "$repo holds no records/: is it the folder of one host's repository?"
mkdir -p "$out" || exit 1
work=$(mktemp -d "$out/.recover-XXXXXX") || exit 1
trap 'gpgconf --homedir "$work/v" --kill all 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$work/v" "$work/chunks" || exit 1
if [ -z "${GPG_TTY:-}" ] && terminal=$(tty 2>/dev/null); then
  GPG_TTY=$terminal
  export GPG_TTY
fi

# --- host keys: in a keyring of their own, so that no key of yours can vouch for a record, and none of theirs gets into yours
host_keys=
for key in "$repo"/keys/*.asc; do
  [ -f "$key" ] || continue
  fpr=${key##*/}
  fpr=${fpr%.asc}
  case $fpr in *[!0-9A-F]*) continue ;; esac
  case " $pinned " in "  " | *" $fpr "*) ;; *) continue ;; esac
  gpg --homedir "$work/v" --batch --quiet --no-options --import "$key" 2>/dev/null || { damage "keys/${key##*/} is not a key"; continue; }
  host_keys="$host_keys $fpr"
done
[ -n "$host_keys" ] || die "no host key in $repo/keys to check signatures with${pinned:+ (only$pinned would do)}"
# A repository has one host key: another was put there by somebody.
case $pinned$host_keys in " "*" "*) [ -n "$pinned" ] || die "keys/ holds several host keys:$host_keys; say with -k which is the one you noted down" ;; esac
[ -n "$pinned" ] || say "records are accepted when signed by:$host_keys (compare this with the fingerprint you noted; -k pins it)"

# The names of records, the newest first. Others are passed over: who can write to a replica can name a file as he likes.
records() {
  (cd "$repo" && printf '%s\n' records/[0-9]*-*.json.gpg) | awk '
    length($0) == 92 && substr($0, 9, 10) !~ /[^0-9]/ && substr($0, 19, 1) == "-" && substr($0, 20, 64) !~ /[^0-9a-f]/ && substr($0, 84) == ".json.gpg"' | sort -r
}

# --- one object of metadata: digest, decrypt, verify. open_meta FILE DIGEST RESULT
open_meta() {
  [ -f "$1" ] || { why='it is missing'; return 1; }
  [ "$(sha256sum <"$1" | awk '{ print $1 }')" = "$2" ] || { why='its bytes are not what its name says'; return 1; }
  if ! gpg --batch --quiet --status-fd 3 --unwrap --decrypt <"$1" >"$work/signed" 3>"$work/status" 2>"$work/error" ||
    ! grep_status GOODMDC; then
    why="it cannot be decrypted: $(tail -n 1 "$work/error")"
    return 1
  fi
  # Anyone can encrypt to you, and little may become much: no record or index is larger than this.
  gpg --homedir "$work/v" --batch --quiet --no-options --trust-model always --no-auto-key-retrieve --max-output 268435457 --status-fd 3 --decrypt \
    <"$work/signed" >"$3" 3>"$work/status" 2>"$work/error"
  rc=$?
  rm -f "$work/signed"
  signer=$(awk '$2 == "NEWSIG" { n++ } $2 == "PLAINTEXT" { t++ } $2 == "GOODSIG" { g++ } $2 == "VALIDSIG" { v++; f = $12 }
    END { if (n == 1 && t == 1 && g == 1 && v == 1) print f }' "$work/status")
  case " $host_keys " in
  *" ${signer:-none} "*) [ $rc -eq 0 ] && return 0 ;;
  esac
  why='it is not signed by a host key of this repository'
  return 1
}
# Where key ids are left out, gpg tries one secret key after the other, and ends with an error for each that did not fit.
keys_were_tried() { grep_status DECRYPTION_OKAY && grep_status GOODMDC && awk '$2 == "ENC_TO" && $3 ~ /^0+$/ { ok = 1 } END { exit !ok }' "$work/status"; }
grep_status() { awk -v w="$1" '$2 == w { ok = 1 } END { exit !ok }' "$work/status"; }

# --- the record
# One member or element a line, one blank of indent a level: the place of a line says what it is.
parse_record() {
  awk '
    function value(s) { sub(/^"[a-z0-9_]*": /, "", s); sub(/,$/, "", s); sub(/^"/, "", s); sub(/"$/, "", s); return s }
    function name(s) { return s ~ /^[A-Za-z0-9_][A-Za-z0-9._-]*$/ ? s : "" }
    function hex(s) { return length(s) == 64 && s !~ /[^0-9a-f]/ ? s : "" }
    {
      match($0, /^ */); d = RLENGTH; s = substr($0, d + 1); k = ""
      if (s ~ /^"[a-z0-9_]*": /) { k = substr(s, 2); sub(/".*/, "", k) }
      if (d == 1 && k != "") { top = k; if (k == "type" || k == "repository" || k == "seq") print k, value(s) }
      if (top == "sources" && d == 3 && k != "") {
        sub_ = k
        if (k == "name") { src = name(value(s)); status = "" }
        if (k == "status") print "source", src, value(s)
        if (k == "problem_count" && value(s) + 0 > 0) print "problems", src, value(s)
      }
      if (top == "sources" && sub_ == "streams") {
        if (d == 5 && k != "") {
          m = k
          if (k == "name") { st = name(value(s)); sha = "-" }
          if (k == "format") fmt = value(s)
          if (k == "sha256") sha = hex(value(s))
          if (k == "recipe_sha256") print "stream", src, st, fmt, sha, hex(value(s))
        }
        if (d == 6 && m == "recipe") print "recipe", src, st, hex(value(s))
      }
      if (top == "indexes" && d == 3 && k == "sha256") { x = hex(value(s)); print "index", x }
      if (top == "indexes" && d == 3 && k == "packs") { s = value(s); if (s !~ /[^0-9,-]/) print "packs", x, s }
      if (top == "extra") {
        if (d == 2 && k != "") m = k
        if (d == 4 && k != "") sub_ = k
        if (m == "passed" && d == 3 && s ~ /^"/) print "passed"
        if (m == "gone" && d == 3 && value(s) + 0 > 0) print "away", value(s) + 0
        if (m == "compacted" && d == 3 && s ~ /^[{]/) print "step"
        if (m == "compacted" && d == 6 && k == "sha256") x = hex(value(s))
        if (m == "compacted" && d == 6 && k == "packs") { s = value(s); if (s !~ /[^0-9,-]/) print sub_, x, s }
        if (m == "removed" && sub_ == "snapshots" && d == 5 && value(s) + 0 > 0) print "away", value(s) + 0
      }
    }' "$1"
}

# The packs that a snapshot needs of the index on standard input: those with the ordinals "0-5,7".
needed() {
  awk -v ranges="$1" '
    BEGIN {
      n = split(ranges, r, ","); i = 1; p = 0
      for (k = 1; k <= n; k++) { c = split(r[k], ab, "-"); first[k] = ab[1] + 0; last[k] = ab[c] + 0 }
    }
    $1 == "pack" {
      while (i <= n && p > last[i]) i++
      if (i <= n && p >= first[i]) print $2
      p++
    }'
}
# Are the packs there that a file lists? Else $why says which is not.
are_there() {
  while read -r pack <&7; do
    [ -f "$repo/packs/${pack%"${pack#??}"}/$pack.tar.zst.gpg" ] || { why="pack $pack is missing"; return 1; }
  done 7<"$1"
}
# The indexes of the record in $work/list, each with the packs that are needed. Later records, whose steps are in $work/steps, may say that some packs were
# replaced by others: a step counts where any of what it replaces is needed.
list_indexes() {
  awk '
    function each(index_, ranges, how,    r, ab, n, i, k, c) {
      n = split(ranges, r, ",")
      for (i = 1; i <= n; i++) {
        c = split(r[i], ab, "-")
        for (k = ab[1] + 0; k <= ab[c] + 0; k++) {
          if (how == "add") { need[index_, k] = 1; if (!(index_ in max)) { order[++m] = index_; max[index_] = k } else if (k > max[index_]) max[index_] = k }
          else if ((index_, k) in need) { delete need[index_, k]; hit = 1 }
        }
      }
    }
    f == 1 { if ($1 == "packs") each($2, $3, "add"); next }
    $1 == "step" { hit = 0; next }
    $1 == "replaced" { each($2, $3, "take"); next }
    $1 == "by" && hit { each($2, $3, "add") }
    END {
      for (i = 1; i <= m; i++) {
        s = ""
        for (k = 0; k <= max[order[i]]; k++) if ((order[i], k) in need) s = s (s == "" ? "" : ",") k
        if (s != "") print order[i], s
      }
    }' f=1 "$work/list" f=2 "$work/steps" >"$work/indexes"
}

# A replica has the records of all snapshots, and not the packs of all: some were pruned from it, or it took only some of them. One that a record
# says that of, for whatever target, may be such a one. Is all of it here? Else $why says what is not.
is_whole() {
  list_indexes
  : >"$work/needed"
  while read -r index ranges <&6; do
    open_meta "$repo/indexes/$index.zst.gpg" "$index" "$work/index.zst" || { why="index $index: $why"; return 1; }
    zstd -dcq <"$work/index.zst" | needed "$ranges" >>"$work/needed"
  done 6<"$work/indexes"
  are_there "$work/needed"
}
is_named() { awk -v n="$1" '$1 == "passed" || ($1 == "away" && $2 == n) { ok = 1 } END { exit !ok }' "$work/list" "$work/away"; }

# For a snapshot that was asked for by number: do later records name it, or replace its packs?
read_later() {
  for later in $(records); do
    later=${later#records/}
    [ "$(printf '%s' "${later%%-*}" | awk '{ printf "%d", $0 }')" -gt "$1" ] || break
    digest=${later#*-}
    open_meta "$repo/records/$later" "${digest%.json.gpg}" "$work/record" || continue
    parse_record "$work/record" >"$work/later"
    keep_what_counts "$work/later"
  done
}
# What a later record says of earlier ones. Records are read from the newest on, and steps count from the oldest on.
keep_what_counts() {
  awk '$1 == "away"' "$1" >>"$work/away"
  { awk '$1 == "step" || $1 == "replaced" || $1 == "by"' "$1"; cat "$work/steps"; } >"$work/steps.new" && mv "$work/steps.new" "$work/steps"
}
# Something of the snapshot is missing: is that damage? What is left is given back in any case, when there is anything.
missing_or_pruned() {
  missing=$why
  is_named "$number" || return 0
  left=
  while read -r pack <&7; do
    [ ! -f "$repo/packs/${pack%"${pack#??}"}/$pack.tar.zst.gpg" ] || left=1
  done 7<"$work/needed"
  [ -n "$left" ] || die "snapshot $number was pruned from this replica or never taken by it ($missing); \"latest\" finds the newest that is here"
  say "snapshot $number was pruned from this replica or never taken by it, or is damaged ($missing); what is left follows"
}

found='' passed=''
: >"$work/away"
: >"$work/steps"
for path in $(records); do
  name=${path#records/}
  seq=${name%%-*}
  digest=${name#*-}
  digest=${digest%.json.gpg}
  number=$(printf '%s' "$seq" | awk '{ printf "%d", $0 }')
  [ "$snapshot" = latest ] || [ "$number" = "$(printf '%s' "$snapshot" | awk '{ printf "%d", $0 }')" ] || continue
  if ! open_meta "$repo/records/$name" "$digest" "$work/record"; then
    damage "record $name: $why"
    continue
  fi
  parse_record "$work/record" >"$work/list"
  if [ "$(awk '$1 == "seq" { print $2 }' "$work/list")" != "$number" ]; then
    damage "record $name says that it is another"
    continue
  fi
  keep_what_counts "$work/list"
  if [ "$(awk '$1 == "type" { print $2 }' "$work/list")" = snapshot ]; then
    if [ "$snapshot" = latest ] && is_named "$number" && ! is_whole; then
      say "snapshot $number is passed over: it was pruned from this replica or never taken by it ($why)"
      passed=${passed:-$number}
      continue
    fi
    found=$name
    break
  fi
  [ "$snapshot" = latest ] || die "record $number is not a snapshot"
done
[ -n "$found" ] || [ -z "$passed" ] || die "no snapshot is whole in this replica; what is left of $passed may be had by its number"
[ -n "$found" ] || die "no usable snapshot \"$snapshot\" in $repo/records"
say "snapshot $number, signed by $signer"
repo_id=$(awk '$1 == "repository" { print $2 }' "$work/list")
[ "$snapshot" = latest ] || read_later "$number"

# --- its indexes: CHUNK PACK for every chunk of the packs that are needed; others of an index may be gone
: >"$work/map"
list_indexes
: >"$work/needed"
gone=
while read -r index ranges <&4; do
  if ! open_meta "$repo/indexes/$index.zst.gpg" "$index" "$work/index.zst"; then
    gone="$gone $index"
    reason=$why
    continue
  fi
  if ! zstd -dcq <"$work/index.zst" >"$work/index" ||
    ! awk -v id="$repo_id" '
      NR == 1 { if ($0 != "holdfast-index 1") exit bad = 1; next }
      NR == 2 { if ($0 != "repository " id) exit bad = 1; next }
      $1 == "pack" { p++ }
      $1 == "chunk" { c++ }
      $1 == "end" { ended = ($2 == p + 0 && $3 == c + 0) }
      END { exit bad || !ended }' "$work/index"; then
    damage "index $index cannot be read"
    continue
  fi
  needed "$ranges" <"$work/index" >"$work/of-index"
  awk 'f == 1 { here[$1] = 1; next } $1 == "pack" { pack = $2 } $1 == "chunk" && (pack in here) { print $2, pack }' f=1 "$work/of-index" f=2 "$work/index" >>"$work/map"
  cat "$work/of-index" >>"$work/needed"
done 4<"$work/indexes"
why=${gone:+index$gone: ${reason-}}
if [ "$snapshot" != latest ] && { [ -n "$gone" ] || ! are_there "$work/needed"; }; then missing_or_pruned; fi
for index in $gone; do damage "index $index: $reason"; done
rm -f "$work/index" "$work/index.zst"

# --- packs
# Which packs hold the chunks listed in a file (first word of each line)? Check them all against their names before any is opened: bad ones go to
# $work/bad, once.
: >"$work/bad"
: >"$work/checked"
check_packs() {
  awk 'f == 1 { packs[$1] = packs[$1] " " $2; next }
    f == 2 { done[$1] = 1; next }
    $1 in packs {
      n = split(packs[$1], p, " ")
      for (i = 1; i <= n; i++) if (!(p[i] in done)) { done[p[i]] = 1; print p[i] }
    }' f=1 "$work/map" f=2 "$work/checked" f=3 "$1" >"$work/packs"
  awk '{ printf "%s  packs/%s/%s.tar.zst.gpg\n", $1, substr($1, 1, 2), $1 }' "$work/packs" >"$work/sums"
  if [ -s "$work/sums" ]; then
    (cd "$repo" && sha256sum -c "$work/sums") 2>/dev/null | awk -F': ' '$NF == "OK" { sub(/^.*\//, "", $1); sub(/\..*/, "", $1); print $1 }' >"$work/good"
    awk 'f == 1 { good[$1] = 1; next } !($1 in good)' f=1 "$work/good" f=2 "$work/packs" >"$work/newbad"
    while read -r pack; do
      if [ -f "$repo/packs/${pack%"${pack#??}"}/$pack.tar.zst.gpg" ]; then
        damage "pack $pack: its bytes are not what its name says"
      else
        damage "pack $pack is missing"
      fi
    done <"$work/newbad"
    cat "$work/newbad" >>"$work/bad"
    cat "$work/packs" >>"$work/checked"
  fi
}

# Open one pack into $work/chunks. Its digest is right, so what fails here is not damage.
extract() {
  rm -f "$work/failed"
  gpg --batch --quiet --status-fd 3 --decrypt <"$repo/packs/${1%"${1#??}"}/$1.tar.zst.gpg" >"$work/pack.zst" 3>"$work/status" 2>"$work/error" ||
    keys_were_tried || { say "cannot decrypt pack $1: $(tail -n 1 "$work/error")"; return 1; }
  { zstd -dcq <"$work/pack.zst" || : >"$work/failed"; } | tar -xf - -C "$work/chunks" || : >"$work/failed"
  rm -f "$work/pack.zst"
  [ ! -e "$work/failed" ] || { say "cannot unpack pack $1"; return 1; }
}

# --- putting a stream together
# From the recipe to a plan: x PACK opens a pack, c CHUNK LENGTH OFFSET TAKE gives bytes of a chunk, z N gives N zero bytes, d CHUNK forgets a chunk after its
# last use. Where a pack is bad, a tar stays a tar: entries whose headers are gone are left out with their data; a large file that misses a piece gets zero
# bytes there. What is lost is named in $work/lost.
make_plan() {
  awk -v lost="$work/lost" -v format="$2" '
    f == 1 { bad[$1] = 1; next }
    f == 2 { if (!($1 in pack) || (pack[$1] in bad)) pack[$1] = $2; next }
    f == 3 { if ($1 == "c") uses[$2]++; next }
    function gone(id) { return !(id in pack) || (pack[id] in bad) }
    function give() {
      if (!(pack[id] in opened)) { opened[pack[id]] = 1; print "x", pack[id] }
      print "c", id, len, off, take
    }
    function forget() { if (--uses[id] == 0 && !gone(id)) print "d", id }
    $1 == "c" {
      id = $2; len = $3; off = $4; take = $5; header_lost = 0
      if (tail > 0) { # data of the large file named last
        if (skip) ;
        else if (gone(id)) { print "z", take; if (!hurt) { hurt = 1; print "damaged", path >lost } }
        else give()
        tail -= take
      } else if (gone(id)) {
        if (format == "tar") header_lost = 1
        else { print "z", take; if (!hurt) { hurt = 1; print "damaged", "stream" >lost } }
      } else give()
      forget()
      next
    }
    $1 == "e" {
      path = $11; tail = $NF; hurt = 0; skip = header_lost
      if (skip && $2 != "s") print "lost", path >lost
    }' f=1 "$work/bad" f=2 "$work/map" f=3 "$1" f=4 "$1"
}

# Carry out the plan of standard input: the stream goes to standard output. Whole chunks are given to cat many at a time.
run_plan() {
  batch='' drop='' n=0
  flush() {
    # shellcheck disable=SC2086 # ids are hex digits
    if [ -n "$batch" ]; then (cd "$work/chunks" && cat $batch) || return 1; fi
    # shellcheck disable=SC2086
    if [ -n "$drop" ]; then (cd "$work/chunks" && rm -f $drop); fi
    batch='' drop='' n=0
  }
  while read -r op a b c d; do
    case $op in
    x) flush && extract "$a" || return 1 ;;
    c)
      if [ "$c" = 0 ] && [ "$b" = "$d" ]; then
        batch="$batch $a"
        n=$((n + 1))
      else
        flush || return 1
        [ -f "$work/chunks/$a" ] || return 1
        tail -c +$((c + 1)) "$work/chunks/$a" | head -c "$d" || return 1
      fi
      ;;
    z) flush && head -c "$a" /dev/zero || return 1 ;;
    d) drop="$drop $a" ;;
    esac
    if [ $n -ge 200 ]; then flush || return 1; fi
  done
  flush
}

# What this tar can give back.
help=$(tar --help 2>&1)
tar_options=-p
case $help in *--acls*) tar_options="$tar_options --acls" ;; *) say "NOTE: this tar does not restore ACLs" ;; esac
case $help in
*--xattrs-include*) tar_options="$tar_options --xattrs --xattrs-include=*" ;;
*--xattrs*) tar_options="$tar_options --xattrs" ;;
*) say "NOTE: this tar does not restore extended attributes (and file capabilities)" ;;
esac
case $help in *--delay-directory-restore*) tar_options="$tar_options --delay-directory-restore" ;; esac
[ "$(id -u)" = 0 ] || say "NOTE: not root: files will belong to you"

name_lost() {
  [ ! -s "$work/lost" ] || while read -r what path; do damage "$1: $what: $path"; done <"$work/lost"
}

# restore_stream SOURCE STREAM FORMAT SHA256 RECIPE-SHA256
restore_stream() {
  rm -rf "$work/chunks"
  mkdir "$work/chunks"
  : >"$work/lost"
  awk -v s="$1" -v t="$2" '$1 == "recipe" && $2 == s && $3 == t { print $4 }' "$work/list" >"$work/wanted"
  check_packs "$work/wanted"
  awk 'BEGIN { print "holdfast-recipe 1"; print "stream recipe raw" } { print "c", $1, 0, 0, 0 }' "$work/wanted" >"$work/recipe.list"
  # A recipe's chunks are whole ones: a plan that takes each as it is.
  make_plan "$work/recipe.list" raw >"$work/plan"
  if ! run_plan <"$work/plan" >"$work/recipe"; then
    damage "$1/$2: its recipe cannot be put together"
    return
  fi
  if [ "$(sha256sum <"$work/recipe" | awk '{ print $1 }')" != "$5" ]; then
    damage "$1/$2: its recipe is missing or damaged: the whole stream is lost"
    return
  fi
  : >"$work/lost"
  awk '$1 == "c" { print $2 }' "$work/recipe" >"$work/wanted"
  check_packs "$work/wanted"
  make_plan "$work/recipe" "$3" >"$work/plan"
  rm -f "$work/stopped"
  if [ "$3" = tar ]; then
    # shellcheck disable=SC2086 # options without blanks
    { set -f; run_plan <"$work/plan" || : >"$work/stopped"; } | (set -f; tar -x $tar_options -f - -C "$out/$1") ||
      damage "$1/$2: tar reports errors"
    name_lost "$1/$2"
  else
    run_plan <"$work/plan" >"$out/$1/$2" || : >"$work/stopped"
    if [ -s "$work/lost" ]; then
      mv "$out/$1/$2" "$out/$1/$2.damaged"
      damage "$1/$2: pieces are missing; what there is, with zero bytes in their place, is $out/$1/$2.damaged"
    elif [ "$4" != - ] && [ ! -e "$work/stopped" ] && [ "$(sha256sum <"$out/$1/$2" | awk '{ print $1 }')" != "$4" ]; then
      damage "$1/$2: the digest of the whole is not what the record says"
    fi
  fi
  [ ! -e "$work/stopped" ] || die "$1/$2 could not be finished"
}

# --- the sources
for want in "$@"; do
  awk -v s="$want" '$1 == "source" && $2 == s { ok = 1 } END { exit !ok }' "$work/list" || die "the snapshot has no source \"$want\""
done
awk '$1 == "source" { print $2, $3 }' "$work/list" >"$work/sources"
while read -r source status <&4; do
  if [ $# -gt 0 ]; then
    wanted=
    for want in "$@"; do [ "$want" != "$source" ] || wanted=1; done
    [ -n "$wanted" ] || continue
  fi
  if [ "$status" = failed ]; then
    damage "$source: this source failed when the snapshot was made; take it from an older one"
    continue
  fi
  [ "$status" = complete ] ||
    say "$source: $(awk -v s="$source" '$1 == "problems" && $2 == s { print $3 }' "$work/list") entries had problems when the snapshot was made"
  if [ -e "$out/$source" ]; then
    damage "$out/$source exists already: left alone"
    continue
  fi
  mkdir "$out/$source" || exit 1
  say "$source"
  awk -v s="$source" '$1 == "stream" && $2 == s { print $3, $4, $5, $6 }' "$work/list" >"$work/streams"
  while read -r stream format sha recipe <&5; do
    restore_stream "$source" "$stream" "$format" "$sha" "$recipe"
  done 5<"$work/streams"
done 4<"$work/sources"
if [ $worst -eq 0 ]; then say "done"; else say "done, but not all of it: see above"; fi
exit $worst
