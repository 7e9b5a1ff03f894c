/* cmd.h - the command line: one function per command, which parses, calls the engine and prints.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_CMD_H
#define HF_CMD_H

#include <getopt.h>
#include <jansson.h>

#include "engine/engine.h"
#include "engine/runlog.h"

/* A command that failed because a signal stopped it ends with HF_EXIT_SIGNAL plus the signal's number, as in a shell. */
enum hf_exit { HF_EXIT_OK = 0, HF_EXIT_FAILED = 1, HF_EXIT_USAGE = 2, HF_EXIT_PARTIAL = 3, HF_EXIT_SIGNAL = 128 };

struct hf_cmd;

/* One row of the table of commands. */
struct hf_command {
  const char *name;
  const char *help;    /* one line */
  const char *usage;   /* what follows the name */
  const char *options; /* a line or more for each option, each ending in a newline; "" for none */
  int (*run)(struct hf_cmd *c);
};

/* A command being run. */
struct hf_cmd {
  const struct hf_command *command;
  const char *manifest;
  int verbose;
  bool quiet, json, no_progress;
  int64_t lock_wait; /* seconds; negative: as the manifest says */
  int argc; /* the command's own words, its name first; after hf_args_operands the operands only */
  char **argv;
  bool is_run;          /* hf_cmd_open notes a run of the command: set before it by those that do something */
  struct hf_run *run;   /* that one, until hf_cmd_end; NULL also where runs are not noted */
  int exit; /* what hf_args_next and hf_args_operands want the exit code to be when they end the command */
};

/* The whole program; the exit code. */
int hf_cmd_main(int argc, char **argv);
/* All commands, ending with a row without a name. (table.c) */
extern const struct hf_command hf_commands[];
const struct hf_command *hf_command_find(const char *name);

/* ---- arguments (args.c) ---- */
/* The next option of the command (its val), 0 at the end of the options, -1 when the command is over with c->exit (--help, or
 * a mistake, which has been reported). Options that all commands share are
 * dealt with on the way. shorts and longs as for getopt_long(3), longs may be NULL; vals are positive. */
int hf_args_next(struct hf_cmd *c, const char *shorts, const struct option *longs);
/* The operands are in c->argv from now on: at least min, at most max of them. False when the command is over with c->exit. */
bool hf_args_operands(struct hf_cmd *c, int min, int max);
/* For a command without options of its own: both of the above. */
bool hf_args_plain(struct hf_cmd *c, int min, int max);
/* The lines of help about the options that all commands share. */
const char *hf_args_shared_help(void);
/* Report a wrong command line; returns HF_EXIT_USAGE. */
int hf_args_wrong(struct hf_cmd *c, const char *fmt, ...) HF_PRINTF(2, 3);

/* ---- output (out.c) ---- */
/* Before anything is printed: how much is said, and whether there is a progress line. */
void hf_out_setup(const struct hf_cmd *c);
/* At the end: the exit code, HF_EXIT_FAILED instead of HF_EXIT_OK when standard output could not be written. */
int hf_out_close(int code);
/* Print one object as a line on standard output; takes the reference. */
void hf_out_json(json_t *o);
/* Text for people on standard output; bytes that would steer a terminal are shown as \ooo. */
void hf_out_text(const char *s);
/* Report an error, on standard error and with --json on standard output. Returns the exit code it stands for: HF_EXIT_USAGE
 * for HOLDFAST_E_USAGE, else HF_EXIT_FAILED. */
int hf_out_error(const struct hf_cmd *c, const struct hf_error *err);
/* Show where things are: one line on a terminal, overwritten at most ten times a second. Thread-safe. */
void hf_out_progress(const char *fmt, ...) HF_PRINTF(1, 2);
/* Remove the line. */
void hf_out_progress_end(void);
/* A string of any bytes for JSON; NULL gives null. */
json_t *hf_out_string(const char *s);
/* A Unix time as RFC 3339 text for JSON. */
json_t *hf_out_time(int64_t unix_s);
json_t *hf_out_list(const struct hf_list *l);
/* The strings, one behind the other. Caller frees. */
char *hf_out_join(const struct hf_list *l, const char *between);

/* A table for people: cells row by row. align: a letter per column, 'l' or 'r'. */
struct hf_table {
  const char *align;
  struct hf_list cells;
};
void hf_table_add(struct hf_table *t, const char *fmt, ...) HF_PRINTF(2, 3);
void hf_table_size(struct hf_table *t, uint64_t bytes); /* a cell with a size */
/* Print to standard output and free. */
void hf_table_print(struct hf_table *t);

/* ---- sessions (open.c): each returns 0, or the exit code of the command, and has then reported what is wrong ---- */
int hf_cmd_open(struct hf_cmd *c, unsigned flags, const char *target, struct hf_session **out);
/* Note from here on that the command runs, where hf_cmd_open was not asked to. */
void hf_cmd_begin(struct hf_cmd *c, const struct hf_session *s);
/* The end of a command that hf_cmd_open succeeded for: its run ends with this exit code, the session is closed. facts: for the run's log and for who is told (hf_run_end); taken, may be
 * NULL. Returns code. */
int hf_cmd_end(struct hf_cmd *c, struct hf_session *s, int code, json_t *facts);
/* Read the chain and print what is wrong with it. */
int hf_cmd_chain(struct hf_cmd *c, struct hf_session *s);
/* What is wrong with the chain, from the given issue on. */
void hf_cmd_issues(const struct hf_cmd *c, const struct hf_session *s, size_t from);
/* For commands that read one snapshot: open, chain, snapshot. On failure nothing is left open. */
int hf_cmd_open_snapshot(struct hf_cmd *c, const char *spec, const char *target, struct hf_session **s, struct hf_record **rec);
int hf_cmd_snapshot(struct hf_cmd *c, struct hf_session *s, const char *spec, struct hf_record **rec);

/* ---- records as JSON (record_out.c) ---- */
/* What a snapshot's record says, but for the names of chunks: members "seq", "id", "time", "label", "host", "tool", "sources". */
void hf_out_record(json_t *o, const struct hf_record *r);
/* The sources' states in a word each, comma-separated: "config, secrets (partial)". Caller frees. */
char *hf_out_sources(const struct hf_record *r);
/* For the facts of a run: an array of the sources with their numbers. */
json_t *hf_out_source_facts(const struct hf_record *r);

/* ---- whom to call (contact_out.c) ---- */
/* The manifest's contacts, a line each, by priority; nothing when there are none. */
void hf_out_contacts(FILE *out, const struct hf_manifest *m);
/* The same as an array. New reference. */
json_t *hf_out_contacts_json(const struct hf_manifest *m);

/* ---- the commands ---- */
int hf_cmd_init(struct hf_cmd *c);
int hf_cmd_check(struct hf_cmd *c);
int hf_cmd_plugins(struct hf_cmd *c);
int hf_cmd_backup(struct hf_cmd *c);
int hf_cmd_list(struct hf_cmd *c);
int hf_cmd_ls(struct hf_cmd *c);
int hf_cmd_diff(struct hf_cmd *c);
int hf_cmd_cat(struct hf_cmd *c);
int hf_cmd_restore(struct hf_cmd *c);
int hf_cmd_verify(struct hf_cmd *c);
int hf_cmd_sync(struct hf_cmd *c);
int hf_cmd_prune(struct hf_cmd *c);
int hf_cmd_drill(struct hf_cmd *c);
int hf_cmd_status(struct hf_cmd *c);
int hf_cmd_notify(struct hf_cmd *c);
int hf_cmd_completion(struct hf_cmd *c);

#endif
