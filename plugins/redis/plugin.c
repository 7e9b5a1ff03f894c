/* plugin.c - the redis source: its settings and its table of callbacks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "redis.h"

static const struct holdfast_setting settings[] = {
  [HF_REDIS_SET_HOST] = {"host", HOLDFAST_STRING, 0, "127.0.0.1", NULL, "The server's name or address"},
  [HF_REDIS_SET_PORT] = {"port", HOLDFAST_INT, 0, "6379", NULL, "The server's port"},
  [HF_REDIS_SET_SOCKET] = {"socket", HOLDFAST_PATH, 0, NULL, NULL, "The server's Unix socket, instead of host and port"},
  [HF_REDIS_SET_USERNAME] = {"username", HOLDFAST_STRING, 0, NULL, NULL, "The ACL user to log in as"},
  [HF_REDIS_SET_PASSWORD] = {"password", HOLDFAST_SECRET, 0, NULL, NULL, "The password of that user, or of the default user"},
  [HF_REDIS_SET_TLS] = {"tls", HOLDFAST_BOOL, 0, "no", NULL, "Connect by TLS"},
  [HF_REDIS_SET_TLS_CA] = {"tls-ca", HOLDFAST_PATH, 0, NULL, NULL, "The certificates to trust, in PEM, instead of those of the system"},
  [HF_REDIS_SET_TLS_CERT] = {"tls-cert", HOLDFAST_PATH, 0, NULL, NULL, "Our own certificate, in PEM, for a server that asks for one"},
  [HF_REDIS_SET_TLS_KEY] = {"tls-key", HOLDFAST_PATH, 0, NULL, NULL, "The private key of that certificate, in PEM, without a passphrase"},
  [HF_REDIS_SET_TLS_NAME] = {"tls-server-name", HOLDFAST_STRING, 0, NULL, NULL, "The name that the server's certificate must be for, if it is not host"},
  [HF_REDIS_SET_CONNECT_TIMEOUT] = {"connect-timeout", HOLDFAST_DURATION, 0, "10s", NULL, "How long connecting may take"},
  [HF_REDIS_SET_STALL_TIMEOUT] = {"stall-timeout", HOLDFAST_DURATION, 0, "60s", NULL, "How long the server may be silent when it should speak"},
  [HF_REDIS_SET_ACL] = {"acl", HOLDFAST_BOOL, 0, "yes", NULL, "Back up the ACL users too"},
  [HF_REDIS_SET_CONFIG] = {"config", HOLDFAST_BOOL, 0, "yes", NULL, "Back up the configuration too"},
  [HF_REDIS_SET_RESTORE_INTO] = {"restore-into", HOLDFAST_CHOICE, 0, "file", "file|server",
    "Restore in place into the folder of the stopped server, or into the running, empty server"},
  [HF_REDIS_SET_RDB_PATH] = {"rdb-path", HOLDFAST_PATH, 0, NULL, NULL, "The server's RDB on this machine, if it is not where it was at the backup"},
  [HF_REDIS_SET_RESTORE_ADDRESS] = {"restore-address", HOLDFAST_STRING, 0, "127.0.0.1", NULL,
    "The address of this machine at which a running server fetches the data of a restore"},
  [HF_REDIS_SET_LOAD_TIMEOUT] = {"load-timeout", HOLDFAST_DURATION, 0, "1h", NULL, "How long a server may take to load the restored data"},
  [HF_REDIS_SET_SERVER] = {"redis-server", HOLDFAST_COMMAND, 0, "redis-server", NULL, "The redis-server program for rehearsals and restores, with arguments"},
  [HF_REDIS_SET_ASSERT] = {"assert", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL,
    "A command that must reply something but 0 in a rehearsal, or whose reply must compare as said"},
  {NULL, 0, 0, NULL, NULL, NULL},
};

static const struct holdfast_source_plugin plugin = {
  .head =
    {
      .struct_size = sizeof plugin,
      .abi_major = HOLDFAST_ABI_MAJOR,
      .abi_minor = HOLDFAST_ABI_MINOR,
      .name = "redis",
      .version = "1.0",
      .summary = "a Redis server: its data as of one moment, its ACL users and its configuration",
      .settings = settings,
    },
  .open = hf_redis_open,
  .next = hf_redis_next,
  .entry_open = hf_redis_entry_open,
  .read = hf_redis_read,
  .entry_close = hf_redis_entry_close,
  .finish = hf_redis_finish,
  .close = hf_redis_done,
  .probe = hf_redis_probe,
  .restore_open = hf_redis_restore_open,
  .restore_begin = hf_redis_restore_begin,
  .restore_write = hf_redis_restore_write,
  .restore_end = hf_redis_restore_end,
  .restore_finish = hf_redis_restore_finish,
  .restore_close = hf_redis_restore_close,
  .verify = hf_redis_verify,
  .features = HOLDFAST_KEEPS_SAFETY,
  .undo = hf_redis_undo,
};

HOLDFAST_SOURCE_PLUGIN(plugin)
