/* azure.h - the azure target: what its files share.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * An object of key K is the block blob K of a container, put in one request with a checksum that the server compares, or in blocks that nobody sees
 * before they are put together. Its SHA-256 is kept as the metadata "sha256". Nothing else is stored.
 */
#ifndef HF_AZURE_H
#define HF_AZURE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <holdfast/target.h>

#include "../common/digest.h"
#include "../common/http.h"
#include "../common/key.h"
#include "../common/text.h"
#include "../common/token.h"

#pragma GCC visibility push(hidden)

#define AZURE_PAGE 1000           /* blobs of one page of a listing */
#define AZURE_PAGE_MAX (8u << 20) /* bytes of such an answer: each blob has about 1.5 KiB of properties beside its name */
#define AZURE_EXTRA 16            /* headers of a request beyond those every one has */
#define AZURE_HEADERS (AZURE_EXTRA + 8)
#define AZURE_KEY_MAX 128 /* bytes of an account key; they have 64 */
#define AZURE_LOST 64     /* created objects that are remembered because the answer was lost; see lost.c */
#define AZURE_EMULATOR_ACCOUNT "devstoreaccount1"

/* What a request shows to prove who asks. */
enum azure_proof { AZURE_PROOF_KEY = 1, AZURE_PROOF_SAS, AZURE_PROOF_TOKEN };
/* Where a token comes from. */
enum azure_identity { AZURE_NO_IDENTITY, AZURE_SERVICE_PRINCIPAL, AZURE_WORKLOAD, AZURE_MANAGED };
enum azure_checksum { AZURE_MD5, AZURE_CRC64 };

struct azure_lost {
  char *key;
  char sha256[HFT_HEX];
};

struct azure {
  const struct holdfast_host *host;
  struct hft_http *http;
  char *container, *account;
  /* Of the service, no slash at its end: "https://ACCOUNT.blob.core.windows.net", "http://127.0.0.1:10000/devstoreaccount1". */
  char *endpoint;
  char *url;           /* of the container */
  char *name;          /* the endpoint's host, for messages */
  size_t path_at;      /* where the path begins in url */
  const char *version; /* of the service's interface */
  uint32_t connections;
  /* how it is kept */
  const char *tier; /* header value; NULL: the account's */
  int64_t tier_min;
  enum azure_checksum checksum;
  uint64_t put_max, block_size;
  const char *immutability; /* header value; NULL: none */
  int64_t retain;
  atomic_bool proven;                                  /* the service has been seen to know about policies */
  const char *scope;                                   /* encryption scope, or NULL */
  char *customer_key, customer_key_sha256[HFT_BASE64]; /* customer-provided key in base64, or NULL */
  const char *thaw, *thaw_tier;                        /* header values; thaw NULL: do not */
  int64_t as_of;                                       /* what the container held then is what there is; 0: now */
  /* who is asking */
  enum azure_proof proof;
  unsigned char key[AZURE_KEY_MAX];
  size_t key_n;
  char *sas; /* without a question mark */
  enum azure_identity identity;
  bool automatic;                                                /* the identity was not asked for: it was what remained */
  const char *tenant, *client, *secret, *authority, *token_file; /* of the identity; of the settings or the environment */
  struct hft_token token;
  pthread_mutex_t lock; /* over what follows */
  struct azure_lost lost[AZURE_LOST];
  unsigned lost_at;
};

/* ---- config.c ---- */
enum {
  AZURE_SET_CONTAINER,
  AZURE_SET_ACCOUNT,
  AZURE_SET_ENDPOINT,
  AZURE_SET_API_VERSION,
  AZURE_SET_CONNECTIONS,
  AZURE_SET_STALL,
  AZURE_SET_CREDENTIALS,
  AZURE_SET_ACCOUNT_KEY,
  AZURE_SET_SAS_TOKEN,
  AZURE_SET_CONNECTION_STRING,
  AZURE_SET_TENANT_ID,
  AZURE_SET_CLIENT_ID,
  AZURE_SET_CLIENT_SECRET,
  AZURE_SET_AUTHORITY_HOST,
  AZURE_SET_TIER,
  AZURE_SET_TIER_MIN,
  AZURE_SET_CHECKSUM,
  AZURE_SET_PUT_MAX,
  AZURE_SET_BLOCK_SIZE,
  AZURE_SET_IMMUTABILITY,
  AZURE_SET_RETAIN,
  AZURE_SET_ENCRYPTION_SCOPE,
  AZURE_SET_ENCRYPTION_KEY,
  AZURE_SET_THAW,
  AZURE_SET_THAW_TIER,
  AZURE_SET_AS_OF
};
extern const struct holdfast_setting hf_azure_settings[];
/* A target from its settings, all of them checked; nothing is sent. Free it with hf_azure_free. */
int hf_azure_new(const struct holdfast_host *host, const struct holdfast_value *values, struct azure **out);
void hf_azure_free(struct azure *t);

/* ---- connection.c: connection strings ---- */
/* The texts are the struct's own, NULL for what is not said. */
struct azure_connection {
  char *protocol, *account, *key, *suffix, *endpoint, *sas;
};
/* Read "Name=value;...". False when it is no such text; why (cap bytes) names what is wrong, and no value. Free it either way. */
bool hf_azure_connection_read(const char *text, struct azure_connection *out, char *why, size_t cap);
void hf_azure_connection_free(struct azure_connection *c);

/* ---- credentials.c: which proof, from where ---- */
/* From the settings and the environment: proof, key, sas, identity, and of a connection string account and endpoint, too. Nothing is sent. */
int hf_azure_credentials(struct azure *t, const struct holdfast_value *v);
/* A setting's text, or NULL; a variable's, or NULL if it is empty. */
const char *hf_azure_text(const struct holdfast_value *v);
const char *hf_azure_env(const char *name);
/* A secret or token must not travel in the clear, but to this machine. */
bool hf_azure_safe_url(const char *url);

/* ---- identity.c: tokens ---- */
/* An hft_token_fetch; ctx is the target. */
int hf_azure_token_fetch(void *ctx, char **token, int64_t *expires);
/* What the JSON of a token service's refusal says: an AADSTS number or an error's name, and a sentence; "" where it says nothing. */
struct azure_refusal {
  char code[64], message[256];
};
void hf_azure_refusal_read(const char *json, size_t n, struct azure_refusal *out);

/* ---- sign.c ---- */
struct azure_signing {
  const char *account;
  const unsigned char *key;
  size_t key_n;
  const char *method;
  const char *path;                 /* percent-encoded, as in the URL */
  const char *query;                /* percent-encoded "a=1&b=2", in any order; "" for none */
  const struct hft_header *headers; /* x-ms-date among them; those that no signature covers may be there, too */
  size_t n_headers;
  uint64_t size; /* of the body */
};
/* What is signed with the account's key, for tests and for a look at it. */
void hf_azure_string_to_sign(const struct azure_signing *s, struct hft_buf *out);
/* Append the value of the Authorization header. out->bad says that it could not be made. */
void hf_azure_authorization(const struct azure_signing *s, struct hft_buf *out);

/* ---- crc64.c ---- */
/* The checksum of x-ms-content-crc64, as that header has it. */
void hf_azure_crc64(const void *p, size_t n, char out[HFT_BASE64]);

/* ---- errors.c ---- */
/* What an error says; "" where it says nothing. */
struct azure_error {
  char code[96], message[256], detail[256];
};
/* header: that of x-ms-error-code, or NULL: a HEAD has no other. */
void hf_azure_error_read(const char *xml, size_t n, const char *header, struct azure_error *out);
/* The class of an error by its code and, where that says nothing, by the HTTP code. *hint is what to tell the user, or NULL. */
int hf_azure_class(int http, const char *code, const char **hint);

/* ---- request.c ---- */
struct azure_call {
  const char *method;
  const char *action; /* what RBAC calls what is wanted, below Microsoft.Storage/storageAccounts/blobServices/, for messages */
  char permission;    /* the letter it has in a SAS token */
  const char *key;    /* NULL: the container itself */
  const char *query;  /* encoded; NULL for none */
  struct hft_header extra[AZURE_EXTRA];
  size_t n_extra;
  const void *body;
  uint64_t size;
  int (*begin)(void *ctx, const struct hft_response *rs);
  int (*sink)(void *ctx, const void *data, size_t n);
  void *ctx;
  size_t max_body;
};
/* Prove, send, wait. HOLDFAST_OK when the answer is a success; else a status with its message, and rs->code for who wants to know. */
int hf_azure_call(struct azure *t, const struct azure_call *c, struct hft_response *rs);
/* The status of an answer that is no success, with its message. */
int hf_azure_refused(const struct azure *t, const struct azure_call *c, const struct hft_response *rs);
/* A NULL value adds nothing. */
void hf_azure_extra(struct azure_call *c, const char *name, const char *value);
/* Those of a customer-provided key, where there is one. */
void hf_azure_extra_key(const struct azure *t, struct azure_call *c);
/* Is that the code of the error in this answer? */
bool hf_azure_says(const struct hft_response *rs, const char *code);

/* ---- container.c ---- */
/* Is the container there, and can it do what the settings want of it? create: make it if it is not. */
int hf_azure_container_check(struct azure *t, bool create);

/* ---- put.c, blocks.c, get.c, list.c, remove.c ---- */
int hf_azure_put(void *handle, const struct holdfast_object *object);
int hf_azure_get(void *handle, const char *key, uint64_t offset, uint64_t length, holdfast_sink sink, void *ctx);
int hf_azure_stat(void *handle, const char *key, struct holdfast_stat *out);
int hf_azure_list(void *handle, const char *prefix, holdfast_lister lister, void *ctx);
int hf_azure_remove(void *handle, const char *const *keys, size_t n, int *statuses);

/* What goes with a body: its checksum. */
struct azure_sum {
  char md5[HFT_BASE64], crc64[HFT_BASE64]; /* "" for the one that is not used */
};
int hf_azure_sum(const struct azure *t, const void *p, size_t n, struct azure_sum *out);
void hf_azure_extra_sum(struct azure_call *c, const struct azure_sum *sum);
/* HOLDFAST_E_CORRUPT when the server says that it has computed another one. */
int hf_azure_sum_check(const struct azure *t, const char *key, const struct azure_sum *sum, const struct hft_response *rs);
/* Send the object as blocks, put together by the call c, which has the headers of the blob and no body yet. rs: of that call. */
int hf_azure_put_blocks(struct azure *t, const struct holdfast_object *o, struct azure_call *c, struct hft_response *rs);

/* ---- lost.c: creations whose answer did not come ---- */
void hf_azure_lost_add(struct azure *t, const struct holdfast_object *o);
/* The service says that the key is taken: HOLDFAST_OK if it is by an own try whose answer was lost, HOLDFAST_E_EXISTS if not, another status with its
 * message if that cannot be told. */
int hf_azure_lost_own(struct azure *t, const struct holdfast_object *o);
void hf_azure_lost_free(struct azure *t);

/* ---- page.c: one page of a listing, read and checked before anything of it is used ---- */
struct azure_entry {
  char *key;
  uint64_t size;
  char *version; /* NULL: none */
  int64_t when;  /* of the version, or when it was last modified; 0: not said */
  bool folder;   /* of a hierarchical account: no blob */
};
struct azure_page {
  struct azure_entry *v;
  size_t n;
  char *next; /* marker; NULL: there is no more */
};
/* 0, or 1 with an explanation in why (cap bytes). Free the page either way. */
int hf_azure_page_read(const char *xml, size_t n, struct azure_page *out, char *why, size_t cap);
void hf_azure_entry_free(struct azure_entry *e);
void hf_azure_page_free(struct azure_page *p);

/* ---- list.c, for versions.c ---- */
/* All entries below the prefix, page by page, folders left out. versions: of those that were, too. A negative return of fn ends it with that. fn may take
 * what the entry has. */
int hf_azure_walk(struct azure *t, const char *prefix, bool versions, int (*fn)(void *ctx, struct azure_entry *e), void *ctx);
/* Hand one entry to the lister, if its key can be one of ours. */
int hf_azure_listed(const struct azure_entry *e, holdfast_lister lister, void *ctx);

/* ---- versions.c: the container as it was at as_of ---- */
int hf_azure_list_as_of(struct azure *t, const char *prefix, holdfast_lister lister, void *ctx);
/* Append "versionid=..." of the version of a key that was there then; nothing when as_of is not set, or the blob has no versions. */
int hf_azure_version_query(struct azure *t, const char *key, struct hft_buf *query);

/* ---- thaw.c ---- */
/* The blob lies in the archive: ask for it to be brought back, if the settings allow. Returns the status for the get, with its message. */
int hf_azure_thaw_one(struct azure *t, const char *key);
int hf_azure_thaw(void *handle, const char *const *keys, size_t n, int *statuses);

/* ---- retain.c: immutability policies ---- */
int hf_azure_extend(void *handle, const char *const *keys, size_t n, int *statuses);
/* Does the policy go with this key? Lock objects must be removable. */
bool hf_azure_retained(const struct azure *t, const char *key);
/* The object was stored with a policy: if it is not known whether the service does such, look whether it has it. */
int hf_azure_retain_prove(struct azure *t, const char *key);

#pragma GCC visibility pop
#endif
