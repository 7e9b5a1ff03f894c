"""proxy_postgres.py - between a client and a server on Unix sockets: changes bytes on their way to the client, or cuts the connection.

SPDX-License-Identifier: Apache-2.0

usage: proxy_postgres.py LISTEN SERVER replace OLD NEW    the first OLD that the server sends becomes NEW, of the same length
       proxy_postgres.py LISTEN SERVER cut BYTES          the connection ends when the server has sent so many
Prints "ready" when it listens. Runs until it is killed.
"""
import os
import select
import socket
import sys
import threading

listen, server, what = sys.argv[1:4]
old = sys.argv[4].encode() if what == "replace" else b""
new = sys.argv[5].encode() if what == "replace" else b""
limit = int(sys.argv[4]) if what == "cut" else None
assert len(old) == len(new)


def held(data):
    """How many bytes at the end may be the beginning of OLD."""
    return next((k for k in range(min(len(old) - 1, len(data)), 0, -1) if data.endswith(old[:k])), 0)


def serve(client):
    up = socket.socket(socket.AF_UNIX)
    up.connect(server)
    sent, rest, done = 0, b"", False
    while True:
        ready = select.select([client, up], [], [], 0.05 if rest else None)[0]
        if client in ready:
            data = client.recv(65536)
            if not data:
                break
            up.sendall(data)
        data = up.recv(65536) if up in ready else b""
        if up in ready and not data:
            break
        data, rest = rest + data, b""
        if old and not done:
            done = old in data
            data = data.replace(old, new, 1)
            keep = 0 if done or not ready else held(data)
            data, rest = data[: len(data) - keep], data[len(data) - keep :]
        if limit is not None and sent + len(data) > limit:
            break
        sent += len(data)
        try:
            client.sendall(data)
        except OSError:
            break
    client.close()
    up.close()


s = socket.socket(socket.AF_UNIX)
s.bind(listen)
os.chmod(listen, 0o777)
s.listen()
print("ready", flush=True)
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
