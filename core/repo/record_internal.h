/* record_internal.h - what the readers of indexes and records share.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_RECORD_INTERNAL_H
#define HF_RECORD_INTERNAL_H

#include "repo/repo.h"

#define HF_STORED_MAX (512u * 1024 * 1024) /* no target takes larger objects */
#define HF_SEQ_MAX 9999999999ULL           /* ten digits */
#define HF_ORDINAL_MAX 0xffffffu           /* packs of one index */

/* Is that a name of a source, stream, plugin or audience: [A-Za-z0-9._-], 1 to 255 bytes, not beginning with a period or hyphen? It becomes a folder's name on restore. */
bool hf_repo_name_ok(const char *s, size_t n);
/* Of a record's type, and back (0: none). */
const char *hf_record_type_name(enum hf_record_type t);
enum hf_record_type hf_record_type_parse(const char *name);

#endif
