# plugins/exec/local.mk - the exec source.
# SPDX-License-Identifier: Apache-2.0

sources_LTLIBRARIES += plugins/exec/exec.la
plugins_exec_exec_la_SOURCES = \
  plugins/exec/backup.c \
  plugins/exec/env.c \
  plugins/exec/exec.h \
  plugins/exec/options.c \
  plugins/exec/plugin.c \
  plugins/exec/restore.c \
  plugins/exec/run.c \
  plugins/exec/words.c
plugins_exec_exec_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_exec_exec_la_CFLAGS = $(PLUGIN_CFLAGS) $(JANSSON_CFLAGS)
plugins_exec_exec_la_LIBADD = plugins/common/libhfp.la $(JANSSON_LIBS)
plugins_exec_exec_la_LDFLAGS = $(SOURCE_LDFLAGS)
