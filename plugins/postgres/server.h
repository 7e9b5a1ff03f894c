/* server.h - a temporary PostgreSQL cluster on a private Unix socket, for rehearsals.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The server runs as the account server-user when we are root (PostgreSQL refuses root), else as ourselves. It listens on no network
 * address; its socket is in a private folder, whose owner alone may connect, so every connection is trusted. It does not archive, replicate or start
 * background jobs of extensions (shared_preload_libraries is empty), and is killed when its worker dies.
 */
#ifndef HF_PG_SERVER_H
#define HF_PG_SERVER_H

#include <sys/stat.h>

#include "postgres.h"

struct hf_pg_server_how {
  int major;             /* of the cluster: the server program must be of exactly this version if data is given, at least this if not */
  const char *data;      /* an existing data directory, owned by server-user when we are root; NULL: a new one is made, and removed again */
  const char *below;     /* where to make a new data directory; NULL: below $TMPDIR or /tmp */
  const char *superuser; /* NULL: "postgres". Of an existing cluster, the role with OID 10 */
  const char *const *settings; /* more "name=value" for the server, NULL-terminated; may be NULL */
  unsigned timeout;      /* seconds it may take until connections are accepted (recovery included); 0: the default of 300 */
};

struct hf_pg_server;

/* Start it and wait until it accepts connections, out of recovery. What the server said last is in the message when it does not. In an existing data
 * directory, pg_hba.conf,
 * pg_ident.conf and postgresql.conf are left as they are and not used; postgresql.auto.conf is read, and outweighed where it matters; standby.signal and
 * recovery.signal are the caller's matter. Folders above the data directory that belong to root and that server-user may not go through are opened to its group
 * (0710) until the server stops. */
int hf_pg_server_start(const struct holdfast_host *host, const struct holdfast_value *values, const struct hf_pg_server_how *how,
                       struct hf_pg_server **out);
/* The superuser's session in a database of it; as hf_pg_connect. */
int hf_pg_server_connect(struct hf_pg_server *s, const char *dbname, PGconn **out);
/* The folder of its socket, its port (of the socket's name) and superuser, its major version and the folder of its programs. */
const char *hf_pg_server_socket(const struct hf_pg_server *s);
const char *hf_pg_server_superuser(const struct hf_pg_server *s);
const char *hf_pg_server_bin(const struct hf_pg_server *s);
int hf_pg_server_major(const struct hf_pg_server *s);
#define HF_PG_SERVER_PORT "5432"
/* Stop it (immediate shutdown, or fast when `clean`), wait for its end, remove what was made. NULL is harmless. */
void hf_pg_server_stop(struct hf_pg_server *s, bool clean);

/* ---- the folders above it (way.c) ---- */

enum { HF_PG_WAY_MAX = 16 };

/* Folders that were opened, and what they were before. All zeros: none. */
struct hf_pg_way {
  struct hf_pg_way_folder {
    int fd;
    gid_t gid;
    mode_t mode;
  } at[HF_PG_WAY_MAX];
  size_t n;
};

/* Is there such an account, and is it not root? */
int hf_pg_way_account(const struct holdfast_host *host, const char *name);
/* Make it the owner of an open file. 0, or -1 with errno. */
int hf_pg_way_give(const char *name, int fd);
/* Let the account go through every folder above path: those that are root's and closed to all others get the account's group and mode 0710. One that is
 * closed in another way is an error (AUTH). name NULL: nothing to do. */
int hf_pg_way_open(const struct holdfast_host *host, const char *name, const char *path, struct hf_pg_way *w);
/* Make them what they were. */
void hf_pg_way_close(struct hf_pg_way *w);

#endif
