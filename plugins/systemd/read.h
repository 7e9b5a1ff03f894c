/* read.h - what a unit file says that matters to a backup.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_SYSTEMD_READ_H
#define HF_SYSTEMD_READ_H

#include <stdbool.h>
#include <stddef.h>

#include <holdfast/source.h>

#include "../common/exact.h"

/* What a unit file says that matters here. */
struct hf_systemd_facts {
  char **environment; /* as written, '-' included */
  size_t n_environment, cap_environment;
  struct hfp_set refers; /* units: Unit=, Service=, Sockets=, Also= */
  bool names_target;     /* Unit= or Service= was among them */
  bool accept;           /* a socket with an instance for each connection */
};

/* Add what the file at path says to *f. A file that cannot be read, and a line that is none, is told to the host as a problem unless quiet;
 * errors are those of memory. */
int hf_systemd_read(const struct holdfast_host *host, const char *path, struct hf_systemd_facts *f, bool quiet);
void hf_systemd_facts_free(struct hf_systemd_facts *f);

#endif
