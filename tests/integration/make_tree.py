"""make_tree.py - a tree with an entry of every kind, odd names, odd sizes, odd owners.

SPDX-License-Identifier: Apache-2.0

usage: make_tree.py FOLDER
Needs root, and a file system with user and trusted extended attributes. ACLs and capabilities are put on by the caller.
"""
import os
import random
import socket
import stat
import sys

rnd = random.Random(4711)
top = sys.argv[1]
os.mkdir(top)
os.chdir(top)


def write(path, data, mode=0o644):
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)


def text(size):
    words = [b"alpha", b"beta", b"gamma", b"delta", b"epsilon"]
    out = b""
    while len(out) < min(size, 65536) or not out:
        out += rnd.choice(words) + b" %d\n" % rnd.randrange(1000)
    return (out * (size // len(out) + 1))[:size]


# Sizes around the bounds of tar blocks, groups and chunks.
os.mkdir("sizes")
for size in (0, 1, 511, 512, 513, 4096, 65535, 262143, 262144, 262145, 1048575, 1048576, 1048577, 4194303, 4194304, 4194305):
    write("sizes/random-%d" % size, rnd.randbytes(size))
    if size < 1100000:
        write("sizes/text-%d" % size, text(size))
write("sizes/big", rnd.randbytes(12 << 20) + text(8 << 20))
write("sizes/zeros", bytes(3 << 20))  # data, not a hole

# Many small ones: several groups.
for folder in range(12):
    os.makedirs("many/%02d/sub" % folder)
    for i in range(60):
        write("many/%02d/sub/%d" % (folder, i), text(rnd.randrange(0, 9000)))

# Names.
os.mkdir("names")
for name in (b"blank in it", b" first", b"last ", b"new\nline", b"tab\there", b"back\\slash", b"\\012", b"\\-", b"quote\"'", b"star*[a]?", b"-rf",
             b"\xff\xfe not utf-8", "gr\u00fc\u00df \u2603".encode(), b"\x01\x02\x7f", b"=", b"%41", b"#hash", b"x" * 255, b"\xc3\xa4" * 127):
    write(b"names/" + name, name)
    os.mkdir(b"names/dir " + name[:200])
    os.symlink(name, b"names/link " + name[:200])
# Path order: the slash comes before all other bytes.
for name in ("order", "order.x", "order-1", "order 2"):
    os.mkdir("names/" + name)
    write("names/%s/in" % name, b"in")

# Links.
os.mkdir("links")
write("links/target", b"target")
os.symlink("target", "links/sym")
os.symlink("/nowhere/at all", "links/dangling")
os.symlink("x" * 4000, "links/long")
os.symlink("..", "links/up")
os.symlink(b"\xff\n", "links/bytes")
os.link("links/target", "links/hard")
os.link("links/target", "many/00/hard too")
os.link("sizes/random-1048577", "links/hard to a large file")
os.link("links/sym", "links/hard to a symlink", follow_symlinks=False)

# Specials.
os.mkdir("special")
os.mkfifo("special/fifo", 0o620)
os.link("special/fifo", "special/fifo again")
os.mknod("special/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
os.mknod("special/odd", stat.S_IFCHR | 0o600, os.makedev(260, 70000))
os.mknod("special/loop", stat.S_IFBLK | 0o660, os.makedev(7, 0))
s = socket.socket(socket.AF_UNIX)
s.bind("special/socket")

# Holes.
os.mkdir("sparse")


def sparse(name, size, *pieces):
    with open("sparse/" + name, "wb") as f:
        for at, data in pieces:
            f.seek(at)
            f.write(data)
        f.truncate(size)


page = rnd.randbytes(4096)
sparse("small", 65536, (32768, page))
sparse("small-end", 131072, (0, page))
sparse("hole-only", 5 << 20)
sparse("hole-small", 40960)
sparse("middle", 8 << 20, (2 << 20, page))
sparse("start", 8 << 20, (0, page * 3))
sparse("end", 8 << 20, ((8 << 20) - 4096, page))
sparse("many", 4 << 20, *((i * 65536, page) for i in range(64)))
sparse("large", 40 << 20, (0, page), (10 << 20, rnd.randbytes(3 << 20)), (30 << 20, page))
sparse("unaligned", 1234567, (500001, b"somewhere"))

# Modes, owners, times.
os.mkdir("meta")
for mode in (0o000, 0o400, 0o777, 0o4755, 0o2755, 0o6711, 0o1644, 0o7777):
    write("meta/mode-%04o" % mode, b"m", mode)
    os.mkdir("meta/dir-%04o" % mode)
    write("meta/dir-%04o/in" % mode, b"in")
    os.chmod("meta/dir-%04o" % mode, mode)
for uid, gid in ((1, 2), (65534, 65534), (2097151, 2097152), (2097153, 4000000000), (4294967294, 4294967294)):
    path = "meta/owner-%d-%d" % (uid, gid)
    write(path, b"o", 0o640)
    os.chown(path, uid, gid)
    os.symlink("x", path + "-link")
    os.chown(path + "-link", uid, gid, follow_symlinks=False)
write("meta/setuid-owned", b"s")
os.chown("meta/setuid-owned", 1234, 4321)
os.chmod("meta/setuid-owned", 0o6755)
for ns in (0, 1, 999999999, 1000000000 * 10**9 + 123456789, 2**31 * 10**9, 2**33 * 10**9 + 1, -1, -86400 * 10**9 * 365 + 5):
    path = "meta/time%d" % ns
    write(path, b"t")
    os.utime(path, ns=(ns, ns))
os.symlink("x", "meta/time-link")
os.utime("meta/time-link", ns=(5, 123456789123456789), follow_symlinks=False)

# Extended attributes.
os.mkdir("xattr")
write("xattr/user", b"u")
os.setxattr("xattr/user", b"user.plain", b"value")
os.setxattr("xattr/user", b"user.binary", bytes(range(256)))
os.setxattr("xattr/user", b"user.empty", b"")
os.setxattr("xattr/user", b"user.long", rnd.randbytes(3000))
os.setxattr("xattr/user", b"user.odd = name\n", b"1")
write("xattr/trusted", b"t")
os.setxattr("xattr/trusted", b"trusted.overlay.opaque", b"y")
os.mkdir("xattr/dir")
os.setxattr("xattr/dir", b"user.on.dir", b"d")
os.setxattr("xattr/dir", b"trusted.on.dir", b"\x00\xff")
os.symlink("user", "xattr/link")
os.setxattr("xattr/link", b"trusted.on.link", b"l", follow_symlinks=False)
write("xattr/large", rnd.randbytes(300000))
os.setxattr("xattr/large", b"user.on.large", b"large")
os.link("xattr/user", "xattr/hard")
write("xattr/readonly", b"r", 0o444)
os.setxattr("xattr/readonly", b"user.r", b"r")

os.mkdir("acl")
for name in ("access", "mask", "caps", "caps-large"):
    write("acl/" + name, b"a" if name != "caps-large" else rnd.randbytes(400000), 0o754)
os.mkdir("acl/default")
os.mkdir("acl/both")
os.mkdir("empty")
os.mkdir("empty/nested")

# Folders get their times last, from the inside out.
for folder, _, _ in os.walk(".", topdown=False):
    os.utime(folder, ns=(0, 1500000000123456789 + rnd.randrange(10**12)))
