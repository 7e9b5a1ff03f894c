#!/bin/bash
# scenario_app.sh - etc/examples/app-host.ini over eight years: its retention at a disk, a bucket and another machine, a snapshot before a deployment that is kept,
# who can read the secrets, and a rehearsal with its report. That the whole host comes back from each of them is app_host.sh's.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034 # variables of lib.sh and of what is sourced
. "${SRCDIR:?}/tests/integration/lib.sh"
# shellcheck source=clock.sh
. "$here/clock.sh"
# shellcheck source=sample.sh
. "$here/sample.sh"
# shellcheck source=server_s3.sh
. "$here/server_s3.sh"
# shellcheck source=server_rsync.sh
. "$here/server_rsync.sh"
need python3 curl radosgw ceph-mon ceph-osd rsync ssh-keygen sqlite3

for name in $(compgen -e AWS_); do unset "$name"; done
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
export HOME=$work AWS_EC2_METADATA_DISABLED=true no_proxy='*'

sample_keys
clock_start
trap 's3_stop "$work/ceph"; cleanup' EXIT
s3_gateway=("${clock_env[@]}")
S3_COLD=1 s3_start "$work/ceph" || { echo "Bail out! no S3 service" && exit 1; }
start_sshd "$work/ssh" || { echo "Bail out! no sshd" && exit 1; }
mkdir -p "$work/ssh/vault/repository"

sample_settle "$SRCDIR/etc/examples/app-host.ini"
sample_set 'target bucket' access-key "$s3_access"
sample_add 'target bucket' "endpoint = $s3_url"
sample_set 'target vault' host 127.0.0.1
sample_set 'target vault' username "$(id -un)"
sample_add 'target vault' "port = $ssh_port"
echo "$s3_secret" >"$root/etc/holdfast/s3.secret"
cp "$work/ssh/id_rr" "$root/etc/holdfast/id_ed25519"
cp "$work/ssh/known_hosts" "$root/etc/holdfast/known_hosts"
chmod 600 "$root/etc/holdfast/id_ed25519"
mkdir -p "$root"/srv/shop/{config/secrets,data/export,.pm2} "$root/etc/ssl/private" "$root/usr/local/bin" "$root/mnt/backup" "$root/var/lib/holdfast"
echo 'port = 80' >"$root/srv/shop/config/shop.conf"
echo token >"$root/srv/shop/config/secrets/token"
echo 'module.exports = {apps: [{name: "shop"}]}' >"$root/srv/shop/ecosystem.config.js"
echo '[{"name": "shop"}]' >"$root/srv/shop/.pm2/dump.pm2"
echo report >"$root/srv/shop/data/export/report.csv"
sqlite3 "$root/srv/shop/data/jobs.db" "PRAGMA journal_mode = wal; CREATE TABLE schedule (what); INSERT INTO schedule VALUES ('report')" >/dev/null
# It is written to while it is read.
(while :; do sqlite3 -cmd '.timeout 5000' "$root/srv/shop/data/jobs.db" "INSERT INTO schedule VALUES ('more')" || sleep 0.1; done) 2>/dev/null &
writer=$!
jobs_started+=("$writer")
disown
# What needs no server of its own; app_host.sh has the others.
sources=(config secrets data processes jobs)

hf init
exits 0 "three repositories"
hf check
says 'bucket' "all targets are asked"
clock_set 0 02:00
hf backup "${sources[@]}"
exits 0 "files, a live SQLite file, secrets, and what the processes are run by"
hf ls latest data
says_not 'jobs\.db' "the database is not read as a file"
hf ls latest processes
is "$(grep -Ec 'ecosystem.config.js|dump.pm2' "$work/out")" 2 "the process manager's files are there"
kill "$writer"

# ---- eight years: a snapshot a year, then each month, week and day

read -r -a dates < <(python3 - "$clock_base" <<'PY'
import datetime, sys
first = datetime.datetime.fromtimestamp(int(sys.argv[1]), datetime.timezone.utc).date()
last = datetime.date(first.year + 8, 12, 20)
days = {datetime.date(first.year + i, 3, 1) for i in range(8)}
days |= {datetime.date(last.year - (last.month - 1 - i < 0), (last.month - 1 - i) % 12 + 1, 4) for i in range(14)}
days |= {last - datetime.timedelta(weeks=i) for i in range(16)}
days |= {last - datetime.timedelta(days=i) for i in range(33)}
print(*[(d - first).days for d in sorted(days)])
PY
)
# At the disk alone; the other two come to it later.
cp "$M" "$work/all.ini"
sample_add 'target bucket' 'enabled = no'
sample_add 'target vault' 'enabled = no'
labelled=${dates[9]}
for day in "${dates[@]}"; do
  clock_set "$day" 02:00
  echo "day $day" >"$root/srv/shop/config/release"
  must backup config || break
  [ "$day" -ne "$labelled" ] && continue
  clock_set "$day" 15:00
  must backup --label 'before 4.2' config
done
hf backup "${sources[@]}"
exits 0 "eight years, ${#dates[@]} days with a snapshot"
cp "$work/all.ini" "$M"
hf sync
exits 0 "the bucket and the vault get what they have missed"
hf prune
exits 0 "retention"
# Of each of the newest so many days, weeks, months and years that have one, the first.
python3 - "$clock_base" 0 "${dates[@]}" >"$work/want" <<'PY'
import datetime, sys
first = datetime.datetime.fromtimestamp(int(sys.argv[1]), datetime.timezone.utc).date()
days = [first + datetime.timedelta(days=int(d)) for d in sys.argv[2:]]
keep = set()
for count, period in ((30, lambda d: d), (13, lambda d: d.isocalendar()[:2]), (12, lambda d: (d.year, d.month)), (7, lambda d: d.year)):
    firsts = {}
    for d in days:
        firsts.setdefault(period(d), d)
    keep |= {firsts[p] for p in sorted(firsts)[-count:]}
print(*sorted(keep), sep="\n")
PY
for target in disk bucket vault; do
  hf --json list --target "$target"
  json '(None if d.get("label") or len(d["sources"]) > 1 and d["seq"] > 2 else d["time"][:10])' | sort -u >"$work/got"
  ok "$target: thirty days, thirteen weeks, twelve months, seven years" diff "$work/want" "$work/got"
  is "$(json 'd["label"] or None')" 'before 4.2' "$target: and what was taken before the deployment"
done
hf verify
exits 0 "what is left is whole everywhere"
hf verify --read --target bucket
exits 0 "down to its bytes"

# ---- what was kept comes back; the secrets only for who may have them

for target in disk bucket vault; do
  hf restore "@$(date -u -d "@$((clock_base + labelled * 86400 + 16 * 3600))" '+%Y-%m-%dT%H:%M:%SZ')" config --to "$work/before-$target" --target "$target"
  exits 0 "$target: the snapshot with the label can be had"
  ok "$target: as it was" grep -qx "day $labelled" "$(restored "$work/before-$target" config "$root/srv/shop/config/release")"
done
only=$work/only
mkdir -m 700 "$only"
mygpg --armor --export-secret-keys "$key" | mygpg --homedir "$only" --import
GNUPGHOME=$only hf restore latest config --to "$work/only-config"
exits 0 "the key of the backups opens the configuration"
GNUPGHOME=$only hf restore latest secrets --to "$work/only-secrets"
[ "$rc" -ne 0 ]
result $? "and not the secrets" || show_last
is "$(find "$work/only-secrets" -type f 2>/dev/null | wc -l)" 0 "nothing of them"
gpgconf --homedir "$only" --kill all >/dev/null 2>&1
hf restore latest secrets --to "$work/secrets"
exits 0 "security's does"
ok "the token" grep -qx token "$(restored "$work/secrets" secrets "$root/srv/shop/config/secrets/token")"

# ---- the rehearsal of the quarter

unit_run holdfast-drill.service drill-report.conf
exits 0 "everything that the newest snapshot has comes back"
says '^jobs +passed ' "SQLite answers its question"
ok "the report names it" grep -q 'jobs' "$root/var/lib/holdfast/drill.html"
hf drill --history
says ' passed ' "and it is on record"
done_testing
