#!/bin/bash
# source_sqlite.sh - the sqlite source beside the pipeline that admins write themselves: sqlite3 .backup, then zstd, then gpg. One run of each, nothing dropped.
# SPDX-License-Identifier: Apache-2.0
#
# The two take turns, with the database in the page cache and nothing waiting to be written. What is stored after changes is compared with what
# was stored at first. There is no time that this fails for: it measures. It fails when what comes back is not what was there.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
: "${HOLDFAST:?the program to measure (eval "$(make -s test-env)")}" "${HOLDFAST_PLUGIN_PATH:?where its plugins are}"

usage() {
  cat <<END
usage: source_sqlite.sh [OPTION]...
  --size MIB     size of the database; default 2048
  --rounds N     of the first backup; default 1
  --journal M    wal (default) or delete
  --check C      none, quick (default) or full: as in the manifest
  --chunk SIZE   as in the manifest; default 64K
  --dir FOLDER   work below it; default TMPDIR or /tmp. Needs five times the size
END
}

hold=0 pipe=0 size=2048 rounds=1 journal=wal check=quick chunk=64K dir=${TMPDIR:-/tmp}
while [ $# -gt 0 ]; do
  case $1 in
    --size | --rounds | --journal | --check | --chunk | --dir)
      [ $# -ge 2 ] || { usage >&2 && exit 2; }
      declare "${1#--}=$2"
      shift
      ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift
done
for tool in python3 sqlite3 zstd gpg; do command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2 && exit 1; }; done

work=$(mktemp -d "$dir/hf-bench.XXXXXX")
export TMPDIR=$work GNUPGHOME=$work/gnupg
cleanup() {
  gpgconf --homedir "$work/gnupg" --kill all 2>/dev/null || :
  gpgconf --homedir "$work/state/gnupg" --kill all 2>/dev/null || :
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# A copy of the plugins that is root's alone, as the loader wants it.
mkdir "$work/plugins"
IFS=: read -ra dirs <<<"$HOLDFAST_PLUGIN_PATH"
for d in "${dirs[@]}"; do cp "$d"/*.so "$work/plugins/"; done
export HOLDFAST_PLUGIN_PATH=$work/plugins

mkdir -m 700 "$work/gnupg"
gpg --batch --quiet --passphrase '' --quick-generate-key 'Benchmark <bench@example.com>' ed25519 cert never 2>/dev/null
recipient=$(gpg --batch --quiet --no-auto-check-trustdb --with-colons --list-keys | awk -F: '$1 == "fpr" { print $10; exit }')
gpg --batch --quiet --passphrase '' --quick-add-key "$recipient" cv25519 encr never 2>/dev/null

db=$work/bench.db
# Rows of about 1 KiB: words that can be compressed, and as much again that cannot.
python3 - "$db" "$size" "$journal" <<'END'
import random, sqlite3, sys
path, size, journal = sys.argv[1], int(sys.argv[2]), sys.argv[3]
rnd = random.Random(1)
words = [bytes(rnd.choice(b"abcdefghijklmnopqrstuvwxyz") for _ in range(rnd.randrange(2, 10))) for _ in range(5000)]
db = sqlite3.connect(path, isolation_level=None)
db.executescript(f"""PRAGMA journal_mode={journal}; PRAGMA synchronous=OFF;
CREATE TABLE t(id INTEGER PRIMARY KEY, word TEXT, data BLOB); CREATE INDEX word ON t(word); BEGIN""")
text = b" ".join(rnd.choice(words) for _ in range(200000))
def rows():
    for i in range(size * 1024 * 100 // 112):
        at = rnd.randrange(len(text) - 600)
        yield i, rnd.choice(words).decode(), text[at:at + 500] + rnd.randbytes(500)
db.executemany("INSERT INTO t VALUES (?, ?, ?)", rows())
db.execute("COMMIT")
db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
db.close()
END
bytes=$(stat -c %s "$db")

# timed NAME COMMAND...: the seconds go to the variable NAME.
timed() {
  local name=$1 from to
  shift
  sync
  cat "$db" >/dev/null
  from=$(date +%s.%N)
  "$@" || { echo "failed: $*" >&2 && exit 1; }
  to=$(date +%s.%N)
  printf -v "$name" '%s' "$(awk -v a="$from" -v b="$to" 'BEGIN { printf "%.3f", b - a }')"
}

hf() { "$HOLDFAST" -q --no-progress -c "$work/m.ini" "$@"; }
stored() { find "$work/repo" -type f -printf '%s\n' | awk '{ n += $1 } END { printf "%.0f\n", n }'; }

new_repo() {
  gpgconf --homedir "$work/state/gnupg" --kill all 2>/dev/null || :
  rm -rf "$work/repo" "$work/state"
  cat >"$work/m.ini" <<END
[holdfast]
host       = bench
recipients = $recipient
state      = $work/state
padding    = no

[source data]
plugin   = sqlite
database = $db
check    = $check
chunk    = $chunk
scratch  = $work

[target disk]
plugin = local
path   = $work/repo
END
  hf init >/dev/null
}

# gpg's own compression is off: on what zstd has packed it only costs time.
pipeline() {
  sqlite3 "$db" ".backup $work/copy.db" && zstd -q -3 -T0 -c "$work/copy.db" | gpg --batch -q --trust-model always -z 0 -r "$recipient" -e >"$work/pipe.gpg"
  rm -f "$work/copy.db"
}

# same: does what comes back hold what is there, row by row?
same() {
  rm -rf "$work/out"
  hf restore latest data --to "$work/out" >/dev/null
  local query='SELECT count(*), sum(id), count(DISTINCT word) FROM t; SELECT id, hex(data) FROM t' want got
  want=$(sqlite3 "$db" "$query" | sha256sum)
  got=$(sqlite3 "file:$work/out/data/bench.db?immutable=1" "$query" | sha256sum)
  [ "$got" = "$want" ] || { echo "what comes back is not what was there" >&2 && exit 1; }
  rm -rf "$work/out"
}

# chunks_changed OLD: the bytes of all chunks in which something has changed.
chunks_changed() {
  python3 - "$1" "$db" "$(numfmt --from=iec "$chunk")" <<'END'
import sys
a, b, chunk = open(sys.argv[1], "rb"), open(sys.argv[2], "rb"), int(sys.argv[3])
n = 0
while True:
    x, y = a.read(chunk), b.read(chunk)
    if not y:
        break
    n += len(y) if x != y else 0
print(n)
END
}

printf 'database\t%s bytes, journal mode %s, check = %s, chunk = %s; %s cores\n' "$bytes" "$journal" "$check" "$chunk" "$(nproc)"
for ((round = 1; round <= rounds; round++)); do
  new_repo
  if ((round % 2)); then timed hold hf backup && timed pipe pipeline; else timed pipe pipeline && timed hold hf backup; fi
  awk -v h="$hold" -v p="$pipe" -v r="$round" 'BEGIN {
    printf "round %d\tpipeline %.2f s, holdfast %.2f s: %.2f of its throughput (goal: at least 0.80), %s\n", r, p, h, p / h, (p / h >= 0.8 ? "met" : "NOT MET")
  }'
done
first=$(stored)
printf 'stored\t%s bytes; by the pipeline %s\n' "$first" "$(stat -c %s "$work/pipe.gpg")"
same

# change WHERE WHAT: change rows, back up, and compare what it stored with the first run and with the chunks that were touched.
change() {
  local before touched new
  cp "$db" "$work/old.db"
  sqlite3 "$db" "UPDATE t SET data = randomblob(1000) WHERE $1; PRAGMA wal_checkpoint(TRUNCATE)" >/dev/null
  touched=$(chunks_changed "$work/old.db")
  rm "$work/old.db"
  before=$(stored)
  timed hold hf backup
  new=$(($(stored) - before))
  awk -v n="$new" -v f="$first" -v t="$touched" -v s="$hold" -v what="$2" 'BEGIN {
    printf "%s\t%.2f s, stored %.0f bytes: %.4f of the first; chunks touched %.0f bytes: %.3f of them\n", what, s, n, n / f, t, t ? n / t : 0
  }'
  same
}
rows=$(sqlite3 "$db" 'SELECT count(*) FROM t')
change "id BETWEEN $((rows / 2)) AND $((rows / 2 + rows / 100))" "1 % of the rows, in a row (goal: at most 0.05 of the first)"
change "id IN (SELECT abs(random()) % $rows FROM t LIMIT $((rows / 100)))" "1 % of the rows, at random (goal: at most 1 of the chunks touched)"
change "0" "nothing changed"
