/* plugin.c - the postgres source: its settings, and every call handed to the mode that they choose.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "logical.h"
#include "physical_restore.h"
#include "postgres.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

static const struct holdfast_setting settings[] = {
  [HF_PG_MODE] = {"mode", HOLDFAST_CHOICE, 0, "logical", "logical|physical",
    "Dumps of databases (logical), or a base backup of the whole cluster (physical)"},
  [HF_PG_HOST] = {"host", HOLDFAST_STRING, 0, NULL, NULL,
    "The server's name or address, or the folder of its Unix socket"},
  [HF_PG_PORT] = {"port", HOLDFAST_INT, 0, NULL, NULL,
    "The server's port"},
  [HF_PG_USERNAME] = {"username", HOLDFAST_STRING, 0, NULL, NULL,
    "The role to connect as"},
  [HF_PG_PASSWORD] = {"password", HOLDFAST_SECRET, 0, NULL, NULL,
    "The role's password"},
  [HF_PG_PASSFILE] = {"passfile", HOLDFAST_PATH, 0, NULL, NULL,
    "A password file, as libpq knows it"},
  [HF_PG_SERVICE] = {"service", HOLDFAST_STRING, 0, NULL, NULL,
    "A service of libpq's connection service file"},
  [HF_PG_CONNECTION] = {"connection", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL,
    "Another parameter of libpq's, as keyword=value: sslmode=verify-full"},
  [HF_PG_MAINTENANCE_DATABASE] = {"maintenance-database", HOLDFAST_STRING, 0, "postgres", NULL,
    "The database to connect to for what concerns the whole server"},
  [HF_PG_BIN_DIR] = {"bin-dir", HOLDFAST_PATH, 0, NULL, NULL,
    "The folder of PostgreSQL's programs"},
  [HF_PG_DATABASE] = {"database", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL,
    "A database to dump, or a pattern of names (logical)"},
  [HF_PG_EXCLUDE_DATABASE] = {"exclude-database", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL,
    "A database not to dump, or a pattern of names (logical)"},
  [HF_PG_IGNORE_MISSING] = {"ignore-missing", HOLDFAST_BOOL, 0, "no", NULL,
    "Pass over a database that does not exist (logical)"},
  [HF_PG_GLOBALS] = {"globals", HOLDFAST_BOOL, 0, "yes", NULL,
    "Dump roles and tablespaces too (logical)"},
  [HF_PG_ROLE_PASSWORDS] = {"role-passwords", HOLDFAST_BOOL, 0, "yes", NULL,
    "Dump the password digests of roles, which only a superuser can read (logical)"},
  [HF_PG_ROW_COUNTS] = {"row-counts", HOLDFAST_BOOL, 0, "no", NULL,
    "Count the rows of every table in the snapshot that is dumped, for verify (logical)"},
  [HF_PG_LOCK_TIMEOUT] = {"lock-timeout", HOLDFAST_DURATION, 0, "5m", NULL,
    "How long a dump may wait for a lock; 0 for ever (logical)"},
  [HF_PG_RESTORE_DATABASE] = {"restore-database", HOLDFAST_STRING, 0, NULL, NULL,
    "Another name for the one database that is restored in place (logical)"},
  [HF_PG_REPLACE] = {"replace", HOLDFAST_BOOL, 0, "no", NULL,
    "Restore over a database that is not empty; it is kept under another name (logical)"},
  [HF_PG_DISCONNECT] = {"disconnect", HOLDFAST_BOOL, 0, "no", NULL,
    "End the sessions in a database that is replaced (logical)"},
  [HF_PG_RESTORE_OWNER] = {"restore-owner", HOLDFAST_BOOL, 0, "yes", NULL,
    "Restore roles, owners and rights; no: everything belongs to username (logical)"},
  [HF_PG_SLOT] = {"slot", HOLDFAST_BOOL, 0, "yes", NULL,
    "Have the server keep the WAL the backup needs by a temporary replication slot (physical)"},
  [HF_PG_CHECKPOINT] = {"checkpoint", HOLDFAST_CHOICE, 0, "fast", "fast|spread",
    "Begin at once, or when the server's next checkpoint is done (physical)"},
  [HF_PG_MAX_RATE] = {"max-rate", HOLDFAST_SIZE, 0, NULL, NULL,
    "How many bytes a second the server sends at most (physical)"},
  [HF_PG_MANIFEST_CHECKSUMS] = {"manifest-checksums", HOLDFAST_CHOICE, 0, "crc32c", "crc32c|sha256",
    "The kind of checksum that the server makes of each file (physical)"},
  [HF_PG_DATA_DIRECTORY] = {"data-directory", HOLDFAST_PATH, 0, NULL, NULL,
    "Where to restore in place, if not where the data was (physical)"},
  [HF_PG_SERVER_USER] = {"server-user", HOLDFAST_STRING, 0, "postgres", NULL,
    "The account that a temporary server runs as when holdfast is root"},
  [HF_PG_ASSERT] = {"assert", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL,
    "What has to be true of a restored copy, as DATABASE: QUERY"},
  [HF_PG_N_SETTINGS] = {NULL, 0, 0, NULL, NULL, NULL},
};

struct instance {
  const struct holdfast_source_plugin *mode;
  void *inner;
};

static const struct holdfast_source_plugin *mode_of(const struct holdfast_value *values) {
  return strcmp(hf_pg_string(values, HF_PG_MODE), "physical") == 0 ? &hf_pg_physical : &hf_pg_logical;
}

/* A snapshot is of the mode it was made in, whatever the manifest says now. */
static const struct holdfast_source_plugin *mode_of_state(const struct holdfast_value *values, const char *state) {
  json_t *s = state && *state ? json_loads(state, 0, NULL) : NULL;
  const char *mode = json_string_value(json_object_get(s, "mode"));
  const struct holdfast_source_plugin *found = mode && strcmp(mode, "physical") == 0  ? &hf_pg_physical
                                               : mode && strcmp(mode, "logical") == 0 ? &hf_pg_logical
                                                                                      : mode_of(values);
  json_decref(s);
  return found;
}

static int wrap(const struct holdfast_host *host, const struct holdfast_source_plugin *mode, struct instance **out) {
  *out = calloc(1, sizeof **out);
  if (!*out) return hf_pg_no_memory(host);
  (*out)->mode = mode;
  return 0;
}

static int open_postgres(const struct holdfast_host *host, const struct holdfast_value *values, void **handle) {
  struct instance *p;
  int rc = wrap(host, mode_of(values), &p);
  if (rc == 0) rc = p->mode->open(host, values, &p->inner);
  if (rc < 0)
    free(p);
  else
    *handle = p;
  return rc;
}

static int next(void *handle, struct holdfast_entry *e) {
  struct instance *p = handle;
  return p->mode->next(p->inner, e);
}

static int entry_open(void *handle, struct holdfast_entry *e) {
  struct instance *p = handle;
  return p->mode->entry_open(p->inner, e);
}

static int64_t entry_read(void *handle, void *buf, size_t n) {
  struct instance *p = handle;
  return p->mode->read(p->inner, buf, n);
}

static int entry_close(void *handle) {
  struct instance *p = handle;
  return p->mode->entry_close(p->inner);
}

static int finish(void *handle, const char **state) {
  struct instance *p = handle;
  return p->mode->finish(p->inner, state);
}

static void close_postgres(void *handle) {
  struct instance *p = handle;
  p->mode->close(p->inner);
  free(p);
}

static int probe(const struct holdfast_host *host, const struct holdfast_value *values) { return mode_of(values)->probe(host, values); }

static int restore_open(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_restore *how, void **handle) {
  struct instance *p;
  int rc = wrap(host, mode_of_state(values, how->state), &p);
  if (rc == 0) rc = p->mode->restore_open(host, values, how, &p->inner);
  if (rc < 0)
    free(p);
  else
    *handle = p;
  return rc;
}

static int restore_begin(void *handle, const char *stream, uint64_t size) {
  struct instance *p = handle;
  return p->mode->restore_begin(p->inner, stream, size);
}

static int restore_write(void *handle, const void *buf, size_t n) {
  struct instance *p = handle;
  return p->mode->restore_write(p->inner, buf, n);
}

static int restore_end(void *handle) {
  struct instance *p = handle;
  return p->mode->restore_end(p->inner);
}

static int restore_finish(void *handle, int complete) {
  struct instance *p = handle;
  return p->mode->restore_finish(p->inner, complete);
}

static void restore_close(void *handle) {
  struct instance *p = handle;
  p->mode->restore_close(p->inner);
  free(p);
}

/* What is no file is a database. */
static int undo(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_kept *items, size_t n) {
  return n > 0 && items[0].place[0] == '/' ? hf_pg_physical_undo(host, items, n) : hf_pg_logical_undo(host, values, items, n);
}

static int verify(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory, const char *state) {
  return mode_of_state(values, state)->verify(host, values, directory, state);
}

static const struct holdfast_source_plugin plugin = {
  .head = {
    .struct_size = sizeof(struct holdfast_source_plugin),
    .abi_major = HOLDFAST_ABI_MAJOR,
    .abi_minor = HOLDFAST_ABI_MINOR,
    .name = "postgres",
    .version = HF_PG_VERSION,
    .summary = "PostgreSQL: a dump of each database, or a base backup of the cluster",
    .settings = settings,
  },
  .open = open_postgres,
  .next = next,
  .entry_open = entry_open,
  .read = entry_read,
  .entry_close = entry_close,
  .finish = finish,
  .close = close_postgres,
  .probe = probe,
  .restore_open = restore_open,
  .restore_begin = restore_begin,
  .restore_write = restore_write,
  .restore_end = restore_end,
  .restore_finish = restore_finish,
  .restore_close = restore_close,
  .verify = verify,
  .features = HOLDFAST_KEEPS_SAFETY,
  .undo = undo,
  .discard = hf_pg_logical_discard,
};

HOLDFAST_SOURCE_PLUGIN(plugin)
