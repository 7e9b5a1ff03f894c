#!/usr/bin/env python3
# double_s3.py - a scripted S3 service, for the trouble a real one cannot be made to give.
# SPDX-License-Identifier: Apache-2.0
#
# usage: double_s3.py FOLDER [CERTIFICATE KEY]. Listens on a free port of 127.0.0.1, whose number it writes to FOLDER/port; every request is a JSON line in FOLDER/log.
# The name of the bucket says what goes wrong; all others just store. It does not check signatures: the real service does.
import sys

sys.dont_write_bytecode = True
import base64, hashlib, json, os, re, ssl, time, urllib.parse
from double import CommonTrouble, Handler, count, counts, folder, serve

store = {}  # (bucket, key) -> (bytes, headers)


def later(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


class Double(CommonTrouble, Handler):
    def handle_expect_100(self):
        # Whoever refuses early does so instead of asking for the body.
        if self.path.startswith(("/early/", "/hasty/")):
            return True
        return super().handle_expect_100()

    def error(self, code, name, more="", headers=()):
        self.answer(code, '<?xml version="1.0"?><Error><Code>%s</Code><Message>said the double</Message>%s</Error>' % (name, more), headers)

    # ---- all requests

    def run(self):
        self.note()
        path, _, query = self.path.partition("?")
        q = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        parts = urllib.parse.unquote(path).split("/", 2)
        bucket, key = parts[1], parts[2] if len(parts) > 2 else ""
        # A server, or a host, whose clock is off by an hour, and which does not mind.
        self.skew = {"fast": 3600, "slow": -3600}.get(bucket, 0)
        if bucket == "early" and self.command == "PUT":
            # Answered before the body; what comes now is read as a request by who does not take care.
            return self.error(503, "SlowDown")
        if bucket == "hasty" and self.command == "PUT":
            # A success that nothing was stored for.
            self.close_connection = True
            return self.answer(200, headers=[("Connection", "close")])
        n = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(n) if n else b""
        if bucket in ("creds", "latest", "sts"):
            return self.credentials(bucket, path, body)
        special = getattr(self, "on_" + bucket.replace("-", "_"), None)
        if special and special(key, q, body):
            return
        self.plain(bucket, key, q, body)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = run

    def plain(self, bucket, key, q, body):
        if not key:
            if self.command == "PUT":
                return self.answer(200)
            if self.command == "POST" and "delete" in q:
                keys = re.findall(r"<Key>(.*?)</Key>", body.decode())
                for k in keys:
                    store.pop((bucket, k), None)
                return self.answer(200, "<DeleteResult>%s</DeleteResult>" % "".join("<Deleted><Key>%s</Key></Deleted>" % k for k in keys))
            return self.listing(sorted(k for b, k in store if b == bucket and k.startswith(q.get("prefix", ""))), bucket)
        if self.command == "PUT":
            if self.headers.get("If-None-Match") == "*" and (bucket, key) in store:
                return self.error(412, "PreconditionFailed")
            if hashlib.sha256(body).hexdigest() != self.headers.get("x-amz-content-sha256"):
                return self.error(400, "XAmzContentSHA256Mismatch")
            sha = base64.b64encode(hashlib.sha256(body).digest()).decode()
            if self.headers.get("x-amz-checksum-sha256", sha) != sha:
                return self.error(400, "BadDigest")
            keep = [(k, v) for k, v in self.headers.items() if k.lower().startswith("x-amz-") and k.lower() not in ("x-amz-date", "x-amz-content-sha256")]
            store[bucket, key] = body, keep
            return self.answer(200, headers=[("x-amz-checksum-sha256", sha)])
        if self.command == "DELETE":
            store.pop((bucket, key), None)
            return self.answer(204)
        if (bucket, key) not in store:
            return self.error(404, "NoSuchKey")
        data, headers = store[bucket, key]
        self.part(data, self.headers.get("Range", ""), headers, lambda: self.error(416, "InvalidRange"))

    def listing(self, keys, bucket="", token=None):
        rows = "".join("<Contents><Key>%s</Key><Size>%d</Size></Contents>" % (urllib.parse.quote(k, safe=""), len(store.get((bucket, k), (b"",))[0]))
                       for k in keys)
        more = "<NextContinuationToken>%s</NextContinuationToken>" % token if token else ""
        self.answer(200, "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>%s</IsTruncated>%s%s</ListBucketResult>"
                    % ("true" if token else "false", rows, more))

    # ---- buckets that are in trouble: true when the answer was given

    def on_secret(self, key, q, body): self.error(403, "SignatureDoesNotMatch"); return True
    def on_nokey(self, key, q, body): self.error(403, "InvalidAccessKeyId"); return True
    def on_missing(self, key, q, body): self.error(404, "NoSuchBucket"); return True

    def on_skew(self, key, q, body):
        self.error(403, "RequestTimeTooSkewed", "<ServerTime>%s</ServerTime>" % later(-3600))
        return True

    def on_region(self, key, q, body):
        if "/eu-west-3/s3/" in self.headers["Authorization"]:
            return False
        self.error(301, "PermanentRedirect", "", [("x-amz-bucket-region", "eu-west-3")])
        return True

    def on_malformed(self, key, q, body):
        if "/eu-west-3/s3/" in self.headers["Authorization"]:
            return False
        self.error(400, "AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>")
        return True

    def on_nolist(self, key, q, body):
        if key or self.command != "GET":
            return False
        self.error(403, "AccessDenied")
        return True

    def on_nodelete(self, key, q, body):
        if self.command == "DELETE" or "delete" in q:
            self.error(403, "AccessDenied")
            return True

    def on_busy(self, key, q, body):
        if key.startswith("e") and key[1:].isdigit():
            self.answer(int(key[1:]), "", [("Retry-After", "7")])
            return True

    def on_rough(self, key, q, body):
        # The first request for each object fails, in one way or another; so does each listing on its second page.
        if key and count("rough %s %s" % (self.command, key)) == 1 and self.command in ("PUT", "GET"):
            how = count("rough kinds") % 5  # all kinds come, whatever the keys are
            if how < 3:
                self.answer((500, 503, 429)[how], "", [("Retry-After", "1")] if how else [])
            elif self.command == "GET" and ("rough", key) in store:
                data = store["rough", key][0]
                self.answer(200, data[:len(data) // 2], length=len(data))
                self.drop(how == 3)
            else:
                self.drop(how == 3)
            return True
        if key or self.command != "GET" or "versions" in q or q.get("max-keys") == "1":
            return False
        prefix, after = q.get("prefix", ""), q.get("continuation-token", "")
        keys = sorted(k for b, k in store if b == "rough" and k.startswith(prefix) and k > after)
        if after and count("rough list " + prefix + after) == 1:
            self.error(500, "InternalError")
        else:
            self.listing(keys[:2], "rough", keys[1] if len(keys) > 2 else None)
        return True

    def on_lost(self, key, q, body):
        # The first put of a key is stored, and nobody is told.
        if self.command == "PUT" and key and count("lost " + key) == 1:
            store["lost", key] = body, [(k, v) for k, v in self.headers.items() if k.lower().startswith("x-amz-meta-")]
            return self.drop()

    def on_asleep(self, key, q, body):
        # It is there when it is asked for the third time.
        if count("asleep") < 3:
            return self.answer(503)

    def on_down(self, key, q, body):
        if self.command == "PUT" and "/packs/" in key:
            self.error(503, "SlowDown")
            return True

    def on_patient(self, key, q, body):
        if self.command == "PUT" and "/packs/" in key:
            self.error(503, "SlowDown", "", [("Retry-After", "7200")])
            return True

    def on_glacier(self, key, q, body):
        # Packs go to an archive. They are back when there is a file FOLDER/thawed.
        thawed = os.path.exists(folder + "/thawed")
        if "/packs/" not in key or ("glacier", key) not in store:
            return False
        if self.command == "POST" and "restore" in q:
            self.answer(202) if count("thaw " + key) == 1 else self.error(409, "RestoreAlreadyInProgress")
            return True
        if self.command == "HEAD":
            state = [("x-amz-storage-class", "DEEP_ARCHIVE")]
            if counts.get("thaw " + key):
                state.append(("x-amz-restore", 'ongoing-request="false", expiry-date="x"' if thawed else 'ongoing-request="true"'))
            self.answer(200, b"", state, len(store["glacier", key][0]))
            return True
        if self.command == "GET" and not (thawed and counts.get("thaw " + key)):
            self.error(403, "InvalidObjectState")
            return True

    def on_once(self, key, q, body):
        # The first try of every object fails.
        if self.command == "PUT" and count("once " + key) == 1:
            self.error(503, "SlowDown")
            return True

    def on_norange(self, key, q, body):
        if self.headers.get("Range"):
            self.answer(200, store["norange", key][0])
            return True

    def on_liar(self, key, q, body):
        # It stored something else, and says so.
        wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
        if self.command == "PUT" and key:
            self.answer(200, headers=[("x-amz-checksum-sha256", wrong)])
            return True
        if self.command == "HEAD":
            self.answer(200, headers=[("x-amz-checksum-sha256", wrong), ("x-amz-meta-sha256", hashlib.sha256(b"this").hexdigest())], length=4)
            return True

    def on_damaged(self, key, q, body):
        if self.command == "PUT" and key:
            self.error(400, "BadDigest")
            return True

    def list_in_two(self, q, second):
        if "continuation-token" not in q:
            if q.get("max-keys") == "1":
                return False
            self.listing(["p/one", "p/two"], token="t+/=")
        elif q["continuation-token"] != "t+/=":
            self.error(400, "InvalidArgument")
        else:
            second()
        return True

    def on_list_good(self, key, q, body): return self.list_in_two(q, lambda: self.listing(["p/three", "p/not a key", "p/x//y"]))
    def on_list_500(self, key, q, body): return self.list_in_two(q, lambda: self.error(500, "InternalError"))
    def on_list_circle(self, key, q, body): return self.list_in_two(q, lambda: self.listing(["p/three"], token="t+/="))
    def on_list_cut(self, key, q, body): return self.list_in_two(q, lambda: self.answer(200, "<ListBucketResult><IsTruncated>false</IsTruncated><Contents>"))
    def on_list_empty(self, key, q, body): return self.list_in_two(q, lambda: self.answer(200, ""))
    def on_list_html(self, key, q, body): return self.list_in_two(q, lambda: self.answer(200, "<html><body></body></html>"))
    def on_list_other(self, key, q, body): return self.list_in_two(q, lambda: self.listing(["elsewhere/x"]))

    def on_list_versions(self, key, q, body):
        # Two pages, cut between two versions of one key: the newer is younger than 2026-11-20, the older is not. What comes after is a deleted key.
        if "versions" not in q:
            return False
        row = "<%s><Key>%s</Key><VersionId>%s</VersionId><LastModified>%s</LastModified><Size>%s</Size></%s>"
        if "key-marker" not in q:
            self.answer(200, "<ListVersionsResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextKeyMarker>p%2Fb</NextKeyMarker>"
                        "<NextVersionIdMarker>v+2</NextVersionIdMarker>" + row % ("Version", "p%2Fa", "v1", "2026-11-01T00:00:00.000Z", "1", "Version")
                        + row % ("Version", "p%2Fb", "v+2", "2026-11-21T00:00:00.000Z", "22", "Version") + "</ListVersionsResult>")
        elif (q["key-marker"], q["version-id-marker"]) == ("p/b", "v+2"):
            self.answer(200, "<ListVersionsResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
                        + row % ("Version", "p%2Fb", "v1", "2026-11-02T00:00:00.000Z", "2", "Version")
                        + row.replace("<Size>%s</Size>", "%s") % ("DeleteMarker", "p%2Fc", "v2", "2026-11-03T00:00:00.000Z", "", "DeleteMarker")
                        + row % ("Version", "p%2Fc", "v1", "2026-11-02T00:00:00.000Z", "3", "Version") + "</ListVersionsResult>")
        else:
            self.error(400, "InvalidArgument")
        return True

    def on_list_denied(self, key, q, body):
        if not key and q.get("max-keys") != "1":
            self.error(403, "AccessDenied")
            return True

    def on_full(self, key, q, body):
        if self.command == "PUT" and key:
            self.error(507, "InsufficientStorage")
            return True

    def on_quota(self, key, q, body):
        if self.command == "PUT" and key:
            self.error(403, "QuotaExceeded")
            return True

    def on_noclass(self, key, q, body):
        if self.headers.get("x-amz-storage-class"):
            self.error(400, "InvalidStorageClass")
            return True

    def on_ignore(self, key, q, body):
        del self.headers["If-None-Match"]

    def on_noconditions(self, key, q, body):
        if self.headers.get("If-None-Match"):
            self.error(501, "NotImplemented")
            return True

    def on_conflict(self, key, q, body):
        if self.headers.get("If-None-Match"):
            self.error(409, "ConditionalRequestConflict")
            return True

    def on_nobatch(self, key, q, body):
        if "delete" in q:
            self.error(501, "NotImplemented")
            return True

    def on_partly(self, key, q, body):
        # Of three, one is deleted, one is refused, of one nothing is said.
        if "delete" in q:
            self.answer(200, "<DeleteResult><Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
                        "<Deleted><Key>a</Key></Deleted></DeleteResult>")
            return True

    def on_archive(self, key, q, body):
        if self.command == "GET" and key:
            self.error(403, "InvalidObjectState", "<StorageClass>GLACIER</StorageClass>")
            return True
        if self.command == "POST" and "restore" in q:
            with open(folder + "/restore", "wb") as f:
                f.write(body)
            self.answer(202) if count("restore " + key) == 1 else self.error(409, "RestoreAlreadyInProgress")
            return True

    def on_expiring(self, key, q, body):
        # The token of the second key is good.
        if self.headers.get("x-amz-security-token") != "token2" and count("expiring") > 1:
            self.error(400, "ExpiredToken")
            return True

    def on_expired(self, key, q, body): self.error(400, "ExpiredToken"); return True

    # ---- services that hand out keys

    def credentials(self, which, path, body):
        if path == "/latest/api/token":
            return self.answer(200, "imds-token") if self.command == "PUT" and self.headers.get("X-aws-ec2-metadata-token-ttl-seconds") else self.answer(405)
        if which == "latest" and self.headers.get("X-aws-ec2-metadata-token") != "imds-token":
            return self.answer(401)
        if path == "/latest/meta-data/iam/security-credentials/":
            return self.answer(200, "role\n")
        if which == "creds" and path == "/creds/refused":
            return self.answer(403)
        if which == "creds" and path != "/creds/open" and self.headers.get("Authorization") != "pass":
            return self.answer(401)
        n = count(path)
        if which == "sts":
            form = dict(urllib.parse.parse_qsl(body.decode()))
            if [form.get(k) for k in ("Action", "RoleArn", "WebIdentityToken")] != ["AssumeRoleWithWebIdentity", "arn:aws:iam::1:role/r", "web/token="]:
                return self.answer(400, "<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>")
            return self.answer(200, '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
                               "<AssumeRoleWithWebIdentityResult><Credentials>"
                               "<AccessKeyId>WEB</AccessKeyId><SecretAccessKey>S</SecretAccessKey>"
                               "<SessionToken>web-session</SessionToken><Expiration>%s</Expiration>"
                               "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>" % later(3600))
        # /creds/short is always about to expire, so that each request fetches another one.
        self.answer(200, json.dumps({"Code": "Success", "AccessKeyId": "%s%d" % ("ROLE" if which == "latest" else "BOX", n), "SecretAccessKey": "S",
                                     "Token": "token%d" % n, "Expiration": later(60 if path == "/creds/short" else 3600)}))


tls = None
if len(sys.argv) > 3:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[2], sys.argv[3])
serve(Double, tls)
