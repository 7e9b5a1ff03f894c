/* engine.c - the files source: its settings and its table of callbacks, for this plugin and for others that give files of the host.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "files.h"

#include <stdlib.h>
#include <unistd.h>

static const struct holdfast_setting settings[] = {
  [HF_FILES_PATH] = {"path", HOLDFAST_PATH, HOLDFAST_REQUIRED | HOLDFAST_LIST, NULL, NULL,
    "A file or folder to back up, with all that is in it"},
  [HF_FILES_EXCLUDE] = {"exclude", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL,
    "A pattern, as in gitignore, of what to leave out"},
  [HF_FILES_INCLUDE] = {"include", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL,
    "A pattern of what to keep although an exclude pattern matches it"},
  [HF_FILES_EXCLUDE_FILE] = {"exclude-file", HOLDFAST_PATH, HOLDFAST_LIST, NULL, NULL,
    "A file with exclude patterns, one a line"},
  [HF_FILES_EXCLUDE_CACHES] = {"exclude-caches", HOLDFAST_BOOL, 0, "no", NULL,
    "Leave out what is in folders that hold a valid CACHEDIR.TAG"},
  [HF_FILES_EXCLUDE_NODUMP] = {"exclude-nodump", HOLDFAST_BOOL, 0, "no", NULL,
    "Leave out what has the nodump attribute (chattr +d)"},
  [HF_FILES_EXCLUDE_IF_PRESENT] = {"exclude-if-present", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL,
    "Leave out what is in folders that hold an entry of this name"},
  [HF_FILES_ONE_FILE_SYSTEM] = {"one-file-system", HOLDFAST_BOOL, 0, "no", NULL,
    "Do not go into folders on other file systems than the path they are in"},
  [HF_FILES_XATTRS] = {"xattrs", HOLDFAST_BOOL, 0, "yes", NULL,
    "Keep extended attributes, file capabilities among them"},
  [HF_FILES_ACLS] = {"acls", HOLDFAST_BOOL, 0, "yes", NULL,
    "Keep POSIX access control lists"},
  [HF_FILES_IGNORE_MISSING] = {"ignore-missing", HOLDFAST_BOOL, 0, "no", NULL,
    "Pass over a path that does not exist"},
  [HF_FILES_IGNORE_INODE] = {"ignore-inode", HOLDFAST_BOOL, 0, "no", NULL,
    "Do not compare inode numbers: for network file systems where they change"},
  [HF_FILES_N_SETTINGS] = {NULL, 0, 0, NULL, NULL, NULL},
};

static void close_files(void *handle) {
  struct hf_files *h = handle;
  hf_files_open_free(&h->open);
  hf_files_walk_free(&h->walk);
  hf_files_chain_free(&h->chain);
  hf_files_links_free(&h->links);
  hf_files_links_free(&h->lost);
  hf_files_names_free(&h->users);
  hf_files_names_free(&h->groups);
  hf_files_rules_free(&h->rules);
  hf_files_roots_free(&h->roots);
  free(h->state);
  free(h);
}

static int open_files(const struct holdfast_host *host, const struct holdfast_value *values, void **handle) {
  struct hf_files *h = calloc(1, sizeof *h);
  if (!h) return hf_files_no_memory(host);
  h->host = host;
  h->open.fd = -1;
  h->walk.dirfd = -1;
  h->euid = geteuid();
  h->opt = (struct hf_files_options){
    .exclude_caches = values[HF_FILES_EXCLUDE_CACHES].number != 0,
    .exclude_nodump = values[HF_FILES_EXCLUDE_NODUMP].number != 0,
    .one_file_system = values[HF_FILES_ONE_FILE_SYSTEM].number != 0,
    .xattrs = values[HF_FILES_XATTRS].number != 0,
    .acls = values[HF_FILES_ACLS].number != 0,
    .ignore_inode = values[HF_FILES_IGNORE_INODE].number != 0,
    .markers = values[HF_FILES_EXCLUDE_IF_PRESENT].strings,
    .n_markers = values[HF_FILES_EXCLUDE_IF_PRESENT].count,
  };
  int rc = hf_files_rules_load(&h->rules, host, values);
  if (rc == 0) rc = hf_files_roots_load(&h->roots, host, values);
  if (rc < 0) {
    close_files(h);
    return rc;
  }
  *handle = h;
  return HOLDFAST_OK;
}

static int next(void *handle, struct holdfast_entry *e) {
  return hf_files_walk_next(handle, e);
}

static int entry_open(void *handle, struct holdfast_entry *e) {
  return hf_files_entry_open(handle, e);
}

static int64_t entry_read(void *handle, void *buf, size_t n) {
  return hf_files_entry_read(handle, buf, n);
}

static int entry_close(void *handle) {
  return hf_files_entry_close(handle);
}

static int finish(void *handle, const char **state) {
  struct hf_files *h = handle;
  free(h->state);
  h->state = hf_files_state_write(&h->roots, &h->counts);
  if (!h->state) return hf_files_no_memory(h->host);
  *state = h->state;
  return HOLDFAST_OK;
}

const struct holdfast_source_plugin hf_files_engine = {
  .head = {
    .struct_size = sizeof(struct holdfast_source_plugin),
    .abi_major = HOLDFAST_ABI_MAJOR,
    .abi_minor = HOLDFAST_ABI_MINOR,
    .name = "files",
    .version = HF_FILES_VERSION,
    .summary = "files and folders of this host, with all their metadata",
    .settings = settings,
  },
  .open = open_files,
  .next = next,
  .entry_open = entry_open,
  .read = entry_read,
  .entry_close = entry_close,
  .finish = finish,
  .close = close_files,
  .probe = hf_files_probe,
  .restore_open = hf_files_restore_open,
  .restore_tree = hf_files_restore_tree,
  .restore_begin = hf_files_restore_begin,
  .restore_write = hf_files_restore_write,
  .restore_end = hf_files_restore_end,
  .restore_finish = hf_files_restore_finish,
  .restore_close = hf_files_restore_close,
  .verify = hf_files_verify,
  .features = HOLDFAST_VERIFIES_IN_PLACE,
};
