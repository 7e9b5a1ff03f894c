# double.py - what the doubles of services share: requests noted in FOLDER/log, answers, connections that break, a port in FOLDER/port.
# SPDX-License-Identifier: Apache-2.0
#
# The first argument of a double is FOLDER. Each imports this after it has set sys.dont_write_bytecode: the sources may be read only.
import errno, json, os, re, socket, struct, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

folder = sys.argv[1]
lock = threading.RLock()
counts = {}  # what -> how often


def count(what):
    with lock:
        counts[what] = counts.get(what, 0) + 1
        return counts[what]


class Handler(BaseHTTPRequestHandler):
    """A request of a double: its class adds do_GET and the others."""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    skew = 0  # seconds by which the double's clock is ahead

    def log_message(self, *a):
        pass

    def note(self, **more):
        """A line of FOLDER/log."""
        with lock, open(folder + "/log", "a") as f:
            f.write(json.dumps({"method": self.command, "path": self.path, "port": self.client_address[1],
                                "headers": {k.lower(): v for k, v in self.headers.items()}, **more}) + "\n")

    def answer(self, code, body=b"", headers=(), length=None):
        """length: another Content-Length than the body's. A dict or a list is sent as JSON."""
        if isinstance(body, (dict, list)):
            headers = [*headers, ("Content-Type", "application/json; charset=UTF-8")]
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        self.send_response_only(code)
        if "date" not in [h[0].lower() for h in headers]:
            self.send_header("Date", self.date_time_string(time.time() + self.skew))
        for k, v in headers:
            self.send_header(k, v)
        if code != 204:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
            self.wfile.flush()
        return True

    def drop(self, reset=True):
        """The connection breaks, or ends."""
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        try:
            self.connection.close() if reset else self.connection.shutdown(socket.SHUT_RDWR)
        except OSError as e:
            if e.errno != errno.ENOTCONN:  # the client was first
                raise
        return True

    def part(self, data, wanted, headers, end):
        """Answer a GET or HEAD with the object or, where wanted is a Range, a part of it; end() says that there is none."""
        m = re.match(r"bytes=(\d+)-(\d*)$", wanted)
        if not m:
            return self.answer(200, data, headers) if self.command == "GET" else self.answer(200, b"", headers, len(data))
        first, last = int(m[1]), min(int(m[2] or len(data)), len(data) - 1)
        if first > last:
            return end()
        return self.answer(206, data[first:last + 1], [*headers, ("Content-Range", "bytes %d-%d/%d" % (first, last, len(data)))])


class CommonTrouble:
    """Of a handler: buckets or containers in which the same goes wrong with every service. True: the answer was given."""

    def wants_data(self, key, q, body):
        """Is it a GET of an object? Called with what the on_ functions of that double are called with."""
        return self.command == "GET" and key

    def on_html(self, *request): return self.answer(502, "<html><body>Bad gateway<hr></body></html>")
    def on_moved(self, *request): return self.answer(307, "", [("Location", "http://127.0.0.1:1/")])

    def on_reset(self, *request):
        if self.wants_data(*request):
            self.answer(200, b"x" * 5000, length=100000)
            return self.drop()

    def on_short(self, *request):
        if self.wants_data(*request):
            self.answer(200, b"x" * 50, length=100)
            return self.drop(False)

    def on_long(self, *request):
        if self.wants_data(*request):
            self.close_connection = True
            return self.answer(200, b"x" * 50 + b"SURPLUS", length=50)

    def on_unsaid(self, *request):
        # Half of it, and no word of how much there is.
        if self.wants_data(*request):
            self.send_response_only(200)
            self.end_headers()
            self.wfile.write(b"x" * 50)
            return self.drop(False)

    def on_endless(self, *request):
        # A refusal that does not come to its end.
        if self.wants_data(*request):
            self.send_response_only(500)
            self.end_headers()
            while True:
                self.wfile.write(b"x" * 100000)

    def on_stall(self, *request):
        if self.wants_data(*request):
            self.answer(200, b"x" * 50, length=100)
            self.rfile.read(1)  # until the other side gives up
            return True

    def on_wrongrange(self, *request):
        if self.headers.get("Range") or self.headers.get("x-ms-range"):
            return self.answer(206, b"xx", [("Content-Range", "bytes 0-1/50")])


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        # Clients may go away; what else goes wrong is a fault of the double, which a test may look for.
        e = sys.exc_info()[1]
        if not isinstance(e, ConnectionError) and not (isinstance(e, (OSError, ValueError)) and ("closed file" in str(e) or "Bad file" in str(e))):
            super().handle_error(request, address)


def serve(handler, tls=None):
    """Until it is killed. tls: an SSL context."""
    server = Server(("127.0.0.1", 0), handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with open(folder + "/port.new", "w") as f:
        f.write(str(server.server_port))
    os.rename(folder + "/port.new", folder + "/port")
    server.serve_forever()
