/* chain.c - does one record follow another?
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>

#include "repo/repo.h"

int hf_chain_check(const struct hf_record *prev, const struct hf_digest *prev_digest, const struct hf_record *next,
                   struct hf_error *err) {
  if (strcmp(prev->repo_id, next->repo_id) != 0)
    return hf_fail(err, HOLDFAST_E_CORRUPT, "record %" PRIu64 " belongs to another repository (%s, not %s)", next->seq,
                   next->repo_id, prev->repo_id);
  if (next->seq <= prev->seq)
    return hf_fail(err, HOLDFAST_E_CORRUPT,
                   "record %" PRIu64 " cannot follow record %" PRIu64 ": the chain forks or was rolled back", next->seq,
                   prev->seq);
  if (next->seq != prev->seq + 1)
    return hf_fail(err, HOLDFAST_E_CORRUPT, "the chain has a gap: record %" PRIu64 " follows record %" PRIu64, next->seq,
                   prev->seq);
  if (!hf_digest_eq(&next->prev, prev_digest))
    return hf_fail(err, HOLDFAST_E_CORRUPT,
                   "the chain forks: record %" PRIu64 " was made after another record %" PRIu64 " than this one", next->seq,
                   prev->seq);
  return 0;
}
