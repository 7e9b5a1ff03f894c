# sample.sh - the sample manifests and the page about them, made to run below a folder. To be sourced behind lib.sh.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of lib.sh and for the script that sources this
#
#   sample_keys        the keys whose addresses the samples name: $key and $second are for everything, $third is security's
#   sample_settle FILE the sample as $M, in the folder $R, with all folders that it names below $root, and the keys and passwords that it names
#   sample_add SECTION LINE...   more lines in that section of $M, such as "target disk"
#   sample_set SECTION KEY VALUE another value for a key that is there
#   unit_run UNIT [DROP-IN]      what that service runs, by hf; the drop-in is one of etc/examples
#   page_block NAME    what holdfast-examples(7) shows behind the comment "block NAME"

root=$work/root

sample_keys() {
  make_key key 'Backup <backup@example.com>'
  make_key second 'Backup Safe <backup-safe@example.com>'
  make_key third 'Security <security@example.com>'
}

sample_settle() {
  local name
  R=$work/${1##*/}.d
  M=$R/manifest.ini
  mkdir -p "$R/keys" "$root"
  sed -E "s#(= *|, )/(etc|srv|home|usr/local|mnt|var)(/|,|\$)#\1$root/\2\3#g" "$1" >"$M"
  sed -i "s#^\[holdfast\]#&\nstate = $R/state#" "$M"
  for name in $(awk -F ' *= *' '$1 == "recipient-key" { print $2 }' "$M"); do
    case $name in
      *safe*) mygpg --armor --export "$second" ;;
      *) mygpg --armor --export "$key" "$third" ;;
    esac >"$R/$name"
  done
  for name in $(awk -F ' *= *' '$1 ~ /^[a-z].*-file$/ && $1 !~ /^(environment|exclude|identity|metrics|template)-file$/ { print $2 }' "$M"); do
    mkdir -p "${name%/*}"
    echo hush >"$name"
    chmod 600 "$name"
  done
}

sample_add() {
  local section=$1
  shift
  grep -qxF "[$section]" "$M" || return 1
  awk -v section="[$section]" -v more="$(printf '%s\n' "$@")" '{ print } $0 == section { print more }' "$M" >"$M.new" && mv "$M.new" "$M"
}

sample_set() {
  awk -v section="[$1]" -v key="$2" -v value="$3" '
    /^\[/ { on = $0 == section }
    on && $1 == key && $2 == "=" { print key " = " value; done++; next }
    { print }
    END { exit done != 1 }' "$M" >"$M.new" && mv "$M.new" "$M"
}

page_block() {
  awk -v name="$1" '
    $0 == ".\\\" block " name { armed = 1; next }
    armed && /^\.Bd/ { on = 1; next }
    on && /^\.Ed/ { exit }
    on { print }' "$SRCDIR/man/holdfast-examples.7" | sed -e 's/\\&//g' -e 's/\\(dq/"/g' -e "s/\\\\(aq/'/g" -e 's/\\-/-/g' -e 's/\\e/\\/g'
}

# unit_commands FILE...: the arguments of holdfast in ExecStart= and ExecStartPost=, a line each. An empty ExecStart= takes back what was before.
unit_commands() {
  awk -F = '
    $1 ~ /^ExecStart(Post)?$/ { sub(/^[^=]*=/, ""); if ($0 == "") n = 0; else line[n++] = $0 }
    END { for (i = 0; i < n; i++) print line[i] }' "$@" | sed -E "s#^([^ ]*/)?holdfast ##; s#([ =])/(etc|srv|var)/#\1$root/\2/#g"
}

unit_run() {
  local line words
  local -a lines
  mapfile -t lines < <(unit_commands "$SRCDIR/etc/systemd/$1.in" ${2:+"$SRCDIR/etc/examples/$2"})
  rc=127
  for line in "${lines[@]}"; do
    read -r -a words <<<"$line"
    hf "${words[@]}" || return "$rc"
  done
}
