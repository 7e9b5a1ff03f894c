/* server.c - a temporary cluster: made or given, started on a private socket, stopped, removed.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * All that matters is on the command line, which outweighs postgresql.auto.conf; the other configuration files are ours.
 */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../common/child.h"

enum { DEFAULT_TIMEOUT = 300, STOP_SECONDS = 60, MAX_ARGS = 128 };

struct hf_pg_server {
  const struct holdfast_host *host;
  const char *account; /* NULL: we are not root, or need not change */
  char *dir;           /* ours: configuration, socket, and the data directory if none was given */
  char *data, *superuser, *bin;
  bool data_is_ours;
  int major;
  struct hf_pg_run run;
  struct hf_pg_way way_dir, way_data;
};

/* Always: nothing gets in or out, nothing runs that the rehearsal is not about, and what is on the disk need not outlive a crash. */
static const char *const fixed[] = {
  "listen_addresses=", ("port=" HF_PG_SERVER_PORT), "unix_socket_permissions=0700", "bonjour=off", "ssl=off", "external_pid_file=",
  "shared_preload_libraries=", "session_preload_libraries=", "local_preload_libraries=", "archive_mode=off", "archive_command=",
  "wal_level=minimal", "max_wal_senders=0", "max_replication_slots=0", "max_logical_replication_workers=0", "synchronous_standby_names=",
  "recovery_target=", "recovery_target_time=", "recovery_target_name=", "recovery_target_xid=", "recovery_target_lsn=",
  "fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=64MB", "huge_pages=off", "max_connections=20",
  "max_prepared_transactions=64", "max_locks_per_transaction=256", "autovacuum=off", "jit=off", "logging_collector=off", "log_destination=stderr",
        "log_min_messages=fatal",
  "log_statement=none", "log_connections=off", "log_checkpoints=off", "lc_messages=C", "cluster_name=holdfast",
};

static int write_file(struct hf_pg_server *s, const char *name, const char *text) {
  char *path = hf_pg_join(s->dir, name);
  if (!path) return hf_pg_no_memory(s->host);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), rc = 0;
  /* The account's own by its folder's owner would do; this is clear. */
  if (fd < 0 || (s->account && hf_pg_way_give(s->account, fd) != 0) || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
    rc = holdfast_fail(s->host, hf_pg_status(errno), "%s: %s", path, strerror(errno));
  if (fd >= 0) close(fd);
  free(path);
  return rc;
}

static int make_cluster(struct hf_pg_server *s) {
  char *initdb = hf_pg_join(s->bin, "initdb"), *words = NULL;
  const char *argv[] = {initdb, "-D", s->data, "-U", s->superuser, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", NULL};
  const char *const env[] = {"LC_ALL=C", "LANGUAGE", "PGDATA", NULL};
  const struct hfp_run how = {.argv = argv, .env = env, .account = s->account, .dir = s->dir, .in = -1, .out = HFP_PIPE, .err = -1, .timeout = DEFAULT_TIMEOUT};
  int code = 0;
  int rc = initdb ? hfp_collect(s->host, &how, 65536, NULL, NULL, &code, &words) : hf_pg_no_memory(s->host);
  if (rc == 0 && code != 0)
    rc = holdfast_fail(s->host, hf_pg_words_status(words ? words : ""), "initdb of a temporary cluster: %.500s (exit code %d)",
                       words && *words ? words : "it said nothing", code);
  free(initdb);
  free(words);
  return rc;
}

static int launch(struct hf_pg_server *s, const struct hf_pg_server_how *how) {
  const char *argv[MAX_ARGS];
  char *own[5] = {hf_pg_join(s->bin, "postgres"), hf_pg_format("config_file=%s/postgresql.conf", s->dir), hf_pg_format("hba_file=%s/pg_hba.conf", s->dir),
                  hf_pg_format("ident_file=%s/pg_ident.conf", s->dir), hf_pg_format("unix_socket_directories=%s", s->dir)};
  const char *const env[] = {"LC_ALL=C", "LANGUAGE", "PGDATA", "PGOPTIONS", NULL};
  size_t n = 0;
  int rc = 0;
  for (size_t i = 0; i < 5; i++)
    if (!own[i]) rc = hf_pg_no_memory(s->host);
  argv[n++] = own[0];
  argv[n++] = "-D";
  argv[n++] = s->data;
  for (size_t i = 1; i < 5; i++) {
    argv[n++] = "-c";
    argv[n++] = own[i];
  }
  for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
    argv[n++] = "-c";
    argv[n++] = fixed[i];
  }
  for (size_t i = 0; how->settings && how->settings[i] && n + 3 < MAX_ARGS; i++) {
    argv[n++] = "-c";
    argv[n++] = how->settings[i];
  }
  argv[n] = NULL;
  if (rc == 0) {
    s->run = (struct hf_pg_run){.used = true, .host = s->host, .name = "postgres", .words = hf_pg_words_new(s->host)};
    const struct hfp_run run = {.argv = argv, .env = env, .account = s->account, .dir = s->dir, .in = -1, .out = -1, .err = s->run.words};
    rc = s->run.words < 0 ? s->run.words : hfp_start(s->host, &run, &s->run.child);
  }
  for (size_t i = 0; i < 5; i++) free(own[i]);
  return rc;
}

/* What a database has been given by ALTER DATABASE must not keep us out of it, or stop us in it. */
static const char options[] = "-c session_preload_libraries= -c local_preload_libraries= -c default_transaction_read_only=off -c statement_timeout=0 "
                              "-c lock_timeout=0 -c idle_in_transaction_session_timeout=0 -c role=none";

static int session(struct hf_pg_server *s, const char *dbname, int seconds, PGconn **out) {
  const char *const keys[] = {"host", "port", "user", "dbname", "client_encoding", "fallback_application_name", "sslmode", "gssencmode", "options", NULL};
  const char *const vals[] = {s->dir, HF_PG_SERVER_PORT, s->superuser, dbname, "UTF8", "holdfast", "disable", "disable", options, NULL};
  return hf_pg_connect_params(s->host, keys, vals, seconds, out);
}

/* Until connections are accepted and recovery is over. It answers "starting up" meanwhile. */
static int wait_until_up(struct hf_pg_server *s, unsigned seconds) {
  const char *const keys[] = {"host", "port", "user", "dbname", NULL};
  const char *const vals[] = {s->dir, HF_PG_SERVER_PORT, s->superuser, "template1", NULL};
  const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  for (time_t end = t.tv_sec + (time_t)seconds;;) {
    int code = 0;
    if (hfp_ended(s->run.child, &code)) return hf_pg_run_failed(&s->run, "the temporary PostgreSQL did not start", code);
    PGPing answer = PQpingParams(keys, vals, 0);
    if (answer == PQPING_OK) break;
    if (answer == PQPING_NO_ATTEMPT) return holdfast_fail(s->host, HOLDFAST_E_FAILED, "libpq cannot ask the temporary PostgreSQL in %s", s->dir);
    if (s->host->cancelled(s->host->ctx)) return holdfast_fail(s->host, HOLDFAST_E_CANCELED, "stopped while a temporary PostgreSQL started");
    clock_gettime(CLOCK_MONOTONIC, &t);
    if (t.tv_sec > end) return holdfast_fail(s->host, HOLDFAST_E_TIMEOUT, "the temporary PostgreSQL was not ready after %u s", seconds);
    nanosleep(&pause, NULL);
  }
  PGconn *conn = NULL;
  PGresult *r = NULL;
  int rc = session(s, "template1", 30, &conn);
  if (rc == 0) rc = hf_pg_query(s->host, conn, "cannot ask whether recovery is over", "SELECT pg_is_in_recovery()", 0, NULL, &r);
  if (rc == 0 && *PQgetvalue(r, 0, 0) != 'f')
    rc = holdfast_fail(s->host, HOLDFAST_E_FAILED, "the temporary PostgreSQL stays in recovery (a standby.signal in its data directory?)");
  PQclear(r);
  PQfinish(conn);
  return rc;
}

/* The socket's path has to be short, and this one need not: they are in different folders. */
static int make_data(struct hf_pg_server *s, const char *below) {
  s->data = hf_pg_join(below, "cluster.XXXXXX");
  if (!s->data) return hf_pg_no_memory(s->host);
  if (!mkdtemp(s->data)) {
    int rc = holdfast_fail(s->host, hf_pg_status(errno), "%s: %s", s->data, strerror(errno));
    free(s->data);
    s->data = NULL;
    return rc;
  }
  s->data_is_ours = true;
  int fd = s->account ? open(s->data, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1, rc = 0;
  if (s->account && (fd < 0 || hf_pg_way_give(s->account, fd) != 0)) rc = holdfast_fail(s->host, hf_pg_status(errno), "%s: %s", s->data, strerror(errno));
  if (fd >= 0) close(fd);
  return rc;
}

static int prepare(struct hf_pg_server *s, const struct holdfast_value *values, const struct hf_pg_server_how *how) {
  int rc = 0;
  char *postgres = NULL;
  if (geteuid() == 0) {
    s->account = hf_pg_string(values, HF_PG_SERVER_USER);
    rc = hf_pg_way_account(s->host, s->account);
  }
  if (rc == 0) rc = hf_pg_program(s->host, values, "postgres", how->major, how->data != NULL, &postgres, &s->major);
  if (rc < 0) return rc;
  *strrchr(postgres, '/') = '\0';
  s->bin = postgres;
  s->superuser = strdup(how->superuser ? how->superuser : "postgres");
  rc = hfp_temp_dir(s->host, s->account, &s->dir);
  if (rc < 0) return rc;
  if (how->data)
    s->data = strdup(how->data);
  else if (how->below)
    rc = make_data(s, how->below);
  else
    s->data = hf_pg_join(s->dir, "data");
  if (rc < 0) return rc;
  if (!s->superuser || !s->data) return hf_pg_no_memory(s->host);
  rc = hf_pg_way_open(s->host, s->account, s->dir, &s->way_dir);
  if (rc == 0) rc = hf_pg_way_open(s->host, s->account, s->data, &s->way_data);
  if (rc == 0) rc = write_file(s, "postgresql.conf", "# holdfast: all settings are on the command line\n");
  if (rc == 0) rc = write_file(s, "pg_hba.conf", "local all all trust\n");
  if (rc == 0) rc = write_file(s, "pg_ident.conf", "");
  return rc;
}

int hf_pg_server_start(const struct holdfast_host *host, const struct holdfast_value *values, const struct hf_pg_server_how *how,
                       struct hf_pg_server **out) {
  struct hf_pg_server *s = calloc(1, sizeof *s);
  if (!s) return hf_pg_no_memory(host);
  s->host = host;
  int rc = prepare(s, values, how);
  if (rc == 0 && !how->data) rc = make_cluster(s);
  if (rc == 0) rc = launch(s, how);
  if (rc == 0) rc = wait_until_up(s, how->timeout ? how->timeout : DEFAULT_TIMEOUT);
  if (rc < 0) {
    hf_pg_server_stop(s, false);
    return rc;
  }
  *out = s;
  return 0;
}

int hf_pg_server_connect(struct hf_pg_server *s, const char *dbname, PGconn **out) { return session(s, dbname, 60, out); }

const char *hf_pg_server_socket(const struct hf_pg_server *s) { return s->dir; }
const char *hf_pg_server_superuser(const struct hf_pg_server *s) { return s->superuser; }
const char *hf_pg_server_bin(const struct hf_pg_server *s) { return s->bin; }
int hf_pg_server_major(const struct hf_pg_server *s) { return s->major; }

static void stop_process(struct hf_pg_server *s, bool clean) {
  const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
  int code = 0;
  if (!s->run.child || hfp_ended(s->run.child, &code)) return;
  /* To the postmaster alone: it ends its processes in order. */
  kill(hfp_pid(s->run.child), clean ? SIGINT : SIGQUIT);
  for (int i = 0; i < STOP_SECONDS * 100 && !hfp_ended(s->run.child, &code); i++) nanosleep(&pause, NULL);
}

void hf_pg_server_stop(struct hf_pg_server *s, bool clean) {
  if (!s) return;
  stop_process(s, clean);
  hf_pg_run_free(&s->run);
  if (s->data_is_ours) hfp_remove_tree(s->data);
  if (s->dir) hfp_remove_tree(s->dir);
  hf_pg_way_close(&s->way_data);
  hf_pg_way_close(&s->way_dir);
  free(s->dir);
  free(s->data);
  free(s->superuser);
  free(s->bin);
  free(s);
}
