/* replay.c - main for a fuzz target in a build without libFuzzer: the files named on the command line, each once.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * So the seeds, and every input that once made trouble, are regression tests with any compiler.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

static unsigned char *slurp(const char *path, size_t *n) {
  FILE *f = fopen(path, "rbe");
  unsigned char *data = NULL;
  size_t cap = 0, got;
  *n = 0;
  if (!f) return NULL;
  do {
    cap += 65536;
    unsigned char *grown = realloc(data, cap);
    if (!grown) {
      fclose(f);
      free(data);
      return NULL;
    }
    data = grown;
    got = fread(data + *n, 1, cap - *n, f);
    *n += got;
  } while (*n == cap);
  int bad = ferror(f);
  fclose(f);
  if (!bad) return data;
  free(data);
  return NULL;
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    size_t n;
    unsigned char *data = slurp(argv[i], &n);
    if (!data) {
      perror(argv[i]);
      return 1;
    }
    /* A block of exactly that size, so that AddressSanitizer and valgrind see a read beyond its end. */
    unsigned char *exact = malloc(n ? n : 1);
    if (!exact) return 1;
    for (size_t k = 0; k < n; k++) exact[k] = data[k];
    free(data);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
  }
  return 0;
}
