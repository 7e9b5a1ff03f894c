# targets/common/local.mk - what HTTP targets share: a convenience library that each links what it needs of.
# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += targets/common/libhft.la
targets_common_libhft_la_SOURCES = \
	targets/common/crc32c.c \
	targets/common/crc32c.h \
	targets/common/digest.c \
	targets/common/digest.h \
	targets/common/http.c \
	targets/common/http.h \
	targets/common/key.c \
	targets/common/key.h \
	targets/common/range.c \
	targets/common/range.h \
	targets/common/sigv4.c \
	targets/common/sigv4.h \
	targets/common/text.c \
	targets/common/text.h \
	targets/common/token.c \
	targets/common/token.h \
	targets/common/xml.c \
	targets/common/xml.h
targets_common_libhft_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
targets_common_libhft_la_CFLAGS = $(PLUGIN_CFLAGS) $(CURL_CFLAGS) $(EXPAT_CFLAGS) $(CRYPTO_CFLAGS) $(JANSSON_CFLAGS)
HFT_LIBS = targets/common/libhft.la $(CURL_LIBS) $(EXPAT_LIBS) $(CRYPTO_LIBS) $(JANSSON_LIBS)
