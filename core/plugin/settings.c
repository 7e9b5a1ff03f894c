/* settings.c - typed values made from a plugin's table and the text of a manifest.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <limits.h>

#include "base/json.h"
#include "base/text.h"
#include "plugin/internal.h"

/* Where the secret of one row is to be fetched from. */
struct hf_secret_ref {
  enum hf_secret_from from;
  char *arg;
  char *base_dir;
  char *key; /* as written */
};

static const char *const type_names[] = {
    [HOLDFAST_STRING] = "string", [HOLDFAST_PATH] = "path", [HOLDFAST_SIZE] = "size",     [HOLDFAST_DURATION] = "duration",
    [HOLDFAST_BOOL] = "bool",     [HOLDFAST_INT] = "int",   [HOLDFAST_CHOICE] = "choice", [HOLDFAST_SECRET] = "secret",
    [HOLDFAST_COMMAND] = "command"};

const char *hf_setting_type_name(uint32_t type) { return type < HF_NELEM(type_names) ? type_names[type] : NULL; }

size_t hf_edit_distance(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b), row[65];
  if (n > 64 || m > 64) return SIZE_MAX;
  for (size_t j = 0; j <= m; j++) row[j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      size_t replace = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = HF_MIN(replace, HF_MIN(row[j], row[j - 1]) + 1);
    }
  }
  return row[m];
}

bool hf_nearer(const char *word, const char *candidate, size_t *best) {
  size_t d = hf_edit_distance(word, candidate), n = strlen(word);
  if (d > (n >= 8 ? 3u : 2u) || d * 2 >= HF_MAX(n, strlen(candidate)) || d >= *best) return false;
  *best = d;
  return true;
}

/* Is text one of the words of choices ("a|b|c")? */
static bool is_choice(const char *choices, const char *text) {
  size_t n = strlen(text);
  for (const char *p = choices; p;) {
    const char *end = strchrnul(p, '|');
    if ((size_t)(end - p) == n && memcmp(p, text, n) == 0) return true;
    p = *end ? end + 1 : NULL;
  }
  return false;
}

int hf_setting_parse(const struct holdfast_setting *row, const char *text, int64_t *number, struct hf_error *err) {
  uint64_t u = 0;
  int64_t i = 0;
  bool b = false;
  int r = 0;
  *number = 0;
  switch (row->type) {
  case HOLDFAST_STRING:
  case HOLDFAST_SECRET: return 0;
  case HOLDFAST_PATH:
    if (*text == '/') return 0;
    {
      HF_CLEANUP(hf_freep) char *shown = hf_printable(text, strlen(text));
      return hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" is not an absolute path; write it from / on", shown);
    }
  case HOLDFAST_SIZE:
    r = hf_parse_size(text, &u, err);
    if (r == 0 && u > INT64_MAX) r = hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" is too large", text);
    i = (int64_t)u;
    break;
  case HOLDFAST_DURATION: r = hf_parse_duration(text, &i, err); break;
  case HOLDFAST_COMMAND: {
    HF_CLEANUP(hf_list_free) struct hf_list words = HF_LIST_INIT;
    return hf_split_words(text, &words, err);
  }
  case HOLDFAST_BOOL:
    r = hf_parse_bool(text, &b, err);
    i = b;
    break;
  case HOLDFAST_INT:
    r = hf_parse_uint(text, INT64_MAX, &u, err);
    i = (int64_t)u;
    break;
  case HOLDFAST_CHOICE:
    if (!is_choice(row->choices, text)) {
      HF_CLEANUP(hf_freep) char *shown = hf_printable(text, strlen(text));
      HF_CLEANUP(hf_freep) char *all = hf_strdup(row->choices);
      for (char *c = all; *c; c++)
        if (*c == '|') *c = ' ';
      return hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" is not one of: %s", shown, all);
    }
    return 0;
  default: return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "setting type %u is unknown", row->type);
  }
  if (r < 0) {
    if (err) err->code = HOLDFAST_E_CONFIG;
    return HOLDFAST_E_CONFIG;
  }
  *number = i;
  return 0;
}

struct hf_settings *hf_settings_new(const struct holdfast_setting *table) {
  struct hf_settings *s = hf_alloc(sizeof *s);
  s->table = table;
  while (table && table[s->n].name) s->n++;
  s->values = hf_allocn(s->n, sizeof *s->values);
  s->refs = hf_allocn(s->n, sizeof *s->refs);
  for (size_t i = 0; i < s->n; i++) s->values[i].name = table[i].name;
  return s;
}

static void free_secret(char *p) {
  if (p) hf_wipe(p, strlen(p));
  free(p);
}

static void clear_value(const struct holdfast_setting *row, struct holdfast_value *v) {
  char **strings = (char **)v->strings;
  for (uint32_t k = 0; k < v->count; k++)
    if (row->type == HOLDFAST_SECRET)
      free_secret(strings[k]);
    else
      free(strings[k]);
  free(strings);
  v->strings = NULL;
  v->count = 0;
}

void hf_settings_free(struct hf_settings *s) {
  if (!s) return;
  for (size_t i = 0; i < s->n; i++) {
    clear_value(&s->table[i], &s->values[i]);
    free_secret(s->refs[i].arg);
    free(s->refs[i].base_dir);
    free(s->refs[i].key);
  }
  free(s->values);
  free(s->refs);
  free(s);
}

void hf_settings_freep(struct hf_settings **s) { hf_settings_free(*s); }

/* Append one string, which becomes the value's. */
static void add_string(struct holdfast_value *v, char *text) {
  char **strings = hf_realloc((void *)v->strings, (v->count + 1) * sizeof *strings);
  strings[v->count++] = text;
  v->strings = (const char *const *)strings;
}

/* Append what a text of the row's type gives: itself, or the words of a command, which has been checked. */
static void add_text(const struct holdfast_setting *row, struct holdfast_value *v, const char *text) {
  HF_CLEANUP(hf_list_free) struct hf_list words = HF_LIST_INIT;
  if (row->type != HOLDFAST_COMMAND) {
    add_string(v, hf_strdup(text));
  } else if (hf_split_words(text, &words, NULL) == 0) {
    for (size_t i = 0; i < words.n; i++) add_string(v, hf_strdup(words.v[i]));
  }
}

/* The row a key belongs to, -1 if none; *form gets which form of a secret it is. */
static int find_row(const struct hf_settings *s, const char *key, int *form) {
  for (size_t i = 0; i < s->n; i++) {
    *form = s->table[i].type == HOLDFAST_SECRET ? hf_secret_form(s->table[i].name, key) : -(strcmp(s->table[i].name, key) != 0);
    if (*form >= 0) return (int)i;
  }
  return -1;
}

bool hf_settings_knows(const struct hf_settings *s, const char *key) {
  int form;
  return find_row(s, key, &form) >= 0;
}

const char *hf_settings_nearest(const struct hf_settings *s, const char *key) {
  size_t best = SIZE_MAX;
  const char *found = NULL;
  for (size_t i = 0; i < s->n; i++) {
    if (hf_nearer(key, s->table[i].name, &best)) found = s->table[i].name;
    if (s->table[i].type != HOLDFAST_SECRET) continue;
    /* pasword-file is near to password: the forms of a secret are compared without what follows the name */
    HF_CLEANUP(hf_freep) char *base = hf_secret_base(key);
    if (base && hf_nearer(base, s->table[i].name, &best)) found = s->table[i].name;
  }
  return found;
}

int hf_settings_set(struct hf_settings *s, const char *key, const char *text, unsigned line, const char *base_dir,
                    struct hf_error *err) {
  int form, i = find_row(s, key, &form);
  s->bad_line = line;
  if (i < 0) {
    const char *near = hf_settings_nearest(s, key);
    if (near) return hf_fail(err, HOLDFAST_E_CONFIG, "unknown key; did you mean %s?", near);
    return hf_fail(err, HOLDFAST_E_CONFIG, "unknown key");
  }
  const struct holdfast_setting *row = &s->table[i];
  struct holdfast_value *v = &s->values[i];
  bool secret = row->type == HOLDFAST_SECRET;
  if (secret ? s->refs[i].arg != NULL : v->count > 0 && !(row->flags & HOLDFAST_LIST)) {
    if (secret && strcmp(s->refs[i].key, key) != 0)
      return hf_fail(err, HOLDFAST_E_CONFIG, "the secret is given twice: %s stands in line %u; keep one of the two",
                     s->refs[i].key, v->line);
    return hf_fail(err, HOLDFAST_E_CONFIG, "given before in line %u, and can be given once only", v->line);
  }
  if (!*text) return hf_fail(err, HOLDFAST_E_CONFIG, "the value is empty; leave the key out instead");
  int64_t number = 0;
  int r = secret ? hf_secret_check((enum hf_secret_from)form, text, err) : hf_setting_parse(row, text, &number, err);
  if (r < 0) return r;
  if (!v->line) v->line = line;
  if (secret) {
    s->refs[i].from = (enum hf_secret_from)form;
    s->refs[i].arg = hf_strdup(text);
    s->refs[i].base_dir = hf_strdup(base_dir);
    s->refs[i].key = hf_strdup(key);
    if (form == HF_SECRET_TEXT) s->inline_secret = true;
  } else {
    v->number = number;
    add_text(row, v, text);
  }
  s->bad_line = 0;
  return 0;
}

int hf_settings_check(struct hf_settings *s, struct hf_error *err) {
  s->bad_line = 0;
  for (size_t i = 0; i < s->n; i++) {
    const struct holdfast_setting *row = &s->table[i];
    struct holdfast_value *v = &s->values[i];
    if (v->count || s->refs[i].arg) continue;
    if (row->def) {
      int r = hf_setting_parse(row, row->def, &v->number, err);
      if (r < 0) return hf_prefix(err, "%s: the plugin's default", row->name);
      add_text(row, v, row->def);
    } else if (row->flags & HOLDFAST_REQUIRED) {
      if (row->type == HOLDFAST_SECRET)
        return hf_fail(err, HOLDFAST_E_CONFIG, "%s: missing; give one of %s-file, %s-command, %s-env, %s-credential (%s)",
                       row->name, row->name, row->name, row->name, row->name, row->help ? row->help : "a secret");
      return hf_fail(err, HOLDFAST_E_CONFIG, "%s: missing; it has to be given%s%s%s", row->name, row->help ? " (" : "",
                     row->help ? row->help : "", row->help ? ")" : "");
    }
  }
  return 0;
}

int hf_settings_finish(struct hf_settings *s, struct hf_error *err) {
  int r = hf_settings_check(s, err);
  if (r < 0) return r;
  for (size_t i = 0; i < s->n; i++) {
    struct hf_secret_ref *ref = &s->refs[i];
    if (!ref->arg || s->values[i].count) continue;
    char *text = NULL;
    r = hf_secret_fetch(ref->from, ref->arg, ref->base_dir, &text, err);
    if (r < 0) {
      s->bad_line = s->values[i].line;
      return hf_prefix(err, "%s", ref->key);
    }
    add_string(&s->values[i], text);
  }
  return 0;
}

/* ---- to and from JSON: [{"name","line","number","strings":[...]}], a string that is not UTF-8 as {"hex": "..."} ---- */

json_t *hf_settings_to_json(const struct hf_settings *s) {
  json_t *all = json_array();
  for (size_t i = 0; i < s->n; i++) {
    const struct holdfast_value *v = &s->values[i];
    json_t *strings = json_array();
    for (uint32_t k = 0; k < v->count; k++) {
      json_t *text = json_string(v->strings[k]);
      if (!text) {
        size_t n = strlen(v->strings[k]);
        HF_CLEANUP(hf_freep) char *hex = hf_alloc(2 * n + 1);
        hf_hex(hex, v->strings[k], n);
        text = json_pack("{s:s}", "hex", hex);
      }
      json_array_append_new(strings, text);
    }
    json_array_append_new(all, json_pack("{s:s, s:I, s:I, s:o}", "name", v->name, "line", (json_int_t)v->line, "number",
                                         (json_int_t)v->number, "strings", strings));
  }
  return all;
}

/* One string of the JSON form; NULL when it is not one. Owned by the caller. */
static char *string_from_json(const json_t *j) {
  if (json_is_string(j)) return strlen(json_string_value(j)) == json_string_length(j) ? hf_strdup(json_string_value(j)) : NULL;
  const char *hex = json_string_value(json_object_get(j, "hex"));
  size_t n = hex ? strlen(hex) : 1;
  if (n % 2) return NULL;
  char *text = hf_alloc(n / 2 + 1);
  if (hf_unhex(text, hex, n / 2) && strlen(text) == n / 2) return text;
  free(text);
  return NULL;
}

int hf_settings_from_json(const struct holdfast_setting *table, const json_t *j, struct hf_settings **out, struct hf_error *err) {
  struct hf_settings *s = hf_settings_new(table);
  int r = 0;
  if (!json_is_array(j) || json_array_size(j) != s->n)
    r = hf_fail(err, HOLDFAST_E_CORRUPT, "settings: not an array of %zu values", s->n);
  for (size_t i = 0; r == 0 && i < s->n; i++) {
    const json_t *row = json_array_get(j, i);
    const char *name = NULL;
    uint64_t line = 0;
    json_t *strings = NULL;
    struct holdfast_value *v = &s->values[i];
    r = hf_json_str(row, "name", true, &name, err);
    if (r == 0) r = hf_json_u64(row, "line", true, &line, err);
    if (r == 0) r = hf_json_i64(row, "number", true, &v->number, err);
    if (r == 0) r = hf_json_arr(row, "strings", true, &strings, err);
    if (r == 0 && (strcmp(name, table[i].name) != 0 || line > UINT32_MAX))
      r = hf_fail(err, HOLDFAST_E_CORRUPT, "settings: value %zu is not %s", i, table[i].name);
    if (r < 0) break;
    v->line = (uint32_t)line;
    for (size_t k = 0; r == 0 && k < json_array_size(strings); k++) {
      char *text = string_from_json(json_array_get(strings, k));
      if (text)
        add_string(v, text);
      else
        r = hf_fail(err, HOLDFAST_E_CORRUPT, "settings: %s: not a string", table[i].name);
    }
    if (r == 0 && v->count > 1 && !(table[i].flags & HOLDFAST_LIST) && table[i].type != HOLDFAST_COMMAND)
      r = hf_fail(err, HOLDFAST_E_CORRUPT, "settings: %s: %u values for one", table[i].name, v->count);
  }
  if (r < 0) {
    hf_settings_free(s);
    return r;
  }
  *out = s;
  return 0;
}
