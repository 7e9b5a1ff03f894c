#!/bin/bash
# app_host.sh - an application host, whole: the sample manifest as it is, all its services running, one backup while they are written to, and all of it again on
# machines that have the packages and nothing else: one from the disk, one from the bucket, one from the other machine. They are real systemds over throw-away
# copies of this one's root folder; the services that they reach are in a network of the test's own.
# SPDX-License-Identifier: Apache-2.0
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
# In a network of its own: the sample's services have the ports that they have.
if [ -z "${APP_HOST_NET:-}" ] && unshare --net true 2>/dev/null; then exec env APP_HOST_NET=own unshare --net bash "$0" "$@"; fi
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "${SRCDIR:?the folder of the sources}/tests/integration/lib.sh"
# shellcheck source=server_systemd.sh
. "$here/server_systemd.sh"
# shellcheck source=server_s3.sh
. "$here/server_s3.sh"
# shellcheck source=server_rsync.sh
. "$here/server_rsync.sh"
# shellcheck source=sample.sh
. "$here/sample.sh"
need curl nginx redis-server redis-cli psql sqlite3 openssl radosgw ceph-mon ceph-osd rsync ssh-keygen ip
[ -n "${APP_HOST_NET:-}" ] && systemd_can || skip_all "needs root, systemd, overlay mounts and a network of its own"
pg_bin=$(for d in /usr/lib/postgresql/*/bin; do [ -x "$d/postgres" ] && echo "$d"; done | sort -V | tail -n 1)
[ -n "$pg_bin" ] || { echo "Bail out! no PostgreSQL server" && exit 1; }

ip link set lo up
trap 's3_stop "$work/ceph"; cleanup' EXIT
S3_COLD=1 s3_start "$work/ceph" || { echo "Bail out! no S3 service" && exit 1; }
start_sshd "$work/ssh" || { echo "Bail out! no sshd" && exit 1; }

sample_keys
mkdir -p "$work/disk" "$work/carry/keys"
mygpg --armor --export "$key" "$third" >"$work/carry/keys/backup.asc"
mygpg --armor --export "$second" >"$work/carry/keys/backup-safe.asc"
# The sample, but for where its targets are.
M=$work/carry/manifest.ini
cp "$SRCDIR/etc/examples/app-host.ini" "$M"
sample_set 'target disk' path "$work/disk"
sample_set 'target bucket' access-key "$s3_access"
sample_add 'target bucket' "endpoint = $s3_url"
sample_set 'target vault' host 127.0.0.1
sample_set 'target vault' username root
sample_add 'target vault' "port = $ssh_port"
echo "$s3_secret" >"$work/carry/s3.secret"
cp "$work/ssh/id_rr" "$work/carry/id_ed25519"
cp "$work/ssh/known_hosts" "$work/carry/known_hosts"
chmod 600 "$work/carry/manifest.ini" "$work/carry/s3.secret" "$work/carry/id_ed25519"
systemd_net=
M=/etc/holdfast/manifest.ini
T=$work/disk/shop1

# machine NAME: boot one; what is carried to it is the disk, the program, the plugins, and the administrator's keys.
machine() {
  systemd_boot "$work/$1" "$work/disk" "$work/carry" "$plugins" "$GNUPGHOME" "${HOLDFAST%/*}" || { echo "Bail out! no machine $1" && exit 1; }
  in_use=$work/$1
  # What this machine has there is none of the shop's, and may be large.
  on mount -t tmpfs none /usr/local
  on cp -rp "$work/carry" /etc/holdfast
  {
    echo '#!/bin/sh'
    # The manifest also where this build would look for it elsewhere (make distcheck).
    printf 'exec env HOLDFAST_MANIFEST=/etc/holdfast/manifest.ini GNUPGHOME=%q HOLDFAST_PLUGIN_PATH=%q %q "$@" </dev/null\n' "$GNUPGHOME" "$plugins" "$HOLDFAST"
  } | on sh -c 'cat >/usr/bin/holdfast && chmod 755 /usr/bin/holdfast'
}

on() { systemd_enter "$in_use" env -u TMPDIR "$@"; }

# hf_on ARGUMENT...: as hf, on the machine in use.
hf_on() {
  last="holdfast $*"
  on env "GNUPGHOME=$GNUPGHOME" "HOLDFAST_PLUGIN_PATH=$plugins" "$HOLDFAST" -c "$M" "$@" >"$work/out" 2>"$work/err" </dev/null
  rc=$?
}

# settle: a script on the machine in use, from standard input.
script() { on env "carry=$work/carry" "pg_bin=$pg_bin" bash -seu >"$work/script.log" 2>&1; }

# ---- the host, as its people run it

machine first
script <<'END'
mkdir -p /srv/shop/{config/secrets,uploads/tmp,spool,data/export,bin,.pm2}
echo 'module.exports = {apps: [{name: "shop", script: "/srv/shop/bin/worker"}]}' >/srv/shop/ecosystem.config.js
echo '[{"name": "shop"}]' >/srv/shop/.pm2/dump.pm2
echo 'report' >/srv/shop/data/export/report.csv
echo 'port = 443' >/srv/shop/config/shop.conf
echo 'token' >/srv/shop/config/secrets/token
chmod 600 /srv/shop/config/secrets/token
for i in $(seq 200); do echo "picture $i" >/srv/shop/uploads/$i.jpg; done
echo '<h1>shop</h1>' >/srv/shop/uploads/index.html
setfattr -n user.origin -v phone /srv/shop/uploads/1.jpg || :

# PostgreSQL
cat >/etc/systemd/system/shop-db.service <<EOF
[Unit]
Description=Database of the shop
[Service]
User=postgres
RuntimeDirectory=postgresql
StateDirectory=shop-db
ExecStartPre=/bin/sh -c 'test -s /var/lib/shop-db/data/PG_VERSION || $pg_bin/initdb -D /var/lib/shop-db/data -A peer -E UTF8 --locale=C.UTF-8 -N'
ExecStart=$pg_bin/postgres -D /var/lib/shop-db/data -k /run/postgresql -c listen_addresses= -c fsync=off
ExecStartPost=/bin/sh -c 'for i in \$(seq 200); do $pg_bin/pg_isready -q -h /run/postgresql && exit 0; sleep 0.05; done; exit 1'
[Install]
WantedBy=multi-user.target
EOF

# Redis
mkdir -p /etc/redis
echo 'redis word' >/etc/holdfast/redis.pw
chmod 600 /etc/holdfast/redis.pw
cat >/etc/redis/shop.conf <<EOF
port 0
unixsocket /run/redis/redis-server.sock
unixsocketperm 777
dir /var/lib/shop-cache
dbfilename dump.rdb
save ""
repl-diskless-sync-delay 0
aclfile /etc/redis/shop.acl
EOF
printf '%s\n' 'user default on nopass ~* &* +@all' 'user holdfast on #'"$(printf %s 'redis word' | sha256sum | cut -d ' ' -f 1)"' resetchannels -@all +psync +sync +replconf +info +config|get +acl|list' >/etc/redis/shop.acl
chown -R redis:redis /etc/redis
cat >/etc/systemd/system/shop-cache.service <<EOF
[Unit]
Description=Sessions of the shop
[Service]
User=redis
RuntimeDirectory=redis
StateDirectory=shop-cache
ExecStart=/usr/bin/redis-server /etc/redis/shop.conf
[Install]
WantedBy=multi-user.target
EOF

# nginx
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /etc/ssl/private/shop.key -out /etc/ssl/shop.pem -days 30 -subj /CN=shop.example.com
chmod 640 /etc/ssl/private/shop.key
cat >/etc/nginx/sites-available/shop <<EOF
server {
  listen 127.0.0.1:443 ssl;
  ssl_certificate /etc/ssl/shop.pem;
  ssl_certificate_key /etc/ssl/private/shop.key;
  root /srv/shop/uploads;
}
EOF
rm -f /etc/nginx/sites-enabled/*
ln -s ../sites-available/shop /etc/nginx/sites-enabled/shop
cat >/etc/systemd/system/shop-web.service <<EOF
[Unit]
Description=Web server of the shop
[Service]
Type=forking
PIDFile=/run/nginx.pid
ExecStart=/usr/sbin/nginx
ExecReload=/usr/sbin/nginx -s reload
[Install]
WantedBy=multi-user.target
EOF

# The shop itself: it takes orders for ever, at every place in one step: a row here and there, or nowhere.
cat >/srv/shop/bin/worker <<'EOF'
#!/bin/bash
while :; do
  n=$(sqlite3 -cmd '.timeout 5000' /srv/shop/data/jobs.db "BEGIN IMMEDIATE; UPDATE counter SET a = a + 1, b = b - 1; SELECT a FROM counter; COMMIT;") || continue
  redis-cli -s /run/redis/redis-server.sock eval "redis.call('set', 'left', ARGV[1]); redis.call('set', 'right', ARGV[1])" 0 "$n" >/dev/null
  psql -XAtq -h /run/postgresql -U postgres -d shop -c "BEGIN; INSERT INTO orders (amount) VALUES (5); UPDATE total SET amount = amount + 5, n = n + 1; COMMIT"
  echo "$n" >/srv/shop/spool/last
done
EOF
chmod 755 /srv/shop/bin/worker
cat >/etc/systemd/system/shop-worker.service <<EOF
[Unit]
Description=Orders of the shop
After=shop-db.service shop-cache.service
[Service]
User=postgres
ExecStart=/srv/shop/bin/worker
[Install]
WantedBy=multi-user.target
EOF
mkdir -p /etc/systemd/system/shop-worker.service.d
printf '[Service]\nNice=5\n' >/etc/systemd/system/shop-worker.service.d/nice.conf
printf '[Unit]\nDescription=Report\n[Service]\nType=oneshot\nExecStart=/bin/true\n' >/etc/systemd/system/shop-report.service
printf '[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n' >/etc/systemd/system/shop-report.timer

sqlite3 /srv/shop/data/jobs.db "PRAGMA journal_mode = wal; CREATE TABLE counter (a, b); INSERT INTO counter VALUES (0, 0); CREATE TABLE schedule (what); INSERT INTO schedule VALUES ('report')"
chown -R postgres:postgres /srv/shop/data /srv/shop/spool
systemctl daemon-reload
systemctl enable shop-db shop-cache shop-web shop-worker shop-report.timer
systemctl start shop-db shop-cache shop-web
as() { runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -h /run/postgresql "$@"; }
as -d postgres -c 'CREATE ROLE clerk LOGIN' -c 'CREATE DATABASE shop OWNER clerk' -c 'CREATE DATABASE shop_archive' -c 'CREATE DATABASE shop_test'
as -d shop -c "CREATE TABLE orders (id serial PRIMARY KEY, amount int, created timestamptz DEFAULT now()); INSERT INTO orders (amount) SELECT 5 FROM generate_series(1, 5000);
  CREATE TABLE total (amount bigint, n bigint); INSERT INTO total VALUES (25000, 5000); GRANT SELECT ON orders TO clerk"
as -d shop_archive -c 'CREATE TABLE old AS SELECT generate_series(1, 100) AS id'
redis-cli -s /run/redis/redis-server.sock set left 0
redis-cli -s /run/redis/redis-server.sock set right 0
redis-cli -s /run/redis/redis-server.sock set session:1 basket ex 100000
systemctl start shop-worker
END
result $? "an application host runs" || diag "$work/script.log"

hf_on init
exits 0 "its manifest is the sample, and its repository is made"
hf_on check
exits 0 "check finds everything in order" || show_last
hf_on backup
exits 0 "all sources are backed up in one run, while the shop takes orders"
hf_on --json list
is "$(json '" ".join(s["name"] + "=" + s["status"] for s in d["sources"] if s["status"] != "complete")')" '' "and each is complete"
hf_on verify --read
exits 0 "disk, bucket and vault each have all of it"
ok "the worker that the hooks stopped runs again" on systemctl is-active shop-worker

# The same by the installed service, which may do much less than a shell of root's.
"$MAKE" -s -C "$BUILDDIR" install DESTDIR="$work/carry/dest" >"$work/install.log" 2>&1 || diag "$work/install.log"
script <<'END'
tar -C "$carry/dest" -c . | tar -C / --keep-directory-symlink -x
units=$(cd "$carry/dest" && dirname "$(find . -name holdfast-backup.timer)")
case ${units#.} in /lib/systemd/system | /usr/lib/systemd/system | /etc/systemd/system) ;; *) cp "/$units"/holdfast-* /etc/systemd/system/ ;; esac
mkdir -p /etc/systemd/system/holdfast-backup.service.d
# The disk of this test is below /tmp.
printf '[Service]\nEnvironment=HOLDFAST_MANIFEST=/etc/holdfast/manifest.ini\nPrivateTmp=no\nReadWritePaths=%s /tmp\n' "${carry%/*}/disk" >/etc/systemd/system/holdfast-backup.service.d/disk.conf
systemctl daemon-reload
systemctl start holdfast-backup
END
result $? "and once more, by the hardened service" || { diag "$work/script.log" && on journalctl --no-pager -u holdfast-backup | sed 's/^/# /'; }
hf_on --json list
is "$(json '" ".join(s["name"] + "=" + s["status"] for s in d["sources"] if s["status"] != "complete")' | tr -d '\n')" '' "each is complete there, too"
ok "and the worker runs again" on systemctl is-active shop-worker
hf_on drill
exits 0 "a drill of all of them passes, beside the running services"
for i in orders jobs sessions web units; do says "^$i +passed " "$i was verified"; done
script <<'END'
systemctl stop shop-worker
END
systemd_stop "$in_use"

# ---- other machines: packages, the administrator's keys and manifest, and one target

sql() { on runuser -u postgres -- psql -XAtq -h /run/postgresql -d "$1" -c "$2" 2>&1; }

# recovery TARGET: all of the host on an empty machine, from that target alone.
recovery() {
  local target=$1
  echo "# from the target $target"
  machine "from-$target"
  script <<'END'
# What the manifest names has to be there for it to be read; the true one comes with the secrets.
echo none >/etc/holdfast/redis.pw
chmod 600 /etc/holdfast/redis.pw
test ! -e /srv/shop
test ! -e /etc/systemd/system/shop-web.service
END
  result $? "a machine with nothing of the shop" || diag "$work/script.log"

  # What the page says, with the one target that there is.
  {
    echo 'set -x'
    page_block app-recovery | sed "s/restore latest/& --target $target/"
  } | script
  result $? "all of it comes back, by what holdfast-examples(7) says" || tail -n 25 "$work/script.log" | sed 's/^/# /'
  ok "units are enabled as they were" on systemctl is-enabled shop-db shop-cache shop-web shop-worker shop-report.timer
  ok "with their drop-ins" on test -s /etc/systemd/system/shop-worker.service.d/nice.conf

  # Is it the shop?
  is "$(on curl -sk https://127.0.0.1/)" '<h1>shop</h1>' "the site answers, with its own certificate"
  is "$(on curl -sk https://127.0.0.1/200.jpg)" 'picture 200' "and has what customers sent"
  ok "the token is there, for its owner only" on sh -c 'test "$(stat -c %a /srv/shop/config/secrets/token)" = 600 && grep -q token /srv/shop/config/secrets/token'
  is "$(sql shop 'SELECT count(*) >= 5000 AND sum(o.amount) = min(t.amount) AND count(*) = min(t.n) FROM orders o, total t')" t "every order is counted in the total"
  is "$(sql shop_archive 'SELECT count(*) FROM old')" 100 "the second database is there"
  is "$(sql postgres "SELECT count(*) FROM pg_database WHERE datname = 'shop_test'")" 0 "the excluded one is not"
  is "$(sql shop "SELECT has_table_privilege('clerk', 'orders', 'SELECT')")" t "roles have their rights"
  on systemctl stop shop-worker
  is "$(on sqlite3 /srv/shop/data/jobs.db 'PRAGMA integrity_check; SELECT a > 0 AND a + b = 0 FROM counter')" $'ok\n1' "SQLite is sound and its counters agree"
  is "$(on redis-cli -s /run/redis/redis-server.sock eval "return redis.call('get', 'left') == redis.call('get', 'right') and redis.call('get', 'session:1')" 0)" basket "Redis has what belongs together"
  ok "what the application keeps beside its databases, and how it is started" on sh -c 'grep -q report /srv/shop/data/export/report.csv && grep -q worker /srv/shop/ecosystem.config.js && test -s /srv/shop/.pm2/dump.pm2'
  systemd_stop "$in_use"
}

recovery disk
# What is not there cannot have helped.
mv "$work/disk/shop1" "$work/disk.away"
recovery bucket
s3_stop "$work/ceph"
recovery vault
done_testing
