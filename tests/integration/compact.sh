#!/bin/bash
# compact.sh - packs of which little is needed are repacked: smaller, and everything that is kept comes back from each target, by all readers.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034 # variables of lib.sh
. "${SRCDIR:?}/tests/integration/lib.sh"
need python3 gpg zstd tar strace
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0" # LeakSanitizer does not work under strace

make_key key 'Recipient <recipient@example.com>'
make_key other 'Other <other@example.com>'
tree=$work/tree
mkdir "$tree" "$work/sums"
fresh() { head -c 2500000 /dev/urandom >"$tree/file.$1"; }
for i in $(seq 20); do fresh "$i"; done
new_repo main <<END
[source tree]
plugin = files
path = $tree
[source other]
plugin = example
count = 1000
recipients = $other
END
sed -i 's/^\[target disk\]/&\nkeep-last = 1/' "$M"
printf '[target far]\nplugin = local\npath = %s\nfsync = none\nkeep-last = 3\n' "$R/far" >>"$M"
must init
# keep [CODE]: a backup, and what is in it.
keep() {
  hf backup
  [ "$rc" -eq "${1:-0}" ] || { result 1 "preparation: a backup" && show_last; }
  last_seq=$(find "$T/records" -name '*.gpg' -printf '%f\n' | sort | tail -n 1 | cut -d - -f 1 | sed 's/^0*//')
  (cd "$tree" && sha256sum -- *) >"$work/sums/$last_seq"
}
# take [CODE]: the same when all files but every fourth have changed, another fourth each time.
round=0
take() {
  local n
  round=$((round + 1))
  for n in $(seq 20); do [ $(((n + round) % 4)) -eq 0 ] || fresh "$n"; done
  keep "$@"
}
for _ in 1 2 3 4; do take; done
host_key=$(basename "$T"/keys/*.asc .asc)
size() { find "$R/$1/testhost/packs" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }'; }
held() {
  hf --json list --target "$1"
  json 'd["seq"]' | paste -sd ' '
}
good() { (cd "$(restored "$1" tree "$tree")" && sha256sum -c --quiet --strict "$work/sums/$2") >"$work/good.log" 2>&1; }
# all_back NAME: every snapshot that a target keeps comes back from it alone, by restore, recover.sh and the other reader; nothing is missing or too many.
all_back() {
  local t s bad=0 n=0 keep=$T
  for t in disk far; do
    T=$R/$t/testhost
    for s in $(held "$t"); do
      n=$((n + 1))
      rm -rf "$work/r1" "$work/r2" "$work/r3"
      mkdir "$work/r3"
      { hf restore "$s" tree --to "$work/r1" --target "$t" && good "$work/r1" "$s"; } || { bad=$((bad + 1)) && echo "# restore $s from $t" && show_last; }
      { recover "$s" "$work/r2" tree && good "$work/r2" "$s"; } || { bad=$((bad + 1)) && echo "# recover.sh $s from $t" && show_last; }
      { python3 "$SRCDIR/tests/reader/reader.py" "$T" "$host_key" "$s" tree tree >"$work/tree.tar" 2>"$work/reader.err" &&
        mkdir "$work/r3/tree" && tar -xf "$work/tree.tar" -C "$work/r3/tree" && good "$work/r3" "$s"; } ||
        { bad=$((bad + 1)) && echo "# reader.py $s from $t" && diag "$work/reader.err" "$work/good.log"; }
    done
  done
  T=$keep
  ok "$1: there are snapshots" test "$n" -gt 1
  is "$bad" 0 "$1: $n snapshots come back, each in three ways"
  hf --json verify --decrypt
  exits 0 "$1: verify --decrypt finds nothing"
  is "$(json '" ".join("%d" % (t["missing"] + t["damaged"] + t["extra"]) for t in d["targets"]) if d["type"] == "verify" else None')" '0 0' \
    "$1: nothing is missing, and nothing too many"
}

# ---- nothing happens without a key

before="$(find "$R/disk" "$R/far" -type f | sort)"
GNUPGHOME=$work/none
mkdir -m 700 "$GNUPGHOME"
hf prune --compact
exits 1 "without any private key"
says "recipient's private key" "says what is missing"
GNUPGHOME=$work/gnupg
is "$(find "$R/disk" "$R/far" -type f | sort)" "$before" "and nothing is changed, nor pruned"
hf prune --compact=0
exits 2 "--compact=0"
hf prune --compact --target disk
exits 2 "--compact and --target"

# ---- what a dry run says, and what is done

must prune
a=$(size disk) b=$(size far)
hf --json prune -n --compact
exits 0 "a dry run"
said=$(json 'd["packs"] if d["type"] == "compact" else None')
ok "says that packs would be replaced: $said" test "$said" -gt 1
is "$(size disk) $(size far)" "$a $b" "and replaces none"
hf --json prune --compact
exits 0 "prune --compact"
is "$(json 'd["packs"] if d["type"] == "compact" else None')" "$said" "replaces as many as were said"
# Nine tenths of what prune left here while it kept a pack more were 94.6 million bytes; these are 90.3.
ok "disk has less: $(size disk) of $a" test $(($(size disk) * 100)) -lt $((a * 94))
all_back 'after it'
hf --json prune --compact
is "$(json '"%d %s" % (d["packs"], d["record"]) if d["type"] == "compact" else None')" '0 None' "again: nothing is found"
hf sync
exits 0 "sync"
says_not 'copied' "has nothing to copy"

# ---- on a machine that is not the host

host_m=$M
stranger
for t in disk far; do
  s=$(held "$t")
  s=${s%% *}
  rm -rf "$work/r1"
  hf restore "$s" tree --to "$work/r1" --target "$t"
  ok "elsewhere: snapshot $s from $t" good "$work/r1" "$s"
done
hf verify --decrypt
exits 0 "elsewhere: verify --decrypt"
M=$host_m

# ---- what comes later is stored once: old contents that are in new packs are known

cp -p "$tree/file.4" "$work/old"
rm "$tree/file.4"
keep
cp "$work/old" "$tree/file.4"
b=$(size far)
keep
ok "a file that comes back is not stored again: $(($(size far) - b)) bytes more" test $(($(size far) - b)) -lt 500000
must prune
hf verify
exits 0 "verify"

# ---- a target that is not there

sed -i 's/^keep-last = 1$/keep-last = 3/' "$M" # what far has is read from disk
take
take
take
must prune
mv "$R/far" "$R/far.away"
: >"$R/far"
hf --json prune --compact
exits 3 "far is not there"
ok "what it holds waits: $(json 'd["waiting"] if d["type"] == "compact" else None') packs" test "$(json 'd["waiting"] if d["type"] == "compact" else None')" -gt 0
take 3
rm "$R/far"
mv "$R/far.away" "$R/far"
sed -i '/^\[target disk\]/,/^\[/s/^keep-last = 3$/keep-last = 1/' "$M"
must sync
hf --json prune --compact
exits 0 "it is back"
is "$(json 'd["waiting"] if d["type"] == "compact" else None')" 0 "nothing waits"
ok "and packs are replaced" test "$(json 'd["packs"] if d["type"] == "compact" else None')" -gt 0
all_back 'with a target that was away'

# ---- a pack that is damaged, everywhere

for _ in 1 2; do take; done
must prune
for v in $(cd "$R/far/testhost/packs" && find . -type f -size +3000k); do
  cp "$R/far/testhost/packs/$v" "$work/kept"
  for t in disk far; do
    [ ! -f "$R/$t/testhost/packs/$v" ] || flip "$R/$t/testhost/packs/$v" 100000
  done
  cp -a "$R" "$work/copy"
  hf --json prune --compact
  is_bad=$(json 'd["damaged"] if d["type"] == "compact" else None')
  [ "${is_bad:-0}" -eq 0 ] || break
  rm -rf "${R:?}"
  mv "$work/copy" "$R"
  for t in disk far; do [ ! -f "$R/$t/testhost/packs/$v" ] || cp "$work/kept" "$R/$t/testhost/packs/$v"; done
done
rm -rf "$work/copy"
is "$is_bad" 1 "a damaged pack among those that are little needed"
exits 3 "is left, and said to be"
says 'is not repacked' "by name"
ok "and is still there" test -f "$R/far/testhost/packs/$v"
for t in disk far; do [ ! -f "$R/$t/testhost/packs/$v" ] || cp "$work/kept" "$R/$t/testhost/packs/$v"; done
all_back 'with the pack mended'

# ---- killed at any time

for _ in 1 2; do take; done
must prune
hf --json prune -n --compact
ok "there is something to be done" test "$(json 'd["packs"] if d["type"] == "compact" else None')" -gt 0
cp -a "$R" "$work/saved"
want=$(held disk)/$(held far)
bad=0 kills=0
again() {
  gpgconf --homedir "$R/state/gnupg" --kill all >/dev/null 2>&1
  rm -rf "${R:?}"
  cp -a "$work/saved" "$R"
}
for at in renameat2:1 renameat2:2 renameat2:3 renameat2:4 renameat2:5 renameat2:6 renameat2:8 renameat2:9 unlinkat:1 unlinkat:2 unlinkat:4 unlinkat:8 fdatasync:2 pwrite64:30 pwrite64:90 pwrite64:200; do
  again
  last="killed at $at"
  { setsid -w timeout -s KILL 90 strace -qq -f -b execve -o "$work/strace" -e trace="${at%:*}" -e inject="${at%:*}:signal=KILL:when=${at#*:}" \
    "$HOLDFAST" -c "$M" prune --compact </dev/null >"$work/out" 2>"$work/err"; } 2>/dev/null
  ! grep -q 'killed by SIGKILL' "$work/strace" || kills=$((kills + 1))
  # Between the two targets' records one is behind, which sync mends as ever; nothing else is ever missing.
  hf --json verify --read
  [ -z "$(json '"tampering" if d["type"] == "verify" and d["tampering"] else d["object"] if d["type"] == "finding" and d["object"] != "records/" else None')" ] ||
    { bad=$((bad + 1)) && echo "# $at: verify" && show_last; }
  hf sync || { bad=$((bad + 1)) && echo "# $at: sync" && show_last; }
  hf prune --compact || { bad=$((bad + 1)) && echo "# $at: prune --compact" && show_last; }
  [ "$(held disk)/$(held far)" = "$want" ] || { bad=$((bad + 1)) && echo "# $at: another result"; }
  hf --json verify
  [ "$(json 'sum(t["extra"] + t["missing"] for t in d["targets"]) if d["type"] == "verify" else None')" = 0 ] || { bad=$((bad + 1)) && echo "# $at: objects stay, or are missing" && show_last; }
  s=$(held far)
  s=${s%% *}
  rm -rf "$work/r1"
  hf restore "$s" tree --to "$work/r1" --target far
  good "$work/r1" "$s" || { bad=$((bad + 1)) && echo "# $at: snapshot $s" && show_last; }
done
is "$bad" 0 "killed $kills times: valid, and the next call finishes"
ok "often enough" test "$kills" -ge 8
all_back 'after the last of them'

# ---- one of two audiences

mygpg --delete-secret-keys "$other"
take
hf --json prune --compact
exits 3 "without the private key of one audience"
says 'has no private key for it' "which is said"
hf verify
exits 0 "and nothing is missing"
done_testing
