/* hooks.c - the admin's commands before and after.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/hooks.h"

#include "base/io.h"
#include "base/text.h"

extern char **environ;

static const char *const names[HF_HOOKS] = {"before", "after", "on-failure", "restore-before", "restore-after"};

static void add(struct hf_list *env, const char *name, const char *value) {
  if (value) hf_list_take(env, hf_asprintf("HOLDFAST_%s=%s", name, value));
}

static void add_number(struct hf_list *env, const char *name, uint64_t value) {
  if (value) hf_list_take(env, hf_asprintf("HOLDFAST_%s=%llu", name, (unsigned long long)value));
}

/* What was inherited under names of ours is left out: a hook of a holdfast that another hook runs. */
static void environment(const struct hf_manifest *m, const struct hf_manifest_source *source, enum hf_hook hook, const struct hf_hook_facts *f, struct hf_list *env) {
  add(env, "HOOK", names[hook]);
  add(env, "HOST", m->host);
  add(env, "MANIFEST", m->file);
  add(env, "SOURCE", source->name);
  add(env, "SOURCE_PLUGIN", source->plugin->head->name);
  add(env, "STATUS", f->status);
  add(env, "ERROR", f->error);
  add(env, "LABEL", f->label);
  add_number(env, "SNAPSHOT", f->snapshot);
  add_number(env, "BYTES", f->bytes);
  add_number(env, "BYTES_READ", f->bytes_read);
  add_number(env, "FILES", f->files);
  for (char **e = environ; *e; e++) {
    if (strncmp(*e, "HOLDFAST_", 9) != 0 || strncmp(*e, "HOLDFAST_PLUGIN_PATH=", 21) == 0) hf_list_add(env, *e);
  }
}

/* What a command printed, a line each. */
static void log_output(const char *source, const char *hook, const struct hf_buf *b, enum hf_log_level level) {
  for (const char *p = b->data, *end = p ? p + b->len : p; p < end;) {
    const char *nl = memchr(p, '\n', (size_t)(end - p));
    size_t n = nl ? (size_t)(nl - p) : (size_t)(end - p);
    HF_CLEANUP(hf_freep) char *line = hf_printable(p, n);
    if (n) hf_log(level, "source %s: %s: %s", source, hook, line);
    p += n + 1;
  }
}

static int run(const char *line, const struct hf_list *env, const struct hf_manifest_source *source, const char *hook, struct hf_error *err) {
  HF_CLEANUP(hf_list_free) struct hf_list words = HF_LIST_INIT;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF_INIT;
  HF_CLEANUP(hf_buf_free) struct hf_buf complaint = HF_BUF_INIT;
  int code = 0;
  int r = hf_split_words(line, &words, err);
  if (r < 0) return hf_prefix(err, "%s", hook);
  /* execve wants a NULL behind the last of each. */
  char **argv = hf_allocn(words.n + 1, sizeof *argv), **envp = hf_allocn(env->n + 1, sizeof *envp);
  memcpy(argv, words.v, words.n * sizeof *argv);
  memcpy(envp, env->v, env->n * sizeof *envp);
  r = hf_run(argv, envp, NULL, 0, &out, &complaint, (unsigned)source->hook_timeout, &code, err);
  free(argv);
  free(envp);
  log_output(source->name, hook, &out, HF_LOG_INFO);
  log_output(source->name, hook, &complaint, HF_LOG_NOTICE);
  if (r < 0) return hf_prefix(err, "%s", hook);
  if (code != 0) {
    HF_CLEANUP(hf_freep) char *why = hf_last_line(&complaint);
    return hf_fail(err, HOLDFAST_E_FAILED, "%s: the command %s ended with exit code %d%s%s", hook, words.v[0], code, *why ? ": " : "", why);
  }
  return 0;
}

int hf_hooks_run(const struct hf_manifest *m, const struct hf_manifest_source *source, enum hf_hook hook, const struct hf_hook_facts *facts, struct hf_error *err) {
  const struct hf_list *lines = &source->hooks[hook];
  HF_CLEANUP(hf_list_free) struct hf_list env = HF_LIST_INIT;
  int r = 0;
  if (lines->n == 0) return 0;
  environment(m, source, hook, facts, &env);
  for (size_t i = 0; i < lines->n && r == 0; i++) {
    hf_log(HF_LOG_INFO, "source %s: %s: %s", source->name, names[hook], lines->v[i]);
    r = run(lines->v[i], &env, source, names[hook], err);
  }
  return r;
}
