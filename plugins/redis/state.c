/* state.c - the state of a snapshot: what restore and verify will want to know, as JSON. There is no secret in it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "redis.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

char *hf_redis_state_write(const struct hf_redis_facts *f, const struct hf_redis_rdb *rdb) {
  json_t *o = json_object(), *counts = json_object();
  char name[24], text[HF_REDIS_HEAD + 1] = "";
  /* Where the server's own names are not UTF-8, json_string gives NULL, and json_object_set_new takes that for nothing to set. */
  json_object_set_new(o, "version", json_integer(1));
  if (f->info) {
    json_object_set_new(o, "redis", json_string(f->version));
    json_object_set_new(o, "mode", json_string(f->mode));
    json_object_set_new(o, "role", json_string(f->role));
    for (size_t i = 0; i < f->n_counts; i++) {
      snprintf(name, sizeof name, "%u", f->counts[i].db);
      json_object_set_new(counts, name, json_pack("[I,I]", (json_int_t)f->counts[i].keys, (json_int_t)f->counts[i].expires));
    }
    json_object_set(o, "keys", counts);
    if (f->changes >= 0) json_object_set_new(o, "changes", json_integer(f->changes));
  }
  json_object_set_new(o, "replid", json_string(f->replid));
  json_object_set_new(o, "offset", json_integer((json_int_t)f->offset));
  if (f->databases) json_object_set_new(o, "databases", json_integer(f->databases));
  if (f->config) {
    json_object_set_new(o, "dir", json_string(f->dir));
    json_object_set_new(o, "dbfilename", json_string(f->dbfilename));
    json_object_set_new(o, "appendonly", json_boolean(f->appendonly));
    json_object_set_new(o, "appendfilename", json_string(f->appendfilename));
    json_object_set_new(o, "appenddirname", json_string(f->appenddirname));
  }
  hf_redis_printable((const char *)rdb->head, HF_REDIS_HEAD, text, sizeof text);
  json_object_set_new(o, "rdb", json_string(text));
  json_object_set_new(o, "bytes", json_integer((json_int_t)rdb->total));
  json_object_set_new(o, "checksum", json_boolean(hf_redis_rdb_end(rdb) == HF_REDIS_RDB_OK));
  char *out = json_dumps(o, JSON_COMPACT);
  json_decref(counts);
  json_decref(o);
  return out;
}

static void read_text(const json_t *o, const char *key, char *out, size_t cap) {
  const char *s = json_string_value(json_object_get(o, key));
  if (s && strlen(s) < cap) memcpy(out, s, strlen(s) + 1);
}

static uint64_t read_number(const json_t *o) {
  json_int_t v = json_integer_value(o);
  return v > 0 ? (uint64_t)v : 0;
}

static void read_counts(struct hf_redis_facts *f, json_t *counts) {
  const char *name;
  json_t *pair;
  json_object_foreach(counts, name, pair) {
    struct hf_redis_count c = {.db = (unsigned)strtoul(name, NULL, 10),
                               .keys = read_number(json_array_get(pair, 0)),
                               .expires = read_number(json_array_get(pair, 1))};
    f->keys += c.keys;
    f->expires += c.expires;
    if (f->n_counts < HF_REDIS_DATABASES) f->counts[f->n_counts++] = c;
  }
}

int hf_redis_state_read(const struct holdfast_host *host, const char *text, struct hf_redis_facts *f) {
  memset(f, 0, sizeof *f);
  f->changes = -1;
  if (!text || !*text) return HOLDFAST_OK;
  json_t *o = json_loads(text, 0, NULL);
  if (!json_is_object(o) || json_integer_value(json_object_get(o, "version")) != 1) {
    int rc = json_is_object(o) ? holdfast_fail(host, HOLDFAST_E_UNSUPPORTED, "the state kept with the snapshot is of a newer version of this plugin")
                               : holdfast_fail(host, HOLDFAST_E_CORRUPT, "the state kept with the snapshot is damaged");
    json_decref(o);
    return rc;
  }
  json_t *counts = json_object_get(o, "keys"), *changes = json_object_get(o, "changes");
  read_text(o, "redis", f->version, sizeof f->version);
  read_text(o, "replid", f->replid, sizeof f->replid);
  f->offset = read_number(json_object_get(o, "offset"));
  f->info = json_is_object(counts);
  if (f->info) read_counts(f, counts);
  if (json_is_integer(changes)) f->changes = (int64_t)read_number(changes);
  uint64_t databases = read_number(json_object_get(o, "databases"));
  f->databases = databases < 1u << 20 ? (unsigned)databases : 1u << 20;
  f->config = json_is_string(json_object_get(o, "dir"));
  read_text(o, "dir", f->dir, sizeof f->dir);
  read_text(o, "dbfilename", f->dbfilename, sizeof f->dbfilename);
  read_text(o, "appendfilename", f->appendfilename, sizeof f->appendfilename);
  read_text(o, "appenddirname", f->appenddirname, sizeof f->appenddirname);
  f->appendonly = json_is_true(json_object_get(o, "appendonly"));
  json_decref(o);
  return HOLDFAST_OK;
}
