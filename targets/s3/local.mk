# local.mk - the s3 target
# SPDX-License-Identifier: Apache-2.0
targets_LTLIBRARIES += targets/s3/s3.la
targets_s3_s3_la_SOURCES = \
	targets/s3/bucket.c \
	targets/s3/config.c \
	targets/s3/errors.c \
	targets/s3/get.c \
	targets/s3/keys.c \
	targets/s3/keys_file.c \
	targets/s3/keys_http.c \
	targets/s3/list.c \
	targets/s3/page.c \
	targets/s3/put.c \
	targets/s3/remove.c \
	targets/s3/request.c \
	targets/s3/s3.c \
	targets/s3/s3.h \
	targets/s3/extend.c \
	targets/s3/thaw.c \
	targets/s3/versions.c
targets_s3_s3_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
targets_s3_s3_la_CFLAGS = $(PLUGIN_CFLAGS) $(JANSSON_CFLAGS)
targets_s3_s3_la_LDFLAGS = $(TARGET_LDFLAGS)
targets_s3_s3_la_LIBADD = $(HFT_LIBS)
