/* lost.c - creations whose answer did not come.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A create-only put that ends without an answer may have stored the object. The host tries again, and then the key is taken: by that first try. So such
 * keys are remembered, the last AZURE_LOST of them, and a key that is taken and is among them is looked at.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "azure.h"

void hf_azure_lost_add(struct azure *t, const struct holdfast_object *o) {
  char *key = strdup(o->key);
  pthread_mutex_lock(&t->lock);
  struct azure_lost *l = &t->lost[t->lost_at++ % AZURE_LOST];
  /* Out of memory: then the next try says that the key is taken, which is true. */
  free(l->key);
  l->key = key;
  snprintf(l->sha256, sizeof l->sha256, "%.64s", o->sha256);
  pthread_mutex_unlock(&t->lock);
}

/* Forget it; was it there? */
static bool take(struct azure *t, const struct holdfast_object *o) {
  bool found = false;
  pthread_mutex_lock(&t->lock);
  for (size_t i = 0; i < AZURE_LOST; i++) {
    struct azure_lost *l = &t->lost[i];
    if (!l->key || strcmp(l->key, o->key) != 0 || strcmp(l->sha256, o->sha256) != 0) continue;
    free(l->key);
    l->key = NULL;
    found = true;
  }
  pthread_mutex_unlock(&t->lock);
  return found;
}

int hf_azure_lost_own(struct azure *t, const struct holdfast_object *o) {
  struct holdfast_stat st = {.struct_size = sizeof st};
  if (!take(t, o)) return HOLDFAST_E_EXISTS;
  int status = hf_azure_stat(t, o->key, &st);
  if (status == HOLDFAST_E_TRANSIENT || status == HOLDFAST_E_CANCELED) {
    hf_azure_lost_add(t, o);
    return status;
  }
  if (status == HOLDFAST_OK && st.size == o->size && strcmp(st.sha256, o->sha256) == 0) return HOLDFAST_OK;
  return holdfast_fail(t->host, HOLDFAST_E_EXISTS, "%s is there already", o->key);
}

void hf_azure_lost_free(struct azure *t) {
  for (size_t i = 0; i < AZURE_LOST; i++) free(t->lost[i].key);
}
