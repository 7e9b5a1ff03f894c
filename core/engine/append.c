/* append.c - one more record on the chain; and the secret, whenever the recipients change.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/append.h"

#include "engine/adopt.h"
#include "engine/intent.h"
#include "base/text.h"

bool hf_target_is_level(const struct hf_session *s, size_t i) {
  const struct hf_target_chain *c = &s->chains[i];
  return !c->unreadable && c->missing == 0;
}

static char *random_id(void) {
  unsigned char b[16];
  char hex[sizeof b * 2 + 1];
  hf_random(b, sizeof b);
  hf_hex(hex, b, sizeof b);
  return hf_strdup(hex);
}

static int take_place(struct hf_session *s, struct hf_record *rec, struct hf_error *err) {
  rec->seq = s->head + 1;
  memset(&rec->prev, 0, sizeof rec->prev);
  if (s->head > 0) {
    int r = hf_state_record_get(s->state, s->head, &rec->prev, NULL, err);
    if (r <= 0) return r < 0 ? r : hf_fail(err, HOLDFAST_E_CORRUPT, "the newest record %llu is not remembered", (unsigned long long)s->head);
  }
  snprintf(rec->repo_id, sizeof rec->repo_id, "%s", s->repo_id);
  if (!rec->id) rec->id = random_id();
  if (!rec->host) rec->host = hf_strdup(s->manifest->host);
  if (!rec->tool) rec->tool = hf_strdup(HF_TOOL);
  if (!rec->time) rec->time = hf_wall_clock();
  return 0;
}

static bool goes_to(const struct hf_session *s, size_t i, bool (*may_have)(void *, size_t), void *ctx) {
  return !hf_target_failure(s->targets[i]) && hf_target_is_level(s, i) && (!may_have || may_have(ctx, i));
}

int hf_append(struct hf_session *s, struct hf_record *rec, bool (*may_have)(void *, size_t), void *ctx, size_t *reached, struct hf_error *err) {
  struct hf_list recipients = HF_LIST_INIT;
  HF_CLEANUP(hf_buf_free) struct hf_buf json = HF_BUF_INIT, sealed = HF_BUF_INIT;
  *reached = 0;
  int r = take_place(s, rec, err);
  if (r == 0) r = hf_session_all_recipients(s, &recipients, err);
  if (r == 0) {
    hf_record_write(rec, &json);
    r = hf_gpg_seal(s->host, &recipients, s->host_key, json.data, json.len, &sealed, err);
  }
  hf_list_free(&recipients);
  if (r < 0) return r;

  struct hf_digest d;
  char key[HF_KEY_MAX];
  hf_sha256(sealed.data, sealed.len, &d);
  hf_key_record(key, rec->seq, &d);
  struct hf_error last = {0};
  struct hf_list names = HF_LIST_INIT;
  for (size_t i = 0; i < s->n_targets; i++) {
    if (goes_to(s, i, may_have, ctx)) hf_list_add(&names, hf_target_name(s->targets[i]));
  }
  /* The first record is looked for by init itself. */
  if (rec->seq > 1 && names.n > 0) r = hf_intent_note(s, rec->seq, &d, &json, &sealed, &names, err);
  hf_list_free(&names);
  if (r < 0) return r;
  for (size_t i = 0; i < s->n_targets; i++) {
    struct hf_target *t = s->targets[i];
    struct hf_error e = {0};
    if (!goes_to(s, i, may_have, ctx)) continue;
    /* The name holds the digest: a record that is there already is this one, put by a try that seemed to fail. */
    int p = hf_target_put(t, key, sealed.data, sealed.len, &d, true, &e);
    if (p < 0 && p != HOLDFAST_E_EXISTS) {
      hf_target_set_failed(t, &e);
      last = e;
      continue;
    }
    s->chains[i].head = rec->seq;
    if ((r = hf_session_remember_head(s, hf_target_name(t), rec->seq, err)) < 0) return r;
    (*reached)++;
  }
  if (*reached == 0) return hf_fail(err, last.code ? last.code : HOLDFAST_E_FAILED, "the record could be stored at no target%s%s", last.msg[0] ? ": " : "", last.msg);
  r = hf_state_record_add(s->state, rec->seq, &d, json.data, json.len, err);
  if (r == 0) r = hf_intent_done(s, err);
  if (r == 0) s->head = rec->seq;
  return r;
}

static char *join(const struct hf_list *l) {
  struct hf_buf b = HF_BUF_INIT;
  for (size_t i = 0; i < l->n; i++) hf_buf_addf(&b, "%s%s", i ? " " : "", l->v[i]);
  return hf_buf_take(&b);
}

/* Put an object at all targets; those that fail drop out. */
static int put_all(struct hf_session *s, const char *key, const void *p, size_t n, const struct hf_digest *d, struct hf_error *err) {
  size_t good = 0;
  struct hf_error e = {0};
  for (size_t i = 0; i < s->n_targets; i++) {
    if (hf_target_failure(s->targets[i])) continue;
    if (hf_target_put(s->targets[i], key, p, n, d, false, &e) < 0) hf_target_set_failed(s->targets[i], &e);
    else good++;
  }
  return good ? 0 : hf_fail(err, e.code ? e.code : HOLDFAST_E_FAILED, "no target is left to write to%s%s", e.msg[0] ? ": " : "", e.msg);
}

static int put_secret(struct hf_session *s, const struct hf_list *recipients, struct hf_digest *object, struct hf_error *err) {
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF_INIT, sealed = HF_BUF_INIT;
  hf_secret_text(&s->secret, &text);
  int r = hf_gpg_seal(s->host, recipients, s->host_key, text.data, text.len, &sealed, err);
  hf_wipe(text.data, text.len);
  if (r < 0) return r;
  char key[HF_KEY_MAX];
  hf_sha256(sealed.data, sealed.len, object);
  hf_key_secret(key, object);
  return put_all(s, key, sealed.data, sealed.len, object, err);
}

/* The host key, for whoever has to be the host when this one is lost: to the recipients of [holdfast], and to nobody who may read single sources only. */
static int put_host_key(struct hf_session *s, const struct hf_list *recipients, char hex[HF_SHA256_HEX], struct hf_error *err) {
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF_INIT, sealed = HF_BUF_INIT;
  struct hf_digest d;
  char key[HF_KEY_MAX];
  int r = hf_hostkey_text(s, &text, err);
  if (r == 0) r = hf_gpg_seal(s->host, recipients, s->host_key, text.data, text.len, &sealed, err);
  if (text.data) hf_wipe(text.data, text.len);
  if (r < 0) return r;
  hf_sha256(sealed.data, sealed.len, &d);
  hf_digest_hex(&d, hex);
  hf_key_secret(key, &d);
  return put_all(s, key, sealed.data, sealed.len, &d, err);
}

/* The digests of the texts that this holdfast puts into repositories: {"texts": {"README.txt": DIGEST, "recover.sh": DIGEST}}. Who restores runs that script. */
static json_t *texts_json(void) {
  struct hf_digest readme, recover;
  char a[HF_SHA256_HEX], b[HF_SHA256_HEX];
  hf_sha256(hf_text_readme, strlen(hf_text_readme), &readme);
  hf_sha256(hf_text_recover, strlen(hf_text_recover), &recover);
  hf_digest_hex(&readme, a);
  hf_digest_hex(&recover, b);
  return json_pack("{s:{s:s, s:s}}", "texts", "README.txt", a, "recover.sh", b);
}

int hf_update_keys(struct hf_session *s, struct hf_digest *object, struct hf_error *err) {
  struct hf_list recipients = HF_LIST_INIT, keepers = HF_LIST_INIT;
  HF_CLEANUP(hf_freep) char *now = NULL, *before = NULL, *known = NULL, *texts = NULL, *kept_by = NULL, *keep = NULL;
  json_t *extra = texts_json();
  HF_CLEANUP(hf_freep) char *new_texts = json_dumps(extra, JSON_COMPACT | JSON_SORT_KEYS);
  int r = hf_session_all_recipients(s, &recipients, err);
  if (r == 0) r = hf_state_get(s->state, "secret-recipients", &before, err);
  if (r == 0) r = hf_state_get(s->state, "secret-object", &known, err);
  if (r == 0) r = hf_state_get(s->state, "texts", &texts, err);
  if (r == 0) r = hf_state_get(s->state, "host-key-keepers", &kept_by, err);
  if (r == 0 && s->manifest->escrow) r = hf_session_recipients(s, &s->manifest->recipients, &keepers, err);
  if (r < 0) goto out;
  keep = join(&keepers);
  bool same_keepers = strcmp(keep, kept_by ? kept_by : "") == 0;
  now = join(&recipients);
  /* Without texts in the state the repository is older than they are. */
  bool same_texts = !texts || strcmp(texts, new_texts) == 0;
  if (s->head > 0 && before && known && strcmp(now, before) == 0 && same_texts && same_keepers && hf_digest_parse(known, object)) goto out;

  r = put_secret(s, &recipients, object, err);
  if (r < 0) goto out;
  struct hf_record *rec = hf_alloc(sizeof *rec);
  char hex[HF_SHA256_HEX];
  size_t reached;
  rec->type = s->head == 0 ? HF_RECORD_INIT : HF_RECORD_KEYS;
  rec->secret = *object;
  hf_list_add(&rec->host_keys, s->host_key);
  bool tell = s->head == 0 || texts;
  if (tell) rec->extra = json_incref(extra);
  if (keepers.n > 0 && !same_keepers) {
    char object_hex[HF_SHA256_HEX] = "";
    r = put_host_key(s, &keepers, object_hex, err);
    if (!rec->extra) rec->extra = json_object();
    json_object_set_new(rec->extra, "host_key_object", json_string(object_hex));
  }
  if (r == 0) r = hf_append(s, rec, NULL, NULL, &reached, err);
  hf_record_free(rec);
  hf_digest_hex(object, hex);
  if (r == 0) r = hf_state_set(s->state, "secret-recipients", now, err);
  if (r == 0) r = hf_state_set(s->state, "secret-object", hex, err);
  if (r == 0 && tell) r = hf_state_set(s->state, "texts", new_texts, err);
  if (r == 0) r = hf_state_set(s->state, "host-key-keepers", keep, err);
  if (r == 0) r = hf_state_commit(s->state, err);
  if (r == 0 && before && strcmp(now, before) != 0) hf_log(HF_LOG_NOTICE, "the recipients have changed: the repository secret is encrypted to the new ones; sources whose recipients changed are stored afresh");
out:
  json_decref(extra);
  hf_list_free(&recipients);
  hf_list_free(&keepers);
  return r;
}
