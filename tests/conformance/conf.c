/* conf.c - TAP output and the child process of the conformance programs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf.h"

static FILE *tap;
static unsigned results, bad_results;
static atomic_uint flaws; /* callbacks note them from several threads */
static int captured = -1;
static int *ended; /* shared with the parent: 1 once the child has come to an end of its own */

bool conf_ok(bool good, const char *fmt, ...) {
  va_list ap;
  results++;
  bad_results += !good;
  fprintf(tap, "%s %u - ", good ? "ok" : "not ok", results);
  va_start(ap, fmt);
  vfprintf(tap, fmt, ap);
  va_end(ap);
  fputc('\n', tap);
  alarm(CONF_TIMEOUT);
  return good;
}

void conf_skip(const char *what, const char *why) { fprintf(tap, "ok %u - %s # SKIP %s\n", ++results, what, why); }

static void comment(FILE *f, const char *fmt, va_list ap) CONF_PRINTF(2, 0);
static void comment(FILE *f, const char *fmt, va_list ap) {
  fputs("# ", f);
  vfprintf(f, fmt, ap);
  fputc('\n', f);
}

void conf_note(const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  comment(tap, fmt, ap);
  va_end(ap);
}

void conf_bail(const char *fmt, ...) {
  va_list ap;
  fputs("Bail out! ", tap);
  va_start(ap, fmt);
  vfprintf(tap, fmt, ap);
  va_end(ap);
  fputc('\n', tap);
  fflush(tap);
  *ended = 1;
  _exit(2);
}

void conf_begin(void) { flaws = 0; }

void conf_flaw(const char *fmt, ...) {
  va_list ap;
  if (++flaws > 10) return;
  va_start(ap, fmt);
  comment(tap, fmt, ap);
  va_end(ap);
}

bool conf_flawless(void) { return flaws == 0; }

/* What was printed, as comments. */
static void show_captured(FILE *out) {
  FILE *f = fdopen(dup(captured), "r");
  char line[1000];
  if (!f) return;
  rewind(f);
  while (fgets(line, sizeof line, f)) {
    line[strcspn(line, "\n")] = '\0';
    fprintf(out, "# printed: %s\n", line);
  }
  fclose(f);
}

static _Noreturn void child(int tap_fd, void (*test)(void *ctx), void *ctx) {
  struct stat st;
  tap = fdopen(tap_fd, "w");
  if (!tap || dup2(captured, 1) < 0 || dup2(captured, 2) < 0) _exit(2);
  setvbuf(tap, NULL, _IOLBF, 0);
  alarm(CONF_TIMEOUT);
  test(ctx);
  fflush(stdout);
  conf_ok(fstat(captured, &st) == 0 && st.st_size == 0, "nothing was printed on standard output or standard error");
  fprintf(tap, "1..%u\n", results);
  fflush(tap);
  *ended = 1;
  /* exit, not _exit: a leak checker the program was built with has its say in the exit code. */
  exit(bad_results ? 1 : 0);
}

int conf_run(void (*test)(void *ctx), void *ctx) {
  int status, tap_fd = dup(1);
  captured = memfd_create("captured", MFD_CLOEXEC);
  ended = mmap(NULL, sizeof *ended, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (captured < 0 || tap_fd < 0 || ended == MAP_FAILED) {
    perror("cannot begin");
    return 2;
  }
  pid_t pid = fork();
  if (pid < 0) {
    perror("fork");
    return 2;
  }
  if (pid == 0) child(tap_fd, test, ctx);
  close(tap_fd);
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return 2;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) show_captured(stdout);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
    printf("Bail out! the plugin hangs: nothing happened for %d seconds\n", CONF_TIMEOUT);
  else if (WIFSIGNALED(status))
    printf("Bail out! the plugin crashed: %s\n", strsignal(WTERMSIG(status)));
  else if (!*ended)
    printf("Bail out! the plugin crashed, or ended the process (exit code %d)\n", WEXITSTATUS(status));
  if (!*ended) return 2;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
