/* options.c - the settings, checked and made ready.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIXED_MIN 4096u
#define FIXED_MAX (4u * 1024 * 1024)
#define LONGEST (10LL * 365 * 86400) /* seconds: more is as good as no limit, and sums of it must not overflow */

/* "0", or several with commas or blanks between them, into o->success. */
static bool take_codes(struct hf_exec_options *o, const char *text) {
  size_t found = 0;
  for (const char *p = text; *p;) {
    unsigned code = 0;
    size_t digits = strspn(p, "0123456789");
    if (digits == 0 || digits > 3) return false;
    for (size_t i = 0; i < digits; i++) code = code * 10 + (unsigned)(p[i] - '0');
    if (code > 255) return false;
    o->success[code] = true;
    found++;
    p += digits;
    size_t gap = strspn(p, ", \t");
    if (*p && gap == 0) return false;
    p += gap;
  }
  return found > 0;
}

static int check_codes(struct hf_exec_options *o) {
  const struct holdfast_value *v = &o->values[HF_EXEC_SUCCESS_EXIT];
  for (uint32_t i = 0; i < v->count; i++)
    if (!take_codes(o, v->strings[i]))
      return holdfast_fail(o->host, HOLDFAST_E_CONFIG, "success-exit = %s: write an exit code, a number from 0 to 255", v->strings[i]);
  return HOLDFAST_OK;
}

static int check_environment(struct hf_exec_options *o) {
  const struct holdfast_value *v = &o->values[HF_EXEC_ENVIRONMENT], *file = &o->values[HF_EXEC_ENVIRONMENT_FILE];
  const struct holdfast_value *secret = &o->values[HF_EXEC_SECRET], *variable = &o->values[HF_EXEC_SECRET_VARIABLE];
  int rc = file->count ? hf_exec_env_file(&o->env, o->host, file->strings[0]) : HOLDFAST_OK;
  for (uint32_t i = 0; rc == HOLDFAST_OK && i < v->count; i++) {
    const char *text = v->strings[i], *eq = strchr(text, '=');
    if (!eq || !hf_exec_env_name(text, (size_t)(eq - text))) /* what is wrong is not shown: it may be a password in the wrong place */
      return holdfast_fail(o->host, HOLDFAST_E_CONFIG,
                           "environment: number %u is not NAME=VALUE, the name of letters, digits and '_'", i + 1);
    if (!hf_exec_env_set(&o->env, text, (size_t)(eq - text), eq + 1, strlen(eq + 1)))
      return holdfast_fail(o->host, HOLDFAST_E_FAILED, "out of memory");
  }
  if (rc != HOLDFAST_OK) return rc;
  if (secret->count && !variable->count)
    return holdfast_fail(o->host, HOLDFAST_E_CONFIG, "secret is given without secret-variable: name the environment variable that gets it");
  if (!variable->count) return HOLDFAST_OK;
  const char *name = variable->strings[0];
  if (!secret->count)
    return holdfast_fail(o->host, HOLDFAST_E_CONFIG, "secret-variable = %s: there is no secret to put in it; give secret-file or another form of it", name);
  if (!hf_exec_env_name(name, strlen(name)))
    return holdfast_fail(o->host, HOLDFAST_E_CONFIG, "secret-variable = %s: a name has letters, digits and '_', no digit first", name);
  o->secret = secret->strings[0];
  if (!hf_exec_env_set(&o->env, name, strlen(name), o->secret, strlen(o->secret)))
    return holdfast_fail(o->host, HOLDFAST_E_FAILED, "out of memory");
  return HOLDFAST_OK;
}

bool hf_exec_stream_name(const char *s) {
  size_t n = strlen(s);
  return n > 0 && n <= 255 && s[0] != '.' && s[0] != '-' && strcmp(s, "tree") != 0 &&
         s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")] == '\0';
}

static int check_commands(const struct hf_exec_options *o) {
  for (int i = HF_EXEC_COMMAND; i <= HF_EXEC_VERIFY_COMMAND; i++)
    if (o->shell && o->values[i].count > 1)
      return holdfast_fail(o->host, HOLDFAST_E_CONFIG, "%s: with shell = yes it is one text: put quotes around the whole of it", o->values[i].name);
  return HOLDFAST_OK;
}

static int check(struct hf_exec_options *o) {
  const struct holdfast_value *v = o->values;
  if (!hf_exec_stream_name(o->stream))
    return holdfast_fail(o->host, HOLDFAST_E_CONFIG,
                         "stream = %s: a name has 1 to 255 of A-Z a-z 0-9 . _ - and neither '.' nor '-' first, and is not \"tree\"", o->stream);
  if (o->fixed_chunk != 0 && (o->fixed_chunk < FIXED_MIN || o->fixed_chunk > FIXED_MAX))
    return holdfast_fail(o->host, HOLDFAST_E_CONFIG, "fixed-chunk: from 4K to 4M, or 0");
  if (v[HF_EXEC_TIME_LIMIT].number > LONGEST) return holdfast_fail(o->host, HOLDFAST_E_CONFIG, "time-limit: at most 10y, or 0");
  int rc = check_commands(o);
  if (rc == HOLDFAST_OK) rc = check_codes(o);
  return rc == HOLDFAST_OK ? check_environment(o) : rc;
}

int hf_exec_options_read(const struct holdfast_host *host, const struct holdfast_value *values, struct hf_exec_options *o) {
  *o = (struct hf_exec_options){.host = host,
                                .values = values,
                                .stream = values[HF_EXEC_STREAM].strings[0],
                                .directory = values[HF_EXEC_DIRECTORY].strings[0],
                                .shell = values[HF_EXEC_SHELL].number != 0,
                                .empty_ok = strcmp(values[HF_EXEC_EMPTY].strings[0], "ok") == 0,
                                .log_words = strcmp(values[HF_EXEC_STDERR].strings[0], "log") == 0,
                                .time_limit = values[HF_EXEC_TIME_LIMIT].number,
                                .fixed_chunk = (uint64_t)values[HF_EXEC_FIXED_CHUNK].number};
  int rc = check(o);
  if (rc != HOLDFAST_OK) hf_exec_options_free(o);
  return rc;
}

void hf_exec_options_free(struct hf_exec_options *o) { hf_exec_env_free(&o->env); }

const char **hf_exec_argv(const struct hf_exec_options *o, enum hf_exec_setting which) {
  /* Of a pipe without pipefail only the last part's failure is seen: a dump that broke off would pass for a whole one. */
  static const char *const bash[] = {"bash", "-o", "pipefail", "-c"};
  const struct holdfast_value *v = &o->values[which];
  size_t before = o->shell ? sizeof bash / sizeof *bash : 0;
  const char **argv = calloc(before + v->count + 1, sizeof *argv);
  if (!argv) return NULL;
  for (size_t i = 0; i < before; i++) argv[i] = bash[i];
  for (size_t i = 0; i < v->count; i++) argv[before + i] = v->strings[i];
  return argv;
}

static bool may_run(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool find_program(const struct hf_exec_options *o, const char *program, char *path, size_t cap) {
  const char *dirs = getenv("PATH");
  if (strchr(program, '/')) {
    /* Relative to the folder it will be run in. */
    snprintf(path, cap, "%s%s%s", program[0] == '/' ? "" : o->directory, program[0] == '/' ? "" : "/", program);
    return may_run(path);
  }
  if (!dirs) dirs = "/usr/local/bin:/usr/bin:/bin";
  for (const char *p = dirs, *end; *p; p = *end ? end + 1 : end) {
    end = strchrnul(p, ':');
    snprintf(path, cap, "%.*s/%s", (int)(end - p), p, program);
    if (end > p && may_run(path)) return true;
  }
  return false;
}

int hf_exec_find(const struct hf_exec_options *o, enum hf_exec_setting which, char *path, size_t cap) {
  const char *setting = o->values[which].name, *program = o->shell ? "bash" : o->values[which].strings[0];
  struct stat st;
  if (stat(o->directory, &st) != 0) return holdfast_fail(o->host, HOLDFAST_E_NOT_FOUND, "directory = %s: %s", o->directory, strerror(errno));
  if (!S_ISDIR(st.st_mode)) return holdfast_fail(o->host, HOLDFAST_E_CONFIG, "directory = %s: is not a folder", o->directory);
  if (find_program(o, program, path, cap)) return HOLDFAST_OK;
  if (strchr(program, '/'))
    return holdfast_fail(o->host, HOLDFAST_E_NOT_FOUND, "%s: there is no program %s that this account may run", setting, path);
  return holdfast_fail(o->host, HOLDFAST_E_NOT_FOUND, "%s: there is no program %s on PATH that this account may run%s", setting, program,
                       o->shell ? "; shell = yes needs it" : "");
}

const char *hf_exec_title(const struct hf_exec_options *o, enum hf_exec_setting which, char *text, size_t cap) {
  const struct holdfast_value *v = &o->values[which];
  const char *program = o->shell ? "bash" : v->strings[0], *slash = strrchr(program, '/');
  snprintf(text, cap, "%s (%.100s)", v->name, slash && slash[1] ? slash + 1 : program);
  return text;
}
