# plugins/common/local.mk - what plugins share: a convenience library that each links what it needs of.
# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += plugins/common/libhfp.la
plugins_common_libhfp_la_SOURCES = \
  plugins/common/child.c \
  plugins/common/child.h
plugins_common_libhfp_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_common_libhfp_la_CFLAGS = $(PLUGIN_CFLAGS)
