/* local.h - the local target: what its files share.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * An object of key K is the file PATH/K. It is written as PATH/.tmp-ID-N, made durable, and renamed into place, so that a
 * name is either absent or whole. ID belongs to one instance, which holds a lock on PATH/.tmp-ID.lock for as long as it
 * lives; whoever opens the target later removes the temporary files of an instance that holds its lock no more.
 * Below PATH no symbolic link is ever followed.
 */
#ifndef HF_LOCAL_H
#define HF_LOCAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include <holdfast/target.h>

#pragma GCC visibility push(hidden)

#define LOCAL_MARKER ".holdfast-target"
#define LOCAL_RESERVE ".holdfast-reserve"
#define LOCAL_RESERVE_SIZE (1u << 20) /* a lock and a record of some thousand snapshots */
#define LOCAL_TMP ".tmp-"
#define LOCAL_KEY_MAX 512
#define LOCAL_IO (1u << 20) /* bytes a read or write call moves; the run can be stopped in between */
#define LOCAL_PACED (64u << 10) /* the same, while a limit is set */

struct local {
  const struct holdfast_host *host;
  char *path;
  int root;     /* the folder `path` */
  bool durable; /* fsync = full */
  mode_t mode, dir_mode;
  uint64_t floor;       /* bytes that are to stay free */
  pthread_mutex_t lock; /* over what follows */
  char id[17];          /* names this instance's temporary files; "" before the first put */
  int lock_fd;          /* of .tmp-ID.lock */
  uint64_t pending;     /* bytes of all puts under way */
  char **known;         /* sorted: folders whose names are known to be on the disk for good */
  size_t n_known;
  atomic_ulong serial; /* the N of temporary files */
};

/* ---- names.c ---- */
/* Fill the host's message with "WHAT PATH/KEY: reason" and return the status errnum stands for. key NULL: the folder itself. */
int hf_local_errno(const struct local *t, int errnum, const char *what, const char *key);
/* The message for a run that is being stopped; returns HOLDFAST_E_CANCELED. */
int hf_local_cancelled(const struct local *t);
/* Wait until the limit allows for n bytes; HOLDFAST_E_CANCELED when the run is being stopped. */
int hf_local_pace(const struct local *t, int up, size_t n);
/* True if s is a key, or the part of one: parts of [A-Za-z0-9._-] that are not "." or "..", not empty, and not names this
 * target has its own use for. */
bool hf_local_key_ok(const char *s);
/* The status for a key that is not one, with a message. */
int hf_local_bad_key(const struct local *t, const char *key);
/* Open the folder key lies in, without following links, and point *leaf at the last part. make: create the folders that are
 * not there, and see to it that all of them outlive a power cut. Returns a descriptor, or -1 with errno set. */
int hf_local_parent(struct local *t, const char *key, bool make, const char **leaf);
/* fsync of a folder; file systems that cannot do that are taken at their word. 0, or -1 with errno. */
int hf_local_sync_dir(const struct local *t, int fd);
/* The bytes that may still be written, whatever the floor says, and (unless NULL) of all there are. 0, or -1 with errno. */
int hf_local_available(const struct local *t, uint64_t *avail, uint64_t *total);
/* Free the table of known folders. */
void hf_local_forget(struct local *t);

/* ---- temp.c ---- */
/* Make and open a temporary file; name gets its name below path (cap LOCAL_TMP_MAX). Returns a descriptor, or -1 with errno. */
#define LOCAL_TMP_MAX 64
int hf_local_temp(struct local *t, char name[LOCAL_TMP_MAX]);
/* Remove the temporary files of instances that died. What cannot be removed is only logged. */
void hf_local_sweep(struct local *t);
/* Remove this instance's lock. */
void hf_local_temp_end(struct local *t);

/* ---- reserve.c ---- */
/* Have LOCAL_RESERVE_SIZE bytes set aside, if there is that much room. */
void hf_local_reserve(struct local *t);
/* Give them back to the file system. False when there are none. */
bool hf_local_use_reserve(struct local *t);

/* ---- write.c ---- */
int hf_local_put(void *handle, const struct holdfast_object *object);
int hf_local_remove(void *handle, const char *const *keys, size_t n, int *statuses);

/* ---- read.c ---- */
int hf_local_get(void *handle, const char *key, uint64_t offset, uint64_t length, holdfast_sink sink, void *ctx);
int hf_local_stat(void *handle, const char *key, struct holdfast_stat *out);
int hf_local_list(void *handle, const char *prefix, holdfast_lister lister, void *ctx);

#pragma GCC visibility pop
#endif
