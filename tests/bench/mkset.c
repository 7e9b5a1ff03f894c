/* mkset.c - the files that the benchmarks back up: the same ones for the same arguments, on every machine.
 *
 *   mkset small FOLDER FILES FOLDERS    files of 4 KiB on average (exponential) in folders of two levels
 *   mkset large FOLDER MIB              files of 4 to 64 MiB, MIB together, half of them incompressible
 *   mkset change FOLDER PERCENT SEED    change a part of some of the files there, spread at random; prints how many
 *   mkset forget FOLDER                 have the files there out of the page cache
 *
 * Of the small files a quarter is incompressible, as pictures and archives are; the others are prose, settings and logs.
 * SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS 8192
#define WORD_MAX 12
#define MIB (1024u * 1024)
#define BLOCK MIB

enum kind { PROSE, SETTINGS, LOG, RANDOM };
static const char *const suffix[] = {"txt", "conf", "log", "bin"};

static char words[WORDS][WORD_MAX + 1];
static uint64_t word_len[WORDS];
static uint64_t state;

static _Noreturn void die(const char *what) {
  fprintf(stderr, "mkset: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* splitmix64 */
static uint64_t next(void) {
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static uint64_t below(uint64_t n) { return n ? next() % n : 0; }

/* 0 to 1, neither end. */
static double unit(void) { return ((double)(next() >> 11) + 0.5) / 9007199254740992.0; }

static void make_words(void) {
  static const char letters[] = "eeeeeeetttttaaaaooooiiiinnnnsssshhhrrrdddllluuucccmmmwfgypbvk";
  state = 1;
  for (size_t i = 0; i < WORDS; i++) {
    word_len[i] = 2 + below(3) + below(3) + below(WORD_MAX - 5);
    for (size_t k = 0; k < word_len[i]; k++) words[i][k] = letters[below(sizeof letters - 1)];
  }
}

/* A word; the first of the list are far more frequent than the last, as in any language. */
static size_t put_word(char *p) {
  double u = unit();
  size_t i = (size_t)(u * u * u * WORDS);
  memcpy(p, words[i], word_len[i]);
  return word_len[i];
}

/* One line of text of at most 256 bytes. */
static size_t put_line(char *p, enum kind kind, uint64_t *clock) {
  size_t n = 0;
  if (kind == LOG) {
    *clock += below(90);
    n += (size_t)sprintf(p, "2026-03-%02u %02u:%02u:%02u [%u] ", (unsigned)(1 + *clock / 86400 % 28), (unsigned)(*clock / 3600 % 24), (unsigned)(*clock / 60 % 60), (unsigned)(*clock % 60),
                         (unsigned)below(40000));
  } else if (kind == SETTINGS) {
    n += put_word(p);
    p[n++] = '-';
    n += put_word(p + n);
    n += (size_t)sprintf(p + n, " = %u ", (unsigned)below(1000));
  }
  size_t count = kind == PROSE ? 10 : 2 + below(6);
  for (size_t i = 0; i < count; i++) {
    n += put_word(p + n);
    p[n++] = ' ';
  }
  p[n - 1] = '\n';
  return n;
}

static void fill(char *p, size_t n, enum kind kind) {
  char line[512];
  uint64_t clock = below(2000000);
  size_t at = 0;
  while (at < n) {
    size_t k = sizeof(uint64_t);
    if (kind == RANDOM) {
      uint64_t r = next();
      memcpy(line, &r, k);
    } else {
      k = put_line(line, kind, &clock);
    }
    if (k > n - at) k = n - at;
    memcpy(p + at, line, k);
    at += k;
  }
}

static void write_all(int fd, const char *p, size_t n, const char *path) {
  while (n) {
    ssize_t k = write(fd, p, n);
    if (k < 0) die(path);
    p += k;
    n -= (size_t)k;
  }
}

static void make_file(const char *path, uint64_t size, enum kind kind) {
  static char block[BLOCK];
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) die(path);
  while (size) {
    size_t n = size < BLOCK ? (size_t)size : BLOCK;
    fill(block, n, kind);
    write_all(fd, block, n, path);
    size -= n;
  }
  if (close(fd) < 0) die(path);
}

static void make_folder(const char *path) {
  if (mkdir(path, 0755) < 0 && errno != EEXIST) die(path);
}

static void make_small(const char *top, uint64_t files, uint64_t folders) {
  char path[4096];
  make_folder(top);
  for (uint64_t d = 0; d < folders; d++) {
    snprintf(path, sizeof path, "%s/%02u", top, (unsigned)(d / 50));
    if (d % 50 == 0) make_folder(path);
    snprintf(path, sizeof path, "%s/%02u/%02u", top, (unsigned)(d / 50), (unsigned)(d % 50));
    make_folder(path);
    for (uint64_t i = files * d / folders; i < files * (d + 1) / folders; i++) {
      state = 0x5eed0000u + i;
      enum kind kind = (enum kind)below(4);
      uint64_t size = (uint64_t)(-log(unit()) * 4096);
      snprintf(path, sizeof path, "%s/%02u/%02u/f%07u.%s", top, (unsigned)(d / 50), (unsigned)(d % 50), (unsigned)i, suffix[kind]);
      make_file(path, size, kind);
    }
  }
}

static void make_large(const char *top, uint64_t left) {
  char path[4096];
  uint64_t done[2] = {0, 0};
  make_folder(top);
  for (unsigned i = 0; left; i++) {
    state = 0xb16u + i;
    uint64_t size = (uint64_t)(4.0 * MIB * pow(16, unit()));
    bool random = done[1] < done[0];
    enum kind kind = random ? RANDOM : (enum kind)below(3);
    if (size > left) size = left;
    snprintf(path, sizeof path, "%s/%04u.%s", top, i, suffix[kind]);
    make_file(path, size, kind);
    done[random] += size;
    left -= size;
  }
}

static int by_name(const FTSENT **a, const FTSENT **b) { return strcmp((*a)->fts_name, (*b)->fts_name); }

/* A stretch inside gets other content, and the file grows by a line. */
static void change_file(const char *path) {
  static char block[65536];
  struct stat st;
  int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 || fstat(fd, &st) < 0) die(path);
  size_t len = strlen(path), n = (size_t)st.st_size / 4;
  enum kind kind = len > 4 && strcmp(path + len - 4, ".bin") == 0 ? RANDOM : (enum kind)below(3);
  if (n > sizeof block) n = sizeof block;
  fill(block, n, kind);
  if (n && (lseek(fd, (off_t)below((uint64_t)st.st_size - n), SEEK_SET) < 0)) die(path);
  write_all(fd, block, n, path);
  fill(block, 40, kind);
  if (lseek(fd, 0, SEEK_END) < 0) die(path);
  write_all(fd, block, 40, path);
  if (close(fd) < 0) die(path);
}

static void change(char *top, double percent, uint64_t seed) {
  char **files = NULL;
  size_t n = 0, cap = 0;
  FTS *walk = fts_open((char *[]){top, NULL}, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
  if (!walk) die(top);
  for (FTSENT *e; (e = fts_read(walk));) {
    if (e->fts_info != FTS_F) continue;
    if (n == cap) {
      cap = cap ? cap * 2 : 1024;
      files = realloc(files, cap * sizeof *files);
      if (!files) die("memory");
    }
    files[n] = strdup(e->fts_path);
    if (!files[n++]) die("memory");
  }
  fts_close(walk);
  size_t wanted = (size_t)((double)n * percent / 100 + 0.5);
  if (wanted == 0) wanted = 1;
  if (wanted > n) wanted = n;
  state = seed;
  for (size_t i = 0; i < wanted; i++) {
    size_t k = i + (size_t)below(n - i);
    char *chosen = files[k];
    files[k] = files[i];
    files[i] = chosen;
    change_file(chosen);
  }
  printf("%zu\n", wanted);
  for (size_t i = 0; i < n; i++) free(files[i]);
  free(files);
}

/* What has not been written yet stays: sync before. */
static void forget(const char *folder) {
  char *const paths[] = {(char *)(uintptr_t)folder, NULL};
  FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
  if (!walk) die(folder);
  for (FTSENT *e; (e = fts_read(walk));) {
    if (e->fts_info != FTS_F) continue;
    int fd = open(e->fts_accpath, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) continue;
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
  }
  fts_close(walk);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "forget") == 0) {
    forget(argv[2]);
    return 0;
  }
  make_words();
  if (argc == 5 && strcmp(argv[1], "small") == 0 && atoll(argv[4]) > 0) {
    make_small(argv[2], (uint64_t)atoll(argv[3]), (uint64_t)atoll(argv[4]));
  } else if (argc == 4 && strcmp(argv[1], "large") == 0) {
    make_large(argv[2], (uint64_t)(atof(argv[3]) * MIB));
  } else if (argc == 5 && strcmp(argv[1], "change") == 0) {
    change(argv[2], atof(argv[3]), (uint64_t)atoll(argv[4]));
  } else {
    fprintf(stderr, "usage: mkset small FOLDER FILES FOLDERS | large FOLDER MIB | change FOLDER PERCENT SEED | forget FOLDER\n");
    return 2;
  }
  return 0;
}
