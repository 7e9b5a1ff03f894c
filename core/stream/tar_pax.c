/* tar_pax.c - records of pax extended headers; extended attributes and ACLs in them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stream/tar_internal.h"

static size_t put_number(char *out, uint64_t v) {
  char digits[20];
  size_t n = 0, i = 0;
  do digits[n++] = (char)('0' + v % 10);
  while ((v /= 10) != 0);
  while (n > 0) out[i++] = digits[--n];
  return i;
}

void hf_pax_record(struct hf_buf *b, const char *key, const void *value, size_t n) {
  size_t key_n = strlen(key), rest = key_n + n + 3, total; /* blank, '=', newline */
  char len[20];
  /* The length counts its own digits: one more of them may need one more again, never two. */
  size_t len_n = put_number(len, rest);
  total = rest + len_n;
  if (put_number(len, total) > len_n) total++;
  len_n = put_number(len, total);
  hf_buf_reserve(b, total);
  char *p = b->data + b->len;
  memcpy(p, len, len_n);
  p += len_n;
  *p++ = ' ';
  memcpy(p, key, key_n);
  p += key_n;
  *p++ = '=';
  if (n) memcpy(p, value, n);
  p += n;
  *p++ = '\n';
  *p = 0;
  b->len += total;
}

void hf_pax_number(struct hf_buf *b, const char *key, uint64_t v) {
  char text[20];
  hf_pax_record(b, key, text, put_number(text, v));
}

void hf_pax_time(struct hf_buf *b, const char *key, int64_t s, uint32_t ns) {
  char text[40], *p = text;
  uint64_t whole = (uint64_t)s;
  if (s < 0) {
    /* From the floor and up to sign and magnitude. */
    *p++ = '-';
    whole = 0 - whole;
    if (ns > 0) {
      whole--;
      ns = 1000000000u - ns;
    }
  }
  p += put_number(p, whole);
  if (ns > 0) {
    *p++ = '.';
    for (int i = 8; i >= 0; i--, ns /= 10) p[i] = (char)('0' + ns % 10);
    p += 9;
    while (p[-1] == '0') p--;
  }
  hf_pax_record(b, key, text, (size_t)(p - text));
}

/* ---- ACLs: the kernel's binary form (version 2, little-endian) to text ---- */

#define ACL_HEAD 4
#define ACL_ROW 8

static uint32_t le16(const unsigned char *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static uint32_t le32(const unsigned char *p) { return le16(p) | le16(p + 2) << 16; }

/* "user::rwx,user:1000:r-x,group::r--,mask::r-x,other::r--"; false when the value is not an ACL we know. */
static bool acl_text(struct hf_buf *out, const unsigned char *p, size_t n) {
  if (n < ACL_HEAD || (n - ACL_HEAD) % ACL_ROW != 0 || le32(p) != 2) return false;
  for (size_t at = ACL_HEAD; at < n; at += ACL_ROW) {
    uint32_t tag = le16(p + at), perm = le16(p + at + 2), id = le32(p + at + 4);
    const char *who;
    bool named = false;
    switch (tag) {
    case 0x01: who = "user"; break;
    case 0x02: who = "user", named = true; break;
    case 0x04: who = "group"; break;
    case 0x08: who = "group", named = true; break;
    case 0x10: who = "mask"; break;
    case 0x20: who = "other"; break;
    default: return false;
    }
    if (perm > 7) return false;
    if (at > ACL_HEAD) hf_buf_addc(out, ',');
    hf_buf_adds(out, who);
    hf_buf_addc(out, ':');
    if (named) hf_buf_addf(out, "%u", id);
    const char bits[] = {':', perm & 4 ? 'r' : '-', perm & 2 ? 'w' : '-', perm & 1 ? 'x' : '-'};
    hf_buf_add(out, bits, sizeof bits);
  }
  return true;
}

static bool add_acl(struct hf_buf *b, const struct holdfast_xattr *x, const char *key) {
  struct hf_buf text = HF_BUF_INIT;
  bool ok = acl_text(&text, x->value, x->size);
  if (ok && text.len > 0) hf_pax_record(b, key, text.data, text.len);
  hf_buf_free(&text);
  return ok;
}

/* In a keyword '=' would end it: GNU tar writes it as %3D, and so '%' as %25. */
static void add_xattr(struct hf_buf *b, struct hf_buf *key, const struct holdfast_xattr *x) {
  hf_buf_clear(key);
  hf_buf_adds(key, "SCHILY.xattr.");
  for (const char *s = x->name; *s; s++) {
    if (*s == '=')
      hf_buf_adds(key, "%3D");
    else if (*s == '%')
      hf_buf_adds(key, "%25");
    else
      hf_buf_addc(key, *s);
  }
  hf_pax_record(b, key->data, x->value, x->size);
}

void hf_pax_xattrs(struct hf_buf *b, const struct holdfast_entry *e) {
  struct hf_buf key = HF_BUF_INIT;
  for (uint32_t i = 0; i < e->n_xattrs; i++) {
    const struct holdfast_xattr *x = &e->xattrs[i];
    /* An ACL that is not understood is kept as the bytes it is. */
    if (strcmp(x->name, "system.posix_acl_access") == 0 && add_acl(b, x, "SCHILY.acl.access")) continue;
    if (strcmp(x->name, "system.posix_acl_default") == 0 && add_acl(b, x, "SCHILY.acl.default")) continue;
    add_xattr(b, &key, x);
  }
  hf_buf_free(&key);
}
