/* exec.h - the exec source: what its parts share.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *   plugin.c   the settings table and the table of callbacks
 *   options.c  the settings, checked and made ready
 *   env.c      NAME=VALUE pairs and files of them
 *   words.c    what a command says on standard error: logged, the last line kept
 *   run.c      a running command: its output, its words, its time, its end
 *   backup.c   the standard output of `command` as one raw stream
 *   restore.c  `restore-command` with the stream as its standard input; `verify-command`; probe
 *
 * Functions that return int return 0 or an enum holdfast_status, whose message the host has then been given.
 */
#ifndef HF_EXEC_H
#define HF_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <holdfast/source.h>

#include "../common/child.h"

/* The rows of the settings table. */
enum hf_exec_setting {
  HF_EXEC_COMMAND,
  HF_EXEC_RESTORE_COMMAND,
  HF_EXEC_VERIFY_COMMAND,
  HF_EXEC_SHELL,
  HF_EXEC_ENVIRONMENT,
  HF_EXEC_ENVIRONMENT_FILE,
  HF_EXEC_SECRET,
  HF_EXEC_SECRET_VARIABLE,
  HF_EXEC_DIRECTORY,
  HF_EXEC_SUCCESS_EXIT,
  HF_EXEC_EMPTY,
  HF_EXEC_STDERR,
  HF_EXEC_STREAM,
  HF_EXEC_TIME_LIMIT,
  HF_EXEC_FIXED_CHUNK,
  HF_EXEC_N_SETTINGS
};

/* ---- the environment (env.c) ---- */

#define HF_EXEC_ENV_FILE_MAX (64u * 1024) /* bytes of an environment file */

/* Variables that are added to what is inherited, each name once. v ends in NULL; NULL itself while there are none. */
struct hf_exec_env {
  char **v; /* "NAME=VALUE" */
  size_t n;
};

/* Is this the name of a variable: letters, digits and '_', no digit first? */
bool hf_exec_env_name(const char *name, size_t n);
/* Set a variable, in the place of an earlier one of that name. False when memory is out. */
bool hf_exec_env_set(struct hf_exec_env *e, const char *name, size_t name_n, const char *value, size_t value_n);
/* The variables of a file's text: lines NAME=VALUE; empty ones and those that begin with '#' or ';' are passed over. A value may stand in '...' or
 * "..."; in the latter a backslash takes the meaning from a following \ " $ or `. Returns 0; or the number of the line that is wrong, and *why. */
unsigned hf_exec_env_parse(struct hf_exec_env *e, const char *text, size_t n, const char **why);
/* The same from a file of at most HF_EXEC_ENV_FILE_MAX bytes. */
int hf_exec_env_file(struct hf_exec_env *e, const struct holdfast_host *host, const char *path);
/* The value of a variable in e, NULL when it is not there. */
const char *hf_exec_env_get(const struct hf_exec_env *e, const char *name);
/* Wipes the values: there may be secrets among them. */
void hf_exec_env_free(struct hf_exec_env *e);

/* ---- the settings (options.c) ---- */

/* One section, checked. Strings belong to the host and are valid as long as the values are. */
struct hf_exec_options {
  const struct holdfast_host *host;
  const struct holdfast_value *values;
  const char *stream;
  const char *directory;   /* current folder of the commands */
  const char *secret;      /* never shown in what a command says; NULL: none */
  struct hf_exec_env env;
  bool shell, empty_ok, log_words;
  bool success[256];       /* by exit code of `command` */
  int64_t time_limit;      /* seconds for each command, 0: none */
  uint64_t fixed_chunk;    /* bytes, 0: cut by content */
};

/* Check the settings and read the environment file. *o need not be freed after an error. */
int hf_exec_options_read(const struct holdfast_host *host, const struct holdfast_value *values, struct hf_exec_options *o);
void hf_exec_options_free(struct hf_exec_options *o);
/* May a stream have this name? holdfast-plugin(3) has the rule. */
bool hf_exec_stream_name(const char *s);
/* The words of one of the three commands, behind those that a shell needs; NULL-terminated, the array is the caller's, the words are not. NULL when memory is
 * out. The setting must be there. */
const char **hf_exec_argv(const struct hf_exec_options *o, enum hf_exec_setting which);
/* Where its program is, into path; an error says that there is none, or that the folder it is to run in is missing. */
int hf_exec_find(const struct hf_exec_options *o, enum hf_exec_setting which, char *path, size_t cap);
/* What a message calls a command: its setting's name and its program, without arguments: those may hold what is nobody's business. text has room for cap. */
const char *hf_exec_title(const struct hf_exec_options *o, enum hf_exec_setting which, char *text, size_t cap);

/* ---- what a command says (words.c) ---- */

#define HF_EXEC_LINE_MAX 4096 /* bytes of a line that are looked at; the rest of it is dropped */
#define HF_EXEC_SHOWN_MAX 400 /* bytes of a line that are shown */
#define HF_EXEC_LINES_MAX 100 /* lines of one command that are logged */

/* Zeroed to begin with. */
struct hf_exec_words {
  char line[HF_EXEC_LINE_MAX];
  size_t n;
  bool returned;                     /* the last byte was a carriage return: what follows writes over the line, unless it is a line feed */
  char last[HF_EXEC_SHOWN_MAX + 4];  /* the last line that was not empty, printable; "" if none */
  uint64_t lines;                    /* so far, without empty ones */
};

/* Take n bytes of standard error. Whole lines are logged when o->log_words. */
void hf_exec_words_take(struct hf_exec_words *w, const struct hf_exec_options *o, const char *title, const char *p, size_t n);
/* The end of it: a line without an end counts, too; says how many lines were not logged. */
void hf_exec_words_end(struct hf_exec_words *w, const struct hf_exec_options *o, const char *title);
/* n bytes as text that is fit to be shown: control characters and what is no UTF-8 become '?', each occurrence of secret (NULL: none) becomes "***". At most
 * HF_EXEC_SHOWN_MAX bytes and "...". out has room for HF_EXEC_SHOWN_MAX + 4. */
void hf_exec_printable(char *out, const char *p, size_t n, const char *secret);

/* ---- a running command (run.c) ---- */

struct hf_exec_run;

/* Start one of the three commands. in: its standard input, -1 for /dev/null; it stays the caller's, and open until hf_exec_run_free. With capture its standard
 * output is for hf_exec_run_read; otherwise it goes the way of its standard error. file: what HOLDFAST_FILE says to it, NULL: nothing. */
int hf_exec_run_start(const struct hf_exec_options *o, enum hf_exec_setting which, int in, bool capture, const char *file,
                      struct hf_exec_run **out);
/* 1 to n bytes of its standard output; 0 at its end; a negative status. */
int64_t hf_exec_run_read(struct hf_exec_run *r, void *buf, size_t n);
/* Wait until it has ended. 0 when its exit code counts as success; else a status whose message has its last words. *code may be NULL. */
int hf_exec_run_end(struct hf_exec_run *r, int *code);
/* Its last line on standard error (and standard output, when that was not captured), printable, "" if none. Complete once it has ended. */
const char *hf_exec_run_words(const struct hf_exec_run *r);
/* Ends it when it still runs. NULL is allowed. */
void hf_exec_run_free(struct hf_exec_run *r);

/* ---- callbacks (backup.c, restore.c): as in <holdfast/source.h> ---- */

int hf_exec_open(const struct holdfast_host *host, const struct holdfast_value *values, void **handle);
int hf_exec_next(void *handle, struct holdfast_entry *e);
int hf_exec_entry_open(void *handle, struct holdfast_entry *e);
int64_t hf_exec_read(void *handle, void *buf, size_t n);
int hf_exec_entry_close(void *handle);
int hf_exec_finish(void *handle, const char **state);
void hf_exec_close(void *handle);
int hf_exec_probe(const struct holdfast_host *host, const struct holdfast_value *values);
int hf_exec_restore_open(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_restore *how,
                         void **handle);
int hf_exec_restore_begin(void *handle, const char *stream, uint64_t size);
int hf_exec_restore_write(void *handle, const void *buf, size_t n);
int hf_exec_restore_end(void *handle);
int hf_exec_restore_finish(void *handle, int complete);
void hf_exec_restore_close(void *handle);
int hf_exec_verify(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory,
                   const char *state);

#endif
