#!/bin/bash
# scenario_service.sh - etc/examples/service.ini over fourteen months, with what systemd would run at its hours: databases in between, alarms at 20 and 24 hours and at
# 80 and 90 per cent by e-mail and syslog, three tiers, rehearsals, clean-up, and one component restored in an emergency and put back again.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034 # variables of lib.sh and of what is sourced
. "${SRCDIR:?}/tests/integration/lib.sh"
need_root "a disk that fills up, a server of another account"
# shellcheck source=clock.sh
. "$here/clock.sh"
# shellcheck source=sample.sh
. "$here/sample.sh"
# shellcheck source=server_s3.sh
. "$here/server_s3.sh"
# shellcheck source=server_listeners.sh
. "$here/server_listeners.sh"
# shellcheck source=server_postgres.sh
. "$here/server_postgres.sh"
# shellcheck source=server_redis.sh
. "$here/server_redis.sh"
need python3 curl openssl radosgw ceph-mon ceph-osd redis-server logrotate

for name in $(compgen -e AWS_); do unset "$name"; done
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
export HOME=$work AWS_EC2_METADATA_DISABLED=true no_proxy='*'

# ---- the service

sample_keys
clock_start
trap 's3_stop "$work/ceph"; redis_stop_all; pg_cleanup' EXIT
s3_gateway=("${clock_env[@]}")
S3_COLD=1 s3_start "$work/ceph" || { echo "Bail out! no S3 service" && exit 1; }
pg_start pg
REDIS_ACL='user holdfast on >hush resetchannels -@all +psync +sync +replconf +info +config|get +acl|list' redis_start "$work/redis" || exit 1
chmod 711 "$work"
start_listeners || { echo "Bail out! nobody listens" && exit 1; }

sample_settle "$SRCDIR/etc/examples/service.ini"
sample_add 'source db' "host = $pg_dir" "port = $pg_port"
sample_set 'source cache' socket "$work/redis/s"
# Redis and the clock's library wait for each other.
sample_add 'source cache' 'redis-server = env -u LD_PRELOAD redis-server'
for tier in cloud cold; do
  sample_add "target $tier" "endpoint = $s3_url"
  sample_set "target $tier" access-key "$s3_access"
done
echo "$s3_secret" >"$root/etc/holdfast/s3.secret"
# What this service has of the kind.
sample_set 'target cold' storage-class STANDARD_IA
sample_set 'notify ops' server "127.0.0.1:$starttls_port"
sample_set 'notify ops' user bk
sample_add 'notify ops' "ca-file = $ends/ca.crt"
sample_add 'notify log' "socket = $ends/syslog.sock"
echo geheim-und-lang >"$root/etc/holdfast/mail.pw"
# A disk that can fill up, and a state folder on one that does not.
mkdir -p "$root/mnt/backup" "$R/state"
mount -t tmpfs -o size=64m,mode=755 none "$root/mnt/backup" && mounts+=("$root/mnt/backup")
mount -t tmpfs -o size=256m,mode=700 none "$R/state" && mounts+=("$R/state")

pg_psql postgres 'CREATE ROLE postgres SUPERUSER LOGIN'
pg_psql postgres "CREATE ROLE clerk LOGIN PASSWORD 'word'"
pg_psql postgres 'CREATE DATABASE service OWNER clerk'
pg_psql service 'CREATE TABLE account AS SELECT i AS id, md5(i::text) AS name FROM generate_series(1, 500) AS i'
redis_at "$work/redis" rpush queue:jobs a b c >/dev/null
mkdir -p "$root"/etc/service/tls/private "$root/etc/systemd/system" "$root/etc/letsencrypt" "$root/srv/service/uploads/tmp" "$root/var/log/service" "$root/var/lib/holdfast"
echo 'workers = 4' >"$root/etc/service/service.conf"
echo '[Service]' >"$root/etc/systemd/system/service.service"
openssl genpkey -algorithm ed25519 -out "$root/etc/service/tls/private/service.key" 2>/dev/null
head -c 1000000 /dev/urandom >"$root/srv/service/uploads/picture"
# Forty days of logs, of which logrotate keeps thirty.
sed "s#/var/log#$root/var/log#" "$SRCDIR/etc/examples/service-logrotate.conf" >"$work/logrotate.conf"
chmod 644 "$work/logrotate.conf"
for day in {40..1}; do
  clock_set "-$day" 00:00
  echo "day $day" >"$root/var/log/service/service.log"
  clocked logrotate -f -s "$work/logrotate.state" "$work/logrotate.conf" || break
done
clock_set 0 00:00
echo today >"$root/var/log/service/service.log"

# told EXPRESSION REGEX NAME: of the newest message, as mail of server_listeners.sh.
told() {
  mail "$1" >"$work/mail" 2>&1
  grep -Eqe "$2" "$work/mail"
  result $? "$3" || { echo "# wanted: $2" && diag "$work/mail"; }
}

# ---- the first day

hf init
exits 0 "init makes the repositories"
clock_set 0 02:00
hf check
exits 0 "check finds everything in order, the mail server too"
unit_run holdfast-backup.service
exits 0 "everything is backed up to three tiers"
is "$(mails)" 0 "nobody is told by mail that all went well"
ok "the log is" grep -q ' success ' "$ends/syslog"
hf ls latest logs
is "$(grep -c 'service\.log-20' "$work/out")" 30 "with thirty days of logs"
unit_run holdfast-drill.service drill-report.conf
exits 0 "the first rehearsal, within four hours"
for i in db cache; do says "^$i +passed " "$i was started and asked"; done
ok "leaves its page, with whom to call" grep -q 'who is on call' "$root/var/lib/holdfast/drill.html"
unit_run holdfast-status.service
exits 0 "all is well"

# ---- 20 hours, 24 hours

clock_set 0 21:30
unit_run holdfast-backup@.service service-databases.conf
exits 0 "the databases in between"
hf --json list
is "$(json '",".join(s["name"] for s in d["sources"])' | tail -n 1)" db,cache "both in one snapshot, and nothing else"
clock_set 0 21:59
unit_run holdfast-status.service
exits 0 "less than 20 hours after everything was backed up"
mailed=$(mails)
clock_set 0 22:01
unit_run holdfast-status.service
exits 1 "after 20 hours: a warning"
is "$(mails)" $((mailed + 1)) "by one mail"
told '" ".join(map(str, (*e["to"], e["tls"], e["user"])))' '^ops@example.com True bk$' "encrypted, to who should have it"
told 'm["subject"] + text' 'rpo-warning|config.*(old|ago)' "about what"
ok "and in the log" grep -Eq 'rpo-warning.*config' "$ends/syslog"
clock_set 0 23:00
unit_run holdfast-status.service
exits 1 "an hour later it is still one"
is "$(mails)" $((mailed + 1)) "that nobody is told again"
clock_set 1 01:30
unit_run holdfast-backup@.service service-databases.conf
clock_set 1 02:01
unit_run holdfast-status.service
exits 2 "after 24 hours: critical"
is "$(mails)" $((mailed + 2)) "by mail"
told 'm["subject"] + text' 'CRITICAL|critical' "that says so"
ok "and in the log" grep -Eq 'rpo-critical.*config' "$ends/syslog"
unit_run holdfast-backup.service
unit_run holdfast-status.service
exits 0 "when everything is backed up all is well again"
is "$(mails)" $((mailed + 3)) "and that is told, too"

# ---- a disk fills up; a run is done in part

used() { df --output=pcent "$root/mnt/backup" | tail -n 1 | tr -dc 0-9; }
fill() {
  rm -f "$root/mnt/backup/ballast"
  fallocate -l $(($1 * 64 * 1024 * 1024 / 100 - $(df --output=used -B 1 "$root/mnt/backup" | tail -n 1))) "$root/mnt/backup/ballast"
}
fill 79
unit_run holdfast-status.service
exits 0 "a disk that is full by 79 per cent"
fill 82
unit_run holdfast-status.service
exits 1 "by 82: a warning" || echo "# $(used)"
told 'm["subject"] + text' 'disk' "by mail"
fill 92
unit_run holdfast-status.service
exits 2 "by 92: critical" || echo "# $(used)"
ok "in the log" grep -Eq 'disk.*critical' "$ends/syslog"
rm "$root/mnt/backup/ballast"
redis_stop "$work/redis"
unit_run holdfast-backup@.service service-databases.conf
exits 3 "Redis is away: done in part"
told 'm["subject"] + text' 'cache' "which is told by mail"
redis_start "$work/redis" || exit 1
redis_at "$work/redis" rpush queue:jobs a b c >/dev/null
unit_run holdfast-backup@.service service-databases.conf
exits 0 "and is back"
unit_run holdfast-status.service
exits 0 "all is well"

# ---- an emergency: one component, in place, and put back

# by_page BLOCK: the command that the page shows, without being asked.
by_page() {
  local words
  read -r -a words < <(page_block "$1")
  hf "${words[@]:1}" --yes
}

pg_psql service 'DROP TABLE account'
pg_psql service 'CREATE TABLE mistake (id int)'
by_page service-emergency
exits 0 "the database is restored in its place"
says 'who is on call' "with whom to call"
says 'in time: it took .* rto is 2h' "and how long it took, beside how long it may"
is "$(pg_psql service 'SELECT count(*) FROM account')" 500 "its accounts are back"
is "$(pg_psql service "SELECT count(*) FROM pg_class WHERE relname = 'mistake'")" 0 "and what was there instead is away"
hf restore --list-undo
says ' db$' "it can be undone"
by_page service-undo
exits 0 "it is undone"
is "$(pg_psql service "SELECT count(*) FROM pg_class WHERE relname IN ('mistake', 'account')")" 1 "what was there before the restore is there again"
by_page service-undo
exits 0 "and the undoing as well"
is "$(pg_psql service 'SELECT count(*) FROM account')" 500 "the accounts are back for good"
rm "$root/etc/service/service.conf"
hf restore @"$(date -u -d "@$clock_base" +%Y-%m-%d) 03:00" config --path "$root/etc/service/service.conf" --in-place --yes
exits 0 "one file of the first day"
ok "is where it was" grep -qx 'workers = 4' "$root/etc/service/service.conf"

# ---- fourteen months. What takes time to read stays as it is: the configuration is enough to tell snapshots apart

day=$clock_base
for month in {1..13}; do
  for d in 1 15; do
    day=$((($(date -d "$(date -d "@$clock_base" +%Y)-01-$d + $month months" +%s) - clock_base) / 86400))
    clock_set "$day" 00:30
    echo "workers = $day" >"$root/etc/service/service.conf"
    must backup db || break 2
    clock_set "$day" 02:00
    must backup config || break 2
  done
done
# Each a minute earlier than the one before, so that a week ends between two of them, however long a run takes.
for d in {1..10}; do
  clock_set $((day + d)) "01:$((59 - d))"
  echo "workers = $((day + d))" >"$root/etc/service/service.conf"
  must backup config || break
done
# Of the cloud's ninety days fewer have a snapshot here: the same rule, scaled.
sample_set 'target cloud' keep-daily 20
sample_set 'target cloud' keep-hourly 2
unit_run holdfast-prune.service service-cleanup.conf
exits 0 "the clean-up: what no rule keeps is removed, and the rest looked at"
# days TARGET SOURCE: the days from which it has the source.
days() {
  hf --json list --target "$1"
  json "d['time'][:10] if '$2' in [s['name'] for s in d['sources']] else None" | sort -u
}
days_from() { for ((i = day + $1; i <= day + 10; i++)); do date -u -d "@$((clock_base + i * 86400))" +%F; done; }
# What was backed up last on the second day, uploads and all, stays: it is the newest of that.
second=$(date -u -d "@$((clock_base + 86400))" +%F)
days disk config >"$work/got"
{
  echo "$second"
  days_from 3
} >"$work/want"
ok "the disk has a week, and the newest of each source" diff "$work/want" "$work/got"
days cold config >"$work/got"
{
  date -u -d "@$clock_base" +%F
  for month in {1..13}; do date -u -d "$(date -d "@$clock_base" +%Y)-01-01 + $month months" +%F; done
} >"$work/want"
ok "cold storage the first of each month" diff "$work/want" "$work/got"
days cold db >"$work/got"
ok "and the databases of it, although they are backed up apart" diff "$work/want" "$work/got"
days cloud config | tail -n 11 >"$work/got"
days_from 0 >"$work/want"
ok "the cloud every day" diff "$work/want" "$work/got"
is "$(days cloud config | grep -vcx "$second")" 20 "for as many days as it should"
hf restore 2 uploads config --to "$work/first" --target cold
exits 0 "the first snapshot can be had from cold storage alone"
ok "with what it had" cmp "$root/srv/service/uploads/picture" "$(restored "$work/first" uploads "$root/srv/service/uploads/picture")"
unit_run holdfast-drill.service drill-report.conf
exits 0 "a rehearsal after fourteen months"
hf drill --history
says_not ' failed ' "none has failed"
done_testing
