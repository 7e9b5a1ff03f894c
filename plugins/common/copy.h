/* copy.h - one file or link to another place, with all its metadata, complete or not at all.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HFP_COPY_H
#define HFP_COPY_H

#include <stdbool.h>

/* The regular file or symbolic link from replaces what is at to, at once: content, owner, mode, times, extended attributes and ACLs. A link
 * is copied, never followed. The folder of to must be there. Owners are set when root runs this. 0 or -errno. */
int hfp_copy(const char *from, const char *to);
/* Owner, mode, times, extended attributes of the folder from to the folder to. 0 or -errno. */
int hfp_copy_metadata(const char *from, const char *to);
/* Are the two alike: kind, content, owner, mode? Times may differ. */
bool hfp_copy_same(const char *a, const char *b);

#endif
