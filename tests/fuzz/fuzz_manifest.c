/* fuzz_manifest.c - fuzz target: a manifest's bytes, against a source and a target that are linked in. Nothing outside is read or run.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "../unit/fake_plugins.h"
#include "fuzz.h"
#include "manifest/internal.h"

/* What must hold whatever comes in; a trap is what fuzzers look for. */
static void must(bool ok) {
  if (!ok) __builtin_trap();
}

/* Settings survive the way to the worker process. */
static void round_trip(const struct hf_settings *s) {
  struct hf_settings *back = NULL;
  json_t *j = hf_settings_to_json(s);
  must(hf_settings_from_json(s->table, j, &back, NULL) == 0);
  for (size_t i = 0; i < s->n; i++) {
    must(back->values[i].count == s->values[i].count && back->values[i].number == s->values[i].number);
    for (uint32_t k = 0; k < s->values[i].count; k++) must(strcmp(back->values[i].strings[k], s->values[i].strings[k]) == 0);
  }
  hf_settings_free(back);
  json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  static struct hf_registry *registry;
  struct hf_manifest *m = NULL;
  struct hf_error err = {0};
  if (!registry) {
    unsetenv("HOLDFAST_PLUGIN_PATH"); /* no code but what is linked in */
    registry = fake_registry();
    must(registry != NULL);
  }
  int r = hf_manifest_parse((const char *)data, n, "/m.ini", registry, &m, &err);
  if (r < 0) {
    must(r == HOLDFAST_E_CONFIG && err.code == r && !m && strncmp(err.msg, "/m.ini", 6) == 0 && !strchr(err.msg, '\n'));
    return 0;
  }
  must(m->n_sources > 0 && m->n_targets > 0 && m->recipients.n > 0 && hf_is_instance_name(m->host) && m->state[0] == '/');
  for (size_t i = 0; i < m->n_sources; i++) {
    const struct hf_manifest_source *s = &m->sources[i];
    must(hf_is_instance_name(s->name) && hf_manifest_find_source(m, s->name) == s && s->recipients.n > 0);
    must(s->compression >= 1 && s->compression <= 19 && s->timeout >= 0 && s->settings->values[F_PATH].count > 0);
    round_trip(s->settings);
  }
  for (size_t i = 0; i < m->n_targets; i++) {
    must(hf_manifest_find_target(m, m->targets[i].name) == &m->targets[i]);
    round_trip(m->targets[i].settings);
  }
  for (size_t i = 0; i < m->n_notify; i++) {
    const struct hf_manifest_notify *c = &m->notify[i];
    must(hf_is_instance_name(c->name) && c->type < HF_CHANNELS && c->timeout >= 1 && c->timeout <= 3600 && c->at_most_every >= 0);
    must(c->settings->table == hf_channel_keys(c->type));
    round_trip(c->settings);
  }
  hf_manifest_free(m);
  return 0;
}
