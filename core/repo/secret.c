/* secret.c - the repository secret and the keys derived from it.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ctype.h>

#include "base/text.h"
#include "repo/repo.h"

void hf_secret_new(struct hf_secret *s) {
  unsigned char id[16];
  hf_random(s->key, sizeof s->key);
  hf_random(id, sizeof id);
  hf_hex(s->repo_id, id, sizeof id);
}

void hf_secret_text(const struct hf_secret *s, struct hf_buf *out) {
  char key[2 * sizeof s->key + 1];
  hf_hex(key, s->key, sizeof s->key);
  hf_buf_addf(out, "holdfast-secret 1\nrepository %s\nkey %s\n", s->repo_id, key);
  hf_wipe(key, sizeof key);
}

int hf_secret_parse(const char *p, size_t n, struct hf_secret *out, struct hf_error *err) {
  static const char head[] = "holdfast-secret 1\nrepository ";
  static const char middle[] = "\nkey ";
  const size_t id_at = sizeof head - 1, middle_at = id_at + 32, key_at = middle_at + sizeof middle - 1, end = key_at + 64;
  struct hf_secret s = {0};
  unsigned char id[16];
  if (n != end + 1 || memcmp(p, head, id_at) != 0 || memcmp(p + middle_at, middle, sizeof middle - 1) != 0 || p[end] != '\n' ||
      !hf_unhex(id, p + id_at, sizeof id) || !hf_unhex(s.key, p + key_at, sizeof s.key)) {
    hf_wipe(&s, sizeof s);
    return hf_fail(err, HOLDFAST_E_CORRUPT, "not a repository secret of format 1");
  }
  hf_hex(s.repo_id, id, sizeof id);
  *out = s;
  hf_wipe(&s, sizeof s);
  return 0;
}

/* The fingerprints as they go into the derivation: upper case, sorted, each once. */
static void canonical(const struct hf_list *recipients, struct hf_buf *out) {
  struct hf_list l = HF_LIST_INIT;
  for (size_t i = 0; i < recipients->n; i++) {
    char *fpr = hf_strdup(recipients->v[i]);
    for (char *c = fpr; *c; c++) *c = (char)toupper((unsigned char)*c);
    hf_list_take(&l, fpr);
  }
  hf_list_sort(&l);
  for (size_t i = 0; i < l.n; i++)
    if (i == 0 || strcmp(l.v[i], l.v[i - 1]) != 0) hf_buf_addf(out, "%s\n", l.v[i]);
  hf_list_free(&l);
}

static void derive(const struct hf_secret *s, const char *purpose, const struct hf_buf *audience, void *out, size_t n) {
  struct hf_buf info = HF_BUF_INIT;
  hf_buf_addf(&info, "holdfast 1 %s\n", purpose);
  hf_buf_add(&info, audience->data, audience->len);
  hf_hkdf(s->key, sizeof s->key, info.data, info.len, out, n);
  hf_buf_free(&info);
}

void hf_audience_derive(const struct hf_secret *s, const struct hf_list *recipients, struct hf_audience *out) {
  struct hf_buf audience = HF_BUF_INIT;
  unsigned char gear[256 * 8], name[16];
  canonical(recipients, &audience);
  derive(s, "chunk-id", &audience, out->id_key, sizeof out->id_key);
  derive(s, "gear", &audience, gear, sizeof gear);
  derive(s, "group", &audience, out->group_key, sizeof out->group_key);
  derive(s, "audience", &audience, name, sizeof name);
  for (size_t i = 0; i < 256; i++) {
    uint64_t v = 0;
    for (size_t j = 8; j-- > 0;) v = v << 8 | gear[8 * i + j];
    out->gear[i] = v;
  }
  hf_hex(out->name, name, sizeof name);
  hf_wipe(gear, sizeof gear);
  hf_buf_free(&audience);
}
