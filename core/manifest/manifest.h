/* manifest.h - the INI file of one host, read whole and checked whole before anything else happens.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_MANIFEST_H
#define HF_MANIFEST_H

#include "manifest/notify.h"

/* Commands that the admin wants run around a source's backup and around its restore in place. */
enum hf_hook { HF_HOOK_BEFORE, HF_HOOK_AFTER, HF_HOOK_ON_FAILURE, HF_HOOK_RESTORE_BEFORE, HF_HOOK_RESTORE_AFTER, HF_HOOKS };

struct hf_manifest_source {
  char *name;              /* [A-Za-z0-9._-], unique among sources, at most 64 bytes, not starting with '.' or '-' */
  const struct hf_plugin *plugin;
  struct hf_settings *settings;
  struct hf_list recipients; /* as written: fingerprints, key ids, e-mail; the manifest's own when the section has none */
  char *user;              /* account of the worker process, NULL: the caller's */
  int64_t timeout;         /* seconds without any progress of the plugin after which it is killed; default 1h, 0 never */
  int compression;         /* zstd level 1 to 19, default 2 */
  bool padding;
  bool hide_recipients;
  bool enabled;            /* `enabled = no`: kept in the manifest, not backed up */
  struct hf_list hooks[HF_HOOKS]; /* command lines that hf_split_words takes, in the order they are run */
  int64_t hook_timeout;    /* seconds for each; default 10m */
  int64_t rpo;             /* seconds that its newest snapshot may be old; the manifest's own when the section has none, 0: not watched */
  int64_t rto;             /* seconds that restoring and verifying it may take, 0: not watched */
  char *file;              /* where the section stands */
  unsigned line;
};

#define HF_LIMIT_MIN 4096 /* bytes per second: less would look like a dead connection */
/* Calendar periods, in the manifest's time zone. */
enum hf_period { HF_PERIOD_NONE, HF_PERIOD_HOUR, HF_PERIOD_DAY, HF_PERIOD_WEEK, HF_PERIOD_MONTH, HF_PERIOD_YEAR, HF_PERIODS };

/* What a target keeps: the union of what its rules name. */
struct hf_keep {
  bool any;                /* there is a rule; without one everything is kept */
  bool labelled;           /* `keep-labelled`: snapshots with a label stay; default yes */
  uint32_t last;           /* the newest so many; 0: no such rule */
  uint32_t every[HF_PERIODS]; /* the first of each of the newest so many periods; 0: no such rule */
  int64_t within;          /* seconds before the newest; 0: no such rule */
};

struct hf_manifest_target {
  char *name;
  const struct hf_plugin *plugin;
  struct hf_settings *settings;
  char *prefix;            /* before the host's name in every key, "" for none; no leading or trailing slash */
  bool enabled;
  bool removable;          /* it is no failure when it is not there */
  struct hf_keep keep;
  enum hf_period take;     /* the first snapshot of each such period goes there; HF_PERIOD_NONE: all */
  int64_t rpo;             /* seconds, as for a source */
  /* the way there: */
  char *proxy;             /* URL; "": none; NULL: what the environment says */
  char *ca_file;           /* absolute; NULL: the system's */
  uint64_t limit_up, limit_down; /* bytes per second, 0 none */
  int64_t deadline;        /* seconds after which a call that fails is not tried again; default 10m */
  unsigned retries;        /* how often at most; default 5 */
  unsigned parallel;       /* calls at once, 0: as many as the plugin bears */
  char *file;
  unsigned line;
};

/* Somebody to be called when things are bad. Everything but name and priority may be NULL. */
struct hf_manifest_contact {
  char *name, *role, *phone, *email, *hours, *note;
  int64_t priority; /* lower first; default 100 */
};

struct hf_manifest {
  char *file;              /* absolute path */
  char *host;              /* [A-Za-z0-9._-]; default: the host name */
  struct hf_list recipients;     /* at least one */
  struct hf_list recipient_keys; /* files with public keys, absolute */
  char *host_key;          /* `host-key = FINGERPRINT`: the only signer to be trusted, or NULL */
  char *state;             /* absolute; default HF_STATEDIR "/holdfast" (/var/lib/holdfast) */
  int64_t lock_wait;       /* seconds to wait for another run; default 0 */
  int64_t checkpoint;      /* seconds between indexes within a run; default 300 */
  char *time_zone;         /* IANA name, in which retention's days begin; NULL: the system's */
  int64_t rpo;             /* seconds, 0: not watched */
  int64_t rto;             /* seconds that restoring all of the host may take, 0: not watched */
  int64_t run_log_keep;    /* seconds that runs and their logs are kept; default 30d */
  char *metrics_file;      /* absolute, or NULL: what `status` writes for Prometheus */
  size_t n_notify;
  struct hf_manifest_notify *notify;
  bool escrow;             /* `host-key-escrow`: the host key lies in the repository for its recipients; default yes */
  int64_t safety_keep;     /* seconds that what restores in place replaced is kept; default 90d, 0: for ever */
  int64_t drill_keep;      /* reports of drills kept in the state folder; default 100 */
  size_t n_sources, n_targets;
  struct hf_manifest_source *sources; /* in the manifest's order */
  struct hf_manifest_target *targets;
  size_t n_contacts;
  struct hf_manifest_contact *contacts; /* by priority, then in the manifest's order */
};

/* Read and check file (and what it includes). On any mistake: one error "FILE:LINE: [section] key: what is wrong; what would be right"; HOLDFAST_E_CONFIG.
 * registry: where plugins come from; it must outlive the manifest.
 * Grammar: [holdfast] (first, once), [source NAME], [target NAME], [notify NAME], [contact NAME]; `key = value`; `;` or `#` starts a comment at a line's start, ` ;` and ` #` within a line;
 * a list is a repeated key, or commas in recipients; `include = GLOB` in [holdfast] is relative to the including file, files in name order, at most 8 deep.
 * A file that holds an inline secret and is readable by group or others is refused, and so is, when running as root, one that another account owns or can write. */
int hf_manifest_load(const char *file, struct hf_registry *registry, struct hf_manifest **out, struct hf_error *err);
/* As hf_manifest_load, but of secrets only those of channels are fetched: for telling that one of the others cannot be. */
int hf_manifest_load_channels(const char *file, struct hf_registry *registry, struct hf_manifest **out, struct hf_error *err);
/* What it names, without a look at plugins, values and secrets: sources and targets (appended), and the state folder (caller frees). */
int hf_manifest_names(const char *file, struct hf_list *sources, struct hf_list *targets, char **state, struct hf_error *err);
void hf_manifest_free(struct hf_manifest *m);
struct hf_manifest_source *hf_manifest_find_source(const struct hf_manifest *m, const char *name);
struct hf_manifest_target *hf_manifest_find_target(const struct hf_manifest *m, const char *name);

#endif
