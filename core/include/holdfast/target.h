/* <holdfast/target.h> - the plugin interface of a target: where objects go.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A target keeps immutable objects under keys. A key is a relative path of [A-Za-z0-9._-] parts, at most 512 bytes,
 * "web1/packs/3f/3f...b2.tar.zst.gpg"; the plugin puts its own prefix before it. Objects are at most HOLDFAST_OBJECT_MAX
 * bytes. Callbacks may run in several threads of one instance at once (as many as `parallel` says; 1 means never together),
 * and must not sleep to retry: they classify, the host retries.
 */
#ifndef HOLDFAST_TARGET_H
#define HOLDFAST_TARGET_H

#include <holdfast/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HOLDFAST_OBJECT_MAX (512u * 1024 * 1024)

enum holdfast_target_capability {
  HOLDFAST_CREATE_ONLY = 1,     /* put with HOLDFAST_PUT_CREATE never replaces, even in a race */
  HOLDFAST_SERVER_CHECKSUM = 2, /* the far end checks what arrived against a checksum sent with it */
  HOLDFAST_OBJECT_LOCK = 4,
  HOLDFAST_STORAGE_CLASS = 8,
  HOLDFAST_SPACE = 16           /* space works */
};

enum holdfast_put_flags {
  HOLDFAST_PUT_CREATE = 1, /* fail with HOLDFAST_E_EXISTS if the key is taken */
  /* Since 1.3. A small object that has to be stored before anything can be deleted: what is kept in reserve is for it, and a limit on the free
   * space does not count. */
  HOLDFAST_PUT_FREES = 2
};

struct holdfast_object {
  uint32_t struct_size;
  uint32_t flags;        /* enum holdfast_put_flags */
  const char *key;
  const void *data;      /* the whole object */
  uint64_t size;
  const char *sha256;    /* 64 hex digits: the digest of data */
};

struct holdfast_stat {
  uint32_t struct_size;
  uint32_t flags;
  uint64_t size;
  char sha256[65];       /* as the far end keeps it, or "" */
};

struct holdfast_space {
  uint32_t struct_size;
  uint32_t flags;
  uint64_t total;        /* bytes; 0 unknown */
  uint64_t free;         /* bytes this account may still use */
};

/* Take n bytes of an object; a negative status ends the get with that status. */
typedef int (*holdfast_sink)(void *ctx, const void *data, size_t n);
/* Take one listed object; a negative status ends the listing with that status. */
typedef int (*holdfast_lister)(void *ctx, const char *key, uint64_t size);

struct holdfast_target_plugin {
  struct holdfast_plugin_header head;

  /* Mandatory. create: 1 when the repository is being made (folders and the like may be created), else 0: what should be there
   * and is not is an error (a disk that is not mounted must not look like an empty repository). */
  int (*open)(const struct holdfast_host *host, const struct holdfast_value *values, int create, void **handle);
  /* Mandatory. enum holdfast_target_capability, of this instance. */
  uint32_t (*capabilities)(void *handle);
  /* Mandatory. How many calls may run at once, at least 1. */
  uint32_t (*parallel)(void *handle);
  /* Mandatory. Store an object: whole and durable when it returns 0, not visible at all otherwise. Without HOLDFAST_PUT_CREATE, a key that is
   * there already may be left alone when its size agrees. */
  int (*put)(void *handle, const struct holdfast_object *object);
  /* Mandatory. length bytes from offset (UINT64_MAX: to the end). Exactly those reach the sink, or an error is returned
   * (HOLDFAST_E_CORRUPT when the object is shorter). */
  int (*get)(void *handle, const char *key, uint64_t offset, uint64_t length, holdfast_sink sink, void *ctx);
  /* Mandatory. HOLDFAST_E_NOT_FOUND when it is not there. */
  int (*stat)(void *handle, const char *key, struct holdfast_stat *out);
  /* Mandatory. All objects whose key starts with prefix (which ends in '/' or is ""), in any order. Either everything was listed
   * or an error is returned. A prefix that holds nothing lists nothing. */
  int (*list)(void *handle, const char *prefix, holdfast_lister lister, void *ctx);
  /* Mandatory. Delete n objects; statuses[i] gets each one's status (an absent one is HOLDFAST_OK). Returns 0 when all went, else the
   * first bad status. */
  int (*remove)(void *handle, const char *const *keys, size_t n, int *statuses);
  /* Optional. */
  int (*space)(void *handle, struct holdfast_space *out);
  /* Optional. Would it work? May write nothing. */
  int (*probe)(const struct holdfast_host *host, const struct holdfast_value *values);
  /* Mandatory. */
  void (*close)(void *handle);

  /* ---- since 1.1 ---- */
  /* Optional. A new snapshot refers to these n objects, which are there: keep them from being deleted for as long as if they were put now (object lock,
   * immutability policy, retention). statuses[i] gets each one's status. Returns 0 when all went, else the first bad status. */
  int (*extend)(void *handle, const char *const *keys, size_t n, int *statuses);
  /* Optional. These n objects are about to be read: ask for those that lie in an archive to be brought back. statuses[i]: HOLDFAST_OK: it can be read now;
   * HOLDFAST_E_TRANSIENT: it is on its way; another status: it cannot be brought back. Returns 0 when all can be read now, else the worst of them, the
   * message saying how many are on their way and how long that takes.
   * Of extend and thaw alike: when the far end cannot be asked for a while, HOLDFAST_E_TRANSIENT, and the statuses of that key and of those
   * after it left as they are. */
  int (*thaw)(void *handle, const char *const *keys, size_t n, int *statuses);
};

#define HOLDFAST_TARGET_ENTRY "holdfast_target_plugin"

#ifdef __cplusplus
#define HOLDFAST_TARGET_PLUGIN(s) \
  extern "C" HOLDFAST_EXPORT const struct holdfast_target_plugin *holdfast_target_plugin(void) { return &(s); }
#else
#define HOLDFAST_TARGET_PLUGIN(s)                                                      \
  HOLDFAST_EXPORT const struct holdfast_target_plugin *holdfast_target_plugin(void);   \
  const struct holdfast_target_plugin *holdfast_target_plugin(void) { return &(s); }
#endif

#ifdef __cplusplus
}
#endif
#endif
