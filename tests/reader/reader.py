"""reader.py - restore one stream of a holdfast repository: a reader written from holdfast-repository(5) alone.

SPDX-License-Identifier: Apache-2.0

usage: reader.py REPOSITORY HOST-KEY-FINGERPRINT SNAPSHOT SOURCE STREAM > FILE
SNAPSHOT is a sequence number or "latest". Needs gpg with a recipient's secret key, and zstd.
The numbers in comments are those of the section READING.
"""
import hashlib
import hmac
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile

repository, host_key, snapshot, source_name, stream_name = sys.argv[1:]


def fail(text):
    sys.exit("reader: " + text)


def run(args, data):
    done = subprocess.run(args, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


def fetch(name, digest):
    with open(os.path.join(repository, name), "rb") as f:
        data = f.read()
    if hashlib.sha256(data).hexdigest() != digest:  # 2
        fail(name + ": its digest is not in order")
    return data


def decrypt(data, what):  # 3
    code, plain, said = run(["gpg", "--batch", "--quiet", "--status-fd", "2", "--decrypt"], data)
    # Not the exit code: where key ids are hidden, each key that was tried in vain counts as an error.
    if "[GNUPG:] DECRYPTION_OKAY" not in said or "[GNUPG:] GOODMDC" not in said:
        fail("%s cannot be decrypted: %s" % (what, said))
    return plain


# 1: the host key that the user knows, in a keyring of its own.
keyring = tempfile.TemporaryDirectory()
with open(os.path.join(repository, "keys", host_key + ".asc"), "rb") as f:
    run(["gpg", "--homedir", keyring.name, "--batch", "--import"], f.read())


def unseal(name, digest):  # 4: decryption by the user's keyring, verification by the other one
    code, signed, said = run(["gpg", "--batch", "--quiet", "--unwrap", "--decrypt"], fetch(name, digest))
    if code:
        fail("%s cannot be decrypted: %s" % (name, said))
    args = ["gpg", "--homedir", keyring.name, "--batch", "--trust-model", "always", "--status-fd", "2", "--decrypt"]
    code, plain, said = run(args, signed)
    signers = re.findall(r"^\[GNUPG:\] VALIDSIG (?:\S+ ){9}(\S+)", said, re.M)
    if code or signers != [host_key] or len(re.findall(r"^\[GNUPG:\] NEWSIG", said, re.M)) != 1:
        fail("%s is not signed by the host: %s" % (name, said))
    return plain


def unzstd(data, bound):
    code, plain, said = run(["zstd", "-dcq"], data)
    if code or len(plain) > bound:
        fail("zstd: " + said)
    return plain


# 5, 6: all records, the chain, the snapshot.
records, previous = {}, "0" * 64
for name in sorted(os.listdir(os.path.join(repository, "records"))):
    match = re.fullmatch(r"(\d{10})-([0-9a-f]{64})\.json\.gpg", name)
    if not match:
        continue
    record = json.loads(unseal("records/" + name, match[2]))
    if record["format"] != "holdfast-record 1" or record["seq"] != int(match[1]) or record["prev"] != previous or record["seq"] != len(records) + 1:
        fail(name + " does not follow the record before")
    records[record["seq"]], previous = record, match[2]
if len({r["repository"] for r in records.values()}) != 1:
    fail("records of several repositories")
record = records[max(s for s, r in records.items() if r["type"] == "snapshot") if snapshot == "latest" else int(snapshot)]
source = next(s for s in record["sources"] if s["name"] == source_name)
stream = next(s for s in source["streams"] if s["name"] == stream_name)

# The keys of the audience, by HKDF-SHA256.
lines = unseal("secrets/%s.gpg" % record["secret"], record["secret"]).decode().splitlines()
if lines[0] != "holdfast-secret 1" or lines[1] != "repository " + record["repository"]:
    fail("the secret is of another repository")
prk = hmac.new(bytes(32), bytes.fromhex(lines[2].removeprefix("key ")), hashlib.sha256).digest()


def derive(purpose, length):
    info = ("holdfast 1 %s\n" % purpose + "".join(f + "\n" for f in sorted(source["recipients"]))).encode()
    out = block = b""
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([len(out) // 32 + 1]), hashlib.sha256).digest()
        out += block
    return out[:length]


if derive("audience", 16).hex() != source["audience"]:
    fail("the audience is not that of the recipients")
id_key = derive("chunk-id", 32)

# The indexes: chunk id -> pack, offset, length.
where, packs = {}, {}
for index in record["indexes"]:
    text = unzstd(unseal("indexes/%s.zst.gpg" % index["sha256"], index["sha256"]), 268435456).decode().splitlines()
    if text[0] != "holdfast-index 1" or text[1] != "repository " + record["repository"] or not text[-1].startswith("end "):
        fail("an index is not in order")
    for line in text[2:-1]:
        word = line.split(" ")
        if word[0] == "pack":
            pack = word[1]
            packs[pack] = (int(word[2]), int(word[3]))
        else:
            where[word[1]] = (pack, int(word[2]), int(word[3]))
opened = {}


def chunk(chunk_id):  # 8
    pack, offset, length = where[chunk_id]
    if pack not in opened:
        if len(opened) > 2:
            opened.pop(next(iter(opened)))
        stored, raw = packs[pack]
        data = fetch("packs/%s/%s.tar.zst.gpg" % (pack[:2], pack), pack)
        archive = unzstd(decrypt(data, "pack " + pack), raw)
        if len(data) != stored or len(archive) != raw or tarfile.open(fileobj=io.BytesIO(archive)).getmember(chunk_id).offset_data < 512:
            fail("pack %s is not what the index says" % pack)
        opened[pack] = archive
    data = opened[pack][offset : offset + length]
    if hmac.new(id_key, data, hashlib.sha256).hexdigest() != chunk_id:
        fail("chunk %s is not what its id says" % chunk_id)
    return data


# 7: the recipe.
recipe = b"".join(chunk(c) for c in stream["recipe"])
if len(recipe) != stream["recipe_size"] or hashlib.sha256(recipe).hexdigest() != stream["recipe_sha256"]:
    fail("the recipe is not the one that the record names")
lines = recipe.decode(errors="surrogateescape").split("\n")
if lines[0] != "holdfast-recipe 1" or lines[1] != "stream %s %s" % (stream_name, stream["format"]):
    fail("the recipe is not in order")

# 8, 9: the stream.
whole, size = hashlib.sha256(), 0
for line in lines[2:]:
    word = line.split(" ")
    if word[0] == "c":
        data = chunk(word[1])
        if len(data) != int(word[2]):
            fail("a chunk has another length")
        data = data[int(word[3]) : int(word[3]) + int(word[4])]
        whole.update(data)
        size += len(data)
        sys.stdout.buffer.write(data)
    elif word[0] == "end" and int(word[1]) != size:
        fail("the stream has another length")
if size != stream["size"] or stream.get("sha256", whole.hexdigest()) != whole.hexdigest():
    fail("the stream is not the one that the record names")
