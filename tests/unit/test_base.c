/* test_base.c - errors, log, memory, buffers, string lists.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/base.h"
#include "base/digest.h"
#include "unit.h"

static void fail_fills(void **state) {
  (void)state;
  struct hf_error e = {0, ""};
  assert_int_equal(hf_fail(&e, HOLDFAST_E_CORRUPT, "object %d", 7), HOLDFAST_E_CORRUPT);
  assert_int_equal(e.code, HOLDFAST_E_CORRUPT);
  assert_string_equal(e.msg, "object 7");
  assert_int_equal(hf_fail(NULL, HOLDFAST_E_AUTH, "dropped"), HOLDFAST_E_AUTH);
  /* the old message may be an argument of the new one */
  hf_fail(&e, HOLDFAST_E_FAILED, "again: %s", e.msg);
  assert_string_equal(e.msg, "again: object 7");
}

static void fail_is_one_line(void **state) {
  (void)state;
  struct hf_error e;
  hf_fail(&e, HOLDFAST_E_FAILED, "two\nlines\r\n");
  assert_string_equal(e.msg, "two lines");
}

static void fail_errno_text(void **state) {
  (void)state;
  struct hf_error e;
  assert_int_equal(hf_fail_errno(&e, ENOENT, "cannot open %s", "x"), HOLDFAST_E_NOT_FOUND);
  assert_string_equal(e.msg, "cannot open x: No such file or directory");
  /* however long the text, the reason is kept */
  char path[5000];
  memset(path, 'p', sizeof path - 1);
  path[sizeof path - 1] = 0;
  hf_fail_errno(&e, ENOSPC, "cannot write %s", path);
  assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
  assert_string_equal(e.msg + strlen(e.msg) - 25, ": No space left on device");
  assert_int_equal(hf_fail_errno(NULL, EACCES, "x"), HOLDFAST_E_AUTH);
}

static void prefix_adds(void **state) {
  (void)state;
  struct hf_error e;
  hf_fail(&e, HOLDFAST_E_TIMEOUT, "no answer");
  assert_int_equal(hf_prefix(&e, "target %s", "disk"), HOLDFAST_E_TIMEOUT);
  assert_string_equal(e.msg, "target disk: no answer");
  assert_true(hf_prefix(NULL, "x") < 0);
  for (int i = 0; i < 300; i++) hf_prefix(&e, "longer");
  assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
}

static void status_of_errno(void **state) {
  (void)state;
  for (int i = -1; i < 200; i++) assert_true(hf_status_of_errno(i) < 0);
  assert_int_equal(hf_status_of_errno(ENOSPC), HOLDFAST_E_NO_SPACE);
  assert_int_equal(hf_status_of_errno(EDQUOT), HOLDFAST_E_NO_SPACE);
  assert_int_equal(hf_status_of_errno(EPERM), HOLDFAST_E_AUTH);
  assert_int_equal(hf_status_of_errno(EEXIST), HOLDFAST_E_EXISTS);
  assert_int_equal(hf_status_of_errno(ECONNRESET), HOLDFAST_E_TRANSIENT);
  assert_int_equal(hf_status_of_errno(EOPNOTSUPP), HOLDFAST_E_UNSUPPORTED);
  assert_int_equal(hf_status_of_errno(ECANCELED), HOLDFAST_E_CANCELED);
  assert_int_equal(hf_status_of_errno(EIO), HOLDFAST_E_FAILED);
}

static void status_names(void **state) {
  (void)state;
  /* every status has a name of its own */
  for (int a = HOLDFAST_E_USAGE; a <= 0; a++) {
    assert_string_not_equal(hf_status_name(a), "unknown status");
    for (int b = a + 1; b <= 0; b++) assert_string_not_equal(hf_status_name(a), hf_status_name(b));
  }
  assert_string_equal(hf_status_name(HOLDFAST_E_NO_SPACE), "no space");
  assert_string_equal(hf_status_name(-1000), "unknown status");
}

static void buffers(void **state) {
  (void)state;
  struct hf_buf b = HF_BUF_INIT;
  assert_null(b.data);
  hf_buf_add(&b, "", 0);
  assert_string_equal(b.data, "");
  hf_buf_adds(&b, "one");
  hf_buf_addc(&b, ' ');
  hf_buf_addf(&b, "%d-%s", 2, "three");
  assert_string_equal(b.data, "one 2-three");
  assert_int_equal(b.len, 11);
  /* longer than any room there was */
  char x[1001];
  memset(x, 'x', 1000);
  x[1000] = 0;
  hf_buf_addf(&b, "%s|%s", x, x);
  assert_int_equal(b.len, 11 + 2001);
  assert_int_equal(b.data[11 + 1000], '|');
  assert_int_equal(b.data[b.len], 0);
  hf_buf_clear(&b);
  assert_int_equal(b.len, 0);
  assert_string_equal(b.data, "");
  hf_buf_adds(&b, "kept");
  char *s = hf_buf_take(&b);
  assert_string_equal(s, "kept");
  assert_null(b.data);
  free(s);
  s = hf_buf_take(&b);
  assert_string_equal(s, "");
  free(s);
  hf_buf_free(&b);
  hf_buf_free(&b);
}

static void lists(void **state) {
  (void)state;
  struct hf_list l = HF_LIST_INIT;
  hf_list_sort(&l);
  assert_false(hf_list_has(&l, "a"));
  for (int i = 19; i >= 0; i--) hf_list_take(&l, hf_asprintf("%c", 'a' + i));
  hf_list_add(&l, "\xff");
  hf_list_add(&l, "B");
  hf_list_sort(&l);
  assert_int_equal(l.n, 22);
  assert_string_equal(l.v[0], "B");
  assert_string_equal(l.v[1], "a");
  assert_string_equal(l.v[21], "\xff");
  assert_true(hf_list_has(&l, "t"));
  assert_false(hf_list_has(&l, "u"));
  hf_list_free(&l);
  assert_int_equal(l.n, 0);
}

static void memory(void **state) {
  (void)state;
  char *p = hf_alloc(100);
  for (int i = 0; i < 100; i++) assert_int_equal(p[i], 0);
  strcpy(p, "secret");
  p = hf_realloc(p, 1000);
  assert_string_equal(p, "secret");
  hf_wipe(p, 6);
  assert_int_equal(p[0] | p[5], 0);
  hf_freep(&p);
  assert_null(p);
  p = hf_alloc(0);
  p[0] = 1;
  free(p);
  int *n = hf_allocn(10, sizeof *n);
  assert_int_equal(n[9], 0);
  free(n);
  free(hf_allocn(0, 5));
  assert_null(hf_strdup(NULL));
  HF_CLEANUP(hf_freep) char *s = hf_strndup("abcdef", 3);
  assert_string_equal(s, "abc");
  HF_CLEANUP(hf_freep) char *m = hf_memdup("a\0b", 3);
  assert_memory_equal(m, "a\0b", 3);
}

static void cleanup_keeps_errno(void **state) {
  (void)state;
  int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), copy = fd;
  errno = EDOM;
  hf_closep(&fd);
  assert_int_equal(errno, EDOM);
  assert_int_equal(fd, -1);
  assert_int_equal(fcntl(copy, F_GETFD), -1);
  hf_closep(&fd);
  FILE *f = fopen("/dev/null", "re");
  hf_fclosep(&f);
  assert_null(f);
  hf_fclosep(&f);
}

static int befores, afters;
static void before(void) { befores++; }
static void after(void) { afters++; }

static void log_lines(void **state) {
  (void)state;
  int saved = dup(STDERR_FILENO), p[2];
  assert_int_equal(pipe(p), 0);
  dup2(p[1], STDERR_FILENO);
  hf_log_set_hook(before, after);
  hf_log(HF_LOG_ERROR, "no %s", "disk");
  hf_log(HF_LOG_WARNING, "odd\nname \x1b[31m");
  hf_log(HF_LOG_NOTICE, "plain");
  hf_log(HF_LOG_INFO, "not shown");
  hf_log_threshold = HF_LOG_DEBUG;
  hf_log(HF_LOG_DEBUG, "deep");
  hf_log_threshold = HF_LOG_NOTICE;
  hf_log_set_hook(NULL, NULL);
  dup2(saved, STDERR_FILENO);
  close(saved);
  close(p[1]);
  char text[1000];
  ssize_t n = read(p[0], text, sizeof text - 1);
  close(p[0]);
  assert_true(n > 0);
  text[n] = 0;
  assert_string_equal(text, "holdfast: error: no disk\nholdfast: warning: odd?name ?[31m\nholdfast: plain\nholdfast: debug: deep\n");
  assert_int_equal(befores, 4);
  assert_int_equal(afters, 4);
}

/* Bytes that another process reads and writes without a copy. */
static void memory_file(void **state) {
  struct hf_error e = {0};
  struct hf_buf b = HF_BUF_INIT;
  HF_CLEANUP(hf_freep) char *big = hf_alloc(3000000), *got = hf_alloc(3000001);
  (void)state;
  hf_random(big, 3000000);
  assert_int_equal(hf_buf_in_memory_file(&b, "test", &e), 0);
  for (int round = 0; round < 3; round++) {
    size_t n = round == 1 ? 4096 : 3000000; /* a whole page; then longer again */
    hf_buf_clear(&b);
    hf_buf_add(&b, big, n / 2);
    hf_buf_add(&b, big + n / 2, n - n / 2);
    int fd = hf_buf_to_read(&b, &e);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, got, 3000001), n);
    assert_memory_equal(got, big, n);
    assert_memory_equal(b.data, big, n);
  }
  for (int round = 0; round < 4; round++) {
    size_t n = round == 0 ? 3000000 : round == 1 ? 8192 : round == 2 ? 0 : 2999999;
    int fd = hf_buf_to_write(&b, &e);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, big, n), n);
    assert_int_equal(hf_buf_written(&b, &e), 0);
    assert_int_equal(b.len, n);
    assert_memory_equal(b.data, big, n);
    assert_int_equal(b.data[n], 0);
  }
  hf_buf_add(&b, "x", 1);
  assert_int_equal(b.len, 3000000);
  assert_memory_equal(b.data, big, 2999999);
  hf_buf_free(&b);
  /* Written to before it was ever used. */
  assert_int_equal(hf_buf_in_memory_file(&b, "test", &e), 0);
  assert_int_equal(write(hf_buf_to_write(&b, &e), big, 3000000), 3000000);
  assert_int_equal(hf_buf_written(&b, &e), 0);
  assert_int_equal(b.len, 3000000);
  assert_memory_equal(b.data, big, 3000000);
  hf_buf_free(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fail_fills),      cmocka_unit_test(fail_is_one_line), cmocka_unit_test(fail_errno_text),
      cmocka_unit_test(prefix_adds),     cmocka_unit_test(status_of_errno),  cmocka_unit_test(status_names),
      cmocka_unit_test(buffers),         cmocka_unit_test(lists),            cmocka_unit_test(memory),
      cmocka_unit_test(cleanup_keeps_errno), cmocka_unit_test(log_lines), cmocka_unit_test(memory_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
