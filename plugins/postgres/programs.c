/* programs.c - the programs of PostgreSQL: where the right version of each is, and how they are run.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "postgres.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/child.h"

enum { NEWEST = 40 }; /* major versions looked for; one a year */

int hf_pg_program_version(const char *text) {
  static const char mark[] = "(PostgreSQL) ";
  const char *p = strstr(text, mark);
  if (!p) return 0;
  long n = strtol(p + sizeof mark - 1, NULL, 10);
  return n > 0 && n < 1000 ? (int)n : 0;
}

/* The major version that `path --version` tells. */
static int ask(const struct holdfast_host *host, const char *path, int *major) {
  const char *const argv[] = {path, "--version", NULL};
  const struct hfp_run how = {.argv = argv, .in = -1, .out = HFP_PIPE, .err = -1, .timeout = 30};
  char *said = NULL, *words = NULL;
  int code = 0;
  int rc = hfp_collect(host, &how, 4096, &said, NULL, &code, &words);
  *major = rc == 0 && code == 0 ? hf_pg_program_version(said) : 0;
  if (rc == 0 && *major == 0)
    rc = holdfast_fail(host, HOLDFAST_E_CONFIG, "%s --version does not tell a version of PostgreSQL (%.200s)", path,
                       words && *words ? words : said);
  free(said);
  free(words);
  return rc;
}

static const char *const places[] = {"/usr/lib/postgresql/%d/bin/%s", "/usr/pgsql-%d/bin/%s", "/usr/local/pgsql-%d/bin/%s"};

/* The lowest version that will do, in the folders where distributions keep them side by side. NULL if there is none. */
static char *installed(const char *name, int major, bool exact) {
  for (int v = major; v <= (exact ? major : NEWEST); v++)
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
      char path[300];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
      snprintf(path, sizeof path, places[i], v, name);
#pragma GCC diagnostic pop
      if (access(path, X_OK) == 0) return strdup(path);
    }
  return NULL;
}

/* `name` in the folders of PATH. */
static char *on_path(const char *name) {
  const char *p = getenv("PATH");
  while (p && *p) {
    size_t n = strcspn(p, ":");
    char *path = n && *p == '/' ? hf_pg_format("%.*s/%s", (int)n, p, name) : NULL;
    if (path && access(path, X_OK) == 0) return path;
    free(path);
    p += n + (p[n] == ':');
  }
  return NULL;
}

int hf_pg_program(const struct holdfast_host *host, const struct holdfast_value *values, const char *name, int major, bool exact,
                  char **path, int *found) {
  const char *dir = hf_pg_string(values, HF_PG_BIN_DIR);
  const char *orlater = exact ? "" : " or later";
  char *p = dir ? hf_pg_join(dir, name) : installed(name, major, exact);
  int have = 0, rc = 0;
  if (dir && !p) return hf_pg_no_memory(host);
  if (dir && access(p, X_OK) != 0)
    rc = holdfast_fail(host, HOLDFAST_E_CONFIG, "bin-dir = %s: there is no program %s: %s", dir, name, strerror(errno));
  if (!p) p = on_path(name);
  if (!p)
    return holdfast_fail(host, HOLDFAST_E_CONFIG, "there is no %s of PostgreSQL %d%s below /usr/lib/postgresql or on PATH: install it, or set bin-dir",
                         name, major, orlater);
  if (rc == 0) rc = ask(host, p, &have);
  if (rc == 0 && (have < major || (exact && have != major)))
    rc = holdfast_fail(host, HOLDFAST_E_CONFIG, "%s is of PostgreSQL %d, and the server or the data of %d: %s %d%s is needed (bin-dir says where it is)", p,
                       have, major, name, major, orlater);
  if (rc < 0) {
    free(p);
    return rc;
  }
  *path = p;
  if (found) *found = have;
  return 0;
}

int hf_pg_env_make(const struct holdfast_host *host, const char *password, struct hf_pg_env *env) {
  *env = (struct hf_pg_env){.list = {"LC_ALL=C", "LANGUAGE", "PGOPTIONS"}};
  if (!password) return 0;
  env->password = hf_pg_format("PGPASSWORD=%s", password);
  if (!env->password) return hf_pg_no_memory(host);
  env->list[3] = env->password;
  return 0;
}

void hf_pg_env_free(struct hf_pg_env *env) {
  if (env->password) explicit_bzero(env->password, strlen(env->password));
  free(env->password);
  env->password = NULL;
}

/* ---- one run of a program ---- */

int hf_pg_run_start(const struct holdfast_host *host, const char *const *argv, const char *password, int in, int out, struct hf_pg_run *run) {
  struct hf_pg_env env;
  int rc = hf_pg_env_make(host, password, &env);
  if (rc < 0) return rc;
  const char *base = strrchr(argv[0], '/');
  *run = (struct hf_pg_run){.used = true, .host = host, .name = base ? base + 1 : argv[0], .words = hf_pg_words_new(host)};
  rc = run->words < 0 ? run->words : 0;
  const struct hfp_run how = {.argv = argv, .env = env.list, .in = in, .out = out, .err = run->words};
  if (rc == 0) rc = hfp_start(host, &how, &run->child);
  hf_pg_env_free(&env);
  if (rc < 0) hf_pg_run_free(run);
  return rc;
}

int hf_pg_run_end(struct hf_pg_run *run, const char *what) {
  int code = 0;
  int rc = hfp_end(run->child, &code);
  if (rc == 0 && code != 0) rc = hf_pg_run_failed(run, what, code);
  hf_pg_run_free(run);
  return rc;
}

int hf_pg_run_failed(struct hf_pg_run *run, const char *what, int code) {
  char words[700];
  hf_pg_words_get(run->words, words, sizeof words);
  if (code > 128 && !*words)
    return holdfast_fail(run->host, HOLDFAST_E_FAILED, "%s: %s was ended by signal %d", what, run->name, code - 128);
  return holdfast_fail(run->host, hf_pg_words_status(words), "%s: %s%s (exit code %d)", what, *words ? words : run->name,
                       *words ? "" : " said nothing", code);
}

void hf_pg_run_free(struct hf_pg_run *run) {
  hfp_free(run->child);
  if (run->used && run->words >= 0) close(run->words);
  *run = (struct hf_pg_run){0};
}
