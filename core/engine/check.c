/* check.c - preflight: recipients, keys, state folder, tools, sources, targets.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/check.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/text.h"
#include "notify/channel.h"
#include "plugin/worker.h"

#define SOON_DAYS 30              /* a key that expires within is worth a warning */
#define STATE_LEAST (64 * HF_MIB) /* less free space than this: runs will fail */
#define STATE_LITTLE (512 * HF_MIB)
#define TARGET_LITTLE (1024 * HF_MIB)

struct check {
  struct hf_session *s;
  const struct hf_check_options *o;
  struct hf_check_result *out;
};

static void say(struct check *c, enum hf_verdict v, const char *what, const char *name, const char *fmt, ...) HF_PRINTF(5, 6);

static void say(struct check *c, enum hf_verdict v, const char *what, const char *name, const char *fmt, ...) {
  char text[1200];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  if (v == HF_VERDICT_OK)
    c->out->ok++;
  else if (v == HF_VERDICT_WARNING)
    c->out->warnings++;
  else
    c->out->failed++;
  c->o->verdict(c->o->ctx, v, what, name, text);
}

/* ---- keys ---- */

/* The keyring that counts: the host's; before init the caller's, which init takes keys from. *own gets what is to be closed. */
static struct hf_gpg *keyring(struct hf_session *s, struct hf_gpg **own, struct hf_error *err) {
  if (s->host && s->host_key[0]) return s->host;
  if (hf_gpg_open(NULL, false, own, err) < 0) return NULL;
  return *own;
}

static void check_recipient(struct check *c, struct hf_gpg *g, const char *spec) {
  char fpr[HF_FPR_LEN + 1], when[HF_TIME_LEN];
  struct hf_error e = {0};
  int64_t expires = 0;
  HF_CLEANUP(hf_freep) char *uid = NULL;
  bool before_init = g != c->s->host;
  int r = hf_gpg_find(g, spec, fpr, &e);
  if (r == HOLDFAST_E_NOT_FOUND && before_init && c->s->manifest->recipient_keys.n > 0) {
    say(c, HF_VERDICT_WARNING, "recipient", spec,
        "its public key is not in your keyring; holdfast init takes it from recipient-key");
    return;
  }
  if (r == HOLDFAST_E_NOT_FOUND) {
    say(c, HF_VERDICT_FAILED, "recipient", spec, "%s",
        before_init ? "no public key found: import it into your GnuPG keyring or name its file as recipient-key"
                    : "its public key is not in the host's keyring: run holdfast init");
    return;
  }
  if (r == 0) r = hf_gpg_check_recipient(g, fpr, &expires, &uid, &e);
  if (r == 0 && strcmp(fpr, c->s->host_key) == 0)
    r = hf_fail(&e, HOLDFAST_E_CONFIG, "is the host's own key: data must be encrypted to a key that the host does not hold");
  if (r < 0) {
    say(c, HF_VERDICT_FAILED, "recipient", spec, "%s", e.msg);
    return;
  }
  if (expires > 0) hf_format_time(when, expires);
  bool soon = expires > 0 && expires - hf_wall_clock() < SOON_DAYS * 86400;
  say(c, soon ? HF_VERDICT_WARNING : HF_VERDICT_OK, "recipient", spec, "%s (%s), %s%s%s", fpr, uid ? uid : "no user id",
      expires > 0 ? "expires " : "does not expire", expires > 0 ? when : "", soon ? ": after that there is no backup" : "");
}

static void add_once(struct hf_list *l, const struct hf_list *from) {
  for (size_t i = 0; i < from->n; i++) {
    if (!hf_list_has(l, from->v[i])) hf_list_add(l, from->v[i]);
  }
}

static void check_recipients(struct check *c) {
  const struct hf_manifest *m = c->s->manifest;
  struct hf_list specs = HF_LIST_INIT;
  struct hf_gpg *own = NULL;
  struct hf_error e = {0};
  add_once(&specs, &m->recipients);
  for (size_t i = 0; i < m->n_sources; i++) add_once(&specs, &m->sources[i].recipients);
  struct hf_gpg *g = keyring(c->s, &own, &e);
  if (!g) say(c, HF_VERDICT_FAILED, "recipient", "gpg", "%s", e.msg);
  for (size_t i = 0; g && i < specs.n; i++) check_recipient(c, g, specs.v[i]);
  if (m->recipients.n == 1)
    say(c, HF_VERDICT_WARNING, "recipient", "number", "there is one recipient only: what is encrypted to one lost key is lost");
  hf_gpg_close(own);
  hf_list_free(&specs);
}

static void check_host_key(struct check *c) {
  const struct hf_session *s = c->s;
  bool not_ours = hf_state_is_temporary(s->state) && access(s->manifest->state, F_OK) == 0;
  if (!s->host_key[0])
    say(c, HF_VERDICT_FAILED, "host key", s->manifest->host, "%s",
        not_ours ? "the state folder is not yours: run holdfast check as the account that backs up"
                 : "there is none yet: run holdfast init");
  else if (!s->host)
    say(c, HF_VERDICT_FAILED, "host key", s->host_key, "its folder %s/gnupg cannot be read", hf_state_dir(s->state));
  else if (!hf_gpg_has_secret(s->host, s->host_key))
    say(c, HF_VERDICT_FAILED, "host key", s->host_key, "its secret half is not in %s/gnupg: records cannot be signed",
        hf_state_dir(s->state));
  else
    say(c, HF_VERDICT_OK, "host key", s->host_key, "can sign");
}

/* ---- this machine ---- */

static void check_state(struct check *c) {
  const char *dir = c->s->manifest->state;
  struct stat st;
  struct statvfs fs;
  char size[16];
  if (stat(dir, &st) < 0) {
    bool none = errno == ENOENT;
    say(c, HF_VERDICT_FAILED, "state", dir, "%s", none ? "is not there: run holdfast init" : strerror(errno));
    return;
  }
  if (!S_ISDIR(st.st_mode))
    say(c, HF_VERDICT_FAILED, "state", dir, "is not a folder");
  else if (st.st_uid != geteuid())
    say(c, HF_VERDICT_FAILED, "state", dir, "belongs to user %u, and this is user %u", (unsigned)st.st_uid, (unsigned)geteuid());
  else if (st.st_mode & 077)
    say(c, st.st_mode & 022 ? HF_VERDICT_FAILED : HF_VERDICT_WARNING, "state", dir,
        "is open to others (mode %04o): it holds the host's keys; chmod 0700 it", (unsigned)(st.st_mode & 07777));
  else if (access(dir, W_OK | X_OK) < 0)
    say(c, HF_VERDICT_FAILED, "state", dir, "cannot be written: %s", strerror(errno));
  else if (statvfs(dir, &fs) < 0)
    say(c, HF_VERDICT_WARNING, "state", dir, "its free space is not known: %s", strerror(errno));
  else {
    uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;
    hf_format_size(size, left);
    say(c,
        left < STATE_LEAST    ? HF_VERDICT_FAILED
        : left < STATE_LITTLE ? HF_VERDICT_WARNING
                              : HF_VERDICT_OK,
        "state", dir, "%s free", size);
  }
}

/* What is in the state folder is for its owner alone: keys that sign, and names of files. */
static void check_private(struct check *c) {
  static const char *const names[] = {"gnupg", "gnupg/private-keys-v1.d", "recipes", HF_STATE_DB};
  for (size_t i = 0; i < HF_NELEM(names); i++) {
    HF_CLEANUP(hf_freep) char *path = hf_path_join(c->s->manifest->state, names[i]);
    struct stat st;
    if (stat(path, &st) < 0) continue; /* what has to be there is missed elsewhere */
    if (st.st_uid != geteuid())
      say(c, HF_VERDICT_FAILED, "state", path, "belongs to user %u, and this is user %u: chown it", (unsigned)st.st_uid, (unsigned)geteuid());
    else if (st.st_mode & 077)
      say(c, HF_VERDICT_FAILED, "state", path, "is open to others (mode %04o); chmod go= it", (unsigned)(st.st_mode & 07777));
  }
}

/* gpg works already, or the session would not be open. The others are what recover.sh needs, here or where it will be run. */
static void check_tools(struct check *c) {
  static const char *const tools[] = {"gpg", "zstd", "tar", "sha256sum", "awk"};
  HF_CLEANUP(hf_buf_free) struct hf_buf missing = HF_BUF_INIT;
  for (size_t i = 0; i < HF_NELEM(tools); i++) {
    if (!hf_is_on_path(tools[i])) hf_buf_addf(&missing, "%s%s", missing.len ? ", " : "", tools[i]);
  }
  if (missing.len)
    say(c, HF_VERDICT_WARNING, "tool", missing.data, "not on PATH: recover.sh could not be used on this machine");
  else
    say(c, HF_VERDICT_OK, "tool", "recover.sh", "all that it needs is on PATH");
}

/* ---- sources ---- */

static void check_source(struct check *c, const struct hf_manifest_source *m) {
  struct hf_worker_job job = {.plugin = m->plugin,
                              .settings = m->settings,
                              .instance = m->name,
                              .user = m->user,
                              .timeout = m->timeout,
                              .cancel = &hf_cancel};
  HF_CLEANUP(hf_freep) char *message = NULL;
  struct hf_error e = {0};
  if (!m->enabled) {
    say(c, HF_VERDICT_OK, "source", m->name, "switched off (enabled = no)");
    return;
  }
  int r = hf_worker_probe(&job, &message, &e);
  if (r == HOLDFAST_E_UNSUPPORTED)
    say(c, HF_VERDICT_OK, "source", m->name, "plugin %s is loaded; it cannot tell beforehand whether it will work",
        m->plugin->head->name);
  else if (r < 0)
    say(c, HF_VERDICT_FAILED, "source", m->name, "%s", e.msg);
  else
    say(c, HF_VERDICT_OK, "source", m->name, "%s", message && *message ? message : "ready");
}

/* A command that is not there is found out at night, when the service it should stop runs on. */
static void check_hooks(struct check *c, const struct hf_manifest_source *m) {
  struct hf_list seen = HF_LIST_INIT;
  for (size_t h = 0; h < HF_HOOKS; h++) {
    for (size_t i = 0; i < m->hooks[h].n; i++) {
      HF_CLEANUP(hf_list_free) struct hf_list words = HF_LIST_INIT;
      if (hf_split_words(m->hooks[h].v[i], &words, NULL) < 0 || hf_list_has(&seen, words.v[0])) continue; /* the manifest was refused if it were wrong */
      hf_list_add(&seen, words.v[0]);
      bool there = strchr(words.v[0], '/') ? access(words.v[0], X_OK) == 0 : hf_is_on_path(words.v[0]);
      if (there)
        say(c, HF_VERDICT_OK, "hook", m->name, "%s can be run", words.v[0]);
      else
        say(c, HF_VERDICT_FAILED, "hook", m->name, "the command %s %s", words.v[0],
            strchr(words.v[0], '/') ? "is not there, or cannot be executed" : "is not on PATH");
    }
  }
  hf_list_free(&seen);
}

/* ---- targets ---- */

/* Open them one by one: the session was opened without. Those that cannot be opened are left out from here on. */
static void open_targets(struct check *c) {
  struct hf_session *s = c->s;
  const struct hf_manifest *m = s->manifest;
  for (size_t i = 0; i < m->n_targets; i++) {
    struct hf_error e = {0};
    if (!m->targets[i].enabled) {
      say(c, HF_VERDICT_OK, "target", m->targets[i].name, "switched off (enabled = no)");
      continue;
    }
    bool away = false;
    if (hf_session_add_target(s, &m->targets[i], false, false, &away, &e) == 0) continue;
    say(c, away ? HF_VERDICT_WARNING : HF_VERDICT_FAILED, "target", m->targets[i].name, "%s%s", hf_target_message(m->targets[i].name, e.msg), away ? "; it is removable, and would be left out" : "");
  }
}

static int ignore(void *ctx HF_UNUSED, const char *key HF_UNUSED, uint64_t size HF_UNUSED) { return 0; }

/* Not on a machine that only reads, and not where there is no repository yet. */
static bool may_write(const struct check *c) { return !c->o->no_write && c->s->host && c->s->host_key[0] && !hf_state_is_temporary(c->s->state); }

/* Are there rules by which something is to be deleted there? */
static bool keeps(const struct check *c, const struct hf_target *t) {
  const struct hf_manifest_target *m = hf_manifest_find_target(c->s->manifest, hf_target_name(t));
  return m && m->keep.any;
}

/* False when the target cannot be written to. *works: what it can. */
static bool try_writing(struct check *c, size_t i, const char **works) {
  struct hf_target *t = c->s->targets[i];
  struct hf_error e = {0};
  bool written = false;
  const char *twin = NULL;
  int r = hf_check_write(c->s->targets, c->s->n_targets, i, &written, &twin, &e);
  if (twin) say(c, HF_VERDICT_FAILED, "target", hf_target_name(t), "is the same place as target %s: there is one copy less than it seems, and nothing is pruned", twin);
  if (r == 0) {
    *works = "an object was stored, read back, listed and deleted";
    return true;
  }
  *works = "an object was stored, read back and listed";
  if (!written)
    say(c, HF_VERDICT_FAILED, "target", hf_target_name(t), "%s", e.msg);
  else
    say(c, keeps(c, t) ? HF_VERDICT_FAILED : HF_VERDICT_WARNING, "target", hf_target_name(t), "nothing can be deleted there: backups work, retention does not%s, and the test object stays: %s",
        keeps(c, t) ? ", which the manifest asks for" : "", e.msg);
  return written;
}

static void check_target(struct check *c, size_t i, bool chain) {
  struct hf_target *t = c->s->targets[i];
  const struct hf_target_chain *h = &c->s->chains[i];
  const char *name = hf_target_name(t);
  struct hf_error e = {0};
  uint64_t left = 0, total = 0;
  if (chain ? h->unreadable : hf_target_list(t, "records/", ignore, NULL, &e) < 0) {
    say(c, HF_VERDICT_FAILED, "target", name, "%s", e.code ? e.msg : "its records cannot be listed");
    return;
  }
  if (chain && h->missing > 0) {
    say(c, HF_VERDICT_WARNING, "target", name,
        "lacks %llu of %llu records: it is not level with the others; the next backup or holdfast sync brings it level",
        (unsigned long long)h->missing, (unsigned long long)c->s->head);
  }
  const char *works = "opens and lists";
  if (may_write(c) && !try_writing(c, i, &works)) return;
  int r = hf_target_space(t, &left, &total, &e);
  if (r == HOLDFAST_E_UNSUPPORTED) {
    say(c, HF_VERDICT_OK, "target", name, "%s", works);
  } else if (r < 0) {
    say(c, HF_VERDICT_WARNING, "target", name, "%s; its free space is not known: %s", works, e.msg);
  } else {
    char a[16], b[16];
    hf_format_size(a, left);
    hf_format_size(b, total);
    say(c,
        left == 0              ? HF_VERDICT_FAILED
        : left < TARGET_LITTLE ? HF_VERDICT_WARNING
                               : HF_VERDICT_OK,
        "target", name, "%s; %s free%s%s", works, a, total ? " of " : "", total ? b : "");
  }
}

static void check_repository(struct check *c, bool *chain) {
  struct hf_session *s = c->s;
  struct hf_error e = {0};
  *chain = false;
  if (s->n_targets == 0 || !s->repo_id[0] || !s->host) return;
  int r = hf_session_chain(s, &e);
  *chain = r == 0;
  if (r < 0) say(c, HF_VERDICT_FAILED, "repository", s->repo_id, "%s", e.msg);
  for (size_t i = 0; i < s->n_issues; i++) {
    const struct hf_issue *is = &s->issues[i];
    if (!is->tamper && is->target) continue; /* said of the target */
    HF_CLEANUP(hf_freep) char *text = hf_issue_text(is);
    say(c, is->tamper ? HF_VERDICT_FAILED : HF_VERDICT_WARNING, "repository", s->repo_id, "%s", text);
  }
  if (r == 0 && s->n_issues == 0)
    say(c, HF_VERDICT_OK, "repository", s->repo_id, "%llu records, each following the one before", (unsigned long long)s->head);
}

/* Of two witnesses none is from the future: the newest record, and the state as this machine wrote it last. Records in a wrong order
 * mislead @TIME, retention and status; a clock that is off lets keys expire and services refuse. */
static void check_clock(struct check *c, bool chain) {
  struct hf_session *s = c->s;
  struct hf_record *rec = NULL;
  struct stat st;
  char now_text[HF_TIME_LEN], then[HF_TIME_LEN], ahead[24];
  int64_t now = hf_wall_clock();
  hf_format_time(now_text, now);
  HF_CLEANUP(hf_freep) char *db = hf_path_join(s->manifest->state, HF_STATE_DB);
  if (stat(db, &st) == 0 && st.st_mtime > now + HF_CLOCKS_DIFFER) {
    hf_format_time(then, st.st_mtime);
    hf_format_duration(ahead, (double)(st.st_mtime - now));
    say(c, HF_VERDICT_FAILED, "clock", now_text, "%s was written at %s, %s later: the clock was set back; set it right", db, then, ahead);
    return;
  }
  if (chain && s->head && hf_session_record(s, s->head, &rec, NULL, NULL) == 0 && rec->time > now + HF_CLOCKS_DIFFER) {
    hf_format_time(then, rec->time);
    hf_format_duration(ahead, (double)(rec->time - now));
    say(c, HF_VERDICT_FAILED, "clock", now_text,
        "the newest record (%llu) is of %s, %s later: the clock is slow, or was fast then; set it right",
        (unsigned long long)s->head, then, ahead);
  } else {
    struct timex t = {0};
    bool known = adjtimex(&t) >= 0;
    say(c, HF_VERDICT_OK, "clock", now_text, "not before what was written last%s",
        !known                    ? ""
        : t.status & STA_UNSYNC ? "; the kernel does not know of a time service"
                                : "; kept by a time service");
  }
  hf_record_free(rec);
}

/* ---- channels ---- */

static void check_channel(struct check *c, const struct hf_manifest_notify *n) {
  HF_CLEANUP(hf_freep) char *what = NULL;
  struct hf_error e = {0};
  if (!n->enabled)
    say(c, HF_VERDICT_OK, "notify", n->name, "switched off (enabled = no)");
  else if (hf_channel_probe(n, &what, &e) < 0)
    say(c, HF_VERDICT_FAILED, "notify", n->name, "%s", e.msg);
  else
    say(c, HF_VERDICT_OK, "notify", n->name, "%s; nothing was sent", what);
}

int hf_check(struct hf_session *s, const struct hf_check_options *o, struct hf_check_result *out, struct hf_error *err) {
  struct check c = {s, o, out};
  const struct hf_manifest *m = s->manifest;
  bool chain = false;
  memset(out, 0, sizeof *out);
  say(&c, HF_VERDICT_OK, "manifest", m->file, "host %s, %zu source%s, %zu target%s", m->host, m->n_sources,
      m->n_sources == 1 ? "" : "s", m->n_targets, m->n_targets == 1 ? "" : "s");
  check_recipients(&c);
  check_host_key(&c);
  check_state(&c);
  check_private(&c);
  check_tools(&c);
  for (size_t i = 0; i < m->n_sources && !hf_cancel; i++) {
    check_source(&c, &m->sources[i]);
    if (m->sources[i].enabled) check_hooks(&c, &m->sources[i]);
  }
  if (!hf_cancel) open_targets(&c);
  if (!hf_cancel) check_repository(&c, &chain);
  if (!hf_cancel) check_clock(&c, chain);
  for (size_t i = 0; i < s->n_targets && !hf_cancel; i++) check_target(&c, i, chain);
  for (size_t i = 0; i < m->n_notify && !hf_cancel; i++) check_channel(&c, &m->notify[i]);
  return hf_cancel ? hf_fail(err, HOLDFAST_E_CANCELED, "stopped") : 0;
}
