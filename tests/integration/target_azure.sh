#!/bin/bash
# target_azure.sh - the azure target: against Azurite, and against a scripted service for the trouble that an emulator cannot be made to give.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034 # variables of lib.sh and target.sh
. "${SRCDIR:?}/tests/integration/lib.sh"
plugin=azure
# shellcheck source=target.sh
. "$here/target.sh"
: "${NPM_DIR:?where npm has installed}"
# shellcheck source=server_azurite.sh
. "$here/server_azurite.sh"
need python3 curl openssl gpg node rclone
need_npm azurite @azure/storage-blob
for name in $(compgen -e AZURE_; compgen -e IDENTITY_; compgen -e IMDS_); do unset "$name"; done

# ---- servers: a scripted one, two real ones

double_start double_azure.py
certificate tls
azurite_start real_url "$work/real"
azurite_start tls_url "$work/tls" --cert "$work/tls.crt" --key "$work/tls.key" --oauth basic
double_wait
key=$(printf key | base64)

stall_start container=stall endpoint="$double_url/acct" account-key="$key"

# double CONTAINER OPERATION...: with a key of the manifest.
double() {
  local container=$1
  shift
  call container="$container" endpoint="$double_url/acct" account-key="$key" "${more[@]}" -- "$@"
}


double plain init 'put a/b hello' 'get a/b' 'stat a/b' 'get a/b 1 3' 'list a/' 'remove a/b' 'get a/b'
answers '^get: not-found .*\(404 BlobNotFound\)' "the scripted service does store"
says '^get: ok ell$' "and gives ranges"
says '^stat: ok 5 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824$' "the digest is kept with the object"

# what goes wrong when opening: CONTAINER STATUS MESSAGE
opens double <<'EOF'
secret|auth .*the account key is wrong.*\(403 AuthenticationFailed\)
skew|auth .*clocks.*this host is 3(600|599|601) s ahead.*\(403 AuthenticationFailed\)
firewall|auth .*does not let this host in.*\(403 AuthorizationFailure\)
missing|not-found there is no container missing at 127.0.0.1.*holdfast init
creating|transient .*still being created.*\(409 AccountBeingCreated\)
disabled|auth .*the account is disabled
nokeys|auth .*does not allow keys: use an identity
version|config .*does not know api-version = 2021-12-02
html|transient .*the server refuses \(502\)
moved|config .*elsewhere.*\(307\)
nolist|ok
EOF
says '^log 3 listing the container is not permitted' "who may not list goes on, and is told"
double deleting init
answers '^init: transient .*is being deleted' "a container that is being deleted cannot be made yet"
double fresh open
answers '^open: not-found' "a container that is not there yet"
double fresh init 'put k v' 'get k'
answers '^get: ok v$' "is made by init"
call container=nobody endpoint=http://127.0.0.1:1/acct account-key="$key" -- open
answers '^open: transient no connection: ' "nobody listens: transient"

# what goes wrong later: CONTAINER OPERATION | STATUS MESSAGE
operates double <<'EOF'
busy|put e503 x|transient .*the server is busy: it asks to wait for 7 s.*\(503 ServerBusy\)
busy|get e429|transient .*too many requests: it asks to wait for 7 s.*\(429
busy|stat e500|transient .*\(500 OperationTimedOut\)
reset|get k|transient the connection was lost
short|get k|transient the answer is shorter
long|get k|ok x{50}$
unsaid|get k|transient k: the server does not say where it ends
endless|get k|transient .*the server refuses \(500\)
wrongrange|get k 10 2|failed .*not give the part
damaged|put k x|transient .*damaged on their way.*Md5Mismatch
liar|put k this|corrupt .*stored other bytes than were sent: their MD5
full|put k x|no-space .*\(507\)
large|put k 123456|config .*lower put-max
noput|put k x|auth .*Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write is not permitted.*AuthorizationPermissionMismatch
nodelete|remove k|auth auth .*blobs/delete is not permitted
nodelete|remove k l|auth auth,auth .*blobs/delete is not permitted
leased|remove k|auth auth .*holds a lease.*\(412 LeaseIdMissing\)
held|remove k|auth auth .*a legal hold.*\(409 BlobImmutableDueToLegalHold\)
kept|remove k|auth auth .*an immutability policy.*\(409 BlobImmutableDueToPolicy\)
snapshots|remove k|auth auth .*has snapshots
plain|remove none none/of/these|ok ok,ok
nocontainer|remove k|not-found not-found .*no such container
nocontainer|get k|not-found .*no such container
unheard|get k|failed .*\(404 SomethingElse\)
archive|get a|failed .*lies in the archive tier.*thaw = standard
list-good|list p/|ok  p/one:0 p/two:0 p/three:0$
list-500|list p/|transient .*InternalError
list-circle|list p/|failed .*circle
list-cut|list p/|transient .*cannot be used
list-open|list p/|transient .*whether there is more
list-empty|list p/|transient .*cannot be used
list-html|list p/|transient .*something else
list-other|list p/|failed .*not below it
list-denied|list p/|auth .*containers/blobs/read is not permitted
EOF
stall_end
double norange open 'put k 0123456789' 'get k 3 2'
answers '^get: failed .*not give the part' "a server that ignores ranges"
double plain open 'put ../k x'
answers '^put: failed not a key' "what is no key is not sent"
forget
double plain open 'put a x' 'put b x' 'get a' 'stat a' 'list' 'remove a b'
is "$(seen 'r["port"]' | sort -u | wc -l)" 1 "one connection does for everything"

# created, and the answer lost: the next try is told that the key is taken, by itself
double lost open 'create mine hello' 'create mine hello' 'create mine hello'
outcomes "open: ok,create: transient,create: ok,create: exists," "what an own try has stored is not somebody else's"
double lost open 'create other hello' 'create other hello'
answers '^create: exists other is there already' "and what somebody else has stored is not ours"
double addonly open 'put k hello' 'put k hello' 'create k hello' 'put k other'
outcomes "open: ok,put: ok,put: ok,create: exists,put: ok," "who may only add need not replace what is there"
double addonly open 'put k longer'
answers '^put: auth k is there with another size' "nor can"
double kept open 'put k hello' 'put k hello' 'create k hello' 'put k longer'
outcomes "open: ok,put: ok,put: ok,create: exists,put: auth," "the same where a policy keeps what is there"

# blocks
head -c 200000 /dev/urandom >"$work/200K"
more=(put-max=64K block-size=64K)
forget
double plain open "putfile big $work/200K" 'stat big' 'create big x'
says "^stat: ok 200000 $(sha256sum <"$work/200K" | cut -d ' ' -f 1)" "a large object in blocks"
is "$(seen '"comp=block&" in r["path"] or None' | wc -l)" 4 "of the size that was set"
answers '^create: exists' "and it is there for all"
double taken open "putfile big $work/200K"
answers '^putfile: transient .*another upload' "blocks that are gone: another try"
more=(put-max=64K block-size=64K checksum=crc64)
double plain open 'put k hello' "putfile big2 $work/200K" 'get k'
answers '^get: ok hello' "checksums by CRC-64"
is "$(seen '"x-ms-content-crc64" in h and "content-md5" not in h if r["method"] == "PUT" and "big2" in r["path"] else None' | sort -u)" True "and none by MD5"
double liar open 'put k this'
answers '^put: corrupt .*their CRC-64 is' "one that does not agree"
more=()

# headers of what is stored
forget
more=(tier=cool tier-min=4 encryption-scope=vault)
double plain open 'put web1/packs/ab/c hello' 'put web1/packs/ab/d x' 'put web1/records/1 hello'
headers='" ".join(h.get("x-ms-" + n, "-") for n in ("access-tier", "encryption-scope", "blob-type")) if r["method"] == "PUT" else None'
is "$(seen "$headers" | tr '\n' ';')" "Cool vault BlockBlob;- vault BlockBlob;- vault BlockBlob;" "the tier for packs only, the encryption scope for all"
more=(tier=cold tier-min=1)
double notier open 'put packs/a x'
answers '^put: config .*tier: the account has no such tier' "a tier the account does not have"
customer=$(openssl rand -base64 32)
more=(encryption-key="$customer")
double guarded open 'put k hello' 'get k' 'get k 1 2' 'stat k'
outcomes "open: ok,put: ok,get: ok,get: ok,stat: ok," "a key for the encryption by the service"
says_not "$customer" "is not shown"
more=()
double guarded open 'get k'
answers '^get: config .*encryption-key that is not set here' "its absence is said"

# immutability
more=(immutability=unlocked retain=10d)
forget
double worm open 'put web1/packs/a x' 'put web1/locks/b x' caps
headers='h.get("x-ms-immutability-policy-mode", "-") + str("x-ms-immutability-policy-until-date" in h) if r["method"] == "PUT" else None'
is "$(seen "$headers" | tr '\n' ';')" "UnlockedTrue;-False;" "policies with all but lock objects"
answers '^caps: ok 7 8' "it is among the capabilities"
more=(immutability=unlocked retain=12d)
forget
double worm open 'extend web1/packs/a web1/locks/b'
answers '^extend: ok ok,ok$' "what is needed longer is protected longer"
is "$(seen 'r["method"] + r["path"].partition("worm")[2] if "web1" in r["path"] else None' | tr '\n' ' ')" \
  "HEAD/web1/packs/a PUT/web1/packs/a?comp=immutabilityPolicies " "by a new date"
more=(immutability=unlocked retain=5d)
forget
double worm open 'extend web1/packs/a'
is "$(seen 'r["method"] if "web1" in r["path"] else None')" HEAD "never by an earlier one"
more=(immutability=locked retain=20d)
double worm open 'extend web1/packs/a'
more=(immutability=unlocked retain=30d)
forget
double worm open 'extend web1/packs/a'
is "$(seen 'h.get("x-ms-immutability-policy-mode")' | tr -d '\n' | sed 's/None//g')" Locked "and a locked one is not unlocked"
double worm open 'extend web1/packs/none'
answers '^extend: not-found not-found' "what is not there cannot be protected"
double noworm open
answers '^open: config .*does not support immutability policies' "a container without policies"
double halfworm open 'put k x'
answers '^put: config .*stored without its immutability policy' "and one that ignores them"

# the archive
more=(thaw=high thaw-tier=cool)
double archive open 'get a' 'get a' 'thaw a b c' 'thaw c' 'thaw none c'
is "$(grep -c '^get: failed .*being brought back' "$work/out")" 2 "an archived object is asked for, and once more does no harm"
is "$(head -n 1 "$double/tier")" "a Cool High -" "with tier and priority"
says '^thaw: transient transient,transient,ok 2 of 3 objects are being brought back.*less than an hour \(thaw = high\)' "several at once"
says '^thaw: ok ok$' "what lies at hand is at hand"
answers '^thaw: not-found not-found,ok' "what is not there is not there"
more=()
forget
double archive open 'thaw a b'
answers '^thaw: ok ok,ok$' "where nothing is to be brought back"
is "$(seen 'r["method"] if "/archive/" in r["path"] else None')" "" "nothing is asked"
more=(thaw=standard)
double busy open 'thaw e503 c'
answers '^thaw: transient .*the server is busy' "a service that is busy: the host asks again"
more=(immutability=unlocked retain=1d)
double busyworm open 'extend e503 c'
answers '^extend: transient .*the server is busy' "the same with what is to be protected"
more=()

# the past
more=(as-of=2026-11-20T00:00:00Z)
double past open 'list p/'
answers '^list: ok  p/a:1 p/b:2 p/c:3 p/e:5$' "the past, over two pages"
double past open 'get p/b' 'get p/d' 'put k x' 'remove k'
says '^get: ok p/b at 2026-11-02T00:00:00.1234567Z$' "an object that was replaced since"
says '^get: not-found' "one that was not there yet"
says '^put: config nothing can be stored' "nothing is stored in the past"
answers '^remove: config' "or deleted"
more=()

# ---- who is asking

# proved ENV... -- SETTING... -- OPERATION...: without a key in the manifest; $used: the proofs that were shown to the storage.
proved() {
  local env=()
  while [ "$1" != -- ]; do env+=("$1") && shift; done
  shift
  forget
  env "${env[@]}" timeout 60 "$call" "$so" container="${container:-plain}" "$@" >"$work/out" 2>&1 </dev/null
  rc=$?
  last="target_call $*"
  used=$(seen 'h.get("authorization", "SAS" if "sig=" in r["path"] else "none").split(":")[0] if r["path"].startswith("/acct") else None' | uniq | tr '\n' ',')
}
at=endpoint=$double_url/acct
sas='sv=2021-12-02&ss=b&srt=co&sp=rl&se=2020-01-01T00:00:00Z&sig=good'
string="DefaultEndpointsProtocol=http;AccountName=acct;AccountKey=$key;BlobEndpoint=$double_url/acct/;QueueEndpoint=x"
proved -- "$at" sas-token="?$sas" -- open 'put k x' 'get k' 'list'
answers '^list: ok ' "a SAS token"
is "$used" "SAS," "is used and nothing else"
container=noput proved -- "$at" sas-token="$sas" -- open 'put k x'
answers '^put: auth .*the SAS token has not the permission w, its sp is rl' "what it does not permit is named"
proved -- "$at" sas-token="${sas/good/hushhush}" -- open
answers '^open: auth .*the SAS token has expired: it was good until 2020-01-01T00:00:00Z' "one that has expired"
says_not 'hushhush' "is not shown"
proved -- "$at" sas-token="sv=2021-12-02&sp=rl&st=2090-01-01&se=2099-01-01&sig=bad" -- open
answers '^open: auth .*the SAS token is not good before 2090-01-01' "one that is not good yet"
proved -- "$at" sas-token="sv=2021-12-02&sp=rl&se=2099-01-01&sig=bad" -- open
answers '^open: auth .*the SAS token is wrong' "one that is wrong"
proved -- endpoint=http://storage.example.com/acct sas-token="$sas" -- open
answers '^open: config endpoint: https is wanted: the SAS token would travel in the clear' "it does not travel in the clear"
proved -- "$at" sas-token="https://x/?$sas" -- open
answers '^open: config sas-token: a shared access signature is wanted' "a URL is no SAS token"
proved -- connection-string="$string" -- open
is "$used" "SharedKey acct," "a connection string"
proved -- connection-string="BlobEndpoint=$double_url/acct;SharedAccessSignature=$sas" -- open
is "$used" "SAS," "with a SAS token in it"
proved -- connection-string="$string;Colour=red" -- open
answers '^open: config connection-string cannot be used: Colour is no name' "what is wrong with one is named"
says_not "$key" "and no value is shown"
proved AZURE_STORAGE_CONNECTION_STRING="$string" -- -- open
is "$used" "SharedKey acct," "the same from the environment"
proved AZURE_STORAGE_ACCOUNT=acct AZURE_STORAGE_KEY="$key" -- "$at" -- open
is "$used" "SharedKey acct," "a key from the environment"
proved AZURE_STORAGE_KEY="$key" -- -- open
answers '^open: config .*AZURE_STORAGE_KEY without AZURE_STORAGE_ACCOUNT' "half of it"
proved AZURE_STORAGE_SAS_TOKEN="$sas" -- "$at" -- open
is "$used" "SAS," "a SAS token from the environment"
proved -- "$at" account-key="$key" sas-token="$sas" -- open
answers '^open: config only one of ' "two of them are one too many"
proved -- "$at" account-key=nonsense! -- open
answers '^open: config account-key: .* in base64' "what is no key"

principal=(tenant-id=tenant client-id=app authority-host="$double_url")
proved AZURE_STORAGE_KEY="$key" -- "$at" "${principal[@]}" client-secret='s3cret +&=' -- open 'put k x' 'get k'
answers '^get: ok x' "a service principal, before what is in the environment"
is "$used" "Bearer T1," "by one token"
proved AZURE_CLIENT_SECRET='s3cret +&=' AZURE_TENANT_ID=tenant AZURE_CLIENT_ID=app AZURE_AUTHORITY_HOST="$double_url/" -- "$at" -- open
is "$used" "Bearer T2," "all of it from the environment"
proved -- "$at" "${principal[@]}" client-secret=wr0ng -- open
answers '^open: auth no token: client-secret is wrong.*\(401 AADSTS7000215\)' "a wrong secret"
says_not 'wr0ng|Trace' "is not shown"
proved -- "$at" tenant-id=tenant client-id=other authority-host="$double_url" client-secret=x -- open
answers '^open: auth no token: client-id is wrong.*AADSTS700016' "a wrong application"
proved -- "$at" tenant-id=nowhere client-id=app authority-host="$double_url" client-secret=x -- open
answers '^open: auth no token: tenant-id is wrong.*AADSTS90002' "a wrong tenant"
proved -- "$at" client-id=app authority-host="$double_url" client-secret=x -- open
answers '^open: config credentials = service-principal wants tenant-id' "no tenant"
proved -- "$at" tenant-id=tenant client-id=app authority-host="$double_url/busy" client-secret=x -- open
answers '^open: transient no token: ' "a token service that is busy: transient"
proved -- "$at" "${principal[@]}" authority-host=http://login.example.com client-secret=x -- open
answers '^open: config authority-host = http://login.example.com' "a secret does not travel in the clear"

printf 'web/token=\n' >"$work/token"
proved AZURE_FEDERATED_TOKEN_FILE="$work/token" AZURE_TENANT_ID=tenant AZURE_CLIENT_ID=app AZURE_AUTHORITY_HOST="$double_url/" -- "$at" -- open
is "$used" "Bearer T3," "a workload identity"
echo other >"$work/token"
proved AZURE_FEDERATED_TOKEN_FILE="$work/token" AZURE_TENANT_ID=tenant AZURE_CLIENT_ID=app AZURE_AUTHORITY_HOST="$double_url/" -- "$at" -- open
answers '^open: auth no token: the application trusts no such workload.*AADSTS700213' "one that is not trusted"
proved AZURE_FEDERATED_TOKEN_FILE="$work/none" AZURE_TENANT_ID=tenant AZURE_CLIENT_ID=app AZURE_AUTHORITY_HOST="$double_url/" -- "$at" -- open
answers '^open: config cannot open .*/none' "one whose token is not there"

imds=AZURE_POD_IDENTITY_AUTHORITY_HOST=$double_url
proved "$imds" -- "$at" -- open 'put k x'
is "$used" "Bearer T4," "the managed identity of a machine"
proved "$imds" -- "$at" client-id=chosen -- open
is "$(seen 'r["path"].partition("client_id=")[2] if "metadata" in r["path"] else None')" chosen "one of several"
proved "$imds" -- "$at" client-id=nobody -- open
answers '^open: auth no token: the metadata service of this machine refuses: Identity not found \(400 invalid_request\)' "a machine without that identity"
proved AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:1 -- "$at" -- open
answers '^open: auth no credentials: neither in the manifest' "a machine that is none of Azure's"
proved AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:1 -- "$at" credentials=managed-identity -- open
answers '^open: transient no connection' "where it was asked for, that may pass"
proved IDENTITY_ENDPOINT="$double_url/msi/token" IDENTITY_HEADER=pass -- "$at" -- open
is "$used" "Bearer T6," "the managed identity of an app"
proved IDENTITY_ENDPOINT="$double_url/msi/token" IDENTITY_HEADER=fail -- "$at" -- open
answers '^open: auth no token: the identity service of this app refuses: No such header \(401\)' "that is refused"
proved IDENTITY_ENDPOINT="$double_url/msi/token" -- "$at" -- open
answers '^open: config .*IDENTITY_ENDPOINT without IDENTITY_HEADER' "half of it"
proved IDENTITY_ENDPOINT="$double_url/msi/token" IMDS_ENDPOINT=http://127.0.0.1:1 -- "$at" -- open
answers '^open: unsupported the identity of Azure Arc is not supported' "what is not done is said"
proved IDENTITY_ENDPOINT="$double_url/short/token" IDENTITY_HEADER=pass -- "$at" -- open 'put k x'
is "$used" "Bearer T7,Bearer T8," "a token about to expire is replaced before"
container=expiring
proved "$imds" -- "$at" -- open 'put k x' 'put l x' 'get l'
answers '^get: ok x' "a token that expires in the middle of a run is replaced"
is "$used" "Bearer T9,Bearer T10," "by one new token"
container=expired
proved "$imds" -- "$at" -- open
answers '^open: auth .*the token of the identity is not accepted.*\(401 InvalidAuthenticationInfo\)' "and when the new one is refused too"
is "$(seen 'r["path"] if "expired" in r["path"] else None' | wc -l)" 2 "there is no third try"
unset container
proved "$imds" -- "$at" credentials=environment -- open
answers '^open: config credentials = environment: AZURE_STORAGE_CONNECTION_STRING' "a source that is named is the only one"
proved -- "$at" credentials=managed-identity account-key="$key" -- open
answers '^open: config account-key is set, and credentials = managed-identity' "and none beside it"

# ---- Azurite

azurite_ready "$real_url" && azurite_ready "$tls_url"
result $? "the emulator starts" || { diag "$work/real/out" "$work/tls/out" && echo "Bail out! no service" && exit 1; }
access=(account-key="$azurite_key")

# real CONTAINER OPERATION...
real() {
  local container=$1
  shift
  call container="$container" endpoint="$real_url" "${access[@]}" "${more[@]}" -- "$@"
}

"$BUILDDIR/holdfast-target-conformance" -n 1010 "$so" container=conformance endpoint="$real_url" "${access[@]}" >"$work/conformance.log" 2>&1
conformed $? "it keeps the contract, with a listing of two pages"
"$BUILDDIR/holdfast-target-conformance" -n 10 "$so" container=blocks endpoint="$real_url" put-max=1000 block-size=64K "${access[@]}" \
  >"$work/conformance.log" 2>&1
conformed $? "and in blocks"

real nowhere open
answers '^open: not-found there is no container nowhere' "a container there is not"
real twice init
real twice init
answers '^init: ok' "one that is there is not made again"
access=(account-key="$key")
real conformance open
answers '^open: auth .*the account key is wrong' "a wrong key"
access=(account-key="$azurite_key" api-version=2099-01-01)
real conformance open
answers '^open: config .*does not know api-version = 2099-01-01' "a version of the interface there is not"
access=(account-key="$azurite_key" api-version=2019-07-07)
real old init 'put k v' 'get k'
answers '^get: ok v' "an old one, of the time of Azure Stack"
access=(account-key="$azurite_key")
more=(immutability=locked retain=1d)
real conformance open
answers '^open: config .*does not support immutability' "it has no immutability, which is found out"
more=(tier=cool tier-min=1)
real conformance open 'put packs/cold x' 'put records/warm x' 'get packs/cold'
answers '^get: ok x' "a pack in a cooler tier"
more=(tier=archive tier-min=1)
real conformance open 'put packs/frozen x' 'get packs/frozen'
answers '^get: failed packs/frozen lies in the archive tier' "what lies in the archive cannot be read"
more=(thaw=standard)
real conformance open 'thaw packs/frozen packs/cold' 'get packs/frozen'
says '^thaw: transient transient,ok 1 of 2 objects are being brought back' "and is brought back"
answers '^get: ok x' "which takes the emulator no time"
more=()

# TLS, and tokens at a service that looks at them
tls() { TARGET_CA_FILE=${ca-$work/tls.crt} call container=conformance endpoint="${1:-$tls_url}" "${access[@]}" -- init 'put t x' 'get t'; }
ca='' tls
answers '^init: config the certificates to trust cannot be read|^init: auth the server.s certificate' "a certificate nobody knows"
tls
answers '^get: ok x' "one that is known"
tls "https://localhost:${tls_url##*:}"
answers '^init: auth the server.s certificate' "one of another name"
tls "https://${real_url#http://}"
answers '^init: config the server does not speak TLS' "a server without TLS"
# jwt AUDIENCE SECONDS: a token as Microsoft Entra ID would make it; the emulator does not look at its signature.
jwt() {
  python3 -c '
import base64, json, sys, time
def part(d): return base64.urlsafe_b64encode(json.dumps(d).encode()).rstrip(b"=").decode()
now = int(time.time())
claims = {"aud": sys.argv[1], "iss": "https://sts.windows.net/tenant/", "iat": now - 60, "nbf": now - 60, "exp": now + int(sys.argv[2])}
print(part({"alg": "RS256", "typ": "JWT"}) + "." + part(claims) + ".x")' "$@"
}
cat >"$work/imds.py" <<'EOF'
import http.server, json, sys
class Imds(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"access_token": open(sys.argv[1] + "/jwt").read().strip(), "expires_in": "3600"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Imds)
open(sys.argv[1] + "/imds.new", "w").write(str(server.server_port))
import os
os.rename(sys.argv[1] + "/imds.new", sys.argv[1] + "/imds")
server.serve_forever()
EOF
python3 "$work/imds.py" "$work" &
jobs_started+=($!)
disown
until [ -e "$work/imds" ]; do sleep 0.02; done
access=(credentials=managed-identity)
AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:$(cat "$work/imds")
export AZURE_POD_IDENTITY_AUTHORITY_HOST
jwt https://storage.azure.com 600 >"$work/jwt"
tls
answers '^get: ok x' "a token, at the emulator"
jwt https://storage.azure.com -30 >"$work/jwt"
tls
answers '^init: auth .*the token of the identity is not accepted: .*expired' "one that has expired"
jwt https://management.azure.com 600 >"$work/jwt"
tls
answers '^init: auth .*the token of the identity is not accepted: .*audience' "one for something else"
machine=$AZURE_POD_IDENTITY_AUTHORITY_HOST
unset AZURE_POD_IDENTITY_AUTHORITY_HOST
access=(account-key="$azurite_key")

# ---- other clients

# client.js ACTION ...: Microsoft's own, for node.
cat >"$work/client.js" <<'EOF'
globalThis.crypto ??= require("crypto").webcrypto; // Node.js 18 has it under this name only
const { BlobServiceClient, BlobSASPermissions, ContainerSASPermissions, StorageSharedKeyCredential, generateBlobSASQueryParameters, SASProtocol } =
  require(process.env.NPM_DIR + "/node_modules/@azure/storage-blob");
const fs = require("fs");
const [url, account, key, action, container, name, file] = process.argv.slice(2);
const credential = new StorageSharedKeyCredential(account, key);
const folder = new BlobServiceClient(url, credential).getContainerClient(container);
(async () => {
  if (action === "put") {
    const data = fs.readFileSync(file), sha256 = require("crypto").createHash("sha256").update(data).digest("hex");
    await folder.getBlockBlobClient(name).uploadData(data, { metadata: { sha256 }, blockSize: 65536, maxSingleShotSize: 65536 });
  } else if (action === "get") {
    const blob = folder.getBlobClient(name);
    await blob.downloadToFile(file);
    const p = await blob.getProperties();
    console.log(p.metadata.sha256, p.contentType, p.contentMD5 ? p.contentMD5.toString("base64") : "-", p.accessTier);
  } else if (action === "sas") {
    console.log(generateBlobSASQueryParameters({ containerName: container, permissions: ContainerSASPermissions.parse(name), protocol: SASProtocol.HttpsAndHttp,
      startsOn: new Date(Date.now() - 60000), expiresOn: new Date(Date.now() + Number(file) * 1000) }, credential).toString());
  } else if (action === "lease") {
    await folder.getBlobClient(name).getBlobLeaseClient().acquireLease(60);
  } else if (action === "snapshot") {
    await folder.getBlobClient(name).createSnapshot();
  } else if (action === "blocks") {
    await folder.getBlockBlobClient(name).stageBlock(Buffer.from("half").toString("base64"), "half", 4);
  }
})().catch((e) => { console.error(e.message); process.exit(1); });
EOF
client() { node "$work/client.js" "$real_url" "$azurite_account" "$azurite_key" "$@" 2>"$work/client.err"; }
real shared init "putfile d/ours $work/200K"
client get shared d/ours "$work/back" >"$work/properties"
result $? "Microsoft's client reads what was put" || diag "$work/client.err"
ok "all of it" cmp "$work/200K" "$work/back"
is "$(cut -d ' ' -f 1-3 "$work/properties")" \
  "$(sha256sum <"$work/200K" | cut -d ' ' -f 1) application/octet-stream $(openssl dgst -md5 -binary "$work/200K" | base64)" "with its digests"
client put shared d/theirs "$work/200K"
result $? "and puts something, in blocks" || diag "$work/client.err"
real shared open 'stat d/theirs' 'list d/' 'get d/theirs 0 4'
says "^stat: ok 200000 $(sha256sum <"$work/200K" | cut -d ' ' -f 1)" "that is read here"
client blocks shared d/half
real shared open 'list d/' 'stat d/half'
answers '^stat: not-found' "an upload that is not finished is not there"
client lease shared d/ours
real shared open 'remove d/ours'
answers '^remove: auth auth .*holds a lease' "a lease keeps an object"
client snapshot shared d/theirs
real shared open 'remove d/theirs'
answers '^remove: auth auth .*has snapshots' "and so do snapshots"

# signatures that it makes
access=(sas-token="$(client sas shared racwdl 600)")
real shared open 'put sas/k x' 'get sas/k' 'list sas/' 'remove sas/k'
answers '^remove: ok' "a SAS token for the container"
access=(sas-token="$(client sas shared rl 600)")
real shared open 'get sas/none' 'put sas/k x'
answers '^put: auth .*the SAS token has not the permission w, its sp is rl' "one for reading only"
access=(sas-token="$(client sas shared rcl 600)")
real shared open 'create sas/once x' 'put sas/once x' 'remove sas/once'
outcomes "open: ok,create: ok,put: ok,remove: auth," "one for adding only: it adds, and does not delete"
expired=$(client sas shared rl -30)
access=(sas-token="$expired")
real shared open
answers '^open: auth .*the SAS token has expired' "one that has expired"
last=
! grep -qF -e "${expired##*sig=}" "$work/out" "$work/err"
result $? "none is shown"
access=(account-key="$azurite_key")

# ---- holdfast itself

make_key gpg_key 'Recipient <recipient@example.com>'
recipients=$gpg_key
make_tree
(umask 077 && printf '%s\n' "$azurite_key" >"$work/secret" && printf '%s\n' "$key" >"$work/double-secret")

# azure_repo NAME CONTAINER [LINE...]: a repository with one target, that container.
azure_repo() { target_repo "$1" "container = $2" "endpoint = $real_url" "account-key-file = $work/secret" "${@:3}"; }
azure_repo main backups 'put-max = 1M' 'block-size = 512K'
there_and_back "$azurite_key"

# over TLS, with the identity of the machine
azure_repo tls secure "ca-file = $work/tls.crt" 'credentials = managed-identity' 'connections = 2'
sed -i "s|^endpoint = .*|endpoint = $tls_url|; /^account-key-file = /d" "$M"
jwt https://storage.azure.com 600 >"$work/jwt"
export AZURE_POD_IDENTITY_AUTHORITY_HOST=$machine
must init
must backup
hf verify --read
exits 0 "over TLS, with the identity of the machine: backup and verify"
hf restore latest --to "$work/restored0"
exits 0 "and restore"
same "$tree" "$(restored "$work/restored0" tree "$tree")" "all of it"
unset AZURE_POD_IDENTITY_AUTHORITY_HOST
M=$work/main/m.ini
R=$work/main

# an account that may add, and not delete
(umask 077 && client sas backups rcl 3600 >"$work/add-only")
sed -i "s|^account-key-file = .*|sas-token-file = $work/add-only|" "$M"
echo again >"$tree/sub/new"
hf backup
exits 0 "who may only add and read can back up"
sed -i "s|^sas-token-file = .*|account-key-file = $work/secret|" "$M"
hf verify --read
exits 0 "and what was added is good"

# copies by others' hands
cat >"$work/rclone.conf" <<EOF
[az]
type = azureblob
use_emulator = true
endpoint = $real_url
EOF
by_other_hands az real container

# another target is brought level, through a service that fails at the first try of everything
printf '\n[target second]\nplugin = azure\ncontainer = once\nendpoint = %s\naccount-key-file = %s\n' "$double_url/acct" "$work/double-secret" >>"$M"
hf sync
exits 0 "sync to a service that refuses everything once: it is tried again"
sed -i '/^\[target azure\]/,/^$/d' "$M"
hf restore latest --to "$work/restored3"
exits 0 "restore from there"
same "$tree" "$(restored "$work/restored3" tree "$tree")" "nothing is lost"
# a service that loses the answer of everything it stores
azure_repo lost lost
sed -i "s|^endpoint = .*|endpoint = $double_url/acct|; s|^account-key-file = .*|account-key-file = $work/double-secret|" "$M"
hf init
exits 0 "a service whose answers are lost: init"
hf backup
exits 0 "and a backup"
hf verify
exits 0 "and verify"
azure_repo full full
sed -i "s|^endpoint = .*|endpoint = $double_url/acct|; s|^account-key-file = .*|account-key-file = $work/double-secret|" "$M"
forget
hf init
exits 1 "a service that is full: init fails"
says 'no space|\(507\)' "and says why"
is "$(seen 'r["path"] if r["method"]=="PUT" and r["path"].count("/")>3 else None' | sort | uniq -d | wc -l)" 0 "it is not tried again"

done_testing
