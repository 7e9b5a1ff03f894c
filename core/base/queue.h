/* queue.h - work for several threads: a bounded queue of pointers with close and abort, and a loop that is run by several. */
#ifndef HF_QUEUE_H
#define HF_QUEUE_H

#include "base/base.h"

struct hf_queue;
struct hf_queue *hf_queue_new(size_t capacity);
void hf_queue_free(struct hf_queue *q); /* must be empty of what needs freeing, and unused by others */
/* Wait for room and add; false when the queue was closed or aborted (the item stays the caller's). */
bool hf_queue_push(struct hf_queue *q, void *item);
/* Wait for an item; NULL when the queue is closed and empty, or aborted. */
void *hf_queue_pop(struct hf_queue *q);
void hf_queue_close(struct hf_queue *q); /* no more pushes; pops drain what is there */
void hf_queue_abort(struct hf_queue *q); /* wake everybody; pops return NULL at once */
/* Without waiting: an item or NULL. For draining after an abort. */
void *hf_queue_try_pop(struct hf_queue *q);

/* ---- each.c ---- */
/* Call fn(ctx, i) for every i below n, in up to `threads` threads (of which the caller's is one), in about that order; returns when all are done. fn says false when no further ones are wanted. */
void hf_each(size_t n, size_t threads, bool (*fn)(void *ctx, size_t i), void *ctx);

#endif
