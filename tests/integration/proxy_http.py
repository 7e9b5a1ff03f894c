#!/usr/bin/env python3
# proxy_http.py - a small HTTP proxy: forwards requests, and connections with CONNECT.
# SPDX-License-Identifier: Apache-2.0
#
# usage: proxy_http.py FOLDER [USER:PASSWORD]. Listens on a free port of 127.0.0.1, whose number it writes to FOLDER/port; each request's method and target is a line
# of FOLDER/log. With USER:PASSWORD it wants them.
import base64, os, socket, sys, threading

folder = sys.argv[1]
wanted = b"basic " + base64.b64encode(sys.argv[2].encode()).lower() if len(sys.argv) > 2 else None
lock = threading.Lock()


def note(method, target):
    with lock, open(folder + "/log", "a") as f:
        f.write("%s %s\n" % (method, target))


def relay(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
    for s in (a, b):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def head_of(client):
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(65536)
        if not more:
            return None, b""
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


# One request for each connection to the server: what comes after the head goes through as it is.
def serve(client):
    head, rest = head_of(client)
    if head is None:
        return client.close()
    lines = head.split(b"\r\n")
    method, target, version = lines[0].decode().split(" ")
    fields = [l for l in lines[1:] if not l.lower().startswith((b"proxy-", b"connection:"))]
    given = [l.split(b":", 1)[1].strip().lower() for l in lines[1:] if l.lower().startswith(b"proxy-authorization:")]
    note(method, target)
    if wanted and wanted not in given:
        client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return client.close()
    where = target if method == "CONNECT" else target.split("/")[2]
    host, _, port = where.partition(":")
    try:
        server = socket.create_connection((host, int(port or 80)))
    except OSError:
        client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return client.close()
    if method == "CONNECT":
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    else:
        path = "/" + target.split("/", 3)[3] if target.count("/") > 2 else "/"
        server.sendall(b"\r\n".join([("%s %s %s" % (method, path, version)).encode(), *fields, b"Connection: close"]) + b"\r\n\r\n")
    if rest:
        server.sendall(rest)
    threading.Thread(target=relay, args=(client, server), daemon=True).start()
    relay(server, client)


listener = socket.create_server(("127.0.0.1", 0))
with open(folder + "/port.new", "w") as f:
    f.write(str(listener.getsockname()[1]))
os.rename(folder + "/port.new", folder + "/port")
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
