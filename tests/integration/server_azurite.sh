# server_azurite.sh - Azurite, Microsoft's emulator of the Blob service, on a free port of the loopback interface.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # the variables are for the script that sources this; those of lib.sh
#
# To be sourced behind lib.sh, which ends what is started here. Needs node, curl, python3 and $NPM_DIR, where ./bootstrap has installed it.
#   azurite_start NAME DIR [OPTION...]   start one that keeps its data in DIR; the variable NAME gets the URL of its account. Returns at once.
#   azurite_again URL DIR [OPTION...]    the same once more, at the same port. An orderly end (SIGTERM) loses nothing.
#   azurite_ready URL                    wait until it answers.
# $azurite_pid is the one started last.
# The account is $azurite_account with the key $azurite_key, which all installations of it have.

azurite_account=devstoreaccount1
azurite_key='Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='

azurite_start() {
  local name=$1 dir=$2 scheme=http
  shift 2
  mkdir -p "$dir" || return 1
  case " $* " in *" --cert "*) scheme=https ;; esac
  printf -v "$name" '%s://127.0.0.1:%s/%s' "$scheme" "$(free_port)" "$azurite_account"
  azurite_again "${!name}" "$dir" "$@"
}

azurite_again() {
  local port=${1%/*} dir=$2
  port=${port##*:}
  shift 2
  node "$NPM_DIR/node_modules/azurite/dist/src/blob/main.js" --blobHost 127.0.0.1 --blobPort "$port" --location "$dir" --silent --disableTelemetry "$@" \
    >"$dir/out" 2>&1 </dev/null &
  azurite_pid=$!
  jobs_started+=("$azurite_pid")
  disown
}

azurite_ready() {
  local _
  for _ in {1..1200}; do
    curl -sk -o /dev/null "$1" && return 0
    sleep 0.05
  done
  return 1
}
