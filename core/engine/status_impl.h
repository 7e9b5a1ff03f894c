/* status_impl.h - shared by the files of status only.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_STATUS_IMPL_H
#define HF_STATUS_IMPL_H

#include "engine/live.h"
#include "engine/status.h"

struct hf_looking {
  struct hf_session *s;
  struct hf_runs *runs;
  struct hf_status *out;
  struct hf_live live;
  int64_t now;
};

/* A finding; the worst one is kept. */
void hf_status_find(struct hf_looking *l, const char *what, const char *name, enum hf_event event, enum hf_stand stand, const char *fmt, ...) HF_PRINTF(6, 7);
/* Of how many objects that target i has to hold are how many not there? By one listing each of packs and indexes. (status_level.c) */
int hf_status_level(struct hf_looking *l, size_t i, uint64_t *objects, uint64_t *missing, struct hf_error *err);
/* Disks, keys, runs, the newest drill, channels. (status_host.c) */
void hf_status_host(struct hf_looking *l);

#endif
