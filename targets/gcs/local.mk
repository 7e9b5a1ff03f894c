# local.mk - the gcs target
# SPDX-License-Identifier: Apache-2.0
targets_LTLIBRARIES += targets/gcs/gcs.la
targets_gcs_gcs_la_SOURCES = \
	targets/gcs/auth.c \
	targets/gcs/bucket.c \
	targets/gcs/config.c \
	targets/gcs/credentials.c \
	targets/gcs/errors.c \
	targets/gcs/gcs.c \
	targets/gcs/gcs.h \
	targets/gcs/get.c \
	targets/gcs/jwt.c \
	targets/gcs/list.c \
	targets/gcs/oauth.c \
	targets/gcs/object.c \
	targets/gcs/page.c \
	targets/gcs/put.c \
	targets/gcs/remove.c \
	targets/gcs/request.c \
	targets/gcs/retention.c \
	targets/gcs/upload.c
targets_gcs_gcs_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
targets_gcs_gcs_la_CFLAGS = $(PLUGIN_CFLAGS) $(JANSSON_CFLAGS) $(CRYPTO_CFLAGS)
targets_gcs_gcs_la_LDFLAGS = $(TARGET_LDFLAGS)
targets_gcs_gcs_la_LIBADD = $(HFT_LIBS)
