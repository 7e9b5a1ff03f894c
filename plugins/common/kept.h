/* kept.h - putting back what a restore in place has moved aside, by moving it again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HFP_KEPT_H
#define HFP_KEPT_H

#include <stddef.h>

#include <holdfast/source.h>

/* For each item, in the order given: what is at the place now moves aside, to a free name beside it with ".before-undo-TIME", and what was kept moves to the
 * place; with nothing kept the place is empty then. Both have to be on one file system. All or nothing: on an error everything has been moved back. The host
 * is told, for the next undo. Nobody may be using any of it: the caller has seen to that. HOLDFAST_E_NOT_FOUND when something kept is gone. */
int hfp_put_back(const struct holdfast_host *host, const struct holdfast_kept *items, size_t n);

#endif
