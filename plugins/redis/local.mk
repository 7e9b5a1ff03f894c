# plugins/redis/local.mk - the redis source.
# SPDX-License-Identifier: Apache-2.0

sources_LTLIBRARIES += plugins/redis/redis.la
plugins_redis_redis_la_SOURCES = \
  plugins/redis/assert.c \
  plugins/redis/backup.c \
  plugins/redis/client.c \
  plugins/redis/conn.c \
  plugins/redis/crc64.c \
  plugins/redis/frame.c \
  plugins/redis/info.c \
  plugins/redis/live.c \
  plugins/redis/place.c \
  plugins/redis/plugin.c \
  plugins/redis/rdb.c \
  plugins/redis/redis.h \
  plugins/redis/resp.c \
  plugins/redis/restore.c \
  plugins/redis/server.c \
  plugins/redis/state.c \
  plugins/redis/tls.c \
  plugins/redis/verify.c
plugins_redis_redis_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_redis_redis_la_CFLAGS = $(PLUGIN_CFLAGS) $(SSL_CFLAGS) $(CRYPTO_CFLAGS) $(JANSSON_CFLAGS)
plugins_redis_redis_la_LDFLAGS = $(SOURCE_LDFLAGS)
plugins_redis_redis_la_LIBADD = plugins/common/libhfp.la $(SSL_LIBS) $(CRYPTO_LIBS) $(JANSSON_LIBS)
