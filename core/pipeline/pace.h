/* pace.h - so many bytes a second, for several threads together.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_PACE_H
#define HF_PACE_H

#include <pthread.h>

#include "base/base.h"

/* Both directions of one target. */
struct hf_pace {
  pthread_mutex_t lock;
  uint64_t rate[2]; /* bytes per second: down, up; 0 none */
  double free_at[2]; /* when the next bytes may go */
};
void hf_pace_init(struct hf_pace *p, uint64_t down, uint64_t up);
void hf_pace_destroy(struct hf_pace *p);
/* Wait until n more bytes may go. Threads get their turns in the order in which they ask, whatever each moves. What was not used is kept
 * for a tenth of a second, so that a hiccup costs no throughput. HOLDFAST_E_CANCELED soon after *cancel (may be NULL) is set. */
int hf_pace_wait(struct hf_pace *p, bool up, size_t n, volatile int *cancel);

/* Sleep; false soon after *cancel (may be NULL) is set. */
bool hf_sleep(double seconds, volatile int *cancel);

#endif
