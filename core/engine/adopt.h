/* adopt.h - taking over the repository of a host whose state folder is lost.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The host key's secret half lies in the repository, encrypted to the recipients that [holdfast] names (hf_update_keys puts it there). Who holds one of their private keys can give it to a new state folder, which
 * then is the host: readers see the same signer as before, and nobody has to be told to trust another.
 */
#ifndef HF_ADOPT_H
#define HF_ADOPT_H

#include "engine/session.h"

/* What a host is, apart from its manifest. */
struct hf_adopted {
  char fpr[HF_FPR_LEN + 1]; /* of the host key */
  struct hf_secret secret;
  struct hf_buf key;        /* the host key with its secret half, armored */
  uint64_t head;            /* newest record of the chain it was read from */
};
/* Read all that from the targets with the caller's private key. fpr: the host key that is trusted, and no other. HOLDFAST_E_CONFIG when the state folder has a repository, or the manifest names another host key. */
int hf_adopt_read(const char *manifest_file, const char *fpr, struct hf_adopted *out, struct hf_error *err);
/* Make it the identity of the state folder that s was opened to create. hf_init does the rest. */
int hf_adopt_take(struct hf_session *s, const struct hf_adopted *a, struct hf_error *err);
/* Wipes. */
void hf_adopted_free(struct hf_adopted *a);

/* The text that is sealed: the host key, armored, under two lines that say whose it is. */
int hf_hostkey_text(struct hf_session *s, struct hf_buf *out, struct hf_error *err);
/* The way back: the armored key within p. */
int hf_hostkey_parse(const char *p, size_t n, const char *repo_id, struct hf_buf *key, struct hf_error *err);
/* What the state remembers of a host: repository, host key, secret; committed. s has them from then on. */
int hf_remember_identity(struct hf_session *s, const struct hf_secret *secret, const char *fpr, struct hf_error *err);

#endif
