# plugins/systemd/local.mk - the systemd source.
# SPDX-License-Identifier: Apache-2.0

sources_LTLIBRARIES += plugins/systemd/systemd.la
plugins_systemd_systemd_la_SOURCES = \
  plugins/systemd/gather.c \
  plugins/systemd/index.c \
  plugins/systemd/index.h \
  plugins/systemd/manager.c \
  plugins/systemd/plugin.c \
  plugins/systemd/read.c \
  plugins/systemd/read.h \
  plugins/systemd/restore.c \
  plugins/systemd/systemd.h \
  plugins/systemd/unit.c \
  plugins/systemd/unit.h
plugins_systemd_systemd_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_systemd_systemd_la_CFLAGS = $(PLUGIN_CFLAGS) $(JANSSON_CFLAGS)
plugins_systemd_systemd_la_LDFLAGS = $(SOURCE_LDFLAGS)
plugins_systemd_systemd_la_LIBADD = plugins/common/libhostfiles.la plugins/common/libhfp.la plugins/files/libengine.la $(JANSSON_LIBS)
