/* io.h - files, directories, locks, child processes. All descriptors made here are close-on-exec. */
#ifndef HF_IO_H
#define HF_IO_H

#include <sys/stat.h>

#include "base/base.h"

/* ---- whole reads and writes (io.c); EINTR is retried ---- */
/* Write all n bytes. */
int hf_write_all(int fd, const void *p, size_t n, struct hf_error *err);
/* Write all n bytes at off. */
int hf_pwrite_all(int fd, const void *p, size_t n, uint64_t off, struct hf_error *err);
/* Read until n bytes or end of file; returns the count or a negative status. */
ssize_t hf_read_full(int fd, void *p, size_t n, struct hf_error *err);
/* A whole file into b (appended). max bounds it: a larger file is an error (HOLDFAST_E_CORRUPT). */
int hf_read_file(const char *path, size_t max, struct hf_buf *b, struct hf_error *err);
/* Replace path atomically: temp file beside it, write, fsync, rename, fsync of the folder. mode as for open(2). */
int hf_write_file_atomic(const char *path, const void *p, size_t n, mode_t mode, struct hf_error *err);
/* fsync the folder that holds path. */
int hf_fsync_parent(const char *path, struct hf_error *err);
/* mkdir -p; existing folders are kept as they are. */
int hf_mkdir_p(const char *path, mode_t mode, struct hf_error *err);
/* rm -r that never follows a symlink; a path that is not there is fine. */
int hf_remove_tree(const char *path, struct hf_error *err);
/* An anonymous memory file (memfd), for feeding child processes. Returns the descriptor. */
int hf_memfd(const char *name, struct hf_error *err);

/* ---- paths (path.c) ---- */
/* "a/b" from two parts, exactly one slash between; owned by the caller. b absolute gives b. */
char *hf_path_join(const char *a, const char *b);
/* Total order of tree paths: bytewise, with '/' sorting before every other byte, so a folder is followed by all
 * that is in it. Returns <0, 0, >0. */
int hf_path_cmp(const char *a, size_t an, const char *b, size_t bn);
/* True if p is a safe relative tree path: not empty, not absolute, no empty, "." or ".." component, no NUL within n. */
bool hf_path_is_safe(const char *p, size_t n);

/* Is there a program of that name that can be run: in PATH, or where a name with a slash says? */
bool hf_is_on_path(const char *name);

/* ---- advisory file lock (lock.c) ---- */
struct hf_lock; /* held until hf_lock_free; released by the kernel when the process dies */
/* Take an exclusive flock on path (created 0600). what: the holder, as a later one is told, e.g. "holdfast backup"; it goes into the file with
 * the pid and the time. wait_s: 0 fails at once with HOLDFAST_E_EXISTS naming the holder, else wait that many seconds, and say once who is waited for.
 * cancel: non-zero ends waiting with HOLDFAST_E_CANCELED; may be NULL. */
int hf_lock_take(const char *path, const char *what, double wait_s, const volatile int *cancel, struct hf_lock **out, struct hf_error *err);
void hf_lock_free(struct hf_lock *l);

/* ---- child processes (process.c) ---- */
struct hf_child {
  pid_t pid;
};
/* Start argv[0] (looked up in PATH) with the given descriptors as 0, 1, 2 (-1: /dev/null) and, when extra_fd >= 0, that one
 * as descriptor 3. env NULL: inherited. Uses posix_spawn/vfork: cheap whatever the parent's size. No descriptors leak. */
int hf_spawn(char *const argv[], char *const env[], int in, int out, int errfd, int extra_fd, struct hf_child *c,
             struct hf_error *err);
/* Wait for the child. *exit_code gets its exit code, or 128 + signal. timeout_s 0: no limit; on time-out the child gets
 * SIGTERM, then SIGKILL two seconds later, and HOLDFAST_E_TIMEOUT is returned. */
int hf_wait(struct hf_child *c, unsigned timeout_s, int *exit_code, struct hf_error *err);
/* Run to the end with input in/in_n (NULL: none) on its standard input; standard output and standard error collected (each cut at 1 MiB).
 * out/errout may be NULL. Never deadlocks on full pipes. */
int hf_run(char *const argv[], char *const env[], const void *in, size_t in_n, struct hf_buf *out, struct hf_buf *errout,
           unsigned timeout_s, int *exit_code, struct hf_error *err);

#endif
