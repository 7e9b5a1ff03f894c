/* <holdfast/source.h> - the plugin interface of a source: where data comes from.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Backup. The host pulls: open, then next until it returns 0, then finish, then close. An entry is either part of the one
 * tree of the source (kinds FILE to SOCKET), or a whole stream of its own (kind STREAM: a dump, a database file).
 *
 *   STREAM entries are read as soon as next has returned them: entry_open, read to the end, entry_close.
 *   Tree entries come in tree order: a folder, then all that is in it, names sorted bytewise at every level. The host
 *     may call next further on (up to HOLDFAST_WINDOW entries) before it calls entry_open for those among them it wants; it
 *     wants each at most once, in the order they came (again after a HOLDFAST_E_CHANGED), and never those
 *     that are as they were last time. Tree entries and streams may follow each other, never interleave within the tree.
 *
 * A source runs in a process of its own, as the account `user =` names; one thread calls it. It may block: the host watches
 * the time.
 */
#ifndef HOLDFAST_SOURCE_H
#define HOLDFAST_SOURCE_H

#include <holdfast/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HOLDFAST_WINDOW 4096
#define HOLDFAST_SIZE_UNKNOWN UINT64_MAX

enum holdfast_kind {
  HOLDFAST_FILE = 1,
  HOLDFAST_DIR,
  HOLDFAST_SYMLINK,
  HOLDFAST_HARDLINK, /* another name of an earlier FILE (or other non-folder) entry: link is that entry's path */
  HOLDFAST_FIFO,
  HOLDFAST_CHAR,
  HOLDFAST_BLOCK,
  HOLDFAST_SOCKET,   /* noted in the recipe, not restored: its server makes it anew */
  HOLDFAST_STREAM
};

enum holdfast_entry_flags {
  HOLDFAST_UNSTABLE = 1 /* do not trust this entry's sameness next time, whatever its times say */
};

struct holdfast_xattr {
  const char *name; /* with its namespace: "user.x", "security.capability", "system.posix_acl_access" */
  const void *value;
  size_t size;
};

/* A run of data in a sparse file; what lies between is a hole. */
struct holdfast_extent {
  uint64_t offset;
  uint64_t length;
};

/* Pointers set by next stay valid until the next call of next; those set by entry_open until entry_close. */
struct holdfast_entry {
  uint32_t struct_size; /* set by the host */
  uint32_t kind;        /* enum holdfast_kind */
  const char *path;     /* tree: relative, no leading or trailing '/', no "." or ".."; stream: its name, 1 to 255 of [A-Za-z0-9._-], no '.' or '-' first, not "tree" */
  const char *link;     /* SYMLINK: target (entry_open may set it); HARDLINK: path of the entry it is another name of (next sets it) */
  uint64_t size;        /* FILE: bytes. STREAM: bytes or HOLDFAST_SIZE_UNKNOWN. Others: 0 */
  uint32_t mode;        /* permission bits, 07777 */
  uint32_t uid, gid;
  const char *user, *group; /* names, or NULL; entry_open may set them */
  int64_t mtime;            /* seconds */
  int64_t ctime;            /* seconds; 0 with ctime_nsec 0: the source has none */
  uint32_t mtime_nsec, ctime_nsec;
  uint64_t inode;           /* 0: none */
  uint32_t rdev_major, rdev_minor; /* CHAR, BLOCK */
  const char *token;    /* the source's own sameness token: any bytes, compared as a whole; NULL: none. With no ctime
                           and no token an entry is always read */
  uint64_t fixed_chunk; /* chunking hint: cut at multiples of this many bytes (4 KiB to 4 MiB); 0: content-defined */
  uint32_t flags;       /* enum holdfast_entry_flags */
  uint32_t n_xattrs;
  const struct holdfast_xattr *xattrs;
  const struct holdfast_extent *extents; /* FILE, set by entry_open: where data is, ascending; read then gives the data of
                                            the extents only, one after the other. NULL: no holes */
  uint64_t n_extents;
  uint64_t cookie;      /* the plugin's own, handed back to entry_open as next set it */
};

enum holdfast_restore_mode {
  HOLDFAST_RESTORE_TO_DIR = 1, /* everything goes below `directory` */
  HOLDFAST_RESTORE_IN_PLACE    /* back to where it came from; there is a safety copy: see HOLDFAST_KEEPS_SAFETY */
};

enum holdfast_source_features {
  /* A restore in place by this plugin keeps what it replaces, and says where in the log. For what may be down or broken when it is to be replaced.
   * Without it the host first makes a safety copy by way of the backup half, and refuses the restore when that fails. */
  HOLDFAST_KEEPS_SAFETY = 1,
  /* Since 1.2: verify may be called with the directory "/" after a restore in place, and looks then at what is in place, without changing it. */
  HOLDFAST_VERIFIES_IN_PLACE = 2
};

/* How a restore is to be done. Valid until restore_close returns. */
struct holdfast_restore {
  uint32_t struct_size;
  uint32_t mode;         /* enum holdfast_restore_mode */
  const char *directory; /* TO_DIR: an existing folder, this source's own */
  const char *state;     /* what finish gave at backup, "" if nothing */
};

/* Since 1.2. What host->kept was told, for undo and discard. */
struct holdfast_kept {
  const char *place;
  const char *kept_as; /* NULL: nothing was there */
};

struct holdfast_source_plugin {
  struct holdfast_plugin_header head;

  /* ---- backup ---- */
  /* Mandatory. Connect, look, and get ready; *handle is the instance. values: one per row of the settings table. */
  int (*open)(const struct holdfast_host *host, const struct holdfast_value *values, void **handle);
  /* Mandatory. The next entry: 1 and *e filled (the host zeroed it), 0 at the end, negative status when the source failed. */
  int (*next)(void *handle, struct holdfast_entry *e);
  /* Mandatory. Get ready to read an entry that next returned. *e comes as next filled it (with copies of the strings); fields that
   * have changed since are to be updated, and xattrs, link, user, group and extents added. HOLDFAST_E_NOT_FOUND: it has vanished.
   * Any other error: the host lists it as a problem of the entry and goes on. Called for folders and links too. */
  int (*entry_open)(void *handle, struct holdfast_entry *e);
  /* Mandatory. Up to n bytes of the opened entry into buf; 0 at the end; negative status on error. */
  int64_t (*read)(void *handle, void *buf, size_t n);
  /* Mandatory. Done with the opened entry. HOLDFAST_E_CHANGED when it changed since entry_open. */
  int (*entry_close)(void *handle);
  /* Optional. All has been read: confirm that what was read is consistent, and give the state to be kept in the record (JSON text, at most
   * 64 KiB, NULL for none; valid until close). */
  int (*finish)(void *handle, const char **state);
  /* Mandatory. Free everything. Called once after a successful open, whatever happened. */
  void (*close)(void *handle);

  /* ---- preflight ---- */
  /* Optional. Would open work? No side effects. The message says what was found, or what is wrong and how to right it. */
  int (*probe)(const struct holdfast_host *host, const struct holdfast_value *values);

  /* ---- restore ----
   * restore_open; then for each stream of the snapshot either restore_tree (the host writes the tree there) or restore_begin,
   * restore_write..., restore_end; then restore_finish; then restore_close. All optional together: without them, trees
   * and streams go to files below the chosen folder, and in-place restore is refused. */
  int (*restore_open)(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_restore *how,
                      void **handle);
  /* The folder the host is to write this tree below, as absolute path into dir (cap bytes). The folder must exist. */
  int (*restore_tree)(void *handle, const char *stream, char *dir, size_t cap);
  /* A raw stream of size bytes is to come. TO_DIR: HOLDFAST_E_UNSUPPORTED leaves it to the host to write it to a file of its name in the
   * directory. A stream that turns out to be damaged is never ended: restore_finish comes instead, with complete 0. */
  int (*restore_begin)(void *handle, const char *stream, uint64_t size);
  int (*restore_write)(void *handle, const void *buf, size_t n);
  int (*restore_end)(void *handle);
  /* complete: 1 when everything that was asked for arrived undamaged, else 0: the plugin must not replace good data by half of it. */
  int (*restore_finish)(void *handle, int complete);
  void (*restore_close)(void *handle);

  /* ---- rehearsal ---- */
  /* Optional. Is the copy restored below directory good? The message says what was checked, or what is wrong. state: as in restore. */
  int (*verify)(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory, const char *state);

  uint32_t features; /* enum holdfast_source_features */
  uint32_t reserved; /* 0 */

  /* ---- since 1.2: taking a restore in place back. For plugins with HOLDFAST_KEEPS_SAFETY; the host does it for the others ---- */
  /* Optional. Put back what was kept, all of it or nothing, with the same care as a restore in place: what is there now is kept in turn, and host->kept told
   * of it. HOLDFAST_E_NOT_FOUND: what was kept is not there any more. */
  int (*undo)(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_kept *items, size_t n);
  /* Optional. Remove what was kept: only the items that are no files, which the host removes itself. What is gone already is fine. */
  int (*discard)(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_kept *items, size_t n);
};

#define HOLDFAST_SOURCE_ENTRY "holdfast_source_plugin"

/* Define the plugin's one exported symbol: HOLDFAST_SOURCE_PLUGIN(plugin_struct) */
#ifdef __cplusplus
#define HOLDFAST_SOURCE_PLUGIN(s) \
  extern "C" HOLDFAST_EXPORT const struct holdfast_source_plugin *holdfast_source_plugin(void) { return &(s); }
#else
#define HOLDFAST_SOURCE_PLUGIN(s)                                                      \
  HOLDFAST_EXPORT const struct holdfast_source_plugin *holdfast_source_plugin(void);   \
  const struct holdfast_source_plugin *holdfast_source_plugin(void) { return &(s); }
#endif

#ifdef __cplusplus
}
#endif
#endif
