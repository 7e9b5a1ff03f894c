#!/bin/sh
# tap.sh - run a cmocka program (with what is to run it before its name) and put its TAP right: a skipped test is "ok", as TAP wants it.
# SPDX-License-Identifier: Apache-2.0

# Unit tests bring their own plugins: what is found beside them must not depend on what was built.
unset HOLDFAST_PLUGIN_PATH

# The exit code is the program's, carried past the pipe by descriptor 3.
{
  code=$(
    {
      {
        "$@" 3>&- 4>&-
        echo $? >&3
      } | sed 's/^not ok \([0-9]* # SKIP\)/ok \1/' >&4
    } 3>&1
  )
} 4>&1
exit "$code"
