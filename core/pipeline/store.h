/* store.h - the writing half of the pipeline: identify, look up, pack, compress, encrypt, put, index.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One thread adds chunks; HF_SEALERS_MIN to HF_SEALERS_MAX threads turn full packs into objects; threads of each target store them there (upload.h), so that no sealer waits for a disk or a network before there is
 * no more room for what is on its way.
 *
 * Memory bound, whatever is backed up: one data pack being filled, one waiting, two pack buffers per sealer (HF_PACK_MAX each, less where data compresses), the objects on their way (HF_UPLOAD_BYTES, for any number of
 * targets), one recipe pack of HF_RECIPE_PACK, and the chunk references of the packs since the last index, of which there are at most HF_INDEX_CHUNKS before an index is written.
 */
#ifndef HF_STORE_H
#define HF_STORE_H

#include "base/base.h"
#include "pipeline/target.h"
#include "repo/repo.h"
#include "state/state.h"

#define HF_SEALERS_MIN 2
#define HF_SEALERS_MAX 3
#define HF_RECIPE_PACK (4u * 1024 * 1024)
#define HF_INDEX_CHUNKS 200000u
/* A known chunk as small as this is stored again where the snapshot would need an old pack for it alone, as far as is known by then, and a new pack is being filled. So is the end of an archive, the last
 * chunk of every tree and the same in all of them: the pack that had it first would be needed for ever. */
#define HF_STORE_AGAIN_MAX 4096u

struct hf_store_options {
  struct hf_state *state;
  struct hf_gpg *gpg;                 /* the host's home */
  const char *repo_id, *signer;       /* host key */
  const struct hf_list *index_recipients; /* all recipients of the manifest */
  struct hf_target **targets;         /* those that take this run's packs and indexes: the one place where that is said */
  size_t n_targets;
  int64_t checkpoint;                 /* seconds between indexes */
  bool dry;                           /* count, but store nothing */
  volatile int *cancel;
};

struct hf_store;
int hf_store_open(const struct hf_store_options *o, struct hf_store **out, struct hf_error *err);
/* Ends the threads; what was not indexed is forgotten. */
void hf_store_close(struct hf_store *s);

/* How one source's packs are made. Everything pointed to must live until hf_store_close. */
struct hf_store_source {
  const char *name;
  const struct hf_audience *audience;
  const struct hf_list *recipients;
  int level;
  bool hide, padding;
  /* out: */
  uint64_t bytes_new;    /* data bytes of chunks not known before */
  uint64_t bytes_stored; /* of the packs made for it, as stored; complete after hf_store_flush */
};
int hf_store_begin(struct hf_store *s, struct hf_store_source *src, struct hf_error *err);
/* Identify a chunk and store it if it is new (or HF_STORE_AGAIN_MAX says so). *id gets its name. */
int hf_store_chunk(struct hf_store *s, enum hf_pack_kind kind, const void *p, size_t n, struct hf_digest *id, struct hf_error *err);
/* A chunk known from an earlier run is referred to; HOLDFAST_E_NOT_FOUND when the catalogue does not know it, CORRUPT when its length is another. */
int hf_store_refer(struct hf_store *s, const struct hf_digest *id, uint32_t chunk_len, struct hf_error *err);
/* The source's last packs go to the sealers. keep false: the source failed, the snapshot does not refer to what it gave. */
int hf_store_end(struct hf_store *s, bool keep, struct hf_error *err);
/* Wait for the sealers, write an index of what is new since the last one, commit the state. */
int hf_store_flush(struct hf_store *s, struct hf_error *err);
/* After the run was told to stop: write an index of the packs that have reached the targets since the last one, so that the next run does not store them again. *packs: how
 * many. All else that the state has got since the last index is dropped. Nothing may be added afterwards. */
int hf_store_salvage(struct hf_store *s, size_t *packs, struct hf_error *err);

/* The packs that the chunks of the kept sources lie in. After flush: one entry per index. Caller owns the array and the strings (hf_record_free frees them in a record). */
int hf_store_indexes(struct hf_store *s, struct hf_record_index **out, size_t *n, struct hf_error *err);
/* Is this pack referred to? */
bool hf_store_refers_to(const struct hf_store *s, int64_t pack_row);
/* Bytes put so far (of one copy), for progress. */
uint64_t hf_store_bytes_put(struct hf_store *s);

#endif
