#!/bin/sh
# text_data.sh README RECOVER - two texts as a C file on standard output.
# SPDX-License-Identifier: Apache-2.0
set -e
literal() {
  [ -r "$1" ]
  sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/  "/' -e 's/$/\\n"/' "$1"
}
echo '/* text_data.c - made by text_data.sh; do not edit. */'
echo '#include "repo/repo.h"'
echo 'const char hf_text_readme[] ='
literal "$1"
echo '  ;'
echo 'const char hf_text_recover[] ='
literal "$2"
echo '  ;'
