/* unpack.h - archives into folders, and folders into their places.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_PG_UNPACK_H
#define HF_PG_UNPACK_H

#include "physical.h"
#include "postgres.h"

/* Whose the files are to be. */
struct hf_pg_owner {
  bool set; /* else ours, as they are made */
  uid_t uid;
  gid_t gid;
};

/* ---- unpack.c: one archive into one folder ---- */

#define HF_PG_MAP_MAX (4u << 20) /* bytes of a tablespace_map */

/* A folder that is being filled. No symbolic link is followed below it, and nothing that exists is written to. */
struct hf_pg_unpack {
  const struct holdfast_host *host;
  struct hf_pg_owner owner;
  char *top;                      /* its path, for messages */
  int root, dir, file;            /* descriptors: the folder, the folder of the entry under way, the file under way; -1: none */
  char dir_path[HF_PG_TAR_NAME + 1];
  char path[HF_PG_TAR_NAME + 1];  /* of the entry under way */
  char first[HF_PG_TAR_NAME + 1]; /* the first entry's */
  bool in_map;
  char *map;                      /* the text of tablespace_map, which is kept and not written; NULL if there is none */
  size_t map_n;
};

/* top: an existing folder, which must be the caller's alone. owner: copied. */
int hf_pg_unpack_open(struct hf_pg_unpack *u, const struct holdfast_host *host, const char *top, const struct hf_pg_owner *owner);
struct hf_pg_tar_sink hf_pg_unpack_sink(struct hf_pg_unpack *u);
/* Write a file of the caller's own into it. */
int hf_pg_unpack_file(struct hf_pg_unpack *u, const char *path, const void *data, size_t n);
/* Open a new file in it for writing: a descriptor, which is the caller's. */
int hf_pg_unpack_create(struct hf_pg_unpack *u, const char *path);
/* A symbolic link in it. One that is there, or an empty folder, is replaced. */
int hf_pg_unpack_link(struct hf_pg_unpack *u, const char *path, const char *target);
/* Everything to the disk. */
int hf_pg_unpack_sync(struct hf_pg_unpack *u);
void hf_pg_unpack_close(struct hf_pg_unpack *u);

/* ---- place.c: what is at a place, and what is to be there ---- */

/* All strings are paths, absolute, NULL until known. */
struct hf_pg_place {
  char *stage; /* the folder that is filled, made by us; what is left of it goes in the end */
  char *to;    /* where it, or `from` in it, is to be */
  char *from;  /* what is moved there */
  char *aside; /* where what was there before is kept */
  bool staged, put, kept;
};

/* Make a folder stage, 0700. */
int hf_pg_place_stage(struct hf_pg_place *p, const struct holdfast_host *host, const char *stage);
/* Move what is at to, if anything, to aside, and from to to. When the second fails the first is undone. */
int hf_pg_place_swap(struct hf_pg_place *p, const struct holdfast_host *host);
/* Undo a swap. */
void hf_pg_place_back(struct hf_pg_place *p, const struct holdfast_host *host);
/* Free everything; remove the stage if it is still there and `discard`. */
void hf_pg_place_free(struct hf_pg_place *p, bool discard);

/* Refuse (EXISTS) when a server runs in that data directory. */
int hf_pg_not_running(const struct holdfast_host *host, const char *data);

#endif
