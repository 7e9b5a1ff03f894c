/* runlog.h - a run of a command: noted when it begins and when it ends, its words kept in a file, and told to who wants to know.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Nothing in here fails a run: what goes wrong is a warning. Without a state folder of this host's (another machine, another account) a run is not noted and nobody is told.
 */
#ifndef HF_RUNLOG_H
#define HF_RUNLOG_H

#include <jansson.h>

#include "manifest/manifest.h"
#include "state/runs.h"

#define HF_RUN_LOG_MAX (8 * HF_MIB) /* bytes of one run's log; what comes later is left out, and that is said */
#define HF_RUN_LOG_KEPT HF_MIB      /* of these, for warnings, errors and what came of the run: a hook that talks much comes first */
#define HF_RUN_SAID 20u             /* warnings and errors that go into the facts */

struct hf_run;
/* A run begins: a row in the state, a file below its runs/ folder that gets every line logged from here on, old ones swept, channels told that wish it. m must outlive it. One at a time in a
 * process. NULL (fine for the functions below) when this is not the host. */
struct hf_run *hf_run_begin(const struct hf_manifest *m, const char *verb);
/* Why it is going to fail; the first one counts. */
void hf_run_error(struct hf_run *r, const struct hf_error *err);
/* It ends with this exit code; one that says that the command line was wrong is forgotten, and nobody is told. facts: what the verb has to say, members "sources", "targets", "snapshot", ...; taken, may be NULL. */
void hf_run_end(struct hf_run *r, int exit, json_t *facts);
/* A run that could not even open its session: both of the above. writes: it is one that only the host does, and is told of even without a state folder. */
void hf_run_failed(const char *manifest_file, const char *verb, bool writes, const struct hf_error *why);

/* status could not look at anything, and why: that is an alarm, too. Told when the manifest and a channel can be used all the same; in hf_status it is over. */
void hf_status_failed(const char *manifest_file, const struct hf_error *why);

/* The state folder's file of a run's words; caller frees. */
char *hf_run_log_path(const char *state, int64_t id);
/* Is the process of a run that has not ended alive? It holds a lock on its file. */
bool hf_run_is_alive(const char *state, int64_t id);

#endif
