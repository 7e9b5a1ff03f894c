/* test_io.c - files, folders, paths, locks, child processes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "unit.h"

static char dir[] = "/tmp/holdfast-io-XXXXXX";

static int setup(void **state) {
  (void)state;
  return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  return chdir("/") == 0 && hf_remove_tree(dir, NULL) == 0 && access(dir, F_OK) != 0 ? 0 : -1;
}

static void joins(void **state) {
  (void)state;
  static const char *const row[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"a//", "b/c", "a/b/c"}, {"a", "/b", "/b"}, {"/", "b", "/b"}, {"", "b", "b"}};
  for (size_t i = 0; i < HF_NELEM(row); i++) {
    HF_CLEANUP(hf_freep) char *p = hf_path_join(row[i][0], row[i][1]);
    assert_string_equal(p, row[i][2]);
  }
}

static int cmp(const char *a, const char *b) { return hf_path_cmp(a, strlen(a), b, strlen(b)); }

static void path_order(void **state) {
  (void)state;
  /* in order; every pair is compared both ways */
  static const char *const p[] = {"", "a", "a/b", "a/b/c", "a/b\x01", "a/z", "a\x01", "a b", "a.d", "a.d/x", "ab", "b", "\xff"};
  for (size_t i = 0; i < HF_NELEM(p); i++)
    for (size_t j = 0; j < HF_NELEM(p); j++) {
      int want = i < j ? -1 : i > j;
      int got = cmp(p[i], p[j]);
      assert_int_equal(got < 0 ? -1 : got > 0, want);
    }
}

static void path_safety(void **state) {
  (void)state;
  static const char *const good[] = {"a", "a/b", "...", "a/..b", ".a", "a b", "\xff\n"};
  static const char *const bad[] = {"", "/", "/a", "a/", "a//b", ".", "..", "./a", "a/.", "a/../b", "..", "../a", "a/.."};
  for (size_t i = 0; i < HF_NELEM(good); i++) assert_true(hf_path_is_safe(good[i], strlen(good[i])));
  for (size_t i = 0; i < HF_NELEM(bad); i++) assert_false(hf_path_is_safe(bad[i], strlen(bad[i])));
  assert_false(hf_path_is_safe("a\0b", 3));
  assert_true(hf_path_is_safe("a/b", 1)); /* n counts, not the NUL */
}

static void reads_and_writes(void **state) {
  (void)state;
  int fd = open("rw", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  char b[20] = "";
  assert_int_equal(hf_write_all(fd, "hello", 5, NULL), 0);
  assert_int_equal(hf_pwrite_all(fd, "J", 1, 0, NULL), 0);
  lseek(fd, 0, SEEK_SET);
  assert_int_equal(hf_read_full(fd, b, sizeof b, NULL), 5);
  assert_string_equal(b, "Jello");
  assert_int_equal(hf_read_full(fd, b, sizeof b, NULL), 0);
  close(fd);
  struct hf_error e;
  fd = open("rw", O_RDONLY | O_CLOEXEC);
  assert_true(hf_write_all(fd, "x", 1, &e) < 0);
  assert_true(hf_pwrite_all(fd, "x", 1, UINT64_MAX, &e) < 0);
  close(fd);
  fd = open("/dev/full", O_RDWR | O_CLOEXEC);
  assert_int_equal(hf_write_all(fd, "x", 1, &e), HOLDFAST_E_NO_SPACE);
  assert_string_equal(e.msg, "write: No space left on device");
  close(fd);
  fd = open(".", O_RDONLY | O_CLOEXEC);
  assert_true(hf_read_full(fd, b, 1, &e) < 0);
  close(fd);
}

static void whole_files(void **state) {
  (void)state;
  struct hf_buf b = HF_BUF_INIT;
  struct hf_error e;
  assert_int_equal(hf_write_file_atomic("f", "0123456789", 10, 0640, &e), 0);
  assert_int_equal(hf_read_file("f", 10, &b, &e), 0);
  assert_string_equal(b.data, "0123456789");
  assert_int_equal(hf_read_file("f", SIZE_MAX, &b, &e), 0); /* appended */
  assert_int_equal(b.len, 20);
  assert_int_equal(hf_read_file("f", 9, &b, &e), HOLDFAST_E_CORRUPT);
  assert_string_equal(e.msg, "f is larger than the 9 bytes it may have");
  assert_int_equal(b.len, 20);
  assert_int_equal(hf_read_file("none", 9, &b, &e), HOLDFAST_E_NOT_FOUND);
  assert_int_equal(hf_read_file(".", 9, &b, &e), HOLDFAST_E_FAILED);
  assert_int_equal(strncmp(e.msg, ".: read", 7), 0);
  hf_buf_clear(&b);
  assert_int_equal(hf_read_file("/proc/self/status", HF_MIB, &b, &e), 0); /* says that it has 0 bytes */
  assert_non_null(strstr(b.data, "Pid:"));
  hf_buf_clear(&b);
  size_t big = 300000;
  char *p = hf_alloc(big);
  memset(p, 'z', big);
  assert_int_equal(hf_write_file_atomic("f", p, big, 0600, &e), 0);
  assert_int_equal(hf_read_file("f", big, &b, &e), 0);
  assert_int_equal(b.len, big);
  assert_memory_equal(b.data, p, big);
  free(p);
  hf_buf_free(&b);
}

static void atomic_failures(void **state) {
  (void)state;
  struct hf_error e;
  assert_int_equal(hf_write_file_atomic("no/such/f", "x", 1, 0600, &e), HOLDFAST_E_NOT_FOUND);
  /* a folder is in the way: the error says so and nothing is left behind */
  assert_int_equal(hf_mkdir_p("way/x", 0700, &e), 0);
  assert_int_equal(mkdir("at", 0700), 0);
  assert_int_equal(mkdir("at/f", 0700), 0);
  assert_true(hf_write_file_atomic("at/f", "x", 1, 0600, &e) < 0);
  assert_int_equal(rmdir("at/f"), 0);
  assert_int_equal(rmdir("at"), 0);
  assert_int_equal(hf_fsync_parent("f", &e), 0);
  assert_int_equal(hf_fsync_parent("/f", &e), 0);
  assert_int_equal(hf_fsync_parent("no/f", &e), HOLDFAST_E_NOT_FOUND);
}

static void folders(void **state) {
  (void)state;
  struct hf_error e;
  struct stat st;
  HF_CLEANUP(hf_freep) char *abs = hf_path_join(dir, "m/n//o/");
  assert_int_equal(hf_mkdir_p(abs, 0700, &e), 0);
  assert_int_equal(hf_mkdir_p(abs, 0700, &e), 0);
  assert_int_equal(stat("m/n/o", &st), 0);
  assert_int_equal(st.st_mode & 07777, 0700);
  assert_int_equal(hf_mkdir_p("m/n/p", 0755, &e), 0);
  assert_int_equal(hf_mkdir_p("/", 0755, &e), 0);
  assert_int_equal(hf_write_file_atomic("m/file", "x", 1, 0600, &e), 0);
  assert_true(hf_mkdir_p("m/file", 0700, &e) < 0);
  assert_true(hf_mkdir_p("m/file/sub", 0700, &e) < 0);
}

static void removal(void **state) {
  (void)state;
  struct hf_error e;
  assert_int_equal(hf_remove_tree("not-there", &e), 0);
  assert_int_equal(hf_mkdir_p("keep", 0700, &e), 0);
  assert_int_equal(hf_write_file_atomic("keep/me", "x", 1, 0600, &e), 0);
  assert_int_equal(hf_mkdir_p("t/a/b", 0700, &e), 0);
  assert_int_equal(hf_mkdir_p("t/c", 0700, &e), 0);
  assert_int_equal(symlink("../keep", "t/link"), 0);
  assert_int_equal(symlink("../../keep", "t/a/link"), 0);
  assert_int_equal(mkfifo("t/a/fifo", 0600), 0);
  for (int i = 0; i < 50; i++) {
    HF_CLEANUP(hf_freep) char *p = hf_asprintf("t/c/%d", i);
    assert_int_equal(i % 2 ? hf_mkdir_p(p, 0700, &e) : hf_write_file_atomic(p, "x", 1, 0600, &e), 0);
  }
  assert_int_equal(hf_remove_tree("t", &e), 0);
  assert_int_not_equal(access("t", F_OK), 0);
  assert_int_equal(access("keep/me", F_OK), 0);
  /* a link itself is removed, not what it leads to; so is a plain file */
  assert_int_equal(symlink("keep", "link"), 0);
  assert_int_equal(hf_remove_tree("link", &e), 0);
  assert_int_not_equal(access("link", F_OK), 0);
  assert_int_equal(access("keep/me", F_OK), 0);
  assert_int_equal(hf_remove_tree("keep/me", &e), 0);
  assert_true(hf_remove_tree("rw/below-a-file", &e) <= 0);
}

/* Far deeper than PATH_MAX and than the descriptors one may have. */
/* Folders of one's own that nobody may write or enter: as another user, since root may do anything. */
static void removal_of_closed_folders(void **state) {
  (void)state;
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    if (mkdir("closed", 0777) != 0 || chmod("closed", 0777) != 0) _exit(1);
    if (geteuid() == 0 && (chmod(".", 0777) != 0 || setregid(65534, 65534) != 0 || setreuid(65534, 65534) != 0)) _exit(2);
    if (mkdir("closed/top", 0700) != 0 || mkdir("closed/top/a", 0700) != 0 || mkdir("closed/top/b", 0700) != 0) _exit(3);
    int fd = creat("closed/top/a/file", 0400);
    if (fd < 0 || close(fd) != 0 || chmod("closed/top/a", 0500) != 0 || chmod("closed/top/b", 0) != 0 || chmod("closed/top", 0500) != 0) _exit(4);
    _exit(hf_remove_tree("closed/top", NULL) == 0 && access("closed/top", F_OK) != 0 ? 0 : 5);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
  assert_int_equal(hf_remove_tree("closed", NULL), 0);
}

static void deep_removal(void **state) {
  (void)state;
  int at = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  char name[101];
  memset(name, 'd', 100);
  name[100] = 0;
  for (int i = 0; i < 3000; i++) {
    assert_int_equal(mkdirat(at, name, 0700), 0);
    int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(next >= 0);
    close(at);
    at = next;
  }
  close(at);
  struct hf_error e;
  assert_int_equal(hf_remove_tree(name, &e), 0);
  assert_int_not_equal(access(name, F_OK), 0);
}

/* Somebody else's words in a lock file. */
static void overwrite(const char *file, const char *text) {
  int fd = open(file, O_WRONLY | O_TRUNC | O_CLOEXEC);
  assert_int_equal(hf_write_all(fd, text, strlen(text), NULL), 0);
  close(fd);
}

static void locks(void **state) {
  (void)state;
  struct hf_lock *l = NULL, *second = NULL;
  struct hf_error e;
  assert_int_equal(hf_lock_take("lock", "a test", 0, NULL, &l, &e), 0);
  /* flock belongs to the open file, so the same process stands in for another */
  assert_int_equal(hf_lock_take("lock", "a test", 0, NULL, &second, &e), HOLDFAST_E_EXISTS);
  HF_CLEANUP(hf_freep) char *want = hf_asprintf("lock is locked by a test (process %ld, since 2", (long)getpid());
  assert_int_equal(strncmp(e.msg, want, strlen(want)), 0);
  /* who waits and is told to stop does not wait on; an older or another's file is no trouble */
  const volatile int stop = 1;
  assert_int_equal(hf_lock_take("lock", "a test", 1000, &stop, &second, &e), HOLDFAST_E_CANCELED);
  overwrite("lock", "17\n");
  assert_int_equal(hf_lock_take("lock", "a test", 0, NULL, &second, &e), HOLDFAST_E_EXISTS);
  assert_string_equal(e.msg, "lock is locked by process 17");
  overwrite("lock", "\x1bnonsense");
  assert_int_equal(hf_lock_take("lock", "a test", 0, NULL, &second, &e), HOLDFAST_E_EXISTS);
  assert_string_equal(e.msg, "lock is locked by another process");
  double t = hf_now();
  assert_int_equal(hf_lock_take("lock", "a test", 1, NULL, &second, &e), HOLDFAST_E_EXISTS);
  assert_true(hf_now() - t >= 0.9);
  hf_lock_free(l);
  assert_int_equal(hf_lock_take("lock", "a test", 0, NULL, &second, &e), 0);
  struct stat st;
  assert_int_equal(stat("lock", &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  /* a lock whose file was removed does not keep a new file's lock */
  assert_int_equal(unlink("lock"), 0);
  assert_int_equal(hf_lock_take("lock", "a test", 0, NULL, &l, &e), 0);
  hf_lock_free(l);
  hf_lock_free(second);
  hf_lock_free(NULL);
  assert_int_equal(hf_lock_take("no/such/lock", "a test", 0, NULL, &l, &e), HOLDFAST_E_NOT_FOUND);
}

static void lock_of_the_dead(void **state) {
  (void)state;
  int p[2];
  assert_int_equal(pipe2(p, O_CLOEXEC), 0);
  pid_t pid = fork();
  if (pid == 0) {
    struct hf_lock *l;
    char c = hf_lock_take("dead", "a test", 0, NULL, &l, NULL) == 0 ? 'y' : 'n';
    ssize_t n = write(p[1], &c, 1);
    (void)n;
    for (;;) pause();
  }
  char c = 0;
  assert_int_equal(read(p[0], &c, 1), 1);
  assert_int_equal(c, 'y');
  struct hf_lock *l;
  struct hf_error e;
  assert_int_equal(hf_lock_take("dead", "a test", 0, NULL, &l, &e), HOLDFAST_E_EXISTS);
  kill(pid, SIGKILL);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
  assert_int_equal(hf_lock_take("dead", "a test", 0, NULL, &l, &e), 0);
  hf_lock_free(l);
  close(p[0]);
  close(p[1]);
}

static int sh(const char *script, const char *in, struct hf_buf *out, struct hf_buf *errout, unsigned timeout, int *code, struct hf_error *e) {
  char *argv[] = {(char *)"sh", (char *)"-c", (char *)(uintptr_t)script, NULL};
  return hf_run(argv, NULL, in, in ? strlen(in) : 0, out, errout, timeout, code, e);
}

static void runs(void **state) {
  (void)state;
  struct hf_buf out = HF_BUF_INIT, eo = HF_BUF_INIT;
  struct hf_error e;
  int code = -1;
  assert_int_equal(sh("cat; echo bad >&2; exit 7", "in put", &out, &eo, 20, &code, &e), 0);
  assert_int_equal(code, 7);
  assert_string_equal(out.data, "in put");
  assert_string_equal(eo.data, "bad\n");
  hf_buf_clear(&out);
  assert_int_equal(sh("cat; kill -9 $$", NULL, &out, NULL, 0, &code, &e), 0); /* no input: at its end at once */
  assert_int_equal(code, 128 + SIGKILL);
  assert_int_equal(out.len, 0);
  char *env[] = {(char *)"WORD=given", NULL}, *argv[] = {(char *)"sh", (char *)"-c", (char *)"echo $WORD", NULL};
  assert_int_equal(hf_run(argv, env, NULL, 0, &out, NULL, 0, &code, &e), 0);
  assert_string_equal(out.data, "given\n");
  hf_buf_free(&out);
  hf_buf_free(&eo);
}

static void no_such_program(void **state) {
  (void)state;
  /* valgrind runs vfork as fork, so the child cannot tell the parent that exec failed */
  if (getenv("HOLDFAST_VALGRIND")) skip();
  struct hf_buf out = HF_BUF_INIT;
  struct hf_error e;
  int code = -1;
  char *none[] = {(char *)"holdfast-no-such-program", NULL};
  assert_int_equal(hf_run(none, NULL, NULL, 0, &out, NULL, 0, &code, &e), HOLDFAST_E_NOT_FOUND);
  assert_string_equal(e.msg, "cannot start holdfast-no-such-program: No such file or directory");
  assert_int_equal(code, -1);
  hf_buf_free(&out);
}

static void much_output(void **state) {
  (void)state;
  struct hf_buf out = HF_BUF_INIT, eo = HF_BUF_INIT;
  struct hf_error e;
  int code = -1;
  size_t n = 300000;
  char *in = hf_alloc(n + 1);
  memset(in, 'i', n);
  /* more than a pipe holds in all three directions, and more than is kept */
  assert_int_equal(sh("cat; head -c 3000000 /dev/zero >&2; exit 0", in, &out, &eo, 60, &code, &e), 0);
  assert_int_equal(code, 0);
  assert_int_equal(out.len, n);
  assert_int_equal(eo.len, HF_MIB);
  /* input that nobody reads harms nobody */
  assert_int_equal(sh("exit 3", in, NULL, NULL, 60, &code, &e), 0);
  assert_int_equal(code, 3);
  free(in);
  hf_buf_free(&out);
  hf_buf_free(&eo);
}

static void time_outs(void **state) {
  (void)state;
  struct hf_buf out = HF_BUF_INIT;
  struct hf_error e;
  int code = 77;
  double t = hf_now();
  assert_int_equal(sh("exec sleep 100", NULL, &out, NULL, 1, &code, &e), HOLDFAST_E_TIMEOUT);
  assert_string_equal(e.msg, "sh took longer than 1 s and was ended");
  assert_int_equal(code, 77);
  /* one that writes without end is looked at as well, and one that will not go is made to */
  assert_int_equal(sh("exec yes", NULL, &out, NULL, 1, &code, &e), HOLDFAST_E_TIMEOUT);
  assert_int_equal(sh("trap '' TERM; while :; do sleep 0.1; done", NULL, NULL, NULL, 1, &code, &e), HOLDFAST_E_TIMEOUT);
  assert_true(hf_now() - t < 30);
  /* what a child leaves running does not hold us up, and its own output is complete */
  t = hf_now();
  hf_buf_clear(&out);
  assert_int_equal(sh("echo done; sleep 30 & exit 0", NULL, &out, NULL, 0, &code, &e), 0);
  assert_true(hf_now() - t < 20);
  assert_string_equal(out.data, "done\n");
  hf_buf_free(&out);
}

static void spawn_and_wait(void **state) {
  (void)state;
  struct hf_child c;
  struct hf_error e;
  int code = -1;
  char *argv[] = {(char *)"sh", (char *)"-c", (char *)"exit 5", NULL};
  assert_int_equal(hf_spawn(argv, NULL, -1, -1, -1, -1, &c, &e), 0);
  assert_int_equal(hf_wait(&c, 0, &code, &e), 0);
  assert_int_equal(code, 5);
  assert_true(hf_wait(&c, 0, &code, &e) < 0); /* not twice */
  char *slow[] = {(char *)"sleep", (char *)"100", NULL};
  assert_int_equal(hf_spawn(slow, NULL, -1, -1, -1, -1, &c, &e), 0);
  assert_int_equal(hf_wait(&c, 1, &code, &e), HOLDFAST_E_TIMEOUT);
  assert_int_equal(hf_spawn(argv, NULL, -1, -1, -1, -1, &c, &e), 0);
  assert_int_equal(hf_wait(&c, 20, &code, &e), 0);
  assert_int_equal(code, 5);
}

/* The descriptors of the child are the ones asked for, whatever numbers they have here, and no others. Run in a child process of
 * its own, since it moves descriptors 0 to 3 about. */
static int crossed_descriptors(void) {
  if (hf_write_file_atomic("fd-in", "input\n", 6, 0600, NULL) != 0 || hf_write_file_atomic("fd-extra", "extra\n", 6, 0600, NULL) != 0) return 1;
  int out = open("fd-out", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), eo = open("fd-err", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  int in = open("fd-in", O_RDONLY | O_CLOEXEC), extra = open("fd-extra", O_RDONLY | O_CLOEXEC);
  int leak = open("/dev/null", O_RDONLY);
  if (out < 0 || eo < 0 || in < 0 || extra < 0 || leak < 0) return 2;
  int hi[4] = {fcntl(in, F_DUPFD_CLOEXEC, 20), fcntl(out, F_DUPFD_CLOEXEC, 20), fcntl(eo, F_DUPFD_CLOEXEC, 20), fcntl(extra, F_DUPFD_CLOEXEC, 20)};
  /* input on 3, output on 0, errors on 1, extra on 2: each in another's place; and then each in its own, close-on-exec */
  static const int place[2][4] = {{3, 0, 1, 2}, {0, 1, 2, 3}};
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < 4; i++)
      if (dup3(hi[i], place[round][i], O_CLOEXEC) < 0) return 3;
    lseek(hi[0], 0, SEEK_SET);
    lseek(hi[3], 0, SEEK_SET);
    /* no pipes and no globs: the shell would have descriptors of its own */
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)"cat; cat <&3; echo oops >&2; "
                    "i=0; while [ $i -lt 40 ]; do [ ! -e /proc/$$/fd/$i ] || printf '%s ' $i; i=$((i + 1)); done", NULL};
    struct hf_child c;
    int code = -1;
    const int *p = place[round];
    if (hf_spawn(argv, NULL, p[0], p[1], p[2], p[3], &c, NULL) != 0 || hf_wait(&c, 20, &code, NULL) != 0 || code != 0) return 4;
  }
  struct hf_buf b = HF_BUF_INIT;
  int bad = 0;
  static const char once[] = "input\nextra\n0 1 2 3 ";
  if (hf_read_file("fd-out", 1000, &b, NULL) != 0 || b.len != 2 * strlen(once) || memcmp(b.data, once, strlen(once)) != 0 ||
      strcmp(b.data + strlen(once), once) != 0)
    bad = 5;
  hf_buf_clear(&b);
  if (hf_read_file("fd-err", 1000, &b, NULL) != 0 || strcmp(b.data, "oops\noops\n") != 0) bad = 6;
  hf_buf_free(&b);
  return bad;
}

static void descriptors(void **state) {
  (void)state;
  if (getenv("HOLDFAST_VALGRIND")) skip(); /* it has descriptors of its own that nobody may close */
  pid_t pid = fork();
  if (pid == 0) _exit(crossed_descriptors());
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}

static void signals_are_reset(void **state) {
  (void)state;
  sigset_t all, old;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &old);
  void (*pipe_was)(int) = signal(SIGPIPE, SIG_IGN);
  struct hf_buf out = HF_BUF_INIT;
  int code = -1;
  int rc = sh("grep -E '^Sig(Blk|Ign)' /proc/self/status; kill -PIPE $$; exit 0", NULL, &out, NULL, 20, &code, NULL);
  signal(SIGPIPE, pipe_was);
  sigprocmask(SIG_SETMASK, &old, NULL);
  assert_int_equal(rc, 0);
  assert_int_equal(code, 128 + SIGPIPE);
  assert_non_null(strstr(out.data, "SigBlk:\t0000000000000000"));
  hf_buf_free(&out);
}

static void memory_files(void **state) {
  (void)state;
  struct hf_error e;
  HF_CLEANUP(hf_closep) int fd = hf_memfd("test", &e);
  assert_true(fd >= 0);
  assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
  assert_int_equal(hf_pwrite_all(fd, "abc", 3, 5, &e), 0);
  struct stat st;
  assert_int_equal(fstat(fd, &st), 0);
  assert_int_equal(st.st_size, 8);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(joins),       cmocka_unit_test(path_order),      cmocka_unit_test(path_safety), cmocka_unit_test(reads_and_writes),
      cmocka_unit_test(whole_files), cmocka_unit_test(atomic_failures), cmocka_unit_test(folders),     cmocka_unit_test(removal),
      cmocka_unit_test(removal_of_closed_folders), cmocka_unit_test(deep_removal), cmocka_unit_test(locks),          cmocka_unit_test(lock_of_the_dead), cmocka_unit_test(runs),
      cmocka_unit_test(no_such_program), cmocka_unit_test(much_output), cmocka_unit_test(time_outs),       cmocka_unit_test(spawn_and_wait), cmocka_unit_test(descriptors),
      cmocka_unit_test(signals_are_reset), cmocka_unit_test(memory_files),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
