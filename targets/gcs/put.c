/* put.c - storing objects in Google Cloud Storage.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every put says that the key must be free, also one that may replace: who may not delete may not replace either, and what is there already mostly is the same.
 * A key that is taken is looked at. It may be this very call's: an answer that was lost. That is seen by the random number it has put there, so the number of
 * a put whose outcome is not known is remembered for the next try.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "gcs.h"

#define PROOF_MAX (64u << 10) /* an object this small is sent twice once, to see whether an endpoint that is not Google's keeps its word */

/* ---- tries ---- */

static void free_try(struct gcs_try *try) {
  free(try->key);
  hft_token_free(try->session);
  *try = (struct gcs_try){.key = NULL};
}

/* What is remembered of an earlier try to put these bytes, else a new one. */
static int begin_try(struct gcs *t, const struct holdfast_object *o, struct gcs_try *out) {
  unsigned char random[(GCS_NONCE - 1) / 2];
  *out = (struct gcs_try){.key = NULL};
  pthread_mutex_lock(&t->lock);
  for (size_t i = 0; i < GCS_TRIES && !out->key; i++) {
    struct gcs_try *known = &t->tries[i];
    if (!known->key || strcmp(known->key, o->key) != 0 || strcmp(known->sha256, o->sha256) != 0) continue;
    *out = *known;
    *known = (struct gcs_try){.key = NULL};
  }
  pthread_mutex_unlock(&t->lock);
  if (out->key) return HOLDFAST_OK;
  if (RAND_bytes(random, sizeof random) != 1) return holdfast_fail(t->host, HOLDFAST_E_FAILED, "OpenSSL has no random numbers");
  hft_hex(random, sizeof random, out->nonce);
  memcpy(out->sha256, o->sha256, sizeof out->sha256);
  out->key = strdup(o->key);
  return out->key ? HOLDFAST_OK : hft_no_memory(t->host);
}

/* Takes what try has. */
static void end_try(struct gcs *t, struct gcs_try *try, int status) {
  if (status == HOLDFAST_E_TRANSIENT || status == HOLDFAST_E_CANCELED) {
    pthread_mutex_lock(&t->lock);
    free_try(&t->tries[t->next_try]);
    t->tries[t->next_try] = *try;
    t->next_try = (t->next_try + 1) % GCS_TRIES;
    pthread_mutex_unlock(&t->lock);
  } else {
    free_try(try);
  }
}

/* ---- what is there ---- */

/* Is it what was sent? The service computes its sums itself, and says them of every object that was put in one piece. */
static bool same(const struct holdfast_object *o, const struct gcs_sums *sums, const struct gcs_object *there) {
  if (there->size != o->size) return false;
  if (*there->sha256 && strcmp(there->sha256, o->sha256) != 0) return false;
  if (*there->md5 && *sums->md5 && strcmp(there->md5, sums->md5) != 0) return false;
  return !*there->crc32c || strcmp(there->crc32c, sums->crc32c) == 0;
}

static int check_stored(const struct gcs *t, const struct holdfast_object *o, const struct gcs_sums *sums, const struct gcs_object *there) {
  if (same(o, sums, there)) return HOLDFAST_OK;
  return holdfast_fail(t->host, HOLDFAST_E_CORRUPT, "%s: the server stored other bytes than were sent: %llu of them with the CRC32C %s, not %llu with %s",
                       o->key, (unsigned long long)there->size, *there->crc32c ? there->crc32c : "unknown", (unsigned long long)o->size, sums->crc32c);
}

/* The key is taken: by whom? */
static int taken(struct gcs *t, const struct holdfast_object *o, const struct gcs_sums *sums, struct gcs_try *try) {
  struct gcs_object there;
  int status = hf_gcs_object_get(t, o->key, NULL, &there);
  if (status == HOLDFAST_E_NOT_FOUND)
    return holdfast_fail(t->host, HOLDFAST_E_TRANSIENT, "%s was taken and is free now: somebody else is writing there", o->key);
  if (status != HOLDFAST_OK) return status;
  if (strcmp(there.nonce, try->nonce) == 0) return check_stored(t, o, sums, &there);
  if (o->flags & HOLDFAST_PUT_CREATE) return holdfast_fail(t->host, HOLDFAST_E_EXISTS, "%s is there already", o->key);
  if (same(o, sums, &there)) return hf_gcs_keep(t, o->key, &there);
  hft_token_free(try->session); /* it was begun for a key that is free */
  try->session = NULL;
  struct gcs_object out;
  status = hf_gcs_upload(t, o, sums, there.generation, try, &out);
  if (status == HOLDFAST_E_EXISTS)
    return holdfast_fail(t->host, HOLDFAST_E_TRANSIENT, "%s has changed while it was replaced: somebody else is writing there", o->key);
  return status == HOLDFAST_OK ? check_stored(t, o, sums, &out) : status;
}

/* An emulator may not know preconditions, and then nothing protects a record from being replaced. So the first object that is created is created twice:
 * the second time must be refused. */
static int prove(struct gcs *t, const struct holdfast_object *o, const struct gcs_sums *sums, struct gcs_try *try) {
  struct gcs_object out;
  if (t->google || atomic_load(&t->proven) || o->size > PROOF_MAX) return HOLDFAST_OK;
  int status = hf_gcs_upload(t, o, sums, "0", try, &out);
  if (status == HOLDFAST_E_EXISTS) atomic_store(&t->proven, true);
  /* Any other failure proves nothing either way; the object is stored. */
  if (status != HOLDFAST_OK) return HOLDFAST_OK;
  return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "bucket %s: the service at %s ignores ifGenerationMatch, so a key could be written twice: it is of no use",
                       t->bucket, t->base);
}

int hf_gcs_put(void *handle, const struct holdfast_object *o) {
  struct gcs *t = handle;
  struct gcs_sums sums;
  struct gcs_try try;
  struct gcs_object out;
  if (!hft_key_ok(o->key)) return hft_bad_key(t->host, o->key);
  if (t->as_of) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "nothing can be stored while as-of is set");
  if (strspn(o->sha256, "0123456789abcdef") != HFT_HEX - 1 || o->sha256[HFT_HEX - 1])
    return holdfast_fail(t->host, HOLDFAST_E_FAILED, "%s: a SHA-256 of 64 digits is wanted", o->key);
  hft_crc32c_text(hft_crc32c(0, o->data, (size_t)o->size), sums.crc32c);
  /* Where the system forbids MD5, the other one has to do. */
  if (!hft_md5_base64(o->data, (size_t)o->size, sums.md5)) sums.md5[0] = '\0';
  int status = begin_try(t, o, &try);
  if (status != HOLDFAST_OK) return status;
  status = hf_gcs_upload(t, o, &sums, "0", &try, &out);
  if (status == HOLDFAST_OK) status = check_stored(t, o, &sums, &out);
  else if (status == HOLDFAST_E_EXISTS) status = taken(t, o, &sums, &try);
  if (status == HOLDFAST_OK && (o->flags & HOLDFAST_PUT_CREATE)) status = prove(t, o, &sums, &try);
  end_try(t, &try, status);
  return status;
}
