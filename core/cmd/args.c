/* args.c - the command line: options that all commands share, help, and the dispatch.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"
#include "cmd/cmd.h"

enum { OPT_JSON = 0x1000, OPT_NO_PROGRESS, OPT_LOCK_WAIT, OPT_VERSION, OPT_HELP };

static const char shared_shorts[] = "c:vqh";
static const struct option shared_longs[] = {
    {"config", required_argument, NULL, 'c'},    {"manifest", required_argument, NULL, 'c'},
    {"verbose", no_argument, NULL, 'v'},         {"quiet", no_argument, NULL, 'q'},
    {"json", no_argument, NULL, OPT_JSON},       {"no-progress", no_argument, NULL, OPT_NO_PROGRESS},
    {"version", no_argument, NULL, OPT_VERSION}, {"help", no_argument, NULL, OPT_HELP},
    {"lock-wait", required_argument, NULL, OPT_LOCK_WAIT},
};

static const char shared_help[] =
    "  -c, --config FILE  the manifest; default " HF_SYSCONFDIR "/holdfast/manifest.ini, or what HOLDFAST_MANIFEST names\n"
    "  -v, --verbose      say more; twice: still more\n"
    "  -q, --quiet        only what was asked for, warnings and errors\n"
    "      --json         one JSON object a line on standard output\n"
    "      --no-progress  no progress line\n"
    "      --lock-wait DURATION  wait so long for another run to end, 0 not at all; default: lock-wait of the manifest\n"
    "      --version      print the version\n"
    "  -h, --help         print this help\n";

const char *hf_args_shared_help(void) { return shared_help; }

static void print_usage(const struct hf_command *cmd) {
  if (cmd) {
    printf("usage: holdfast [OPTION...] %s%s%s\n%c%s.\n\n%s%sOptions of every command:\n%s\nSee holdfast-%s(1).\n", cmd->name,
           *cmd->usage ? " " : "", cmd->usage, cmd->help[0] & ~0x20, cmd->help + 1, cmd->options, *cmd->options ? "\n" : "",
           shared_help, cmd->name);
    return;
  }
  printf(
      "usage: holdfast [OPTION...] COMMAND [ARGUMENT...]\nEncrypted backups of one host that the host itself cannot read.\n\n");
  for (const struct hf_command *c = hf_commands; c->name; c++) printf("  %-10s  %s\n", c->name, c->help);
  printf("  %-10s  %s\n\n%s\n`holdfast help COMMAND` says more of one. See holdfast(1).\n", "help", "print help", shared_help);
}

int hf_args_wrong(struct hf_cmd *c, const char *fmt, ...) {
  char text[700];
  struct hf_error e = {0};
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  if (c->command)
    hf_fail(&e, HOLDFAST_E_USAGE, "%s: %s; see holdfast help %s", c->command->name, text, c->command->name);
  else
    hf_fail(&e, HOLDFAST_E_USAGE, "%s; holdfast help lists commands and options", text);
  return c->exit = hf_out_error(c, &e);
}

/* What the user wrote that getopt did not like. */
static int bad_option(struct hf_cmd *c, int kind) {
  bool shared_letter = optopt > ' ' && optopt < 0x7f;
  const char *word = optind > 0 && optind <= c->argc ? c->argv[optind - 1] : "";
  bool is_long = strncmp(word, "--", 2) == 0;
  if (kind == ':' && is_long)
    hf_args_wrong(c, "%s needs a value", word);
  else if (kind == ':')
    hf_args_wrong(c, "-%c needs a value", optopt);
  else if (is_long && optopt == 0)
    hf_args_wrong(c, "unknown option %s", word);
  else if (is_long)
    hf_args_wrong(c, "%s takes no value", word);
  else if (shared_letter)
    hf_args_wrong(c, "unknown option -%c", optopt);
  else
    hf_args_wrong(c, "unknown option %s", word);
  return -1;
}

/* An option that all commands share: 0 dealt with, -1 the command is over. */
static int shared_option(struct hf_cmd *c, int o) {
  struct hf_error e = {0};
  switch (o) {
  case 'c': c->manifest = optarg; return 0;
  case 'v': c->verbose++; break;
  case 'q': c->quiet = true; break;
  case OPT_JSON: c->json = true; return 0;
  case OPT_NO_PROGRESS: c->no_progress = true; break;
  case OPT_LOCK_WAIT:
    if (hf_parse_duration(optarg, &c->lock_wait, &e) == 0) return 0;
    hf_args_wrong(c, "--lock-wait: %s", e.msg);
    return -1;
  case OPT_VERSION:
    printf("holdfast %s\n", HF_VERSION);
    c->exit = HF_EXIT_OK;
    return -1;
  default:
    print_usage(c->command);
    c->exit = HF_EXIT_OK;
    return -1;
  }
  hf_out_setup(c);
  return 0;
}

static bool is_shared(int o) { return o == 'c' || o == 'v' || o == 'q' || o == 'h' || o >= OPT_JSON; }

int hf_args_next(struct hf_cmd *c, const char *shorts, const struct option *longs) {
  struct option all[HF_NELEM(shared_longs) + 16];
  char letters[64];
  size_t n = 0;
  for (; n < HF_NELEM(shared_longs); n++) all[n] = shared_longs[n];
  for (; longs && longs->name && n + 1 < HF_NELEM(all); longs++) all[n++] = *longs;
  all[n] = (struct option){NULL, 0, NULL, 0};
  /* A leading '+' (stop at the first operand) goes before the ':' that keeps getopt from printing. */
  bool stop = *shorts == '+';
  snprintf(letters, sizeof letters, "%s:%s%s", stop ? "+" : "", shared_shorts, shorts + stop);
  opterr = 0;
  for (;;) {
    optopt = 0;
    int o = getopt_long(c->argc, c->argv, letters, all, NULL);
    if (o == -1) return 0;
    if (o == '?' || o == ':') return bad_option(c, o);
    if (!is_shared(o)) return o;
    if (shared_option(c, o) < 0) return -1;
  }
}

bool hf_args_operands(struct hf_cmd *c, int min, int max) {
  c->argc -= optind;
  c->argv += optind;
  if (c->argc < min)
    hf_args_wrong(c, "an argument is missing; usage: holdfast %s %s", c->command->name, c->command->usage);
  else if (max >= 0 && c->argc > max)
    hf_args_wrong(c, "%s is one word too many", c->argv[max]);
  else
    return true;
  return false;
}

bool hf_args_plain(struct hf_cmd *c, int min, int max) { return hf_args_next(c, "", NULL) == 0 && hf_args_operands(c, min, max); }

/* How many letters differ: insertions, deletions, changes; words of up to 31 letters. */
static unsigned distance(const char *a, const char *b) {
  unsigned row[32];
  size_t an = strlen(a), bn = strlen(b);
  if (an > 31 || bn > 31) return 99;
  for (unsigned j = 0; j <= bn; j++) row[j] = j;
  for (unsigned i = 1; i <= an; i++) {
    unsigned diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= bn; j++) {
      unsigned change = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = HF_MIN(change, HF_MIN(row[j], row[j - 1]) + 1);
    }
  }
  return row[bn];
}

static int unknown_command(struct hf_cmd *c, const char *name) {
  const char *near = NULL;
  unsigned best = 3;
  for (const struct hf_command *k = hf_commands; k->name; k++) {
    unsigned d = strlen(name) > 2 && strncmp(k->name, name, strlen(name)) == 0 ? 1 : distance(k->name, name);
    if (d < best) {
      best = d;
      near = k->name;
    }
  }
  if (near) return hf_args_wrong(c, "there is no command %s; did you mean %s?", name, near);
  return hf_args_wrong(c, "there is no command %s", name);
}

static int help(struct hf_cmd *c) {
  const struct hf_command *about = NULL;
  if (c->argc > 2) return hf_args_wrong(c, "help is about one command");
  if (c->argc == 2 && strcmp(c->argv[1], "help") != 0) {
    about = hf_command_find(c->argv[1]);
    if (!about) return unknown_command(c, c->argv[1]);
  }
  print_usage(about);
  return HF_EXIT_OK;
}

static int dispatch(struct hf_cmd *c) {
  hf_out_setup(c);
  if (hf_args_next(c, "+", NULL) < 0) return c->exit;
  c->argc -= optind;
  c->argv += optind;
  if (c->argc == 0) return hf_args_wrong(c, "a command is missing");
  if (strcmp(c->argv[0], "help") == 0) return help(c);
  c->command = hf_command_find(c->argv[0]);
  if (!c->command) return unknown_command(c, c->argv[0]);
  optind = 0; /* getopt starts again, with the command's words */
  return c->command->run(c);
}

int hf_cmd_main(int argc, char **argv) {
  const char *manifest = getenv("HOLDFAST_MANIFEST");
  struct hf_cmd c = {
      .argc = argc, .argv = argv, .lock_wait = -1, .manifest = manifest && *manifest ? manifest : HF_SYSCONFDIR "/holdfast/manifest.ini"};
  /* Wherever it stands: a mistake before it is told in JSON, too. */
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) c.json |= strcmp(argv[i], "--json") == 0;
  int code = dispatch(&c);
  if (code == HF_EXIT_FAILED && hf_cancel) code = HF_EXIT_SIGNAL + hf_cancel;
  return hf_out_close(code);
}
