"""mutate.py - random changes to a tree, the same ones for the same number.

SPDX-License-Identifier: Apache-2.0

usage: mutate.py FOLDER GENERATION
Generation 0 makes the tree; each later one changes about a tenth of it.
"""
import os
import random
import shutil
import sys

top, generation = sys.argv[1], int(sys.argv[2])
rnd = random.Random(generation)


def size():
    return rnd.choice((0, 10, 1000, 5000, 5000, 20000, 20000, 262143, 262144, 600000, 1500000)[: 7 if rnd.random() < 0.85 else 11])


def fill(path):
    with open(path, "wb") as f:
        n = size()
        f.write(rnd.randbytes(n))
        if rnd.random() < 0.05:
            f.truncate(n + 700000)


def name():
    return "n%03d%s" % (rnd.randrange(400), rnd.choice(("", "", ".x", " y", "-z")))


def below():
    files, folders = [], [top]
    for at, dirs, names in os.walk(top):
        folders += [os.path.join(at, d) for d in sorted(dirs) if not os.path.islink(os.path.join(at, d))]
        files += [os.path.join(at, n) for n in sorted(names)]
    return sorted(files), sorted(folders)


def add(folder):
    path = os.path.join(folder, name())
    if os.path.lexists(path):
        return
    kind = rnd.random()
    if kind < 0.75:
        fill(path)
    elif kind < 0.9:
        os.mkdir(path)
    else:
        os.symlink(name(), path)


def edit(path):
    if os.path.islink(path) or not os.path.isfile(path):
        os.remove(path)
        return
    st = os.stat(path)
    how = rnd.randrange(9)
    if how == 0:
        fill(path)
    elif how == 1:
        with open(path, "r+b") as f:  # in the middle, same size, same time
            f.seek(rnd.randrange(st.st_size + 1))
            f.write(rnd.randbytes(min(5, st.st_size - f.tell())))
        os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))
    elif how == 2:
        os.chmod(path, rnd.randrange(0o400, 0o1000))
    elif how == 3:
        os.remove(path)
    elif how == 4:
        os.rename(path, os.path.join(os.path.dirname(path), "moved " + name()))
    elif how == 5:
        other = os.path.join(rnd.choice(below()[1]), "hard " + name())
        if not os.path.lexists(other):
            os.link(path, other)
    elif how == 6:
        os.truncate(path, rnd.randrange(st.st_size + 100))
    elif how == 7:
        os.utime(path, ns=(0, rnd.randrange(2 * 10**18)))
    else:
        os.setxattr(path, b"user.g", b"%d" % generation)


if generation == 0:
    os.mkdir(top)
    for _ in range(60):
        path = os.path.join(rnd.choice(below()[1]), "d" + name())
        if not os.path.lexists(path):
            os.mkdir(path)
    for _ in range(300):
        add(rnd.choice(below()[1]))
else:
    for _ in range(15):
        add(rnd.choice(below()[1]))
        edit(rnd.choice(below()[0]))
    folders = below()[1][1:]
    if rnd.random() < 0.3:
        shutil.rmtree(rnd.choice(folders))
    elif rnd.random() < 0.3:
        folder = rnd.choice(folders)
        os.rename(folder, os.path.join(top, "folder " + name()))
