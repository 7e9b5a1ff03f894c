#!/bin/bash
# targets.sh - one manifest, targets of every kind at real servers: one is stopped in the middle of a run, another emptied; what each holds is
# looked at by a client that is not ours; then everything comes back from each alone, and from two that lack different things.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034,SC2016 # variables of lib.sh; eval
. "${SRCDIR:?}/tests/integration/lib.sh"
# shellcheck source=server_s3.sh
. "$here/server_s3.sh"
# shellcheck source=server_rsync.sh
. "$here/server_rsync.sh"
# shellcheck source=server_azurite.sh
. "$here/server_azurite.sh"
need python3 gpg sqlite3 rclone rsync ssh radosgw ceph-mon ceph-osd node curl
need_npm azurite
for name in $(compgen -e | grep -E '^(AWS|RCLONE|AZURE)_'); do unset "$name"; done
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
export HOME=$work AWS_EC2_METADATA_DISABLED=true no_proxy='*'

S=$work/ssh
trap 's3_stop "$work/ceph"; cleanup' EXIT
azurite_start azure_url "$work/azurite"
s3_start "$work/ceph" && start_sshd "$S" && azurite_ready "$azure_url" || { echo "Bail out! a server does not start" && exit 1; }

# rclone's own view of the buckets.
export RCLONE_CONFIG=$work/rclone.conf
cat >"$RCLONE_CONFIG" <<END
[s3]
type = s3
provider = Ceph
endpoint = $s3_url
access_key_id = $s3_access
secret_access_key = $s3_secret
[azure]
type = azureblob
use_emulator = true
endpoint = $azure_url
END

# ---- a host

make_key key 'Recipient <recipient@example.com>'
tree=$work/tree
mkdir -p "$tree/etc" "$tree/srv"
for i in $(seq 40); do echo "setting $i" >"$tree/etc/$i.conf"; done
head -c 30000000 /dev/urandom >"$tree/srv/photo"
sqlite3 "$tree/srv/app.db" 'CREATE TABLE t (v); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO t SELECT hex(randomblob(20)) FROM n'
new_repo main <<END
[source config]
plugin = files
path = $tree/etc
[source files]
plugin = files
path = $tree/srv
exclude = app.db*
[source app]
plugin = sqlite
database = $tree/srv/app.db
before = sh -c "$work/meanwhile"
END
cat >>"$M" <<END
[target bucket]
plugin = s3
bucket = backups
endpoint = $s3_url
access-key = $s3_access
secret-key = $s3_secret
[target far]
plugin = rsync
host = 127.0.0.1
port = $ssh_port
path = $S/far
identity-file = $S/id
known-hosts = $S/known_hosts
[target cloud]
plugin = azure
container = backups
endpoint = $azure_url
account-key = $azurite_key
END
chmod 600 "$M"
printf '#!/bin/sh\n' >"$work/meanwhile"
chmod +x "$work/meanwhile"
targets=(disk bucket far cloud)

# view TARGET: digests and names of what it holds, but for locks and what says when it was made there, as an independent client sees it.
view() {
  local dir=$work/view
  rm -rf "$dir"
  case $1 in
    disk) cp -a "$R/disk/testhost" "$dir" ;;
    far) cp -a "$S/far/testhost" "$dir" ;;
    bucket) rclone copy --quiet s3:backups/testhost "$dir" ;;
    cloud) rclone copy --quiet azure:backups/testhost "$dir" ;;
  esac || return 1
  (cd "$dir" && find . -type f ! -path './locks/*' ! -name repository.ini -exec sha256sum {} + | sort -k 2)
}

# all_level NAME: is every target the same as the disk, object by object?
all_level() {
  local t
  view disk >"$work/view.disk"
  [ -s "$work/view.disk" ] || return 1
  for t in "${targets[@]}"; do
    view "$t" >"$work/view.other" && diff "$work/view.disk" "$work/view.other" || { echo "$t differs" && return 1; }
  done
}

# came_back DIR: is everything of the host below DIR?
came_back() {
  diff -r "$tree/etc" "$1/config$tree/etc" && cmp "$tree/srv/photo" "$1/files$tree/srv/photo" &&
    [ "$(find "$1/app" -type f -name '*.db' -exec sqlite3 -readonly {} 'SELECT count(*), min(v), max(v) FROM t' \;)" = \
      "$(sqlite3 -readonly "$tree/srv/app.db" 'SELECT count(*), min(v), max(v) FROM t')" ]
}

# with_only TARGET...: a manifest for a machine that is not the host, with these targets alone. Makes it $M.
with_only() {
  local out=$R/only.ini t
  sed "s|^state = .*|state = $R/no-such-state|" "$R/m.ini" >"$out"
  for t in "${targets[@]}"; do
    case " $* " in
      *" $t "*) ;;
      *) sed -i "s|^\[target $t\]|&\nenabled = no|" "$out" ;;
    esac
  done
  chmod 600 "$out"
  M=$out
}
host=$M

hf init
exits 0 "init of ${#targets[@]} targets"
hf backup
exits 0 "backup to all"
ok "an independent client sees the same objects everywhere" all_level

# ---- one stopped in the middle of a run, another emptied after it

echo changed >"$tree/etc/1.conf"
head -c 5000000 /dev/urandom >>"$tree/srv/photo"
printf '#!/bin/sh\nkill %s\nwhile kill -0 %s 2>/dev/null; do sleep 0.05; done\n' "$azurite_pid" "$azurite_pid" >"$work/meanwhile"
hf backup --json
exits 3 "a target that is stopped during the run: exit code 3"
is "$(json '[t["name"] for t in d["targets"] if not t["committed"]] if d["type"] == "backup" else None')" "['cloud']" "names it, and the others have the snapshot"
printf '#!/bin/sh\n' >"$work/meanwhile"
azurite_again "$azure_url" "$work/azurite"
azurite_ready "$azure_url" || echo "Bail out! Azurite does not start again"
rclone delete --quiet s3:backups
is "$(rclone lsf -R --files-only s3:backups | wc -l)" 0 "another one is emptied"
hf verify
exits 1 "verify does not pass"
says 'target bucket: was rolled back, or records were taken away: its newest record is 0 of 3' "the emptied one: taken away"
says 'target cloud: is behind: its newest record is 2 of 3, 1 are missing' "the stopped one: behind"
hf sync
exits 0 "sync brings all level"
hf verify --read
exits 0 "verify is clean"
ok "an independent client sees the same objects everywhere" all_level
hf backup
exits 0 "the next backup goes to all"

# ---- everything, from each alone

for t in "${targets[@]}"; do
  with_only "$t"
  hf restore latest --to "$work/from.$t"
  exits 0 "a restore of the whole host from $t alone"
  ok "everything is there" came_back "$work/from.$t"
done

# ---- from two, each of which lacks what the other has

n=0
while read -r _ object; do
  n=$((n + 1))
  if [ $((n % 2)) -eq 0 ]; then rm "$R/disk/testhost/$object"; else rclone deletefile --quiet "s3:backups/testhost/$object"; fi
done < <(view disk | grep ' \./packs/')
[ "$n" -ge 4 ]
result $? "there are packs to take away"
with_only disk
hf restore latest --to "$work/from.half"
exits 3 "the disk alone does not have everything any more"
with_only disk bucket
hf restore latest --to "$work/from.two"
exits 0 "the disk and the bucket together have"
ok "everything is there" came_back "$work/from.two"

done_testing
