/* texts.c - repository.ini. README.txt and recover.sh are made into C at build time (text_data.c).
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"
#include "repo/repo.h"

void hf_text_ini(struct hf_buf *out, const char *repo_id, const char *host, int64_t created) {
  char when[HF_TIME_LEN];
  hf_format_time(when, created);
  hf_buf_addf(out,
              "; What this is: a holdfast repository. For information only; nothing here is trusted.\n"
              "[repository]\nformat = 1\nid = %s\nhost = %s\ncreated = %s\n",
              repo_id, host, when);
}
