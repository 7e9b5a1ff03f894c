# plugins/files/local.mk - the files source, and its engine, which plugins that give files of the host are linked with, too.
# SPDX-License-Identifier: Apache-2.0

noinst_LTLIBRARIES += plugins/files/libengine.la
plugins_files_libengine_la_SOURCES = \
  plugins/files/chain.c \
  plugins/files/engine.c \
  plugins/files/engine.h \
  plugins/files/entry.c \
  plugins/files/extents.c \
  plugins/files/files.h \
  plugins/files/glob.c \
  plugins/files/links.c \
  plugins/files/list.c \
  plugins/files/names.c \
  plugins/files/pattern.c \
  plugins/files/restore.c \
  plugins/files/roots.c \
  plugins/files/rules.c \
  plugins/files/state.c \
  plugins/files/util.c \
  plugins/files/walk.c \
  plugins/files/xattr.c
plugins_files_libengine_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_files_libengine_la_CFLAGS = $(PLUGIN_CFLAGS)

sources_LTLIBRARIES += plugins/files/files.la
plugins_files_files_la_SOURCES = plugins/files/plugin.c
plugins_files_files_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_files_files_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_files_files_la_LDFLAGS = $(SOURCE_LDFLAGS)
plugins_files_files_la_LIBADD = plugins/files/libengine.la
