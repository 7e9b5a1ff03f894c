/* source_restore.c - holdfast-source-conformance: the restore half of a source.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "source_walk.h"

static void remove_tree(const char *dir) {
  DIR *d = opendir(dir);
  struct dirent *e;
  while (d && (e = readdir(d))) {
    char path[4352];
    struct stat st;
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name) >= (int)sizeof path)
      continue;
    if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
      remove_tree(path);
    else
      unlink(path);
  }
  if (d) closedir(d);
  rmdir(dir);
}

/* Feed the streams of a fresh walk into restore handle r. */
static int feed(const struct holdfast_source_plugin *p, const struct holdfast_value *values, void *r) {
  struct walker w;
  char buf[8192];
  int64_t n;
  int rc = walker_open(&w, p, values);
  if (rc != HOLDFAST_OK) return rc;
  while (1) {
    struct holdfast_entry e = {.struct_size = sizeof e};
    if ((rc = p->next(w.handle, &e)) != 1) break;
    char *name = strdup(e.path ? e.path : "");
    if (e.kind == HOLDFAST_STREAM && e.size != HOLDFAST_SIZE_UNKNOWN && name && p->entry_open(w.handle, &e) == HOLDFAST_OK) {
      conf_clear();
      rc = p->restore_begin(r, name, e.size);
      bool left = rc == HOLDFAST_E_UNSUPPORTED; /* to the host, which would make a file of it */
      while (rc == HOLDFAST_OK && (n = p->read(w.handle, buf, sizeof buf)) > 0) rc = p->restore_write(r, buf, (size_t)n);
      if (rc == HOLDFAST_OK) rc = p->restore_end(r);
      check_status(rc, "restore");
      if (left) rc = HOLDFAST_OK;
      p->entry_close(w.handle);
    }
    free(name);
    if (rc < 0) break;
  }
  walker_close(&w);
  return rc < 0 ? rc : HOLDFAST_OK;
}

void test_restore(const struct holdfast_source_plugin *p, const struct holdfast_value *values) {
  const struct holdfast_host *host = conf_host("restore");
  if (!p->restore_open) {
    conf_skip("restore", "the plugin has no restore half");
    return;
  }
  for (int round = 0; round < 3; round++) {
    static const char *const names[] = {"restore that is given up at once", "restore of half", "restore of all streams"};
    char dir[] = "/tmp/holdfast-conformance-XXXXXX";
    struct conf_process before;
    void *r = NULL;
    if (!mkdtemp(dir)) conf_bail("cannot make a folder in /tmp");
    struct holdfast_restore how = {.struct_size = sizeof how, .mode = HOLDFAST_RESTORE_TO_DIR, .directory = dir, .state = ""};
    conf_process(&before);
    conf_begin();
    conf_clear();
    int status = p->restore_open(host, values, &how, &r);
    check_status(status, "restore_open");
    if (status == HOLDFAST_OK) {
      if (round == 2 && p->restore_begin) status = feed(p, values, r);
      if (round > 0) {
        conf_clear();
        int end = p->restore_finish(r, round == 2 && status == HOLDFAST_OK);
        check_status(end, "restore_finish");
        status = status || round == 1 ? status : end;
      }
      p->restore_close(r);
    }
    conf_ok(status == HOLDFAST_OK && conf_flawless(), "%s%s%s", names[round], status ? ": " : "", status ? conf_message() : "");
    conf_process_same(&before, names[round]);
    remove_tree(dir);
  }
}
