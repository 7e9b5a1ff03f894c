/* state.c - the state kept in a snapshot's record: where each database was, and what it was like.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * {"version":1,"databases":[{"stream":"a.db","file":"a.db","path":"/srv/a.db","page_size":4096,"pages":12,"journal":"wal","mode":"0640",
 * "uid":33,"gid":33,"folder":{"mode":"0750","uid":33,"gid":33}}]}
 * JSON has no room for arbitrary bytes: in `path` and `file` every byte that is not printable ASCII, and the backslash, is a backslash and
 * three octal digits.
 */
#include "sqlite.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define FIXED 290 /* keys, numbers and punctuation of one database, at their longest */

static bool is_plain(unsigned char c) { return c >= 0x20 && c < 0x7f && c != '\\'; }

/* NULL when memory is out. */
static char *escape(const char *p) {
  char *out = malloc(strlen(p) * 4 + 1), *to = out;
  if (!out) return NULL;
  for (; *p; p++) {
    if (is_plain((unsigned char)*p)) *to++ = *p;
    else to += sprintf(to, "\\%03o", (unsigned)(unsigned char)*p);
  }
  *to = '\0';
  return out;
}

/* NULL when it is not of that form, or memory is out. */
static char *unescape(const char *p) {
  char *out = malloc(strlen(p) + 1), *to = out;
  if (!out) return NULL;
  while (*p) {
    unsigned c = (unsigned char)*p++;
    if (c == '\\') {
      c = 0;
      for (int i = 0; i < 3; i++, p++) {
        if (*p < '0' || *p > '7') goto bad;
        c = c * 8 + (unsigned)(*p - '0');
      }
      if (c == 0 || c > 255) goto bad;
    } else if (!is_plain((unsigned char)c)) {
      goto bad;
    }
    *to++ = (char)c;
  }
  *to = '\0';
  return out;
bad:
  free(out);
  return NULL;
}

/* As JSON writes it: a quote becomes two bytes, and so does the backslash of an escape. */
static size_t escaped_size(const char *p) {
  size_t n = 0;
  for (; *p; p++) n += !is_plain((unsigned char)*p) ? 5 : *p == '"' ? 2 : 1;
  return n;
}

size_t hf_sqlite_state_size(const struct hf_sqlite_list *l) {
  size_t n = 64;
  for (size_t i = 0; i < l->n; i++) n += FIXED + escaped_size(l->v[i].path) + escaped_size(l->v[i].file) + strlen(l->v[i].stream);
  return n;
}

char *hf_sqlite_state_write(const struct hf_sqlite_list *l) {
  json_t *all = json_array();
  bool good = all != NULL;
  for (size_t i = 0; good && i < l->n; i++) {
    const struct hf_sqlite_database *d = &l->v[i];
    char mode[16], folder[16], *path = escape(d->path), *file = escape(d->file);
    snprintf(mode, sizeof mode, "%04o", (unsigned)d->mode & 07777);
    snprintf(folder, sizeof folder, "%04o", (unsigned)d->folder_mode & 07777);
    if (d->read && path && file)
      good = json_array_append_new(all, json_pack("{s:s,s:s,s:s,s:I,s:I,s:s,s:s,s:I,s:I,s:{s:s,s:I,s:I}}", "stream", d->stream, "file", file, "path", path, "page_size",
                                                  (json_int_t)d->page_size, "pages", (json_int_t)d->pages, "journal", d->journal, "mode", mode, "uid",
                                                  (json_int_t)d->uid, "gid", (json_int_t)d->gid, "folder", "mode", folder, "uid",
                                                  (json_int_t)d->folder_uid, "gid", (json_int_t)d->folder_gid)) == 0;
    else good = path && file;
    free(path);
    free(file);
  }
  json_t *state = good ? json_pack("{s:i,s:O}", "version", 1, "databases", all) : NULL;
  char *text = state ? json_dumps(state, JSON_COMPACT) : NULL;
  json_decref(state);
  json_decref(all);
  return text;
}

static bool name_is_safe(const char *p) { return p && *p && !strchr(p, '/') && strcmp(p, ".") != 0 && strcmp(p, "..") != 0; }

static bool read_one(const json_t *j, struct hf_sqlite_list *l) {
  const char *stream, *file, *path, *journal, *mode, *folder = "0";
  json_int_t page_size, pages, uid, gid, folder_uid = 0, folder_gid = 0;
  if (json_unpack((json_t *)(uintptr_t)j, "{s:s,s:s,s:s,s:I,s:I,s:s,s:s,s:I,s:I,s?{s:s,s:I,s:I}}", "stream", &stream, "file", &file, "path", &path, "page_size", &page_size,
                  "pages", &pages, "journal", &journal, "mode", &mode, "uid", &uid, "gid", &gid, "folder", "mode", &folder, "uid",
                  &folder_uid, "gid", &folder_gid) != 0)
    return false;
  struct hf_sqlite_database *d = hf_sqlite_list_add(l);
  if (!d) return false;
  d->read = true;
  d->stream = strdup(stream);
  d->file = unescape(file);
  d->path = unescape(path);
  d->page_size = (uint32_t)page_size;
  d->pages = (uint64_t)pages;
  snprintf(d->journal, sizeof d->journal, "%s", journal);
  char *end;
  d->mode = (uint32_t)strtoul(mode, &end, 8);
  d->uid = (uint32_t)uid;
  d->gid = (uint32_t)gid;
  d->folder_mode = (uint32_t)strtoul(folder, NULL, 8) & 07777;
  d->folder_uid = (uint32_t)folder_uid;
  d->folder_gid = (uint32_t)folder_gid;
  return name_is_safe(d->stream) && name_is_safe(d->file) && d->path && d->path[0] == '/' && *end == '\0' && d->mode <= 07777 && uid >= 0 &&
         uid < UINT32_MAX && gid >= 0 && gid < UINT32_MAX && page_size >= 0 && page_size <= HF_SQLITE_PAGE_MAX && pages >= 0;
}

int hf_sqlite_state_read(const char *state, struct hf_sqlite_list *out, char *why) {
  struct hf_sqlite_list l = {0};
  *out = l;
  if (!state || !*state) return 0;
  json_t *j = json_loads(state, 0, NULL), *v = json_object_get(j, "databases");
  bool good = json_integer_value(json_object_get(j, "version")) == 1 && json_is_array(v);
  for (size_t i = 0; good && i < json_array_size(v); i++) good = read_one(json_array_get(v, i), &l);
  json_decref(j);
  if (good) {
    *out = l;
    return 0;
  }
  hf_sqlite_list_free(&l);
  return hf_sqlite_say(why, HOLDFAST_E_CORRUPT, "the state kept with the snapshot is damaged, or of a later version of this plugin");
}

struct hf_sqlite_database *hf_sqlite_list_stream(const struct hf_sqlite_list *l, const char *stream) {
  for (size_t i = 0; i < l->n; i++)
    if (strcmp(l->v[i].stream, stream) == 0) return &l->v[i];
  return NULL;
}
