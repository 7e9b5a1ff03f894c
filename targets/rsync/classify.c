/* classify.c - the rsync target: what the end of a run means.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The exit code alone does not tell: a refused login, a full disk and a cut line may all end with 12 or 255, and which of the two it is depends on who
 * noticed first. So what was said decides, and the code only where nothing was said that is known. Messages are in English: the runs have LC_ALL=C, and a far
 * end's system messages carry the error's number. A key has no blank, so it cannot look like one of the texts below.
 */
#include <stdio.h>
#include <string.h>

#include "rsync.h"

struct rule {
  const char *says;
  int status;
  const char *hint;
};

#define FAR_LOG "look at username, password and the daemon's secrets file"
#define KEYS "see known-hosts in holdfast-target-rsync(7)"
#define LOGIN "see identity-file, and the authorized_keys file at the far end"
#define NO_DELETE "the daemon does not let anybody delete (refuse options)"
#define SETUP "the rsync at the far end is missing or too old, or its login shell prints something"

/* The first that fits any line counts: causes come before what follows from them. */
static const struct rule rules[] = {
    {"No space left on device", HOLDFAST_E_NO_SPACE, NULL},
    {"(28)", HOLDFAST_E_NO_SPACE, NULL},
    {"Disk quota exceeded", HOLDFAST_E_NO_SPACE, NULL},
    {"(122)", HOLDFAST_E_NO_SPACE, NULL},
    {"REMOTE HOST IDENTIFICATION HAS CHANGED", HOLDFAST_E_AUTH, "this may be another machine than it claims to be; " KEYS},
    {"host key is known for", HOLDFAST_E_AUTH, KEYS},
    {"Host key verification failed", HOLDFAST_E_AUTH, KEYS},
    {"@ERROR: auth failed", HOLDFAST_E_AUTH, FAR_LOG},
    {"@ERROR: access denied", HOLDFAST_E_AUTH, "the daemon does not let this host in"},
    {"UNPROTECTED PRIVATE KEY FILE", HOLDFAST_E_AUTH, "others may read the private key: give it the mode 0600"},
    {"Identity file ", HOLDFAST_E_AUTH, LOGIN},
    {"no such identity: ", HOLDFAST_E_AUTH, LOGIN},
    {"Permission denied (publickey", HOLDFAST_E_AUTH, LOGIN},
    {"Permission denied (password", HOLDFAST_E_AUTH, LOGIN},
    {"Permission denied (keyboard", HOLDFAST_E_AUTH, LOGIN},
    {"Permission denied (gssapi", HOLDFAST_E_AUTH, LOGIN},
    {"Too many authentication failures", HOLDFAST_E_AUTH, LOGIN},
    {"Load key ", HOLDFAST_E_AUTH, LOGIN},
    {"@ERROR: Unknown module", HOLDFAST_E_NOT_FOUND, "see module"},
    {"@ERROR: max connections", HOLDFAST_E_TRANSIENT, NULL},
    {"@ERROR: chdir failed", HOLDFAST_E_NOT_FOUND, "the module's folder is not there: a disk that is not mounted?"},
    {"@ERROR: chroot failed", HOLDFAST_E_NOT_FOUND, "the module's folder is not there: a disk that is not mounted?"},
    {"module is read only", HOLDFAST_E_AUTH, "nothing can be written there"},
    {"module is write only", HOLDFAST_E_AUTH, "a target is read, too"},
    {"sending to read-only server", HOLDFAST_E_AUTH, "nothing can be written there"},
    {"reading from write-only server", HOLDFAST_E_AUTH, "a target is read, too"},
    {"--delete-missing-args has been disabled", HOLDFAST_E_AUTH, "this account may not delete (rrsync -no-del)"},
    {"refuse --delete", HOLDFAST_E_AUTH, NO_DELETE},
    {"ABORTING due to invalid path from sender", HOLDFAST_E_AUTH, NO_DELETE}, /* how a daemon takes names to be deleted when it refuses that */
    {"has been disabled on this server", HOLDFAST_E_AUTH, NULL},
    {"configured to refuse ", HOLDFAST_E_AUTH, "see refuse options in the daemon's settings"},
    {"Another instance of rrsync", HOLDFAST_E_TRANSIENT, "rrsync -no-lock lets several in"},
    {"rrsync error: ", HOLDFAST_E_AUTH, NULL},
    {"Temporary failure in name resolution", HOLDFAST_E_TRANSIENT, NULL},
    {"Name or service not known", HOLDFAST_E_NOT_FOUND, "see host"},
    {"No address associated with hostname", HOLDFAST_E_NOT_FOUND, "see host"},
    {"command-line line 0", HOLDFAST_E_CONFIG, "see ssh-options"},
    {"command-line: line 0", HOLDFAST_E_CONFIG, "see ssh-options"},
    {"Bad configuration option", HOLDFAST_E_CONFIG, "see ssh-options"},
    {"Bad owner or permissions on", HOLDFAST_E_CONFIG, NULL},
    {"Failed to exec ssh", HOLDFAST_E_CONFIG, "ssh is not installed on this host"},
    {"command not found", HOLDFAST_E_CONFIG, SETUP},
    {"rsync: not found", HOLDFAST_E_CONFIG, SETUP},
    {"unknown option", HOLDFAST_E_CONFIG, SETUP},
    {"protocol version mismatch", HOLDFAST_E_CONFIG, SETUP},
    {"is your shell clean", HOLDFAST_E_CONFIG, SETUP},
    {"Permission denied (13)", HOLDFAST_E_AUTH, NULL},
    {"Operation not permitted (1)", HOLDFAST_E_AUTH, NULL},
    {"Read-only file system (30)", HOLDFAST_E_AUTH, NULL},
    {"No such file or directory (2)", HOLDFAST_E_NOT_FOUND, NULL},
    {"Not a directory (20)", HOLDFAST_E_NOT_FOUND, NULL},
    {"Connection refused", HOLDFAST_E_TRANSIENT, NULL},
    {"Connection timed out", HOLDFAST_E_TRANSIENT, NULL},
    {"Connection reset", HOLDFAST_E_TRANSIENT, NULL},
    {"Connection closed by", HOLDFAST_E_TRANSIENT, NULL},
    {"closed by remote host", HOLDFAST_E_TRANSIENT, NULL},
    {"No route to host", HOLDFAST_E_TRANSIENT, NULL},
    {"Network is unreachable", HOLDFAST_E_TRANSIENT, NULL},
    {"not responding", HOLDFAST_E_TRANSIENT, NULL},
    {"failed verification", HOLDFAST_E_TRANSIENT, NULL},       /* the checksum of what arrived: the far end has thrown it away */
    {": No such file or directory", HOLDFAST_E_CONFIG, SETUP}, /* without a number: a shell at the far end, of the program */
    {"out of memory", HOLDFAST_E_TRANSIENT, NULL},
};

/* rsync's exit codes (rsync(1)), ssh's 255, and those of a process that was killed. */
static int status_of_code(int code) {
  switch (code) {
  case 1:   /* usage: a setting, or an rsync too old for what is asked of it */
  case 2:   /* protocol versions */
  case 4:   /* an option one of the two does not have */
  case 124: /* the remote command failed, could not run, was not found */
  case 125:
  case 126:
  case 127: return HOLDFAST_E_CONFIG;
  case 10: /* socket */
  case 12: /* the stream ended */
  case 20: /* signals */
  case 22: /* memory */
  case 24: /* files vanished */
  case 30: /* timeout */
  case 35:
  case 255: return HOLDFAST_E_TRANSIENT;
  default: return code > 128 ? HOLDFAST_E_TRANSIENT : HOLDFAST_E_FAILED;
  }
}

/* Lines that only sum up what others said. */
static bool is_summary(const char *line) {
  return strncmp(line, "rsync error: ", 13) == 0 || strncmp(line, "rsync warning: ", 15) == 0 ||
         strncmp(line, "rsync: connection unexpectedly closed", 37) == 0;
}

static void copy_line(char *to, size_t cap, const char *from) {
  size_t n = strcspn(from, "\r\n");
  n = n < cap - 1 ? n : cap - 1;
  for (size_t i = 0; i < n; i++) to[i] = (unsigned char)from[i] < 0x20 || (unsigned char)from[i] >= 0x7f ? '?' : from[i];
  while (n > 0 && to[n - 1] == ' ') n--;
  to[n] = '\0';
}

static const char *next_line(const char *line) {
  const char *end = strchr(line, '\n');
  return end ? end + 1 : NULL;
}

static bool line_says(const char *line, const char *what) {
  const char *at = strstr(line, what);
  return at && at < line + strcspn(line, "\n");
}

/* The rule's line, or else the first that is worth showing, or the last. */
static const char *line_to_show(const char *words, const struct rule *rule) {
  const char *first = NULL, *last = NULL;
  for (const char *line = words; line && *line; line = next_line(line)) {
    if (*line == '\n' || *line == '\r') continue;
    if (rule && !is_summary(line) && line_says(line, rule->says)) return line;
    if (!first && !is_summary(line)) first = line;
    last = line;
  }
  return first ? first : last;
}

void hf_rsync_classify(int code, const char *words, struct hf_rsync_verdict *out) {
  const struct rule *rule = NULL;
  for (size_t i = 0; i < sizeof rules / sizeof *rules && !rule; i++)
    if (strstr(words, rules[i].says)) rule = &rules[i];
  out->status = rule ? rule->status : status_of_code(code);
  out->hint = rule ? rule->hint : code == 127 || code == 126 ? SETUP : NULL;
  const char *line = line_to_show(words, rule);
  if (line)
    copy_line(out->line, sizeof out->line, line);
  else if (code > 128 && code < 255)
    snprintf(out->line, sizeof out->line, "rsync was ended by signal %d", code - 128);
  else
    snprintf(out->line, sizeof out->line, "rsync ended with exit code %d and no word", code);
}
