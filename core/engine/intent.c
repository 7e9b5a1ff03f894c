/* intent.c - a record on its way to the targets.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/intent.h"

#include "base/json.h"
#include "base/text.h"
#include "engine/append.h"

#define INTENT "record-under-way"

int hf_intent_note(struct hf_session *s, uint64_t seq, const struct hf_digest *d, const struct hf_buf *json, const struct hf_buf *sealed, const struct hf_list *targets, struct hf_error *err) {
  char digest[HF_SHA256_HEX];
  HF_CLEANUP(hf_freep) char *hex = hf_allocn(sealed->len * 2 + 1, 1), *text = NULL;
  json_t *names = json_array();
  hf_digest_hex(d, digest);
  hf_hex(hex, sealed->data, sealed->len);
  for (size_t i = 0; i < targets->n; i++) json_array_append_new(names, json_string(targets->v[i]));
  json_t *o = json_pack("{s:I, s:s, s:s%, s:s, s:o}", "seq", (json_int_t)seq, "sha256", digest, "record", json->data, json->len, "object", hex, "targets", names);
  if (o) text = json_dumps(o, JSON_COMPACT);
  json_decref(o);
  if (!text) return hf_fail(err, HOLDFAST_E_FAILED, "record %llu cannot be written down", (unsigned long long)seq);
  int r = hf_state_set(s->state, INTENT, text, err);
  return r == 0 ? hf_state_commit(s->state, err) : r;
}

int hf_intent_done(struct hf_session *s, struct hf_error *err) { return hf_state_set(s->state, INTENT, "", err); }

struct intent {
  json_t *o;
  uint64_t seq;
  struct hf_digest digest;
  const char *record;
  struct hf_buf object;
};

static void intent_free(struct intent *x) {
  json_decref(x->o);
  hf_buf_free(&x->object);
}

/* 1, or 0: there is none, or none that can be used. */
static int read_intent(struct hf_session *s, struct intent *x, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *text = NULL;
  struct hf_digest d;
  *x = (struct intent){.object = HF_BUF_INIT};
  int r = hf_state_get(s->state, INTENT, &text, err);
  if (r < 0 || !text || !*text) return r;
  x->o = json_loads(text, 0, NULL);
  const char *hex = json_string_value(json_object_get(x->o, "object")), *digest = json_string_value(json_object_get(x->o, "sha256"));
  x->seq = (uint64_t)json_integer_value(json_object_get(x->o, "seq"));
  x->record = json_string_value(json_object_get(x->o, "record"));
  if (!hex || strlen(hex) % 2 || !digest || strlen(digest) != 64 || !hf_digest_parse(digest, &x->digest) || !x->record) return 0;
  size_t n = strlen(hex) / 2;
  HF_CLEANUP(hf_freep) char *bytes = hf_allocn(n + 1, 1);
  if (!hf_unhex(bytes, hex, n)) return 0;
  hf_buf_add(&x->object, bytes, n);
  hf_sha256(x->object.data, n, &d);
  return hf_digest_eq(&d, &x->digest);
}

static bool goes_to(const struct intent *x, const char *target) {
  const json_t *v;
  size_t i;
  json_array_foreach(json_object_get(x->o, "targets"), i, v) {
    if (json_is_string(v) && strcmp(json_string_value(v), target) == 0) return true;
  }
  return false;
}

/* At how many targets is it now? */
static size_t put(struct hf_session *s, const struct intent *x, bool *has) {
  size_t n = 0;
  char key[HF_KEY_MAX];
  hf_key_record(key, x->seq, &x->digest);
  for (size_t i = 0; i < s->n_targets; i++) {
    struct hf_target *t = s->targets[i];
    struct hf_error e = {0};
    if (hf_target_failure(t) || !hf_target_is_level(s, i) || !goes_to(x, hf_target_name(t))) continue;
    int r = hf_target_put(t, key, x->object.data, x->object.len, &x->digest, true, &e);
    has[i] = r == 0 || r == HOLDFAST_E_EXISTS;
    n += has[i];
    if (!has[i]) hf_log(HF_LOG_WARNING, "%s", e.msg);
  }
  return n;
}

int hf_intent_resume(struct hf_session *s, struct hf_error *err) {
  struct intent x;
  bool *has = hf_allocn(s->n_targets + 1, sizeof *has);
  int r = read_intent(s, &x, err);
  if (r == 1 && x.seq == s->head + 1) {
    if (put(s, &x, has) == 0) {
      hf_log(HF_LOG_WARNING, "record %llu was on its way when a run was cut off, and none of the targets that it was meant for can take it now", (unsigned long long)x.seq);
      goto out;
    }
    r = hf_state_record_add(s->state, x.seq, &x.digest, x.record, strlen(x.record), err);
    if (r == 0) {
      s->head = x.seq;
      hf_log(HF_LOG_NOTICE, "record %llu was on its way when a run was cut off: that is done now", (unsigned long long)x.seq);
    }
    for (size_t i = 0; r == 0 && i < s->n_targets; i++) {
      struct hf_target_chain *c = &s->chains[i];
      if (has[i]) c->head = x.seq;
      else if (!c->unreadable && c->missing++ == 0) c->first_missing = x.seq;
    }
    if (r == 0) r = hf_intent_done(s, err);
  } else if (r == 1 && x.seq <= s->head) {
    r = hf_intent_done(s, err);
  }
out:
  intent_free(&x);
  free(has);
  return HF_MIN(r, 0);
}
