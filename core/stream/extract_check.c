/* extract_check.c - reading back what was written, once everything is in its place.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every stretch that is written leaves its place and digest in the spool: some 300 bytes of a temporary file for each file, and for each chunk of a large one. No memory but for the stretch being compared.
 */
#include "stream/extract_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/io.h"

struct stretch {
  uint64_t off, len;
  struct hf_digest digest;
};

int hf_xcheck_note(struct hf_extract *x, const struct hf_xmeta *m, uint64_t off, const void *p, size_t n, struct hf_error *err) {
  struct stretch s = {.off = off, .len = n};
  if (!x->o.verify || n == 0) return 0;
  hf_sha256(p, n, &s.digest);
  struct hf_xmeta note = {.kind = 'f', .path = m->path, .path_n = m->path_n, .source = m->source, .source_n = m->source_n, .attrs = (const char *)&s, .attrs_n = sizeof s};
  return hf_xwait(x, HF_XL_CHECK, &note, err);
}

/* Is the stretch in the file as it was written? */
static bool is_there(int fd, const struct stretch *s, struct hf_sha256 *hash, char *block, size_t cap) {
  struct hf_digest d;
  bool whole = true;
  for (uint64_t done = 0; whole && done < s->len;) {
    ssize_t n = pread(fd, block, (size_t)HF_MIN((uint64_t)cap, s->len - done), (off_t)(s->off + done));
    if (n < 0 && errno == EINTR) continue;
    whole = n > 0;
    if (!whole) break;
    hf_sha256_update(hash, block, (size_t)n);
    done += (uint64_t)n;
  }
  hf_sha256_final(hash, &d);
  return whole && hf_digest_eq(&d, &s->digest);
}

int hf_xcheck_all(struct hf_extract *x, struct hf_xworker *w, struct hf_error *err) {
  enum { BLOCK = 256 * 1024 };
  int rc = hf_xspool_end(&x->spool, err);
  if (rc < 0) return rc;
  struct hf_sha256 *hash = hf_sha256_new();
  char *block = hf_alloc(BLOCK);
  struct hf_xmeta m;
  struct stretch s;
  for (uint64_t at = x->spool.fixed[HF_XL_CHECK]; at;) {
    const char *name;
    bool symlink;
    at = hf_xspool_read(&x->spool, at, &m);
    memcpy(&s, m.attrs, sizeof s);
    if (hf_xlost_has(x, m.path, m.path_n)) continue;
    struct hf_xdir *d = hf_xdir_parent(x, w, m.path, m.path_n, false, &symlink, &name, NULL);
    int fd = d ? openat(d->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
    struct stat st;
    bool good = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && is_there(fd, &s, hash, block, BLOCK);
    hf_closep(&fd);
    if (good) w->counts.checked += s.len;
    else hf_xproblem(x, &m, true, "read back, it is not what was restored");
  }
  hf_sha256_free(hash);
  free(block);
  return 0;
}
