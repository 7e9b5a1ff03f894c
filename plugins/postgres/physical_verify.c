/* physical_verify.c - is a restored base backup good? A server is started on it, and its content looked at.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "physical_restore.h"
#include "server.h"
#include "state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../common/child.h"

/* A backup of a standby would start as a standby, which never ends its recovery: this copy is to be looked at by itself. */
static int stand_alone(const struct holdfast_host *host, const char *data) {
  static const char *const signals[] = {"standby.signal", "recovery.signal"};
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < sizeof signals / sizeof *signals; i++) {
    char *path = hf_pg_join(data, signals[i]);
    if (!path) return hf_pg_no_memory(host);
    if (unlink(path) != 0 && errno != ENOENT) rc = holdfast_fail(host, hf_pg_status(errno), "%s: %s", path, strerror(errno));
    free(path);
  }
  return rc;
}

/* A file in memory that holds a statement, to be read from its beginning; -1 and errno. */
static int statement(const char *text) {
  int fd = memfd_create("holdfast", MFD_CLOEXEC);
  if (fd >= 0 && (write(fd, text, strlen(text)) != (ssize_t)strlen(text) || lseek(fd, 0, SEEK_SET) != 0)) {
    close(fd);
    fd = -1;
  }
  return fd;
}

/* The name in what a single-user server prints:  1: rolname = "postgres"  (typeid = 19, ... */
static char *name_in(const char *text) {
  static const char before[] = "rolname = \"", behind[] = "\"\t(typeid";
  const char *from = strstr(text, before);
  const char *to = from ? strstr(from += sizeof before - 1, behind) : NULL;
  return to ? strndup(from, (size_t)(to - from)) : NULL;
}

static int ask_single(const struct holdfast_host *host, const char *postgres, const char *account, const char *data, char **role) {
  const char *const argv[] = {postgres, "--single", "-F", "-D", data, "-c", "config_file=/dev/null", "-c", "hba_file=/dev/null", "-c", "ident_file=/dev/null",
                              "-c", "shared_preload_libraries=", "-c", "archive_mode=off", "-c", "max_prepared_transactions=64", "-c",
                              "log_min_messages=fatal", "template1", NULL};
  const char *const env[] = {"LC_ALL=C", "LANGUAGE", "PGDATA", "PGOPTIONS", NULL};
  char *out = NULL, *words = NULL;
  int code = 0, in = statement("SELECT rolname FROM pg_catalog.pg_authid WHERE oid = 10\n");
  if (in < 0) return holdfast_fail(host, hf_pg_status(errno), "memfd_create: %s", strerror(errno));
  int rc = hfp_collect(host, &(struct hfp_run){.argv = argv, .env = env, .account = account, .in = in, .err = -1}, 65536, &out, NULL, &code, &words);
  close(in);
  *role = rc == 0 ? name_in(out) : NULL;
  if (rc == 0 && !*role)
    rc = holdfast_fail(host, HOLDFAST_E_CORRUPT, "%s: PostgreSQL does not start on it: %s (exit code %d)", data,
                       words && *words ? words : "it said nothing", code);
  free(out);
  free(words);
  return rc;
}

/* The name of the cluster's first superuser, whom nobody can drop. Only a single-user server can be asked without knowing one; it also
 * is what replays the log. */
static int superuser(const struct holdfast_host *host, const struct holdfast_value *values, const char *data, int major, char **role) {
  const char *account = geteuid() == 0 ? hf_pg_string(values, HF_PG_SERVER_USER) : NULL;
  struct hf_pg_way way = {.n = 0};
  char *postgres = NULL;
  int rc = account ? hf_pg_way_account(host, account) : 0;
  if (rc == 0) rc = hf_pg_program(host, values, "postgres", major, true, &postgres, NULL);
  if (rc == 0) rc = hf_pg_way_open(host, account, data, &way);
  if (rc == 0) rc = ask_single(host, postgres, account, data, role);
  hf_pg_way_close(&way);
  free(postgres);
  return rc;
}

int hf_pg_physical_verify(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory, const char *state) {
  struct hf_pg_state s;
  struct hf_pg_server *server = NULL;
  struct hf_pg_checked seen = {0};
  int rc = hf_pg_state_read(host, state, &s);
  if (rc < 0) return rc;
  char *role = NULL, *data = hf_pg_join(directory, "data");
  if (!data) rc = hf_pg_no_memory(host);
  if (rc == 0 && s.major == 0) rc = holdfast_fail(host, HOLDFAST_E_CORRUPT, "the snapshot does not say of which version its server was");
  if (rc == 0 && access(data, F_OK) != 0) rc = holdfast_fail(host, HOLDFAST_E_NOT_FOUND, "%s: %s", data, strerror(errno));
  if (rc == 0) rc = stand_alone(host, data);
  if (rc == 0) rc = superuser(host, values, data, s.major, &role);
  if (rc == 0) rc = hf_pg_server_start(host, values, &(struct hf_pg_server_how){.major = s.major, .data = data, .superuser = role}, &server);
  if (rc == 0) rc = hf_pg_check(host, values, server, NULL, &seen);
  hf_pg_server_stop(server, false);
  if (rc == 0)
    rc = holdfast_fail(host, HOLDFAST_OK, "PostgreSQL %d started on it and recovered; %llu databases, %llu tables with %llu rows read; amcheck: %s "
                       "(%llu indexes, %llu tables); %llu assertions hold", s.major, (unsigned long long)seen.databases, (unsigned long long)seen.tables,
                       (unsigned long long)seen.rows, seen.amcheck ? "sound" : "not installed", (unsigned long long)seen.indexes,
                       (unsigned long long)seen.heaps, (unsigned long long)seen.assertions);
  free(role);
  free(data);
  hf_pg_state_free(&s);
  return rc;
}
