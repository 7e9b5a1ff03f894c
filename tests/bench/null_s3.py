#!/usr/bin/env python3
# null_s3.py - an S3 service that costs next to nothing: it takes packs and keeps their sizes, and nothing else of them.
# SPDX-License-Identifier: Apache-2.0
#
# usage: null_s3.py. Prints the port of 127.0.0.1 it listens on. What is smaller than a megabyte is kept; of larger objects only holes come back. Checks no signature.
import sys, threading, urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

store = {}  # path -> size, or bytes
KEEP = 1 << 20
sink = threading.local()


class Null(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *a):
        pass

    def answer(self, code, body=b""):
        self.send_response_only(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_PUT(self):
        path = urllib.parse.unquote(self.path.partition("?")[0])
        left = size = int(self.headers.get("Content-Length") or 0)
        taken = self.headers.get("If-None-Match") and path in store
        if size < KEEP:
            body = self.rfile.read(size)
        else:
            body = size
            view = sink.__dict__.setdefault("view", memoryview(bytearray(KEEP)))
            while left > 0:
                n = self.rfile.readinto(view[:min(left, KEEP)])
                if not n:
                    return
                left -= n
        if taken:
            return self.answer(412)
        store[path] = body
        self.answer(200)

    def do_DELETE(self):
        store.pop(urllib.parse.unquote(self.path.partition("?")[0]), None)
        self.answer(204)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        path = urllib.parse.unquote(path)
        bucket = "/" + path.split("/")[1] + "/"
        if path.rstrip("/") + "/" == bucket:
            prefix = bucket + dict(urllib.parse.parse_qsl(query)).get("prefix", "")
            rows = "".join("<Contents><Key>%s</Key><Size>%d</Size></Contents>" % (k[len(bucket):], v if isinstance(v, int) else len(v))
                           for k, v in sorted(store.items()) if k.startswith(prefix))
            return self.answer(200, ("<ListBucketResult><IsTruncated>false</IsTruncated>%s</ListBucketResult>" % rows).encode())
        if path not in store:
            return self.answer(404)
        self.answer(200, bytes(store[path]))

    do_HEAD = do_GET


server = ThreadingHTTPServer(("127.0.0.1", 0), Null)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever()
