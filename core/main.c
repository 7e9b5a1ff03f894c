/* main.c - the program: what every command needs of the process, then the command.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <locale.h>
#include <signal.h>
#include <sys/stat.h>

#include "cmd/cmd.h"
#include "plugin/worker.h"

/* The first asks everything to come to an end; the second ends it. What is at the targets is valid either way. */
static void on_signal(int sig) {
  static volatile sig_atomic_t before; /* hf_cancel is taken back at times */
  if (before++) {
    signal(sig, SIG_DFL);
    raise(sig);
  }
  hf_cancel = sig;
}

static void catch_signals(void) {
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigemptyset(&sa.sa_mask);
  for (size_t i = 0; i < HF_NELEM(signals); i++) {
    struct sigaction old;
    /* nohup stays in force. */
    if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN) continue;
    sigaction(signals[i], &sa, NULL);
  }
  signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv) {
  hf_worker_main_if(argc, argv);
  setlocale(LC_CTYPE, "");
  umask(077);
  catch_signals();
  return hf_cmd_main(argc, argv);
}
