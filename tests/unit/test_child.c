/* test_child.c - child processes of plugins: what they are given, what comes of them, that none stays.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

#include "../../plugins/common/child.h"

/* ---- a host ---- */

static char said[1100];
static int cancel;

static void note(void *ctx, const char *message) {
  (void)ctx;
  snprintf(said, sizeof said, "%s", message);
}

static int cancelled(void *ctx) {
  (void)ctx;
  return cancel;
}

static const struct holdfast_host host = {.struct_size = sizeof host, .instance = "test", .error = note, .cancelled = cancelled};

/* ---- starting: a program with its arguments; sh() for what needs more ---- */

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define RUN(...) ((struct hfp_run){.argv = ARGV(__VA_ARGS__), .in = -1, .out = HFP_PIPE, .err = -1})
#define SH(text) RUN("sh", "-c", text)

static struct hfp_child *start(struct hfp_run how) {
  struct hfp_child *c = NULL;
  said[0] = '\0';
  int rc = hfp_start(&host, &how, &c);
  if (rc != HOLDFAST_OK) fail_msg("%s", said);
  assert_non_null(c);
  return c;
}

static int end(struct hfp_child *c) {
  int code = -1;
  assert_int_equal(hfp_end(c, &code), HOLDFAST_OK);
  return code;
}

/* Everything it prints, by way of hfp_collect; static, until the next call. Its exit code must be 0. */
static const char *output(struct hfp_run how) {
  static char text[65536];
  char *out = NULL, *words = NULL;
  size_t n = 0;
  int code = -1;
  if (hfp_collect(&host, &how, sizeof text - 1, &out, &n, &code, &words) != HOLDFAST_OK) fail_msg("%s", said);
  assert_int_equal(strlen(out), n);
  if (code != 0) fail_msg("exit code %d: %s", code, words);
  memcpy(text, out, n + 1);
  free(out);
  free(words);
  return text;
}

/* One line of its output, without the line end. */
static void read_line(struct hfp_child *c, char *line, size_t cap) {
  size_t n = 0;
  while (n + 1 < cap && hfp_read(c, line + n, 1) == 1 && line[n] != '\n') n++;
  line[n] = '\0';
}

static pid_t read_pid(struct hfp_child *c) {
  char line[32];
  read_line(c, line, sizeof line);
  assert_true(atoi(line) > 1);
  return (pid_t)atoi(line);
}

/* A process that is no child of ours: is it gone? One that nobody has waited for yet is. */
static bool is_gone(pid_t pid) {
  char path[40], stat[300] = "";
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *f = fopen(path, "re");
  if (!f) return true;
  bool read = fgets(stat, sizeof stat, f) != NULL;
  fclose(f);
  const char *after = strrchr(stat, ')');
  return !read || !after || after[2] == 'Z' || after[2] == 'X';
}

/* Wait until it is gone; false when it does not go. */
static bool goes(pid_t pid) {
  const struct timespec nap = {0, 10 * 1000 * 1000};
  for (int i = 0; i < 1000; i++) {
    if (is_gone(pid)) return true;
    nanosleep(&nap, NULL);
  }
  kill(pid, SIGKILL);
  return false;
}

static unsigned open_descriptors(void) {
  unsigned n = 0;
  DIR *d = opendir("/proc/self/fd");
  while (d && readdir(d)) n++;
  closedir(d);
  return n;
}

static char scratch[] = "/tmp/test-child-XXXXXX";

/* SCRATCH/name, static until the fourth call after. */
static const char *at(const char *name) {
  static char buf[4][200];
  static unsigned i;
  char *b = buf[i++ % 4];
  snprintf(b, sizeof buf[0], "%s/%s", scratch, name);
  return b;
}

/* ---- what it is given ---- */

static void test_arguments(void **state) {
  (void)state;
  assert_string_equal(output(RUN("printf", "%s|", "a b", "$HOME; *", "", "'\"")), "a b|$HOME; *||'\"|");
  assert_string_equal(output(RUN("/bin/echo", "-n", "x")), "x");
}

static void test_environment(void **state) {
  (void)state;
  setenv("HF_TEST_KEPT", "kept", 1);
  setenv("HF_TEST_GONE", "gone", 1);
  setenv("HF_TEST_NEW", "old", 1);
  struct hfp_run how = SH("echo \"$HF_TEST_KEPT,${HF_TEST_GONE-unset},$HF_TEST_NEW,$HF_TEST_ADDED,${HF_TEST_EMPTY-unset},$HF_TEST_TWICE\"");
  how.env = ARGV("HF_TEST_GONE", "HF_TEST_NEW=new=1", "HF_TEST_ADDED=a b", "HF_TEST_EMPTY=", "HF_TEST_TWICE=1", "HF_TEST_TWICE=2", "HF_TEST_NEVER");
  assert_string_equal(output(how), "kept,unset,new=1,a b,,2\n");
  /* A name is not another one's beginning. */
  how.env = ARGV("HF_TEST_K", "HF_TEST_N=x");
  assert_string_equal(output(how), "kept,gone,old,,unset,\n");
  how = RUN("env");
  how.env = ARGV("HF_TEST_NEW=new");
  const char *all = output(how);
  const char *first = strstr(all, "HF_TEST_NEW=");
  assert_non_null(first);
  assert_null(strstr(first + 1, "HF_TEST_NEW="));
  assert_string_equal(getenv("HF_TEST_NEW"), "old"); /* ours is as it was */
}

static void test_folder(void **state) {
  (void)state;
  struct hfp_run how = RUN("pwd");
  assert_string_equal(output(how), "/\n");
  how.dir = scratch;
  char want[100];
  snprintf(want, sizeof want, "%s\n", scratch);
  assert_string_equal(output(how), want);
  struct hfp_child *c = NULL;
  how.dir = at("no-such-folder");
  assert_int_equal(hfp_start(&host, &how, &c), HOLDFAST_E_NOT_FOUND);
  assert_non_null(strstr(said, "pwd"));
}

static void test_descriptors(void **state) {
  (void)state;
  int in = open(at("in"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), out = open(at("out"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  assert_int_equal(write(in, "input\n", 6), 6);
  lseek(in, 0, SEEK_SET);
  struct hfp_run how = SH("cat; echo error >&2");
  how.in = in;
  how.out = how.err = out;
  struct hfp_child *c = start(how);
  assert_int_equal(end(c), 0);
  assert_string_equal(hfp_words(c), "");
  hfp_free(c);
  char text[100] = "";
  assert_int_equal(pread(out, text, sizeof text - 1, 0), 12);
  assert_string_equal(text, "input\nerror\n");
  /* They are still ours, and the child had them by other numbers. */
  assert_true(fcntl(in, F_GETFD) >= 0 && fcntl(out, F_GETFD) >= 0);
  close(in);
  close(out);
}

static void test_no_other_descriptors(void **state) {
  (void)state;
  int left_open = open("/dev/null", O_RDONLY); /* a library that knows no O_CLOEXEC */
  assert_string_equal(output(RUN("ls", "/proc/self/fd")), "0\n1\n2\n3\n"); /* 3 is the folder that ls reads */
  assert_string_equal(output(SH("readlink /proc/self/fd/0")), "/dev/null\n");
  close(left_open);
}

/* The three may be closed, or stand where the child's have to be. */
static void test_low_descriptors(void **state) {
  (void)state;
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    char *out = NULL;
    int code = -1, file = open(at("low"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (write(file, "low\n", 4) != 4 || lseek(file, 0, SEEK_SET) != 0 || dup2(file, 1) != 1) _exit(2);
    close(0);
    close(2);
    struct hfp_run how = SH("cat; echo error >&2");
    how.in = 1;
    int rc = hfp_collect(&host, &how, 100, &out, NULL, &code, NULL);
    _exit(rc == 0 && code == 0 && strcmp(out, "low\n") == 0 ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}

static void test_signals(void **state) {
  (void)state;
  sigset_t all, old;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &old);
  const char *text = output(SH("grep -E 'Sig(Blk|Ign)' /proc/$$/status | tr -d '\\t\\n'; sh -c 'kill -PIPE $$'; echo \" $?\""));
  sigprocmask(SIG_SETMASK, &old, NULL);
  assert_non_null(strstr(text, "SigBlk:0000000000000000"));
  assert_non_null(strstr(text, " 141"));
}

static void test_account(void **state) {
  (void)state;
  struct hfp_run how = SH("id -un; id -gn; echo \"$HOME $USER $LOGNAME\"");
  struct hfp_child *c = NULL;
  const struct passwd *pw = getpwnam("nobody");
  char want[300];
  if (geteuid() != 0 || !pw) skip();
  snprintf(want, sizeof want, "nobody\n%s\n%s nobody nobody\n", getgrgid(pw->pw_gid)->gr_name, pw->pw_dir);
  how.account = "nobody";
  assert_string_equal(output(how), want);
  /* Nothing of root is left. */
  how = SH("grep -E '^(Uid|Gid|Groups|CapEff)' /proc/$$/status | tr -s '\\t ' ' '");
  how.account = "nobody";
  const char *text = output(how);
  snprintf(want, sizeof want, "Uid: %u %u %u %u\n", pw->pw_uid, pw->pw_uid, pw->pw_uid, pw->pw_uid);
  assert_non_null(strstr(text, want));
  assert_non_null(strstr(text, "CapEff: 0000000000000000"));
  snprintf(want, sizeof want, "Groups: %u ", pw->pw_gid);
  assert_non_null(strstr(text, want));
  how.account = "no-such-account";
  assert_int_equal(hfp_start(&host, &how, &c), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(said, "no-such-account"));
  assert_int_equal(geteuid(), 0);
}

/* ---- what cannot be started ---- */

static void test_not_started(void **state) {
  (void)state;
  struct hfp_child *c = NULL;
  struct hfp_run how = RUN("no-such-program-at-all", "x");
  unsigned before = open_descriptors();
  for (int i = 0; i < 20; i++) {
    assert_int_equal(hfp_start(&host, &how, &c), HOLDFAST_E_NOT_FOUND);
    assert_null(c);
  }
  assert_non_null(strstr(said, "no-such-program-at-all"));
  int fd = open(at("plain"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  close(fd);
  how.argv = ARGV(at("plain"));
  assert_int_equal(hfp_start(&host, &how, &c), HOLDFAST_E_AUTH);
  assert_non_null(strstr(said, "Permission denied"));
  assert_int_equal(open_descriptors(), before);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

/* ---- output ---- */

static void test_output(void **state) {
  (void)state;
  struct hfp_child *c = start(RUN("head", "-c", "10000000", "/dev/zero"));
  char buf[7919];
  int64_t n, sum = 0;
  while ((n = hfp_read(c, buf, sizeof buf)) > 0) sum += n;
  assert_int_equal(n, 0);
  assert_int_equal(sum, 10000000);
  assert_int_equal(hfp_read(c, buf, sizeof buf), 0);
  assert_int_equal(end(c), 0);
  assert_int_equal(hfp_pid(c), -1);
  hfp_free(c);
}

static void test_exit_codes(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int code;
  } cases[] = {{"exit 0", 0}, {"exit 1", 1}, {"exit 255", 255}, {"kill -9 $$", 137}, {"kill -TERM $$", 143}, {"echo lots; exec >&-; exit 5", 5}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct hfp_child *c = start(SH(cases[i].text));
    assert_int_equal(end(c), cases[i].code);
    assert_int_equal(end(c), cases[i].code); /* asked again */
    hfp_free(c);
  }
}

static void test_output_dropped(void **state) {
  (void)state;
  struct hfp_child *c = start(SH("head -c 3000000 /dev/zero; echo done >&2; exit 4"));
  assert_int_equal(end(c), 4);
  assert_string_equal(hfp_words(c), "done");
  hfp_free(c);
}

static void test_ended(void **state) {
  (void)state;
  struct hfp_run how = SH("read x; exit 6");
  int code = -1;
  how.in = HFP_PIPE;
  struct hfp_child *c = start(how);
  assert_false(hfp_ended(c, &code));
  assert_int_equal(code, -1);
  assert_true(hfp_pid(c) > 1);
  hfp_close_in(c);
  while (!hfp_ended(c, &code)) continue;
  assert_int_equal(code, 6);
  hfp_free(c);
}

/* What it leaves behind holds the pipe: the end is the end all the same, after all it wrote itself. */
static void test_left_behind(void **state) {
  (void)state;
  struct hfp_child *c = start(SH("sleep 1000 & echo $!; head -c 300000 /dev/zero"));
  pid_t left = read_pid(c);
  char buf[8192];
  int64_t n, sum = 0;
  while ((n = hfp_read(c, buf, sizeof buf)) > 0) sum += n;
  assert_int_equal(n, 0);
  assert_int_equal(sum, 300000);
  assert_int_equal(end(c), 0);
  hfp_free(c);
  kill(left, SIGKILL);
  assert_true(goes(left));
}

/* ---- words ---- */

static void words_are(const char *text, const char *want) {
  struct hfp_child *c = start(SH(text));
  end(c);
  assert_string_equal(hfp_words(c), want);
  assert_string_equal(hfp_words(c), want);
  hfp_free(c);
}

static void test_words(void **state) {
  (void)state;
  char long_line[4097];
  memset(long_line, 'a', 4096);
  long_line[4096] = '\0';
  words_are("echo out", "");
  words_are("echo one >&2; echo two >&2", "two");
  words_are("printf 'no end' >&2", "no end");
  words_are("printf 'last\\r\\n\\n\\n' >&2", "last");
  words_are("printf 'red \\033[31m \\001\\177 tab\\t.\\n' >&2", "red ?[31m ?? tab?.");
  words_are("printf 'before\\000behind\\n' >&2", "before?behind");
  words_are("printf 'gr\\303\\274n\\n' >&2", "gr\303\274n");
  words_are("head -c 100000 /dev/zero | tr '\\0' a >&2", long_line);
  words_are("i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i + 1)); done >&2", "19999");
}

/* Far more than a pipe holds, on both outputs in turn: nobody waits for the other. */
static void test_much_of_both(void **state) {
  (void)state;
  struct hfp_child *c = start(SH("for i in 1 2 3 4 5 6 7 8; do head -c 200000 /dev/zero >&2; head -c 200000 /dev/zero; done; echo; echo end >&2"));
  char buf[65536];
  int64_t n, sum = 0;
  while ((n = hfp_read(c, buf, sizeof buf)) > 0) sum += n;
  assert_int_equal(sum, 1600001);
  assert_int_equal(end(c), 0);
  assert_string_equal(hfp_words(c) + strlen(hfp_words(c)) - 3, "end");
  hfp_free(c);
}

/* ---- input ---- */

static void test_input(void **state) {
  (void)state;
  static char block[300000];
  struct hfp_run how = SH("wc -c >\"$F\"; echo took it >&2");
  how.in = HFP_PIPE;
  how.out = -1;
  char f[250];
  snprintf(f, sizeof f, "F=%s", at("count"));
  how.env = ARGV(f);
  struct hfp_child *c = start(how);
  for (int i = 0; i < 20; i++) assert_int_equal(hfp_write(c, block, sizeof block), HOLDFAST_OK);
  assert_int_equal(hfp_write(c, block, 0), HOLDFAST_OK);
  hfp_close_in(c);
  assert_int_equal(end(c), 0);
  assert_string_equal(hfp_words(c), "took it");
  assert_int_equal(hfp_write(c, block, 1), HOLDFAST_E_FAILED);
  hfp_free(c);
  assert_string_equal(output(RUN("cat", at("count"))), "6000000\n");
}

static void test_input_not_wanted(void **state) {
  (void)state;
  static char block[300000];
  struct hfp_run how = SH("head -c 10 >/dev/null; echo enough >&2; exit 3");
  how.in = HFP_PIPE;
  how.out = -1;
  signal(SIGPIPE, SIG_DFL); /* it would end us */
  struct hfp_child *c = start(how);
  int rc = HOLDFAST_OK;
  for (int i = 0; i < 10 && rc == HOLDFAST_OK; i++) rc = hfp_write(c, block, sizeof block);
  assert_int_equal(rc, HOLDFAST_E_FAILED);
  assert_non_null(strstr(said, "takes no more input"));
  assert_int_equal(end(c), 3);
  assert_string_equal(hfp_words(c), "enough");
  hfp_free(c);
  sigset_t pending;
  sigpending(&pending);
  assert_int_equal(sigismember(&pending, SIGPIPE), 0);
}

/* It has ended, and what it left behind holds its input without reading: nobody will ever take the rest. */
static void test_input_held(void **state) {
  (void)state;
  static char block[300000];
  struct hfp_run how = SH("exec 3<&0; (exec sleep 1000) <&3 2>/dev/null & echo $! >&2; exit 0");
  how.in = HFP_PIPE;
  how.out = -1;
  how.timeout = 20; /* else a fault here would hang */
  struct hfp_child *c = start(how);
  int code;
  while (!hfp_ended(c, &code)) continue;
  pid_t left = (pid_t)atoi(hfp_words(c));
  assert_int_equal(hfp_write(c, block, sizeof block), HOLDFAST_E_FAILED);
  hfp_free(c);
  kill(left, SIGKILL);
  assert_true(goes(left));
}

/* ---- time, and being stopped ---- */

static void test_timeout(void **state) {
  (void)state;
  char byte, *out = NULL;
  static char block[300000];
  int code;
  struct hfp_run how = RUN("sleep", "1000");
  how.timeout = 1;
  how.in = HFP_PIPE;
  struct hfp_child *c = start(how);
  pid_t pid = hfp_pid(c);
  assert_int_equal(hfp_read(c, &byte, 1), HOLDFAST_E_TIMEOUT);
  assert_string_equal(said, "sleep took longer than 1 s and was ended");
  assert_true(is_gone(pid));
  hfp_free(c);
  c = start(how);
  assert_int_equal(hfp_end(c, &code), HOLDFAST_E_TIMEOUT);
  hfp_free(c);
  c = start(how);
  assert_int_equal(hfp_write(c, block, sizeof block), HOLDFAST_E_TIMEOUT);
  hfp_free(c);
  how.in = -1;
  assert_int_equal(hfp_collect(&host, &how, 100, &out, NULL, &code, NULL), HOLDFAST_E_TIMEOUT);
  assert_null(out);
}

static void test_cancelled(void **state) {
  (void)state;
  char byte;
  struct hfp_child *c = start(RUN("sleep", "1000"));
  pid_t pid = hfp_pid(c);
  cancel = 1;
  assert_int_equal(hfp_read(c, &byte, 1), HOLDFAST_E_CANCELED);
  cancel = 0;
  assert_true(is_gone(pid));
  hfp_free(c);
}

/* ---- the end of it ---- */

static void test_freed(void **state) {
  (void)state;
  hfp_free(NULL);
  struct hfp_child *c = start(RUN("sleep", "1000"));
  pid_t pid = hfp_pid(c);
  hfp_free(c);
  assert_true(is_gone(pid));
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_ignores_term(void **state) {
  (void)state;
  struct hfp_child *c = start(SH("trap '' TERM; echo $$; sleep 1000; sleep 1000; sleep 1000"));
  pid_t pid = read_pid(c);
  hfp_free(c);
  assert_true(is_gone(pid));
}

/* What it has started goes with it, also when that does not listen to SIGTERM. */
static void test_offspring(void **state) {
  (void)state;
  struct hfp_child *c = start(SH("sleep 1000 & echo $!; (trap '' TERM; exec sleep 1000) & echo $!; wait"));
  pid_t one = read_pid(c), two = read_pid(c);
  hfp_free(c);
  bool one_gone = goes(one), two_gone = goes(two);
  assert_true(one_gone);
  assert_true(two_gone);
}

static void test_signal(void **state) {
  (void)state;
  char line[20];
  struct hfp_child *c = start(SH("trap 'exit 9' USR1; echo up; while :; do sleep 0.01; done"));
  read_line(c, line, sizeof line);
  assert_string_equal(line, "up");
  hfp_signal(c, SIGUSR1);
  assert_int_equal(end(c), 9);
  hfp_signal(c, SIGKILL); /* to nobody */
  hfp_free(c);
}

/* Our own process is killed: the child goes. */
static void test_dies_with_us(void **state) {
  (void)state;
  int ends[2];
  pid_t pids[2];
  assert_int_equal(pipe(ends), 0);
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    struct hfp_child *c = start(SH("sleep 1000; echo never"));
    pids[0] = hfp_pid(c);
    if (write(ends[1], pids, sizeof *pids) != sizeof *pids) _exit(2);
    kill(getpid(), SIGKILL);
  }
  assert_int_equal(read(ends[0], pids, sizeof *pids), sizeof *pids);
  close(ends[0]);
  close(ends[1]);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
  assert_true(goes(pids[0]));
}

/* ---- collect ---- */

static void test_collect(void **state) {
  (void)state;
  char *out = NULL, *words = NULL;
  size_t n = 0;
  int code = -1;
  struct hfp_run how = SH("printf 'a\\000b'; echo hm >&2; exit 2");
  assert_int_equal(hfp_collect(&host, &how, 3, &out, &n, &code, &words), HOLDFAST_OK);
  assert_int_equal(n, 3);
  assert_memory_equal(out, "a\0b", 4);
  assert_int_equal(code, 2);
  assert_string_equal(words, "hm");
  free(out);
  free(words);
  out = NULL;
  how = RUN("yes");
  assert_int_equal(hfp_collect(&host, &how, 10000, &out, &n, &code, NULL), HOLDFAST_E_FAILED);
  assert_non_null(strstr(said, "more than 10000 bytes"));
  assert_null(out);
  how = RUN("true");
  assert_int_equal(hfp_collect(&host, &how, 0, &out, NULL, &code, NULL), HOLDFAST_OK);
  assert_string_equal(out, "");
  free(out);
  assert_int_equal(hfp_collect(&host, &how, 0, NULL, NULL, &code, NULL), HOLDFAST_OK);
}

/* ---- folders ---- */

static void test_temp_dir(void **state) {
  (void)state;
  char *path = NULL, text[300];
  struct stat st;
  setenv("TMPDIR", scratch, 1);
  assert_int_equal(hfp_temp_dir(&host, NULL, &path), HOLDFAST_OK);
  assert_int_equal(strncmp(path, scratch, strlen(scratch)), 0);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0700);
  assert_int_equal(st.st_uid, geteuid());
  hfp_remove_tree(path);
  assert_int_equal(stat(path, &st), -1);
  free(path);
  const struct passwd *pw = getpwnam("nobody");
  if (geteuid() == 0 && pw) {
    assert_int_equal(hfp_temp_dir(&host, "nobody", &path), HOLDFAST_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, pw->pw_uid);
    hfp_remove_tree(path);
    free(path);
    assert_int_equal(hfp_temp_dir(&host, "no-such-account", &path), HOLDFAST_E_CONFIG);
  }
  snprintf(text, sizeof text, "%s/no/such", scratch);
  setenv("TMPDIR", text, 1);
  assert_int_equal(hfp_temp_dir(&host, NULL, &path), HOLDFAST_E_FAILED);
  assert_non_null(strstr(said, text));
  unsetenv("TMPDIR");
}

static void test_remove_tree(void **state) {
  (void)state;
  struct hfp_run how = SH("mkdir -p keep/sub tree/a/b/c tree/closed && echo x >keep/sub/file && ln -s ../keep tree/link && ln -s ../../keep tree/a/link && "
                          "touch tree/file tree/closed/file 'tree/a/odd\nname' && mkfifo tree/fifo && chmod 0 tree/closed && "
                          "d=tree; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do d=$d/$i; mkdir $d; done");
  how.dir = scratch;
  output(how);
  hfp_remove_tree(at("tree"));
  assert_int_equal(access(at("tree"), F_OK), geteuid() == 0 ? -1 : 0); /* a closed folder is closed, but for root */
  assert_int_equal(access(at("keep/sub/file"), F_OK), 0);
  assert_int_equal(symlink("keep", at("gate")), 0);
  hfp_remove_tree(at("gate")); /* a link where a folder should be */
  assert_int_equal(access(at("keep/sub/file"), F_OK), 0);
  hfp_remove_tree(at("nothing there"));
}

/* ---- */

static int setup(void **state) {
  (void)state;
  umask(022);
  return mkdtemp(scratch) ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  struct hfp_run how = RUN("rm", "-rf", scratch);
  output(how);
  return 0;
}

static unsigned descriptors_before;

static int before_each(void **state) {
  (void)state;
  descriptors_before = open_descriptors();
  return 0;
}

static int after_each(void **state) {
  (void)state;
  return open_descriptors() == descriptors_before && waitpid(-1, NULL, WNOHANG) == -1 ? 0 : -1;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, before_each, after_each)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_arguments),      TEST(test_environment),  TEST(test_folder),       TEST(test_descriptors),      TEST(test_no_other_descriptors),
      TEST(test_low_descriptors), TEST(test_signals),     TEST(test_account),      TEST(test_not_started),      TEST(test_output),
      TEST(test_exit_codes),     TEST(test_output_dropped), TEST(test_ended),      TEST(test_left_behind),      TEST(test_words),
      TEST(test_much_of_both),   TEST(test_input),        TEST(test_input_not_wanted), TEST(test_input_held),   TEST(test_timeout),
      TEST(test_cancelled),      TEST(test_freed),         TEST(test_ignores_term), TEST(test_offspring),        TEST(test_signal),
      TEST(test_dies_with_us),   TEST(test_collect),      TEST(test_temp_dir),     TEST(test_remove_tree),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
