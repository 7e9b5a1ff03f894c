# local.mk - the azure target
# SPDX-License-Identifier: Apache-2.0
targets_LTLIBRARIES += targets/azure/azure.la
targets_azure_azure_la_SOURCES = \
	targets/azure/azure.c \
	targets/azure/azure.h \
	targets/azure/blocks.c \
	targets/azure/config.c \
	targets/azure/connection.c \
	targets/azure/container.c \
	targets/azure/crc64.c \
	targets/azure/credentials.c \
	targets/azure/errors.c \
	targets/azure/get.c \
	targets/azure/identity.c \
	targets/azure/list.c \
	targets/azure/lost.c \
	targets/azure/page.c \
	targets/azure/put.c \
	targets/azure/remove.c \
	targets/azure/request.c \
	targets/azure/retain.c \
	targets/azure/sign.c \
	targets/azure/thaw.c \
	targets/azure/versions.c
targets_azure_azure_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
targets_azure_azure_la_CFLAGS = $(PLUGIN_CFLAGS) $(JANSSON_CFLAGS)
targets_azure_azure_la_LDFLAGS = $(TARGET_LDFLAGS)
targets_azure_azure_la_LIBADD = $(HFT_LIBS)
