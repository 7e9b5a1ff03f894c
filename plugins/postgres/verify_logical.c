/* verify_logical.c - are the dumps below a folder good? They are restored into a temporary cluster, and that is looked at.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "logical.h"

struct rehearsal {
  const struct holdfast_host *host;
  const char *directory;
  json_t *state;
  struct hf_pg_server *server;
  PGconn *conn; /* in a database of its own: every other can be replaced */
  bool roles;   /* they were made */
  unsigned restored;
};

static const char control_db[] = "holdfast_rehearsal";

/* A file of the folder as text: 1, 0 if there is none. */
static int load(struct rehearsal *h, const char *name, size_t max, char **out, size_t *out_n) {
  char *path = hf_pg_join(h->directory, name);
  struct stat st;
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1, rc = 1;
  *out = NULL;
  if (fd < 0 && path && errno == ENOENT) {
    rc = 0;
  } else if (fd < 0 || fstat(fd, &st) != 0) {
    rc = holdfast_fail(h->host, hf_pg_status(errno), "%s: %s", name, strerror(errno));
  } else if ((uint64_t)st.st_size > max) {
    rc = holdfast_fail(h->host, HOLDFAST_E_UNSUPPORTED, "%s: %lld bytes are more than it can have", name, (long long)st.st_size);
  } else {
    char *text = malloc((size_t)st.st_size + 1);
    size_t n = 0;
    ssize_t got = 1;
    while (text && got > 0 && n < (size_t)st.st_size) {
      got = read(fd, text + n, (size_t)st.st_size - n);
      if (got > 0) n += (size_t)got;
    }
    if (!text || got < 0) {
      rc = text ? holdfast_fail(h->host, hf_pg_status(errno), "%s: %s", name, strerror(errno)) : hf_pg_no_memory(h->host);
      free(text);
    } else {
      text[n] = '\0';
      *out = text;
      *out_n = n;
    }
  }
  if (fd >= 0) close(fd);
  free(path);
  return rc;
}

static int make_roles(struct rehearsal *h) {
  char *script = NULL;
  size_t n = 0;
  PGconn *conn = NULL;
  int rc = load(h, HF_PG_GLOBALS_STREAM, HF_PG_GLOBALS_MAX, &script, &n);
  if (rc <= 0) return rc;
  rc = hf_pg_server_connect(h->server, "postgres", &conn);
  if (rc == 0) rc = hf_pg_globals_apply(h->host, conn, script, n, true);
  PQfinish(conn);
  explicit_bzero(script, n);
  free(script);
  h->roles = rc == 0;
  return rc;
}

static int run_pg_restore(struct rehearsal *h, const char *file, const char *database) {
  char *program = hf_pg_join(hf_pg_server_bin(h->server), "pg_restore"), *path = hf_pg_join(h->directory, file), *label = hf_pg_format("rehearsal of %s", file);
  char *socket = hf_pg_format("--host=%s", hf_pg_server_socket(h->server)), *user = hf_pg_format("--username=%s", hf_pg_server_superuser(h->server));
  /* A name with '=' in it would be taken for a connection string. */
  size_t n = 0, room = strlen(database) * 2 + 20;
  char *db = malloc(room);
  const char *argv[16];
  struct hf_pg_run run = {0};
  int rc = program && path && label && socket && user && db ? 0 : hf_pg_no_memory(h->host);
  if (rc == 0) {
    char *to = db + sprintf(db, "--dbname=dbname='");
    for (const char *p = database; *p; p++) {
      if (*p == '\'' || *p == '\\') *to++ = '\\';
      *to++ = *p;
    }
    strcpy(to, "'");
    argv[n++] = program;
    argv[n++] = "--exit-on-error";
    argv[n++] = "--no-password";
    argv[n++] = "--no-tablespaces";
    argv[n++] = "--no-publications";
    argv[n++] = "--no-subscriptions";
    if (!h->roles) {
      argv[n++] = "--no-owner";
      argv[n++] = "--no-privileges";
    }
    argv[n++] = socket;
    argv[n++] = "--port=" HF_PG_SERVER_PORT;
    argv[n++] = user;
    argv[n++] = db;
    argv[n++] = path;
    argv[n] = NULL;
    rc = hf_pg_run_start(h->host, argv, NULL, -1, -1, &run);
  }
  if (rc == 0) rc = hf_pg_run_end(&run, label);
  free(program);
  free(path);
  free(label);
  free(socket);
  free(user);
  free(db);
  return rc;
}

/* A fresh cluster has databases of its own, which the dumps may be of. */
static int clear_the_place(struct rehearsal *h, const char *name) {
  int rc = 0;
  if (strcmp(name, "template1") == 0) rc = hf_pg_query(h->host, h->conn, "template1", "ALTER DATABASE template1 IS_TEMPLATE false", 0, NULL, NULL);
  return rc == 0 ? hf_pg_command(h->host, h->conn, "cannot make room in the temporary cluster", "DROP DATABASE IF EXISTS %I", 1, &name) : rc;
}

static int restore_one(struct rehearsal *h, const char *file) {
  char *name = hf_pg_database_name(h->state, file);
  if (!name) return hf_pg_no_memory(h->host);
  int rc = clear_the_place(h, name);
  if (rc == 0) rc = hf_pg_database_create(h->host, h->conn, name, hf_pg_database_of(h->state, file), true);
  if (rc == 0) rc = hf_pg_database_search_path(h->host, h->conn, name, hf_pg_database_of(h->state, file));
  if (rc == 0) rc = run_pg_restore(h, file, name);
  h->restored += rc == 0;
  free(name);
  return rc;
}

static bool is_dump(const char *name) {
  size_t n = strlen(name), cut = sizeof HF_PG_DUMP_SUFFIX - 1;
  return n > cut && strcmp(name + n - cut, HF_PG_DUMP_SUFFIX) == 0;
}

static int restore_all(struct rehearsal *h) {
  DIR *d = opendir(h->directory);
  if (!d) return holdfast_fail(h->host, hf_pg_status(errno), "%s: %s", h->directory, strerror(errno));
  int rc = hf_pg_command(h->host, h->conn, "cannot make a database", "CREATE DATABASE %I", 1, (const char *const[]){control_db});
  PQfinish(h->conn);
  h->conn = NULL;
  if (rc == 0) rc = hf_pg_server_connect(h->server, control_db, &h->conn);
  for (struct dirent *e; rc == 0 && (e = readdir(d));)
    if (is_dump(e->d_name)) rc = restore_one(h, e->d_name);
  closedir(d);
  if (rc == 0 && h->restored == 0) rc = holdfast_fail(h->host, HOLDFAST_E_NOT_FOUND, "%s: there are no dumps (NAME%s) in it", h->directory, HF_PG_DUMP_SUFFIX);
  PQfinish(h->conn);
  h->conn = NULL;
  /* From a database that is there whatever the dumps brought: template1. */
  if (rc == 0) rc = hf_pg_server_connect(h->server, "template1", &h->conn);
  if (rc == 0) rc = hf_pg_command(h->host, h->conn, "cannot drop a database", "DROP DATABASE %I", 1, (const char *const[]){control_db});
  return rc;
}

int hf_pg_logical_verify(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory, const char *state) {
  struct rehearsal h = {.host = host, .directory = directory};
  struct hf_pg_server_how how = {.major = 13, .below = directory};
  struct hf_pg_checked checked;
  char *counts = NULL, what[100];
  size_t n = 0;
  int rc = hf_pg_logical_state(host, state, &h.state);
  if (rc >= 0) {
    json_int_t version = json_integer_value(json_object_get(h.state, "server"));
    how.superuser = json_string_value(json_object_get(h.state, "superuser"));
    if (version >= 130000 && version < 1000000) how.major = (int)(version / 10000);
    rc = load(&h, HF_PG_COUNTS_STREAM, HF_PG_COUNTS_MAX, &counts, &n);
  }
  if (rc >= 0) rc = hf_pg_server_start(host, values, &how, &h.server);
  if (rc == 0) rc = make_roles(&h);
  if (rc == 0) rc = hf_pg_server_connect(h.server, "postgres", &h.conn);
  if (rc == 0) rc = restore_all(&h);
  PQfinish(h.conn);
  if (rc == 0) rc = hf_pg_check(host, values, h.server, counts, &checked);
  if (rc == 0) {
    snprintf(what, sizeof what, "%u dumps restored into a temporary PostgreSQL %d", h.restored, hf_pg_server_major(h.server));
    hf_pg_checked_tell(host, &checked, what);
  }
  hf_pg_server_stop(h.server, false);
  json_decref(h.state);
  free(counts);
  return rc;
}
