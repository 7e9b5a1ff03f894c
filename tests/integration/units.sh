#!/bin/bash
# units.sh - the systemd units as they are installed: sound, hardened, and under a real PID 1: timers fire and catch up, what is root's or behind a socket is
# read all the same, a stop is clean, a failure is told of.
# SPDX-License-Identifier: Apache-2.0
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2154
. "${SRCDIR:?the folder of the sources}/tests/integration/lib.sh"
# shellcheck source=server_systemd.sh
. "$here/server_systemd.sh"
need systemd-analyze redis-server redis-cli sqlite3 logrotate python3
systemd_can || skip_all "needs root, systemd and overlay mounts"

"$MAKE" -s -C "$BUILDDIR" install DESTDIR="$work/dest" >"$work/install.log" 2>&1 || { diag "$work/install.log" && echo "Bail out! make install" && exit 1; }
folder=$(dirname "$(find "$work/dest" -name holdfast-backup.timer)")
folder=${folder#"$work/dest"}
is "$(cd "$work/dest$folder" && printf '%s ' holdfast-*)" \
  "$(for i in backup backup@ drill prune status verify; do printf 'holdfast-%s.service holdfast-%s.timer ' $i $i; done)" "the units are installed in $folder"
ok "and none is enabled" test -z "$(find "$work/dest" -name '*.wants')"

make_key key 'Recipient <recipient@example.com>'
mkdir -p "$work/disk" "$work/carry"
mygpg --armor --export "$key" >"$work/carry/key.asc"
cat >"$work/carry/manifest.ini" <<END
[holdfast]
host = testhost
state = /var/lib/holdfast
recipients = $key
recipient-key = key.asc
checkpoint = 1h

[source data]
plugin = files
path = /srv/data

[source notes]
plugin = sqlite
database = /srv/app/notes.db

[source cache]
plugin = redis
socket = /run/redis/redis-server.sock
password-credential = redis.pw

[source large]
plugin = exec
command = /srv/give
stream = large
user = games
before = touch /srv/before
after = touch /srv/after
enabled = no

[target disk]
plugin = local
path = /mnt/backup
END
M=/etc/holdfast/manifest.ini
T=$work/disk/testhost
systemd_boot "$work/machine" "$work/disk" "$work/carry" "$GNUPGHOME" "$work/dest" || { echo "Bail out! no machine" && exit 1; }
on() { systemd_enter "$work/machine" env -u TMPDIR "$@"; }
hf_on() {
  last="holdfast $*"
  # Where systemd would put what LoadCredential= names.
  on env "GNUPGHOME=$GNUPGHOME" HOLDFAST_MANIFEST=$M CREDENTIALS_DIRECTORY=/etc/holdfast "$program" "$@" >"$work/out" 2>"$work/err" </dev/null
  rc=$?
}
program=$(cd "$work/dest" && find . -name holdfast -path '*/bin/*')
program=${program#.}
# snapshots: how many there are. Lines of the listing of objects, which needs no program.
snapshots() { echo $(($(objects records) - 1)); }
# until_snapshot N: wait until there are so many.
until_snapshot() {
  local i
  for ((i = 0; i < 600; i++)); do
    [ "$(snapshots)" -lt "$1" ] || return 0
    sleep 0.05
  done
  return 1
}
# of UNIT PROPERTY...: what systemd says of it, in one line, once it has come to an end.
of() {
  local i unit=$1
  shift
  for ((i = 0; i < 600; i++)); do
    case $(on systemctl show -P ActiveState "$unit") in inactive | failed) break ;; esac
    sleep 0.05
  done
  for i in "$@"; do on systemctl show -P "$i" "$unit"; done | tr '\n' ' '
}
# started UNIT: how often it was started. journal-free: the invocation's time changes.
started() { on systemctl show -P ExecMainStartTimestampMonotonic "$1"; }

on env "dest=$work/dest" "carry=$work/carry" "folder=$folder" bash -seu >"$work/script.log" 2>&1 <<'END'
tar -C "$dest" -c . | tar -C / --keep-directory-symlink -x
mkdir -p /etc/holdfast /srv/data/private /srv/app /etc/redis /mnt/backup
mount --bind "${dest%/*}/disk" /mnt/backup
cp "$carry/manifest.ini" "$carry/key.asc" /etc/holdfast/
echo hush >/etc/holdfast/redis.pw
chmod 600 /etc/holdfast/manifest.ini /etc/holdfast/redis.pw
echo secret >/srv/data/secret
echo theirs >/srv/data/private/file
chmod 600 /srv/data/secret /srv/data/private/file
chown -R games:games /srv/data/private
chmod 700 /srv/data/private
# A database whose log is left behind, so that whoever reads it makes the file beside it anew.
sqlite3 /srv/app/notes.db 'PRAGMA journal_mode = wal; CREATE TABLE note (text); INSERT INTO note VALUES (1)'
chown -R games:games /srv/app
printf '#!/bin/sh\nhead -c 80000000 /dev/urandom\nexec sleep infinity\n' >/srv/give
chmod 755 /srv/give
cat >/etc/systemd/system/cache.service <<EOF
[Service]
User=redis
RuntimeDirectory=redis
ExecStart=/usr/bin/redis-server --port 0 --unixsocket /run/redis/redis-server.sock --unixsocketperm 777 --requirepass hush --save "" --dir /run/redis --repl-diskless-sync-delay 0
ExecStartPost=/bin/sh -c 'until redis-cli -s /run/redis/redis-server.sock ping >/dev/null; do sleep 0.05; done'
EOF
# Under the prefix of make distcheck, units are where systemd does not look.
[ "$folder" -ef /usr/lib/systemd/system ] || cp "$folder"/holdfast-* /etc/systemd/system/
mkdir -p /etc/systemd/system/holdfast-backup.service.d
printf '[Service]\nLoadCredential=redis.pw:/etc/holdfast/redis.pw\n' >/etc/systemd/system/holdfast-backup.service.d/local.conf
systemctl daemon-reload
systemctl start cache
redis-cli -s /run/redis/redis-server.sock -a hush set greeting hello
END
result $? "a host with files, SQLite and Redis" || { diag "$work/script.log" && echo "Bail out! no host" && exit 1; }

# ---- sound and hardened

units=$(on sh -c "cd $folder && ls holdfast-*" | sed 's/@/@data/')
# shellcheck disable=SC2086 # a list of words
on systemd-analyze verify --man=no $units >"$work/out" 2>&1
is "$?$(grep holdfast "$work/out")" 0 "systemd-analyze verify has nothing to say"
for unit in $(printf '%s\n' $units | grep '\.service$'); do
  most=25
  [ "$unit" != holdfast-drill.service ] || most=28
  ok "$unit is exposed to $most of 100 at most" on systemd-analyze security --no-pager --threshold=$most "$unit"
done
# Under that prefix the manifest is elsewhere, and the program may be where services see nothing.
case $folder in /usr/* | /lib/*) ;; *)
  printf '[Service]\nEnvironment=HOLDFAST_MANIFEST=%s\nPrivateTmp=no\nReadWritePaths=/tmp\n' "$M" |
    on sh -c 'mkdir -p /etc/systemd/system/holdfast-.service.d && cat >/etc/systemd/system/holdfast-.service.d/prefix.conf && systemctl daemon-reload'
  ;;
esac
# A rehearsal does for its record, at its end.
for unit in backup backup@ prune drill; do
  ok "holdfast-$unit waits for a run that holds the lock" grep -q '^ExecStart=.* --lock-wait 6h ' "$work/dest$folder/holdfast-$unit.service"
done
while IFS= read -r line; do
  ok "$line is a time" on systemd-analyze calendar "${line#*=}"
done < <(cat "$work/dest$folder"/*.timer | grep '^OnCalendar=')

# ---- one run

hf_on init
exits 0 "init" || { echo "Bail out! no repository" && exit 1; }
ok "the service of the backup runs" on systemctl start holdfast-backup
is "$(of holdfast-backup Result ExecMainStatus)" 'success 0 ' "and succeeds" || on journalctl -u holdfast-backup --no-pager
is "$(snapshots)" 1 "there is a snapshot"
hf_on list --json
is "$(json '" ".join(s["name"] + "=" + s["status"] for s in d["sources"]) if d["type"] == "snapshot" else None')" 'data=complete notes=complete cache=complete' \
  "all sources are complete: files of root and of others, a database, a server behind a socket with its password from systemd"
recover latest "$work/r" data
exits 0 "it is restored without holdfast"
is "$(cat "$work/r/data/srv/data/secret" "$work/r/data/srv/data/private/file" | tr '\n' ' ')" 'secret theirs ' "with what only root can read"
is "$(on sh -c 'stat -c %U /srv/app/*' | sort -u)" games "what SQLite makes beside the database belongs to the database's owner"
is "$(objects locks)" 0 "no lock is left"
is "$(on systemctl show -P ControlGroup holdfast-backup)" '' "nor a process"

# ---- the timer fires, and catches up

on sh -seu <<'END'
d=/etc/systemd/system/holdfast-backup.timer.d
mkdir -p $d
printf '[Timer]\nOnCalendar=\nOnCalendar=*:*:*\nRandomizedDelaySec=0\nAccuracySec=100ms\n' >$d/often.conf
systemctl daemon-reload
systemctl start holdfast-backup.timer
END
until_snapshot 3
result $? "the timer fires, and again" || on systemctl status --no-pager holdfast-backup.timer holdfast-backup.service
on systemctl stop holdfast-backup.timer
of holdfast-backup Result >/dev/null
before=$(snapshots)
on sh -seu <<'END'
printf '[Timer]\nRandomizedDelaySec=0\nAccuracySec=100ms\n' >/etc/systemd/system/holdfast-backup.timer.d/often.conf
systemctl daemon-reload
touch -d '3 days ago' /var/lib/systemd/timers/stamp-holdfast-backup.timer
systemctl start holdfast-backup.timer
END
until_snapshot $((before + 1))
result $? "after days without it, a run that was missed is made up for at once"
is "$(of holdfast-backup Result)" 'success ' "and succeeds"
on systemctl stop holdfast-backup.timer

# ---- one source

on sh -c 'cp -r /etc/systemd/system/holdfast-backup.service.d /etc/systemd/system/holdfast-backup@.service.d && systemctl daemon-reload'
ok "the service for one source" on systemctl start holdfast-backup@data
hf_on list --json
is "$(json '" ".join(s["name"] for s in d["sources"]) if d["type"] == "snapshot" else None' | tail -n 1)" data "takes a snapshot of that one"

# ---- verification, and a rehearsal with a recipient's private key

on env "home=$GNUPGHOME" sh -seu <<'END'
cp -a "$home" /root/.gnupg
for i in verify drill; do
  cp -r /etc/systemd/system/holdfast-backup.service.d /etc/systemd/system/holdfast-$i.service.d
done
systemctl daemon-reload
END
for unit in verify drill; do
  on systemctl start holdfast-$unit 2>"$work/err"
  is "$(of holdfast-$unit Result ExecMainStatus)" 'success 0 ' "the service holdfast-$unit" || on journalctl --no-pager -u holdfast-$unit | sed 's/^/# /'
done

# ---- stopped: clean, and what was stored is kept

before=$(snapshots)
packs=$(objects packs)
indexes=$(objects indexes)
status=$(started holdfast-status)
on sed -i '/^enabled = no/d' "$M"
on systemctl start --no-block holdfast-backup
for ((i = 0; i < 600; i++)); do
  [ "$(objects packs)" -lt $((packs + 2)) ] || break
  sleep 0.05
done
ok "a stop in the middle" on systemctl stop holdfast-backup
is "$(of holdfast-backup ActiveState Result)" 'inactive success ' "is no failure"
on journalctl --sync
ok "the program had come to its own end" on sh -c 'journalctl -u holdfast-backup | grep -q "stopped; what was stored is kept"'
is "$(snapshots) $(objects indexes) $(objects locks)" "$before $((indexes + 1)) 0" "there is no new snapshot, what was stored is indexed, no lock is left"
ok "the hook that comes after has run" on test -e /srv/before -a -e /srv/after
is "$(started holdfast-status)" "$status" "and nobody was told of a failure"

# ---- a failure is told of

on sed -i 's|^command = /srv/give|command = /bin/false|' "$M"
on systemctl start holdfast-backup 2>"$work/err"
is "$(of holdfast-backup Result ExecMainStatus)" 'exit-code 3 ' "a run that is done in part has failed"
of holdfast-status Result >/dev/null
[ "$(started holdfast-status)" != "$status" ]
result $? "and the unit that tells people was started"
systemd_stop "$work/machine"

# ---- where there is no systemd

mkdir -m 755 "$work/log" "$work/bin"
sed "s|/var/log/holdfast|$work/log|; s|root root|$(id -un) $(id -gn)|" "$SRCDIR/etc/holdfast.logrotate" >"$work/logrotate.conf"
echo line >"$work/log/holdfast.log"
ok "logrotate takes its sample" logrotate -f -s "$work/logrotate.state" "$work/logrotate.conf"
ok "and turns the log" test -e "$work/log/holdfast.log.1" -a ! -s "$work/log/holdfast.log"
# Each line of the sample, as cron would run it, with a program that notes how it is called.
printf '#!/bin/sh\necho "$*"\n' >"$work/bin/holdfast"
chmod 755 "$work/bin/holdfast"
while IFS= read -r line; do
  env PATH="$work/bin:$PATH" LOG="$work/cron.log" sh -c "$(printf '%s' "$line" | sed -E 's/^([^ ]+ +){5}root +//')" || echo "bad: $line" >>"$work/cron.log"
done < <(grep -E '^[0-9*]' "$SRCDIR/etc/holdfast.cron")
is "$(sed -E 's/(-q )?--no-progress (--lock-wait 6h )?//; s/ .*//' "$work/cron.log" | tr '\n' ' ')" 'backup prune verify status ' "the lines of the sample for cron run their commands"
done_testing
