/* extract_acl.c - owners by name, and ACLs as the kernel takes them.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stream/extract_internal.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>

#include "base/text.h"

bool hf_xowner_lookup(struct hf_extract *x, struct hf_xworker *w, int which, const char *name, uint32_t *id) {
  uint64_t hash = hf_xhash(x, name, strlen(name));
  struct hf_xname *n = &w->names[which][hash % HF_NELEM(w->names[which])];
  if (n->hash != hash) {
    char small[4096];
    size_t cap = sizeof small;
    char *buf = small;
    n->hash = hash;
    n->known = false;
    for (;;) {
      int rc;
      if (which == 0) {
        struct passwd pw, *got = NULL;
        rc = getpwnam_r(name, &pw, buf, cap, &got);
        if (rc == 0 && got) {
          n->id = pw.pw_uid;
          n->known = true;
        }
      } else {
        struct group gr, *got = NULL;
        rc = getgrnam_r(name, &gr, buf, cap, &got);
        if (rc == 0 && got) {
          n->id = gr.gr_gid;
          n->known = true;
        }
      }
      /* A group's members may want much room. */
      if (rc != ERANGE || cap >= 4 * HF_MIB) break;
      cap *= 4;
      buf = hf_realloc(buf == small ? NULL : buf, cap);
    }
    if (buf != small) free(buf);
  }
  if (n->known) *id = n->id;
  return n->known;
}

/* The kernel's form, little-endian: version, then tag, permissions, id for each entry, in the order of the tags. */
#define ACL_VERSION 2
#define ACL_NO_ID 0xffffffffu

static void put16(struct hf_buf *b, uint32_t v) {
  hf_buf_addc(b, (char)(v & 0xff));
  hf_buf_addc(b, (char)(v >> 8 & 0xff));
}

static void put32(struct hf_buf *b, uint32_t v) {
  put16(b, v & 0xffff);
  put16(b, v >> 16);
}

static const struct {
  int tag;
  uint32_t code;
  int who; /* 0 user, 1 group, -1 no id */
} tags[] = {{ARCHIVE_ENTRY_ACL_USER_OBJ, 0x01, -1}, {ARCHIVE_ENTRY_ACL_USER, 0x02, 0},  {ARCHIVE_ENTRY_ACL_GROUP_OBJ, 0x04, -1},
            {ARCHIVE_ENTRY_ACL_GROUP, 0x08, 1},     {ARCHIVE_ENTRY_ACL_MASK, 0x10, -1}, {ARCHIVE_ENTRY_ACL_OTHER, 0x20, -1}};

static bool digits(const char *s) {
  size_t n = strspn(s, "0123456789");
  return n > 0 && n < 11 && s[n] == 0;
}

static void one_acl(struct hf_extract *x, struct hf_xworker *w, struct archive_entry *e, const struct hf_xmeta *m, int want, const char *attr) {
  if (archive_entry_acl_reset(e, want) == 0) return;
  struct hf_buf *b = &w->acl;
  hf_buf_clear(b);
  put32(b, ACL_VERSION);
  for (size_t t = 0; t < HF_NELEM(tags); t++) {
    int type, perm, tag, qual;
    const char *name;
    archive_entry_acl_reset(e, want);
    while (archive_entry_acl_next(e, want, &type, &perm, &tag, &qual, &name) == ARCHIVE_OK) {
      if (tag != tags[t].tag) continue;
      uint32_t id = ACL_NO_ID;
      if (tags[t].who >= 0) {
        id = (uint32_t)qual;
        bool named = name && name[0], known = named && !x->o.numeric && hf_xowner_lookup(x, w, tags[t].who, name, &id);
        if (named && !known && digits(name)) {
          id = (uint32_t)strtoul(name, NULL, 10);
        } else if (!known && id == ACL_NO_ID) {
          /* Without this one entry the others would say something else. */
          HF_CLEANUP(hf_freep) char *shown = named ? hf_printable(name, strlen(name)) : hf_strdup("nobody");
          hf_xproblem(x, m, false, "an ACL names %s, who is not known here; the ACL is left out", shown);
          return;
        }
      }
      put16(b, tags[t].code);
      put16(b, (uint32_t)perm & 7);
      put32(b, id);
    }
  }
  hf_xattr_add(&w->attrs, attr, b->data, b->len);
}

void hf_xacl_read(struct hf_extract *x, struct hf_xworker *w, struct archive_entry *e, const struct hf_xmeta *m) {
  int types = archive_entry_acl_types(e);
  if (types & ARCHIVE_ENTRY_ACL_TYPE_ACCESS) one_acl(x, w, e, m, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access");
  if (types & ARCHIVE_ENTRY_ACL_TYPE_DEFAULT) one_acl(x, w, e, m, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default");
}
