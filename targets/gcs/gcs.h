/* gcs.h - the gcs target: what its files share.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * An object of key K is the object K of the bucket, put by Google's JSON API together with its CRC32C and its MD5, so that the service checks what
 * arrived. The user metadata "sha256" is its digest, and "holdfast-try" a random number of the call that put it: an answer may get lost on its way,
 * and a key that is taken then must not be taken for somebody else's.
 */
#ifndef HF_GCS_H
#define HF_GCS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <holdfast/target.h>

#include "../common/crc32c.h"
#include "../common/digest.h"
#include "../common/http.h"
#include "../common/key.h"
#include "../common/text.h"
#include "../common/token.h"

#pragma GCC visibility push(hidden)

#define GCS_GOOGLE "https://storage.googleapis.com"
#define GCS_PAGE_MAX (8u << 20) /* bytes of an answer: 1000 entries of a listing with all that goes with each */
#define GCS_EXTRA 6             /* headers of a request beyond those every one has */
#define GCS_NONCE 33            /* 16 random bytes as digits, with a NUL */
#define GCS_TRIES 64            /* puts whose outcome is not known that are remembered: as many as may run at once */

/* Where credentials come from. */
enum gcs_source { GCS_AUTO, GCS_FILE, GCS_METADATA, GCS_ANONYMOUS };

/* A put whose outcome is not known, or that is under way. */
struct gcs_try {
  char *key, *session; /* session: the URL of an upload that can be resumed, which is as good as a password; NULL for none */
  char sha256[HFT_HEX], nonce[GCS_NONCE];
};

struct gcs {
  const struct holdfast_host *host;
  struct hft_http *http;
  const char *bucket, *project, *location, *user_project, *storage_class, *kms_key, *mode; /* mode: of retention. NULL: none */
  char *base; /* "https://storage.googleapis.com", without a slash at its end */
  bool google; /* base is Google's own */
  int64_t retain;
  int64_t as_of; /* what the bucket held then is what there is; 0: now */
  uint64_t resumable_min;
  uint32_t connections;
  atomic_bool proven; /* the service has been seen to refuse a second create */
  enum gcs_source source;
  const char *credentials_file; /* as the manifest has it */
  struct hft_token token;
  pthread_mutex_t lock; /* over what follows */
  struct gcs_try tries[GCS_TRIES];
  size_t next_try;    /* the oldest, which makes place for a new one */
  char *file_project; /* of the credentials; NULL: not known */
};

/* ---- config.c ---- */
enum {
  GCS_SET_BUCKET, GCS_SET_ENDPOINT, GCS_SET_PROJECT, GCS_SET_LOCATION, GCS_SET_CREDENTIALS, GCS_SET_CREDENTIALS_FILE, GCS_SET_STORAGE_CLASS, GCS_SET_KMS_KEY,
  GCS_SET_RETENTION, GCS_SET_RETAIN, GCS_SET_USER_PROJECT, GCS_SET_AS_OF, GCS_SET_RESUMABLE_MIN, GCS_SET_CONNECTIONS, GCS_SET_STALL
};
extern const struct holdfast_setting hf_gcs_settings[];
/* A target from its settings, all of them checked; nothing is sent. Free it with hf_gcs_free. */
int hf_gcs_new(const struct holdfast_host *host, const struct holdfast_value *values, struct gcs **out);
void hf_gcs_free(struct gcs *t);
/* A variable of the environment, NULL when it is not there or empty. */
const char *hf_gcs_env(const char *name);

/* ---- credentials.c: what the JSON of a credentials file says ---- */
enum gcs_kind { GCS_SERVICE_ACCOUNT, GCS_AUTHORIZED_USER, GCS_EXTERNAL_ACCOUNT, GCS_IMPERSONATED };
/* The texts are the struct's own, NULL where the file says nothing. */
struct gcs_credentials {
  enum gcs_kind kind;
  char *project;
  char *token_url;                      /* where tokens are asked for */
  char *email, *key_id, *private_key;   /* a service account: the key is PEM */
  char *client_id, *secret, *refresh;   /* a user */
  char *audience, *subject_type;        /* an external account */
  char *file, *url, *field;             /* its token: where from; field: of a JSON, NULL: it is the text itself */
  struct hft_header headers[8];         /* of the request to url */
  size_t n_headers;
  char *impersonate;                    /* the URL that gives tokens of another account; NULL: none */
  int64_t lifetime;                     /* of those, in seconds */
  struct gcs_credentials *source;       /* GCS_IMPERSONATED: who asks for them */
};
/* False when it is no such JSON, or of a kind that holdfast does not know; why (cap bytes) says what is wrong, and nothing of what is secret. */
bool hf_gcs_credentials_read(const char *text, size_t n, struct gcs_credentials *out, char *why, size_t cap);
/* NULL in its texts is fine. */
void hf_gcs_credentials_free(struct gcs_credentials *c);
/* May a secret be sent to this URL? Over TLS, or to this machine; near: also to the metadata services of clouds. */
bool hf_gcs_url_ok(const char *url, bool near);

/* ---- jwt.c ---- */
/* A signed token by which a service account asks for an access token (RFC 7523): valid for an hour from now, in seconds since 1970. False when it cannot be
 * made; *why says why. */
bool hf_gcs_jwt(const struct gcs_credentials *c, const char *scope, int64_t now, struct hft_buf *out, const char **why);

/* ---- oauth.c: access tokens for credentials, from who hands them out ---- */
/* What goes wrong at a token endpoint, in terms of the credentials. error and description are the answer's (RFC 6749, section 5.2). *hint: NULL for none. */
int hf_gcs_token_class(int http, const char *error, const char *description, const char **hint);
int hf_gcs_oauth(struct gcs *t, const struct gcs_credentials *c, const char *scope, char **token, int64_t *expires);
/* From the metadata service of a virtual machine or container. HOLDFAST_E_TRANSIENT when nobody answers. */
int hf_gcs_metadata_token(struct gcs *t, char **token, int64_t *expires);

/* ---- auth.c: the token in use ---- */
/* hft_token_fetch of a struct gcs: finds the credentials anew, as their file may have been replaced. */
int hf_gcs_fetch_token(void *ctx, char **token, int64_t *expires);
/* The project the credentials belong to, copied to out; "" when they do not say. */
void hf_gcs_project(struct gcs *t, char *out, size_t cap);

/* ---- errors.c ---- */
/* What the JSON of an error says; "" where it says nothing. */
struct gcs_error {
  char reason[64], message[400];
};
void hf_gcs_error_read(const char *json, size_t n, struct gcs_error *out);
/* The class of an error by its reason and message and, where they say nothing, by the HTTP code. *hint is what to tell the user, or NULL. */
int hf_gcs_class(int http, const struct gcs_error *e, const char **hint);
/* Does it say that the bucket itself is missing? */
bool hf_gcs_no_bucket(const struct gcs_error *e);
/* The "storage.objects.create" or the like that a message names, copied to out; "" for none. */
void hf_gcs_permission(const char *message, char *out, size_t cap);
/* How far this host's clock is from the one that set the Date of an answer, in words: ": this host is 90 s ahead"; "" when that is less than a minute. */
void hf_gcs_clock_words(const struct hft_response *rs, char *out, size_t cap);

/* ---- request.c ---- */
enum gcs_what { GCS_OBJECT, GCS_OBJECTS, GCS_BUCKET, GCS_BUCKETS, GCS_UPLOAD, GCS_SESSION };
struct gcs_call {
  enum gcs_what what;
  const char *method, *action; /* action: the permission that is wanted, for messages */
  const char *key;             /* GCS_OBJECT */
  const char *session;         /* GCS_SESSION: its URL */
  const char *query;           /* encoded; NULL for none */
  struct hft_header extra[GCS_EXTRA];
  size_t n_extra;
  const void *body;
  uint64_t size;
  int also; /* a code that is as good as 200 to 299 */
  int (*begin)(void *ctx, const struct hft_response *rs);
  int (*sink)(void *ctx, const void *data, size_t n);
  void *ctx;
  size_t max_body;
};
/* Send it with a token, wait. HOLDFAST_OK when the answer is a success; else a status with its message, and rs->code (0: no answer) for who wants to know. */
int hf_gcs_call(struct gcs *t, const struct gcs_call *c, struct hft_response *rs);
void hf_gcs_extra(struct gcs_call *c, const char *name, const char *value);

/* ---- bucket.c ---- */
/* Is the bucket there, ours to use, and fit for the settings? create: make it if it is not there. */
int hf_gcs_bucket_check(struct gcs *t, bool create);

/* ---- object.c: what the service says of an object ---- */
struct gcs_object {
  uint64_t size;
  char generation[24], crc32c[16], md5[32], sha256[HFT_HEX], nonce[GCS_NONCE], mode[16]; /* "" where it says nothing */
  int64_t until; /* of mode */
};
/* False when it is no such JSON; *why says what is missing. */
bool hf_gcs_object_read(const char *json, size_t n, struct gcs_object *out, const char **why);
/* Ask for it. generation: NULL for the newest. HOLDFAST_E_NOT_FOUND. */
int hf_gcs_object_get(struct gcs *t, const char *key, const char *generation, struct gcs_object *out);

/* ---- put.c, upload.c, get.c, list.c, remove.c, retention.c ---- */
int hf_gcs_put(void *handle, const struct holdfast_object *object);
int hf_gcs_get(void *handle, const char *key, uint64_t offset, uint64_t length, holdfast_sink sink, void *ctx);
int hf_gcs_stat(void *handle, const char *key, struct holdfast_stat *out);
int hf_gcs_list(void *handle, const char *prefix, holdfast_lister lister, void *ctx);
int hf_gcs_remove(void *handle, const char *const *keys, size_t n, int *statuses);
int hf_gcs_extend(void *handle, const char *const *keys, size_t n, int *statuses);
/* See that the retention of an object that is there lasts as long as if it were put now. */
int hf_gcs_keep(struct gcs *t, const char *key, const struct gcs_object *now);

/* What is sent with an object and compared with what comes back. */
struct gcs_sums {
  char crc32c[HFT_CRC32C_TEXT], md5[HFT_BASE64]; /* md5: "" where this host has none */
};
/* Send an object, in one request or, from resumable_min bytes on, by a session that try->session keeps for the next attempt. generation: what the key must
 * have, "0" for nothing. HOLDFAST_E_EXISTS when it has another one. out: what the service says it has stored. */
int hf_gcs_upload(struct gcs *t, const struct holdfast_object *o, const struct gcs_sums *sums, const char *generation, struct gcs_try *try,
                  struct gcs_object *out);
/* The offset that the answer of a session gives: "bytes=0-41" is 42, NULL is 0. False when it is not that, or beyond size. */
bool hf_gcs_session_offset(const char *range, uint64_t size, uint64_t *offset);

/* ---- page.c: one page of a listing, read and checked before anything of it is used ---- */
struct gcs_entry {
  char *key;
  uint64_t size;
  /* of versions only */
  char generation[24];
  int64_t created, deleted; /* deleted: INT64_MAX: it is not */
};
struct gcs_page {
  struct gcs_entry *v;
  size_t n;
  char *next; /* NULL: it is the last */
};
/* versions: each entry must have a generation and its times. 0, or 1 with an explanation in why. Free the page either way. */
int hf_gcs_page_read(const char *json, size_t n, bool versions, struct gcs_page *out, const char **why);
void hf_gcs_page_free(struct gcs_page *p);

/* ---- list.c ---- */
/* The generation of a key that was there at as_of, to be freed. */
int hf_gcs_generation_as_of(struct gcs *t, const char *key, char **generation);

#pragma GCC visibility pop
#endif
