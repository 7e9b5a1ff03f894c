/* xml.c - reading the XML that storage services answer with, over expat.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "xml.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <expat.h>

#define PATH 512

struct reader {
  XML_Parser parser;
  hft_xml_leaf leaf;
  void *ctx;
  int status;      /* of leaf */
  const char *bad; /* what this reader does not take */
  unsigned depth;
  size_t path_n, text_n;
  char path[PATH];
  char text[HFT_XML_TEXT + 1];
};

static void stop(struct reader *r, const char *bad) {
  if (!r->bad) r->bad = bad;
  XML_StopParser(r->parser, XML_FALSE);
}

static void XMLCALL start(void *ctx, const XML_Char *name, const XML_Char **attributes) {
  struct reader *r = ctx;
  (void)attributes;
  const char *colon = strrchr(name, ':');
  if (colon) name = colon + 1;
  size_t n = strlen(name);
  if (++r->depth > HFT_XML_DEPTH || r->path_n + 1 + n >= PATH) {
    stop(r, "elements are nested too deep");
    return;
  }
  r->path[r->path_n] = '/';
  memcpy(r->path + r->path_n + 1, name, n + 1);
  r->path_n += 1 + n;
  r->text_n = 0;
}

static void XMLCALL end(void *ctx, const XML_Char *name) {
  struct reader *r = ctx;
  (void)name;
  /* Of an empty element the end is told even after its start has stopped the parser, and was not entered in the path. */
  if (r->bad) return;
  r->text[r->text_n] = '\0';
  r->status = r->leaf(r->ctx, r->path, r->text);
  if (r->status < 0) {
    XML_StopParser(r->parser, XML_FALSE);
    return;
  }
  r->depth--;
  r->path_n = (size_t)(strrchr(r->path, '/') - r->path);
  r->path[r->path_n] = '\0';
  r->text_n = 0;
}

static void XMLCALL characters(void *ctx, const XML_Char *s, int n) {
  struct reader *r = ctx;
  if ((size_t)n > HFT_XML_TEXT - r->text_n) {
    stop(r, "a text is too long");
    return;
  }
  memcpy(r->text + r->text_n, s, (size_t)n);
  r->text_n += (size_t)n;
}

static void XMLCALL doctype(void *ctx, const XML_Char *name, const XML_Char *sysid, const XML_Char *pubid, int internal) {
  (void)name, (void)sysid, (void)pubid, (void)internal;
  stop(ctx, "it has a document type");
}

int hft_xml_read(const char *data, size_t n, hft_xml_leaf leaf, void *ctx, char why[HFT_XML_WHY]) {
  struct reader *r = calloc(1, sizeof *r);
  XML_Parser p = r ? XML_ParserCreate(NULL) : NULL;
  if (!p || n > INT_MAX) {
    snprintf(why, HFT_XML_WHY, "%s", p ? "it is too large" : "out of memory");
    if (p) XML_ParserFree(p);
    free(r);
    return 1;
  }
  r->parser = p;
  r->leaf = leaf;
  r->ctx = ctx;
  XML_SetUserData(p, r);
  XML_SetElementHandler(p, start, end);
  XML_SetCharacterDataHandler(p, characters);
  XML_SetStartDoctypeDeclHandler(p, doctype);
  int status = 0;
  if (XML_Parse(p, n ? data : "", (int)n, 1) != XML_STATUS_OK || r->bad || r->status < 0) {
    status = r->status < 0 ? r->status : 1;
    snprintf(why, HFT_XML_WHY, "%s in line %lu", r->bad ? r->bad : XML_ErrorString(XML_GetErrorCode(p)), (unsigned long)XML_GetCurrentLineNumber(p));
  }
  XML_ParserFree(p);
  free(r);
  return status;
}
