/* measure.c - run a command; note its wall time, its CPU time and, when asked, the peak memory of it and all that it starts.
 *
 *   measure [-m] [-C FOLDER] OUT COMMAND [ARGUMENT...]
 *
 * Writes one line to OUT: seconds, user seconds, system seconds, peak bytes (0 without -m). Ends with the command's exit code.
 *
 * With -m the processes below this one are looked at every 20 ms. Counted are the proportional set sizes of all mappings but
 * those of memory files, and the blocks of every memory file that is open or mapped somewhere, once each: a pack that waits in a memory file is memory,
 * mapped or not. A process that has not called exec since vfork or posix_spawn has the memory of its parent, which counts once: the kernel tells the
 * whole of it of either. A new peak counts when a second look confirms it: processes are looked at one after the other, and one that starts or ends
 * meanwhile would have its shared pages counted twice. A process that detaches itself, as gpg-agent does, stays below this one. Looking slows the
 * command down: time runs go without -m.
 * SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS 20000000L
#define MAX_PROCESSES 65536
#define MAX_MEMFDS 8192

static struct { pid_t pid, parent; bool below; } processes[MAX_PROCESSES];
static size_t n_processes;

/* Memory files seen in this sample; by_fd: size is that of its blocks, else what is mapped of it. */
static struct { uint64_t inode, size; bool by_fd; } memfds[MAX_MEMFDS];
static size_t n_memfds;

static _Noreturn void die(const char *what) {
  fprintf(stderr, "measure: %s: %s\n", what, strerror(errno));
  exit(125);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static pid_t parent_of(pid_t pid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return -1;
  text[n] = 0;
  const char *p = strrchr(text, ')'); /* the name before it may hold anything */
  int parent = -1;
  if (!p || sscanf(p + 1, " %*c %d", &parent) != 1) return -1;
  return parent;
}

/* Fill processes with all there are, and mark those below this one. */
static void find_processes(void) {
  DIR *d = opendir("/proc");
  if (!d) die("/proc");
  n_processes = 0;
  for (struct dirent *e; (e = readdir(d)) && n_processes < MAX_PROCESSES;) {
    if (!isdigit((unsigned char)e->d_name[0])) continue;
    pid_t pid = (pid_t)atoi(e->d_name);
    processes[n_processes].pid = pid;
    processes[n_processes].parent = parent_of(pid);
    processes[n_processes++].below = false;
  }
  closedir(d);
  for (bool more = true; more;) {
    more = false;
    for (size_t i = 0; i < n_processes; i++) {
      if (processes[i].below) continue;
      bool below = processes[i].parent == getpid();
      for (size_t k = 0; k < n_processes && !below; k++) below = processes[k].below && processes[k].pid == processes[i].parent;
      if (below) processes[i].below = more = true;
    }
  }
}

static void add_memfd(uint64_t inode, uint64_t size, bool by_fd) {
  for (size_t i = 0; i < n_memfds; i++) {
    if (memfds[i].inode != inode) continue;
    if (by_fd) {
      memfds[i].size = size;
      memfds[i].by_fd = true;
    } else if (!memfds[i].by_fd) {
      memfds[i].size += size;
    }
    return;
  }
  if (n_memfds == MAX_MEMFDS) return;
  memfds[n_memfds].inode = inode;
  memfds[n_memfds].size = size;
  memfds[n_memfds++].by_fd = by_fd;
}

/* Is the memory of a process that of its parent? */
static bool is_of_parent(pid_t pid, pid_t parent) { return syscall(SYS_kcmp, pid, parent, KCMP_VM, 0, 0) == 0; }

/* The memory files a process has open. */
static void open_memfds(pid_t pid) {
  char path[64], target[64];
  struct stat st;
  snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
  DIR *d = opendir(path);
  if (!d) return;
  for (struct dirent *e; (e = readdir(d));) {
    ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
    if (n < 7 || memcmp(target, "/memfd:", 7) != 0) continue;
    if (fstatat(dirfd(d), e->d_name, &st, 0) == 0) add_memfd(st.st_ino, (uint64_t)st.st_blocks * 512, true);
  }
  closedir(d);
}

/* The proportional set size of a process without its memory files, which are noted. */
static uint64_t set_size(pid_t pid) {
  char path[64], line[8192];
  snprintf(path, sizeof path, "/proc/%d/smaps", (int)pid);
  FILE *f = fopen(path, "re");
  if (!f) return 0;
  uint64_t total = 0, memfd = 0;
  while (fgets(line, sizeof line, f)) {
    unsigned long long kib, inode;
    if (!strchr(line, '\n')) { /* the rest of a very long path */
      for (int c; (c = getc(f)) != EOF && c != '\n';) continue;
    }
    if (sscanf(line, "Pss: %llu kB", &kib) == 1) {
      if (memfd) add_memfd(memfd, kib * 1024, false);
      else total += kib * 1024;
    } else if (islower((unsigned char)line[0]) || isdigit((unsigned char)line[0])) {
      memfd = sscanf(line, "%*s %*s %*s %*s %llu", &inode) == 1 && strstr(line, " /memfd:") ? inode : 0;
    }
  }
  fclose(f);
  return total;
}

static uint64_t sample(void) {
  uint64_t total = 0;
  n_memfds = 0;
  find_processes();
  for (size_t i = 0; i < n_processes; i++) {
    if (!processes[i].below) continue;
    if (!is_of_parent(processes[i].pid, processes[i].parent)) total += set_size(processes[i].pid);
    open_memfds(processes[i].pid);
  }
  for (size_t i = 0; i < n_memfds; i++) total += memfds[i].size;
  return total;
}

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

int main(int argc, char **argv) {
  bool memory = false;
  const char *folder = NULL;
  int option;
  while ((option = getopt(argc, argv, "+mC:")) != -1) {
    if (option == 'm') memory = true;
    else if (option == 'C') folder = optarg;
    else return 125;
  }
  if (argc - optind < 2) {
    fprintf(stderr, "usage: measure [-m] [-C FOLDER] OUT COMMAND [ARGUMENT...]\n");
    return 125;
  }
  FILE *out = fopen(argv[optind], "we");
  if (!out) die(argv[optind]);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) die("prctl");
  double start = now();
  pid_t child = fork();
  if (child < 0) die("fork");
  if (child == 0) {
    if (folder && chdir(folder) < 0) die(folder);
    execvp(argv[optind + 1], argv + optind + 1);
    die(argv[optind + 1]);
  }
  /* A signal from the terminal reaches the command too; what it did is told by its exit code. */
  signal(SIGINT, SIG_IGN);
  uint64_t peak = 0;
  int status;
  struct rusage used;
  for (;;) {
    pid_t r = wait4(child, &status, memory ? WNOHANG : 0, &used);
    if (r == child) break;
    if (r < 0 && errno != EINTR) die("wait");
    if (!memory) continue;
    uint64_t n = sample();
    if (n > peak) {
      uint64_t again = sample();
      if (again < n) n = again;
    }
    if (n > peak) peak = n;
    nanosleep(&(struct timespec){.tv_nsec = PERIOD_NS}, NULL);
  }
  fprintf(out, "%.4f %.3f %.3f %llu\n", now() - start, seconds(used.ru_utime), seconds(used.ru_stime), (unsigned long long)peak);
  if (fclose(out) != 0) die(argv[optind]);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
