#!/bin/sh
# exports.sh - the program exports none of its functions; a plugin exports its entry function and nothing else; what is costly to load is loaded when it is needed.
# SPDX-License-Identifier: Apache-2.0
set -eu

: "${BUILDDIR:?the folder of the build}" "${HOLDFAST:?the program}"

# What a sanitizer or the coverage runtime adds is not ours.
exported() {
  nm -D --defined-only "$1" | awk '{ print $3 }' | sed 's/@.*//' |
    grep -Ev '^(__asan|__ubsan|__lsan|__sanitizer|__gcov|__llvm|__start___sancov|__stop___sancov|_init$|_fini$|__bss_start$|_edata$|_end$)' || :
}

echo 1..4
symbols=$(exported "$HOLDFAST" | grep -E '^(hf_|holdfast_|main$|cmd_)' | tr '\n' ' ')
if [ -z "$symbols" ]; then
  echo "ok 1 - the program exports nothing of its own"
else
  echo "not ok 1 - the program exports nothing of its own: $symbols"
fi

n=1
for kind in source target; do
  n=$((n + 1))
  wrong='' seen=0
  for so in "$BUILDDIR"/plugins/*/.libs/*.so "$BUILDDIR"/targets/*/.libs/*.so; do
    [ -e "$so" ] || continue
    symbols=$(exported "$so")
    case $symbols in
      *holdfast_"$kind"_plugin*) seen=$((seen + 1)) ;;
      *) continue ;;
    esac
    [ "$symbols" = "holdfast_${kind}_plugin" ] || wrong="$wrong ${so##*/} ($symbols)"
  done
  if [ "$seen" -gt 0 ] && [ -z "$wrong" ]; then
    echo "ok $n - $seen $kind plugins export their entry only"
  else
    echo "not ok $n - $seen $kind plugins export their entry only:$wrong"
  fi
done

needed=$(readelf -d "$HOLDFAST" | grep NEEDED)
case $needed in
  *libcurl*) echo "not ok 4 - the program is not linked with libcurl, which starts slowly" ;;
  *libgpgme*) echo "ok 4 - the program is not linked with libcurl, which starts slowly" ;;
  *) echo "not ok 4 - readelf does not say what the program is linked with: $needed" ;;
esac
