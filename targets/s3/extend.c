/* extend.c - making the locks of objects longer.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../common/digest.h"
#include "../common/xml.h"
#include "s3.h"

static int until_leaf(void *ctx, const char *path, char *text) {
  if (strcmp(path, "/Retention/RetainUntilDate") == 0 && !hft_time_parse(text, ctx)) *(int64_t *)ctx = 0;
  return 0;
}

/* Is it locked for that long already? */
static bool locked_until(struct s3 *t, const char *key, int64_t until) {
  struct s3_call c = {.method = "GET", .action = "s3:GetObjectRetention", .key = key, .query = "retention"};
  struct hft_response rs = {0};
  char why[HFT_XML_WHY];
  int64_t there = 0;
  bool good = hf_s3_call(t, &c, &rs) == HOLDFAST_OK && hft_xml_read(hft_text(&rs.body), rs.body.len, until_leaf, &there, why) == 0 && there >= until;
  hft_response_free(&rs);
  return good;
}

/* A service never makes a lock shorter for who does not ask to bypass it, and we do not: one that is longer stays, and the refusal is none. */
static int extend_one(struct s3 *t, const char *key, int64_t until) {
  struct s3_call c = {.method = "PUT", .action = "s3:PutObjectRetention", .key = key, .query = "retention"};
  struct hft_response rs = {0};
  char date[HFT_TIME], body[300], md5[HFT_BASE64];
  if (!hft_key_ok(key)) return hft_bad_key(t->host, key);
  hft_time_format(date, until);
  c.size = (uint64_t)snprintf(body, sizeof body,
                              "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>%s</Mode>"
                              "<RetainUntilDate>%s</RetainUntilDate></Retention>",
                              t->lock_mode, date);
  c.body = body;
  if (!hft_md5_base64(body, (size_t)c.size, md5))
    return holdfast_fail(t->host, HOLDFAST_E_FAILED, "MD5, which object-lock needs, is not available on this host");
  hf_s3_extra(&c, "content-md5", md5);
  hf_s3_extra(&c, "content-type", "application/xml");
  int status = hf_s3_call(t, &c, &rs);
  if (status != HOLDFAST_OK && (rs.code == 400 || rs.code == 403)) status = locked_until(t, key, until) ? HOLDFAST_OK : hf_s3_refused(t, &c, &rs);
  hft_response_free(&rs);
  return status;
}

int hf_s3_extend(void *handle, const char *const *keys, size_t n, int *statuses) {
  struct s3 *t = handle;
  int64_t until = (int64_t)time(NULL) + t->retain;
  int bad = HOLDFAST_OK;
  for (size_t i = 0; i < n; i++) {
    int status = t->lock_mode ? extend_one(t, keys[i], until) : HOLDFAST_OK;
    if (status == HOLDFAST_E_TRANSIENT || status == HOLDFAST_E_CANCELED) return status; /* the host asks again for those that have no status */
    statuses[i] = status;
    if (bad == HOLDFAST_OK) bad = status;
  }
  return bad;
}
