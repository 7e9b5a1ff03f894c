#!/usr/bin/env python3
# double_gcs.py - a strict double of Google Cloud Storage's JSON API and of the services that hand out its tokens.
# SPDX-License-Identifier: Apache-2.0
#
# usage: double_gcs.py FOLDER. Listens on a free port of 127.0.0.1, whose number it writes to FOLDER/port; every request is a JSON line in FOLDER/log.
# FOLDER/accounts.json says who there is: {EMAIL: {"key": FILE of a public key, "kid": its id, "grants": [{"permissions": [...], "prefix": "..."}]}};
# without grants an account may do everything. FOLDER/admin-token holds a token that is always good.
#
# There is no such server to be had, so this one refuses whatever the real one is documented to refuse, and every parameter it does not know: tokens and
# their scopes, signatures of JWTs (by the openssl command), permissions, preconditions, checksums, lengths, the protocol of resumable uploads, generations,
# retention. Real clients (rclone, @google-cloud/storage) are run on it as well. The name of a bucket says what goes wrong there; "plain" just stores.
# What all doubles share is in double.py; tokens come from double_gcs_tokens.py, troubles from double_gcs_trouble.py.
import sys

sys.dont_write_bytecode = True
import base64, calendar, hashlib, json, re, secrets, struct, time, urllib.parse
from double import Handler, folder, lock, serve
from double_gcs_tokens import FULL, Gone, READ, Refusal, SCOPE, Tokens, WRITE, accounts, tokens
from double_gcs_trouble import GRANULE, Trouble

sessions = {}  # id -> Session
buckets = {}
CLASSES = ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE")
KMS = "projects/p1/locations/eu/keyRings/r1/cryptoKeys/good"


# ---- checksums: of its own making, so that nothing is compared with itself

TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)
known = {}


def crc32c(data):
    name = hashlib.sha256(data).digest()
    if name not in known:
        s, table = 0xFFFFFFFF, TABLE
        for b in data:
            s = table[(s ^ b) & 255] ^ s >> 8
        known[name] = base64.b64encode(struct.pack(">I", s ^ 0xFFFFFFFF)).decode()
    return known[name]


assert crc32c(b"123456789") == "4waSgw=="


def md5(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


# ---- times

def stamp(t):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t)) + ".%03dZ" % (t * 1000 % 1000)


def seconds(text):
    m = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z", text)
    if not m:
        raise Refusal(400, "invalid", "Invalid value for: Invalid format: \"%s\"" % text)
    return calendar.timegm(time.strptime(m[1], "%Y-%m-%dT%H:%M:%S")) + float(m[2] or 0)


# ---- buckets and objects

class Bucket:
    def __init__(self, name, **more):
        self.name, self.objects, self.created = name, {}, time.time()
        self.versioning, self.retention, self.payer, self.policy, self.hold = False, False, False, 0, False
        self.__dict__.update(more)

    def json(self):
        d = {"kind": "storage#bucket", "id": self.name, "name": self.name, "location": "EU", "storageClass": "STANDARD", "metageneration": "1",
             "timeCreated": stamp(self.created), "versioning": {"enabled": self.versioning},
             "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}}}
        if self.retention:
            d["objectRetention"] = {"mode": "Enabled"}
        return d

    def live(self, name):
        versions = self.objects.get(name, [])
        return versions[-1] if versions and versions[-1].deleted is None else None


class Version:
    last = int(time.time() * 1e6)

    def __init__(self, bucket, name, data, meta, kms):
        with lock:
            Version.last += 1
            self.generation = str(Version.last)
        self.bucket, self.name, self.data, self.kms = bucket, name, data, kms
        self.created, self.deleted, self.metageneration = time.time(), None, 1
        self.type = meta.get("contentType") or "application/octet-stream"
        self.metadata = meta.get("metadata")
        self.cls = meta.get("storageClass") or "STANDARD"
        self.retention = meta.get("retention")
        self.encoding = meta.get("contentEncoding")
        self.hold = bucket.hold
        self.crc, self.md5 = crc32c(data), md5(data)

    def json(self, base):
        at = "/b/%s/o/%s" % (self.bucket.name, urllib.parse.quote(self.name, safe=""))
        d = {"kind": "storage#object", "id": "%s/%s/%s" % (self.bucket.name, self.name, self.generation), "selfLink": base + "/storage/v1" + at,
             "mediaLink": base + "/download/storage/v1" + at + "?generation=%s&alt=media" % self.generation, "name": self.name, "bucket": self.bucket.name,
             "generation": self.generation, "metageneration": str(self.metageneration), "contentType": self.type, "storageClass": self.cls,
             "size": str(len(self.data)), "md5Hash": self.md5, "crc32c": self.crc, "etag": "e" + self.generation, "timeCreated": stamp(self.created),
             "updated": stamp(self.created)}
        for key, value in (("metadata", self.metadata), ("retention", self.retention), ("kmsKeyName", self.kms), ("contentEncoding", self.encoding)):
            if value:
                d[key] = value
        if self.hold:
            d["temporaryHold"] = True
        if self.deleted is not None:
            d["timeDeleted"] = stamp(self.deleted)
        return d

    def protected(self):
        """Raise when it may not be deleted or replaced."""
        at = "%s/%s" % (self.bucket.name, self.name)
        if self.hold:
            raise Refusal(403, "objectUnderActiveHold", "Object '%s' is under active Temporary hold and cannot be deleted, overwritten or archived "
                          "until hold is removed." % at)
        until = max(self.created + self.bucket.policy if self.bucket.policy else 0, seconds(self.retention["retainUntilTime"]) if self.retention else 0)
        if until > time.time():
            raise Refusal(403, "retentionPolicyNotMet", "Object '%s' is subject to bucket's retention policy or object retention and cannot be deleted or "
                          "overwritten until %s" % (at, stamp(until)))


class Session:
    def __init__(self, bucket, name, meta, q, size):
        self.bucket, self.name, self.meta, self.q, self.size = bucket, name, meta, q, size
        self.data, self.done = bytearray(), None


def make_buckets():
    for name in dir(Double):
        if name.startswith("on_"):
            buckets[name[3:].replace("_", "-")] = Bucket(name[3:].replace("_", "-"))
    for name, more in {"plain": {}, "second": {}, "versioned": {"versioning": True}, "retained": {"retention": True}, "policy": {"policy": 3600},
                       "held": {"hold": True}, "payer": {"payer": True}, "guarded": {}, "open-to-all": {}, "guarded-retained": {"retention": True}}.items():
        buckets[name] = Bucket(name, **more)
    buckets.pop("missing", None)


def check_retention(bucket, new, old=None, override=False):
    if not bucket.retention:
        raise Refusal(400, "invalid", "Object retention is not enabled on the bucket %s." % bucket.name)
    if not isinstance(new, dict) or set(new) != {"mode", "retainUntilTime"} or new["mode"] not in ("Locked", "Unlocked"):
        raise Refusal(400, "invalid", "Invalid retention configuration.")
    if seconds(new["retainUntilTime"]) <= time.time():
        raise Refusal(400, "invalid", "The retention time must be in the future.")
    if old:
        shorter = seconds(new["retainUntilTime"]) < seconds(old["retainUntilTime"])
        if old["mode"] == "Locked" and (shorter or new["mode"] != "Locked"):
            raise Refusal(403, "forbidden", "Object retention is locked and cannot be shortened.")
        if shorter and not override:
            raise Refusal(400, "invalid", "Shortening a retention wants overrideUnlockedRetention.")


def pick(value, fields):
    """Only what fields names: a,b(c,d),e/f."""
    if isinstance(value, list):
        return [pick(v, fields) for v in value]
    out, depth, part, parts = {}, 0, "", []
    for c in fields + ",":
        if c == "," and depth == 0:
            parts.append(part)
            part = ""
            continue
        depth += (c == "(") - (c == ")")
        part += c
    for p in parts:
        m = re.fullmatch(r"([A-Za-z0-9]+|\*)(?:\((.*)\)|/(.*))?", p)
        if not m:
            raise Refusal(400, "invalidParameter", "Invalid field selection " + p)
        for name in value if m[1] == "*" else [m[1]]:
            if name in value:
                sub = m[2] or m[3]
                out[name] = pick(value[name], sub) if sub else value[name]
    return out


# What each method takes besides; what is not there is refused.
COMMON = {"alt", "fields", "prettyPrint", "userProject", "projection"}
MATCH = {"ifGenerationMatch", "ifGenerationNotMatch", "ifMetagenerationMatch", "ifMetagenerationNotMatch"}
PARAMETERS = {
    "objects.list": {"prefix", "delimiter", "pageToken", "maxResults", "versions", "startOffset", "endOffset", "includeTrailingDelimiter", "autoPaginate"},
    "objects.get": MATCH | {"generation"},
    "objects.delete": MATCH | {"generation"},
    "objects.patch": MATCH | {"generation", "overrideUnlockedRetention", "predefinedAcl"},
    "objects.insert": MATCH | {"name", "uploadType", "kmsKeyName", "contentEncoding", "upload_id", "predefinedAcl"},
    "buckets.get": {"ifMetagenerationMatch", "ifMetagenerationNotMatch"},
    "buckets.list": {"project", "maxResults", "pageToken", "prefix"},
    "buckets.insert": {"project", "enableObjectRetention", "predefinedAcl", "predefinedDefaultObjectAcl"},
    "buckets.delete": set(),
}


class Double(Trouble, Tokens, Handler):
    buckets, sessions = buckets, sessions

    def read(self, at_most=None):
        """The body, or its first part: (bytes, whether that is all)."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            out = b""
            while True:
                n = int(self.rfile.readline().split(b";")[0], 16)
                out += self.rfile.read(n)
                self.rfile.readline()
                if n == 0:
                    return out, True
        n = int(self.headers.get("Content-Length") or 0)
        want = n if at_most is None else min(n, at_most)
        data = self.rfile.read(want) if want else b""
        return data, len(data) == n

    # ---- all requests

    def run(self):
        self.base = "http://" + self.headers.get("Host", "")
        path, _, query = self.path.partition("?")
        self.note(path=path, query=query)
        self.body_read, self.saved = False, None
        try:
            pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
            q = dict(pairs)
            if len(q) != len(pairs):
                raise Refusal(400, "invalidParameter", "A parameter is given twice.")
            if "/computeMetadata/v1/" in path:
                return self.metadata_service(path)
            if path.startswith(("/token", "/sts", "/iam/", "/subject")):
                return self.token_service(path)
            m = re.fullmatch(r"/(upload/|resumable/upload/|download/)?storage/v1/b(?:/([^/]+)(/o(?:/(.+))?)?)?/?", path)
            if not m:
                raise Refusal(404, "notFound", "Not Found")
            self.storage(m[1] or "", m[2] and urllib.parse.unquote(m[2]), bool(m[3]), m[4] and urllib.parse.unquote(m[4]), q)
        except Refusal as r:
            if not self.body_read:
                self.read()
            # What asks for bytes is answered with bare words.
            self.answer(r.code, r.message if "alt=media" in query else r.json(), r.headers)
        except Gone:
            self.drop()

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = do_PATCH = run

    def whole(self, json_wanted=False):
        data, all_there = (self.saved, True) if self.saved is not None else self.read()
        self.body_read, self.saved = True, None
        if not all_there:
            raise Gone
        if not json_wanted:
            return data
        if data and not self.headers.get("Content-Type", "").startswith("application/json"):
            raise Refusal(400, "badContent", "Unsupported content with type: " + self.headers.get("Content-Type", ""))
        try:
            out = json.loads(data or b"{}")
        except ValueError:
            raise Refusal(400, "parseError", "Parse Error")
        if not isinstance(out, dict):
            raise Refusal(400, "parseError", "Parse Error")
        return out

    # ---- who is asking

    def account(self, scopes):
        text = self.headers.get("Authorization")
        if text is None:
            return None
        t = tokens.get(text[7:]) if text.startswith("Bearer ") else None
        if not t or t["expires"] <= time.time():
            raise Refusal(401, "authError", "Invalid Credentials", [("WWW-Authenticate", "Bearer realm=\"https://accounts.google.com/\"")])
        if not t["scopes"] & scopes:
            raise Refusal(403, "insufficientPermissions", "Insufficient Permission: Request had insufficient authentication scopes.")
        return t

    def permit(self, permission, scopes, bucket, name=""):
        t = self.account(scopes)
        if t is None:
            if bucket == "open-to-all":
                return
            raise Refusal(401, "required", "Anonymous caller does not have %s access to the Google Cloud Storage %s."
                          % (permission, "object" if name else "bucket"))
        grants = accounts().get(t["email"], {}).get("grants")
        if grants is None:
            return
        for g in grants:
            # A condition on the object's name, as resource.name.startsWith("projects/_/buckets/B/objects/PREFIX"): it says nothing of the bucket itself.
            if permission in g["permissions"] and (not g.get("prefix") or name.startswith(g["prefix"])):
                return
        raise Refusal(403, "forbidden", "%s does not have %s access to the Google Cloud Storage %s. Permission '%s' denied on resource (or it may not exist)."
                      % (t["email"], permission, "object" if name else "bucket", permission))

    # ---- storage

    def storage(self, kind, bucket, objects, name, q):
        upload = "upload" in kind
        if upload and (self.command == "PUT" or "upload_id" in q):
            what = "objects.insert"
        elif bucket is None:
            what = {"GET": "buckets.list", "POST": "buckets.insert"}.get(self.command)
        elif not objects:
            what = {"GET": "buckets.get", "DELETE": "buckets.delete"}.get(self.command)
        elif name is None:
            what = "objects.insert" if upload and self.command == "POST" else {"GET": "objects.list"}.get(self.command)
        else:
            what = {"GET": "objects.get", "DELETE": "objects.delete", "PATCH": "objects.patch"}.get(self.command)
        if not what:
            raise Refusal(405, "methodNotAllowed", "Method Not Allowed")
        for p in q:
            if p not in COMMON | PARAMETERS[what]:
                raise Refusal(400, "invalidParameter", "Unknown parameter: %s in %s" % (p, what))
        if bucket is not None and not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", bucket):
            raise Refusal(400, "invalid", "Invalid bucket name: '%s'" % bucket)
        special = getattr(self, "on_" + (bucket or "").replace("-", "_"), None)
        if special and special(what, name, q):
            return
        if bucket is not None and bucket not in buckets:
            raise Refusal(404, "notFound", "The specified bucket does not exist.")
        b = buckets.get(bucket)
        if b and b.payer and "upload_id" not in q:
            if "userProject" not in q:
                raise Refusal(400, "required", "Bucket is a requester pays bucket but no user project provided.")
            if q["userProject"] != "payer-project":
                raise Refusal(403, "userProjectAccessDenied", "The caller does not have serviceusage.services.use access to the project %s." % q["userProject"])
        getattr(self, what.replace(".", "_"))(b, name, q)

    def give(self, code, value, q, headers=()):
        self.answer(code, pick(value, q["fields"]) if "fields" in q else value, headers)

    def buckets_list(self, b, name, q):
        self.permit("storage.buckets.list", READ, "")
        self.give(200, {"kind": "storage#buckets", "items": [buckets[n].json() for n in sorted(buckets)]}, q)

    def buckets_insert(self, b, name, q):
        meta = self.whole(True)
        self.permit("storage.buckets.create", WRITE, "")
        if q.get("enableObjectRetention") == "true":
            self.permit("storage.buckets.enableObjectRetention", WRITE, "")
        if q.get("project") != "p1":
            raise Refusal(400, "invalid", "Unknown project id: %s" % q.get("project"))
        new = meta.get("name", "")
        unknown = set(meta) - {"name", "location", "iamConfiguration", "storageClass", "acl", "defaultObjectAcl", "locationType"}
        if unknown or not re.fullmatch(r"[a-z0-9._-]{3,63}", new):
            raise Refusal(400, "invalid", "Invalid argument.")
        if meta.get("location", "US") not in ("US", "EU", "europe-west3"):
            raise Refusal(400, "invalid", "The specified location constraint is not valid.")
        with lock:
            if new in buckets:
                raise Refusal(409, "conflict", "The requested bucket name is not available.")
            buckets[new] = Bucket(new, retention=q.get("enableObjectRetention") == "true")
        with open(folder + "/made", "a") as f:
            f.write(json.dumps(meta) + "\n")
        self.give(200, buckets[new].json(), q)

    def buckets_get(self, b, name, q):
        self.permit("storage.buckets.get", READ, b.name)
        self.give(200, b.json(), q)

    def buckets_delete(self, b, name, q):
        self.permit("storage.buckets.delete", WRITE, b.name)
        if b.objects:
            raise Refusal(409, "conflict", "The bucket you tried to delete is not empty.")
        del buckets[b.name]
        self.answer(204)

    def objects_list(self, b, name, q, per_page=1000):
        self.permit("storage.objects.list", READ, b.name)
        prefix, delimiter = q.get("prefix", ""), q.get("delimiter")
        limit = min(int(q.get("maxResults", 1000)), per_page)
        rows, prefixes, next_token, after = [], [], None, None
        if "pageToken" in q:
            try:
                after = json.loads(base64.b64decode(q["pageToken"], validate=True))
            except ValueError:
                raise Refusal(400, "invalid", "Invalid page token.")
        with lock:
            for key in sorted(b.objects, key=str.encode):
                if not key.startswith(prefix) or (q.get("startOffset") and key < q["startOffset"]) or (q.get("endOffset") and key >= q["endOffset"]):
                    continue
                cut = key.find(delimiter, len(prefix)) if delimiter else -1
                if cut >= 0:
                    if key[:cut + len(delimiter)] not in prefixes and b.live(key):
                        prefixes.append(key[:cut + len(delimiter)])
                    continue
                versions = b.objects[key] if q.get("versions") == "true" else [b.live(key)] if b.live(key) else []
                rows += [v for v in versions if after is None or [key, v.generation] > after]
        if len(rows) > limit:
            rows = rows[:limit]
            next_token = base64.b64encode(json.dumps([rows[-1].name, rows[-1].generation]).encode()).decode()
        page = {"kind": "storage#objects"}
        if rows:
            page["items"] = [v.json(self.base) for v in rows]
        if prefixes:
            page["prefixes"] = prefixes
        if next_token:
            page["nextPageToken"] = next_token
        self.give(200, page, q)

    def find(self, b, name, q):
        v = b.live(name)
        if "generation" in q:
            v = next((x for x in b.objects.get(name, []) if x.generation == q["generation"]), None)
        if not v:
            raise Refusal(404, "notFound", "No such object: %s/%s" % (b.name, name))
        self.conditions(v, q)
        return v

    def conditions(self, v, q):
        for p, want_equal in (("ifGenerationMatch", True), ("ifGenerationNotMatch", False)):
            if p in q and ((v.generation if v else "0") == q[p]) != want_equal:
                raise Refusal(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")

    def objects_get(self, b, name, q):
        self.permit("storage.objects.get", READ, b.name, name)
        v = self.find(b, name, q)
        if q.get("alt") != "media":
            return self.give(200, v.json(self.base), q)
        self.media(v)

    def media(self, v, data=None, crc=None, length=None, code=None):
        data = v.data if data is None else data
        headers = [("Content-Type", v.type), ("x-goog-generation", v.generation), ("x-goog-hash", "crc32c=" + (crc or v.crc)), ("x-goog-hash", "md5=" + v.md5),
                   ("x-goog-stored-content-length", str(len(v.data))), ("x-goog-stored-content-encoding", v.encoding or "identity"),
                   ("ETag", "e" + v.generation)]
        m = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if "Range" in self.headers and not m:
            raise Refusal(400, "invalid", "Invalid Range")
        if not m:
            return self.answer(200, data, headers, length)
        first, last = int(m[1]), min(int(m[2] or len(data)), len(data) - 1)
        if first > last:
            raise Refusal(416, "requestedRangeNotSatisfiable", "Request range not satisfiable")
        self.answer(206, data[first:last + 1], [*headers, ("Content-Range", "bytes %d-%d/%d" % (first, last, len(data)))])

    def objects_delete(self, b, name, q):
        self.permit("storage.objects.delete", WRITE, b.name, name)
        with lock:
            v = self.find(b, name, q)
            if b.versioning and "generation" not in q:
                if v.hold:
                    v.protected()
                v.deleted = time.time()
            else:
                v.protected()
                b.objects[name].remove(v)
                if not b.objects[name]:
                    del b.objects[name]
        self.answer(204)

    def objects_patch(self, b, name, q):
        meta = self.whole(True)
        self.permit("storage.objects.update", FULL, b.name, name)
        if set(meta) - {"retention", "metadata"}:
            raise Refusal(400, "invalid", "Only retention and metadata can be changed here.")
        with lock:
            v = self.find(b, name, q)
            if "retention" in meta:
                self.permit("storage.objects.setRetention", FULL, b.name, name)
                check_retention(b, meta["retention"], v.retention, q.get("overrideUnlockedRetention") == "true")
                v.retention = meta["retention"]
            if "metadata" in meta:
                v.metadata = {k: x for k, x in {**(v.metadata or {}), **meta["metadata"]}.items() if x is not None}
            v.metageneration += 1
        self.give(200, v.json(self.base), q)

    # ---- uploads

    def objects_insert(self, b, name, q):
        if "upload_id" in q:
            return self.session(b, q)
        if q.get("uploadType") == "resumable":
            meta = self.whole(True)
            name = self.name_of(meta, q)
            self.may_insert(b, name, meta, q)
            size = self.headers.get("X-Upload-Content-Length")
            sid = secrets.token_hex(16)
            meta.setdefault("contentType", self.headers.get("X-Upload-Content-Type"))
            sessions[sid] = Session(b, name, meta, q, int(size) if size else None)
            path = self.path.partition("?")[0]
            return self.answer(200, b"", [("Location", "%s%s?uploadType=resumable&upload_id=%s" % (self.base, path, sid)), ("X-GUploader-UploadID", sid)])
        data = self.whole()
        if q.get("uploadType") == "media":
            meta = {"contentType": self.headers.get("Content-Type")}
        elif q.get("uploadType") == "multipart":
            meta, data = self.parts(data)
        else:
            raise Refusal(400, "invalid", "Invalid upload type")
        name = self.name_of(meta, q)
        self.may_insert(b, name, meta, q)
        self.give(200, self.store(b, name, data, meta, q).json(self.base), q)

    def parts(self, data):
        m = re.fullmatch(r"multipart/related; ?boundary=\"?([0-9A-Za-z'()+_,./:=? -]{1,70})\"?", self.headers.get("Content-Type", ""))
        if not m:
            raise Refusal(400, "badContent", "Bad content type: " + self.headers.get("Content-Type", ""))
        fence = b"--" + m[1].encode()
        pieces = (b"\r\n" + data.lstrip(b"\r\n") if not data.startswith(fence) else b"\r\n" + data).split(b"\r\n" + fence)
        if len(pieces) != 4 or pieces[0] or pieces[3].strip() != b"--":
            raise Refusal(400, "badRequest", "Malformed multipart body.")
        bodies = []
        for p in pieces[1:3]:
            head, found, body = p.partition(b"\r\n\r\n")
            kind = re.search(rb"(?i)content-type: *([^\r\n]+)", head)
            if not found:
                raise Refusal(400, "badRequest", "Malformed multipart body.")
            bodies.append((kind and kind[1].decode(), body))
        if not (bodies[0][0] or "").startswith("application/json"):
            raise Refusal(400, "badContent", "The first part is no JSON.")
        meta = json.loads(bodies[0][1])
        meta.setdefault("contentType", bodies[1][0])
        return meta, bodies[1][1]

    def name_of(self, meta, q):
        name = meta.get("name") or q.get("name")
        if not name or (q.get("name") and meta.get("name") and q["name"] != meta["name"]) or len(name.encode()) > 1024:
            raise Refusal(400, "required", "Required")
        return name

    def may_insert(self, b, name, meta, q):
        unknown = set(meta) - {"name", "bucket", "contentType", "crc32c", "md5Hash", "metadata", "storageClass", "retention", "contentEncoding", "cacheControl",
                               "contentDisposition", "contentLanguage", "acl"}
        if unknown:
            raise Refusal(400, "invalid", "Unknown fields: " + " ".join(unknown))
        self.permit("storage.objects.create", WRITE, b.name, name)
        if meta.get("storageClass") not in (None, *CLASSES):
            raise Refusal(400, "invalid", "The specified storage class %s is not valid." % meta["storageClass"])
        if q.get("kmsKeyName", KMS) != KMS:
            raise Refusal(403, "forbidden", "Permission denied on Cloud KMS key. Please ensure that your Cloud Storage service account has been "
                          "authorized to use this key.")
        if meta.get("retention"):
            self.permit("storage.objects.setRetention", WRITE, b.name, name)
            check_retention(b, meta["retention"])
        if any(not isinstance(v, str) for v in (meta.get("metadata") or {}).values()):
            raise Refusal(400, "invalid", "Metadata is text.")
        self.may_replace(b, name, q)

    def may_replace(self, b, name, q):
        old = b.live(name)
        self.conditions(old, q)
        if old:
            self.permit("storage.objects.delete", WRITE, b.name, name) if "Authorization" in self.headers else None
            if not b.versioning:
                old.protected()

    def store(self, b, name, data, meta, q):
        data = bytes(data)
        if meta.get("md5Hash") not in (None, md5(data)):
            raise Refusal(400, "invalid", 'Provided MD5 hash "%s" doesn\'t match calculated MD5 hash "%s".' % (meta["md5Hash"], md5(data)))
        if meta.get("crc32c") not in (None, crc32c(data)):
            raise Refusal(400, "invalid", 'Provided CRC32C "%s" doesn\'t match calculated CRC32C "%s".' % (meta["crc32c"], crc32c(data)))
        with lock:
            self.may_replace(b, name, q)
            v = Version(b, name, data, meta, q.get("kmsKeyName"))
            versions = b.objects.setdefault(name, [])
            if versions and versions[-1].deleted is None:
                versions[-1].deleted = v.created
                if not b.versioning:
                    versions.pop()
            versions.append(v)
        return v

    def incomplete(self, s):
        headers = [("Range", "bytes=0-%d" % (len(s.data) - 1))] if s.data else []
        # Google's own client in Go asks for this, as some proxies take a 308 for a redirect.
        if self.headers.get("X-GUploader-No-308") == "yes":
            return self.answer(200, b"", [*headers, ("X-HTTP-Status-Code-Override", "308")])
        self.answer(308, b"", headers)

    def session(self, b, q, at_most=None):
        """A request of a resumable upload. at_most: reset the connection after so many bytes."""
        s = sessions.get(q["upload_id"])
        if not s or s.bucket is not b:
            raise Refusal(404, "notFound", "Not Found", body="Not Found")
        if self.command == "DELETE":
            del sessions[q["upload_id"]]
            return self.answer(499)
        self.account(WRITE)  # none is fine; a bad one is not
        m = re.fullmatch(r"bytes (?:(\d+)-(\d+|\*)|\*)/(\d+|\*)", self.headers.get("Content-Range", "") or "bytes */*")
        if not m:
            raise Refusal(400, "invalid", "Invalid Content-Range")
        if s.done:
            self.whole()
            return self.answer(200, s.done.json(self.base))
        total = None if m[3] == "*" else int(m[3])
        if s.size is not None and total not in (None, s.size):
            raise Refusal(400, "invalid", "The size is not the one that was announced.")
        if m[1] is None and "Content-Range" in self.headers:
            if self.whole():
                raise Refusal(400, "invalid", "A question has no body.")
            if total is None or len(s.data) < total:
                return self.incomplete(s)
            return self.complete(s)
        first = int(m[1]) if m[1] else 0
        self.body_read = True
        data, whole = self.read(at_most)
        if first != len(s.data):
            raise Refusal(400, "invalid", "The bytes begin at %d, wanted are those from %d on." % (first, len(s.data)))
        if not whole:
            # What a cut leaves is kept in whole granules.
            s.data += data[:(len(s.data) + len(data)) // GRANULE * GRANULE - len(s.data)]
            raise Gone
        if m[1] and m[2] != "*" and int(m[2]) - first + 1 != len(data):
            raise Refusal(400, "invalid", "The body is not as long as Content-Range says.")
        last = total is not None and first + len(data) == total or m[1] is None or m[2] == "*"
        if total is not None and first + len(data) > total:
            raise Refusal(400, "invalid", "More bytes than announced.")
        if not last and len(data) % GRANULE:
            raise Refusal(400, "invalid", "A piece in the middle is a multiple of 256 KiB.")
        s.data += data
        return self.complete(s) if last else self.incomplete(s)

    def complete(self, s):
        s.done = self.store(s.bucket, s.name, s.data, s.meta, s.q)
        s.data = bytearray()
        self.answer(200, s.done.json(self.base))


make_buckets()
admin = "ya29.admin-" + secrets.token_urlsafe(16)
tokens[admin] = {"email": "admin", "scopes": {SCOPE + "cloud-platform"}, "expires": time.time() + 86400}
with open(folder + "/admin-token", "w") as f:
    f.write(admin)
serve(Double)
