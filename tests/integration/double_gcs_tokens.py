# double_gcs_tokens.py - the part of double_gcs.py that hands out tokens.
# SPDX-License-Identifier: Apache-2.0
import base64, json, os, re, secrets, subprocess, threading, time, urllib.parse
from double import count, folder

first = {}  # bucket -> the token that was shown there first
tokens = {}  # token -> {"email", "scopes", "expires"}
SCOPE = "https://www.googleapis.com/auth/"
READ = {SCOPE + s for s in ("devstorage.read_only", "devstorage.read_write", "devstorage.full_control", "cloud-platform")}
WRITE = READ - {SCOPE + "devstorage.read_only"}
FULL = {SCOPE + "devstorage.full_control", SCOPE + "cloud-platform"}
TIMES = ("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT "
         "claim.")


class Refusal(Exception):
    def __init__(self, code, reason, message, headers=(), body=None):
        self.code, self.reason, self.message, self.headers, self.body = code, reason, message, headers, body

    def json(self):
        if self.body is not None:
            return self.body
        return {"error": {"code": self.code, "message": self.message,
                          "errors": [{"message": self.message, "domain": "global", "reason": self.reason}]}}


class Gone(Exception):
    """The connection is to be dropped."""


def accounts():
    with open(folder + "/accounts.json") as f:
        return json.load(f)


class Tokens:
    """Of the request handler: the metadata service, token endpoints, exchange and impersonation."""

    def grant(self, email, scopes, lifetime=3599):
        t = "ya29." + secrets.token_urlsafe(24)
        tokens[t] = {"email": email, "scopes": set(scopes), "expires": time.time() + lifetime}
        with open(folder + "/granted", "a") as f:
            f.write("%s %s %s\n" % (email, t, " ".join(sorted(scopes))))
        return t

    def refuse(self, code, error, description, headers=()):
        raise Refusal(code, error, description, headers, {"error": error, "error_description": description})

    def metadata_service(self, path):
        if path.startswith("/other/"):
            return self.answer(200, {"access_token": "x", "expires_in": 3599})
        headers = [("Metadata-Flavor", "Google"), ("Server", "Metadata Server for VM")]
        if self.headers.get("Metadata-Flavor") != "Google":
            return self.answer(403, "", headers)
        leaf = path.partition("/computeMetadata/v1/")[2].rstrip("/")
        if path.startswith("/bare/"):
            return self.answer(404, "", headers)
        if leaf == "instance/service-accounts/default/token":
            token = self.grant("vm@p1.iam", {SCOPE + "devstorage.read_write"})
            return self.answer(200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}, headers)
        self.answer(200, {"instance": "1", "project/project-id": "p1", "universe/universe-domain": "googleapis.com"}.get(leaf, "x"), headers)

    def token_service(self, path):
        body = self.whole()
        if path.startswith("/subject"):
            if self.headers.get("X-Subject") != "please":
                return self.answer(403)
            return self.answer(200, {"value": "subject-good"} if path == "/subject-json" else "subject-good\n")
        if path.startswith("/iam/"):
            return self.impersonate(path, body)
        if self.headers.get("Content-Type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            self.refuse(400, "invalid_request", "A form is wanted.")
        form = dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True))
        if path == "/token-busy":
            return self.answer(503, "", [("Retry-After", "3")])
        if path == "/token-html":
            return self.answer(200, "<html></html>")
        if path == "/token-moved":
            return self.answer(302, "", [("Location", "http://127.0.0.1:1/")])
        if path == "/token-skew":
            self.refuse(400, "invalid_grant", TIMES, [("Date", self.date_time_string(time.time() - 7200))])
        if path == "/token-disabled":
            self.refuse(400, "invalid_grant", "Invalid grant: account disabled")
        if path == "/token-echo":
            self.refuse(400, "invalid_grant", "Refused: " + "".join(form.get(k, "") for k in ("assertion", "refresh_token", "subject_token")))
        if path.startswith("/sts"):
            return self.exchange(form)
        if form.get("grant_type") == "refresh_token":
            if (form.get("client_id"), form.get("client_secret")) != ("client-1", "secret-1"):
                self.refuse(401, "invalid_client", "The OAuth client was not found.")
            if form.get("refresh_token") != "1//refresh-good":
                self.refuse(400, "invalid_grant", "Token has been expired or revoked.")
            return self.answer(200, {"access_token": self.grant("user@example.com", {SCOPE + "cloud-platform"}), "expires_in": 3599, "token_type": "Bearer",
                                     "scope": SCOPE + "cloud-platform"})
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            self.refuse(400, "unsupported_grant_type", "Invalid grant_type: %s" % form.get("grant_type"))
        email, scopes = self.jwt(form.get("assertion", ""), self.base + path)
        # /token-short is always about to expire, so that each request fetches another one.
        self.answer(200, {"access_token": self.grant(email, scopes), "expires_in": 60 if path == "/token-short" else 3599, "token_type": "Bearer"})

    def jwt(self, text, audience):
        def decode(s):
            if not re.fullmatch(r"[A-Za-z0-9_-]+", s):
                raise ValueError
            return base64.urlsafe_b64decode(s + "=" * (-len(s) % 4))
        try:
            head, claims, signature = text.split(".")
            h, c, sig = json.loads(decode(head)), json.loads(decode(claims)), decode(signature)
        except ValueError:
            self.refuse(400, "invalid_grant", "Invalid JWT")
        account = accounts().get(c.get("iss"))
        if not account or "key" not in account:
            self.refuse(400, "invalid_grant", "Invalid grant: account not found")
        if h.get("alg") != "RS256" or h.get("typ") != "JWT" or h.get("kid", account["kid"]) != account["kid"]:
            self.refuse(400, "invalid_grant", "Invalid JWT header.")
        name = "%s/jwt.%d" % (folder, threading.get_ident())
        with open(name, "wb") as f:
            f.write(sig)
        good = subprocess.run(["openssl", "dgst", "-sha256", "-verify", account["key"], "-signature", name], input=(head + "." + claims).encode(),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
        os.unlink(name)
        if not good:
            self.refuse(400, "invalid_grant", "Invalid JWT Signature.")
        now = time.time()
        if set(c) - {"iss", "sub", "aud", "iat", "exp", "scope"} or c.get("aud") != audience:
            self.refuse(400, "invalid_grant", "Invalid JWT: bad claims")
        if not (isinstance(c.get("iat"), int) and isinstance(c.get("exp"), int)) or c["iat"] > now + 60 or c["exp"] < now or c["exp"] - c["iat"] > 3600:
            self.refuse(400, "invalid_grant", TIMES)
        scopes = set(c.get("scope", "").split())
        if not scopes or not scopes <= READ:
            self.refuse(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        return c["iss"], scopes

    def exchange(self, form):
        grant = "urn:ietf:params:oauth:"
        if form.get("grant_type") != grant + "grant-type:token-exchange" or form.get("requested_token_type") != grant + "token-type:access_token":
            self.refuse(400, "invalid_request", "bad exchange")
        if form.get("subject_token_type") != grant + "token-type:jwt" or not form.get("scope"):
            self.refuse(400, "invalid_request", "bad subject_token_type or no scope")
        if form.get("audience") != "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/prov":
            self.refuse(400, "invalid_target", "The target service indicated by the \"audience\" parameters is invalid.")
        if form.get("subject_token") != "subject-good":
            self.refuse(400, "invalid_grant", "The given credential is rejected by the attribute condition.")
        self.answer(200, {"access_token": self.grant("federated", form["scope"].split()), "issued_token_type": grant + "token-type:access_token",
                          "token_type": "Bearer", "expires_in": 3599})

    def impersonate(self, path, body):
        t = self.account({SCOPE + "cloud-platform"})
        m = re.fullmatch(r"/iam/v1/projects/-/serviceAccounts/([^/:]+):generateAccessToken", path)
        want = json.loads(body)
        if not t or not m or set(want) - {"scope", "lifetime", "delegates"} or not re.fullmatch(r"\d+s", want.get("lifetime", "3600s")):
            raise Refusal(400, "", "", body={"error": {"code": 400, "message": "Request contains an invalid argument.", "status": "INVALID_ARGUMENT"}})
        if m[1] != "other@p1.iam":
            raise Refusal(403, "", "", body={"error": {"code": 403, "message": "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or "
                                                       "it may not exist).", "status": "PERMISSION_DENIED"}})
        self.answer(200, {"accessToken": self.grant(m[1], want["scope"]), "expireTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))})
