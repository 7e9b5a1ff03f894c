/* inventory.c - the files that have passed, found by path: a table of hashes over one block of bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "physical.h"

#include <stdlib.h>
#include <string.h>

struct file {
  uint64_t at; /* of its path, then a NUL, then the checksum, in bytes */
  uint64_t size;
  uint16_t path_n;
  uint8_t sum_n;
  bool named;
};

struct hf_pg_inventory {
  struct file *files;
  size_t n, cap;
  char *bytes;
  size_t bytes_n, bytes_cap;
  uint32_t *slots; /* number of a file plus 1; 0: free. Twice as many as files, a power of two */
  size_t n_slots;
};

struct hf_pg_inventory *hf_pg_inventory_new(void) { return calloc(1, sizeof(struct hf_pg_inventory)); }

void hf_pg_inventory_free(struct hf_pg_inventory *v) {
  if (!v) return;
  free(v->files);
  free(v->bytes);
  free(v->slots);
  free(v);
}

/* FNV-1a. */
static uint64_t hash(const char *s) {
  uint64_t h = 14695981039346656037u;
  for (; *s; s++) h = (h ^ (unsigned char)*s) * 1099511628211u;
  return h ^ h >> 29;
}

/* The slot of that path, or the free one where it belongs. There always is a free one. */
static size_t slot_of(const struct hf_pg_inventory *v, const char *path) {
  size_t i = (size_t)hash(path) & (v->n_slots - 1);
  while (v->slots[i] && strcmp(v->bytes + v->files[v->slots[i] - 1].at, path) != 0) i = (i + 1) & (v->n_slots - 1);
  return i;
}

static bool more_slots(struct hf_pg_inventory *v) {
  size_t n = v->n_slots ? 2 * v->n_slots : 1024;
  uint32_t *slots = calloc(n, sizeof *slots);
  if (!slots) return false;
  free(v->slots);
  v->slots = slots;
  v->n_slots = n;
  for (size_t i = 0; i < v->n; i++) v->slots[slot_of(v, v->bytes + v->files[i].at)] = (uint32_t)i + 1;
  return true;
}

static bool room(void *p, size_t *cap, size_t need, size_t size) {
  void **v = p;
  size_t n = *cap ? *cap : 4096;
  if (need <= *cap) return true;
  while (n < need) n += n / 2;
  void *more = reallocarray(*v, n, size);
  if (!more) return false;
  *v = more;
  *cap = n;
  return true;
}

int hf_pg_inventory_add(struct hf_pg_inventory *v, const char *path, uint64_t size, const void *sum, size_t sum_n) {
  size_t path_n = strlen(path);
  if (v->n >= HF_PG_FILES_MAX) return HOLDFAST_E_NO_SPACE;
  if (path_n > UINT16_MAX || sum_n > UINT8_MAX) return HOLDFAST_E_FAILED;
  if (2 * (v->n + 1) > v->n_slots && !more_slots(v)) return HOLDFAST_E_FAILED;
  size_t slot = slot_of(v, path);
  if (v->slots[slot]) return HOLDFAST_E_EXISTS;
  if (!room(&v->files, &v->cap, v->n + 1, sizeof *v->files) || !room(&v->bytes, &v->bytes_cap, v->bytes_n + path_n + 1 + sum_n, 1))
    return HOLDFAST_E_FAILED;
  v->files[v->n] = (struct file){v->bytes_n, size, (uint16_t)path_n, (uint8_t)sum_n, false};
  memcpy(v->bytes + v->bytes_n, path, path_n + 1);
  if (sum_n) memcpy(v->bytes + v->bytes_n + path_n + 1, sum, sum_n);
  v->bytes_n += path_n + 1 + sum_n;
  v->slots[slot] = (uint32_t)++v->n;
  return 0;
}

static struct file *find(const struct hf_pg_inventory *v, const char *path) {
  if (v->n_slots == 0) return NULL;
  uint32_t i = v->slots[slot_of(v, path)];
  return i ? &v->files[i - 1] : NULL;
}

static void fill(const struct hf_pg_inventory *v, const struct file *f, struct hf_pg_seen *out) {
  const char *path = v->bytes + f->at;
  *out = (struct hf_pg_seen){path, f->size, (const unsigned char *)path + f->path_n + 1, f->sum_n, f->named};
}

bool hf_pg_inventory_find(const struct hf_pg_inventory *v, const char *path, struct hf_pg_seen *out) {
  const struct file *f = find(v, path);
  if (f) fill(v, f, out);
  return f != NULL;
}

void hf_pg_inventory_name(struct hf_pg_inventory *v, const char *path) {
  struct file *f = find(v, path);
  if (f) f->named = true;
}

size_t hf_pg_inventory_count(const struct hf_pg_inventory *v) { return v->n; }

void hf_pg_inventory_get(const struct hf_pg_inventory *v, size_t i, struct hf_pg_seen *out) { fill(v, &v->files[i], out); }
