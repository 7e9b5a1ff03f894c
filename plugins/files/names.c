/* names.c - user and group names, looked up once each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "files.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 65536 /* more owners than this, and the table starts afresh */

static char *look_up(uint32_t id, bool group) {
  size_t cap = 1024;
  char *buf = NULL, *name = NULL;
  for (int rc = ERANGE; rc == ERANGE && cap <= 1u << 24; cap *= 4) {
    free(buf);
    buf = malloc(cap);
    if (!buf) return NULL;
    if (group) {
      struct group g, *got = NULL;
      rc = getgrgid_r(id, &g, buf, cap, &got);
      if (rc == 0 && got) name = strdup(g.gr_name);
    } else {
      struct passwd p, *got = NULL;
      rc = getpwuid_r(id, &p, buf, cap, &got);
      if (rc == 0 && got) name = strdup(p.pw_name);
    }
  }
  free(buf);
  return name;
}

static struct hf_files_name_slot *find(struct hf_files_name_slot *v, size_t cap, uint32_t id) {
  size_t i = (id * 2654435761u >> 7) & (cap - 1);
  while (v[i].used && v[i].id != id) i = (i + 1) & (cap - 1);
  return &v[i];
}

static const char *name_of(struct hf_files_names *t, uint32_t id, bool group) {
  if (t->cap) {
    struct hf_files_name_slot *s = find(t->v, t->cap, id);
    if (s->used) return s->name;
  }
  if (t->n >= NAMES_MAX) hf_files_names_free(t);
  if ((t->n + 1) * 2 > t->cap) {
    size_t cap = t->cap ? t->cap * 2 : 64;
    struct hf_files_name_slot *v = calloc(cap, sizeof *v);
    if (!v) return NULL; /* the number alone will do */
    for (size_t i = 0; i < t->cap; i++)
      if (t->v[i].used) *find(v, cap, t->v[i].id) = t->v[i];
    free(t->v);
    t->v = v;
    t->cap = cap;
  }
  struct hf_files_name_slot *s = find(t->v, t->cap, id);
  *s = (struct hf_files_name_slot){look_up(id, group), id, true};
  t->n++;
  return s->name;
}

const char *hf_files_user_name(struct hf_files_names *t, uint32_t uid) {
  return name_of(t, uid, false);
}

const char *hf_files_group_name(struct hf_files_names *t, uint32_t gid) {
  return name_of(t, gid, true);
}

void hf_files_names_free(struct hf_files_names *t) {
  for (size_t i = 0; i < t->cap; i++) free(t->v[i].name);
  free(t->v);
  *t = (struct hf_files_names){0};
}
