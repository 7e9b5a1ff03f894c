"""describe.py - one line for each entry of a tree, with all that a backup has to give back.

SPDX-License-Identifier: Apache-2.0

usage: describe.py FOLDER [no-sockets]

Two trees with the same lines are the same. Works at any depth: no path is given to the system whole.
"""
import hashlib
import os
import stat
import sys

options = set(sys.argv[2:])
first_name = {}  # (device, inode) -> path of its first name


def content(parent, name):
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    try:
        digest = hashlib.sha256()
        while block := os.read(fd, 1 << 20):
            digest.update(block)
        return digest.hexdigest()
    finally:
        os.close(fd)


def xattrs(parent, name):
    path = b"/proc/self/fd/%d/%s" % (parent, name)
    out = []
    for key in sorted(os.listxattr(path, follow_symlinks=False)):
        value = os.getxattr(path, key, follow_symlinks=False)
        out.append("%r=%s" % (key, value.hex() if len(value) < 100 else hashlib.sha256(value).hexdigest()))
    return ",".join(out) or "-"


def show(parent, name, path):
    st = os.lstat(name, dir_fd=parent)
    kind = stat.S_IFMT(st.st_mode)
    if kind == stat.S_IFSOCK and "no-sockets" in options:
        return None
    what = "-"
    if kind == stat.S_IFREG:
        what = "%d %s" % (st.st_size, content(parent, name))
    elif kind == stat.S_IFLNK:
        what = repr(os.readlink(name, dir_fd=parent))
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        what = "%d:%d" % (os.major(st.st_rdev), os.minor(st.st_rdev))
    link = "-"
    if kind != stat.S_IFDIR and st.st_nlink > 1:
        link = repr(first_name.setdefault((st.st_dev, st.st_ino), path))
    print(repr(path), "%o" % st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns, what, link, xattrs(parent, name))
    return kind == stat.S_IFDIR


def walk(top):
    # A stack of open folders would run out of descriptors; so one is open at a time, and ".." leads back.
    base = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    show(base, b".", b".")
    stack = [(b"", sorted(os.listdir(base)))]
    here = base
    while stack:
        prefix, names = stack[-1]
        if not names:
            stack.pop()
            if stack:
                up = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
                os.close(here)
                here = up
            continue
        name = os.fsencode(names.pop(0))
        path = prefix + name
        if show(here, name, path):
            down = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = down
            stack.append((path + b"/", sorted(os.listdir(here))))
    os.close(here)


walk(sys.argv[1])
