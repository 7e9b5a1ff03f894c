/* target_load.c - put or get all files of a folder through a target plugin, with threads, and say how long it took.
 *
 *   target_load PLUGIN.so put|get FOLDER THREADS KEY=VALUE...
 *
 * Files are read and digested within the time, as holdfast digests what it stores. Writes one line: seconds, bytes, peak resident bytes.
 * SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/evp.h>

#include <holdfast/target.h>

#define FILES 100000

static const struct holdfast_target_plugin *plugin;
static void *handle;
static char *names[FILES];
static size_t n_names;
static atomic_size_t next;
static atomic_ullong bytes;
static const char *folder;
static int putting;

static void host_log(void *ctx, int level, const char *text) { (void)ctx, (void)level, (void)text; }

static _Thread_local char message[1024];

static void host_error(void *ctx, const char *text) {
  (void)ctx;
  snprintf(message, sizeof message, "%s", text);
}

static int host_cancelled(void *ctx) {
  (void)ctx;
  return 0;
}

static const struct holdfast_host host = {.struct_size = sizeof host, .instance = "bench", .log = host_log, .error = host_error, .cancelled = host_cancelled};

static void must(int good, const char *what) {
  if (good) return;
  fprintf(stderr, "target_load: %s: %s\n", what, message);
  exit(1);
}

static void put_one(const char *name, char *buf, size_t cap) {
  char path[4096], hex[65], key[300];
  unsigned char digest[32];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  snprintf(key, sizeof key, "bench/%s", name);
  FILE *f = fopen(path, "re");
  must(f != NULL, path);
  size_t n = fread(buf, 1, cap, f);
  fclose(f);
  must(EVP_Digest(buf, n, digest, NULL, EVP_sha256(), NULL) == 1, "SHA-256");
  for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
  const struct holdfast_object o = {.struct_size = sizeof o, .key = key, .data = buf, .size = n, .sha256 = hex};
  must(plugin->put(handle, &o) == 0, "put");
  atomic_fetch_add(&bytes, n);
}

static int sink(void *ctx, const void *data, size_t n) {
  (void)data;
  *(unsigned long long *)ctx += n;
  return 0;
}

static void get_one(const char *name) {
  char key[300];
  unsigned long long n = 0;
  snprintf(key, sizeof key, "bench/%s", name);
  must(plugin->get(handle, key, 0, UINT64_MAX, sink, &n) == 0, "get");
  atomic_fetch_add(&bytes, n);
}

static void *work(void *ctx) {
  size_t cap = 64u << 20;
  char *buf = putting ? malloc(cap) : NULL;
  (void)ctx;
  for (size_t i; (i = atomic_fetch_add(&next, 1)) < n_names;) {
    if (putting) put_one(names[i], buf, cap);
    else get_one(names[i]);
  }
  free(buf);
  return NULL;
}

int main(int argc, char **argv) {
  static struct holdfast_value v[64];
  static const char *texts[64];
  must(argc >= 5, "usage: target_load PLUGIN.so put|get FOLDER THREADS KEY=VALUE...");
  void *so = dlopen(argv[1], RTLD_NOW);
  must(so != NULL, "cannot load the plugin");
  plugin = ((const struct holdfast_target_plugin *(*)(void))dlsym(so, HOLDFAST_TARGET_ENTRY))();
  putting = strcmp(argv[2], "put") == 0;
  folder = argv[3];
  const struct holdfast_setting *rows = plugin->head.settings;
  for (int i = 0; rows[i].name && i < 64; i++) {
    texts[i] = rows[i].def;
    for (int k = 5; k < argc; k++)
      if (strncmp(argv[k], rows[i].name, strlen(rows[i].name)) == 0 && argv[k][strlen(rows[i].name)] == '=') texts[i] = argv[k] + strlen(rows[i].name) + 1;
    v[i] = (struct holdfast_value){.name = rows[i].name, .count = texts[i] ? 1 : 0, .strings = &texts[i]};
    if (texts[i]) v[i].number = strcmp(texts[i], "yes") == 0 ? 1 : atoll(texts[i]);
  }
  DIR *d = opendir(folder);
  must(d != NULL, folder);
  for (struct dirent *e; (e = readdir(d)) && n_names < FILES;)
    if (e->d_name[0] != '.') names[n_names++] = strdup(e->d_name);
  closedir(d);
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  must(plugin->open(&host, v, putting, &handle) == 0, "open");
  int threads = atoi(argv[4]);
  pthread_t t[64];
  must(threads >= 1 && threads <= 64, "1 to 64 threads");
  for (int i = 0; i < threads; i++) must(pthread_create(&t[i], NULL, work, NULL) == 0, "thread");
  for (int i = 0; i < threads; i++) pthread_join(t[i], NULL);
  plugin->close(handle);
  clock_gettime(CLOCK_MONOTONIC, &b);
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  printf("%.3f %llu %ld\n", (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9, (unsigned long long)bytes, u.ru_maxrss * 1024);
  return 0;
}
