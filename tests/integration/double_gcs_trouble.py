# double_gcs_trouble.py - the part of double_gcs.py that goes wrong: each bucket in its own way.
# SPDX-License-Identifier: Apache-2.0
import re, time
from double import CommonTrouble, count, counts
from double_gcs_tokens import Gone, Refusal, first, tokens

GRANULE = 256 * 1024


class Trouble(CommonTrouble):
    """Of the request handler: on_NAME is asked first for a bucket of that name, and returns true when it has given the answer."""

    def wants_data(self, what, name, q):
        return what == "objects.get" and q.get("alt") == "media"

    def on_missing(self, what, name, q): raise Refusal(404, "notFound", "The specified bucket does not exist.")
    def on_disabled(self, what, name, q): raise Refusal(403, "accountDisabled", "The project to be billed is associated with an absent billing account.")
    def on_perimeter(self, what, name, q):
        raise Refusal(403, "vpcServiceControls", "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: x")

    def on_api_off(self, what, name, q):
        raise Refusal(403, "", "", body={"error": {"code": 403, "message": "Cloud Storage JSON API has not been used in project 1 before or it is disabled.",
                                                   "status": "PERMISSION_DENIED", "details": [{"@type": "x", "reason": "SERVICE_DISABLED"}]}})

    def on_nolist(self, what, name, q):
        if what == "objects.list":
            raise Refusal(403, "forbidden", "x@y does not have storage.objects.list access to the Google Cloud Storage bucket.")

    def on_list_denied(self, what, name, q):
        if what == "objects.list" and q.get("maxResults") != "1":
            raise Refusal(403, "forbidden", "x@y does not have storage.objects.list access to the Google Cloud Storage bucket.")

    def on_noscope(self, what, name, q):
        raise Refusal(403, "insufficientPermissions", "Insufficient Permission: Request had insufficient authentication scopes.")

    def on_busy(self, what, name, q):
        # Objects e503, e429 and so on.
        name = self.peek_name() if what == "objects.insert" else name
        if name and re.fullmatch(r"e\d+", name):
            self.whole()
            self.answer(int(name[1:]), "", [("Retry-After", "7")])
            return True

    def on_limits(self, what, name, q):
        if what == "objects.get":
            code, reason = {"rate": (429, "rateLimitExceeded"), "quota": (403, "quotaExceeded"), "user": (403, "userRateLimitExceeded"),
                            "timeout": (408, "requestTimeout"), "fault": (500, "internalError")}[name]
            raise Refusal(code, reason, "said the double")

    def on_once(self, what, name, q):
        # The first try of everything that is written or deleted fails.
        if self.command in ("POST", "DELETE") and count("once %s %s" % (self.command, name or self.peek_name())) == 1:
            self.whole()
            raise Refusal(503, "backendError", "Backend Error")

    def peek_name(self):
        """The name of an object that is about to be stored."""
        self.saved = self.whole()
        m = re.search(rb'"name": ?"([^"]+)"', self.saved)
        return m[1].decode() if m else ""

    def on_norange(self, what, name, q):
        del self.headers["Range"]

    def on_cutrange(self, what, name, q):
        if self.headers.get("Range"):
            self.answer(206, b"xx", [("Content-Range", "bytes 10-11/12")])
            return True

    def on_lying_get(self, what, name, q):
        # Other bytes than those whose sum it says.
        if what == "objects.get" and q.get("alt") == "media":
            v = self.find(self.buckets["lying-get"], name, q)
            self.media(v, data=bytes([v.data[0] ^ 1]) + v.data[1:])
            return True

    def on_lying_sum(self, what, name, q):
        if what == "objects.get" and q.get("alt") == "media":
            self.media(self.find(self.buckets["lying-sum"], name, q), crc="AAAAAA==")
            return True

    def on_lying_put(self, what, name, q):
        # It stored something else, and says so.
        if what == "objects.insert" and q.get("uploadType") == "multipart":
            meta, data = self.parts(self.whole())
            meta.pop("crc32c"), meta.pop("md5Hash")
            self.answer(200, self.store(self.buckets["lying-put"], meta["name"], data + b"?", meta, q).json(self.base))
            return True

    def on_vague_put(self, what, name, q):
        if what == "objects.insert":
            self.whole()
            self.answer(200, {"kind": "storage#object"})
            return True

    def on_damaged(self, what, name, q):
        if what == "objects.insert" and "upload_id" not in q:
            meta, data = self.parts(self.whole())
            self.store(self.buckets["damaged"], meta["name"], b"?" + data[1:], meta, q)

    def on_ignore(self, what, name, q):
        q.pop("ifGenerationMatch", None)

    def on_packed(self, what, name, q):
        if what == "objects.insert":
            meta, data = self.parts(self.whole())
            meta["contentEncoding"] = "gzip"
            self.give(200, self.store(self.buckets["packed"], meta["name"], data, meta, q).json(self.base), q)
            return True

    # answers that get lost after the object was stored: without a byte (which a client may repeat by itself), and in the middle of a header

    def lose(self, bucket, what, q, some):
        if what != "objects.insert" or "upload_id" in q:
            return
        meta, data = self.parts(self.whole())
        if count("%s %s" % (bucket, meta["name"])) == 1:
            self.store(self.buckets[bucket], meta["name"], data, meta, q)
            self.wfile.write(some)
            self.wfile.flush()
            time.sleep(0.05) if some else None
            raise Gone
        self.give(200, self.store(self.buckets[bucket], meta["name"], data, meta, q).json(self.base), q)
        return True

    def on_lost(self, what, name, q): return self.lose("lost", what, q, b"")
    def on_torn(self, what, name, q): return self.lose("torn", what, q, b"HTTP/1.1 200 OK\r\nX-Some: ")

    # resumable uploads that are cut

    def is_data(self, q):
        return "upload_id" in q and self.command == "PUT" and not self.headers.get("Content-Range", "").startswith("bytes */")

    def on_cut(self, what, name, q):
        # Every connection breaks after 600,000 bytes, of which two granules are kept.
        if self.is_data(q):
            self.session(self.buckets["cut"], q, 600000)
            return True

    def on_cut_once(self, what, name, q):
        if self.is_data(q) and count("cut-once " + q["upload_id"]) == 1:
            self.session(self.buckets["cut-once"], q, 600000)
            return True

    def on_stuck(self, what, name, q):
        if self.is_data(q):
            self.session(self.buckets["stuck"], q, 1000)
            return True

    def on_forgets(self, what, name, q):
        # After the first cut it knows nothing of the session.
        if self.is_data(q) and count("forgets " + q["upload_id"]) == 1 and count("forgets") == 1:
            self.sessions.pop(q["upload_id"])
            self.read(1000)
            raise Gone

    def on_session503(self, what, name, q):
        # The first time the bytes come, all but the last granule is kept, and the answer is a 503; so is that to the question.
        if self.is_data(q) and count("503 " + q["upload_id"]) == 1:
            s = self.sessions[q["upload_id"]]
            s.data += self.whole()[:GRANULE * 4]
            raise Refusal(503, "backendError", "Backend Error", [("Retry-After", "1")])

    def on_half(self, what, name, q):
        # It takes a part of what it is given, and says so.
        if self.is_data(q) and count("half " + q["upload_id"]) < 3:
            s = self.sessions[q["upload_id"]]
            s.data += self.whole()[:GRANULE * 2]
            self.incomplete(s)
            return True

    def on_late(self, what, name, q):
        # It has all bytes, and stores nothing until it is asked.
        if self.is_data(q):
            s = self.sessions[q["upload_id"]]
            s.data += self.whole()
            self.incomplete(s)
            return True

    def on_never(self, what, name, q):
        if "upload_id" in q:
            s = self.sessions[q["upload_id"]]
            s.data += self.whole()
            self.incomplete(s)
            return True

    def on_silent_end(self, what, name, q):
        # The object is stored, and the answer lost.
        if self.is_data(q):
            s = self.sessions[q["upload_id"]]
            s.data += self.whole()
            s.done = self.store(s.bucket, s.name, s.data, s.meta, s.q)
            raise Gone

    def on_lying_end(self, what, name, q):
        if self.is_data(q):
            s = self.sessions[q["upload_id"]]
            self.whole()
            s.meta.pop("crc32c"), s.meta.pop("md5Hash")
            s.done = self.store(s.bucket, s.name, b"other", s.meta, s.q)
            self.answer(200, s.done.json(self.base))
            return True

    def on_damaged_end(self, what, name, q):
        if self.is_data(q):
            s = self.sessions[q["upload_id"]]
            data = self.whole()
            s.data += bytes([data[0] ^ 1]) + data[1:]
            return self.complete(s)

    def on_nowhere(self, what, name, q):
        if q.get("uploadType") == "resumable" and "upload_id" not in q:
            self.whole()
            self.answer(200)
            return True

    def on_elsewhere(self, what, name, q):
        # The session is at another address: the token must not go there.
        if q.get("uploadType") == "resumable" and "upload_id" not in q:
            self.base = self.base.replace("127.0.0.1", "localhost")
        if "upload_id" in q and "Authorization" in self.headers:
            raise Refusal(400, "invalid", "The token came along.")

    # listings

    def list_in_two(self, what, q, second):
        if what != "objects.list" or q.get("maxResults") == "1":
            return False
        if "pageToken" not in q:
            self.answer(200, {"kind": "storage#objects", "nextPageToken": "t+/=", "items": [{"name": "p/one", "size": "1"}, {"name": "p/two", "size": "2"}]})
        elif q["pageToken"] != "t+/=":
            raise Refusal(400, "invalid", "Invalid page token.")
        else:
            second()
        return True

    def rows(self, *names, **more):
        self.answer(200, {"kind": "storage#objects", "items": [{"name": n, "size": "3"} for n in names], **more})

    def fail(self, code, reason): raise Refusal(code, reason, "said the double")
    def on_list_good(self, what, name, q): return self.list_in_two(what, q, lambda: self.rows("p/three", "p/not a key", "p/x//y"))
    def on_list_500(self, what, name, q): return self.list_in_two(what, q, lambda: self.fail(500, "internalError"))
    def on_list_circle(self, what, name, q): return self.list_in_two(what, q, lambda: self.rows("p/three", nextPageToken="t+/="))
    def on_list_cut(self, what, name, q): return self.list_in_two(what, q, lambda: self.answer(200, '{"kind": "storage#objects", "items": [{"name": "p/x"'))
    def on_list_empty(self, what, name, q): return self.list_in_two(what, q, lambda: self.answer(200, ""))
    def on_list_html(self, what, name, q): return self.list_in_two(what, q, lambda: self.answer(200, "<html><body></body></html>"))
    def on_list_kind(self, what, name, q): return self.list_in_two(what, q, lambda: self.answer(200, {"kind": "storage#buckets"}))
    def on_list_other(self, what, name, q): return self.list_in_two(what, q, lambda: self.rows("elsewhere/x"))

    def on_paged(self, what, name, q):
        if what == "objects.list":
            self.objects_list(self.buckets["paged"], name, q, 3)
            return True

    # tokens

    def expire(self, bucket):
        # From the third request on, the token of the first one is not taken any more.
        if count(bucket) == 1:
            first[bucket] = self.headers["Authorization"]
        if counts[bucket] > 2 and self.headers["Authorization"] == first[bucket]:
            tokens.pop(self.headers["Authorization"][7:], None)

    def on_expiring(self, what, name, q): self.expire("expiring")
    def on_expiring_upload(self, what, name, q): self.expire("expiring-upload")

    def on_expired(self, what, name, q): raise Refusal(401, "authError", "Invalid Credentials")
