/* crypto_packets.c - the outer shape of an OpenPGP message (RFC 4880, section 4).
 * SPDX-License-Identifier: Apache-2.0
 */
#include "repo/crypto_internal.h"

enum { TAG_PKESK = 1, TAG_SEIPD = 18, TAG_OCB = 20 };

/* One packet header at *at: tag, and its body. A body of partial lengths is skipped piece by piece; first and first_n are its first piece. */
struct packet {
  unsigned tag;
  const unsigned char *first;
  size_t first_n;
};

static int bad(struct hf_error *err, const char *what) {
  return hf_fail(err, HOLDFAST_E_CORRUPT, "not a usable OpenPGP message: %s", what);
}

/* A big-endian number of k bytes. */
static bool number(const unsigned char *p, size_t n, size_t *at, unsigned k, size_t *out) {
  size_t v = 0;
  if (n - *at < k) return false;
  for (unsigned i = 0; i < k; i++) v = v << 8 | p[(*at)++];
  *out = v;
  return true;
}

/* A new-format length; *partial when more pieces follow. */
static bool new_length(const unsigned char *p, size_t n, size_t *at, size_t *len, bool *partial) {
  size_t b, c;
  *partial = false;
  if (!number(p, n, at, 1, &b)) return false;
  if (b < 192) {
    *len = b;
  } else if (b < 224) {
    if (!number(p, n, at, 1, &c)) return false;
    *len = ((b - 192) << 8) + c + 192;
  } else if (b < 255) {
    *len = (size_t)1 << (b & 31);
    *partial = true;
  } else {
    return number(p, n, at, 4, len);
  }
  return true;
}

static int next_packet(const unsigned char *p, size_t n, size_t *at, struct packet *out, struct hf_error *err) {
  unsigned ctb = p[(*at)++];
  size_t len;
  bool partial = false;
  if (!(ctb & 0x80)) return bad(err, "a packet does not start where one should");
  if (!(ctb & 0x40)) { /* old format */
    out->tag = ctb >> 2 & 15;
    if ((ctb & 3) == 3) /* to the end of the file */
      len = n - *at;
    else if (!number(p, n, at, 1u << (ctb & 3), &len))
      return bad(err, "it is cut off");
  } else {
    out->tag = ctb & 63;
    if (!new_length(p, n, at, &len, &partial)) return bad(err, "it is cut off");
  }
  if (len > n - *at) return bad(err, "it is cut off");
  out->first = p + *at;
  out->first_n = len;
  *at += len;
  while (partial) {
    if (!new_length(p, n, at, &len, &partial) || len > n - *at) return bad(err, "it is cut off");
    *at += len;
  }
  return 0;
}

int hf_openpgp_shape(const void *bytes, size_t n, size_t *recipients, struct hf_error *err) {
  const unsigned char *p = bytes;
  size_t at = 0, keys = 0;
  bool data = false;
  if (n == 0) return bad(err, "it is empty");
  if (n >= 10 && memcmp(p, "-----BEGIN", 10) == 0) return bad(err, "it is armored text");
  while (at < n) {
    struct packet k = {0};
    int r = next_packet(p, n, &at, &k, err);
    if (r < 0) return r;
    if (data) return bad(err, "more follows the encrypted data");
    if (k.tag == TAG_PKESK) {
      if (k.first_n < 10 || k.first[0] != 3) return bad(err, "a session key packet is not version 3");
      keys++;
    } else if (k.tag == TAG_SEIPD) {
      if (k.first_n < 1 || k.first[0] != 1) return bad(err, "the encrypted data packet is not version 1");
      data = true;
    } else if (k.tag == TAG_OCB) {
      return bad(err, "it is OCB-encrypted (packet 20), which only GnuPG 2.3 and later read");
    } else {
      return hf_fail(err, HOLDFAST_E_CORRUPT,
                     "not a usable OpenPGP message: packet of type %u where only keys and encrypted data belong", k.tag);
    }
  }
  if (!keys) return bad(err, "it is encrypted to nobody");
  if (!data) return bad(err, "it holds no encrypted data");
  *recipients = keys;
  return 0;
}

int hf_openpgp_check_shape(const void *p, size_t n, struct hf_error *err) {
  size_t recipients;
  return hf_openpgp_shape(p, n, &recipients, err);
}
