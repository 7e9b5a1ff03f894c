/* repo.h - bytes and keys of a repository: object names, packs, indexes, recipes, records, the chain. Knows no target.
 * holdfast-repository(5) is the specification of all formats here.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_REPO_H
#define HF_REPO_H

#include <jansson.h>

#include "base/base.h"
#include "base/digest.h"
#include "repo/crypto.h"

/* Sizes, and with them the memory bounds of everything that handles packs. */
#define HF_CHUNK_MIN (256u * 1024)
#define HF_CHUNK_AVG (1024u * 1024)
#define HF_CHUNK_MAX (4u * 1024 * 1024)
#define HF_PACK_TARGET (20u * 1024 * 1024)             /* a pack is closed once its chunks reach this: as large as 256 MiB for everything allow */
#define HF_PACK_MAX (HF_PACK_TARGET + HF_CHUNK_MAX + (1u << 20)) /* raw tar bytes no pack exceeds; readers refuse more than 64 MiB */
#define HF_PACK_READ_MAX (64u * 1024 * 1024)
#define HF_META_MAX (256u * 1024 * 1024)              /* plain text of an index or record that a reader accepts */

/* ---- object names (layout.c) ---- */
/* "packs/<hh>/<sha256>.tar.zst.gpg" and so on; out holds HF_KEY_MAX bytes. Keys are relative to the host's folder. */
#define HF_KEY_MAX 160
void hf_key_pack(char *out, const struct hf_digest *d);
void hf_key_index(char *out, const struct hf_digest *d);
void hf_key_secret(char *out, const struct hf_digest *d);
void hf_key_record(char *out, uint64_t seq, const struct hf_digest *d);
void hf_key_hostkey(char *out, const char *fpr);
enum hf_object_kind { HF_OBJ_OTHER = 0, HF_OBJ_PACK, HF_OBJ_INDEX, HF_OBJ_RECORD, HF_OBJ_SECRET, HF_OBJ_HOSTKEY, HF_OBJ_README, HF_OBJ_RECOVER, HF_OBJ_INI };
struct hf_object_name { enum hf_object_kind kind; struct hf_digest digest; uint64_t seq; char fpr[HF_FPR_LEN + 1]; };
/* Take a key apart; HF_OBJ_OTHER for anything not exactly of a known form. */
void hf_key_parse(const char *key, struct hf_object_name *out);

/* ---- repository secret and keys derived from it (secret.c) ---- */
struct hf_secret { unsigned char key[32]; char repo_id[33]; /* 32 hex digits */ };
void hf_secret_new(struct hf_secret *s); /* random */
void hf_secret_text(const struct hf_secret *s, struct hf_buf *out); /* "holdfast-secret 1\nrepository ID\nkey HEX\n": what is sealed */
int hf_secret_parse(const char *p, size_t n, struct hf_secret *out, struct hf_error *err);
/* Keys of one audience: HKDF-SHA256(secret, "holdfast 1 " PURPOSE LF fingerprint LF ... ), fingerprints upper case, sorted, each followed by LF.
 * PURPOSE: "chunk-id" (32 bytes), "gear" (2048 bytes: 256 little-endian 64-bit words), "group" (32 bytes), "audience" (16 bytes: the public name). */
struct hf_audience {
  unsigned char id_key[32];
  uint64_t gear[256];
  unsigned char group_key[32];
  char name[33]; /* hex */
};
void hf_audience_derive(const struct hf_secret *s, const struct hf_list *recipients, struct hf_audience *out);

/* ---- packs (pack_write.c, pack_read.c, pack_seal.c) ---- */
struct hf_chunk_ref { struct hf_digest id; uint32_t offset; uint32_t length; }; /* offset of the data within the raw tar */
/* A pack being filled: a raw tar of chunks in memory, at most HF_PACK_MAX bytes. One thread. */
struct hf_pack_writer;
struct hf_pack_writer *hf_pack_writer_new(void);
void hf_pack_writer_free(struct hf_pack_writer *w);
bool hf_pack_writer_fits(const struct hf_pack_writer *w, size_t len); /* the tar would not exceed HF_PACK_TARGET (an empty pack takes any chunk) */
void hf_pack_writer_add(struct hf_pack_writer *w, const struct hf_digest *id, const void *data, size_t len);
size_t hf_pack_writer_count(const struct hf_pack_writer *w);
size_t hf_pack_writer_size(const struct hf_pack_writer *w); /* data bytes so far */
const struct hf_chunk_ref *hf_pack_writer_chunks(const struct hf_pack_writer *w);
/* A sealed pack: the object as it is stored, with what an index says of it. */
struct hf_sealed {
  struct hf_blob blob;
  struct hf_digest digest;
  uint64_t raw_size; /* of the tar */
};
void hf_sealed_free(struct hf_sealed *s);
/* tar end, zstd (level, content checksum), decompress once and compare with the tar, padding if wanted (a zstd skippable frame: what is encrypted gets a Padmé length, Nikitin et al. 2019,
 * at most an eighth more), encrypt, digest. The writer's raw bytes are released as early as possible, also on failure; its chunk list stays. Heavy; meant for worker threads. */
int hf_pack_seal(struct hf_pack_writer *w, struct hf_gpg *g, const struct hf_list *recipients, bool hide, int level, bool padding, struct hf_sealed *out,
                 struct hf_error *err);
/* The way back: decrypt, decompress. stored must have the digest that its name says: gpg gives out plain text before it knows of tampering. stored and
 * plain are in memory files; plain is what gpg writes, of no use to the caller, who keeps it for the next pack. *raw (caller frees with hf_buf_free) is the
 * tar. raw_size from the index bounds it. */
int hf_pack_unseal(struct hf_gpg *g, struct hf_buf *stored, uint64_t raw_size, struct hf_buf *plain, struct hf_buf *raw, struct hf_error *err);
/* A chunk inside a raw tar: bounds, member name and (when hmac is given) its id are checked. Returns a pointer into raw. */
int hf_pack_chunk(const struct hf_buf *raw, const struct hf_chunk_ref *ref, struct hf_hmac *hmac, const void **data, struct hf_error *err);

/* ---- indexes (index_write.c, index_read.c) ----
 * Text: "holdfast-index 1\nrepository ID\n", then per pack "pack SHA256 STORED RAW KIND SOURCE AUDIENCE\n" (KIND data|recipe) followed by
 * its "chunk ID OFFSET LENGTH\n" lines, at the end "end PACKS CHUNKS\n". */
enum hf_pack_kind { HF_PACK_DATA = 0, HF_PACK_RECIPE = 1 };
struct hf_index_pack { struct hf_digest digest; uint64_t stored, raw; enum hf_pack_kind kind; const char *source; const char *audience; };
void hf_index_begin(struct hf_buf *b, const char *repo_id);
void hf_index_add(struct hf_buf *b, const struct hf_index_pack *p, const struct hf_chunk_ref *chunks, size_t n);
void hf_index_end(struct hf_buf *b, size_t packs, size_t chunks);
/* Parse, calling back per pack and per chunk (chunk belongs to the pack called before it). A callback's negative status ends it. strict: any deviation is HOLDFAST_E_CORRUPT naming the line. */
struct hf_index_sink {
  void *ctx;
  int (*pack)(void *ctx, size_t ordinal, const struct hf_index_pack *p, struct hf_error *err);
  int (*chunk)(void *ctx, const struct hf_chunk_ref *c, struct hf_error *err);
};
int hf_index_parse(const char *p, size_t n, const char *repo_id, const struct hf_index_sink *sink, struct hf_error *err);

/* ---- records (record_write.c, record_read.c, record_free in record.c) ---- */
enum hf_record_type { HF_RECORD_INIT = 1, HF_RECORD_SNAPSHOT, HF_RECORD_PRUNE, HF_RECORD_KEYS, HF_RECORD_DRILL };
struct hf_record_stream {
  char *name, *format;     /* format "tar" or "raw" */
  uint64_t size;           /* bytes of the whole stream */
  char sha256[HF_SHA256_HEX]; /* of the whole stream, "" when not all of it was read in this run (reused tree entries) */
  uint64_t chunks, entries;
  uint64_t recipe_size;
  struct hf_digest recipe_sha256;
  size_t n_recipe;
  struct hf_digest *recipe; /* chunk ids, in order */
};
#define HF_PROBLEMS_LISTED 1000u /* per source, in the record; the others are counted */
struct hf_record_problem { char *path; char *what; char *kind; /* status name */ };
struct hf_record_source {
  char *name, *plugin, *version;
  char *status;            /* "complete", "partial" (some entries had problems), "failed" (then no streams) */
  char *error;             /* of a failed one, else NULL */
  char *audience;
  struct hf_list recipients; /* fingerprints */
  uint64_t files, folders, others; /* entries by kind */
  uint64_t bytes, bytes_read, bytes_new, bytes_stored; /* of the streams; read from the source; in new chunks; in new packs as stored */
  uint64_t n_problems;     /* all of them; at most 1000 are listed */
  size_t n_listed;
  struct hf_record_problem *problems;
  size_t n_streams;
  struct hf_record_stream *streams;
  json_t *state;           /* the plugin's, or NULL */
  int64_t started, finished;
};
struct hf_record_index { struct hf_digest sha256; char *packs; /* ordinals "0-5,7" in ascending order */ };
struct hf_record {
  enum hf_record_type type;
  uint64_t seq;            /* 1 is the init record */
  struct hf_digest prev;   /* digest of the previous record's stored bytes; zeros in record 1 */
  char repo_id[33];
  char *id;                /* 32 random hex digits: the snapshot's or event's own id */
  char *host, *tool;       /* tool: "holdfast 0.1.0" */
  int64_t time;            /* when it was made, Unix */
  char *label;             /* or NULL */
  struct hf_digest secret; /* snapshot, init, keys: which secrets/ object */
  struct hf_list host_keys;/* init, keys: fingerprints of the signers to be trusted from here on */
  size_t n_sources;
  struct hf_record_source *sources;
  size_t n_indexes;
  struct hf_record_index *indexes;
  json_t *extra;           /* other types' own members (prune, drill), or NULL */
};
void hf_record_free(struct hf_record *r);
/* Count a problem of a source, and list it while there is room. status: enum holdfast_status. Texts are copied. */
void hf_record_add_problem(struct hf_record_source *s, const char *path, int status, const char *what);
/* JSON, one member or element a line, members in the order of holdfast-repository(5): recover.sh reads it with awk. */
void hf_record_write(const struct hf_record *r, struct hf_buf *out);
int hf_record_parse(const char *p, size_t n, struct hf_record **out, struct hf_error *err);
/* Ordinal ranges: write bits 0..n-1 of a bitmap as "0-5,7"; call back for each ordinal of a text: ascending, ranges that touch written as one, none above 16777215. A negative status of fn ends it. */
char *hf_ranges_write(const unsigned char *bits, size_t n);
int hf_ranges_each(const char *text, int (*fn)(void *ctx, uint64_t ordinal), void *ctx, struct hf_error *err);
/* Does next follow prev? Sequence, digest of prev's stored bytes, repository id. The error says what is wrong (a gap, a fork, another repository). */
int hf_chain_check(const struct hf_record *prev, const struct hf_digest *prev_digest, const struct hf_record *next, struct hf_error *err);

/* ---- texts stored in every repository (texts.c) ---- */
extern const char hf_text_readme[];  /* README.txt */
extern const char hf_text_recover[]; /* recover.sh, generated at build time from core/repo/recover.sh */
/* repository.ini */
void hf_text_ini(struct hf_buf *out, const char *repo_id, const char *host, int64_t created);

#endif
