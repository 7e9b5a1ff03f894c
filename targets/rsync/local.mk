# targets/rsync/local.mk - the rsync target. It runs rsync and ssh by what plugins share for child processes.
# SPDX-License-Identifier: Apache-2.0
targets_LTLIBRARIES += targets/rsync/rsync.la
targets_rsync_rsync_la_SOURCES = \
  targets/rsync/classify.c \
  targets/rsync/connect.c \
  targets/rsync/listing.c \
  targets/rsync/plugin.c \
  targets/rsync/read.c \
  targets/rsync/rsync.h \
  targets/rsync/run.c \
  targets/rsync/settings.c \
  targets/rsync/spool.c \
  targets/rsync/write.c
targets_rsync_rsync_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -I$(top_srcdir)/plugins
targets_rsync_rsync_la_CFLAGS = $(PLUGIN_CFLAGS)
targets_rsync_rsync_la_LDFLAGS = $(TARGET_LDFLAGS)
targets_rsync_rsync_la_LIBADD = plugins/common/libhfp.la
