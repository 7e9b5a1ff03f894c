#!/bin/bash
# prune.sh - two years of backups, and what four targets keep of them by rules of their own; killed, refused, late, forged.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154 # variables of lib.sh
#
# Of two years there are 86 runs, at a clock that faketime gives: sparse at first, daily in the last month, and several in one day. All snapshots that
# three of the targets keep are restored from each of them and compared; of the one that keeps everything, every tenth. Random histories by the thousand
# are in tests/unit/test_retention.c. With HOLDFAST_EVERY_DAY=1 there is a run on each of the 730 days, and all of them are restored.
. "${SRCDIR:?}/tests/integration/lib.sh"
. "${SRCDIR:?}/tests/integration/server_rsync.sh"
need python3 faketime strace rsync
export FAKETIME_DONT_FAKE_MONOTONIC=1 # what waits, waits as long as it says
# LeakSanitizer does not work under strace, and faketime's library comes before that of AddressSanitizer.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0:verify_asan_link_order=0"

mygpg() { faked '2024-12-01 12:00:00' gpg --batch --quiet --yes --no-tty --pinentry-mode loopback --passphrase '' "$@"; }
must_at() { hf_at "$@" || { result 1 "preparation: $*"; show_last; }; }
make_key key 'Recipient <recipient@example.com>'
tree=$work/tree
mkdir "$tree"
for i in 0 1 2; do head -c 300000 /dev/urandom >"$work/large.$i"; done

# expect.py POLICY FILE: which of the snapshots in FILE (lines "seq unix-time label") a policy keeps: written from holdfast-prune(1).
cat >"$work/expect.py" <<'PY'
import sys, datetime, zoneinfo
policy = dict(x.split("=") for x in sys.argv[1].split())
zone = zoneinfo.ZoneInfo("Europe/Berlin")
snaps = [(int(a), int(b), c) for a, b, c in (line.split() for line in open(sys.argv[2]))]
names = {
    "keep-hourly": lambda t: (t.date(), t.hour, t.utcoffset()), "keep-daily": lambda t: t.date(), "keep-weekly": lambda t: t.isocalendar()[:2],
    "keep-monthly": lambda t: (t.year, t.month), "keep-yearly": lambda t: t.year,
}
keep = {snaps[-1][0]}  # the newest good one of its sources
for rule, value in policy.items():
    if rule == "keep-last":
        keep |= {s for s, _, _ in snaps[-int(value):]}
    elif rule == "keep-within":
        keep |= {s for s, t, _ in snaps if snaps[-1][1] - t <= int(value[:-1]) * 86400}
    elif rule in names:
        first = {}
        for s, t, _ in snaps:
            first.setdefault(names[rule](datetime.datetime.fromtimestamp(t, zone)), s)
        keep |= set(list(first.values())[-int(value):])
if policy.get("keep-labelled") != "no":
    keep |= {s for s, _, label in snaps if label != "-"}
print(*sorted(keep) if policy else [s for s, _, _ in snaps])
PY

new_repo main 'time-zone = Europe/Berlin' <<END
[source tree]
plugin = files
path = $tree
END
declare -A policy=([disk]='' [daily]='keep-daily=7 keep-weekly=4' [months]='keep-last=2 keep-monthly=6 keep-yearly=2 keep-labelled=no' [within]='keep-within=20d')
for t in daily months within; do
  printf '[target %s]\nplugin = local\npath = %s\nfsync = none\n' "$t" "$R/$t" >>"$M"
  tr ' ' '\n' <<<"${policy[$t]}" >>"$M"
done
must_at '2024-12-31 12:00:00' init

# ---- two years

times=()
start=$(date -ud '2025-01-01 02:00' +%s)
every=${HOLDFAST_EVERY_DAY:+1}
for ((d = 0; d < 702; d += ${every:-13})); do times+=("$(date -ud "@$((start + d * 86400))" '+%F %T')"); done
for ((d = 702; d < 730; d++)); do times+=("$(date -ud "@$((start + d * 86400))" '+%F %T')"); done
for h in 04 09 14 22; do times+=("2026-12-31 $h:30:00"); done
n=0 failed=0
for time in "${times[@]}"; do
  head -c 3000 /dev/urandom >"$tree/small"
  echo "$n" >"$tree/number"
  # Old contents come back, when the packs that held them are long gone at some targets.
  cp "$work/large.$((n / 7 % 3))" "$tree/large"
  label=()
  [ $((n % 20)) -ne 7 ] || label=(--label "release-$n")
  hf_at "$time" backup "${label[@]}" || { failed=$((failed + 1)) && show_last; }
  (cd "$tree" && sha256sum -- *) >"$work/sum.$n"
  n=$((n + 1))
  [ $((n % 9)) -ne 0 ] || hf_at "$time" prune || { failed=$((failed + 1)) && show_last; }
done
is "$failed" 0 "$n backups at all four targets, with a prune now and then"
end='2026-12-31 23:00:00'
hf_at "$end" prune
exits 0 "and one at the end"
hf_at "$end" --json list --all
json '"%d %d %s" % (d["seq"], __import__("calendar").timegm(__import__("time").strptime(d["time"], "%Y-%m-%dT%H:%M:%SZ")), d["label"] or "-")' >"$work/history"
is "$(wc -l <"$work/history")" "$n" "all records are there"
mapfile -t seqs < <(cut -d ' ' -f 1 "$work/history")
# held TARGET: what list says that it holds.
held() {
  hf --json list --target "$1"
  json 'd["seq"]' | paste -sd ' '
}
for t in disk daily months within; do
  is "$(held "$t")" "$(python3 "$work/expect.py" "${policy[$t]}" "$work/history")" "$t keeps what ${policy[$t]:-no rule} says"
done
hf_at "$end" --json verify
exits 0 "verify finds nothing"
is "$(json '" ".join("%d" % (t["missing"] + t["damaged"] + t["extra"]) for t in d["targets"]) if d["type"] == "verify" else None')" '0 0 0 0' "nothing is missing, and nothing too many"
is "$(json '" ".join("%d" % (t["objects"] == t["needed"]) for t in d["targets"]) if d["type"] == "verify" else None')" '1 1 1 1' "each holds what it needs, and no more"
packs_of() { find "$R/$1/testhost/packs" -type f | wc -l; }
ok "what is pruned takes no room: daily $(packs_of daily), within $(packs_of within), all $(packs_of disk) packs" test $(($(packs_of daily) * 3)) -lt "$(packs_of disk)" -a $(($(packs_of within) * 2)) -lt "$(packs_of disk)"
hf_at "$end" prune --json
is "$(json 'd["removed"] + d["packs"] + d["indexes"] if d["type"] == "target" else None' | sort -u) $(json 'd["record"] if d["type"] == "prune" else None')" "0 " "again: nothing to do, no record"

# ---- ten policies, explained and not applied

cp "$M" "$work/m.ini"
while IFS= read -r p; do
  { sed '/^\[target disk\]/,$d' "$work/m.ini" && printf '[target disk]\nplugin = local\npath = %s\n' "$R/disk" && tr ' ' '\n' <<<"$p"; } >"$M"
  hf_at "$end" --json prune -n --target disk
  is "$(json 'd["seq"] if d["type"] == "snapshot" and d["keep"] else None' | paste -sd ' ')" "$(python3 "$work/expect.py" "$p" "$work/history")" "a dry run with $p"
done <<'END'
keep-last=1
keep-last=5 keep-labelled=no
keep-hourly=4
keep-daily=30
keep-weekly=10 keep-labelled=no
keep-monthly=12
keep-yearly=1 keep-labelled=no
keep-within=400d
keep-daily=7 keep-weekly=8 keep-monthly=12 keep-yearly=10
keep-last=3 keep-hourly=2 keep-within=2d keep-labelled=no
END
is "$(json '[r for r in d["reasons"] if r.startswith("within")] if d["type"] == "snapshot" and d["keep"] else None' | sort | uniq -c | sort -n | tail -n 1 | sed 's/^ *[0-9]* //')" "['within 2d']" "reasons are given"
ok "every snapshot has one" test "$(json 'len(d["reasons"]) > 0 if d["type"] == "snapshot" else None' | sort -u)" = True
cp "$work/m.ini" "$M"

# ---- all that is kept comes back, from each target

bad=0 done_=0
for t in disk daily months within; do
  k=0
  for s in $(held "$t"); do
    k=$((k + 1))
    [ "$t" != disk ] || [ $((k % ${every:-10})) -eq $((1 % ${every:-10})) ] || continue
    i=0
    while [ "${seqs[$i]}" != "$s" ]; do i=$((i + 1)); done
    rm -rf "$work/r"
    done_=$((done_ + 1))
    if ! hf restore "$s" --to "$work/r" --target "$t" || ! (cd "$(restored "$work/r" tree "$tree")" && sha256sum -c --quiet --strict "$work/sum.$i" >/dev/null); then
      bad=$((bad + 1))
      echo "# $t: snapshot $s" && show_last
    fi
  done
done
is "$bad" 0 "$done_ restores from four targets, each whole"
hf verify --decrypt
exits 0 "verify --decrypt"
first=${seqs[0]}
hf restore "$first" --to "$work/r1" --target daily
exits 1 "what was pruned there"
says "snapshot $first was pruned here .record [0-9]+ .*what holds it still: disk" "is refused, with the record that says so and who holds it"
want=$(awk -v held=" $(held daily) " -v t="$(date -ud '2026-12-25 00:00' +%s)" '$2 <= t && index(held, " " $1 " ") { s = NR - 1 } END { print s }' "$work/history")
hf restore @2026-12-25T00:00:00Z --to "$work/r2" --target daily
is "$(cat "$(restored "$work/r2" tree "$tree")/number")" "$want" "@TIME finds the newest before it that is there"
hf ls latest tree
exits 0 "ls of the newest"

# ---- the replicas without holdfast

T=$R/months/testhost
recover latest "$work/rec1"
exits 0 "recover.sh, latest, from a pruned replica"
for s in "${seqs[@]}"; do [[ " $(held months) " == *" $s "* ]] || break; done
recover "$s" "$work/rec2"
[ "$rc" -ne 0 ] && grep -q "snapshot $s was pruned from this replica or never taken by it" "$work/err"
result $? "one that was pruned there: says so" || show_last
host_key=$(basename "$T"/keys/*.asc .asc)
python3 "$SRCDIR/tests/reader/reader.py" "$T" "$host_key" latest tree tree >"$work/tree.tar" 2>"$work/err"
is "$(tar -xOf "$work/tree.tar" "${tree#/}/number")" "$(cat "$tree/number")" "the other reader, latest"
T=$R/disk/testhost

# ---- a target that is added later is not asked for what is gone everywhere

printf '[target late]\nplugin = local\npath = %s\nfsync = none\n' "$R/late" >>"$M"
sed -i 's|^\[target disk\]|&\nkeep-daily = 26|' "$M"
hf_at "$end" prune
exits 3 "a target that was not made yet is left out"
hf_at "$end" init
exits 3 "init"
had=$(for t in disk daily months within; do held "$t"; done | tr ' ' '\n' | sort -nu | paste -sd ' ')
sed -i 's|^keep-daily = 26|keep-daily = 3|' "$M"
hf_at "$end" --json prune
is "$(json '"has yet to get it" in d["reasons"][0] if d["type"] == "snapshot" and "target late" in d["reasons"][0] else None' | sort -u)" True "the last copy of what it has yet to get is not taken from it"
hf_at "$end" sync
exits 0 "sync gives it what is still there"
is "$(held late)" "$had" "which is what any of the others held"
hf_at "$end" prune
exits 0 "prune goes on"
ok "and the others let go of it" test "$(held disk | wc -w)" -lt "$(held late | wc -w)"
hf verify
exits 0 "and nothing is missing there"
hf restore 99999 --to "$work/r3"
exits 1 "a number that never was"
gone=$(hf --json list --all && json 'd["seq"] if not d["live"] else None' | sed -n 1p)
hf restore "$gone" --to "$work/r3"
exits 1 "one that is gone everywhere"
says "snapshot $gone was pruned: record [0-9]+ says that no target holds it any more" "says so in one line"
is "$(grep -c . "$work/err")" 1 "and nothing else"

# ---- clocks that are wrong

must_at '2025-01-02 00:00:00' backup
must_at '2038-01-01 00:00:00' backup
hf_at '2027-01-01 02:00:00' backup
exits 0 "with the clock right again"
hf_at '2027-01-01 03:00:00' prune --target daily
exits 0 "prune after a clock that was reset, and one that was ahead"
hf --json list --all
json '"%d %d %s" % (d["seq"], __import__("calendar").timegm(__import__("time").strptime(d["time"], "%Y-%m-%dT%H:%M:%SZ")), d["label"] or "-")' >"$work/history"
wrong=$(tail -n 3 "$work/history" | head -n 2 | cut -d ' ' -f 1 | paste -sd ' ')
grep -vE "^(${wrong/ /|}) " "$work/history" >"$work/history.right"
# shellcheck disable=SC2046,SC2086 # numbers
is "$(held daily)" "$(printf '%s\n' $wrong $(python3 "$work/expect.py" "${policy[daily]}" "$work/history.right") | sort -n | paste -sd ' ')" "both are kept, and the others as if they were not there"

# ---- killed

cp -a "$R" "$work/pristine"
sed -i 's/^keep-daily=7$/keep-daily=1/; s/^keep-weekly=4$/keep-weekly=1/; s/^keep-within=20d/keep-within=1d/; s/^keep-daily = 3$/keep-daily = 1/' "$work/pristine/m.ini"
again() {
  gpgconf --homedir "$R/state/gnupg" --kill all >/dev/null 2>&1
  rm -rf "$R"
  cp -a "$work/pristine" "$R"
}
again
hf_at '2027-01-01 04:00:00' prune
exits 0 "prune with stricter rules"
want=$(for t in disk daily months within late; do held "$t"; done)
kills=0 bad=0
for at in unlinkat:1 unlinkat:20 unlinkat:60 renameat2:1 renameat2:2 fdatasync:2 pwrite64:9 pwrite64:60 openat:150 openat:600; do
  again
  # shellcheck disable=SC2034 # show_last prints it
  last="killed at $at"
  { setsid -w timeout -s KILL 90 faketime '2027-01-01 04:00:00' strace -qq -f -b execve -o "$work/strace" -e trace="${at%:*}" -e inject="${at%:*}:signal=KILL:when=${at#*:}" \
    "$HOLDFAST" -c "$M" prune </dev/null >"$work/out" 2>"$work/err"; } 2>/dev/null
  ! grep -q 'killed by SIGKILL' "$work/strace" || kills=$((kills + 1))
  hf verify --read || { bad=$((bad + 1)) && echo "# $at: verify" && show_last; }
  hf_at '2027-01-01 05:00:00' prune || { bad=$((bad + 1)) && echo "# $at: prune" && show_last; }
  [ "$(for t in disk daily months within late; do held "$t"; done)" = "$want" ] || { bad=$((bad + 1)) && echo "# $at: another result"; }
  hf --json verify
  [ "$(json 'sum(t["extra"] for t in d["targets"]) if d["type"] == "verify" else None')" = 0 ] || { bad=$((bad + 1)) && echo "# $at: objects stay" && show_last; }
done
is "$bad" 0 "killed $kills times: valid, and the next prune finishes"
ok "often enough" test "$kills" -ge 6
echo more >"$tree/number"
hf_at '2027-01-02 02:00:00' backup
exits 0 "a backup after it"
hf verify --decrypt
exits 0 "and all is whole"

# ---- somebody takes away records: nothing is pruned

again
rm "$(find "$R/within/testhost/records" -type f | sort | tail -n 1)"
count=$(find "$R"/*/testhost -type f | wc -l)
hf_at '2027-01-01 04:00:00' prune
exits 1 "a record was taken away: prune refuses"
says 'nothing is pruned while the chain shows signs of tampering .target within: was rolled back' "and says why"
is "$(find "$R"/*/testhost -type f ! -path '*/locks/*' | wc -l)" "$count" "nothing is deleted"

# ---- packs that belong to nobody

again
stray=packs/00/$(printf '0%.0s' $(seq 64)).tar.zst.gpg
mkdir -p "$R/daily/testhost/packs/00"
echo stray >"$R/daily/testhost/$stray"
echo note >"$R/daily/testhost/note"
hf_at '2027-01-01 04:00:00' prune
ok "a pack in no index goes, other files stay" test ! -e "$R/daily/testhost/$stray" -a -e "$R/daily/testhost/note"

# ---- a pack that was lost: what was stored again in its place stays as long as the old snapshot, and so does a copy that was away

target_lines='fsync = none
keep-last = 1'
new_repo lost <<END
[source tree]
plugin = files
path = $tree
END
# shellcheck disable=SC2034 # of lib.sh
target_lines='fsync = none'
printf '[target second]\nplugin = local\npath = %s\nfsync = none\nkeep-last = 9\n' "$R/second" >>"$M"
must init
cp "$work/large.0" "$tree/large"
echo first | tee "$tree/number" >"$tree/small"
hf backup --label first
exits 0 "a snapshot with a label"
mv "$R/second" "$R/second.away"
pack=$(cd "$T" && find packs -type f -printf '%s %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2)
mv "$T/$pack" "$work/lost.pack"
echo again >"$tree/number"
hf backup
exits 1 "its large pack is lost at the only target"
hf backup
exits 3 "and stored again"
replaced=$(cd "$T" && find packs -type f -printf '%s %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2)
cp "$work/large.1" "$tree/large"
mv "$R/second.away" "$R/second"
hf backup
exits 0 "other data, and the other target is back"
hf prune
exits 0 "prune"
ok "the copy that was away is not taken for garbage" test -e "$R/second/testhost/$pack"
is "$(held disk | wc -w)" 2 "the first snapshot and the last are left"
ok "what replaced the lost pack stays" test -e "$T/$replaced"
hf restore "$(held disk | cut -d ' ' -f 1)" --to "$work/r7" --target disk --path "$tree/large"
exits 0 "what was stored again comes back with the first one"
ok "whole" cmp "$work/large.0" "$(restored "$work/r7" tree "$tree")/large"

# ---- nothing of a snapshot is left when it was replaced as a whole: not for the end of the archive either, which all have in common

rm -rf "$tree"
mkdir "$tree"
target_lines='fsync = none
keep-last = 1'
new_repo replaced <<END
[source tree]
plugin = files
path = $tree
END
target_lines='fsync = none'
must init
packs() { (cd "$T" && find packs -type f | sort); }
for i in 0 1 2; do
  rm -f "$tree/large" # so that the folder is another, too
  head -c 2000000 /dev/urandom >"$tree/large"
  must backup
  packs >"$work/packs.$i"
done
hf backup
exits 0 "nothing has changed"
is "$(packs)" "$(cat "$work/packs.2")" "and there is no further pack"
must prune
packs >"$work/packs.left"
is "$(comm -12 "$work/packs.left" "$work/packs.1" | wc -l)" 0 "packs of the snapshots before that are left"
hf restore latest --to "$work/r8"
exits 0 "the last one comes back"
ok "whole" cmp "$tree/large" "$(restored "$work/r8" tree "$tree")/large"

# ---- an account that may not delete

D=$work/rsyncd
mkdir "$D"
start_rsyncd "$D"
new_repo putonly <<END
[source tree]
plugin = files
path = $tree
END
cat >>"$M" <<END
keep-last = 1
[target far]
plugin = rsync
host = 127.0.0.1
port = $rsyncd_port
module = nodelete
path = far
username = bk
password = s3cr3t-word
fsync = none
keep-last = 1
END
chmod 600 "$M"
mkdir -p "$D/main/far"
hf init
for i in 1 2 3; do
  head -c 3000 /dev/urandom >"$tree/small"
  hf backup
done
exits 0 "a target that takes objects and deletes none"
far() { find "$D/main/far" -path '*/packs/*' -type f | wc -l; }
packs=$(far)
hf prune
exits 3 "prune there: done in part"
says 'far: [0-9]+ objects that it need not hold any more could not be deleted, and are tried again' "says what could not be deleted"
is "$(far)" "$packs" "the objects are still there"
ok "at the other target they are not" test "$(objects packs)" -lt "$packs"
hf prune
exits 3 "tried again, and refused again"
is "$(hf --json prune; json 'd["record"] if d["type"] == "prune" else None')" "" "without another record"
hf verify
exits 0 "they are not missed where they were deleted"
sed -i 's/^module = nodelete/module = main/' "$M"
hf prune
exits 0 "with an account that may"
is "$(far)" "$(objects packs)" "they go"

# ---- targets that take only some

new_repo takes 'time-zone = UTC' <<END
[source tree]
plugin = files
path = $tree
END
printf '[target off]\nplugin = local\npath = %s\nfsync = none\ntake = monthly\n' "$R/off" >>"$M"
must_at '2026-01-01 12:00:00' init
day() {
  head -c 3000 /dev/urandom >"$tree/small"
  echo "$1" >"$tree/number"
  [ -z "${2-}" ] || head -c 300000 /dev/urandom >"$tree/large"
  hf_at "$1 12:00:00" backup
}
day 2026-01-05 new
exits 0 "the first of a month"
says 'target off: committed' "is taken"
off() { find "$R/off/testhost/packs" -type f | wc -l; }
packs=$(off)
day 2026-01-20 new
exits 0 "the second"
says 'target off: passed over' "is passed over"
is "$(off) $(find "$R/off/testhost/records" -type f | wc -l)" "$packs 3" "its record is there, its packs are not"
mv "$R/off" "$R/off.away"
day 2026-02-02
exits 3 "away when one is due"
mv "$R/off.away" "$R/off"
day 2026-02-10
exits 0 "the next one"
says 'target off: committed; [0-9]+ objects copied there' "is taken, with what had been passed over"
day 2026-02-20
is "$(held off | wc -w) $(held disk | wc -w)" "2 5" "two of five are there"
hf verify --decrypt
exits 0 "verify misses nothing"
hf restore latest --to "$work/r5" --target off
exits 0 "latest, from there"
is "$(cat "$(restored "$work/r5" tree "$tree")/number")" 2026-02-10 "is the newest it took"
T=$R/off/testhost
recover latest "$work/r6"
exits 0 "recover.sh finds it, too"
is "$(cat "$(restored "$work/r6" tree "$tree")/number")" 2026-02-10 "the same"
hf list --target off
says_not '2026-02-20' "list does not show what it passed over"
rm -rf "$R/off"
mkdir "$R/off"
sed -i "s|^path = $R/off|path = $R/off2|; s/^\[target off\]/[target off2]/" "$M"
hf init
day 2026-02-25
exits 0 "a new one that takes the first of each month"
is "$(held off2 | wc -w)" 2 "catches up with those it would have taken"
hf verify
exits 0 "and misses no other"
done_testing
