/* plugin.c - the exec source: its settings and its table of callbacks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exec.h"

static const struct holdfast_setting settings[] = {
    [HF_EXEC_COMMAND] = {"command", HOLDFAST_COMMAND, HOLDFAST_REQUIRED, NULL, NULL,
                         "The program, with its arguments, whose standard output is backed up"},
    [HF_EXEC_RESTORE_COMMAND] = {"restore-command", HOLDFAST_COMMAND, 0, NULL, NULL,
                                 "The program that a restore in place gives the stream to, on standard input"},
    [HF_EXEC_VERIFY_COMMAND] = {"verify-command", HOLDFAST_COMMAND, 0, NULL, NULL,
                                "The program that says by exit code 0 that a restored stream is good; it gets it on standard input"},
    [HF_EXEC_SHELL] = {"shell", HOLDFAST_BOOL, 0, "no", NULL,
                       "The commands are texts for bash, in which any part of a pipe that fails makes the whole fail"},
    [HF_EXEC_ENVIRONMENT] = {"environment", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL,
                             "NAME=VALUE, for the environment of the commands"},
    [HF_EXEC_ENVIRONMENT_FILE] = {"environment-file", HOLDFAST_PATH, 0, NULL, NULL,
                                  "A file of lines NAME=VALUE, for the environment of the commands"},
    [HF_EXEC_SECRET] = {"secret", HOLDFAST_SECRET, 0, NULL, NULL,
                        "What the commands find in the variable that secret-variable names"},
    [HF_EXEC_SECRET_VARIABLE] = {"secret-variable", HOLDFAST_STRING, 0, NULL, NULL,
                                 "The environment variable in which the commands find the secret"},
    [HF_EXEC_DIRECTORY] = {"directory", HOLDFAST_PATH, 0, "/", NULL, "The current folder of the commands"},
    [HF_EXEC_SUCCESS_EXIT] = {"success-exit", HOLDFAST_STRING, HOLDFAST_LIST, "0", NULL,
                              "An exit code of command that counts as success"},
    [HF_EXEC_EMPTY] = {"empty", HOLDFAST_CHOICE, 0, "fail", "fail|ok", "Whether command may print nothing at all"},
    [HF_EXEC_STDERR] = {"stderr", HOLDFAST_CHOICE, 0, "log", "log|ignore",
                        "What to do with the lines that the commands write to standard error"},
    [HF_EXEC_STREAM] = {"stream", HOLDFAST_STRING, 0, "output", NULL, "The name of the stream, and of the file it is restored to"},
    [HF_EXEC_TIME_LIMIT] = {"time-limit", HOLDFAST_DURATION, 0, "0", NULL,
                            "How long each command may run, 0 for as long as it takes"},
    [HF_EXEC_FIXED_CHUNK] = {"fixed-chunk", HOLDFAST_SIZE, 0, "0", NULL,
                             "Cut the stream at multiples of this size, 0 to cut it by content"},
    {NULL, 0, 0, NULL, NULL, NULL},
};

static const struct holdfast_source_plugin plugin = {
    .head =
        {
            .struct_size = sizeof plugin,
            .abi_major = HOLDFAST_ABI_MAJOR,
            .abi_minor = HOLDFAST_ABI_MINOR,
            .name = "exec",
            .version = "1.0",
            .summary = "the standard output of a command",
            .settings = settings,
        },
    .open = hf_exec_open,
    .next = hf_exec_next,
    .entry_open = hf_exec_entry_open,
    .read = hf_exec_read,
    .entry_close = hf_exec_entry_close,
    .finish = hf_exec_finish,
    .close = hf_exec_close,
    .probe = hf_exec_probe,
    .restore_open = hf_exec_restore_open,
    .restore_begin = hf_exec_restore_begin,
    .restore_write = hf_exec_restore_write,
    .restore_end = hf_exec_restore_end,
    .restore_finish = hf_exec_restore_finish,
    .restore_close = hf_exec_restore_close,
    .verify = hf_exec_verify,
};

HOLDFAST_SOURCE_PLUGIN(plugin)
