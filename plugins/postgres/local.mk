# plugins/postgres/local.mk - the postgres source.
# SPDX-License-Identifier: Apache-2.0

sources_LTLIBRARIES += plugins/postgres/postgres.la
plugins_postgres_postgres_la_SOURCES = \
  plugins/postgres/check.c \
  plugins/postgres/conn.c \
  plugins/postgres/counts.c \
  plugins/postgres/databases.c \
  plugins/postgres/globals.c \
  plugins/postgres/logical.c \
  plugins/postgres/logical.h \
  plugins/postgres/plugin.c \
  plugins/postgres/postgres.h \
  plugins/postgres/programs.c \
  plugins/postgres/restore_logical.c \
  plugins/postgres/server.c \
  plugins/postgres/server.h \
  plugins/postgres/sql.c \
  plugins/postgres/sql.h \
  plugins/postgres/text.c \
  plugins/postgres/verify_logical.c \
  plugins/postgres/way.c
# mode = physical
plugins_postgres_postgres_la_SOURCES += \
  plugins/postgres/audit.c \
  plugins/postgres/basebackup.c \
  plugins/postgres/basebackup.h \
  plugins/postgres/crc32c.c \
  plugins/postgres/inventory.c \
  plugins/postgres/manifest.c \
  plugins/postgres/physical.c \
  plugins/postgres/physical.h \
  plugins/postgres/physical_restore.c \
  plugins/postgres/physical_restore.h \
  plugins/postgres/physical_verify.c \
  plugins/postgres/place.c \
  plugins/postgres/state.c \
  plugins/postgres/state.h \
  plugins/postgres/tarwalk.c \
  plugins/postgres/unpack.c \
  plugins/postgres/unpack.h
plugins_postgres_postgres_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_postgres_postgres_la_CFLAGS = $(PLUGIN_CFLAGS) $(LIBPQ_CFLAGS) $(JANSSON_CFLAGS) $(CRYPTO_CFLAGS)
plugins_postgres_postgres_la_LDFLAGS = $(SOURCE_LDFLAGS)
plugins_postgres_postgres_la_LIBADD = plugins/common/libhfp.la $(LIBPQ_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS)
