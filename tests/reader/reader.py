# reader.py - restore one stream of a holdfast repository: a reader written from holdfast-repository(5) alone.
# SPDX-License-Identifier: Apache-2.0
#
# usage: reader.py REPOSITORY HOST-KEY-FINGERPRINT SNAPSHOT SOURCE STREAM > FILE
# SNAPSHOT is a sequence number or "latest". Needs gpg with a recipient's secret key, and zstd.
# The numbers in comments are those of the section READING.
import functools
import hashlib
import hmac
import json
import pathlib
import re
import subprocess
import sys
import tempfile

repository, (host_key, snapshot, source_name, stream_name) = pathlib.Path(sys.argv[1]), sys.argv[2:]


def need(fine, text):
    return fine or sys.exit("reader: " + text)


def run(args, data):
    done = subprocess.run(args, input=data, capture_output=True)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


def decrypt(name, digest, *options):
    data = (repository / name).read_bytes()
    need(hashlib.sha256(data).hexdigest() == digest, name + ": its digest is not in order")  # 2
    code, plain, said = run(["gpg", "--batch", "--quiet", "--status-fd", "2", *options, "--decrypt"], data)  # 3
    # Not the exit code: where key ids are hidden, each key that was tried in vain counts as an error.
    return need("[GNUPG:] DECRYPTION_OKAY" in said and "[GNUPG:] GOODMDC" in said, "%s cannot be decrypted: %s" % (name, said)) and plain


# 1: the host key that the user knows, in a keyring of its own.
keyring = tempfile.TemporaryDirectory()
run(["gpg", "--homedir", keyring.name, "--batch", "--import", repository / "keys" / (host_key + ".asc")], b"")


def unseal(name, digest):  # 4: decryption by the user's keyring, verification by the other one
    verify = ["gpg", "--homedir", keyring.name, "--batch", "--trust-model", "always", "--status-fd", "2", "--decrypt"]
    code, plain, said = run(verify, decrypt(name, digest, "--unwrap"))
    signers = re.findall(r"^\[GNUPG:\] VALIDSIG (?:\S+ ){9}(\S+)", said, re.M)
    need(code == 0 and signers == [host_key] and said.count("[GNUPG:] NEWSIG") == 1, "%s is not signed by the host: %s" % (name, said))
    return plain


def unzstd(data, bound):
    code, plain, said = run(["zstd", "-dcq"], data)
    return need(code == 0 and len(plain) <= bound, "zstd: " + said) and plain


# 5, 6: all records, the chain, the snapshot.
records, previous = {}, "0" * 64
names = [re.fullmatch(r"(\d{10})-([0-9a-f]{64})\.json\.gpg", p.name) for p in sorted((repository / "records").iterdir())]
for seq, name in enumerate(filter(None, names), 1):
    r = records[seq] = json.loads(unseal("records/" + name[0], name[2]))
    told = ("holdfast-record 1", seq, seq, previous, records[1]["repository"])
    need(told == (r["format"], r["seq"], int(name[1]), r["prev"], r["repository"]), name[0] + " does not follow the record before")
    previous = name[2]


@functools.cache
def read_index(digest):  # its packs: the words of the pack line, and where each chunk is; none when the index is not there
    name = "indexes/%s.zst.gpg" % digest
    if not (repository / name).exists():
        return []
    text, end, _ = unzstd(unseal(name, digest), 268435456).decode().partition("\nend ")
    head, *packs = text.split("\npack ")
    need(end and head == "holdfast-index 1\nrepository " + records[1]["repository"], "an index is not in order")
    packs = ([line.split(" ") for line in pack.split("\n")] for pack in packs)
    return [(pack, {name: (int(offset), int(length)) for _, name, offset, length in chunks}) for pack, *chunks in packs]


def ordinals(indexes):  # (index, ordinal) of each pack
    parts = ((x["sha256"], *part.partition("-")) for x in indexes for part in x["packs"].split(","))
    return {(digest, n) for digest, a, _, b in parts for n in range(int(a), int(b or a) + 1)}


# What compactions put in the place of what, in their order.
replaced = [(ordinals(x["replaced"]), ordinals(x["by"])) for r in records.values() for x in r.get("extra", {}).get("compacted", [])]


def needed(seq):  # the packs of a snapshot; None for one that no index here tells of
    packs = ordinals(records[seq]["indexes"])
    for old, new in replaced:
        packs = packs - old | new if packs & old else packs
    return [dict(enumerate(read_index(digest))).get(n) for digest, n in packs]


def path(pack):
    return "packs/%s/%s.tar.zst.gpg" % (pack[0][0][:2], pack[0][0])


def is_here(seq):  # passed over, pruned or gone, for whatever target: then all its packs have to be there
    extras = [{}] + [r.get("extra", {}) for r in records.values()]
    named = "passed" in extras[seq] or any(seq in x.get("gone", []) or any(seq in y["snapshots"] for y in x.get("removed", [])) for x in extras)
    return not named or all(p and (repository / path(p)).exists() for p in needed(seq))


snapshots = [s for s, r in records.items() if r["type"] == "snapshot" and snapshot in ("latest", str(s)) and is_here(s)]
need(snapshots, "snapshot %s is not there, was pruned here, or never taken" % snapshot)
record = records[max(snapshots)]
source = next(s for s in record["sources"] if s["name"] == source_name)
stream = next(s for s in source["streams"] if s["name"] == stream_name)

# The keys of the audience, by HKDF-SHA256.
lines = unseal("secrets/%s.gpg" % record["secret"], record["secret"]).decode().splitlines()
need(lines[:2] == ["holdfast-secret 1", "repository " + record["repository"]], "the secret is of another repository")
prk = hmac.new(bytes(32), bytes.fromhex(lines[2].removeprefix("key ")), hashlib.sha256).digest()


def derive(purpose):  # 32 bytes: one block
    return hmac.new(prk, "\n".join(["holdfast 1 " + purpose, *sorted(source["recipients"]), "\1"]).encode(), hashlib.sha256).digest()


need(derive("audience")[:16].hex() == source["audience"], "the audience is not that of the recipients")
id_key = derive("chunk-id")
where = {chunk_id: pack for pack in filter(None, needed(record["seq"])) for chunk_id in pack[1]}
opened = {}


def chunk(chunk_id):  # 8
    (digest, stored, raw, *_), chunks = pack = where[chunk_id]
    if digest not in opened:
        opened.clear()
        opened[digest] = unzstd(decrypt(path(pack), digest), int(raw))
        need([(repository / path(pack)).stat().st_size, len(opened[digest])] == [int(stored), int(raw)], "pack %s is not what the index says" % digest)
    data = opened[digest][chunks[chunk_id][0] :][: chunks[chunk_id][1]]
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
