#!/bin/bash
# settings.sh - the manual page of a plugin and its table of settings name the same keys.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154 # variables of lib.sh
. "${SRCDIR:?}/tests/integration/lib.sh"
need python3

# Compare one page with one line of `holdfast plugins --json`; prints what differs.
cat >"$work/compare.py" <<'PY'
import json, os, re, sys
plugin = json.loads(sys.argv[2])
if not os.path.exists(sys.argv[1]):
    sys.exit("there is no page " + os.path.basename(sys.argv[1]))
page = open(sys.argv[1], encoding="utf-8").read()
settings = {s["name"]: s for s in plugin["settings"]}
# A key is an item of a list: .It Ic name Li = ...; several may share one, and the forms of a secret stand behind its name.
named = set()
for line in re.findall(r"^\.It (Ic .*)$", page, re.M):
    for name in re.findall(r"(?:^| )Ic ([a-z0-9-]+)", line):
        named.add(name)
forms = {s + f for s in settings if settings[s]["type"] == "secret" for f in ("-file", "-command", "-env", "-credential")}
for name in sorted(set(settings) - named):
    print("the page does not describe " + name)
for name in sorted(named - set(settings) - forms):
    print("the page describes %s, which the plugin does not have" % name)
PY
# differences PAGE JSON: the lines of compare.py.
differences() { python3 "$work/compare.py" "$@"; }

# A page with one key too many and one too few.
printf '.It Ic one Li = Ar x\n.It Ic two Li = Ar x , Ic pw-file Li = Ar y\n' >"$work/page"
is "$(differences "$work/page" '{"settings": [{"name": "one", "type": "int"}, {"name": "pw", "type": "secret"}]}')" \
  "$(printf '%s\n' 'the page does not describe pw' 'the page describes two, which the plugin does not have')" "differences would be found"

M=/dev/null
hf plugins --json
cp "$work/out" "$work/plugins.json"
while IFS= read -r line; do
  name=$(python3 -c 'import json, sys; d = json.loads(sys.argv[1]); print(d["kind"], d["name"])' "$line")
  page=$SRCDIR/man/holdfast-${name/ /-}.7
  [ "$name" != "source example" ] || continue # a sample for authors
  is "$(differences "$page" "$line" 2>&1)" "" "$name: the page and the table name the same keys"
done <"$work/plugins.json"
done_testing
