# plugins/sqlite/local.mk - the sqlite source.
# SPDX-License-Identifier: Apache-2.0

sources_LTLIBRARIES += plugins/sqlite/sqlite.la
plugins_sqlite_sqlite_la_SOURCES = \
  plugins/sqlite/check.c \
  plugins/sqlite/list.c \
  plugins/sqlite/plugin.c \
  plugins/sqlite/replace.c \
  plugins/sqlite/restore.c \
  plugins/sqlite/scratch.c \
  plugins/sqlite/snapshot.c \
  plugins/sqlite/sqlite.h \
  plugins/sqlite/state.c \
  plugins/sqlite/undo.c \
  plugins/sqlite/util.c \
  plugins/sqlite/verify.c \
  plugins/sqlite/wal.c
plugins_sqlite_sqlite_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_sqlite_sqlite_la_CFLAGS = $(PLUGIN_CFLAGS) $(SQLITE_CFLAGS) $(JANSSON_CFLAGS)
plugins_sqlite_sqlite_la_LDFLAGS = $(SOURCE_LDFLAGS)
plugins_sqlite_sqlite_la_LIBADD = $(SQLITE_LIBS) $(JANSSON_LIBS)
