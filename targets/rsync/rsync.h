/* rsync.h - the rsync target: what its files share.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Everything at the far end is done by rsync alone, so that an account restricted to rsync, and a daemon's module, will do. An object of key K is the file
 * DEST/K. rsync writes a temporary file and renames it, so that a name is absent or whole. Every look at the far end also asks for the marker file that
 * `init` has put there: where it does not show, a disk is not mounted or a path is wrong, and that is an error, never an empty repository.
 */
#ifndef HF_RSYNC_H
#define HF_RSYNC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <holdfast/target.h>

#include "common/child.h"

#pragma GCC visibility push(hidden)

#define HF_RSYNC_MARKER ".holdfast-target"
#define HF_RSYNC_PARTIAL ".holdfast-partial" /* --partial-dir: what a cut transfer left, for the next try of the same key */
#define HF_RSYNC_KEY_MAX 512
#define HF_RSYNC_SLOTS 8       /* the most calls at once: sshd allows 10 sessions for one connection unless it is told otherwise */
#define HF_RSYNC_WORDS 65536u  /* bytes of a run's messages that are kept; a far end that says more fails */
#define HF_RSYNC_STALE 86400   /* seconds, by the far end's clock alone, after which what a cut transfer left is removed */
#define HF_RSYNC_STALE_MAX 256 /* how many of those are removed by one instance */

enum {
  HF_RSYNC_HOST,
  HF_RSYNC_PATH,
  HF_RSYNC_MODULE,
  HF_RSYNC_USERNAME,
  HF_RSYNC_PORT,
  HF_RSYNC_IDENTITY,
  HF_RSYNC_KNOWN_HOSTS,
  HF_RSYNC_SSH_OPTIONS,
  HF_RSYNC_PASSWORD,
  HF_RSYNC_PROGRAM,
  HF_RSYNC_REMOTE,
  HF_RSYNC_SPOOL,
  HF_RSYNC_CONNECTIONS,
  HF_RSYNC_FSYNC,
  HF_RSYNC_IO_TIMEOUT
};
extern const struct holdfast_setting hf_rsync_settings[];

/* A growing list of words that ends in NULL, ours to free. Adding to one that has failed does nothing. */
struct hf_rsync_words {
  char **v;
  size_t n, cap;
  bool failed; /* out of memory */
};

/* Where an object is kept while a call needs it as a file, and after a read of a range until the next one wants the place. */
struct hf_rsync_slot {
  char key[HF_RSYNC_KEY_MAX + 1]; /* whose bytes are in the file; "" for none */
  unsigned long used;             /* when, for the choice of the one to give up */
  bool busy;
};

struct hf_rsync {
  const struct holdfast_host *host;
  /* what the settings say */
  char *where; /* for messages: "backup.example.com:/srv/web1" */
  char *dest;  /* for rsync: ends in '/' */
  char *program, *remote;
  bool daemon, fsync;
  bool opened; /* the marker has been seen */
  unsigned connections, io_timeout;
  struct hf_rsync_words ssh; /* "ssh", its options, without the host */
  char *rsh;                 /* the same as one word for rsync's -e; NULL for a daemon */
  char *login;               /* what ssh connects to: "[user@]host" */
  struct hf_rsync_words env;
  /* the spool: a private folder of this instance, which is locked for as long as it lives */
  char *spool_parent, *spool;
  int spool_fd;
  pthread_rwlock_t turn; /* held while rsync runs; for itself alone when `alone` says so */
  atomic_bool alone;     /* the far end takes one run at a time */
  pthread_mutex_t lock;  /* over what follows */
  struct hfp_child *master;
  struct hf_rsync_slot slots[HF_RSYNC_SLOTS];
  unsigned long clock;
  struct hf_rsync_words stale; /* keys-like names of leftovers at the far end, HF_RSYNC_STALE_MAX at most */
  atomic_bool writer;          /* has stored something, so it may tidy up */
};

/* ---- settings.c ---- */
/* Fill t from the settings, whose meaning is checked here; nothing is touched. */
int hf_rsync_configure(struct hf_rsync *t, const struct holdfast_value *values);
void hf_rsync_word(struct hf_rsync_words *w, const char *fmt, ...) HOLDFAST_PRINTF(2, 3);
void hf_rsync_words_free(struct hf_rsync_words *w);
/* The words as one text that rsync's -e takes apart again. NULL when out of memory; caller frees. */
char *hf_rsync_join(const struct hf_rsync_words *w);

/* ---- connect.c ---- */
/* See to it that the connection all runs share is up (ssh; nothing to do for a daemon). */
int hf_rsync_connect(struct hf_rsync *t);
void hf_rsync_disconnect(struct hf_rsync *t);

/* ---- spool.c ---- */
/* Make the private folder, and remove those that dead processes left beside it. */
int hf_rsync_spool_open(struct hf_rsync *t);
void hf_rsync_spool_close(struct hf_rsync *t);
/* A slot of one's own: one that may hold key already when there is one. There is always one: no more calls run at once than there are slots. Returns its
 * number. */
unsigned hf_rsync_slot_take(struct hf_rsync *t, const char *key);
/* Give it back; keep: its file stays for the next one who wants a range of the same key. */
void hf_rsync_slot_give(struct hf_rsync *t, unsigned slot, bool keep);
/* Write an object as SPOOL/SLOT/KEY. */
int hf_rsync_spool_write(struct hf_rsync *t, unsigned slot, const struct holdfast_object *object);
/* An empty file without a name. Returns a descriptor, or -1 with errno set. */
int hf_rsync_spool_nameless(struct hf_rsync *t);
/* The message for errno, as "cannot WHAT SPOOL/NAME: ...", and its status. */
int hf_rsync_spool_errno(const struct hf_rsync *t, int errnum, const char *what, const char *name);

/* ---- run.c ---- */
/* Run rsync with these words behind those every run has; in and out: descriptors or -1. *code: its exit code; words: its messages, HF_RSYNC_WORDS bytes at
 * most, caller frees. An error only when it could not be run or was stopped. */
int hf_rsync_run(struct hf_rsync *t, const struct hf_rsync_words *args, int in, int out, int *code, char **words);
/* Have rsync keep to a limit; 0: none. */
void hf_rsync_limit(struct hf_rsync_words *w, uint64_t bytes_per_second);
/* hfp_start, with a status of its own for a program that is not there; setting names it, or is NULL. */
int hf_rsync_start(const struct hf_rsync *t, const struct hfp_run *how, const char *setting, struct hfp_child **out);
/* The message and status for a run that failed. */
int hf_rsync_failed(const struct hf_rsync *t, int code, const char *words);
/* A file in memory that takes HF_RSYNC_WORDS bytes and not one more. -1 with errno set. */
int hf_rsync_bounded(void);
/* All that has been written to such a file, as text; NULL when out of memory. */
char *hf_rsync_slurp(int fd);
int hf_rsync_no_memory(const struct hf_rsync *t);

/* ---- classify.c: no state, no calls of the host ---- */
struct hf_rsync_verdict {
  int status;
  const char *hint; /* what to do, or NULL */
  char line[512];   /* what rsync or ssh said, printable */
};
/* What a run that ended with that exit code and those messages means. */
void hf_rsync_classify(int code, const char *words, struct hf_rsync_verdict *out);

/* ---- listing.c: the same ---- */
struct hf_rsync_entry {
  char type; /* as ls has it: '-', 'd', 'l', ... */
  uint64_t size;
  time_t mtime;
  const char *name; /* points into the line */
};
/* Take a line of rsync --list-only apart (it is written to). False: it is no such line. */
bool hf_rsync_parse(char *line, struct hf_rsync_entry *out);
/* True if s is a key: parts of [A-Za-z0-9._-], neither "." nor "..", not empty, and no name that rsync or this target use themselves. */
bool hf_rsync_key_ok(const char *s);
/* True if s is a file that a cut transfer left: rsync's temporary file of a key, or anything in a folder HF_RSYNC_PARTIAL. */
bool hf_rsync_is_leftover(const char *s);

/* ---- read.c ---- */
int hf_rsync_get(void *handle, const char *key, uint64_t offset, uint64_t length, holdfast_sink sink, void *ctx);
int hf_rsync_stat(void *handle, const char *key, struct holdfast_stat *out);
int hf_rsync_list(void *handle, const char *prefix, holdfast_lister lister, void *ctx);
/* Look at n names and hand over what is there, after rsync has ended well and the marker has been seen. recurse: and all below them. */
int hf_rsync_look(struct hf_rsync *t, const char *const *names, size_t n, bool recurse, int (*take)(void *ctx, const struct hf_rsync_entry *e), void *ctx);
/* A status with a message for a key that is none. */
int hf_rsync_bad_key(const struct hf_rsync *t, const char *key);
/* A file with the names for --files-from, to be read from its beginning. -1 with errno set. */
int hf_rsync_names_file(struct hf_rsync *t, const char *const *names, size_t n);

/* ---- write.c ---- */
int hf_rsync_put(void *handle, const struct holdfast_object *object);
int hf_rsync_remove(void *handle, const char *const *keys, size_t n, int *statuses);
/* Put the marker there, with the folders on the way. try: only see whether that would work. */
int hf_rsync_mark(struct hf_rsync *t, bool try);
/* Remove what cut transfers left, as far as the last listings saw it. What goes wrong is only logged. */
void hf_rsync_tidy(struct hf_rsync *t);

#pragma GCC visibility pop
#endif
