/* complete.c - what may stand at a place of the command line, read off the table of commands and its help texts, and off the manifest.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cmd/complete.h"

#include <ctype.h>

#include "base/text.h"

#define SNAPSHOTS_MAX 50u /* newest ones that are offered */

/* One option, as its line of help has it: "  -n, --dry-run  help", "      --to DIR  help", "      --read[=PERCENT]  help". */
struct option_line {
  char letter;     /* 0: none */
  char name[32];   /* without dashes, "" for none */
  char value[32];  /* what its value is called, "" for none */
  bool may_follow; /* the value may be the next word */
  char help[120];
};

struct completing {
  struct hf_completion *out;
  const char *manifest;
  const char *start;   /* what every candidate begins with */
  const char *word;    /* what the typed part of the value is; start without what stands before it */
  const char *options; /* of the command and of all commands */
};

static void take_word(char *out, size_t size, const char **p, const char *end_at) {
  size_t n = strcspn(*p, end_at);
  snprintf(out, size, "%.*s", (int)n, *p);
  *p += n;
}

/* The option of the line at *p, which moves to the next line. False for a line that continues another. */
static bool parse_option(const char **p, struct option_line *o) {
  const char *s = *p + strspn(*p, " ");
  const char *end = strchrnul(*p, '\n');
  *p = *end ? end + 1 : end;
  *o = (struct option_line){0};
  if (s >= end || *s != '-') return false;
  if (s[1] != '-') {
    o->letter = s[1];
    s += 2;
    if (strncmp(s, ", ", 2) == 0) s += 2;
  }
  if (strncmp(s, "--", 2) == 0) {
    s += 2;
    take_word(o->name, sizeof o->name, &s, " [\n");
  }
  if (*s == '[') {
    s += 2;
    take_word(o->value, sizeof o->value, &s, "]\n");
    if (*s == ']') s++;
  } else if (*s == ' ' && isupper((unsigned char)s[1])) {
    s++;
    take_word(o->value, sizeof o->value, &s, " \n");
    o->may_follow = true;
  }
  s += strspn(s, " ");
  if (s < end) snprintf(o->help, sizeof o->help, "%.*s", (int)(end - s), s);
  return true;
}

/* The option that a word is: "-n", "--dry-run", "--to=x". */
static bool find_option(const char *options, const char *word, struct option_line *o) {
  for (const char *p = options; *p;) {
    if (!parse_option(&p, o)) continue;
    size_t n = strlen(o->name);
    if (word[1] != '-' && o->letter == word[1] && !word[2]) return true;
    if (n && word[1] == '-' && strncmp(word + 2, o->name, n) == 0 && (!word[2 + n] || word[2 + n] == '=')) return true;
  }
  return false;
}

static void offer(const struct completing *c, const char *candidate, const char *help) {
  HF_CLEANUP(hf_freep) char *whole = hf_asprintf("%.*s%s", (int)(c->word - c->start), c->start, candidate);
  if (strncmp(whole, c->start, strlen(c->start)) == 0) c->out->take(c->out->ctx, whole, help);
}

static void offer_options(const struct completing *c) {
  struct option_line o;
  for (const char *p = c->options; *p;) {
    if (!parse_option(&p, &o)) continue;
    char name[40];
    if (o.letter) {
      snprintf(name, sizeof name, "-%c", o.letter);
      offer(c, name, o.help);
    }
    if (o.name[0]) {
      snprintf(name, sizeof name, "--%s", o.name);
      offer(c, name, o.help);
    }
  }
}

static void offer_commands(const struct completing *c) {
  for (const struct hf_command *k = hf_commands; k->name; k++) offer(c, k->name, k->help);
  offer(c, "help", "print help");
}

/* From the host's own memory, where this account may read it. */
static void offer_snapshots(const struct completing *c, const char *dir) {
  struct hf_state *state = NULL;
  unsigned shown = 0;
  offer(c, "latest", "the newest snapshot");
  if (hf_state_open(dir, false, &state, NULL) < 0) return;
  for (uint64_t seq = hf_state_record_max(state); seq > 0 && shown < SNAPSHOTS_MAX; seq--) {
    HF_CLEANUP(hf_buf_free) struct hf_buf json = HF_BUF_INIT;
    struct hf_record *rec = NULL;
    if (hf_state_record_get(state, seq, NULL, &json, NULL) != 1 || hf_record_parse(json.data, json.len, &rec, NULL) < 0) continue;
    if (rec->type == HF_RECORD_SNAPSHOT) {
      char number[24], when[HF_TIME_LEN];
      snprintf(number, sizeof number, "%llu", (unsigned long long)seq);
      hf_format_time(when, rec->time);
      HF_CLEANUP(hf_freep) char *label = hf_printable(rec->label ? rec->label : "", rec->label ? strlen(rec->label) : 0);
      HF_CLEANUP(hf_freep) char *help = hf_asprintf("%s%s%s", when, *label ? ", " : "", label);
      offer(c, number, help);
      shown++;
    }
    hf_record_free(rec);
  }
  hf_state_close(state);
}

/* A value, by what usage and help call it. The manifest is only read, as text: no plugin is loaded, no secret fetched. */
static void offer_values(const struct completing *c, const char *what) {
  bool snapshot = strcmp(what, "SNAPSHOT") == 0, source = strcmp(what, "SOURCE") == 0, target = strcmp(what, "TARGET") == 0;
  if (strcmp(what, "FILE") == 0) c->out->take(c->out->ctx, ":files", NULL);
  if (strcmp(what, "DIR") == 0) c->out->take(c->out->ctx, ":folders", NULL);
  if (strcmp(what, "SHELL") == 0) {
    for (const char *const *shell = hf_completion_shells; *shell; shell++) offer(c, *shell, NULL);
  }
  if (!snapshot && !source && !target) return;
  HF_CLEANUP(hf_list_free) struct hf_list sources = HF_LIST_INIT, targets = HF_LIST_INIT;
  HF_CLEANUP(hf_freep) char *state = NULL;
  bool read = hf_manifest_names(c->manifest, &sources, &targets, &state, NULL) == 0;
  if (snapshot) offer_snapshots(c, read ? state : "");
  const struct hf_list *names = source ? &sources : &targets;
  for (size_t i = 0; !snapshot && i < names->n; i++) offer(c, names->v[i], NULL);
}

/* What the usage calls the nth operand (from 0), "" for none: words in capitals that are not the value of an option; the last one may be repeated ("..."). */
static void operand_name(const char *usage, size_t nth, char *out, size_t size) {
  bool value = false, repeated = false;
  char word[40];
  *out = 0;
  for (const char *p = usage + strspn(usage, " "); *p; p += strspn(p, " ")) {
    take_word(word, sizeof word, &p, " ");
    const char *s = word + strspn(word, "[(");
    if (*s == '-') {
      value = !strpbrk(s, "])=");
    } else if (isupper((unsigned char)*s) && !value) {
      snprintf(out, size, "%.*s", (int)strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), s);
      repeated = strstr(s, "...") != NULL;
      if (nth-- == 0) return;
    } else {
      value = false;
    }
  }
  if (!repeated) *out = 0;
}

void hf_complete(const char *manifest, char *const *words, size_t n, struct hf_completion *out) {
  const struct hf_command *cmd = NULL;
  struct completing c = {.out = out, .manifest = manifest, .start = n ? words[n - 1] : "", .options = hf_args_shared_help()};
  HF_CLEANUP(hf_freep) char *both = NULL;
  struct option_line o = {0};
  char name[40];
  size_t operands = 0;
  bool help = false, wants_value = false, only_operands = false;
  c.word = c.start;
  for (size_t i = 0; i + 1 < n; i++) {
    const char *w = words[i];
    if (wants_value) {
      if (strcmp(w, "=") == 0) continue; /* bash makes a word of it */
      if (strcmp(o.name, "config") == 0) c.manifest = w;
      wants_value = false;
    } else if (!only_operands && strcmp(w, "--") == 0) {
      only_operands = true;
    } else if (!only_operands && w[0] == '-' && w[1]) {
      bool known = find_option(c.options, w, &o);
      const char *eq = strchr(w, '=');
      wants_value = known && o.may_follow && !eq;
      if (known && eq && strcmp(o.name, "config") == 0) c.manifest = eq + 1;
    } else if (!cmd && !help) {
      help = strcmp(w, "help") == 0;
      cmd = help ? NULL : hf_command_find(w);
      if (!cmd && !help) return;
      if (cmd) c.options = both = hf_asprintf("%s%s", cmd->options, c.options);
    } else {
      operands++;
    }
  }
  const char *eq = c.start[0] == '-' && c.start[1] == '-' && !only_operands ? strchr(c.start, '=') : NULL;
  if (wants_value) {
    if (strcmp(c.start, "=") == 0) c.start = c.word = "";
    offer_values(&c, o.value);
  } else if (eq) {
    c.word = eq + 1;
    if (find_option(c.options, c.start, &o)) offer_values(&c, o.value);
  } else if (c.start[0] == '-' && !only_operands) {
    offer_options(&c);
  } else if (!cmd) {
    if (operands == 0) offer_commands(&c);
  } else {
    operand_name(cmd->usage, operands, name, sizeof name);
    offer_values(&c, name);
  }
}
