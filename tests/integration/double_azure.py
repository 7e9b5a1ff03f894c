#!/usr/bin/env python3
# double_azure.py - a scripted Blob service and its identity services, for the trouble real ones cannot be made to give.
# SPDX-License-Identifier: Apache-2.0
#
# usage: double_azure.py FOLDER. Listens on a free port of 127.0.0.1, whose number it writes to FOLDER/port; every request is a JSON line in FOLDER/log.
# The account is "acct", its key is base64 of "key". The name of the container says what goes wrong; all others just store. Proofs are checked:
# signatures by an own computation, SAS tokens for sig=good, bearer tokens for having been handed out.
import sys

sys.dont_write_bytecode = True
import base64, hashlib, hmac, json, re, struct, time, urllib.parse
from double import CommonTrouble, Handler, count, folder, serve

store = {}  # (container, key) -> (bytes, headers)
blocks = {}  # (container, key) -> {name: bytes}
made = set()  # containers
tokens = set()
revoked = set()


def b64(data):
    return base64.b64encode(data).decode()


def crc64(data):
    c = 2**64 - 1
    for byte in data:
        c ^= byte
        for _ in range(8):
            c = c >> 1 ^ (0x9A6C9329AC4BC9B5 if c & 1 else 0)
    return b64(struct.pack("<Q", c ^ 2**64 - 1))


class Double(CommonTrouble, Handler):
    def error(self, code, name, more="", headers=()):
        self.answer(code, '\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>%s</Code><Message>said the double.\nRequestId:1-2-3\nTime:now</Message>%s'
                    "</Error>" % (name, more), [("x-ms-error-code", name), *headers])
        return True

    # ---- proofs

    def signature(self, path, query):
        h = {k.lower(): v for k, v in self.headers.items()}
        length = h.get("content-length", "")
        lines = [self.command, h.get("content-encoding", ""), h.get("content-language", ""), "" if length == "0" else length, h.get("content-md5", ""),
                 h.get("content-type", ""), "", h.get("if-modified-since", ""), h.get("if-match", ""), h.get("if-none-match", ""),
                 h.get("if-unmodified-since", ""), h.get("range", "")]
        lines += ["%s:%s" % (k, h[k]) for k in sorted(h) if k.startswith("x-ms-")]
        resource = "/acct" + path + "".join("\n%s:%s" % (k.lower(), v) for k, v in sorted(urllib.parse.parse_qsl(query, keep_blank_values=True)))
        return b64(hmac.new(b"key", ("\n".join(lines) + "\n" + resource).encode(), hashlib.sha256).digest())

    def proven(self, path, query, q):
        given = self.headers.get("Authorization", "")
        if given.startswith("Bearer "):
            token = given[7:]
            if token in revoked:
                return not self.error(401, "InvalidAuthenticationInfo", "<AuthenticationErrorDetail>Lifetime validation failed. The token is expired."
                                      "</AuthenticationErrorDetail>", [("WWW-Authenticate", "Bearer authorization_uri=https://login.example")])
            good = token in tokens
        elif given:
            good = given == "SharedKey acct:" + self.signature(path, query)
        else:
            good = q.get("sig") == "good"
        return good or not self.error(403, "AuthenticationFailed", "<AuthenticationErrorDetail>The MAC signature is not the same.</AuthenticationErrorDetail>")

    # ---- all requests

    def run(self):
        n = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(n) if n else b""
        self.note(body=body[:2000].decode("latin1"))
        path, _, query = self.path.partition("?")
        q = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        parts = urllib.parse.unquote(path).split("/", 3)
        if parts[1] != "acct":
            return self.identity(path, q, body)
        container, key = parts[2] if len(parts) > 2 else "", parts[3] if len(parts) > 3 else ""
        if container == "skew":
            self.skew = -3600
        if not self.headers.get("x-ms-version") or not self.headers.get("x-ms-date"):
            return self.error(400, "MissingRequiredHeader")
        special = getattr(self, "on_" + container.replace("-", "_"), None)
        if container not in ("secret", "skew") and not self.proven(path, query, q):
            return
        if special and special(key, q, body):
            return
        self.plain(container, key, q, body)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = run

    def checked(self, body):
        """What goes with a body is right; the answer's header for it."""
        md5, crc = self.headers.get("Content-MD5"), self.headers.get("x-ms-content-crc64")
        if md5 and crc:
            return self.error(400, "InvalidHeaderValue") and None
        if md5 and md5 != b64(hashlib.md5(body).digest()):
            return self.error(400, "Md5Mismatch") and None
        if crc and crc != crc64(body):
            return self.error(400, "Crc64Mismatch") and None
        return [("x-ms-content-crc64", crc)] if crc else [("Content-MD5", b64(hashlib.md5(body).digest()))]

    def keep(self, container, key, body):
        names = ("x-ms-meta-", "x-ms-access-tier", "x-ms-immutability-", "x-ms-blob-type", "x-ms-encryption-scope", "content-type")
        store[container, key] = body, [(k, v) for k, v in self.headers.items() if k.lower().startswith(names)]

    def plain(self, container, key, q, body):
        if not key:
            if self.command == "PUT":
                made.add(container)
                return self.answer(201)
            if self.command == "HEAD":
                return self.answer(200)
            return self.listing(sorted(k for c, k in store if c == container and k.startswith(q.get("prefix", ""))), container)
        if self.command == "PUT" and q.get("comp") == "block":
            sum = self.checked(body)
            if sum is not None:
                blocks.setdefault((container, key), {})[q["blockid"]] = body
                self.answer(201, headers=sum)
            return
        if self.command == "PUT" and q.get("comp") == "immutabilityPolicies":
            data, headers = store[container, key]
            store[container, key] = data, [h for h in headers if "immutability" not in h[0].lower()] + [
                (k, v) for k, v in self.headers.items() if "immutability" in k.lower()]
            return self.answer(200)
        if self.command == "PUT":
            sum = self.checked(body)
            if sum is None:
                return
            if self.headers.get("If-None-Match") == "*" and (container, key) in store:
                return self.error(409, "BlobAlreadyExists")
            if q.get("comp") == "blocklist":
                have = blocks.pop((container, key), {})
                names = re.findall(r"<Uncommitted>(.*?)</Uncommitted>", body.decode())
                if any(name not in have for name in names) or len(set(map(len, names))) != 1:
                    return self.error(400, "InvalidBlockList")
                body = b"".join(have[name] for name in names)
            elif self.headers.get("x-ms-blob-type") != "BlockBlob":
                return self.error(400, "MissingRequiredHeader")
            self.keep(container, key, body)
            return self.answer(201, headers=sum)
        if (container, key) not in store:
            return self.error(404, "BlobNotFound")
        if self.command == "DELETE":
            del store[container, key]
            return self.answer(202)
        data, headers = store[container, key]
        self.part(data, self.headers.get("x-ms-range", ""), headers, lambda: self.error(416, "InvalidRange"))

    def listing(self, keys, container="", marker="", more=""):
        rows = "".join("<Blob><Name>%s</Name><Properties><Content-Length>%d</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>"
                       % (k, len(store.get((container, k), (b"",))[0])) for k in keys)
        self.answer(200, '\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="x" ContainerName="%s"><Blobs>%s%s</Blobs>'
                    "<NextMarker>%s</NextMarker></EnumerationResults>" % (container, rows, more, marker))
        return True

    # ---- containers that are in trouble: true when the answer was given

    def on_secret(self, key, q, body): return self.error(403, "AuthenticationFailed")
    def on_skew(self, key, q, body): return self.error(403, "AuthenticationFailed")
    def on_firewall(self, key, q, body): return self.error(403, "AuthorizationFailure")
    def on_missing(self, key, q, body): return self.error(404, "ContainerNotFound")
    def on_creating(self, key, q, body): return self.error(409, "AccountBeingCreated")
    def on_disabled(self, key, q, body): return self.error(403, "AccountIsDisabled")
    def on_nokeys(self, key, q, body): return self.error(403, "KeyBasedAuthenticationNotPermitted")
    def on_version(self, key, q, body): return self.error(400, "InvalidHeaderValue", "<HeaderName>x-ms-version</HeaderName><HeaderValue>x</HeaderValue>")

    def on_deleting(self, key, q, body):
        return self.error(409, "ContainerBeingDeleted") if self.command == "PUT" else self.error(404, "ContainerNotFound")

    def on_fresh(self, key, q, body):
        if "fresh" not in made and self.command != "PUT":
            return self.error(404, "ContainerNotFound")

    def on_nolist(self, key, q, body):
        return self.command == "GET" and not key and self.error(403, "AuthorizationPermissionMismatch")

    def on_noput(self, key, q, body):
        return self.command == "PUT" and self.error(403, "AuthorizationPermissionMismatch")

    def on_nodelete(self, key, q, body):
        return self.command == "DELETE" and self.error(403, "AuthorizationPermissionMismatch")

    def on_nocontainer(self, key, q, body):
        return key and self.error(404, "ContainerNotFound")

    def on_unheard(self, key, q, body):
        return key and self.error(404, "SomethingElse")

    def on_busy(self, key, q, body):
        if key.startswith("e") and key[1:].isdigit():
            names = {"503": "ServerBusy", "500": "OperationTimedOut", "429": "TooManyRequests"}
            return self.error(int(key[1:]), names[key[1:]], headers=[("Retry-After", "7")])

    def on_busyworm(self, key, q, body):
        return self.on_busy(key, q, body) if key else self.on_worm(key, q, body)

    def on_once(self, key, q, body):
        # The first try of every object fails.
        return self.command == "PUT" and key and count("once " + key) == 1 and self.error(503, "ServerBusy")

    def on_lost(self, key, q, body):
        # The first put of a key is stored, and nobody is told.
        if self.command == "PUT" and key and count("lost " + key) == 1:
            if key == "other":
                body = b"theirs"
            self.keep("lost", key, body)
            return self.drop()

    def on_addonly(self, key, q, body):
        return self.command == "PUT" and ("addonly", key) in store and self.error(403, "UnauthorizedBlobOverwrite")

    def on_norange(self, key, q, body):
        if self.headers.get("x-ms-range"):
            self.answer(200, store["norange", key][0])
            return True

    def on_liar(self, key, q, body):
        # It stored something else, and says so.
        if self.command == "PUT" and key:
            if self.headers.get("x-ms-content-crc64"):
                self.answer(201, headers=[("x-ms-content-crc64", crc64(b"other"))])
            else:
                self.answer(201, headers=[("Content-MD5", b64(hashlib.md5(b"other").digest()))])
            return True

    def on_damaged(self, key, q, body):
        return self.command == "PUT" and key and self.error(400, "Md5Mismatch")

    def on_taken(self, key, q, body):
        # Another upload has put its blocks together.
        return q.get("comp") == "blocklist" and self.error(400, "InvalidBlockList")

    def on_full(self, key, q, body):
        if self.command == "PUT" and key:
            self.answer(507)
            return True

    def on_large(self, key, q, body):
        return self.command == "PUT" and key and len(body) > 4 and self.error(413, "RequestBodyTooLarge")

    def on_notier(self, key, q, body):
        return self.headers.get("x-ms-access-tier") and self.error(400, "BlobAccessTierNotSupportedForAccountType")

    def on_leased(self, key, q, body): return self.command == "DELETE" and self.error(412, "LeaseIdMissing")
    def on_held(self, key, q, body): return self.command == "DELETE" and self.error(409, "BlobImmutableDueToLegalHold")
    def on_kept(self, key, q, body):
        return (self.command == "DELETE" or (self.command == "PUT" and ("kept", key) in store)) and self.error(409, "BlobImmutableDueToPolicy")

    def on_snapshots(self, key, q, body): return self.command == "DELETE" and self.error(409, "SnapshotsPresent")

    def on_worm(self, key, q, body):
        if self.command == "HEAD" and not key:
            self.answer(200, headers=[("x-ms-immutable-storage-with-versioning-enabled", "true")])
            return True

    def on_noworm(self, key, q, body):
        if self.command == "HEAD" and not key:
            self.answer(200, headers=[("x-ms-immutable-storage-with-versioning-enabled", "false")])
            return True

    def on_halfworm(self, key, q, body):
        # It does not say whether it has policies, and has none.
        if self.command == "HEAD" and not key:
            return self.error(403, "AuthorizationPermissionMismatch")
        for name in ("x-ms-immutability-policy-until-date", "x-ms-immutability-policy-mode"):
            del self.headers[name]

    def on_archive(self, key, q, body):
        # a: in the archive, b: on its way, c: readable
        if q.get("comp") == "tier":
            with open(folder + "/tier", "a") as f:
                f.write("%s %s %s %s\n" % (key, self.headers["x-ms-access-tier"], self.headers["x-ms-rehydrate-priority"], q.get("versionid", "-")))
            if count("tier " + key) == 1:
                self.answer(202)
                return True
            return self.error(409, "BlobBeingRehydrated")
        if key in ("a", "b") and self.command == "GET":
            return self.error(409, "BlobArchived")
        if key in ("a", "b", "c") and self.command == "HEAD":
            self.answer(200, headers=[("x-ms-access-tier", "Hot" if key == "c" else "Archive")]
                        + [("x-ms-archive-status", "rehydrate-pending-to-hot")] * (key == "b"))
            return True

    def on_guarded(self, key, q, body):
        # The key of the service's encryption is asked for.
        if key and self.headers.get("x-ms-encryption-algorithm") != "AES256":
            return self.error(409, "BlobUsesCustomerSpecifiedEncryption")
        if key and b64(hashlib.sha256(base64.b64decode(self.headers["x-ms-encryption-key"])).digest()) != self.headers["x-ms-encryption-key-sha256"]:
            return self.error(400, "InvalidHeaderValue", "<HeaderName>x-ms-encryption-key-sha256</HeaderName>")

    def on_expiring(self, key, q, body):
        # The first token is revoked when something has been stored with it.
        if self.command == "PUT" and key:
            revoked.add(self.headers["Authorization"][7:]) if count("expiring") == 1 else None

    def on_expired(self, key, q, body):
        return self.error(401, "InvalidAuthenticationInfo")

    def list_in_two(self, q, second):
        if "marker" not in q:
            if q.get("maxresults") == "1":
                return False
            return self.listing(["p/one", "p/two"], marker="m+/=&amp;")
        if q["marker"] != "m+/=&":
            return self.error(400, "OutOfRangeInput")
        second()
        return True

    def on_list_good(self, key, q, body):
        return self.list_in_two(q, lambda: self.listing(["p/three", "p/not a key", "p/x//y"], more="<Blob><Name>p/folder</Name><Properties><ResourceType>"
                                "directory</ResourceType><Content-Length>0</Content-Length></Properties></Blob>"))

    def on_list_500(self, key, q, body): return self.list_in_two(q, lambda: self.error(500, "InternalError"))
    def on_list_circle(self, key, q, body): return self.list_in_two(q, lambda: self.listing(["p/three"], marker="m+/=&amp;"))
    def on_list_cut(self, key, q, body): return self.list_in_two(q, lambda: self.answer(200, "<EnumerationResults><Blobs><Blob><Name>p/three"))
    def on_list_open(self, key, q, body): return self.list_in_two(q, lambda: self.answer(200, "<EnumerationResults><Blobs></Blobs></EnumerationResults>"))
    def on_list_empty(self, key, q, body): return self.list_in_two(q, lambda: self.answer(200, ""))
    def on_list_html(self, key, q, body): return self.list_in_two(q, lambda: self.answer(200, "<html><body></body></html>"))
    def on_list_other(self, key, q, body): return self.list_in_two(q, lambda: self.listing(["elsewhere/x"]))

    def on_list_denied(self, key, q, body):
        return not key and q.get("maxresults") != "1" and self.error(403, "AuthorizationPermissionMismatch")

    def on_past(self, key, q, body):
        # Two pages, cut between two versions of one key. a: unchanged; b: replaced; c: deleted since; d: not there yet; e: from before there were versions.
        row = ("<Blob><Name>p/%s</Name>%s<Properties><Last-Modified>%s</Last-Modified><Content-Length>%d</Content-Length></Properties></Blob>")

        def version(name, when, size):
            return row % (name, "<VersionId>2026-11-%sT00:00:00.1234567Z</VersionId>" % when, "Sat, 21 Nov 2026 00:00:00 GMT", size)
        if self.command == "GET" and key and "versionid" in q:
            self.answer(200, "%s at %s" % (key, q["versionid"]))
            return True
        if q.get("include") != "versions":
            return False
        if "marker" not in q:
            if q.get("prefix") == "p/b":
                return self.listing([], more=version("b", "02", 2) + version("b", "21", 22) + version("bb", "02", 2))
            if q.get("prefix") == "p/d":
                return self.listing([], more=version("d", "21", 2))
            return self.listing([], marker="half", more=version("a", "01", 1) + version("b", "02", 2))
        return self.listing([], more=version("b", "21", 22) + version("c", "03", 3) + version("d", "21", 4)
                            + row % ("e", "", "Sun, 01 Nov 2026 00:00:00 GMT", 5))

    # ---- services that hand out tokens

    def identity(self, path, q, body):
        form = dict(urllib.parse.parse_qsl(body.decode()))

        def give(fields):
            token = "T%d" % count("tokens")
            tokens.add(token)
            self.answer(200, json.dumps({"access_token": token, "token_type": "Bearer", **fields}))
        if path == "/metadata/identity/oauth2/token":
            if self.headers.get("Metadata") != "true" or q.get("resource") != "https://storage.azure.com" or q.get("api-version") != "2018-02-01":
                return self.answer(400, json.dumps({"error": "invalid_request", "error_description": "wrong"}))
            if q.get("client_id") == "nobody":
                return self.answer(400, json.dumps({"error": "invalid_request", "error_description": "Identity not found"}))
            return give({"expires_in": "3599", "expires_on": str(int(time.time()) + 3599), "client_id": q.get("client_id", "system")})
        if path in ("/msi/token", "/short/token"):
            if self.headers.get("X-IDENTITY-HEADER") != "pass" or q.get("api-version") != "2019-08-01":
                return self.answer(401, json.dumps({"statusCode": 401, "message": "No such header"}))
            # /short is always about to expire, so that each request fetches another one.
            return give({"expires_on": str(int(time.time()) + (60 if path == "/short/token" else 3600))})
        if path == "/tenant/oauth2/v2.0/token":
            wanted = {"grant_type": "client_credentials", "scope": "https://storage.azure.com/.default", "client_id": "app"}
            good = wanted.items() <= form.items()
            if good and form.get("client_secret") == "s3cret +&=":
                return give({"expires_in": 3599})
            if good and form.get("client_assertion") == "web/token=" and form.get("client_assertion_type", "").endswith(":jwt-bearer"):
                return give({"expires_in": 3599})
            if form.get("client_id") != "app":
                return self.answer(400, json.dumps({"error": "unauthorized_client",
                                                    "error_description": "AADSTS700016: Application not found.\r\nTrace ID: 1"}))
            if "client_assertion" in form:
                return self.answer(400, json.dumps({"error": "invalid_request", "error_description": "AADSTS700213: No matching record. Trace ID: 1"}))
            return self.answer(401, json.dumps({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid secret.\r\nTrace ID: 1"}))
        if path.startswith("/busy/"):
            return self.answer(503)
        self.answer(404, json.dumps({"error": "invalid_request", "error_description": "AADSTS90002: Tenant not found."}))


serve(Double)
