#!/bin/bash
# scenario_folder.sh - etc/examples/folder-to-s3.ini from the first day to the twentieth, at a real S3 service: dry run, metrics, retention, and all of it back
# by hand, with the very lines of holdfast-examples(7).
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034 # variables of lib.sh and of what is sourced
. "${SRCDIR:?}/tests/integration/lib.sh"
# shellcheck source=clock.sh
. "$here/clock.sh"
# shellcheck source=sample.sh
. "$here/sample.sh"
# shellcheck source=server_s3.sh
. "$here/server_s3.sh"
# shellcheck source=server_listeners.sh
. "$here/server_listeners.sh"
need python3 curl radosgw ceph-mon ceph-osd aws
aws=$(command -v aws)

for name in $(compgen -e AWS_); do unset "$name"; done
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
export HOME=$work AWS_EC2_METADATA_DISABLED=true no_proxy='*'

# ---- what is there: a bucket service whose clock is ours, a statsd, a folder

sample_keys
clock_start
trap 's3_stop "$work/ceph"; cleanup' EXIT
s3_gateway=("${clock_env[@]}")
s3_start "$work/ceph" || { echo "Bail out! no S3 service" && exit 1; }
start_listeners || { echo "Bail out! no statsd" && exit 1; }

sample_settle "$SRCDIR/etc/examples/folder-to-s3.ini"
sample_add 'target bucket' "endpoint = $s3_url"
sample_set 'target bucket' access-key "$s3_access"
echo "$s3_secret" >"$root/etc/holdfast/s3.secret"
sample_set 'notify metrics' server "127.0.0.1:$statsd_port"
docs=$root/srv/documents
mkdir -p "$docs/letters" "$docs/.cache"
for i in {1..40}; do printf 'letter %s\n%s\n' "$i" "$(openssl rand -hex 2000)" >"$docs/letters/$i.txt"; done
head -c 3000000 /dev/urandom >"$docs/picture.raw"
echo scratch >"$docs/x.tmp"
echo cached >"$docs/.cache/x"

# metric REGEX: how many datagrams fit, once what was sent has been read: a mark goes the same way.
metric() {
  local mark=mark.$RANDOM$RANDOM
  python3 -c 'import socket, sys; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(sys.argv[2].encode(), ("127.0.0.1", int(sys.argv[1])))' \
    "$statsd_port" "$mark"
  until grep -qx "$mark" "$ends/statsd"; do sleep 0.02; done
  grep -Ecx "$1" "$ends/statsd"
}

# The administrator's awscli, at this service.
mkdir "$work/bin"
printf '#!/bin/sh\nexec %q --endpoint-url %q "$@"\n' "$aws" "$s3_url" >"$work/bin/aws"
chmod 755 "$work/bin/aws"

# by_hand BLOCK: what the page shows, with no holdfast.
by_hand() {
  page_block "$1" >"$work/$1.sh"
  [ -s "$work/$1.sh" ] || { echo "# the page has no block $1" && return 1; }
  last="block $1 of holdfast-examples(7)"
  mkdir -p "$work/hand"
  (cd "$work/hand" && env -i HOME="$work" PATH="$work/bin:/usr/bin:/bin" LC_ALL=C.UTF-8 GNUPGHOME="$GNUPGHOME" AWS_ACCESS_KEY_ID="$s3_access" \
    AWS_SECRET_ACCESS_KEY="$s3_secret" AWS_DEFAULT_REGION=us-east-1 "${clock_env[@]}" bash -eu "$work/$1.sh") >"$work/out" 2>"$work/err" </dev/null
  rc=$?
}

# ---- the first day

hf init
exits 0 "init makes bucket and repository"
hf check
exits 0 "check finds everything in order"
hf backup -n
exits 0 "a dry run"
says '^documents +complete +41 ' "says what would be read: 41 files, without what is excluded"
by_hand folder-download
is "$(find "$work/hand/files1" -type f | grep -Ec '/(packs|indexes)/')" 0 "and stores nothing"
is "$(metric 'backup_.*')" 0 "nor does it count as a backup"
hf backup
exits 0 "the first backup"
is "$(metric 'backup_success:1\|c')" 1 "counts as one success"
is "$(metric 'backup_duration:[0-9]+\|ms')" 1 "with how long it took"
hf list
says '^ +2 .* documents$' "and is listed"
by_hand folder-download
exits 0 "awscli downloads the repository"
by_hand folder-check
exits 0 "every object fits the SHA-256 that the bucket has with it"

# ---- not everything works

chmod 000 "$docs/letters/7.txt"
cp "$M" "$work/right.ini"
if [ "$(id -u)" -eq 0 ]; then
  # Root reads everything: another account does not.
  chmod 711 "$work"
  sample_add 'source documents' 'user = nobody'
fi
hf backup
exits 3 "a file that cannot be read: done in part"
is "$(metric 'backup_success:1\|c')" 1 "which is no success"
is "$(metric 'backup_partial:1\|c')" 1 "but counted for what it is"
chmod 644 "$docs/letters/7.txt"
cp "$work/right.ini" "$M"
mv "$docs" "$docs.away"
hf backup
exits 1 "the folder is not there: failed"
mv "$docs.away" "$docs"
echo wrong >"$root/etc/holdfast/s3.secret"
hf backup
exits 1 "a wrong key of the bucket: failed"
says 'SignatureDoesNotMatch' "with the reason"
echo "$s3_secret" >"$root/etc/holdfast/s3.secret"
is "$(metric 'backup_success:1\|c')" 1 "neither is a success"
is "$(metric 'backup_failure:1\|c')" 2 "both are counted as failures"

# ---- twenty days

for day in {1..19}; do
  clock_set "$day" 02:00
  echo "day $day" >"$docs/diary.txt"
  head -c 100000 /dev/urandom >"$docs/letters/day-$day.bin"
  [ "$day" -eq 19 ] || rm -f "$docs/letters/day-$((day - 1)).bin"
  must backup || break
  [ "$day" -ne 3 ] || must backup --label 'before the move'
done
is "$(metric 'backup_success:1\|c')" 21 "every backup of twenty days was a success"
clock_set 19 05:00
hf --json list
before=$(json 'd["seq"]' | wc -l)
hf prune -n
exits 0 "what would retention remove?"
hf --json list
is "$(json 'd["seq"]' | wc -l)" "$before" "asking removes nothing"
hf prune
exits 0 "retention"
hf --json list
base=$(date -u -d "@$clock_base" +%Y-%m-%d)
for day in {6..19}; do date -u -d "$base + $day days" +%F; done >"$work/want"
json 'None if d.get("label") else d["time"][:10]' >"$work/got"
ok "the fourteen days are kept" diff "$work/want" "$work/got"
is "$(json 'd.get("label")')" 'before the move' "and the snapshot with a label"
hf verify --read
exits 0 "all that is left is whole"
hf verify --decrypt
exits 0 "and can be decrypted"

# ---- everything back, by hand

by_hand folder-list
exits 0 "awscli lists the records"
is "$(grep -c 'records/.*json\.gpg$' "$work/out")" 24 "that of the key, twenty-two snapshots, and what was pruned"
by_hand folder-download
exits 0 "awscli downloads what is new"
by_hand folder-names
exits 0 "every object is what its name says"
victim=$(find "$work/hand/files1/packs" -type f | sort | head -n 1)
cp "$victim" "$work/victim"
flip "$victim" 100
by_hand folder-names
[ "$rc" -ne 0 ]
result $? "one byte that differs is found" || show_last
says '^packs/.*: FAILED$' "and the object named"
cp "$work/victim" "$victim"
by_hand folder-recover
exits 0 "gpg and recover.sh get it back"
same "$docs/letters" "$work/hand/back/documents$docs/letters" "all letters, with their metadata"
is "$(cd "$work/hand/back/documents$docs" && find . -mindepth 1 -maxdepth 1 | sort | tr '\n' ' ')" './diary.txt ./letters ./picture.raw ' "and nothing that was excluded"
ok "the picture" cmp "$docs/picture.raw" "$work/hand/back/documents$docs/picture.raw"
done_testing
