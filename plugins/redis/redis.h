/* redis.h - the redis source: what its files share.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * conn.c, tls.c    bytes to and from a server, with time limits
 * resp.c           replies in RESP2
 * client.c         commands, login, what an error reply means
 * frame.c          where an RDB in a replication stream begins and ends
 * rdb.c, crc64.c   head, end and checksum of an RDB
 * info.c, state.c  what a server says of itself; the same as the state of a snapshot
 * backup.c         the backup half and the preflight
 * restore.c        the restore half; place.c: into a stopped server's folder; live.c: into a running empty server
 * server.c         a redis-server of our own; verify.c, assert.c: the rehearsal in one
 *
 * Functions that can fail return HOLDFAST_OK or a negative status, and have then given the message to the host, unless said otherwise.
 */
#ifndef HF_REDIS_H
#define HF_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <holdfast/source.h>

#define HF_REDIS_RDB "dump.rdb"
#define HF_REDIS_ACL "users.acl"
#define HF_REDIS_CONF "redis.conf"

/* Rows of the settings table, in its order. */
enum {
  HF_REDIS_SET_HOST,
  HF_REDIS_SET_PORT,
  HF_REDIS_SET_SOCKET,
  HF_REDIS_SET_USERNAME,
  HF_REDIS_SET_PASSWORD,
  HF_REDIS_SET_TLS,
  HF_REDIS_SET_TLS_CA,
  HF_REDIS_SET_TLS_CERT,
  HF_REDIS_SET_TLS_KEY,
  HF_REDIS_SET_TLS_NAME,
  HF_REDIS_SET_CONNECT_TIMEOUT,
  HF_REDIS_SET_STALL_TIMEOUT,
  HF_REDIS_SET_ACL,
  HF_REDIS_SET_CONFIG,
  HF_REDIS_SET_RESTORE_INTO,
  HF_REDIS_SET_RDB_PATH,
  HF_REDIS_SET_RESTORE_ADDRESS,
  HF_REDIS_SET_LOAD_TIMEOUT,
  HF_REDIS_SET_SERVER,
  HF_REDIS_SET_ASSERT
};

int hf_redis_no_memory(const struct holdfast_host *host);
/* The status that goes with an errno. */
int hf_redis_status(int error);
/* A line for the log. */
void hf_redis_log(const struct holdfast_host *host, int level, const char *fmt, ...) HOLDFAST_PRINTF(3, 4);
/* Milliseconds of the monotonic clock. */
int64_t hf_redis_now(void);
/* Let ms milliseconds pass, for what can only be asked for again and again; less when the run is stopped. */
void hf_redis_pause(const struct holdfast_host *host, int ms);

/* ---- a server and a connection to it (conn.c, tls.c) ---- */

/* How to reach a server and who we are there. The strings are the settings' and live as long. */
struct hf_redis_target {
  const char *host, *socket; /* socket: a path, or NULL */
  unsigned port;
  const char *username, *password; /* or NULL */
  bool tls;
  const char *tls_ca, *tls_cert, *tls_key, *tls_name; /* or NULL */
  int connect_timeout, stall_timeout;                 /* milliseconds */
  char label[280];                                    /* how messages name it */
};

/* Fill *t from the settings. HOLDFAST_E_CONFIG when they do not go together. */
int hf_redis_target(const struct holdfast_host *host, const struct holdfast_value *values, struct hf_redis_target *t);

struct hf_redis_conn;
struct hf_redis_tls;

/* Connect, with TLS if the target says so; nobody has logged in yet. The target must outlive the connection. */
int hf_redis_connect(const struct holdfast_host *host, const struct hf_redis_target *t, struct hf_redis_conn **out);
/* 1 to n bytes; 0 when the server closed the connection; HOLDFAST_E_TIMEOUT when nothing came for the stall timeout. */
int64_t hf_redis_recv(struct hf_redis_conn *c, void *buf, size_t n);
/* All of it. */
int hf_redis_send(struct hf_redis_conn *c, const void *buf, size_t n);
void hf_redis_close(struct hf_redis_conn *c);
const struct holdfast_host *hf_redis_host(const struct hf_redis_conn *c);
const struct hf_redis_target *hf_redis_of(const struct hf_redis_conn *c);
/* Wait until the socket can be read (POLLIN) or written (POLLOUT), at most timeout ms. */
int hf_redis_wait(const struct holdfast_host *host, int fd, short events, int timeout, const char *label);

/* TLS on a connected non-blocking socket, which stays the caller's. */
int hf_redis_tls_start(const struct holdfast_host *host, const struct hf_redis_target *t, int fd, struct hf_redis_tls **out);
int64_t hf_redis_tls_recv(struct hf_redis_tls *s, void *buf, size_t n);
/* As many bytes as went, at least 1. */
int64_t hf_redis_tls_send(struct hf_redis_tls *s, const void *buf, size_t n);
void hf_redis_tls_free(struct hf_redis_tls *s);

/* ---- replies (resp.c) ---- */

enum hf_redis_type { HF_REDIS_NIL, HF_REDIS_STATUS, HF_REDIS_ERROR, HF_REDIS_INTEGER, HF_REDIS_BULK, HF_REDIS_ARRAY };

/* More than this, or arrays deeper than this, is no reply that we asked for. */
#define HF_REDIS_REPLY_MAX (16u << 20)
#define HF_REDIS_REPLY_DEPTH 8

struct hf_redis_reply {
  enum hf_redis_type type;
  int64_t integer;
  char *text; /* STATUS, ERROR, BULK: n bytes and a NUL */
  size_t n;
  struct hf_redis_reply *items; /* ARRAY */
  size_t n_items;
};

/* One reply at the start of n bytes: 1 and *used, *out (free it with hf_redis_reply_clear); 0 when it is not complete yet; -1 when
 * this is no RESP; -2 out of memory. No message is given. */
int hf_redis_parse(const char *p, size_t n, size_t *used, struct hf_redis_reply *out);
void hf_redis_reply_clear(struct hf_redis_reply *r);
/* Copy n bytes as printable text into out, cut to fit. */
void hf_redis_printable(const char *p, size_t n, char *out, size_t cap);

/* ---- commands (client.c) ---- */

/* Send a command and wait for its reply. An error reply is a reply: *out has the type HF_REDIS_ERROR, and 0 is returned. */
int hf_redis_call(struct hf_redis_conn *c, struct hf_redis_reply *out, size_t n, const char *const *words);
#define HF_REDIS_CALL(c, out, ...) \
  hf_redis_call((c), (out), sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), (const char *const[]){__VA_ARGS__})
/* The same for a command that must not fail; when out is NULL the reply is dropped. */
int hf_redis_must(struct hf_redis_conn *c, struct hf_redis_reply *out, size_t n, const char *const *words);
#define HF_REDIS_MUST(c, out, ...) \
  hf_redis_must((c), (out), sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), (const char *const[]){__VA_ARGS__})
/* Message and status for the error text of n bytes that came for a command ("PSYNC"). */
int hf_redis_refused(const struct hf_redis_conn *c, const char *command, const char *text, size_t n);
/* Is it an error that begins with this word ("NOPERM")? */
bool hf_redis_is_error(const struct hf_redis_reply *r, const char *word);
/* Connect and log in. */
int hf_redis_login(const struct holdfast_host *host, const struct hf_redis_target *t, struct hf_redis_conn **out);

/* ---- the RDB in a replication stream (frame.c) ---- */

#define HF_REDIS_MARK 40

enum hf_redis_frame_state { HF_REDIS_FRAME_HEAD, HF_REDIS_FRAME_LENGTH, HF_REDIS_FRAME_MARK, HF_REDIS_FRAME_DONE, HF_REDIS_FRAME_BAD };

/* What follows +FULLRESYNC: newlines to keep the link alive, "$LENGTH\r\n" and that many bytes, or "$EOF:MARK\r\n", bytes, and the
 * mark. Zero it to begin. */
struct hf_redis_frame {
  enum hf_redis_frame_state state;
  uint64_t left;                           /* LENGTH: bytes to come */
  unsigned char mark[HF_REDIS_MARK];       /* MARK: the end's, and */
  unsigned char held[HF_REDIS_MARK];       /* the last bytes that came: data, unless they are the mark */
  size_t held_n;
  char line[64];                           /* HEAD: so far; BAD: what was not understood */
  size_t line_n;
};

/* Take n bytes; what is data of the RDB goes to out, which has room for n. Returns how many bytes that are. Look at the state
 * afterwards: DONE, the RDB is complete (what follows it is ignored); BAD, line is no header that we know. */
size_t hf_redis_frame_feed(struct hf_redis_frame *f, const unsigned char *in, size_t n, unsigned char *out);

/* ---- the RDB itself (rdb.c, crc64.c) ---- */

/* CRC-64/REDIS (Jones, reflected), sixteen bytes at a time where the processor multiplies without carries, else eight: the caller keeps the
 * tables, 16 KiB. */
struct hf_redis_crc64 {
  uint64_t t[8][256];
  uint64_t fold[2]; /* x^191 and x^127 */
  bool multiplies;
};
void hf_redis_crc64_init(struct hf_redis_crc64 *tables);
uint64_t hf_redis_crc64(const struct hf_redis_crc64 *tables, uint64_t crc, const void *buf, size_t n);

#define HF_REDIS_HEAD 9
#define HF_REDIS_TAIL 9

enum hf_redis_rdb_result {
  HF_REDIS_RDB_OK,
  HF_REDIS_RDB_UNCHECKED, /* whole, and the server was told to write no checksum */
  HF_REDIS_RDB_NONE,      /* does not begin as an RDB does */
  HF_REDIS_RDB_SHORT,     /* does not end as one does */
  HF_REDIS_RDB_DAMAGED    /* the checksum is not that of its bytes */
};

struct hf_redis_rdb {
  struct hf_redis_crc64 tables;
  uint64_t crc, total; /* crc: of all but the tail */
  unsigned char head[HF_REDIS_HEAD], tail[HF_REDIS_TAIL];
  size_t tail_n;
};

void hf_redis_rdb_init(struct hf_redis_rdb *r);
void hf_redis_rdb_feed(struct hf_redis_rdb *r, const void *buf, size_t n);
/* All of it has been fed. */
enum hf_redis_rdb_result hf_redis_rdb_end(const struct hf_redis_rdb *r);
/* The same with message and status; name: whose RDB it is. */
int hf_redis_rdb_check(const struct holdfast_host *host, const struct hf_redis_rdb *r, const char *name);

/* ---- what a server says of itself (info.c), and the state of a snapshot (state.c) ---- */

#define HF_REDIS_DATABASES 512 /* so many are counted one by one: the state has room for no more */

struct hf_redis_count {
  unsigned db;
  uint64_t keys, expires;
};

struct hf_redis_facts {
  bool info, config; /* do we know what INFO, what CONFIG GET says? */
  char version[32], mode[24], role[16], link[16];
  char replid[48];
  uint64_t offset; /* of the snapshot, in the history that replid names */
  bool loading, cluster, syncing;
  uint64_t master_offset, replica_offset, full_syncs;
  struct hf_redis_count counts[HF_REDIS_DATABASES];
  size_t n_counts;
  uint64_t keys, expires;                   /* of all databases together */
  uint64_t dirty, expired, evicted, saved; /* counters of changes; saved: when dirty last began anew */
  /* How many keys may have come or gone between the count and the snapshot; negative: not known. */
  int64_t changes;
  unsigned databases;
  bool appendonly;
  char dir[1024], dbfilename[256], appendfilename[256], appenddirname[256];
};

/* Read the text of INFO into *f, in which nothing else changes but info. */
void hf_redis_info_parse(struct hf_redis_facts *f, const char *text);
/* Ask for it. HOLDFAST_OK also when we may not: then f->info is false. */
int hf_redis_info(struct hf_redis_conn *c, struct hf_redis_facts *f);
/* Take what we want to know from the reply of CONFIG GET. */
void hf_redis_config_parse(struct hf_redis_facts *f, const struct hf_redis_reply *r);
/* How many keys may have come or gone between two looks; negative: not known. */
int64_t hf_redis_changes(const struct hf_redis_facts *before, const struct hf_redis_facts *after);
/* The reply of CONFIG GET * as a configuration file, that of ACL LIST as an ACL file. The caller frees; NULL: out of memory. */
char *hf_redis_conf_text(const struct hf_redis_reply *r, size_t *n);
char *hf_redis_acl_text(const struct hf_redis_reply *r, size_t *n);

/* The state as JSON; the caller frees; NULL: out of memory. */
char *hf_redis_state_write(const struct hf_redis_facts *f, const struct hf_redis_rdb *rdb);
/* Read it. An empty text is a snapshot without state: *f is zeroed, changes -1. */
int hf_redis_state_read(const struct holdfast_host *host, const char *text, struct hf_redis_facts *f);

/* ---- a redis-server of our own (server.c) ---- */

struct hf_redis_server_how {
  const struct holdfast_value *program; /* the words of the setting redis-server */
  const char *rdb;                      /* absolute path of the RDB that it is to load; never written */
  const char *address;                  /* listen there too, on a free port; NULL: on the Unix socket in its folder alone */
  unsigned databases;                   /* at least so many; 0: not known */
  bool replica;                         /* as a replica of nobody: keys that have expired are kept and counted, and writes refused */
  int64_t timeout;                      /* milliseconds until it must have loaded the RDB */
};

struct hf_redis_server {
  const struct holdfast_host *host;
  struct hfp_child *child;
  char *dir;            /* private, removed at the end */
  char socket[100];     /* in it */
  char password[65];
  unsigned port;        /* at the address */
  struct hf_redis_target target;
  struct hf_redis_conn *conn; /* logged in */
};

/* Start it and wait until it has loaded the RDB. Stop it also when this failed. */
int hf_redis_server_start(struct hf_redis_server *s, const struct holdfast_host *host, const struct hf_redis_server_how *how);
/* HOLDFAST_OK while it runs. */
int hf_redis_server_alive(const struct hf_redis_server *s);
void hf_redis_server_stop(struct hf_redis_server *s);

/* ---- assertions (assert.c) ---- */

#define HF_REDIS_WORDS 64

/* "[DATABASE:] COMMAND [ARGUMENT...] [OPERATOR VALUE]", cut into words. */
struct hf_redis_assert {
  char *text; /* the words' bytes */
  const char *words[HF_REDIS_WORDS];
  size_t n;             /* of the command */
  const char *db;       /* or NULL */
  const char *op;       /* or NULL */
  const char *value;
};

/* NULL, or what is wrong with it (a constant text). Free it with hf_redis_assert_clear also then. */
const char *hf_redis_assert_parse(struct hf_redis_assert *a, const char *line);
void hf_redis_assert_clear(struct hf_redis_assert *a);
/* Does it hold with this reply? got: what the reply was, as text. */
bool hf_redis_assert_holds(const struct hf_redis_assert *a, const struct hf_redis_reply *r, char *got, size_t cap);
/* All of them against a server, in order; the first that does not hold is an error. */
int hf_redis_assert_all(struct hf_redis_conn *c, const struct holdfast_value *lines);

/* ---- a restore into the folder of a stopped server (place.c) and into a running one (live.c) ---- */

struct hf_redis_place;
/* Look whether it can be done, and make the new files beside the old ones. */
int hf_redis_place_open(const struct holdfast_host *host, const struct holdfast_value *values, const struct hf_redis_facts *f,
                        struct hf_redis_place **out);
int hf_redis_place_write(struct hf_redis_place *p, const void *buf, size_t n);
/* Put the new files into place, the old ones aside. */
int hf_redis_place_finish(struct hf_redis_place *p);
void hf_redis_place_free(struct hf_redis_place *p);

struct hf_redis_live;
int hf_redis_live_open(const struct holdfast_host *host, const struct holdfast_value *values, const struct hf_redis_facts *f,
                       struct hf_redis_live **out);
int hf_redis_live_write(struct hf_redis_live *l, const void *buf, size_t n);
int hf_redis_live_finish(struct hf_redis_live *l);
void hf_redis_live_free(struct hf_redis_live *l);

/* ---- the table's callbacks ---- */

int hf_redis_open(const struct holdfast_host *host, const struct holdfast_value *values, void **handle);
int hf_redis_next(void *handle, struct holdfast_entry *e);
int hf_redis_entry_open(void *handle, struct holdfast_entry *e);
int64_t hf_redis_read(void *handle, void *buf, size_t n);
int hf_redis_entry_close(void *handle);
int hf_redis_finish(void *handle, const char **state);
void hf_redis_done(void *handle);
int hf_redis_probe(const struct holdfast_host *host, const struct holdfast_value *values);
int hf_redis_restore_open(const struct holdfast_host *host, const struct holdfast_value *values,
                          const struct holdfast_restore *how, void **handle);
int hf_redis_restore_begin(void *handle, const char *stream, uint64_t size);
int hf_redis_restore_write(void *handle, const void *buf, size_t n);
int hf_redis_restore_end(void *handle);
int hf_redis_restore_finish(void *handle, int complete);
void hf_redis_restore_close(void *handle);
int hf_redis_undo(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_kept *items, size_t n);
int hf_redis_verify(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory, const char *state);

#endif
