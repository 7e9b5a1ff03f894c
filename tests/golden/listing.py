"""listing.py - a tree as a list: one line for each entry, in the order of paths.

SPDX-License-Identifier: Apache-2.0

usage: listing.py FOLDER

KIND PATH MODE SIZE MTIME SHA256 LINK XATTRS, with a blank between them. KIND is one of f d l p. PATH and LINK are escaped as in recipes (see
holdfast-repository(5)). MTIME is in nanoseconds. SHA256 is of a file's content, LINK where a symbolic link leads to, or the first of the names
of a file that has several. XATTRS are NAME=HEX, ordered, with commas. What an entry does not have is a hyphen. Owners are left out: only root
gets them back. The lists beside this file were made by it; what it prints must never change.
"""
import hashlib
import os
import stat
import sys


def escape(name):
    return "".join("\\%03o" % b if b <= 0x20 or b == 0x7F or b == 0x5C or b >= 0x80 else chr(b) for b in name)


def show(top, path, names):
    full = os.path.join(top, path)
    st = os.lstat(full)
    kind = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFIFO: "p"}[stat.S_IFMT(st.st_mode)]
    mode = size = digest = link = "-"
    if kind != "l":
        mode = "%o" % stat.S_IMODE(st.st_mode)
    if kind == "f":
        size = st.st_size
        with open(full, "rb") as f:
            digest = hashlib.sha256(f.read()).hexdigest()
        if st.st_nlink > 1:
            link = escape(names.setdefault(st.st_ino, path))
    elif kind == "l":
        link = escape(os.readlink(full))
    xattrs = []
    # Those of a user and ACLs; others, such as security labels, are the system's business.
    for key in sorted(os.listxattr(full, follow_symlinks=False)):
        if key.startswith(("user.", "system.posix_acl_")):
            xattrs.append("%s=%s" % (key, os.getxattr(full, key, follow_symlinks=False).hex()))
    print(kind, escape(path), mode, size, st.st_mtime_ns, digest, link, ",".join(xattrs) or "-")


def main():
    top = os.fsencode(sys.argv[1])
    paths = [b"."]
    for folder, folders, files in os.walk(top):
        paths += [os.path.relpath(os.path.join(folder, name), top) for name in folders + files]
    names = {}
    for path in sorted(paths):
        show(top, path, names)


main()
