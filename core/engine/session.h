/* session.h - everything a command works with: manifest, state, keys, targets and the chain, opened in the right order.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_SESSION_H
#define HF_SESSION_H

#include "base/io.h"
#include "manifest/manifest.h"
#include "pipeline/target.h"
#include "repo/repo.h"
#include "state/state.h"

#define HF_TOOL "holdfast " HF_VERSION
#define HF_CLOCKS_DIFFER 300 /* seconds that clocks may differ; a time that is further ahead is a wrong one */

/* Set by signal handlers; everything long looks at it. Taken back for the last things that a run which was told to stop has to do (an index, its lock); a second signal ends the process all the same. */
extern volatile int hf_cancel;

/* What one target holds of the chain. */
struct hf_target_chain {
  uint64_t head;    /* highest sequence number there, 0 none */
  uint64_t missing; /* records of the chain that it lacks */
  uint64_t first_missing; /* the first of those, 0 none */
  uint64_t foreign; /* records there that are not the chain's */
  bool unreadable;  /* its records could not be listed, or one that is nobody else's could not be read */
  bool partly;      /* there are snapshots that it need not hold, so that it may lack what is asked for (hf_live_load) */
  bool elsewhere;   /* the snapshot chosen last is not one that it has to hold: it is asked last */
};

/* Something wrong with the chain, as a sentence. */
struct hf_issue {
  char *target;
  char *text;
  bool tamper;
  bool unread; /* a record that is there could not be read: what it says is not known, and may be that a snapshot is needed */
};

struct hf_session {
  const char *manifest_file;
  struct hf_registry *registry;
  struct hf_manifest *manifest;
  struct hf_state *state;
  struct hf_lock *lock;
  const char *twin;         /* after hf_repo_lock: a target that is the same place as another, or NULL */
  double lock_until;        /* by hf_now: how long to wait for the locks of others */
  struct hf_gpg *host;      /* the host's own home; NULL where this machine is not the host */
  struct hf_gpg *caller;    /* hf_session_caller */
  struct hf_target **targets; /* those that could be opened */
  struct hf_target_chain *chains; /* parallel to targets; after hf_session_chain */
  size_t n_targets;
  struct hf_fetching *fetching; /* how reading from them went so far */
  size_t n_unopened;        /* targets of the manifest that could not be opened (reported) */
  struct hf_list away;      /* and those left out since they are removable and not there */
  struct hf_list trusted;   /* fingerprints of host keys */
  struct hf_list specs, fprs; /* recipients already looked up and found usable in this session, side by side */
  char repo_id[33];
  char host_key[HF_FPR_LEN + 1];
  bool have_secret;
  struct hf_secret secret;
  uint64_t head;            /* after hf_session_chain: last sequence number */
  struct hf_compactions *compactions; /* compacted.h */
  struct hf_needs *reading; /* packs of the snapshot that is read (read.c), or NULL */
  uint64_t reading_seq;
  struct hf_issue *issues;
  size_t n_issues;
};

enum hf_session_flags {
  HF_SESSION_WRITE = 1,   /* needs the host's state and key, takes the lock */
  HF_SESSION_READ = 2,    /* works anywhere: without the host's state, in a temporary one and with the caller's key */
  HF_SESSION_CREATE = 4,  /* init: folders, state and targets may be made */
  HF_SESSION_NO_TARGETS = 8
};
struct hf_session_how {
  unsigned flags;          /* enum hf_session_flags */
  const char *only_target; /* NULL for all */
  const char *command;     /* what others are told of who holds the lock */
  int64_t lock_wait;       /* seconds to wait for other runs; negative: as the manifest says */
};
/* Open. A target that cannot be opened is reported and left out, a removable one that is not there without being missed; an error when none is left. */
int hf_session_open(const char *manifest_file, const struct hf_session_how *how, struct hf_session **out, struct hf_error *err);
/* With HF_SESSION_NO_TARGETS: open one, in the manifest's order. On failure it counts as unopened or, when it is removable, not there and not wanted by name, as away. */
int hf_session_add_target(struct hf_session *s, const struct hf_manifest_target *t, bool create, bool wanted, bool *away, struct hf_error *err);
void hf_session_close(struct hf_session *s);
/* The caller's own GnuPG home; away from the host with the host keys trusted for verification. */
int hf_session_caller(struct hf_session *s, struct hf_gpg **out, struct hf_error *err);
/* The home that can read metadata: the host's, else the caller's. */
int hf_session_reader(struct hf_session *s, struct hf_gpg **out, struct hf_error *err);

/* ---- reading objects (fetch.c); from several threads ---- */
struct hf_fetching *hf_fetching_new(size_t n_targets);
void hf_fetching_free(struct hf_fetching *f);
/* Fetch an object whose digest is known, from the nearest target that has it good: folders of this machine first, then by what the run has seen of their speed; one that fails goes to the end. The first object that a target
 * cannot give is told of; hf_session_passed_over counts the others. */
int hf_session_fetch(struct hf_session *s, const char *key, const struct hf_digest *want, size_t max, struct hf_buf *out, struct hf_error *err);
/* Fetch, decrypt and verify a piece of metadata. */
int hf_session_fetch_sealed(struct hf_session *s, const char *key, const struct hf_digest *want, struct hf_buf *plain, char *signer, struct hf_error *err);

/* Say for how many objects each target was passed over since it was last said. */
void hf_session_passed_over(struct hf_session *s);
/* These are about to be read: have the nearest target bring back what lies in an archive. keys is used up. 0: all that is to be had can be read now, from one target or another; HOLDFAST_E_TRANSIENT: some are on their way,
 * and the message says for how long. */
int hf_session_thaw(struct hf_session *s, struct hf_list *keys, struct hf_error *err);

/* ---- the chain (chain.c) ---- */
/* List the records at every target, read those not seen yet, check that each follows the one before, and compare with what this host remembers. Fills head, chains, issues, trusted, repo_id. Issues are not
 * errors; an error is what prevents going on (nothing readable at all, or no record where there should be some). */
int hf_session_chain(struct hf_session *s, struct hf_error *err);
/* "target NAME: " and the text, or the text; caller frees. */
char *hf_issue_text(const struct hf_issue *is);
/* Log all issues as warnings. */
void hf_session_warn(const struct hf_session *s);
void hf_session_issue(struct hf_session *s, const char *target, bool tamper, const char *fmt, ...) HF_PRINTF(4, 5);
/* Remember that the target holds the chain up to seq: should it have less one day, somebody took it away. Takes effect with the next commit. */
int hf_session_remember_head(struct hf_session *s, const char *target, uint64_t seq, struct hf_error *err);
/* The newest record that the target is known to have or to have had; it need not be one that is open. */
int hf_session_head_of(struct hf_session *s, const char *target, uint64_t *seq, struct hf_error *err);
/* That number, 0 for none. */
int hf_session_remembered_head(struct hf_session *s, const char *target, uint64_t *seq, struct hf_error *err);
/* Has this state ever seen what records the target has, be it none? Until then it may hold any that is older than the state. */
int hf_session_looked_at(struct hf_session *s, const char *target, bool *looked, struct hf_error *err);
/* The newest record when this state was made for a repository that was there already (init --adopt), 0: it was made with the repository. */
int hf_session_adopted_at(struct hf_session *s, uint64_t *seq, struct hf_error *err);
int hf_session_set_adopted_at(struct hf_session *s, uint64_t seq, struct hf_error *err);
/* Record seq, parsed; its indexes are those of the packs that it needs now, where compactions replaced some. digest may be NULL. NOT_FOUND. */
int hf_session_record(struct hf_session *s, uint64_t seq, struct hf_record **out, struct hf_digest *digest, struct hf_error *err);
/* `latest`, a sequence number, an id prefix, or @TIME; the first and the last among those that a target within reach has to hold (choose.c). HOLDFAST_E_NOT_FOUND says so when the one that is named is pruned. */
int hf_session_snapshot(struct hf_session *s, const char *spec, struct hf_record **out, struct hf_error *err);
/* Load the secret from the record's secrets object (or the state). */
int hf_session_secret(struct hf_session *s, const struct hf_digest *object, struct hf_error *err);
/* The catalogue knows all packs that a record refers to: fetch those indexes that it lacks. */
int hf_session_load_indexes(struct hf_session *s, const struct hf_record *r, struct hf_error *err);

/* ---- recipients (recipients.c) ---- */
/* Fingerprints of a list of specifications, looked up in the host's home; sorted, no doubles. Each must be usable for encryption now, else HOLDFAST_E_AUTH. Warns about keys that expire within 30 days. */
int hf_session_recipients(struct hf_session *s, const struct hf_list *specs, struct hf_list *fprs, struct hf_error *err);
/* Of the whole manifest: the union over [holdfast] and all sources. */
int hf_session_all_recipients(struct hf_session *s, struct hf_list *fprs, struct hf_error *err);
/* init: bring the public keys into the host's home, from recipient-key files and the caller's keyring. */
int hf_session_import_recipients(struct hf_session *s, struct hf_error *err);

#endif
