"""reader.py - restore one stream of a holdfast repository: a reader written from holdfast-repository(5) alone.

SPDX-License-Identifier: Apache-2.0

usage: reader.py REPOSITORY HOST-KEY-FINGERPRINT SNAPSHOT SOURCE STREAM > FILE
SNAPSHOT is a sequence number or "latest". Needs gpg with a recipient's secret key, and zstd.
The numbers in comments are those of the section READING.
"""
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import tempfile

repository, host_key, snapshot, source_name, stream_name = sys.argv[1:]


def need(fine, text):
    if not fine:
        sys.exit("reader: " + text)


def run(args, data):
    done = subprocess.run(args, input=data, capture_output=True)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


def fetch(name, digest):
    with open(os.path.join(repository, name), "rb") as f:
        data = f.read()
    need(hashlib.sha256(data).hexdigest() == digest, name + ": its digest is not in order")  # 2
    return data


def decrypt(data, what):  # 3
    code, plain, said = run(["gpg", "--batch", "--quiet", "--status-fd", "2", "--decrypt"], data)
    # Not the exit code: where key ids are hidden, each key that was tried in vain counts as an error.
    need("[GNUPG:] DECRYPTION_OKAY" in said and "[GNUPG:] GOODMDC" in said, "%s cannot be decrypted: %s" % (what, said))
    return plain


# 1: the host key that the user knows, in a keyring of its own.
keyring = tempfile.TemporaryDirectory()
with open(os.path.join(repository, "keys", host_key + ".asc"), "rb") as f:
    run(["gpg", "--homedir", keyring.name, "--batch", "--import"], f.read())


def unseal(name, digest):  # 4: decryption by the user's keyring, verification by the other one
    code, signed, said = run(["gpg", "--batch", "--quiet", "--unwrap", "--decrypt"], fetch(name, digest))
    need(code == 0, "%s cannot be decrypted: %s" % (name, said))
    code, plain, said = run(["gpg", "--homedir", keyring.name, "--batch", "--trust-model", "always", "--status-fd", "2", "--decrypt"], signed)
    signers = re.findall(r"^\[GNUPG:\] VALIDSIG (?:\S+ ){9}(\S+)", said, re.M)
    need(code == 0 and signers == [host_key] and said.count("[GNUPG:] NEWSIG") == 1, "%s is not signed by the host: %s" % (name, said))
    return plain


def unzstd(data, bound):
    code, plain, said = run(["zstd", "-dcq"], data)
    need(code == 0 and len(plain) <= bound, "zstd: " + said)
    return plain


# 5, 6: all records, the chain, the snapshot.
records, previous = {}, "0" * 64
names = [re.fullmatch(r"(\d{10})-([0-9a-f]{64})\.json\.gpg", n) for n in sorted(os.listdir(os.path.join(repository, "records")))]
for seq, name in enumerate(filter(None, names), 1):
    r = json.loads(unseal("records/" + name[0], name[2]))
    need((r["format"], r["seq"], int(name[1]), r["prev"]) == ("holdfast-record 1", seq, seq, previous), name[0] + " does not follow the record before")
    records[seq], previous = r, name[2]
need(len({r["repository"] for r in records.values()}) == 1, "records of several repositories")


def index_packs(r):  # digests of the packs that a snapshot needs; None where an index of it is not there
    for index in r["indexes"]:
        name = "indexes/%s.zst.gpg" % index["sha256"]
        if not os.path.exists(os.path.join(repository, name)):
            yield None
            continue
        lines = unzstd(unseal(name, index["sha256"]), 268435456).decode().splitlines()
        listed = [line.split(" ")[1] for line in lines if line.startswith("pack ")]
        for part in index["packs"].split(","):
            first, _, last = part.partition("-")
            yield from listed[int(first) : int(last or first) + 1]


def is_here(seq):  # passed over, pruned or gone, for whatever target: then all its packs have to be there
    r, named = records[seq], "passed" in records[seq].get("extra", {})
    for other in records.values():
        extra = other.get("extra", {})
        named |= seq in extra.get("gone", []) or any(seq in x["snapshots"] for x in extra.get("removed", []))
    return not named or all(p and os.path.exists(os.path.join(repository, "packs/%s/%s.tar.zst.gpg" % (p[:2], p))) for p in index_packs(r))


snapshots = [s for s, r in records.items() if r["type"] == "snapshot"]
chosen = max(filter(is_here, snapshots)) if snapshot == "latest" else int(snapshot)
need(is_here(chosen), "snapshot %d was pruned here, or never taken" % chosen)
record = records[chosen]
source = next(s for s in record["sources"] if s["name"] == source_name)
stream = next(s for s in source["streams"] if s["name"] == stream_name)

# The keys of the audience, by HKDF-SHA256.
lines = unseal("secrets/%s.gpg" % record["secret"], record["secret"]).decode().splitlines()
need(lines[:2] == ["holdfast-secret 1", "repository " + record["repository"]], "the secret is of another repository")
prk = hmac.new(bytes(32), bytes.fromhex(lines[2].removeprefix("key ")), hashlib.sha256).digest()


def derive(purpose):  # 32 bytes: one block
    info = "".join(line + "\n" for line in ["holdfast 1 " + purpose] + sorted(source["recipients"]))
    return hmac.new(prk, info.encode() + b"\x01", hashlib.sha256).digest()


need(derive("audience")[:16].hex() == source["audience"], "the audience is not that of the recipients")
id_key = derive("chunk-id")

# The indexes: chunk id -> pack, offset, length.
where, packs = {}, {}
for index in record["indexes"]:
    text = unzstd(unseal("indexes/%s.zst.gpg" % index["sha256"], index["sha256"]), 268435456).decode().splitlines()
    need(text[:2] == ["holdfast-index 1", "repository " + record["repository"]] and text[-1].startswith("end "), "an index is not in order")
    for kind, name, *numbers in (line.split(" ") for line in text[2:-1]):
        if kind == "pack":
            pack, packs[name] = name, tuple(map(int, numbers[:2]))
        else:
            where[name] = (pack, int(numbers[0]), int(numbers[1]))
opened = {}


def chunk(chunk_id):  # 8
    pack, offset, length = where[chunk_id]
    if pack not in opened:
        data = fetch("packs/%s/%s.tar.zst.gpg" % (pack[:2], pack), pack)
        archive = unzstd(decrypt(data, "pack " + pack), packs[pack][1])
        need((len(data), len(archive)) == packs[pack], "pack %s is not what the index says" % pack)
        opened.clear()
        opened[pack] = archive
    data = opened[pack][offset : offset + length]
    need(hmac.new(id_key, data, hashlib.sha256).hexdigest() == chunk_id, "chunk %s is not what its id says" % chunk_id)
    return data


# 7: the recipe.
recipe = b"".join(chunk(c) for c in stream["recipe"])
need((len(recipe), hashlib.sha256(recipe).hexdigest()) == (stream["recipe_size"], stream["recipe_sha256"]), "the recipe is not the one that the record names")
lines = recipe.decode(errors="surrogateescape").split("\n")
need(lines[:2] == ["holdfast-recipe 1", "stream %s %s" % (stream_name, stream["format"])], "the recipe is not in order")

# 8, 9: the stream.
whole, size = hashlib.sha256(), 0
for word in (line.split(" ") for line in lines[2:]):
    if word[0] == "c":
        data = chunk(word[1])
        need(len(data) == int(word[2]), "a chunk has another length")
        data = data[int(word[3]) : int(word[3]) + int(word[4])]
        whole.update(data)
        size += sys.stdout.buffer.write(data)
    need(word[0] != "end" or int(word[1]) == size, "the stream has another length")
need(size == stream["size"] and stream.get("sha256", whole.hexdigest()) == whole.hexdigest(), "the stream is not the one that the record names")
