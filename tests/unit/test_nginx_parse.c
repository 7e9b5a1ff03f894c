/* test_nginx_parse.c - the syntax of nginx configuration files, as nginx reads it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "plugins/nginx/parse.h"
#include "unit.h"

static char seen[4096]; /* "parent>line:word|word;" for each directive */

static int note(void *ctx, const struct hf_nginx_directive *d) {
  size_t at = strlen(seen);
  at += (size_t)snprintf(seen + at, sizeof seen - at, "%s>%u:", d->parent, d->line);
  for (size_t i = 0; i < d->n; i++) at += (size_t)snprintf(seen + at, sizeof seen - at, "%s%s", i ? "|" : "", d->words[i]);
  snprintf(seen + at, sizeof seen - at, ";");
  return strcmp(d->words[0], "stop") == 0 ? *(int *)ctx : 0;
}

static struct hf_nginx_error err;

static int parse(const char *text) {
  int stop = -7;
  *seen = '\0';
  return hf_nginx_parse(text, strlen(text), note, &stop, &err);
}

static void test_words(void **state) {
  (void)state;
  assert_int_equal(parse("a;b c;\n d\te\r\nf ; "), 0);
  assert_string_equal(seen, ">1:a;>1:b|c;>3:d|e|f;");
  assert_int_equal(parse("a \"b c\" 'd \"e' \"f\\\"g\" h\\ i j\\;k l\"m\";"), 0);
  assert_string_equal(seen, ">1:a|b c|d \"e|f\"g|h\\ i|j\\;k|l\"m\";");
  assert_int_equal(parse("a \"x\\ty\\nz\\\\\" \"\";"), 0);
  assert_string_equal(seen, ">1:a|x\ty\nz\\|;");
  assert_int_equal(parse("log a$b ${c}d $e{ f; }"), 0);
  assert_string_equal(seen, ">1:log|a$b|${c}d|$e;log>1:f;"); /* only the brace right behind a "$" is part of a word */
  assert_int_equal(parse("if ($a = \"b\") { x; }"), 0);
  assert_string_equal(seen, ">1:if|($a|=|b;if>1:x;");
  assert_int_equal(parse("a b#c; # d; {\n#e\nf;"), 0);
  assert_string_equal(seen, ">1:a|b#c;>3:f;");
  assert_int_equal(parse(""), 0);
  assert_int_equal(parse("# only a comment"), 0);
  assert_string_equal(seen, "");
}

static void test_blocks(void **state) {
  (void)state;
  assert_int_equal(parse("http {\n server { a 1; }\n}\nb 2;"), 0);
  assert_string_equal(seen, ">1:http;http>2:server;server>2:a|1;>4:b|2;");
  assert_int_equal(parse("x {}y{}"), 0);
  assert_string_equal(seen, ">1:x;>1:y;");
  char deep[HF_NGINX_DEPTH_MAX * 4 + 16] = "";
  for (int i = 0; i <= HF_NGINX_DEPTH_MAX; i++) strcat(deep, "a{");
  assert_int_equal(parse(deep), HF_NGINX_SYNTAX);
  assert_non_null(strstr(err.what, "too many blocks"));
}

static void test_lua(void **state) {
  (void)state;
  assert_int_equal(parse("content_by_lua_block {\n local a = \"}\" .. '\\'}' -- }\n b = [==[ } ]] ]==] --[[ }\n ]] c = {d[1], {2}}\n}\nx;"), 0);
  assert_string_equal(seen, ">1:content_by_lua_block;>6:x;");
  assert_int_equal(parse("a_by_lua_block { if }"), 0);
  assert_int_equal(parse("a_by_lua_block { {"), HF_NGINX_SYNTAX);
  assert_int_equal(parse("a_by_lua_block { \" }"), HF_NGINX_SYNTAX);
  assert_int_equal(parse("a_by_lua_block { [[ } ]=]"), HF_NGINX_SYNTAX);
}

static void wrong(const char *text, unsigned line, const char *what) {
  assert_int_equal(parse(text), HF_NGINX_SYNTAX);
  assert_int_equal(err.line, line);
  assert_non_null(strstr(err.what, what));
}

static void test_wrong(void **state) {
  (void)state;
  wrong("a", 1, "';' is missing");
  wrong("a\nb", 2, "';' is missing");
  wrong("a {\n", 2, "'}' is missing");
  wrong("}", 1, "too many");
  wrong("a }", 1, "';' is missing");
  wrong("\n;", 2, "nothing before");
  wrong("{", 1, "nothing before");
  wrong("a \"b\n\n", 3, "quote");
  wrong("a \"b\"c;", 1, "goes on");
  assert_int_equal(hf_nginx_parse("a\0;", 3, note, NULL, &err), HF_NGINX_SYNTAX);
  assert_int_equal(parse("a; stop; b;"), -7);
  assert_string_equal(seen, ">1:a;>1:stop;");
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_words),
    cmocka_unit_test(test_blocks),
    cmocka_unit_test(test_lua),
    cmocka_unit_test(test_wrong),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
