/* table.c - the commands, and finding the one that is meant.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cmd/cmd.h"

const struct hf_command hf_commands[] = {
    {"init", "make the host key and the repository at every target", "[--adopt FINGERPRINT]",
     "      --adopt FINGERPRINT  take over the repository of this host, whose state folder is lost; the host key's fingerprint\n", hf_cmd_init},
    {"check", "look whether backups can work: manifest, keys, sources, targets, space", "[--no-write]", "      --no-write  store no test object at the targets\n",
     hf_cmd_check},
    {"plugins", "list plugins, or show one's settings", "[NAME]", "", hf_cmd_plugins},
    {"backup", "take a snapshot", "[-n] [--label TEXT] [SOURCE...]",
     "  -n, --dry-run     read everything and say what would be stored; store nothing\n"
     "      --label TEXT  a note kept with the snapshot\n",
     hf_cmd_backup},
    {"list", "list snapshots", "[--all] [--target TARGET]",
     "      --all            also those that were pruned\n"
     "      --target TARGET  only those that this target holds\n",
     hf_cmd_list},
    {"ls", "show what is in a snapshot", "[-l] SNAPSHOT [SOURCE [PATH]]", "  -l  with mode, owner, size and time\n", hf_cmd_ls},
    {"diff", "show what changed between two snapshots", "SNAPSHOT SNAPSHOT [SOURCE]", "", hf_cmd_diff},
    {"cat", "write one file or stream to standard output", "[-f] SNAPSHOT SOURCE [STREAM|PATH]",
     "  -f, --force  write a tar archive even to a terminal\n", hf_cmd_cat},
    {"restore", "get data back",
     "SNAPSHOT [SOURCE...] (--to DIR | --in-place [--yes]) [--path PATTERN]... [--target TARGET] [--no-owner] | "
     "--undo [ID] [--yes] | --list-undo | --forget-undo ID",
     "      --to DIR         each source to a new folder below DIR\n"
     "      --in-place       each source to where it came from\n"
     "      --undo [ID]      put back what a restore in place has replaced; the last one, or that of the number\n"
     "      --list-undo      list the restores in place whose replaced data is kept\n"
     "      --forget-undo ID remove what that one has replaced\n"
     "      --yes            do not ask before restoring in place, or undoing it\n"
     "      --path PATTERN   only these paths, and what is below them; may be repeated\n"
     "      --target TARGET  read from this target only\n"
     "      --no-owner       do not set owner and group\n",
     hf_cmd_restore},
    {"verify", "look whether the targets hold what they should", "[--read[=PERCENT]] [--decrypt] [--target TARGET]",
     "      --read[=PERCENT]  also fetch objects and check their digests; PERCENT of them, default 100\n"
     "      --decrypt         also decrypt everything and walk through it\n"
     "      --target TARGET   this target only\n",
     hf_cmd_verify},
    {"prune", "apply retention: what each target keeps, and what is deleted", "[-n] [--target TARGET | --compact[=PERCENT]]",
     "  -n, --dry-run            say of every snapshot why it stays or goes; delete nothing\n"
     "      --compact[=PERCENT]  also repack packs of which less than that, 50, is needed\n"
     "      --target TARGET      this target only\n",
     hf_cmd_prune},
    {"drill", "rehearse a restore: restore to a temporary folder and verify what came", "[--target TARGET] [--scratch DIR] [--report FILE] [--full-speed] [--no-record] [SNAPSHOT | --random] [SOURCE...] | --history",
     "      --random         an older snapshot, chosen by chance\n"
     "      --report FILE    also write the result as a page of HTML\n"
     "      --target TARGET  read from this target only\n"
     "      --scratch DIR    work below this folder instead of $TMPDIR or /tmp\n"
     "      --full-speed     compete with everything else for processor and disk\n"
     "      --no-record      put no record of it on the chain\n"
     "      --history        list the drills that were held here\n",
     hf_cmd_drill},
    {"sync", "bring targets level with each other", "[-n] [--target TARGET]",
     "  -n, --dry-run        count what would be copied\n"
     "      --target TARGET  this target only\n",
     hf_cmd_sync},
    {"status", "tell how the backups stand, for people and for monitoring", "[--quick] [--nagios] [--prometheus FILE] [--notify]",
     "      --quick            list no packs at the targets\n"
     "      --nagios           print what a Nagios plugin prints\n"
     "      --prometheus FILE  write metrics to FILE; - is standard output\n"
     "      --notify           send alarms to the channels of the manifest\n",
     hf_cmd_status},
    {"notify", "list the channels, or send a test message through them", "[--test] [NAME...]", "      --test  send a message\n", hf_cmd_notify},
    {"completion", "print what makes a shell complete command lines", "SHELL | words [WORD...]", "", hf_cmd_completion},
    {NULL, NULL, NULL, NULL, NULL},
};

const struct hf_command *hf_command_find(const char *name) {
  for (const struct hf_command *c = hf_commands; c->name; c++) {
    if (strcmp(c->name, name) == 0) return c;
  }
  return NULL;
}
