/* gpgflow.c - how to feed gpg: packs through gpgme's data flow against a spawned gpg on memory files.
 *
 *   gpgflow HOME FINGERPRINT [PACKS]
 *
 * HOME is a GnuPG home with the key FINGERPRINT. Encrypts PACKS (default 20) random packs of 24 MiB each way, alternating, and prints MiB/s and the
 * ratio; then what starting gpg costs (packs of one byte), and what a sealed record costs.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <gpgme.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "repo/repo.h"

#define PACK (24u * 1024 * 1024)

static void check(int r, const struct hf_error *err) {
  if (r < 0) {
    fprintf(stderr, "gpgflow: %s\n", err->msg);
    exit(1);
  }
}

static void gcheck(gpgme_error_t e, const char *what) {
  if (e) {
    fprintf(stderr, "gpgflow: %s: %s\n", what, gpgme_strerror(e));
    exit(1);
  }
}

/* One pack as gpgme does it: from memory to memory; io: the size of its reads and writes, "" for its default. */
static double by_gpgme(const char *home, const char *fpr, const void *p, size_t n, const char *io) {
  gpgme_ctx_t c;
  gpgme_key_t keys[2] = {NULL, NULL};
  gpgme_data_t in, out;
  size_t got;
  double t = hf_now();
  gcheck(gpgme_new(&c), "context");
  gcheck(gpgme_ctx_set_engine_info(c, GPGME_PROTOCOL_OpenPGP, NULL, home), "home");
  gcheck(gpgme_get_key(c, fpr, &keys[0], 0), "key");
  gcheck(gpgme_data_new_from_mem(&in, p, n, 0), "data");
  gcheck(gpgme_data_new(&out), "data");
  if (*io) {
    gcheck(gpgme_data_set_flag(in, "io-buffer-size", io), "flag");
    gcheck(gpgme_data_set_flag(out, "io-buffer-size", io), "flag");
  }
  gcheck(gpgme_op_encrypt(c, keys, GPGME_ENCRYPT_ALWAYS_TRUST | GPGME_ENCRYPT_NO_COMPRESS, in, out), "encrypt");
  gpgme_free(gpgme_data_release_and_get_mem(out, &got));
  gpgme_data_release(in);
  gpgme_key_unref(keys[0]);
  gpgme_release(c);
  return hf_now() - t;
}

static double by_spawn(struct hf_gpg *g, const struct hf_list *to, int fd, size_t n) {
  struct hf_error err = {0};
  struct hf_blob b = {0};
  double t = hf_now();
  check(hf_gpg_encrypt(g, to, false, fd, n, &b, &err), &err);
  hf_blob_free(&b);
  return hf_now() - t;
}

int main(int argc, char **argv) {
  struct hf_error err = {0};
  struct hf_gpg *g = NULL;
  struct hf_list to = HF_LIST_INIT;
  struct hf_buf sealed = HF_BUF_INIT;
  if (argc < 3) {
    fprintf(stderr, "usage: gpgflow HOME FINGERPRINT [PACKS]\n");
    return 2;
  }
  int packs = argc > 3 ? atoi(argv[3]) : 20;
  check(hf_gpg_open(argv[1], false, &g, &err), &err);
  hf_list_add(&to, argv[2]);
  void *p = hf_alloc(PACK);
  hf_random(p, PACK);
  int fd = hf_memfd("pack", &err);
  check(fd, &err);
  check(hf_pwrite_all(fd, p, PACK, 0, &err), &err);
  double a = 0, b = 0, c = 0;
  for (int i = 0; i < packs; i++) {
    a += by_gpgme(argv[1], argv[2], p, PACK, "");
    b += by_gpgme(argv[1], argv[2], p, PACK, "1048576");
    c += by_spawn(g, &to, fd, PACK);
  }
  double mib = (double)packs * PACK / HF_MIB;
  printf("gpgme, default           %7.0f MiB/s\n", mib / a);
  printf("gpgme, 1 MiB io buffers  %7.0f MiB/s\n", mib / b);
  printf("spawned, memory files    %7.0f MiB/s   %.2f of gpgme's time, %.2f of that with large buffers\n", mib / c, c / a, c / b);
  close(fd);
  fd = hf_memfd("pack", &err);
  check(hf_pwrite_all(fd, "x", 1, 0, &err), &err);
  a = c = 0;
  for (int i = 0; i < packs; i++) {
    a += by_gpgme(argv[1], argv[2], "x", 1, "");
    c += by_spawn(g, &to, fd, 1);
  }
  printf("one byte: gpgme %.1f ms, spawned %.1f ms\n", a * 1000 / packs, c * 1000 / packs);
  if (hf_gpg_has_secret(g, argv[2])) {
    a = hf_now();
    for (int i = 0; i < packs; i++) check(hf_gpg_seal(g, &to, argv[2], p, 10000, &sealed, &err), &err);
    printf("sealing 10 kB: %.1f ms\n", (hf_now() - a) * 1000 / packs);
  }
  free(p);
  close(fd);
  hf_list_free(&to);
  hf_buf_free(&sealed);
  hf_gpg_close(g);
  return 0;
}
