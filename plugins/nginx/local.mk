# plugins/nginx/local.mk - the nginx source.
# SPDX-License-Identifier: Apache-2.0

sources_LTLIBRARIES += plugins/nginx/nginx.la
plugins_nginx_nginx_la_SOURCES = \
  plugins/nginx/nginx.h \
  plugins/nginx/parse.c \
  plugins/nginx/parse.h \
  plugins/nginx/plugin.c \
  plugins/nginx/reach.c \
  plugins/nginx/restore.c \
  plugins/nginx/run.c
plugins_nginx_nginx_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_nginx_nginx_la_CFLAGS = $(PLUGIN_CFLAGS) $(JANSSON_CFLAGS)
plugins_nginx_nginx_la_LDFLAGS = $(SOURCE_LDFLAGS)
plugins_nginx_nginx_la_LIBADD = plugins/common/libhostfiles.la plugins/common/libhfp.la plugins/files/libengine.la $(JANSSON_LIBS)
