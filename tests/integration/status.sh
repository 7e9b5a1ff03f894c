#!/bin/bash
# status.sh - how the backups stand: ages, targets that are behind or robbed, disks, keys, runs, for people, Nagios and Prometheus.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034,SC2016 # variables of lib.sh; eval
. "${SRCDIR:?}/tests/integration/lib.sh"
need_root "mounts, other accounts"
need python3 gpg faketime promtool sqlite3 setpriv mount

make_key key 'Recipient <recipient@example.com>'
make_key soon 'Soon <soon@example.com>' 40d
tree=$work/tree
mkdir -p "$tree"
for i in $(seq 20); do echo "number $i" >"$tree/$i"; done
head -c 3000000 /dev/urandom >"$tree/large"

# finding KEY: its status and message, of the last --json.
finding() { json "d['status'] + ' ' + d['message'] if d.get('key') == '$1' else None"; }
stands() { finding "$1" | cut -d ' ' -f 1; }
# of TYPE NAME MEMBER
of() { json "d['$3'] if d['type'] == '$1' and d['name'] == '$2' else None"; }

recipients="$key, $soon"
# However full the disk of this machine is, that is no alarm here.
small_disk "$work/main" 8g
small_disk "$work/room" 8g
mkdir "$work/room/second"
new_repo main "rpo = 24h" <<END
[source tree]
plugin = files
path = $tree
[source often]
plugin = files
path = $tree
exclude = large
rpo = 2h
[source whenever]
plugin = files
path = $tree/1
rpo = 0
[target two]
plugin = local
path = $work/room/second/disk
fsync = none
END

# ---- before there is anything

hf status
exits 2 "no repository yet: CRITICAL"
says '^HOLDFAST CRITICAL - state: there is no repository of this host yet \(nothing in .*\): run holdfast init' "and what would be right"
must init
hf status
exits 2 "no snapshot yet: CRITICAL"
says '^HOLDFAST CRITICAL - source tree: there is no good snapshot of it; rpo is 24h 00m \(and [0-9]+ more\)$' "says of which source first"
says '^WARNING source whenever: there is no good snapshot of it$' "a source without rpo has to have one, too"

# ---- ages

must backup --label first
hf status
exits 0 "a good snapshot: OK"
says '^HOLDFAST OK - 3 sources at 2 targets, no copy older than ' "says so"
says '^tree +2 +.* OK$' "a line for each source"
says '^two +2 .*100\.0% .* OK$' "and for each target"
says '^ +1  backup +20.* done$' "and for each run"
hf -q status
is "$(wc -l <"$work/out")" 1 "-q: the first line only"
hf_at +19h status --json
exits 2 "19 hours later"
is "$(stands source:tree) $(stands source:often) $(stands source:whenever) $(stands age-at-target:disk)" "OK CRITICAL OK OK" "each source has its rpo"
is "$(finding source:often | sed 's/19h 0[0-9]m/19h/')" "CRITICAL newest snapshot 2 is 19h old; rpo is 2h 00m" "and says it"
hf_at +21h status --json
is "$(stands source:tree) $(stands age-at-target:two)" "WARNING WARNING" "20/24 of the rpo: WARNING"
hf_at +25h status --json
is "$(stands source:tree) $(stands source:whenever) $(stands age-at-target:two)" "CRITICAL OK CRITICAL" "past the rpo: CRITICAL"
is "$(json 'd["exit"] if d["type"] == "summary" else None')" 2 "the summary says how it exits"
hf_at +100m status
exits 1 "100 minutes later: WARNING"
says '^HOLDFAST WARNING - source often: ' "the first line has the worst"
sed -i '/^\[target two\]/a rpo = 1h' "$M"
hf_at +90m status --json
is "$(stands age-at-target:two) $(stands age-at-target:disk)" "CRITICAL OK" "a target has an rpo of its own"
sed -i '/^rpo = 1h$/d' "$M"

# A source that fails has no new copy; one that is switched off is not watched.
mv "$tree/1" "$work/1"
hf backup
exits 3 "a source fails"
hf status --json
exits 1 "status after a run that was done in part"
is "$(of source whenever snapshot) $(of source tree snapshot)" "2 3" "its newest copy is the older one"
is "$(finding run:backup | sed 's/run [0-9]* of [^,]*,/RUN/')" "WARNING the last one, RUN was done in part" "the run is told of"
mv "$work/1" "$tree/1"
must backup
hf status
exits 0 "and is forgotten after a good one"

# ---- without keys and without targets

GNUPGHOME=$work/empty
mkdir -m 700 "$GNUPGHOME"
export GNUPGHOME
hf status
exits 0 "no private key is needed"
GNUPGHOME=$work/gnupg
mv "$work/room/second" "$work/away"
hf status --json
exits 1 "a target is down: a finding"
is "$(of target two reachable) $(of target disk reachable) $(of target two level)" "False True " "the other one is looked at all the same"
is "$(stands target:two) $(stands target:disk) $(stands age-at-target:two) $(stands source:tree)" "WARNING OK OK OK" "what the host remembers of it counts"
hf_at +25h status --json
is "$(stands age-at-target:two)" CRITICAL "and ages"
head -c 300000 /dev/urandom >"$tree/new"
hf backup
exits 3 "a backup meanwhile"
mv "$R/disk" "$R/away"
hf status --json
exits 1 "all targets are down"
is "$(stands repository:) $(stands source:tree) $(of source tree snapshot)" "UNKNOWN OK 5" "the chain is unknown, the ages are remembered"
mv "$R/away" "$R/disk"
mv "$work/away" "$work/room/second"
hf status --json
exits 1 "a target that is behind"
is "$(stands target:two) $(of target two missing_records) $(of target two snapshot) $(of target disk snapshot)" "WARNING 1 4 5" "lacks a record"
is "$(json 'd["level"] < 100 and d["missing_objects"] > 0 if d["type"] == "target" and d["name"] == "two" else None')" True "and objects: its level is below 100"
says 'holdfast sync brings it level' "and what helps is said"
hf status --quick --json
is "$(of target two objects) $(of target two missing_records)" " 1" "--quick counts no objects"
must sync
hf status --json
is "$(stands target:two) $(stands run:backup)" "OK WARNING" "after sync the target is well; the last backup was done in part all the same"
is "$(of target two level) $(of target two missing_objects)" "100.0 0" "the target is level"
must backup
hf status
exits 0 "after another backup all is well"
sed -i 's/^\[target two\]/&\nremovable = yes/' "$M"
mv "$work/room/second" "$work/away"
hf status --json
exits 0 "a removable target that is not there"
is "$(of target two away) $(stands target:two)" "True OK" "is away, and OK"
mv "$work/away" "$work/room/second"
sed -i '/^removable = yes$/d' "$M"

# ---- what was taken away

pack=$(find "$work/room/second/disk/testhost/packs" -type f -size +1000k | head -n 1)
mv "$pack" "$work/pack"
hf status --json
exits 2 "a pack is gone: CRITICAL"
is "$(finding target:two | sed 's/the [0-9]* objects/the N objects/; s/([0-9.]*%/(N%/')" \
  "CRITICAL has all records, and lacks 1 of the N objects that they need (N% level); holdfast verify names them, holdfast sync may bring them back" "is said"
hf status --quick
exits 0 "--quick does not see it"
cp "$work/pack" "$pack"
record=$(find "$work/room/second/disk/testhost/records" -name '0000000006-*')
mv "$record" "$work/record"
hf status --json
exits 2 "a record was rolled back: CRITICAL"
is "$(stands repository:)" CRITICAL "as tampering"
says 'target two: was rolled back, or records were taken away' "and where"
mv "$work/record" "$record"
cp "$record" "${record%/*}/0000000006-$(printf x | sha256sum | cut -d ' ' -f 1).json.gpg"
hf status --json
exits 2 "a record of somebody else: CRITICAL"
says 'holds a record 6 that is not the one of this repository.s chain' "is said"
rm "${record%/*}/0000000006-$(printf x | sha256sum | cut -d ' ' -f 1).json.gpg"

# ---- keys

hf_at +20d status --json
is "$(stands "recipient:$soon") $(stands "recipient:$key")" "WARNING OK" "a key expires within 30 days"
says 'the key expires at 20.*: after that there is no backup' "and what that means"
hf_at +50d status --json
is "$(stands "recipient:$soon")" CRITICAL "a key has expired"
says 'cannot be encrypted to, so there is no backup: .*expired' "is said"

# ---- a snapshot of tomorrow

small_disk "$work/ahead" 8g
new_repo ahead "rpo = 24h" <<END
[source tree]
plugin = files
path = $tree/2
END
must init
hf_at +10d backup
exits 0 "a backup while the clock is ten days fast"
hf status --json
exits 1 "when it is right again: WARNING"
is "$(stands source:tree) $(stands age-at-target:disk)" "WARNING WARNING" "a copy that does not get old for ten days is not well"
says 'newest snapshot 2 is (9d 23h|10d 00h) ahead of the clock, so its age is not known' "is said"
must backup
hf status
exits 0 "one of today, and all is well"

# ---- a source that is never whole

small_disk "$work/parts" 8g
new_repo parts "rpo = 24h" <<END
[source tree]
plugin = files
path = $tree/2
[source other]
plugin = files
path = $tree/3
END
must init
must backup
sed -i "s|^path = $tree/2$|&\nafter = false|" "$M"
hf backup
exits 3 "a source has a problem"
hf status --json
is "$(finding source:tree | sed 's/is .* old/is N old/')" "OK newest snapshot 3 is N old; rpo is 24h 00m; it is there in part" "its newest copy is one in part, and a complete one is near"
hf_at +23h backup
hf_at +25h backup other
exits 0 "the last run was a good one, of another source"
hf_at +26h status --json
exits 1 "for longer than its rpo there was no complete copy: WARNING"
is "$(finding source:tree)" "WARNING newest snapshot 4 is 3h 00m old; rpo is 24h 00m; it is there in part, and no complete one is within the rpo" "says so"
is "$(stands source:other)" OK "the other one is well"

# ---- disks

small_disk "$work/small" 40m
new_repo disks <<END
[source tree]
plugin = files
path = $tree/2
[target small]
plugin = local
path = $work/small/disk
fsync = none
END
small_disk "$R/state" 40m
must init
must backup
hf status --json
is "$(stands disk-of-target:small) $(stands disk-of-state:)" "OK OK" "disks with room"
fallocate -l 33M "$work/small/filler"
fallocate -l 37M "$R/state/filler"
hf status --json
exits 2 "disks without"
is "$(stands disk-of-target:small) $(stands disk-of-state:)" "WARNING CRITICAL" "80 per cent: WARNING, 90: CRITICAL"
is "$(json 'd["total"] if d["type"] == "target" and d["name"] == "small" else None')" 41943040 "the target tells its size"
rm "$R/state/filler" "$work/small/filler"

# ---- runs: that failed, were killed, are running; their logs

M=$work/main/m.ini
R=$work/main
cp "$M" "$R/base.ini"
cat >>"$M" <<END
[source slow]
plugin = exec
command = sh -c 'touch $work/started; exec sleep 600'
END
"$HOLDFAST" -c "$M" backup >"$work/slow.log" 2>&1 </dev/null &
slow=$!
jobs_started+=("$slow")
for _ in $(seq 500); do [ ! -e "$work/started" ] || break; sleep 0.02; done
cp "$M" "$R/slow.ini"
cp "$R/base.ini" "$M"
hf status --json
is "$(json 'd["result"] if d["type"] == "run" else None' | head -n 1)" running "a run that goes on"
is "$(stands run:backup)" OK "is nothing to worry about"
kill -9 "$slow"
wait "$slow" 2>/dev/null
hf status --json
exits 1 "a run that was killed"
is "$(json 'd["result"] if d["type"] == "run" else None' | head -n 1) $(finding run:backup | sed 's/run [0-9]* of [^,]*,/RUN/')" "did not finish WARNING the last one, RUN did not finish" "is said"
for _ in $(seq 500); do hf backup --label after && break; sleep 0.02; done
exits 0 "the next one"
hf status
exits 0 "and all is well"
says '^ +[0-9]+  backup +.* did not finish$' "the killed one stays in the list"
newest=$(sqlite3 "$R/state/runs.sqlite" 'select max(id) from runs')
log=$R/state/runs/$newest.log
is "$(stat -c %a "$log" "$R/state/runs" | tr '\n' ' ')" "600 700 " "the log is closed to others"
grep -q "backup of testhost begins: run $newest" "$log" && grep -q 'tree         complete; files 22' "$log" && grep -q 'disk         committed' "$log"
result $? "and says what came of the run" || diag "$log"
hf -q backup no-such-source
exits 2 "a mistake on the command line"
hf -q restore 99999 --to "$work/r"
exits 1 "a restore of what is not there"
newest=$(sqlite3 "$R/state/runs.sqlite" 'select max(id) from runs')
grep -q '^20.*Z error: there is no snapshot 99999$' "$R/state/runs/$newest.log"
result $? "its log has the error" || diag "$R/state/runs/$newest.log"
hf status
exits 0 "a restore that failed is listed, and no alarm"
says 'restore +20.* failed: there is no snapshot 99999' "with its reason"
must verify
must restore latest tree --to "$work/r"
is "$(sqlite3 "$R/state/runs.sqlite" "select group_concat(verb || exit, ' ') from (select verb, exit from runs order by id desc limit 2)")" "restore0 verify0" "verify and restore are noted"
before=$(find "$R/state/runs" -type f | wc -l)
sqlite3 "$R/state/runs.sqlite" "update runs set started = started - 40 * 86400"
must backup
after=$(find "$R/state/runs" -type f | wc -l)
[ "$before" -gt 6 ] && [ "$after" -le 6 ]
result $? "logs older than run-log-keep are swept" || echo "# $before before, $after after"
is "$(sqlite3 "$R/state/runs.sqlite" 'select count(*) from runs')" "$after" "and so are the rows"

cp "$R/state/runs.sqlite" "$work/runs.sqlite"
rm -f "$R/state/runs.sqlite"-*
echo 'no database at all, only a text of some length that is none' >"$R/state/runs.sqlite"
hf status --json
exits 1 "what was noted of runs is damaged"
is "$(stands runs:)" WARNING "is a finding"
hf backup
exits 0 "and fails no backup"
cp "$work/runs.sqlite" "$R/state/runs.sqlite"

# ---- for machines

hf status --nagios
exits 0 "--nagios"
is "$(wc -l <"$work/out")" 1 "one line when all is well"
number='[0-9.]+'
grep -Eqx "HOLDFAST OK - [^|]+ \| age_source_tree=${number}s;72000;86400;0 age_source_often=${number}s;6000;7200;0 age_source_whenever=${number}s age_target_two=${number}s;72000;86400;0 level_two=100.0%;100:;;0;100 used_two=$number%;80;90;0;100 .* used_state=$number%;80;90;0;100" "$work/out"
result $? "with perfdata" || show_last
hf_at +25h status --nagios
exits 2 "--nagios, later"
is "$(grep -c '|' "$work/out")" 1 "perfdata in the first line only"
says '^CRITICAL source tree: newest snapshot' "and a line for each thing"
hf status --prometheus -
exits 0 "--prometheus -"
cp "$work/out" "$work/metrics"
ok "promtool takes it" sh -c "promtool check metrics <'$work/metrics'"
promtool check metrics <"$work/metrics" >"$work/promtool" 2>&1
is "$(cat "$work/promtool")" "" "and has nothing to say"
for metric in 'holdfast_status{host="testhost"} 0' 'holdfast_target_reachable{host="testhost",target="two"} 1' 'holdfast_target_level_ratio{host="testhost",target="two"} 1' \
  'holdfast_run_last_result{host="testhost",verb="backup"} 0' 'holdfast_source_files{host="testhost",source="tree"} 22' 'holdfast_source_rpo_seconds{host="testhost",source="often"} 7200'; do
  grep -Fxq "$metric" "$work/metrics"
  result $? "$metric" || diag "$work/metrics"
done
mkdir "$work/textfile"
echo old >"$work/textfile/holdfast.prom"
hf status --prometheus "$work/textfile/holdfast.prom"
exits 0 "--prometheus FILE"
ok "promtool takes the file" sh -c "promtool check metrics <'$work/textfile/holdfast.prom'"
is "$(stat -c %a "$work/textfile/holdfast.prom") $(ls "$work/textfile")" "644 holdfast.prom" "everybody may read it, and nothing is left beside it"
hf status --prometheus "$work/no-such-folder/x.prom"
exits 3 "a file that cannot be written"
says 'the metrics: .*no-such-folder' "is said"
hf_at +25h status --prometheus "$work/no-such-folder/x.prom"
exits 2 "and what is worse stands before it"
sed -i "s|^host = .*|&\nmetrics-file = $work/textfile/second.prom|" "$M"
mv "$work/room/second" "$work/away"
hf status
exits 1 "metrics-file, with a target down"
grep -q '^holdfast_target_reachable{host="testhost",target="two"} 0$' "$work/textfile/second.prom" && promtool check metrics <"$work/textfile/second.prom"
result $? "is written by every status"
mv "$work/away" "$work/room/second"

# ---- rehearsals: records of drills, as the host has read them

# drilled VERDICT SECONDS RESTORE-SECONDS: one more record in the host's memory.
drilled() {
  python3 - "$R/state/state.sqlite" "$@" <<'PY'
import json, os, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
seq, text = db.execute("select seq, json from records order by seq desc limit 1").fetchone()
old = json.loads(text)
new = {k: old[k] for k in ("format", "prev", "repository", "id", "host", "tool", "time") if k in old}
sources = [{"name": "tree", "verdict": "passed", "restore_seconds": float(sys.argv[4]), "verify_seconds": 1.0}, {"name": "gone", "verdict": "passed"}]
new |= {"type": "drill", "seq": seq + 1, "extra": {"verdict": sys.argv[2], "seconds": float(sys.argv[3]), "snapshot": 6, "sources": sources}}
db.execute("insert into records values(?, ?, ?)", (seq + 1, os.urandom(32), json.dumps(new).encode()))
db.commit()
PY
}
hf status --json
is "$(finding drill:)" "OK no restore was ever rehearsed" "no drill, and no rto"
sed -i 's/^host = .*/&\nrto = 1h/' "$M"
hf status --json
is "$(finding drill:)" "WARNING there is an rto, and no restore was ever rehearsed; holdfast drill does it" "an rto that was never measured"
drilled passed 3000 60
hf status --json
is "$(finding drill: | sed 's/of 20[^ ]*/of T/')" "OK the newest, of T with snapshot 6, passed in 50m 00s" "a drill within the rto"
is "$(json 'd["verdict"] + str(d["seconds"]) if d["type"] == "drill" else None')" passed3000.0 "as JSON"
hf status
says '^drill: the newest, of 20' "for people"
hf status --prometheus -
grep -q '^holdfast_drill_last_passed{host="testhost"} 1$' "$work/out" && grep -q '^holdfast_drill_last_duration_seconds{host="testhost"} 3000$' "$work/out" && promtool check metrics <"$work/out"
result $? "as metrics"
drilled passed 4000 60
hf status --json
is "$(finding drill: | sed 's/of 20[^ ]*/of T/')" "WARNING the newest, of T with snapshot 6, passed in 1h 06m; the rto is 1h 00m" "one that took longer"
sed -i 's/^\[source tree\]/&\nrto = 30s/; s/^rto = 1h/rto = 2h/' "$M"
hf status --json
is "$(finding drill: | sed 's/.*1h 06m//')" "; source tree took 1m 01s, its rto is 30.0 s" "a source that took longer than its own"
drilled failed 5 1
hf status --json
exits 2 "a drill that failed: CRITICAL"
is "$(stands drill:)" CRITICAL "is told of"

# ---- mistakes

hf status --nonsense
exits 3 "a wrong option: UNKNOWN"
echo nonsense >"$work/wrong.ini"
"$HOLDFAST" -c "$work/wrong.ini" status --nagios >"$work/out" 2>"$work/err"
rc=$?
exits 3 "a wrong manifest: UNKNOWN"
says '^HOLDFAST UNKNOWN - .*wrong.ini:1' "with a plugin's line"
stranger
hf status
says '^WARNING state: .*/no-such-state is not there: .* run holdfast init --adopt$' "the state folder is lost, and the repository is there: WARNING, and what would be right"
M=$R/m.ini
chmod 711 "$work" "$work/main"
chmod 644 "$M"
mkdir -m 700 "$work/nobody"
chown 65534 "$work/nobody"
HOME=$work/nobody GNUPGHOME=$work/nobody TMPDIR=$work/nobody setpriv --reuid 65534 --clear-groups "$HOLDFAST" -c "$M" status >"$work/out" 2>"$work/err"
rc=$?
exits 3 "another account, which may read nothing: UNKNOWN"
says 'UNKNOWN state: .* is not yours: run holdfast status as the account that backs up' "and what would be right"
says_not 'no good snapshot' "and does not say that there is none"
done_testing
