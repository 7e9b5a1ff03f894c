/* <holdfast/plugin.h> - what every holdfast plugin, source or target, shares with the host.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A plugin is a shared object that exports one function, made by HOLDFAST_SOURCE_PLUGIN() or HOLDFAST_TARGET_PLUGIN(). It
 * returns a static struct of callbacks that begins with struct holdfast_plugin_header. Structs only ever grow at the end:
 * each carries its size, the reader copies the smaller of the two sizes into a zeroed struct of its own, so old plugins run
 * on new hosts. A host refuses a plugin whose major version differs, whose minor version is higher or whose struct is larger than the host's own.
 *
 * Rules for a plugin: no exit, no abort, no printing, no signal handlers, no static state that one instance leaves for another
 * (many instances live in one process). Messages go through the host. Memory is freed where it was allocated.
 * All strings are bytes ending in NUL; paths may hold any byte but NUL. See holdfast-plugin(3).
 *
 * API log
 *   1.0  first version
 *   1.1  targets: extend, thaw; the host lends proxy, ca_file, limits, pace and retry_after
 *   1.2  sources: undo, discard, HOLDFAST_VERIFIES_IN_PLACE; the host lends kept
 */
#ifndef HOLDFAST_PLUGIN_H
#define HOLDFAST_PLUGIN_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HOLDFAST_ABI_MAJOR 1
#define HOLDFAST_ABI_MINOR 3

#if defined(__GNUC__)
#define HOLDFAST_EXPORT __attribute__((visibility("default")))
#define HOLDFAST_PRINTF(a, b) __attribute__((format(printf, a, b)))
#else
#define HOLDFAST_EXPORT
#define HOLDFAST_PRINTF(a, b)
#endif

/* What a callback returns: HOLDFAST_OK or one of these. The class decides what the host does: transient errors are retried
 * by the host (a plugin never sleeps), the others are not. */
enum holdfast_status {
  HOLDFAST_OK = 0,
  HOLDFAST_E_FAILED = -1,     /* none of the below; not retried */
  HOLDFAST_E_CONFIG = -2,     /* the settings cannot work as they are */
  HOLDFAST_E_NOT_FOUND = -3,  /* no such object, file, server, database */
  HOLDFAST_E_EXISTS = -4,     /* create-only put: the key is taken */
  HOLDFAST_E_AUTH = -5,       /* permission or credentials */
  HOLDFAST_E_TRANSIENT = -6,  /* may well work when tried again */
  HOLDFAST_E_NO_SPACE = -7,   /* disk or quota full */
  HOLDFAST_E_CORRUPT = -8,    /* bytes are not what they should be */
  HOLDFAST_E_UNSUPPORTED = -9,/* not a thing this plugin does */
  HOLDFAST_E_FATAL = -10,     /* the instance is unusable from now on */
  HOLDFAST_E_CANCELED = -11,  /* the host asked to stop */
  HOLDFAST_E_TIMEOUT = -12,   /* took longer than allowed */
  HOLDFAST_E_CHANGED = -13,   /* sources: the entry changed while it was read */
  HOLDFAST_E_USAGE = -14      /* host only: a wrong command line */
};

/* ---- settings: declared, never parsed by the plugin ---- */

enum holdfast_setting_type {
  HOLDFAST_STRING = 1,
  HOLDFAST_PATH,     /* absolute path; the host refuses relative ones */
  HOLDFAST_SIZE,     /* "32M": number = bytes */
  HOLDFAST_DURATION, /* "90s": number = seconds */
  HOLDFAST_BOOL,     /* number = 0 or 1 */
  HOLDFAST_INT,      /* non-negative decimal */
  HOLDFAST_CHOICE,   /* one of `choices` */
  HOLDFAST_SECRET,   /* a string from NAME, NAME-file, NAME-command, NAME-env or NAME-credential; never shown */
  HOLDFAST_COMMAND   /* a program and its arguments: the strings are the words. Split at blanks; '...' and "..." keep them; no shell */
};

enum holdfast_setting_flags {
  HOLDFAST_REQUIRED = 1,
  HOLDFAST_LIST = 2 /* the key may be repeated; strings and paths only */
};

/* One row of a plugin's table; the table ends with a row whose name is NULL. The names source-wide or target-wide keys have
 * (plugin, recipients, user, timeout, keep-*, ...) are the host's and refused here: holdfast-plugin(3) lists them. */
struct holdfast_setting {
  const char *name;    /* lower case, digits and '-' */
  uint32_t type;       /* enum holdfast_setting_type */
  uint32_t flags;      /* enum holdfast_setting_flags */
  const char *def;     /* default as the manifest would say it, or NULL */
  const char *choices; /* HOLDFAST_CHOICE: "a|b|c"; else NULL */
  const char *help;    /* one sentence, no period */
};

/* The value of one row, in the table's order, so that a plugin indexes it with its own enum. Valid until close returns. */
struct holdfast_value {
  const char *name;
  uint32_t count;              /* how many strings; 0: not set and without default */
  uint32_t line;               /* where in the manifest, 0 for a default */
  const char *const *strings;  /* count of them */
  int64_t number;              /* SIZE, DURATION, BOOL, INT */
};

/* ---- what the host lends every instance ---- */

enum holdfast_log_level { HOLDFAST_LOG_WARNING = 1, HOLDFAST_LOG_NOTICE, HOLDFAST_LOG_INFO, HOLDFAST_LOG_DEBUG };

/* Valid from open until close returns. The functions may be called from any thread that runs a callback. */
struct holdfast_host {
  uint32_t struct_size;
  uint32_t reserved;
  void *ctx;            /* first argument of each function below */
  const char *instance; /* the NAME of [source NAME] or [target NAME] */
  /* A line for the log. */
  void (*log)(void *ctx, int level, const char *message);
  /* The message that goes with the status the callback is about to return. The last one counts. */
  void (*error)(void *ctx, const char *message);
  /* Non-zero when the run is being stopped: return HOLDFAST_E_CANCELED soon. */
  int (*cancelled)(void *ctx);
  /* Sources: something is wrong with one entry and the source goes on without it (or with less of it). It is listed in the
   * snapshot's record and makes the run end as done in part. */
  void (*problem)(void *ctx, const char *path, int status, const char *message);

  /* ---- since 1.1: targets only, zero for sources ---- */
  const char *proxy;   /* what `proxy =` says: a URL; "": use none; NULL: what the environment says */
  const char *ca_file; /* certificates to trust instead of the system's; NULL: the system's */
  uint64_t limit_up, limit_down; /* bytes per second for the whole instance, 0: none. For who hands them to a program; who moves bytes itself calls pace */
  /* n bytes are about to be sent (up) or have come (not up): waits until the limit allows for them. Any thread. HOLDFAST_E_CANCELED when the run is
   * being stopped. Pieces of at most 64 KiB make an even flow. */
  int (*pace)(void *ctx, int up, size_t n);
  /* The far end asks to be left alone for so long (Retry-After): goes with the HOLDFAST_E_TRANSIENT that the callback is about to return. */
  void (*retry_after)(void *ctx, int64_t seconds);

  /* ---- since 1.2: sources only ---- */
  /* A restore in place, or undo, has just replaced what was at place; that is now at kept_as, or there was nothing (NULL). Absolute paths; for what is no
   * file, a word, a colon and a name ("database:shop"). Both at most 4095 bytes. The host hands them back to undo, in reverse order. */
  void (*kept)(void *ctx, const char *place, const char *kept_as);
};

/* Fill the host's message and return the status: return holdfast_fail(host, HOLDFAST_E_AUTH, "login refused: %s", why); */
static inline int holdfast_fail(const struct holdfast_host *host, int status, const char *fmt, ...) HOLDFAST_PRINTF(3, 4);
static inline int holdfast_fail(const struct holdfast_host *host, int status, const char *fmt, ...) {
  char text[1000];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  host->error(host->ctx, text);
  return status;
}

/* The start of both plugin structs. */
struct holdfast_plugin_header {
  uint32_t struct_size; /* sizeof of the whole plugin struct, as the plugin was compiled */
  uint16_t abi_major;   /* HOLDFAST_ABI_MAJOR */
  uint16_t abi_minor;   /* HOLDFAST_ABI_MINOR */
  const char *name;     /* what `plugin =` says; equals the file's name */
  const char *version;
  const char *summary;  /* one line */
  const struct holdfast_setting *settings;
};

#ifdef __cplusplus
}
#endif
#endif
