/* json.c - checked reading of jansson objects.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/json.h"

#include "base/internal.h"

void hf_json_decrefp(json_t **j) {
  json_decref(*j);
  *j = NULL;
}

json_t *hf_json_parse(const char *p, size_t n, struct hf_error *err) {
  json_error_t je;
  json_t *j = json_loadb(n ? p : "", n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);
  if (!j) hf_fail(err, HOLDFAST_E_CORRUPT, "not valid JSON: line %d, column %d: %s", je.line, je.column, je.text);
  return j;
}

/* 1 and *v when the member is there, 0 when it may be absent and is. */
static int member(const json_t *o, const char *key, bool required, json_t **v, struct hf_error *err) {
  if (!json_is_object(o)) return hf_fail(err, HOLDFAST_E_CORRUPT, "a JSON object was expected where \"%s\" should be", key);
  *v = json_object_get(o, key);
  if (*v) return 1;
  return required ? hf_fail(err, HOLDFAST_E_CORRUPT, "JSON member \"%s\" is missing", key) : 0;
}

static int wrong_type(const char *key, const char *want, struct hf_error *err) {
  return hf_fail(err, HOLDFAST_E_CORRUPT, "JSON member \"%s\" is not %s", key, want);
}

int hf_json_str(const json_t *o, const char *key, bool required, const char **out, struct hf_error *err) {
  json_t *v;
  int rc = member(o, key, required, &v, err);
  if (rc <= 0) return rc;
  if (!json_is_string(v)) return wrong_type(key, "a string", err);
  *out = json_string_value(v);
  return 0;
}

int hf_json_u64(const json_t *o, const char *key, bool required, uint64_t *out, struct hf_error *err) {
  json_t *v;
  int rc = member(o, key, required, &v, err);
  if (rc <= 0) return rc;
  if (!json_is_integer(v) || json_integer_value(v) < 0) return wrong_type(key, "a non-negative integer", err);
  *out = (uint64_t)json_integer_value(v);
  return 0;
}

int hf_json_i64(const json_t *o, const char *key, bool required, int64_t *out, struct hf_error *err) {
  json_t *v;
  int rc = member(o, key, required, &v, err);
  if (rc <= 0) return rc;
  if (!json_is_integer(v)) return wrong_type(key, "an integer", err);
  *out = json_integer_value(v);
  return 0;
}

int hf_json_bool(const json_t *o, const char *key, bool required, bool *out, struct hf_error *err) {
  json_t *v;
  int rc = member(o, key, required, &v, err);
  if (rc <= 0) return rc;
  if (!json_is_boolean(v)) return wrong_type(key, "true or false", err);
  *out = json_is_true(v);
  return 0;
}

int hf_json_arr(const json_t *o, const char *key, bool required, json_t **out, struct hf_error *err) {
  json_t *v;
  int rc = member(o, key, required, &v, err);
  if (rc <= 0) return rc;
  if (!json_is_array(v)) return wrong_type(key, "an array", err);
  *out = v;
  return 0;
}

int hf_json_obj(const json_t *o, const char *key, bool required, json_t **out, struct hf_error *err) {
  json_t *v;
  int rc = member(o, key, required, &v, err);
  if (rc <= 0) return rc;
  if (!json_is_object(v)) return wrong_type(key, "an object", err);
  *out = v;
  return 0;
}

json_t *hf_json_bytes(const void *p, size_t n) {
  const unsigned char *b = p;
  size_t i = 0, len;
  while (i < n && b[i] != 0 && (len = hf_utf8_seq(b + i, n - i, NULL)) > 0) i += len;
  struct hf_buf out = HF_BUF_INIT;
  if (i < n) {
    for (i = 0; i < n;) {
      len = b[i] == 0 || b[i] == '\\' ? 0 : hf_utf8_seq(b + i, n - i, NULL);
      if (len == 0) hf_buf_addf(&out, "\\%03o", b[i++]);
      else hf_buf_add(&out, b + i, len), i += len;
    }
  } else {
    hf_buf_add(&out, p, n);
  }
  json_t *j = json_stringn(out.data, out.len);
  if (!j) hf_die("holdfast: error: out of memory\n");
  hf_buf_free(&out);
  return j;
}
