/* crypto_internal.h - what the crypto files share: the handle, and running gpg.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_CRYPTO_INTERNAL_H
#define HF_CRYPTO_INTERNAL_H

#include <gpgme.h>
#include <pthread.h>

#include "base/io.h"
#include "repo/crypto.h"

struct hf_gpg {
  char *home;        /* NULL: the caller's */
  char *verify_home; /* of a caller's handle: private folder with the host keys and nothing else; NULL until hf_gpg_trust_keys */
  char **env;        /* for children; NULL: inherited */
  bool agent;        /* this handle may have started an agent in home */
  bool agent_before; /* one was running when the handle was opened */
  char *agent_socket; /* of a home given by path */
  gpgme_ctx_t idle;  /* a context of home between two calls: making one costs a gpg process that says its version */
  bool listed;       /* known is what a home given by path holds (crypto_known.c) */
  gpgme_key_t *known;
  size_t n_known;
  bool is_ahead;     /* a thread lists them */
  pthread_t ahead;
  struct hf_child agent_start; /* what starts the agent; pid <= 0: nothing does */
  pthread_mutex_t lock;
};

/* A gpgme context for one call, in one thread. HF_CLEANUP(hf_gpg_give_back) struct hf_gpg_lent l = {0}; */
struct hf_gpg_lent {
  struct hf_gpg *g; /* whose idle one it becomes; NULL: it is released */
  gpgme_ctx_t c;
};
/* For home, which is g's own or another of its (NULL: the caller's). */
int hf_gpg_lend(struct hf_gpg *g, const char *home, struct hf_gpg_lent *out, struct hf_error *err);
void hf_gpg_give_back(struct hf_gpg_lent *l);
void hf_gpgme_data_releasep(gpgme_data_t *d);
void hf_gpgme_keyp(gpgme_key_t *k);
/* Fill *err from a gpgme error. */
int hf_gpg_fail(struct hf_error *err, gpgme_error_t e, const char *fmt, ...) HF_PRINTF(3, 4);
/* Before what makes gpg ask the agent: note that one of this home may be running because of us, and wait for the one that is being started. */
void hf_gpg_uses_agent(struct hf_gpg *g);
/* Public keys of a home given by path which test says yes to, at most room of them, referenced; the home is listed when that has not been done. Returns how many, 0 for the caller's own
 * home, a negative status. */
int hf_gpg_known(struct hf_gpg *g, bool (*test)(gpgme_key_t key, const char *what), const char *what, gpgme_key_t *keys, int room, struct hf_error *err);
/* Before its keys are changed, and at the handle's end: nothing lists them afterwards but who asks for them. */
void hf_gpg_forget_keys(struct hf_gpg *g);

/* What one gpg process said. */
struct hf_gpg_said {
  int exit_code;
  struct hf_buf status; /* its status lines, each behind a newline: "\n[GNUPG:] GOODMDC" */
  struct hf_buf text;   /* what it wrote for people */
};
void hf_gpg_said_free(struct hf_gpg_said *s);
/* Run gpg in home with args (NULL-terminated list) behind the options every call has. in: descriptor or -1. The status of a process that ran and failed is 0:
 * the caller judges *said. */
int hf_gpg_run(struct hf_gpg *g, const char *home, const struct hf_list *args, int in, int out, struct hf_gpg_said *said,
               struct hf_error *err);
/* Arguments of the first status line with this keyword, NULL when there is none. Ends at a newline or NUL. */
const char *hf_gpg_status(const struct hf_gpg_said *s, const char *keyword);
/* How many status lines have this keyword. */
size_t hf_gpg_status_count(const struct hf_gpg_said *s, const char *keyword);
/* Field number k (from 0) of a status line's arguments into out; "" when there are fewer. */
void hf_gpg_field(const char *args, unsigned k, char *out, size_t room);
/* The last line gpg wrote for people, without its "gpg: "; never NULL. Owned by the caller. */
char *hf_gpg_last_words(const struct hf_gpg_said *s);
/* Judge a decryption; 0 when it was whole and authentic as far as the MDC goes. */
int hf_gpg_judge_decryption(const struct hf_gpg_said *s, struct hf_error *err);

/* Encrypt the whole of memory file in (from offset 0, size in_n) to recipients, and sign it when signer is given. hide: no key ids in the message. */
int hf_gpg_write(struct hf_gpg *g, const struct hf_list *recipients, bool hide, const char *signer, int in, size_t in_n, struct hf_blob *out, struct hf_error *err);
/* Feed p to gpg in home (NULL: the caller's) and map what it writes. The home's gpg.conf is read: it may say where keys are; the caller judges *said.
 * On success *out is to be freed. */
int hf_gpg_read(struct hf_gpg *g, const char *home, const char *const *options, size_t n_options, const void *p, size_t n,
                size_t max, struct hf_gpg_said *said, struct hf_blob *out, struct hf_error *err);
/* The same from one memory file to another, each at its start. */
int hf_gpg_read_file(struct hf_gpg *g, const char *home, const char *const *options, size_t n_options, int in, int out, size_t max,
                     struct hf_gpg_said *said, struct hf_error *err);
/* After the judgements that know more: did it end well, with its n bytes within max? */
int hf_gpg_judge_reading(const struct hf_gpg_said *s, size_t n, size_t max, struct hf_error *err);

/* A memory file with these bytes. Returns the descriptor, at offset 0. */
int hf_gpg_memfd_with(const void *p, size_t n, struct hf_error *err);
/* Map what a memory file holds; takes the descriptor over, also on failure. */
int hf_blob_map(int fd, struct hf_blob *out, struct hf_error *err);

/* As hf_openpgp_check_shape; *recipients gets the number of PKESK packets. */
int hf_openpgp_shape(const void *p, size_t n, size_t *recipients, struct hf_error *err);

#endif
