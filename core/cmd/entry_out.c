/* entry_out.c - one entry of a tree, for programs and for people.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/json.h"
#include "cmd/entry_out.h"

static const char *kind_name(char kind) {
  switch (kind) {
  case 'f': return "file";
  case 'd': return "folder";
  case 'l': return "symlink";
  case 'h': return "hardlink";
  case 'p': return "fifo";
  case 'c': return "char";
  case 'b': return "block";
  default: return "socket";
  }
}

void hf_out_entry(json_t *o, const struct hf_tree_entry *t) {
  const struct hf_recipe_entry *e = t->e;
  char mode[8], when[HF_TIME_LEN], full[HF_TIME_LEN + 16];
  snprintf(mode, sizeof mode, "%04o", e->mode & 07777u);
  hf_format_time(when, e->mtime);
  snprintf(full, sizeof full, "%.19s.%09uZ", when, e->mtime_nsec % 1000000000u);
  json_object_set_new(o, "path", hf_json_bytes(t->path, t->path_n));
  json_object_set_new(o, "kind", json_string(kind_name(e->kind)));
  json_object_set_new(o, "mode", json_string(mode));
  json_object_set_new(o, "uid", json_integer(e->uid));
  json_object_set_new(o, "gid", json_integer(e->gid));
  json_object_set_new(o, "size", json_integer((json_int_t)e->size));
  json_object_set_new(o, "mtime", json_string(full));
  json_object_set_new(o, "link", t->link ? hf_json_bytes(t->link, t->link_n) : json_null());
}

/* As ls -l writes it: "drwxr-sr-t". A hard link looks like the file that it is. */
static void mode_text(char out[11], const struct hf_recipe_entry *e) {
  static const char letters[] = "rwxrwxrwx";
  out[0] = e->kind == 'f' || e->kind == 'h' ? '-' : e->kind;
  for (int i = 0; i < 9; i++) out[1 + i] = e->mode & (0400u >> i) ? letters[i] : '-';
  if (e->mode & 04000) out[3] = e->mode & 0100 ? 's' : 'S';
  if (e->mode & 02000) out[6] = e->mode & 0010 ? 's' : 'S';
  if (e->mode & 01000) out[9] = e->mode & 0001 ? 't' : 'T';
  out[10] = 0;
}

void hf_out_entry_line(const struct hf_tree_entry *t, bool full) {
  const struct hf_recipe_entry *e = t->e;
  HF_CLEANUP(hf_freep) char *path = hf_printable(t->path, t->path_n);
  if (full) {
    char mode[11], when[32] = "?";
    time_t mtime = (time_t)e->mtime;
    struct tm tm;
    mode_text(mode, e);
    if (localtime_r(&mtime, &tm)) strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
    printf("%s %6u %6u %12llu %s ", mode, e->uid, e->gid, (unsigned long long)e->size, when);
  }
  fputs(path, stdout);
  if (full && t->link) {
    HF_CLEANUP(hf_freep) char *link = hf_printable(t->link, t->link_n);
    printf(e->kind == 'h' ? " = %s" : " -> %s", link);
  } else if (!full && e->kind == 'd') {
    putchar('/');
  }
  putchar('\n');
}
