#!/bin/bash
# manifest.sh - a wrong manifest is refused whole: one message with file, line, section and key, exit code 2, nothing touched.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2016 # variables of lib.sh; eval
. "${SRCDIR:?}/tests/integration/lib.sh"
need gpg

make_key key 'Recipient <recipient@example.com>'
mkdir "$work/tree"
echo data >"$work/tree/file"
M=$work/m.ini
R=$work
T=$work/disk/testhost

top="[holdfast]
host = testhost
recipients = $key
state = $work/state"
source="[source tree]
plugin = files
path = $work/tree"
target="[target disk]
plugin = local
path = $work/disk"

# A plugin with a secret, and one that takes notes when it is opened.
sed 's|^    {NULL, 0, 0, NULL, NULL, NULL},|    {"password", HOLDFAST_SECRET, 0, NULL, NULL, "A secret"},\n&|; s|"example"|"guarded"|' "$SRCDIR/plugins/example/example.c" >"$work/guarded.c"
# shellcheck disable=SC2086 # CC may have options
${CC:-cc} -std=gnu17 -I"$SRCDIR/core/include" -fPIC -fvisibility=hidden -shared -o "$plugins/guarded.so" "$work/guarded.c" || { echo "Bail out! no plugin" && exit 1; }
guarded="[source g]
plugin = guarded"

# wrong NAME REGEX < manifest: the message is "holdfast: FILE:..." and matches.
wrong() {
  cat >"$M"
  chmod 600 "$M"
  wrong_as_is "$1" "$2"
}
wrong_as_is() {
  local name=$1 regex=$2
  for command in init backup 'restore latest --to x' verify; do
    # shellcheck disable=SC2086 # words
    hf $command
    if [ "$rc" -ne 2 ] || [ "$(grep -c . "$work/err")" -ne 1 ] || ! grep -Eqe "$regex" "$work/err" || [ -s "$work/out" ] || [ -e "$work/state" ] || [ -e "$work/disk" ]; then
      result 1 "$name"
      echo "# wanted: exit code 2 and one message: $regex"
      [ ! -e "$work/state" ] || echo "# a state folder was made"
      show_last
      rm -rf "$work/state" "$work/disk"
      return
    fi
  done
  result 0 "$name"
}

wrong "an unknown key" 'm.ini:8: \[source tree\] exlude: unknown key; did you mean exclude\?' <<EOF
$top
$source
exlude = *.log
$target
EOF
wrong "an unknown key of [holdfast]" 'm.ini:5: \[holdfast\] retention: unknown key' <<EOF
$top
retention = 7d
$source
$target
EOF
wrong "an unknown section" 'm.ini:5: \[sources\]: unknown section' <<EOF
$top
[sources]
$source
$target
EOF
wrong "a section without a name" 'm.ini:5: \[source\]: a source has a name' <<EOF
$top
[source]
plugin = files
$target
EOF
wrong "a bad name" 'm.ini:5: \[source a/b\]: ' <<EOF
$top
[source a/b]
plugin = files
$target
EOF
wrong "two sections of one name" 'm.ini:8: \[source tree\]: the section is there already, at .*m.ini:5' <<EOF
$top
$source
$source
$target
EOF
wrong "no [holdfast]" 'm.ini:1: ' <<EOF
$source
$target
EOF
wrong "no source" 'm.ini: there is no \[source NAME\]' <<EOF
$top
$target
EOF
wrong "no target" 'm.ini: there is no \[target NAME\]' <<EOF
$top
$source
EOF
wrong "no recipients" 'm.ini:1: \[holdfast\] recipients: missing' <<EOF
[holdfast]
state = $work/state
$source
$target
EOF
wrong "no plugin" 'm.ini:5: \[source tree\] plugin: missing' <<EOF
$top
[source tree]
path = /
$target
EOF
wrong "an unknown plugin" 'm.ini:6: \[source tree\] plugin: there is no source plugin "file"; did you mean files\?' <<EOF
$top
[source tree]
plugin = file
path = /
$target
EOF
wrong "a target plugin as a source" 'm.ini:6: \[source tree\] plugin: .*local is a plugin of a \[target' <<EOF
$top
[source tree]
plugin = local
path = /
$target
EOF
wrong "a required setting is missing" 'm.ini:5: \[source tree\] path: missing' <<EOF
$top
[source tree]
plugin = files
$target
EOF
wrong "a relative path" 'm.ini:7: \[source tree\] path: "etc" is not an absolute path' <<EOF
$top
[source tree]
plugin = files
path = etc
$target
EOF
wrong "not a yes or no" 'm.ini:8: \[source tree\] xattrs: .*maybe' <<EOF
$top
$source
xattrs = maybe
$target
EOF
wrong "not a duration" 'm.ini:8: \[source tree\] timeout: ' <<EOF
$top
$source
timeout = soon
$target
EOF
wrong "not a size" 'm.ini:11: \[target disk\] free-space-floor: ' <<EOF
$top
$source
$target
free-space-floor = 20X
EOF
wrong "not one of the choices" 'm.ini:11: \[target disk\] fsync: "maybe" is not one of: full' <<EOF
$top
$source
$target
fsync = maybe
EOF
wrong "not a number" 'm.ini:5: \[holdfast\] compression: ' <<EOF
$top
compression = best
$source
$target
EOF
wrong "a number out of range" 'm.ini:5: \[holdfast\] compression: the zstd level is from 1' <<EOF
$top
compression = 22
$source
$target
EOF
wrong "a key given twice" 'm.ini:8: \[source tree\] plugin: given before' <<EOF
$top
$source
plugin = files
$target
EOF
wrong "a line that is nothing" 'm.ini:8: .*neither a \[section\] nor key = value' <<EOF
$top
$source
just words
$target
EOF
wrong "an empty value" 'm.ini:8: \[source tree\] exclude: the value is empty' <<EOF
$top
$source
exclude =
$target
EOF
wrong "a key before any section" 'm.ini:1: host: a key before any section' <<EOF
host = x
$top
$source
$target
EOF
wrong "a short key id" 'm.ini:2: \[holdfast\] recipients: "DEADBEEF" is a short key id' <<EOF
[holdfast]
recipients = DEADBEEF
$source
$target
EOF
wrong "not a recipient" 'm.ini:2: \[holdfast\] recipients: "somebody" is not a recipient' <<EOF
[holdfast]
recipients = somebody
$source
$target
EOF
wrong "a NUL byte" 'm.ini:5: ' < <(printf '%s\nlabel = a\0b\n%s\n%s\n' "$top" "$source" "$target")
wrong "an include that is not there" 'm.ini:5: \[holdfast\] include: there is no file .*more.ini' <<EOF
$top
include = more.ini
$source
$target
EOF
wrong "a manifest that includes itself" 'm.ini:5: \[holdfast\] include: .*included twice' <<EOF
$top
include = m.ini
$source
$target
EOF
echo 'colour = red' >"$work/part.ini"
wrong "a mistake in an included file names that file" 'part.ini:1: colour: a key before any section|part.ini:1: ' <<EOF
$top
include = part.ini
$source
$target
EOF
wrong "a bad prefix" 'm.ini:11: \[target disk\] prefix: ' <<EOF
$top
$source
$target
prefix = ../elsewhere
EOF
# What only the plugin or the disk can tell comes a little later.
cat >"$M" <<EOF
$top
$source
exclude = [a
$target
EOF
must init
hf check
exits 1 "a bad pattern: check"
says 'tree.*exclude: bad pattern' "says so"
hf backup
exits 1 "and the only source with it is not backed up"
says 'source tree: .*exclude: bad pattern' "which is said"
rm -rf "$work/state" "$work/disk"
cat >"$M" <<EOF
$top
recipient-key = no-such.asc
$source
$target
EOF
hf init
exits 1 "a recipient's key file that is not there"
says 'recipient-key .*/no-such.asc: ' "is named"
rm -rf "$work/state" "$work/disk"

# ---- secrets

wrong "a secret given twice" 'm.ini:8: \[source g\] password-env: the secret is given twice' <<EOF
$top
$guarded
password = x
password-env = X
$target
EOF
cat >"$M" <<EOF
$top
$guarded
password = hunter2
$target
EOF
chmod 644 "$M"
wrong_as_is "an inline secret in a file that others can read" 'm.ini:7: \[source g\] password: a secret in a file that others can read \(mode 0644\).*password-file'
says_not hunter2 "the secret itself is not printed"
chmod 600 "$M"
must init
hf backup
exits 0 "the same, closed to others, is fine"
ok "and is nowhere in state or target" eval '! grep -rqF hunter2 "$work/state" "$work/disk"'
hf plugins guarded
says 'password' "plugins NAME shows the setting"
rm -rf "$work/state" "$work/disk"
echo s3cret >"$work/secret"
chmod 604 "$work/secret"
wrong "a secret file that all can read" 'm.ini:7: \[source g\] password-file: .*open to everybody' <<EOF
$top
$guarded
password-file = secret
$target
EOF
wrong "a secret command that fails" 'm.ini:7: \[source g\] password-command: .*exit code 1' <<EOF
$top
$guarded
password-command = false
$target
EOF
wrong "a secret variable that is not set" 'm.ini:7: \[source g\] password-env: .*not set' <<EOF
$top
$guarded
password-env = HOLDFAST_TEST_NO_SUCH_VARIABLE
$target
EOF
if [ "$(id -u)" -eq 0 ]; then
  printf '%s\n%s\n%s\n' "$top" "$source" "$target" >"$M"
  chmod 666 "$M"
  wrong_as_is "root: a manifest that others can write" 'm.ini: writable by others.*chmod go-w'
fi
rm "$M"
wrong_as_is "no manifest" 'm.ini: cannot read the manifest'

# ---- the command line

printf '%s\n%s\n%s\n' "$top" "$source" "$target" >"$M"
# usage REGEX ARGUMENT...
usage() {
  local regex=$1
  shift
  hf "$@"
  [ $rc -eq 2 ] && grep -Eqe "$regex" "$work/err"
  result $? "usage: $*" || show_last
}
usage 'bakup.*backup' bakup
usage 'usage|command' --no-such-option backup
usage 'to|in-place' restore latest
usage 'to|in-place' restore latest --to x --in-place
usage 'nosuch' verify --target nosuch
usage 'read|percent' verify --read=700
usage 'snapshot|usage' ls
hf backup
exits 1 "a backup before init fails"
says 'holdfast init' "and says what to do"
must init
usage 'nosuch' backup nosuch
hf cat latest tree x
exits 1 "no snapshot yet"
usage 'no snapshot' ls 'not a snapshot!'
hf --version
says '^holdfast [0-9]+\.[0-9]+' "--version"
exits 0 "and its exit code"
hf help restore
says '--in-place' "help of a command"
done_testing
