/* xml.h - reading the XML that storage services answer with: leaf by leaf, without a tree.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HFT_XML_H
#define HFT_XML_H

#include <stddef.h>

#pragma GCC visibility push(hidden)

#define HFT_XML_DEPTH 16
#define HFT_XML_TEXT (8u << 10) /* an element's text may have this many bytes: twice the longest key, encoded */
#define HFT_XML_WHY 160

/* An element has ended. path is "/Root/Contents/Key", namespaces left out; text is what it has directly in it. A negative return ends the reading. */
typedef int (*hft_xml_leaf)(void *ctx, const char *path, char *text);

/* Read a whole document, and nothing but one. Document types, and with them entities of the document's own, are refused. Returns 0, what leaf returned
 * if that was negative, or 1 with an explanation in why: not well-formed, cut off, too deep, a text too long. */
int hft_xml_read(const char *data, size_t n, hft_xml_leaf leaf, void *ctx, char why[HFT_XML_WHY]);

#pragma GCC visibility pop
#endif
