#!/bin/bash
# target_s3.sh - the s3 target: against a real service (Ceph's gateway), and against a scripted one for the trouble a real one cannot be made to give.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034 # variables of lib.sh and target.sh
. "${SRCDIR:?}/tests/integration/lib.sh"
plugin=s3
# shellcheck source=target.sh
. "$here/target.sh"
# shellcheck source=server_s3.sh
. "$here/server_s3.sh"
need python3 curl openssl gpg radosgw ceph-mon ceph-osd rclone
for name in $(compgen -e AWS_); do unset "$name"; done
export AWS_EC2_METADATA_DISABLED=true

# ---- a scripted service

double_start double_s3.py
# The real one starts meanwhile.
certificate tls
cat "$work/tls.crt" "$work/tls.key" >"$work/tls.pem"
(
  S3_COLD=1 s3_start "$work/ceph" "$work/tls.pem"
  echo "$? $s3_url $s3_tls_url" >"$work/ceph.ready"
  "$BUILDDIR/holdfast-target-conformance" -n 1010 "$so" bucket=conformance endpoint="$s3_url" access-key="$s3_access" secret-key="$s3_secret" \
    >"$work/conformance.log" 2>&1
  echo $? >"$work/conformance.rc"
) &
starting=$!
trap 'kill "$starting" 2>/dev/null; s3_stop "$work/ceph"; cleanup' EXIT
double_wait

stall_start bucket=stall endpoint="$double_url" access-key=A secret-key=S

# double BUCKET OPERATION...: with a key of the manifest.
double() {
  local bucket=$1
  shift
  call bucket="$bucket" endpoint="$double_url" access-key=A secret-key=S "${more[@]}" -- "$@"
}


double plain init 'put a/b hello' 'get a/b' 'stat a/b' 'get a/b 1 3' 'list a/' 'remove a/b' 'get a/b'
answers '^get: not-found ' "the scripted service does store"
says '^get: ok ell$' "and gives ranges"
says '^stat: ok 5 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824$' "the digest is kept with the object"

# what goes wrong when opening: BUCKET STATUS MESSAGE
opens double <<'EOF'
secret|auth .*the secret key is wrong.*\(403 SignatureDoesNotMatch\)
nokey|auth .*the access key is wrong.*\(403 InvalidAccessKeyId\)
missing|not-found there is no bucket missing at 127.0.0.1.*holdfast init
skew|auth .*clocks.*this host is 3(600|599|601) s ahead.*\(403 RequestTimeTooSkewed\)
html|transient .*the server refuses \(502\)
moved|config .*elsewhere
expired|auth .*the session token has expired.*\(400 ExpiredToken\)
nolist|ok
EOF
double fast open 'put k v' 'get k'
says '^log 1 the clock of this host is 3(600|599) s behind that of the server' "a clock that differs is told of, though nobody minds"
is "$(grep -c '^log 1 the clock' "$work/out")" 1 "once"
double slow open
says '^log 1 the clock of this host is 3(600|601) s ahead of that of the server' "in the other direction, too"
double plain open
says_not 'the clock' "and one that does not is not"
more=(region=us-east-1)
double region open
answers '^open: config .*in the region eu-west-3, not in us-east-1: set region = eu-west-3 \(301' "another region than the one that was set is said"
more=()
double region open 'put k v' 'get k'
answers '^get: ok v$' "when none was set, the bucket's is used"
says '^log 2 .*set region = eu-west-3' "and told"
double malformed open 'put k v' 'get k'
answers '^get: ok v$' "also when the server only complains of the signature"
more=()
call bucket=nobody endpoint=http://127.0.0.1:1 access-key=A secret-key=S -- open
answers '^open: transient no connection: ' "nobody listens: transient"

# what goes wrong later: BUCKET OPERATION | STATUS MESSAGE
operates double <<'EOF'
busy|put e503 x|transient .*it asks to wait for 7 s \(503\)
busy|get e429|transient .*it asks to wait for 7 s \(429\)
busy|stat e500|transient .*\(500
reset|get k|transient the connection was lost
short|get k|transient the answer is shorter
long|get k|ok x{50}$
unsaid|get k|transient k: the server does not say where it ends
endless|get k|transient .*the server refuses \(500\)
wrongrange|get k 10 2|failed .*not give the part
damaged|put k x|transient .*damaged on their way.*BadDigest
liar|put k this|corrupt .*stored other bytes
liar|stat k|corrupt .*the server computed the SHA-256
full|put k x|no-space .*no space left
quota|put k x|no-space .*the quota is used up
nodelete|remove k|auth auth .*s3:DeleteObject is not permitted
nodelete|remove k l|auth auth,auth .*s3:DeleteObject is not permitted
nobatch|remove k l m|ok ok,ok,ok
partly|remove a b c|auth ok,auth,failed .*b: s3:DeleteObject is not permitted
conflict|create k x|transient .*under way
noconditions|create k x|config .*set create-only = no
ignore|create k x|config .*ignores If-None-Match.*create-only = no
archive|get k|failed .*thaw = bulk
list-good|list p/|ok  p/one:0 p/two:0 p/three:0$
list-500|list p/|transient .*InternalError
list-circle|list p/|failed .*circle
list-cut|list p/|transient .*cannot be used
list-empty|list p/|transient .*cannot be used
list-html|list p/|transient .*something else
list-other|list p/|failed .*not below it
list-denied|list p/|auth .*s3:ListBucket is not permitted
EOF
stall_end
double norange open 'put k 0123456789' 'get k 3 2'
answers '^get: failed .*not give the part' "a server that ignores ranges"
double plain 'open' 'put ../k x'
answers '^put: failed not a key' "what is no key is not sent"

double busy open 'get e503'
says '^retry-after 7$' "the host is told how long to wait"
TARGET_LIMIT=100000 double plain open "put big $(head -c 500 /dev/zero | tr '\0' x)" 'get big'
says_not 'is too large' "under a limit the pieces are small"

# early: the answer comes before the body is read; the connection must not be used again.
head -c 3000000 /dev/zero >"$work/3M"
forget
double early open "putfile k $work/3M" 'get k' 'get k'
outcomes "open: ok,putfile: transient,get: not-found,get: not-found," "an answer before the body is whole"
is "$(seen 'r["port"]' | uniq | wc -l)" 2 "its connection is given up, the next one is kept"
# hasty: it says that the object is stored, without having had it.
double hasty open "putfile k $work/3M"
answers '^putfile: transient the server reports success \(200\) before it has had all' "a success before the body is whole is none"
double hasty open 'put k x'
answers '^put: transient the server reports success' "be it small"
forget
double plain open 'put a x' 'put b x' 'get a' 'stat a' 'list' 'remove a b'
is "$(seen 'r["port"]' | sort -u | wc -l)" 1 "otherwise one connection does for everything"

# headers of what is stored
forget
more=(storage-class=STANDARD_IA storage-class-min=4 sse=kms sse-kms-key=alias/backup requester-pays=yes object-lock=governance retain=10d)
double plain open 'put web1/packs/ab/c hello' 'put web1/packs/ab/d x' 'put web1/records/1 hello'
headers='" ".join(h.get("x-amz-" + n, "-") for n in ("storage-class", "server-side-encryption", "server-side-encryption-aws-kms-key-id", "request-payer",
  "object-lock-mode")) if r["method"] == "PUT" else None'
is "$(seen "$headers" | tr '\n' ';')" \
  "STANDARD_IA aws:kms alias/backup requester GOVERNANCE;- aws:kms alias/backup requester GOVERNANCE;- aws:kms alias/backup requester GOVERNANCE;" \
  "storage class for packs only, encryption, requester, lock"
is "$(seen '"content-md5" in h and "x-amz-object-lock-retain-until-date" in h if r["method"]=="PUT" else None' | sort -u)" True "with a lock: a date and an MD5"
is "$(seen 'all(k in h["authorization"] for k in h if k.startswith("x-amz-"))' | sort -u)" True "all of them are signed"
more=(sse=s3 checksum=no)
forget
double plain open 'put k hello'
headers='h.get("x-amz-server-side-encryption", "-") + str("x-amz-checksum-sha256" in h) if r["method"] == "PUT" else None'
is "$(seen "$headers")" AES256False "encryption by the service; no checksum where it is not wanted"
more=(as-of=2026-11-20T00:00:00Z)
double list-versions open 'list p/'
answers '^list: ok  p/a:1 p/b:2$' "the past, over two pages"
more=(storage-class=NOSUCH storage-class-min=1)
double noclass open 'put packs/a x'
answers '^put: config storage-class|^put: config .*storage-class' "a class the service does not have"
more=(create-only=no)
double noconditions open 'create k x' 'create k x' caps
says '^create: exists' "without conditional writes a look comes first"
answers '^caps: ok 2 8' "and nothing is promised"
more=(thaw=bulk thaw-days=3)
double archive open 'get k' 'get k'
is "$(grep -c '^get: failed .*being brought back' "$work/out")" 2 "an archived object is asked for, and once more does no harm"
double glacier open 'put w/packs/a x' 'put w/packs/b x' 'put records/c x' 'thaw w/packs/a records/c' 'thaw w/packs/a w/packs/b w/packs/none'
answers '^thaw: not-found transient,transient,not-found ' "asked for as a whole: what is on its way, and what is not there"
double glacier open 'thaw w/packs/a w/packs/b records/c'
answers '^thaw: transient transient,transient,ok .*being brought back.*within 48 hours' "and for how long"
touch "$double/thawed"
double glacier open 'thaw w/packs/a w/packs/b records/c' 'get w/packs/a'
says '^thaw: ok ok,ok,ok' "when they are back, they are read"
answers '^get: ok x' "as any other"
ok "with tier and days" grep -q '<Days>3</Days>.*<Tier>Bulk</Tier>' "$double/restore"
more=()

# ---- where access keys come from

key_used='h.get("authorization", "=none/").split("=")[1].split("/")[0] + ("+" + h["x-amz-security-token"] if "x-amz-security-token" in h else "") \
  if r["path"].split("/")[1] in ("plain", "expiring", "expired") else None'
# keyed ENV... -- OPERATION...: without a key in the manifest; prints the key ids that were used.
keyed() {
  local env=()
  while [ "$1" != -- ]; do env+=("$1") && shift; done
  shift
  forget
  env "${env[@]}" timeout 60 "$call" "$so" bucket="${bucket:-plain}" endpoint="$double_url" region="${region-r1}" "${more[@]}" -- "$@" >"$work/out" 2>&1
  rc=$?
  used=$(seen "$key_used" | uniq | tr '\n' ' ')
}
keyed -- open
answers '^open: auth no access key: ' "no key anywhere"
keyed AWS_ACCESS_KEY_ID=E AWS_SECRET_ACCESS_KEY=S AWS_SESSION_TOKEN=T -- open
is "$used" "E+T " "from the environment"
keyed AWS_ACCESS_KEY_ID=E -- open
answers '^open: config .*AWS_ACCESS_KEY_ID without AWS_SECRET_ACCESS_KEY' "half a key"
mkdir "$work/.aws"
printf '%b' '[default]\naws_access_key_id = F\naws_secret_access_key = S\n' \
  '[second]\naws_access_key_id = F2\naws_secret_access_key = S\naws_session_token = T2\n' \
  '[half]\naws_access_key_id = H\n' \
  >"$work/.aws/credentials"
printf '[profile second]\nregion = r2\n[profile role]\nrole_arn = x\nsource_profile = second\n' >"$work/.aws/config"
keyed -- open
is "$used" "F " "from the shared file"
more=(profile=second) region=
keyed AWS_ACCESS_KEY_ID=E AWS_SECRET_ACCESS_KEY=S -- open
is "$used" "F2+T2 " "a profile that is named comes before the environment"
is "$(seen '"/r2/s3/" in h["authorization"]' | sort -u)" True "its region is used"
unset region
more=()
keyed AWS_PROFILE=half -- open
answers '^open: config the profile half has aws_access_key_id without' "half a key in a profile"
more=(profile=nobody)
keyed -- open
answers '^open: config there is no profile nobody' "a profile there is not"
more=(profile=role)
keyed -- open
answers '^open: config .*by way of another profile' "what a profile wants and is not done is said"
more=(credentials-file="$work/none")
keyed -- open
answers '^open: config cannot open .*/none' "a file that is named must be there"
rm -r "$work/.aws"
more=()
keyed AWS_CONTAINER_CREDENTIALS_FULL_URI="$double_url/creds/open" -- open 'put k x' 'get k'
is "$used" "BOX1+token1 " "from a container's service, once"
printf 'pass\n' >"$work/pass"
keyed AWS_CONTAINER_CREDENTIALS_FULL_URI="$double_url/creds/guarded" AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="$work/pass" -- open
is "$used" "BOX1+token1 " "with a token from a file"
keyed AWS_CONTAINER_CREDENTIALS_FULL_URI="$double_url/creds/guarded" -- open
answers '^open: auth .*credential service answers 401' "without it"
keyed AWS_CONTAINER_CREDENTIALS_FULL_URI=http://example.com/x -- open
answers '^open: config .*https is wanted' "no key travels over a network in the clear"
keyed AWS_CONTAINER_CREDENTIALS_FULL_URI="$double_url/creds/short" AWS_CONTAINER_AUTHORIZATION_TOKEN=pass -- open 'put k x'
is "$used" "BOX1+token1 BOX2+token2 " "a key about to expire is replaced before"
bucket=expiring
keyed AWS_CONTAINER_CREDENTIALS_FULL_URI="$double_url/creds/open2" AWS_CONTAINER_AUTHORIZATION_TOKEN=pass -- open 'put k x' 'get k'
answers '^get: ok x' "a token that expires in the middle of a run is replaced"
is "$used" "BOX1+token1 BOX2+token2 " "by one new key"
bucket=expired
keyed AWS_CONTAINER_CREDENTIALS_FULL_URI="$double_url/creds/open3" AWS_CONTAINER_AUTHORIZATION_TOKEN=pass -- open
answers '^open: auth .*the session token has expired' "and when the new one is refused too"
is "$(seen 'r["path"] if "expired" in r["path"] else None' | wc -l)" 2 "there is no third try"
unset bucket
keyed AWS_EC2_METADATA_DISABLED=false AWS_EC2_METADATA_SERVICE_ENDPOINT="$double_url/" -- open
is "$used" "ROLE1+token1 " "from the instance's metadata service, version 2"
keyed AWS_EC2_METADATA_DISABLED=false AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:1 -- open
answers '^open: auth no access key: .*no instance' "on a machine that is no instance"
printf 'web/token=\n' >"$work/token"
keyed AWS_WEB_IDENTITY_TOKEN_FILE="$work/token" AWS_ROLE_ARN=arn:aws:iam::1:role/r AWS_ENDPOINT_URL_STS="$double_url/sts/" -- open
is "$used" "WEB+web-session " "from a web identity"
keyed AWS_WEB_IDENTITY_TOKEN_FILE="$work/token" AWS_ROLE_ARN=other AWS_ENDPOINT_URL_STS="$double_url/sts/" -- open
answers '^open: auth no access key for the web identity: the web identity token is refused' "one that is refused"
keyed AWS_WEB_IDENTITY_TOKEN_FILE="$work/token" AWS_ROLE_ARN=arn:aws:iam::1:role/r AWS_ENDPOINT_URL_STS=http://sts.example.com/ -- open
answers '^open: config AWS_ENDPOINT_URL_STS: https is wanted' "its token does not travel in the clear"
more=(credentials=environment)
keyed AWS_CONTAINER_CREDENTIALS_FULL_URI="$double_url/creds/open" -- open
answers '^open: auth no access key: AWS_ACCESS_KEY_ID' "a source that is named is the only one"
more=()

# ---- the real service

wait "$starting"
read -r status s3_url s3_tls_url <"$work/ceph.ready"
result "$status" "the service starts" || { diag "$work"/ceph/log/*.out "$work"/ceph/log/osd.mkfs && echo "Bail out! no service" && exit 1; }
access=(access-key="$s3_access" secret-key="$s3_secret")

# real BUCKET OPERATION...
real() {
  local bucket=$1
  shift
  call bucket="$bucket" endpoint="$s3_url" "${access[@]}" "${more[@]}" -- "$@"
}

# s3curl METHOD PATH?QUERY [FILE]: a signed request of another make.
s3curl() {
  curl -sS -f --aws-sigv4 aws:amz:us-east-1:s3 --user "$s3_access:$s3_secret" -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -X "$1" "$s3_url/$2" \
    ${3:+-H 'Content-Type: application/xml' --data-binary "@$3"}
}

conformed "$(cat "$work/conformance.rc")" "it keeps the contract, with a listing of two pages"

real nowhere open
answers '^open: not-found there is no bucket nowhere' "a bucket there is not"
access=(access-key="$s3_access" secret-key=wrong)
real conformance open
answers '^open: auth .*the secret key is wrong' "a wrong secret"
access=(access-key=nobody secret-key=wrong)
real conformance open
answers '^open: auth .*the access key is wrong' "a wrong access key"
access=(access-key="$s3_access" secret-key="$s3_secret")

# TLS
tls() { call bucket=conformance endpoint="${1:-$s3_tls_url}" "${access[@]}" -- open 'put t x' 'get t'; }
tls
answers '^open: auth the server.s certificate is not to be trusted' "a certificate nobody knows"
AWS_CA_BUNDLE=$work/tls.crt tls
answers '^get: ok x' "one that is known"
AWS_CA_BUNDLE=$work/tls.crt tls "https://localhost:${s3_tls_url##*:}"
answers '^open: auth the server.s certificate' "one of another name"
AWS_CA_BUNDLE=$work/none tls
answers '^open: config the certificates to trust cannot be read' "a file of certificates there is not"
tls "https://${s3_url#http://}"
answers '^open: config the server does not speak TLS' "a server without TLS"

# s3_repo NAME BUCKET: a repository with one target, that bucket.
s3_repo() { target_repo "$1" "bucket = $2" "endpoint = $s3_url" "access-key = $s3_access" "secret-key-file = $work/secret"; }
(umask 077 && printf '%s\n' "$s3_secret" >"$work/secret" && echo hostsecret >"$work/host-secret")

# an account that may add, and not delete
s3_admin "$work/ceph" user create --uid=host --display-name=host --access-key=hostaccess --secret-key=hostsecret >"$work/host.json" 2>&1
# The sample that is installed, as a policy of the bucket.
python3 - "$SRCDIR/etc/examples/s3-policy-host.json" >"$work/policy.json" <<'EOF'
import json, sys
policy = json.loads(open(sys.argv[1]).read().replace("EXAMPLE-BUCKET", "guarded").replace("EXAMPLE-PREFIX/EXAMPLE-HOST", "some/where/testhost"))
for statement in policy["Statement"]:
    statement["Principal"] = {"AWS": ["arn:aws:iam:::user/host"]}
print(json.dumps(policy))
EOF
real guarded init
s3curl PUT 'guarded?policy=' "$work/policy.json" || result 1 "preparation: the policy"
access=(access-key=hostaccess secret-key=hostsecret)
below=some/where/testhost
real guarded open "create $below/once x" "create $below/once y" "get $below/once" "remove $below/once" "remove $below/once $below/other"
says '^create: ok' "an account that may not delete: it creates"
says '^create: exists' "not twice"
says '^remove: auth .*s3:DeleteObject is not permitted' "and does not delete"
answers '^remove: auth ' "not in numbers either"
real guarded open 'put elsewhere x'
answers '^put: auth .*s3:PutObject is not permitted' "it keeps to its own folder"
make_key key 'Recipient <recipient@example.com>'
make_tree
s3_repo guarded guarded
sed -i "s|^access-key = .*|access-key = hostaccess|; s|^secret-key-file = .*|secret-key-file = $work/host-secret|" "$M"
must init
hf backup
exits 0 "and is enough for a backup"
says_not 'warning|not permitted' "without complaint"
s3_admin "$work/ceph" quota set --quota-scope=user --uid=host --max-size=4096 >/dev/null 2>&1
s3_admin "$work/ceph" quota enable --quota-scope=user --uid=host >/dev/null 2>&1
access=(access-key=hostaccess secret-key=hostsecret)
real full init "putfile big $work/3M"
answers '^putfile: no-space .*quota' "a quota that is used up"
s3_admin "$work/ceph" user suspend --uid=host >/dev/null 2>&1
real conformance open
answers '^open: auth .*suspended' "an account that is suspended"
access=(access-key="$s3_access" secret-key="$s3_secret")

# object lock
more=(object-lock=governance retain=1d)
real conformance open
answers '^open: config .*has no object lock' "a bucket that was not made for locks"
real locked init 'put k v' 'get k' caps
says '^get: ok v' "init makes one that was"
answers '^caps: ok 7 8' "it is among the capabilities"
s3curl GET 'locked?versions=' >"$work/versions.xml"
version=$(sed -n 's|.*<VersionId>\([^<]*\)</VersionId>.*|\1|p' "$work/versions.xml")
s3curl GET "locked/k?retention=&versionId=$version" >"$work/retention.xml"
ok "the lock is on the object" grep -q '<Mode>GOVERNANCE</Mode>' "$work/retention.xml"
s3curl DELETE "locked/k?versionId=$version" >/dev/null 2>&1
is "$?" 22 "and holds"
until_when() { s3curl GET "locked/k?retention=&versionId=$version" | sed -n 's|.*<RetainUntilDate>\([^<]*\)</RetainUntilDate>.*|\1|p'; }
first=$(until_when)
more=(object-lock=governance retain=3d)
real locked open 'extend k nothing' 'extend k'
says '^extend: not-found ok,not-found' "a lock is made longer; what is not there has none"
answers '^extend: ok ok$' "once more does no harm"
second=$(until_when)
[[ "$second" > "$first" ]]
result $? "it ends later" || echo "# $first, then $second"
more=(object-lock=governance retain=1d)
real locked open 'extend k'
answers '^extend: ok ok$' "one that is longer already"
is "$(until_when)" "$second" "is not made shorter"
more=()
real conformance open 'put packs/t x' 'extend packs/t' 'thaw packs/t'
says '^extend: ok ok' "without a lock there is nothing to do"
answers '^thaw: ok ok' "nor without an archive"

# the past of a versioned bucket: the object below the delete marker
printf '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>' >"$work/versioning.xml"
real past init
s3curl PUT 'past?versioning=' "$work/versioning.xml"
real past open 'put d/a first' 'put d/ab other'
one_second
real past open 'put d/a second' 'remove d/ab' 'put d/c later' 'list d/'
answers '^list: ok  d/a:6 d/c:5$' "the bucket as it is"
more=(as-of="$when")
real past open 'list d/' 'get d/a' 'stat d/ab' 'get d/c' 'put d/x y' 'remove d/a'
says '^list: ok  d/a:5 d/ab:5$' "as it was: the listing"
says '^get: ok first$' "an object that was replaced since"
says '^stat: ok 5 ' "one that was deleted since"
says '^get: not-found' "one that was not there yet"
says '^put: config nothing can be stored' "nothing is stored in the past"
answers '^remove: config' "or deleted"
more=()

# a storage class that the service has
more=(storage-class=STANDARD_IA)
real conformance open "putfile packs/cold $work/3M" 'put records/warm x'
s3curl GET 'conformance?list-type=2&prefix=packs' >"$work/cold.xml"
ok "a pack in its storage class" grep -q '<StorageClass>STANDARD_IA</StorageClass>' "$work/cold.xml"
more=()

# ---- holdfast itself

s3_repo main backups
there_and_back "$s3_secret"

# copies by others' hands
cat >"$work/rclone.conf" <<EOF
[ceph]
type = s3
provider = Ceph
endpoint = $s3_url
access_key_id = $s3_access
secret_access_key = $s3_secret
EOF
by_other_hands ceph real bucket

# another target is brought level, through a service that fails at the first try of everything
printf '\n[target second]\nplugin = s3\nbucket = once\nendpoint = %s\naccess-key = A\nsecret-key-file = %s\n' "$double_url" "$work/secret" >>"$M"
hf sync
exits 0 "sync to a service that refuses everything once: it is tried again"
sed -i '/^\[target s3\]/,/^$/d' "$M"
hf restore latest --to "$work/restored3"
exits 0 "restore from there"
same "$tree" "$(restored "$work/restored3" tree "$tree")" "nothing is lost"
forget
sed -i 's|^bucket = .*|bucket = full|' "$M"
hf init
exits 1 "a service that is full: init fails"
says 'there is no space left' "and says why"
is "$(seen 'r["path"] if r["method"]=="PUT" and r["path"].count("/")>2 else None' | sort | uniq -d | wc -l)" 0 "it is not tried again"

done_testing
