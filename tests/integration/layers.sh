#!/bin/sh
# layers.sh - dependencies point down only: who may include what, judged by the #include lines.
# SPDX-License-Identifier: Apache-2.0
set -eu

: "${SRCDIR:?the folder of the sources}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# judge ROOT: one line per #include that points up or sideways.
#   base < stream < {repo, manifest, plugin, state} < {pipeline, notify} < engine < cmd < main.c; of those in braces only manifest sees plugin.
#   Plugins and targets: <holdfast/...>, system headers, their own folder, plugins/common or targets/common; and sources the engine of the files source.
judge() {
  (
    cd "$1"
    find core plugins targets -name '*.[ch]' -type f | LC_ALL=C sort | while IFS= read -r file; do
      awk -v file="$file" '
        BEGIN {
          n = split("base stream repo manifest plugin state pipeline notify engine cmd", names, " ")
          split("0 1 2 2 2 2 3 3 4 5", ranks, " ")
          for (i = 1; i <= n; i++) rank[names[i]] = ranks[i]
          split(file, part, "/")
          top = part[1]; folder = part[2]
          if (top == "core" && folder == "include") mine = -1
          else if (top == "core" && folder in rank) mine = rank[folder]
          else if (file == "core/main.c") mine = 6
          else if (top == "core") { print file ": not in a known layer"; exit }
        }
        function bad(why) { print file ":" NR ": " $0 ": " why }
        /^[ \t]*#[ \t]*include/ {
          if (!match($0, /[<"][^>"]*[>"]/)) { bad("not understood"); next }
          quoted = substr($0, RSTART, 1) == "\""
          name = substr($0, RSTART + 1, RLENGTH - 2)
          first = name; sub(/\/.*/, "", first)
          own = index(name, "/") == 0
          if (top != "core") {
            if (!quoted && (name ~ /^holdfast\//)) next
            if (quoted && own) next
            if (quoted && name ~ /^(\.\.\/)?common\/[^\/]*$/) next
            if (quoted && name ~ "^" top "/common/[^/]*$") next
            if (quoted && top == "plugins" && name ~ /^(\.\.|plugins)\/files\/engine\.h$/) next
            if (quoted) bad("plugins and targets include <holdfast/...> only")
            else if (first in rank) bad("plugins and targets do not see the core")
            next
          }
          if (name ~ /\.\.\//) { bad("named from core/, without ..") ; next }
          if (first == "plugins" || first == "targets" || first == "core") { bad("not a folder of the core"); next }
          if (name ~ /^holdfast\//) next
          if (mine == -1) { if (quoted || first in rank) bad("the SDK stands alone"); next }
          if (!(first in rank) || own) next
          if (first == folder || rank[first] < mine) next
          if (folder == "manifest" && first == "plugin") next
          bad("points " (rank[first] == mine ? "sideways" : "up"))
        }' "$file"
    done
  )
}

# A tree in which every line but those that say "fine" is wrong.
mkdir -p "$work/core/base" "$work/core/manifest" "$work/core/repo" "$work/core/engine" "$work/core/odd" "$work/core/include/holdfast" \
  "$work/plugins/p" "$work/targets/t"
printf '#include <stdio.h> /* fine */\n#include "base/text.h" /* fine */\n#include "engine/backup.h"\n#  include <repo/pack.h>\n' >"$work/core/base/a.c"
printf '#include "plugin/plugin.h" /* fine */\n#include "repo/pack.h"\n#include "base/io.h" /* fine */\n' >"$work/core/manifest/a.c"
printf '#include "manifest/manifest.h"\n#include "state/state.h"\n#include "../base/io.h"\n#include "repo/pack.h" /* fine */\n' >"$work/core/repo/a.h"
printf '#include "cmd/cmd.h"\n#include "pipeline/put.h" /* fine */\n#include <holdfast/source.h> /* fine */\n' >"$work/core/engine/a.c"
printf '#include "cmd/cmd.h" /* fine */\n#include "plugins/files/files.h"\n' >"$work/core/main.c"
printf '#include "base/base.h"\n' >"$work/core/include/holdfast/x.h"
printf 'int odd; /* a folder that is no layer */\n' >"$work/core/odd/a.c"
printf '#include "base/base.h"\n#include <base/base.h>\n#include "own.h" /* fine */\n#include "../other/http.h"\n#include "targets/common/http.h"\n#include "../files/files.h"\n#include "../common/child.h" /* fine */\n#include <holdfast/source.h> /* fine */\n' >"$work/plugins/p/p.c"
printf '#include "../common/http.h" /* fine */\n#include "../../core/base/base.h"\n' >"$work/targets/t/t.c"

echo 1..2
judge "$work" >"$work/found"
wrong=$(cd "$work" && cat core/*/*.[ch] core/include/holdfast/*.h core/main.c plugins/*/*.c targets/*/*.c | grep -vc fine)
if [ "$(wc -l <"$work/found")" -eq "$wrong" ] && ! grep -q fine "$work/found"; then
  echo "ok 1 - every wrong include of a made-up tree is found, and no right one"
else
  echo "not ok 1 - every wrong include of a made-up tree is found, and no right one"
  echo "# $wrong are wrong; found:"
  sed 's/^/# /' "$work/found"
fi

judge "$SRCDIR" >"$work/found"
if [ -s "$work/found" ]; then
  echo "not ok 2 - includes point down only"
  sed 's/^/# /' "$work/found"
else
  echo "ok 2 - includes point down only"
fi
