/* blocks.c - large objects, sent in blocks that are put together by a last request: until then nobody sees anything of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is left of an upload that broke off, the service removes after a week. The names of the blocks have a piece of the object's digest in them, so that
 * two uploads of one key do not mix.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "azure.h"

#define BLOCK_NAME 24 /* bytes of a block's name, the same for all of a blob; base64 makes 32 of them */

static void block_name(const struct holdfast_object *o, uint64_t i, char base64[HFT_BASE64]) {
  char name[BLOCK_NAME + 1];
  snprintf(name, sizeof name, "%.16s%08" PRIx32, o->sha256, (uint32_t)i); /* at most 8192 of them: 512 MiB in blocks of 64 KiB */
  hft_base64((const unsigned char *)name, BLOCK_NAME, base64);
}

static int put_block(struct azure *t, const struct holdfast_object *o, uint64_t i, const char *p, size_t n) {
  struct azure_call c = {
      .method = "PUT", .action = "containers/blobs/write", .permission = 'w', .key = o->key, .body = p, .size = n};
  struct hft_response rs = {0};
  struct hft_buf query = {0};
  struct azure_sum sum;
  char name[HFT_BASE64];
  block_name(o, i, name);
  hft_adds(&query, "comp=block&blockid=");
  hft_encode(&query, name, false);
  int status = query.bad ? hft_no_memory(t->host) : hf_azure_sum(t, p, n, &sum);
  if (status == HOLDFAST_OK) {
    c.query = query.data;
    hf_azure_extra(&c, "Content-Type", "application/octet-stream");
    hf_azure_extra_sum(&c, &sum);
    hf_azure_extra_key(t, &c);
    hf_azure_extra(&c, "x-ms-encryption-scope", t->scope);
    status = hf_azure_call(t, &c, &rs);
  }
  if (status == HOLDFAST_OK) status = hf_azure_sum_check(t, o->key, &sum, &rs);
  hft_response_free(&rs);
  hft_buf_free(&query);
  return status;
}

int hf_azure_put_blocks(struct azure *t, const struct holdfast_object *o, struct azure_call *c, struct hft_response *rs) {
  struct hft_buf list = {0};
  struct azure_sum sum;
  char name[HFT_BASE64];
  int status = HOLDFAST_OK;
  hft_adds(&list, "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
  for (uint64_t i = 0, at = 0; at < o->size && status == HOLDFAST_OK; i++, at += t->block_size) {
    uint64_t left = o->size - at;
    status = put_block(t, o, i, (const char *)o->data + at, (size_t)(left < t->block_size ? left : t->block_size));
    block_name(o, i, name);
    hft_addf(&list, "<Uncommitted>%s</Uncommitted>", name);
  }
  hft_adds(&list, "</BlockList>");
  if (status == HOLDFAST_OK) status = list.bad ? hft_no_memory(t->host) : hf_azure_sum(t, list.data, list.len, &sum);
  if (status == HOLDFAST_OK) {
    c->query = "comp=blocklist";
    c->body = list.data;
    c->size = list.len;
    hf_azure_extra(c, "Content-Type", "application/xml");
    hf_azure_extra_sum(c, &sum);
    status = hf_azure_call(t, c, rs);
  }
  hft_buf_free(&list);
  return status;
}
