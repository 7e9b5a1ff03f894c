# plugins/common/local.mk - what plugins share: a convenience library that each links what it needs of.
# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += plugins/common/libhfp.la
plugins_common_libhfp_la_SOURCES = \
  plugins/common/child.c \
  plugins/common/child.h \
  plugins/common/kept.c \
  plugins/common/kept.h
plugins_common_libhfp_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_common_libhfp_la_CFLAGS = $(PLUGIN_CFLAGS)

# For sources that give single files of the host and put them back; goes with plugins/files/libengine.la.
noinst_LTLIBRARIES += plugins/common/libhostfiles.la
plugins_common_libhostfiles_la_SOURCES = \
  plugins/common/copy.c \
  plugins/common/copy.h \
  plugins/common/exact.c \
  plugins/common/exact.h \
  plugins/common/place.c \
  plugins/common/place.h \
  plugins/common/set.c
plugins_common_libhostfiles_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_common_libhostfiles_la_CFLAGS = $(PLUGIN_CFLAGS)
