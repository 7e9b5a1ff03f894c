/* cmd_completion.c - holdfast completion: a few lines for a shell, which ask back at each completion; so no list of options grows old in a file.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cmd/complete.h"

const char *const hf_completion_shells[] = {"bash", "fish", "zsh", NULL};

static const char *const scripts[] = {
    /* bash: each line becomes a candidate. */
    "_holdfast() {\n"
    "  local line\n"
    "  COMPREPLY=()\n"
    "  while IFS= read -r line; do\n"
    "    case $line in\n"
    "      :files) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"${COMP_WORDS[COMP_CWORD]#=}\") ;;\n"
    "      :folders) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- \"${COMP_WORDS[COMP_CWORD]#=}\") ;;\n"
    "      *) COMPREPLY+=(\"${line%%$'\\t'*}\") ;;\n"
    "    esac\n"
    "  done < <(\"${COMP_WORDS[0]/#\\~/$HOME}\" completion words \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
    "}\n"
    "complete -F _holdfast holdfast\n",
    /* fish: candidates with their descriptions behind a tab, as they come. */
    "function __holdfast_words\n"
    "  set -l words (commandline -opc)\n"
    "  set -l program $words[1]\n"
    "  set -e words[1]\n"
    "  set -l word (commandline -ct)\n"
    "  for line in ($program completion words $words \"$word\" 2>/dev/null)\n"
    "    switch $line\n"
    "      case :files\n"
    "        __fish_complete_path \"$word\"\n"
    "      case :folders\n"
    "        __fish_complete_directories \"$word\"\n"
    "      case '*'\n"
    "        echo $line\n"
    "    end\n"
    "  end\n"
    "end\n"
    "complete -c holdfast -f -a '(__holdfast_words)'\n",
    /* zsh: "candidate:description". */
    "#compdef holdfast\n"
    "_holdfast() {\n"
    "  local word text\n"
    "  local -a found\n"
    "  while IFS=$'\\t' read -r word text; do\n"
    "    case $word in\n"
    "      :files) _files; return ;;\n"
    "      :folders) _files -/; return ;;\n"
    "      *) found+=(\"${word//:/\\\\:}${text:+:$text}\") ;;\n"
    "    esac\n"
    "  done < <(\"${words[1]/#\\~/$HOME}\" completion words \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
    "  _describe -V holdfast found\n"
    "}\n"
    "compdef _holdfast holdfast\n",
};

static void print(void *ctx HF_UNUSED, const char *candidate, const char *help) { printf("%s%s%s\n", candidate, help && *help ? "\t" : "", help ? help : ""); }

int hf_cmd_completion(struct hf_cmd *c) {
  /* The words to be completed have options of their own. */
  if (hf_args_next(c, "+", NULL) < 0 || !hf_args_operands(c, 1, -1)) return c->exit;
  if (strcmp(c->argv[0], "words") == 0) {
    struct hf_completion out = {.take = print};
    hf_complete(c->manifest, c->argv + 1, (size_t)(c->argc - 1), &out);
    return HF_EXIT_OK;
  }
  if (c->argc > 1) return hf_args_wrong(c, "%s is one word too many", c->argv[1]);
  for (size_t i = 0; hf_completion_shells[i]; i++) {
    if (strcmp(c->argv[0], hf_completion_shells[i]) != 0) continue;
    fputs(scripts[i], stdout);
    return HF_EXIT_OK;
  }
  return hf_args_wrong(c, "no completion for %s: there is bash, fish and zsh", c->argv[0]);
}
