/* json.h - thin, checked reading of jansson objects: missing or wrongly typed members give one clear error. */
#ifndef HF_JSON_H
#define HF_JSON_H

#include <jansson.h>

#include "base/base.h"

void hf_json_decrefp(json_t **j); /* for HF_CLEANUP */
/* Parse exactly one JSON value of n bytes; duplicate keys are refused. New reference, or NULL with *err filled. */
json_t *hf_json_parse(const char *p, size_t n, struct hf_error *err);
/* Member of an object by name and type. required: absent is an error; otherwise *out stays as it was. Borrowed references. */
int hf_json_str(const json_t *o, const char *key, bool required, const char **out, struct hf_error *err);
int hf_json_u64(const json_t *o, const char *key, bool required, uint64_t *out, struct hf_error *err); /* negative refused */
int hf_json_i64(const json_t *o, const char *key, bool required, int64_t *out, struct hf_error *err);
int hf_json_bool(const json_t *o, const char *key, bool required, bool *out, struct hf_error *err);
int hf_json_arr(const json_t *o, const char *key, bool required, json_t **out, struct hf_error *err);
int hf_json_obj(const json_t *o, const char *key, bool required, json_t **out, struct hf_error *err);
/* A string value for any bytes: UTF-8 as it is, other bytes as \ooo (and the backslash then too). */
json_t *hf_json_bytes(const void *p, size_t n);

#endif
