/* restore_ask.c - before anything is replaced: what it is, whom to call, and whether it is meant.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cmd/restore_out.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/text.h"

#define PLACES 8 /* shown of one source; the others are counted */

/* Where a source's data goes: the paths and databases that its section names. */
static size_t show_places(const struct hf_manifest_source *m, size_t shown) {
  for (size_t i = 0; m && i < m->settings->n; i++) {
    const struct holdfast_value *v = &m->settings->values[i];
    const struct holdfast_setting *row = &m->settings->table[i];
    bool place = row->type == HOLDFAST_PATH || (row->type == HOLDFAST_STRING && strncmp(row->name, "database", 8) == 0);
    if (!place || v->line == 0) continue;
    for (uint32_t k = 0; k < v->count; k++, shown++) {
      HF_CLEANUP(hf_freep) char *text = hf_printable(v->strings[k], strlen(v->strings[k]));
      if (shown < PLACES) fprintf(stderr, "%s%s = %s", shown ? ", " : ": ", v->name, text);
    }
  }
  return shown;
}

static void show_source(const struct hf_manifest *m, const struct hf_record_source *rs) {
  char size[16];
  hf_format_size(size, rs->bytes);
  fprintf(stderr, "  %s (%s), %llu files, %s", rs->name, rs->plugin, (unsigned long long)rs->files, size);
  size_t shown = show_places(hf_manifest_find_source(m, rs->name), 0);
  for (size_t i = 0; i < rs->n_streams; i++) {
    if (strcmp(rs->streams[i].format, "raw") != 0) continue;
    if (shown < PLACES) fprintf(stderr, "%s%s", shown ? ", " : ": ", rs->streams[i].name);
    shown++;
  }
  if (shown > PLACES) fprintf(stderr, " and %zu more", shown - PLACES);
  fputc('\n', stderr);
}

void hf_restore_show(const struct hf_manifest *m, const struct hf_record *rec, const struct hf_list *sources, const struct hf_list *patterns) {
  char when[HF_TIME_LEN], age[24];
  hf_format_time(when, rec->time);
  hf_format_duration(age, (double)HF_MAX(0, hf_wall_clock() - rec->time));
  hf_out_progress_end();
  fprintf(stderr, "What is there now on %s is replaced by snapshot %llu of %s, %s old:\n", m->host, (unsigned long long)rec->seq, when, age);
  for (size_t i = 0; i < rec->n_sources; i++) {
    const struct hf_record_source *rs = &rec->sources[i];
    if (sources->n ? hf_list_has(sources, rs->name) : rs->n_streams > 0) show_source(m, rs);
  }
  for (size_t i = 0; i < patterns->n; i++) {
    HF_CLEANUP(hf_freep) char *text = hf_printable(patterns->v[i], strlen(patterns->v[i]));
    fprintf(stderr, "  only %s\n", text);
  }
  hf_out_contacts(stderr, m);
}

bool hf_restore_confirm(const char *host) {
  char line[80] = "";
  size_t n = 0;
  fprintf(stderr, "What is replaced is kept. To go on, type the host's name (%s): ", host);
  fflush(stderr);
  for (;;) {
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    int r = poll(&p, 1, -1); /* which a signal ends, unlike read */
    if (hf_cancel || (r < 0 && errno != EINTR)) return false;
    if (r <= 0) continue;
    char ch;
    if (read(STDIN_FILENO, &ch, 1) != 1) return false;
    if (ch == '\n') return n < sizeof line && strcmp(line, host) == 0;
    if (n + 1 < sizeof line) line[n++] = ch;
    else n = sizeof line;
    line[HF_MIN(n, sizeof line - 1)] = 0;
  }
}
