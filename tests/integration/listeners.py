"""listeners.py DIR - the other end of every channel, on the loopback; what comes is kept below DIR.

DIR/ports      shell assignments of the ports; written when all is ready
DIR/mail/N     the messages of the SMTP servers, and N.json with the envelope, whether it came over TLS, and who was logged in
               starttls: STARTTLS and a login are required; smtps: the same from the start; plain: neither
               reject@... is refused for ever, later@... for now
DIR/http       a line of JSON for each request, of http and https alike. Paths: /ok..., /fail (500), /flaky (503 at first), /denied (401),
               /missing (404), /slow (no answer)
DIR/statsd     a line for each datagram at UDP port statsd; DIR/udplog for those at udplog
DIR/syslog     a line for each datagram at the socket DIR/syslog.sock
DIR/journal    a line of JSON for each datagram at DIR/journal.sock, taken apart as systemd's journal does
hole           a TCP port that takes connections and says nothing
"""
# SPDX-License-Identifier: Apache-2.0
import http.server
import itertools
import json
import os
import socket
import ssl
import struct
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

folder = sys.argv[1]
os.makedirs(folder + "/mail", exist_ok=True)
lock = threading.Lock()
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(folder + "/server.crt", folder + "/server.key")


def note(name, text):
    with lock, open(folder + "/" + name, "a", encoding="utf-8") as f:
        f.write(text + "\n")


def free_port():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
    s.close()
    return port


class Mail:
    numbers = itertools.count(1)

    def __init__(self, at_once=False):
        self.at_once = at_once  # the session does not know of TLS that was there before it

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("reject@"):
            return "550 5.1.1 nobody of that name"
        if address.startswith("later@"):
            return "451 4.7.1 not now"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        n = next(self.numbers)
        with open(f"{folder}/mail/{n}", "wb") as f:
            f.write(envelope.content)
        user = session.auth_data.login.decode() if session.auth_data else None
        with open(f"{folder}/mail/{n}.json", "w", encoding="utf-8") as f:
            json.dump({"from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": self.at_once or session.ssl is not None, "user": user}, f)
        return "250 taken"


def login(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and data.login == b"bk" and data.password == b"geheim-und-lang"
    return AuthResult(success=good, handled=False, auth_data=data if good else None)


class Web(http.server.BaseHTTPRequestHandler):
    tried = set()

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        note("http", json.dumps({"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body}))
        code = {"/fail": 500, "/denied": 401, "/missing": 404}.get(self.path, 200)
        if self.path == "/flaky" and self.path not in self.tried:
            self.tried.add(self.path)
            code = 503
        if self.path == "/slow":
            threading.Event().wait()
        self.send_response(code)
        self.end_headers()
        self.wfile.write(b"answer %d\n" % code)

    do_POST = do_PUT = do_GET = answer

    def log_message(self, *args):
        pass


def web(context):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def receive(s, take):
    def loop():
        while True:
            take(s.recv(1 << 20))

    threading.Thread(target=loop, daemon=True).start()


def udp(name):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    receive(s, lambda b: note(name, b.decode()))
    return s.getsockname()[1]


def unix(name, take):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(f"{folder}/{name}.sock")
    receive(s, take)


def journal(b):
    fields = {}
    while b:
        line, _, rest = b.partition(b"\n")
        if b"=" in line:
            key, _, value = line.partition(b"=")
            b = rest
        else:
            key, (n,) = line, struct.unpack("<Q", rest[:8])
            value, b = rest[8 : 8 + n], rest[8 + n + 1 :]
        fields[key.decode()] = value.decode()
    note("journal", json.dumps(fields))


ports = {"starttls": free_port(), "smtps": free_port(), "plain": free_port()}
servers = [
    Controller(Mail(), hostname="127.0.0.1", port=ports["starttls"], tls_context=tls, require_starttls=True, authenticator=login, auth_required=True),
    Controller(Mail(True), hostname="127.0.0.1", port=ports["smtps"], ssl_context=tls, authenticator=login, auth_required=True, auth_require_tls=False),
    Controller(Mail(), hostname="127.0.0.1", port=ports["plain"]),
]
for server in servers:
    server.start()
ports["http"] = web(None)
ports["https"] = web(tls)
ports["statsd"] = udp("statsd")
ports["udplog"] = udp("udplog")
unix("syslog", lambda b: note("syslog", b.decode()))
unix("journal", journal)
hole = socket.create_server(("127.0.0.1", 0))
ports["hole"] = hole.getsockname()[1]
# Bound and not listening: a connection is refused, and nobody else gets the port meanwhile.
refused = socket.socket()
refused.bind(("127.0.0.1", 0))
ports["refused"] = refused.getsockname()[1]
with open(folder + "/ports.new", "w", encoding="utf-8") as f:
    f.writelines(f"{name}_port={port}\n" for name, port in ports.items())
os.rename(folder + "/ports.new", folder + "/ports")
threading.Event().wait()
