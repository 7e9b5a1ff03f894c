/* pace.c - so many bytes a second, for several threads together.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each caller books the time its bytes take behind what is booked already, and sleeps until its turn: a queue without a list.
 */
#include "pipeline/pace.h"

#include <time.h>

#include "base/text.h"

#define BURST 0.1 /* seconds */
#define NAP 0.05  /* seconds between two looks at cancel */

void hf_pace_init(struct hf_pace *p, uint64_t down, uint64_t up) {
  pthread_mutex_init(&p->lock, NULL);
  p->rate[0] = down;
  p->rate[1] = up;
  p->free_at[0] = p->free_at[1] = 0;
}

void hf_pace_destroy(struct hf_pace *p) { pthread_mutex_destroy(&p->lock); }

bool hf_sleep(double seconds, volatile int *cancel) {
  double until = hf_now() + seconds, left;
  while ((left = until - hf_now()) > 0) {
    if (cancel && *cancel) return false;
    struct timespec ts = {0, (long)(HF_MIN(left, NAP) * 1e9)};
    nanosleep(&ts, NULL);
  }
  return !(cancel && *cancel);
}

int hf_pace_wait(struct hf_pace *p, bool up, size_t n, volatile int *cancel) {
  if (p->rate[up] == 0) return 0;
  double now = hf_now();
  pthread_mutex_lock(&p->lock);
  double turn = HF_MAX(p->free_at[up], now - BURST);
  p->free_at[up] = turn + (double)n / (double)p->rate[up];
  pthread_mutex_unlock(&p->lock);
  return hf_sleep(turn - now, cancel) ? 0 : HOLDFAST_E_CANCELED;
}
