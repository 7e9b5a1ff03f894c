# local.mk - the local target
# SPDX-License-Identifier: Apache-2.0
targets_LTLIBRARIES += targets/local/local.la
targets_local_local_la_SOURCES = \
	targets/local/local.c \
	targets/local/local.h \
	targets/local/names.c \
	targets/local/read.c \
	targets/local/reserve.c \
	targets/local/temp.c \
	targets/local/write.c
targets_local_local_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
targets_local_local_la_CFLAGS = $(PLUGIN_CFLAGS)
targets_local_local_la_LDFLAGS = $(TARGET_LDFLAGS)
