#!/bin/bash
# target_gcs.sh - the gcs target, at a strict double of Google Cloud Storage that real clients prove: the contract, backups, credentials of each kind, trouble.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034 # variables of lib.sh and target.sh
. "${SRCDIR:?}/tests/integration/lib.sh"
plugin=gcs
# shellcheck source=target.sh
. "$here/target.sh"
: "${NPM_DIR:?where bootstrap puts packages of npm}"
need python3 curl openssl gpg rclone node
[ -e "$NPM_DIR/node_modules/@google-cloud/storage/package.json" ] || { echo "Bail out! @google-cloud/storage is not installed: ./bootstrap deps" && exit 1; }
for name in $(compgen -e GOOGLE_) $(compgen -e GCE_) $(compgen -e CLOUDSDK_); do unset "$name"; done
# Nobody listens there: this machine may be one of Google's.
export GCE_METADATA_HOST=127.0.0.1:1

# ---- the service, its accounts and their credentials

mkdir "$double"
for name in host guest; do
  openssl genrsa -out "$work/$name.key" 2048 2>/dev/null
  openssl pkey -in "$work/$name.key" -pubout -out "$work/$name.pub"
done
# The roles that are installed as samples: of a host, and of what takes off its locks.
python3 - "$SRCDIR/etc/examples" "$work" >"$double/accounts.json" <<'EOF'
import json, re, sys
def role(name): return re.findall(r"^- (\S+)$", open("%s/gcs-role-%s.yaml" % (sys.argv[1], name)).read(), re.M)
below = re.search(r'/objects/(EXAMPLE-PREFIX/\S+?)"\)', open(sys.argv[1] + "/gcs-role-locks.yaml").read())[1]
below = below.replace("EXAMPLE-PREFIX/EXAMPLE-HOST", "some/where/testhost")
account = lambda who, **more: {"key": "%s/%s.pub" % (sys.argv[2], who), "kid": who, **more}
print(json.dumps({
    "all@p1.iam": account("host"),
    "admin@p1.iam": account("host", grants=[{"permissions": role("admin")}]),
    "host@p1.iam": account("host", grants=[{"permissions": role("host")}, {"permissions": role("locks"), "prefix": below}]),
    "guest@p1.iam": account("guest", grants=[])}))
EOF
double_start double_gcs.py
double_wait
url=$double_url
admin_token=$(cat "$double/admin-token")

# account EMAIL KEY TOKEN-PATH: the JSON of a service account.
account() {
  python3 -c '
import json, sys
email, key, path, url = sys.argv[1:]
print(json.dumps({"type": "service_account", "project_id": "p1", "private_key_id": key.split("/")[-1].split(".")[0], "private_key": open(key).read(),
                  "client_email": email, "token_uri": url + path}))' "$1" "$2" "$3" "$url"
}
creds=$work/creds
mkdir "$creds"
account all@p1.iam "$work/host.key" /token >"$creds/all"
account admin@p1.iam "$work/host.key" /token >"$creds/admin"
account host@p1.iam "$work/host.key" /token >"$creds/host"
account guest@p1.iam "$work/guest.key" /token >"$creds/guest"
account all@p1.iam "$work/guest.key" /token | sed 's/"private_key_id": "guest"/"private_key_id": "host"/' >"$creds/wrong-key"
account nobody@p1.iam "$work/host.key" /token >"$creds/nobody"
for name in short busy html moved skew disabled echo; do account all@p1.iam "$work/host.key" "/token-$name" >"$creds/$name"; done
account all@p1.iam "$work/host.key" / | sed 's|"token_uri": "[^"]*"|"token_uri": "http://example.com/token"|' >"$creds/clear"
sed 's/BEGIN PRIVATE KEY/BEGIN NOTHING/' "$creds/all" >"$creds/no-key"
printf '{"type":"authorized_user","client_id":"client-1","client_secret":"secret-1","refresh_token":"1//refresh-good","token_uri":"%s/token"}' \
  "$url" >"$creds/user"
sed 's/refresh-good/refresh-old/' "$creds/user" >"$creds/user-old"
sed 's/secret-1/secret-2/' "$creds/user" >"$creds/user-client"
sed 's|/token"|/token-echo"|' "$creds/user" >"$creds/user-echo"
pool=//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/prov
printf 'subject-good\n' >"$work/subject"
# external SOURCE [MORE]
external() {
  printf '{"type":"external_account","audience":"%s","subject_token_type":"%s","token_url":"%s/sts","credential_source":%s%s}' \
    "$pool" urn:ietf:params:oauth:token-type:jwt "$url" "$1" "${2:-}"
}
impersonation='"service_account_impersonation_url":"'$url'/iam/v1/projects/-/serviceAccounts/other@p1.iam:generateAccessToken"'
external '{"file":"'"$work/subject"'"}' >"$creds/file"
external '{"url":"'"$url/subject"'","headers":{"X-Subject":"please"}}' >"$creds/url"
external '{"url":"'"$url/subject-json"'","headers":{"X-Subject":"please"},"format":{"type":"json","subject_token_field_name":"value"}}' \
  ",$impersonation" >"$creds/other"
sed 's/other@p1/another@p1/' "$creds/other" >"$creds/other-denied"
sed 's/please/now/' "$creds/url" >"$creds/url-denied"
sed 's/providers.prov/providers\/none/' "$creds/file" >"$creds/target"
sed 's/"value"/"values"/' "$creds/other" >"$creds/field"
sed 's|/sts"|/token-echo"|' "$creds/file" >"$creds/sts-echo"
external '{"environment_id":"aws1"}' >"$creds/aws"
external '{"executable":{"command":"x"}}' >"$creds/program"
printf '{"type":"impersonated_service_account",%s,"source_credentials":%s}' "$impersonation" "$(cat "$creds/user")" >"$creds/impersonated"
echo '{"type": "gdch_service_account"}' >"$creds/type"
echo 'not JSON' >"$creds/text"

# at BUCKET OPERATION...: with the credentials of $who, and $more settings.
who=all
at() {
  local bucket=$1
  shift
  call bucket="$bucket" endpoint="$url" credentials-file="$creds/$who" resumable-min=256K "${more[@]}" -- "$@"
}


# api METHOD PATH: a request of another make, with a token that is always good.
api() { curl -sS -X "$1" -H "Authorization: Bearer $admin_token" "$url/storage/v1/b/$2"; }
# of FILE EXPRESSION: over d, the JSON in it.
of() { python3 -c 'import calendar, json, sys, time; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"; }

head -c 3000000 /dev/urandom >"$work/3M"
sum3M=$(sha256sum <"$work/3M" | cut -d ' ' -f 1)
stall_start bucket=stall endpoint="$url" credentials-file="$creds/all"
"$BUILDDIR/holdfast-target-conformance" -n 1010 "$so" bucket=second endpoint="$url" credentials-file="$creds/all" >"$work/conformance.log" 2>&1 &
conforming=$!

# ---- the double, proved by real clients

cat >"$work/rclone.conf" <<EOF
[gcs]
type = google cloud storage
service_account_file = $creds/all
project_number = p1
bucket_policy_only = true
endpoint = $url/storage/v1/
EOF
mkdir -p "$work/tree/sub"
head -c 2500000 "$work/3M" >"$work/tree/large"
for i in {1..20}; do echo "number $i" >"$work/tree/sub/$i"; done
rcl mkdir gcs:by-rclone
result $? "rclone makes a bucket" || diag "$work/rclone.log"
rcl copy "$work/tree" gcs:by-rclone/some
result $? "rclone puts files" || diag "$work/rclone.log"
rcl copy gcs:by-rclone/some "$work/tree-back" && diff -r "$work/tree" "$work/tree-back" >"$work/rclone.diff"
result $? "and gets them back" || diag "$work/rclone.log" "$work/rclone.diff"
rcl check --download "$work/tree" gcs:by-rclone/some
result $? "and finds them whole" || diag "$work/rclone.log"
# More than the 16 MiB that its uploads of one request may have.
truncate -s 17M "$work/zeros"
rcl copy "$work/zeros" gcs:by-rclone/session && rcl check --download "$work" gcs:by-rclone/session --include /zeros
result $? "and a large one by a session" || diag "$work/rclone.log"
is "$(seen 'h["content-range"] if "/by-rclone/" in r["path"] and "content-range" in h else None' | tr '\n' ' ')" \
  "bytes 0-16777215/* bytes 16777216-17825791/17825792 " "in two pieces"
rcl purge gcs:by-rclone
result $? "and deletes them" || diag "$work/rclone.log"
rclone --config /dev/null --gcs-service-account-file "$creds/wrong-key" --gcs-endpoint "$url/storage/v1/" --retries 1 lsf :gcs:plain >"$work/rclone.log" 2>&1
ok "a wrong key is refused" grep -q 'Invalid JWT Signature' "$work/rclone.log"

# nodejs KIND CREDENTIALS BUCKET OPERATION...
nodejs() {
  last="client_gcs.js $*"
  GCE_METADATA_HOST=${url#http://} timeout 60 node "$here/client_gcs.js" "$url" "$@" >"$work/out" 2>"$work/err" </dev/null
  rc=$?
}
crc=$(python3 -c '
import base64, struct, sys
table = []
for n in range(256):
    for _ in range(8): n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    table.append(n)
s = 0xFFFFFFFF
for b in open(sys.argv[1], "rb").read(): s = table[(s ^ b) & 255] ^ s >> 8
print(base64.b64encode(struct.pack(">I", s ^ 0xFFFFFFFF)).decode())' "$work/3M")
# To an endpoint that is not Google's it begins sessions without a token.
nodejs refresh "$creds/user" open-to-all "put n/large $work/3M" "get n/large $work/node.back"
is "$(tr '\n' ',' <"$work/out")" "put: $crc,get: ok," "@google-cloud/storage uploads by a session, and reads" || show_last
ok "whole" cmp "$work/3M" "$work/node.back"
echo 0123456789 >"$work/ten"
for kind in refresh:user external:other metadata:-; do
  nodejs "${kind%:*}" "$creds/${kind#*:}" plain "once n/a $work/ten" "create n/a $work/ten" 'part n/a 3 5' 'list n/' 'remove n/a' 'remove n/a'
  is "$(sed 's/^once: .*/once/; s/\(: 4[0-9]*\) .*/\1/' "$work/out" | tr '\n' ',')" "once,create: 412,part: 345,list: n/a,remove: ok,remove: 404," \
    "and in one request, once only, in part, lists, deletes, as ${kind%:*}" || show_last
done

# ---- the contract

at plain init 'put a/b hello' 'get a/b' 'stat a/b' 'get a/b 1 3' 'list a/' 'remove a/b' 'remove a/b' 'get a/b'
says '^get: ok hello$' "what is put can be got"
says '^get: ok ell$' "and a range of it"
says '^stat: ok 5 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824$' "the digest is kept with the object"
is "$(grep -c '^remove: ok ok$' "$work/out")" 2 "what is not there is deleted, too"
answers '^get: not-found .*there is no such object.*\(404\)' "what is deleted is gone"
call bucket=plain endpoint="$url" credentials-file="$creds/all" -- probe
answers '^probe: ok the bucket plain at http://127.0.0.1:[0-9]+ can be reached' "a probe says what it has found"
at plain open 'create c/once x' 'create c/once x' 'create c/once other' 'put c/once x' 'put c/once other' 'get c/once' caps
is "$(statuses create)$(statuses put)" "ok exists exists ok ok " "create once, replace else"
says '^get: ok other$' "by the other bytes"
answers '^caps: ok 3 8$' "create-only and checksums are promised"

wait "$conforming"
conformed $? "it keeps the contract, with a listing of two pages"
stall_end

# ---- trouble when opening: BUCKET | STATUS MESSAGE

opens at <<'EOF'
missing|not-found there is no bucket missing at http://127.0.0.1:[0-9]+: .*holdfast init
disabled|auth .*billing is disabled for the project.*\(403 accountDisabled\)
html|transient .*the server refuses \(502\)
moved|config .*the server sends us elsewhere: check endpoint \(307\)
perimeter|auth .*VPC Service Controls perimeter.*\(403 vpcServiceControls\)
api-off|config .*API is not enabled.*\(403 SERVICE_DISABLED\)
noscope|auth .*scopes do not allow it.*\(403 insufficientPermissions\)
expired|auth .*the access token is refused.*\(401 authError\)
payer|config .*set user-project.*\(400 required\)
nolist|ok
EOF
says 'storage.objects.list is not permitted for the whole bucket; going on' "which is told"
is "$(seen 'r["method"] if "/b/expired/" in r["path"] else None' | wc -l)" 2 "a token that is refused is replaced once, and no more"
at Plain open
answers '^open: config bucket = Plain: the name of a bucket is wanted' "what is no bucket's name"
call bucket=plain endpoint=http://127.0.0.1:1 credentials-file="$creds/all" -- open
answers '^open: transient no connection: ' "nobody listens: transient"

# ---- trouble later: BUCKET | OPERATION | STATUS MESSAGE

operates at <<'EOF'
busy|put e503 x|transient .*it asks to wait for 7 s \(503\)
busy|get e429|transient .*it asks to wait for 7 s \(429\)
busy|stat e500|transient .*\(500\)
busy|remove e408|transient transient bucket busy: .*\(408\)
limits|stat rate|transient .*too many requests.*\(429 rateLimitExceeded\)
limits|stat user|transient .*too many requests.*\(403 userRateLimitExceeded\)
limits|stat quota|no-space .*quota is used up.*\(403 quotaExceeded\)
limits|stat timeout|transient .*waited too long.*\(408 requestTimeout\)
limits|stat fault|transient .*fault of its own.*\(500 internalError\)
limits|get fault|transient .*said the double \(500\)
reset|get k|transient the connection was lost
short|get k|transient the answer is shorter
long|get k|ok x{50}$
unsaid|get k|transient k: the server does not say where it ends
endless|get k|transient .*the server refuses \(500\)
wrongrange|get k 10 2|failed .*not give the part
cutrange|get k 10 5|corrupt .*is too short: it has 12 bytes
damaged|put k x|transient .*damaged on their way.*\(400 invalid\)
lying-put|put k x|corrupt k: the server stored other bytes than were sent: 2 of them
vague-put|put k x|transient k: what the server says it has stored cannot be used: it has no size
ignore|create k x|config .*ignores ifGenerationMatch
list-good|list p/|ok  p/one:1 p/two:2 p/three:3$
list-500|list p/|transient .*\(500 internalError\)
list-circle|list p/|failed .*circle
list-cut|list p/|transient .*cannot be used: it is no JSON, or not all of it
list-empty|list p/|transient .*cannot be used
list-html|list p/|transient .*cannot be used
list-kind|list p/|transient .*something else
list-other|list p/|failed .*not below it
list-denied|list p/|auth .*storage.objects.list is not permitted
plain|put ../k x|failed not a key
plain|list p|unsupported a prefix ends in a slash
cut|putfile big FILES/3M|ok
cut-once|putfile big FILES/3M|ok
half|putfile big FILES/3M|ok
late|putfile big FILES/3M|ok
silent-end|putfile big FILES/3M|ok
elsewhere|putfile big FILES/3M|ok
stuck|putfile big FILES/3M|transient the connection was lost
never|putfile big FILES/3M|transient big: the upload does not get on: the server has 3000000 of 3000000
nowhere|putfile big FILES/3M|failed .*without saying where the bytes go
lying-end|putfile big FILES/3M|corrupt big: the server stored other bytes than were sent: 5 of them
damaged-end|putfile big FILES/3M|transient .*damaged on their way
EOF
for bucket in norange lying-get lying-sum packed; do
  at "$bucket" open 'put k 0123456789' 'get k 3 2' 'get k'
  cp "$work/out" "$work/$bucket.out"
done
ok "a server that ignores ranges" grep -q '^get: failed .*not give the part' "$work/norange.out"
ok "other bytes than those whose sum is said" grep -Eq '^get: corrupt k: the bytes that came have the CRC32C .*, and the server says' "$work/lying-get.out"
ok "another sum than that of the bytes" grep -q '^get: corrupt .*the server says AAAAAA==' "$work/lying-sum.out"
ok "a part has none" grep -q '^get: ok 34$' "$work/lying-sum.out"
ok "what was stored compressed" grep -q '^get: corrupt k is stored with the content encoding gzip' "$work/packed.out"
at paged open 'put q/a 1' 'put q/b 2' 'put q/c 3' 'put q/d 4' 'put q/e 5' 'put q/f 6' 'put q/g 7' 'list q/'
answers '^list: ok  q/a:1 q/b:1 q/c:1 q/d:1 q/e:1 q/f:1 q/g:1$' "a listing of three pages"

# ---- answers that got lost, and uploads that were cut

for bucket in lost torn; do
  at "$bucket" open 'create k x' 'create k x' 'create k x' 'create k other'
  # Without a byte of an answer libcurl may send the request again by itself.
  statuses create | grep -Eqx '(ok exists exists|transient ok exists) exists '
  result $? "$bucket: the object of an own try is no stranger's" || show_last
done
is "$(statuses create)" "transient ok exists exists " "not the one of the try that has succeeded either"
at cut open "stat big"
answers "^stat: ok 3000000 $sum3M$" "what was uploaded in pieces is whole"
# positions BUCKET: where the pieces of its uploads began.
positions() {
  seen 'h["content-range"].split("-")[0][6:] if "/b/'"$1"'/" in r["path"] and h.get("content-range", "bytes *")[6] != "*" else None' | tr '\n' ' '
}
is "$(positions cut)" "0 524288 1048576 1572864 2097152 2621440 " "each went on where the service said that it was cut"
is "$(positions half)" "0 524288 1048576 " "also when it said so itself"
is "$(seen '"authorization" in h if "/b/elsewhere/" in r["path"] and "upload_id" in q else None' | sort -u)" False "no token goes to another address"
at session503 open "putfile big $work/3M" "putfile big $work/3M" "stat big"
is "$(statuses putfile)" "transient ok " "the next try goes on with the upload of the last one"
is "$(positions session503)" "0 1048576 " "where that ended"
at forgets open "putfile big $work/3M" "putfile big $work/3M"
is "$(statuses putfile)" "transient ok " "an upload that the service has forgotten begins anew"
is "$(seen 'q["uploadType"] if "/upload/" in r["path"] and "upload_id" not in q and "/b/forgets/" in r["path"] else None' | wc -l)" 2 "by a session of its own"

# ---- one connection, one token

forget
at plain open 'put a x' 'put b x' 'get a' 'stat a' 'list' 'remove a b'
is "$(seen 'r["port"]' | sort -u | wc -l)" 1 "one connection does for everything"
is "$(seen '1 if r["path"] == "/token" else None' | wc -l)" 1 "and one token"

# ---- what is stored

forget
kms=projects/p1/locations/eu/keyRings/r1/cryptoKeys/good
more=(storage-class=COLDLINE kms-key="$kms")
at plain open 'put web1/packs/ab/c hello' 'put web1/records/1 hello' "putfile web1/packs/ab/d $work/3M"
for name in packs%2Fab%2Fc packs%2Fab%2Fd records%2F1; do
  api GET "plain/o/web1%2F$name" >"$work/object.json"
  of "$work/object.json" '" ".join([d["storageClass"], d["kmsKeyName"].split("/")[-1], str(len(d["metadata"]["sha256"])), d["contentType"]])'
done >"$work/stored"
is "$(tr '\n' ';' <"$work/stored")" \
  "COLDLINE good 64 application/octet-stream;COLDLINE good 64 application/octet-stream;STANDARD good 64 application/octet-stream;" \
  "storage class for packs only, the key, the digest"
is "$(seen 'q["ifGenerationMatch"] if r["method"] == "POST" and "/upload/" in r["path"] else None' | sort -u)" 0 "only where there is nothing"
more=(storage-class=FROZEN)
at plain open 'put packs/a x'
answers '^put: config .*storage-class: the service has no such class' "a class the service does not have"
more=(kms-key=projects/p1/locations/eu/keyRings/r1/cryptoKeys/other)
at plain open 'put k x'
answers '^put: config .*the key of kms-key cannot be used' "a key that it may not use"
more=(user-project=payer-project)
at payer open 'put k x' 'get k' 'stat k' "putfile big $work/3M" 'list' 'remove k'
is "$(grep -v -e '^[a-z]*: ok' -e '^log 4 ' "$work/out")" "" "who pays may do everything"
more=(user-project=other-project)
at payer open
answers '^open: auth .*user-project: serviceusage.services.use.*\(403 userProjectAccessDenied\)' "with a project of somebody else"
more=()

# ---- retention, holds, policies

at policy open 'create k x' 'remove k' 'put k other'
says '^remove: auth auth bucket policy: a retention policy keeps the object.* until .*\(403 retentionPolicyNotMet\)' \
  "what a policy of the bucket keeps is not deleted"
answers '^put: auth .*\(403 retentionPolicyNotMet\)' "or replaced"
at held open 'create k x' 'remove k'
answers '^remove: auth auth bucket held: a hold is on the object.*\(403 objectUnderActiveHold\)' "nor what a hold is on"
more=(object-retention=unlocked retain=10d)
at plain open
answers '^open: config the bucket plain has no object retention' "a bucket without object retention"
# kept KEY: the mode of its retention, and for how many days from now.
kept() {
  api GET "retained/o/$1" >"$work/object.json"
  of "$work/object.json" '"%s %d" % (d["retention"]["mode"],
    round((calendar.timegm(time.strptime(d["retention"]["retainUntilTime"][:19], "%Y-%m-%dT%H:%M:%S")) - time.time()) / 86400))'
}
at retained open 'put k x' "putfile big $work/3M" 'remove k' caps
says '^remove: auth auth .*a retention policy keeps the object' "what object-retention keeps is not deleted"
answers '^caps: ok 7 8$' "it is among the capabilities"
is "$(kept k), $(kept big)" "Unlocked 10, Unlocked 10" "for as long as retain says"
more=(object-retention=unlocked retain=30d)
at retained open 'extend k big' 'extend k nothing ../x'
says '^extend: ok ok,ok' "what a snapshot refers to anew"
says '^extend: not-found ok,not-found,failed' "each on its own"
is "$(kept k), $(kept big)" "Unlocked 30, Unlocked 30" "is kept for longer"
more=(object-retention=unlocked retain=5d)
forget
at retained open 'extend k' 'put big2 x' 'put k x'
is "$(kept k)" "Unlocked 30" "never for less"
is "$(seen '1 if r["method"] == "PATCH" else None' | wc -l)" 0 "nor is that asked for"
more=(object-retention=locked retain=40d)
at retained open 'extend k'
is "$(kept k)" "Locked 40" "a lock is put on"
more=(object-retention=unlocked retain=50d)
at retained open 'put k x'
is "$(kept k)" "Locked 50" "and stays one, also when the same is put again"
more=()
at retained open 'extend k'
answers '^extend: ok ok' "without object-retention there is nothing to extend"

# ---- versions: the past

at versioned open 'put d/a first' 'put d/ab other'
one_second
at versioned open 'put d/a second' 'remove d/ab' 'put d/c later' 'list d/'
answers '^list: ok  d/a:6 d/c:5$' "the bucket as it is"
more=(as-of="$when")
at versioned open 'list d/' 'get d/a' 'get d/a 1 2' 'stat d/ab' 'get d/c' 'put d/x y' 'remove d/a'
says '^list: ok  d/a:5 d/ab:5$' "as it was: the listing"
says '^get: ok first$' "an object that was replaced since"
says '^get: ok ir$' "a part of it"
says '^stat: ok 5 ' "one that was deleted since"
says '^get: not-found' "one that was not there yet"
says '^put: config nothing can be stored' "nothing is stored in the past"
answers '^remove: config' "or deleted"
at plain open
says '^log 1 the bucket keeps no versions' "a bucket without versions is warned of"
more=()

# ---- credentials: FILE | STATUS MESSAGE of the last call | the accounts that tokens were handed out to, with the last words of their scopes

granted() { sed 's|^\([^ ]*\) [^ ]*|\1|; s|https://www.googleapis.com/auth/||g' "$double/granted" | tr '\n' ';'; }
while IFS='|' read -r name wanted_status wanted_granted; do
  : >"$double/granted"
  who=$name
  at plain open 'put k x' 'get k'
  tail -n 1 "$work/out" | grep -Eq "^[a-z]*: $wanted_status" && [ "$(granted)" = "$wanted_granted" ]
  result $? "credentials: $name" || { echo "# wanted: $wanted_status; granted: $(granted)" && show_last; }
done <<'EOF'
all|ok x|all@p1.iam devstorage.read_write;
user|ok x|user@example.com cloud-platform;
file|ok x|federated devstorage.read_write;
url|ok x|federated devstorage.read_write;
other|ok x|federated cloud-platform;other@p1.iam devstorage.read_write;
impersonated|ok x|user@example.com cloud-platform;other@p1.iam devstorage.read_write;
guest|auth .*storage.objects.get is not permitted: guest@p1.iam does not have.*\(403\)|guest@p1.iam devstorage.read_write;
wrong-key|auth no access token from http://127.0.0.1:[0-9]+/token: the key is none of the service account's.*: Invalid JWT Signature \(400 invalid_grant\)|
nobody|auth .*there is no such service account|
busy|transient no access token from .*/token-busy: it refuses \(503\)|
html|auth .*cannot be used: it is no JSON object|
moved|config .*\(302\)|
skew|auth .*the clocks of this host and of the server differ: this host is 7[0-9]* s ahead.*\(400 invalid_grant\)|
disabled|auth .*the service account is disabled|
clear|config the credentials in .*/clear cannot be used: its token_uri is no https URL|
no-key|config the credentials of all@p1.iam cannot be used: its private_key is no RSA key in PEM|
user-old|auth .*the refresh token has expired or was revoked|
user-client|auth .*client_id and client_secret are refused|
other-denied|auth .*'iam.serviceAccounts.getAccessToken' denied.*\(403 PERMISSION_DENIED\)|federated cloud-platform;
url-denied|auth no access token from the credential_source: it refuses \(403\)|
target|config .*the audience of the workload identity|
field|auth .*no JSON with the field values|
aws|config .*which holdfast does not do: use a file or a URL|
program|config .*which holdfast does not run: use a file or a URL|
type|config .*its type gdch_service_account is none that holdfast knows|
text|config .*it is no JSON object|
none|config cannot open .*/none: No such file|
EOF
# An endpoint that repeats what it was sent: nothing of that is shown.
for who in echo user-echo sts-echo; do
  at plain open
  answers '^open: auth no access token from .*: the credentials are refused \(400 invalid_grant\)$' "no secret is shown: $who"
done
who=short
forget
at plain open 'put k x'
is "$(seen '1 if r["path"] == "/token-short" else None' | wc -l)" 3 "a token that is about to expire is replaced before it does"
who=all
forget
at expiring open 'put k x' 'get k' 'get k'
answers '^get: ok x' "a token that is refused in the middle of a run is replaced"
is "$(seen '1 if r["path"] == "/token" else None' | wc -l)" 2 "by one new one"

at expiring-upload open "putfile big $work/3M" 'stat big'
answers "^stat: ok 3000000 $sum3M$" "also in the middle of an upload"

# found ENV... -- [SETTING...]: without a file in the manifest; what was found is in the grants.
found() {
  local env=()
  while [ "$1" != -- ]; do env+=("$1") && shift; done
  shift
  : >"$double/granted"
  last="target_call with ${env[*]} $*"
  env "${env[@]}" timeout 60 "$call" "$so" bucket=plain endpoint="$url" "$@" -- open >"$work/out" 2>&1 </dev/null
  rc=$?
}
found A=b --
answers '^open: auth no credentials: set credentials-file; .*no metadata service answers' "none anywhere"
found GOOGLE_APPLICATION_CREDENTIALS="$creds/all" --
is "$(granted)" "all@p1.iam devstorage.read_write;" "from the environment"
found GOOGLE_APPLICATION_CREDENTIALS="$creds/all" -- credentials-file="$creds/guest"
is "$(granted)" "guest@p1.iam devstorage.read_write;" "the manifest comes first"
found GOOGLE_APPLICATION_CREDENTIALS="$creds/none" GCE_METADATA_HOST="${url#http://}" --
answers '^open: config cannot open .*/none' "a file that is named must be there"
mkdir -p "$work/.config/gcloud" "$work/cloudsdk"
cp "$creds/user" "$work/.config/gcloud/application_default_credentials.json"
cp "$creds/file" "$work/cloudsdk/application_default_credentials.json"
found GCE_METADATA_HOST="${url#http://}" --
is "$(granted)" "user@example.com cloud-platform;" "what gcloud has left"
found CLOUDSDK_CONFIG="$work/cloudsdk" --
is "$(granted)" "federated devstorage.read_write;" "at another place"
found GCE_METADATA_HOST="${url#http://}" -- credentials=metadata
is "$(granted)" "vm@p1.iam devstorage.read_write;" "the metadata service alone"
rm -r "$work/.config" "$work/cloudsdk"
found GCE_METADATA_HOST="${url#http://}" --
is "$(granted)" "vm@p1.iam devstorage.read_write;" "the metadata service at last"
found GCE_METADATA_HOST="${url#http://}/bare" --
answers '^open: auth no access token: this machine has no service account \(404\)' "a machine without an account"
found GCE_METADATA_HOST="${url#http://}/other" --
answers "^open: auth no access token: what answers as metadata service is not Google's" "what is no metadata service of Google's"
found A=b -- credentials=file
answers '^open: auth no credentials: set credentials-file' "a file alone, and none is there"
call bucket=open-to-all endpoint="$url" credentials=anonymous -- open 'put k x' 'get k'
answers '^get: ok x' "without credentials, as for emulators"
call bucket=plain endpoint="$url" credentials=anonymous -- open
answers '^open: auth .*it does not take requests without credentials: set credentials.*\(401 required\)' "which a real service does not take"
call bucket=plain credentials=anonymous -- open
answers '^open: config credentials = anonymous is for emulators' "nor is it asked"

# ---- roles: the samples that are installed

who=guest
at guarded open 'put k x'
answers '^put: auth .*storage.objects.create is not permitted' "an account without any role"
below=some/where/testhost
who=host
at guarded open "create $below/once x" "create $below/once y" "put $below/once x" "put $below/once y" "get $below/once" "remove $below/once" \
  "create $below/locks/1 x" "remove $below/locks/1"
is "$(statuses create)" "ok exists ok " "an account that may not delete creates, not twice"
is "$(statuses put)" "ok auth " "puts what is there already, and does not replace it"
says '^put: auth .*storage.objects.delete is not permitted' "which says what it lacks"
says '^remove: auth auth .*storage.objects.delete is not permitted' "and does not delete"
answers '^remove: ok' "but its own locks"
more=(object-retention=unlocked retain=1d)
at guarded-retained open 'put k x' 'extend k' 'put k x'
is "$(statuses put)$(statuses extend)" "ok ok ok " "it has what retention takes"
more=()
at made-by-host init
answers '^init: auth .*storage.buckets.create is not permitted' "it makes no bucket"
who="admin"
at made-by-admin init 'create k x' 'remove k'
answers '^remove: ok' "an administrator makes one, and deletes"
is "$(tail -n 1 "$double/made" | grep -Eo '"publicAccessPrevention": "enforced"|"enabled": true' | sort | tr '\n' ';')" \
  '"enabled": true;"publicAccessPrevention": "enforced";' "which is closed to the public"
more=(object-retention=locked retain=1d location=europe-west3)
at made-for-locks init 'create k x' 'remove k'
answers '^remove: auth auth .*a retention policy keeps' "one for retention"
more=(location=moon)
at made-on-moon init
answers '^init: config .*location: the service has no such location' "at a location there is not"
more=(project=p2)
at made-elsewhere init
answers '^init: config .*project: there is no such project' "in a project there is not"
more=()
who=user
at made-nowhere init
answers '^init: config there is no bucket made-nowhere, and it is not known in which project to make it: set project' "in none that is known"
who=all

# ---- holdfast itself

# gcs_repo NAME BUCKET CREDENTIALS: a repository with one target, that bucket.
gcs_repo() { target_repo "$1" "bucket = $2" "endpoint = $url" "credentials-file = $creds/$3" 'resumable-min = 256K'; }
make_key key 'Recipient <recipient@example.com>'
tree=$work/tree
gcs_repo main backups all
there_and_back "$(sed -n 2p "$work/host.key")|ya29"

# a host that may add, and not delete
gcs_repo guarded guarded host
must init
hf backup
exits 0 "the role of a host is enough for a backup"
says_not 'warning|not permitted' "without complaint"

# copies by others' hands
M=$work/main/m.ini
by_other_hands gcs at bucket

# another target is brought level, through a service that fails at the first try of everything, and one whose uploads are cut
for bucket in once cut; do
  printf '\n[target %s]\nplugin = gcs\nbucket = %s\nendpoint = %s\ncredentials-file = %s\nresumable-min = 256K\n' "$bucket" "$bucket" "$url" "$creds/all" >>"$M"
done
hf sync
exits 0 "sync to a service that refuses everything once, and to one that cuts uploads"
for bucket in once cut; do
  hf restore latest --target "$bucket" --to "$work/restored-$bucket"
  exits 0 "restore from there: $bucket"
  same "$tree" "$(restored "$work/restored-$bucket" tree "$tree")" "nothing is lost"
done

is "$(grep -v '^ *$' "$double/err")" "" "the double has not stumbled" || diag "$double/err"
done_testing
