/* layout.c - names of objects, and taking them apart.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>

#include "base/text.h"
#include "repo/repo.h"

void hf_key_pack(char *out, const struct hf_digest *d) {
  char hex[HF_SHA256_HEX];
  hf_digest_hex(d, hex);
  snprintf(out, HF_KEY_MAX, "packs/%.2s/%s.tar.zst.gpg", hex, hex);
}

void hf_key_index(char *out, const struct hf_digest *d) {
  char hex[HF_SHA256_HEX];
  hf_digest_hex(d, hex);
  snprintf(out, HF_KEY_MAX, "indexes/%s.zst.gpg", hex);
}

void hf_key_secret(char *out, const struct hf_digest *d) {
  char hex[HF_SHA256_HEX];
  hf_digest_hex(d, hex);
  snprintf(out, HF_KEY_MAX, "secrets/%s.gpg", hex);
}

void hf_key_record(char *out, uint64_t seq, const struct hf_digest *d) {
  char hex[HF_SHA256_HEX];
  hf_digest_hex(d, hex);
  snprintf(out, HF_KEY_MAX, "records/%010" PRIu64 "-%s.json.gpg", seq, hex);
}

void hf_key_hostkey(char *out, const char *fpr) { snprintf(out, HF_KEY_MAX, "keys/%.*s.asc", HF_FPR_LEN, fpr); }

/* The names hold lower-case hex only, so that one object has one name. */
static bool is_digest(const char *s, struct hf_digest *out) {
  return strspn(s, "0123456789abcdef") >= 2 * HF_SHA256_LEN && hf_digest_parse(s, out);
}

static bool under(const char *key, const char *folder, const char **rest) {
  size_t n = strlen(folder);
  *rest = key + strnlen(key, n); /* of no use unless true is returned, but always within the key */
  return strncmp(key, folder, n) == 0;
}

static bool parse_pack(const char *s, struct hf_object_name *o) {
  return strspn(s, "0123456789abcdef") == 2 && s[2] == '/' && is_digest(s + 3, &o->digest) && strncmp(s, s + 3, 2) == 0 &&
         strcmp(s + 3 + 64, ".tar.zst.gpg") == 0;
}

static bool parse_record(const char *s, struct hf_object_name *o) {
  uint64_t seq = 0;
  for (int i = 0; i < 10; i++) {
    if (s[i] < '0' || s[i] > '9') return false;
    seq = seq * 10 + (uint64_t)(s[i] - '0');
  }
  o->seq = seq;
  return seq > 0 && s[10] == '-' && is_digest(s + 11, &o->digest) && strcmp(s + 11 + 64, ".json.gpg") == 0;
}

static bool parse_hostkey(const char *s, struct hf_object_name *o) {
  if (strspn(s, "0123456789ABCDEF") != HF_FPR_LEN || strcmp(s + HF_FPR_LEN, ".asc") != 0) return false;
  memcpy(o->fpr, s, HF_FPR_LEN);
  return true;
}

void hf_key_parse(const char *key, struct hf_object_name *out) {
  struct hf_object_name o = {0};
  enum hf_object_kind kind = HF_OBJ_OTHER;
  const char *s;
  if (under(key, "packs/", &s) && parse_pack(s, &o))
    kind = HF_OBJ_PACK;
  else if (under(key, "indexes/", &s) && is_digest(s, &o.digest) && strcmp(s + 64, ".zst.gpg") == 0)
    kind = HF_OBJ_INDEX;
  else if (under(key, "secrets/", &s) && is_digest(s, &o.digest) && strcmp(s + 64, ".gpg") == 0)
    kind = HF_OBJ_SECRET;
  else if (under(key, "records/", &s) && parse_record(s, &o))
    kind = HF_OBJ_RECORD;
  else if (under(key, "keys/", &s) && parse_hostkey(s, &o))
    kind = HF_OBJ_HOSTKEY;
  else if (strcmp(key, "README.txt") == 0)
    kind = HF_OBJ_README;
  else if (strcmp(key, "recover.sh") == 0)
    kind = HF_OBJ_RECOVER;
  else if (strcmp(key, "repository.ini") == 0)
    kind = HF_OBJ_INI;
  if (kind == HF_OBJ_OTHER) memset(&o, 0, sizeof o); /* nothing of a half-parsed name */
  o.kind = kind;
  *out = o;
}
