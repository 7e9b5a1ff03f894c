# clock.sh - a clock of the test's own, for what takes months. To be sourced behind lib.sh.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of lib.sh
#
#   clock_start         from here on $HOLDFAST runs by that clock, which stands at the beginning of the year after this one: keys that were made before are valid
#   clock_set DAY HH:MM ... at that time of the DAYth day from there on, 0 is the first. It goes on by itself
#   clocked COMMAND...  run another program by it
# Needs libfaketime (package faketime). Monotonic clocks are true: nothing takes longer or shorter. So are the times of files.

clock_file=$work/clock
clock_base=0
clock_env=()
clock_share=

# clock_shared: the name of the semaphore and the memory of one faketime, as it tells its children. Without it each process makes its own, named by its process
# id, and trips over what a killed one of that id has left.
clock_shared() {
  local i faketime child
  for i in {1..50}; do
    faketime -f +0 sleep infinity </dev/null >/dev/null 2>&1 &
    faketime=$!
    disown "$faketime"
    while kill -0 "$faketime" 2>/dev/null; do
      child=$(cat "/proc/$faketime/task/$faketime/children" 2>/dev/null)
      # It becomes sleep, and then has them in its environment. When it ends, faketime removes them and ends, too.
      if [ -n "$child" ] && [ "$(cat "/proc/${child% }/comm" 2>/dev/null)" = sleep ]; then
        jobs_started+=("${child% }")
        clock_share=$(tr '\0' '\n' <"/proc/${child% }/environ" | grep '^FAKETIME_SHARED=')
        # A source may be read by another account.
        chmod 666 "/dev/shm/sem.faketime_sem_$faketime" "/dev/shm/faketime_shm_$faketime" && return 0
      fi
      sleep 0.01
    done
  done
  echo "Bail out! faketime does not start (try $i)" && exit 1
}

clock_start() {
  local lib
  for lib in /usr/lib/*/faketime/libfaketimeMT.so.1; do [ -e "$lib" ] || { echo "Bail out! faketime is not installed" && exit 1; }; done
  clock_shared
  clock_env=(env "LD_PRELOAD=$lib" "FAKETIME_TIMESTAMP_FILE=$clock_file" "$clock_share" FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1 FAKE_UTIME=0)
  clock_base=$(date -d "$(($(date +%Y) + 1))-01-01" +%s)
  clock_set 0 00:00
  # A build with sanitizers does not have its runtime first then. To preload that as well does no good: gpg and others do not stand it.
  export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"
  {
    echo '#!/bin/sh'
    printf 'exec'
    printf ' %q' "${clock_env[@]}" "$HOLDFAST"
    printf ' "$@"\n'
  } >"$work/holdfast"
  chmod 755 "$work/holdfast"
  HOLDFAST=$work/holdfast
}

# Replaced as a whole: somebody reads it at any time.
clock_write() {
  printf '%+d\n' "$1" >"$clock_file.new"
  mv "$clock_file.new" "$clock_file"
}

clock_set() { clock_write $((clock_base + $1 * 86400 + 10#${2%:*} * 3600 + 10#${2#*:} * 60 - $(date +%s))); }

clocked() { "${clock_env[@]}" "$@"; }
