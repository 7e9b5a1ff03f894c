/* test_systemd_unit.c - unit files, names of units, specifiers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/systemd/unit.h"
#include "unit.h"

static char seen[4096];

static int note(void *ctx, const char *section, const char *key, const char *value) {
  size_t at = strlen(seen);
  (void)ctx;
  snprintf(seen + at, sizeof seen - at, "[%s]%s=%s;", section, key, value);
  return strcmp(key, "Stop") == 0 ? -EIO : 0;
}

static int parse(const char *text, unsigned *bad) {
  *seen = '\0';
  return hf_systemd_parse(text, strlen(text), note, NULL, bad);
}

static void test_parse(void **state) {
  (void)state;
  unsigned bad;
  assert_int_equal(parse("[Unit]\nA=b\n\n# c\n;d\n [Service] \n e = f = g \nh=", &bad), 0);
  assert_string_equal(seen, "[Unit]A=b;[Service]e=f = g;[Service]h=;");
  assert_int_equal(bad, 0);
  assert_int_equal(parse("[S]\na=b \\\n  c\\\n# within\nd\ne=f\\", &bad), 0);
  assert_string_equal(seen, "[S]a=b  c d;[S]e=f;");
  assert_int_equal(parse("\xef\xbb\xbf[S]\r\na=b\r\n", &bad), 0);
  assert_string_equal(seen, "[S]a=b;");
  assert_int_equal(bad, 0);
  assert_int_equal(parse("[S]\na=b\nnothing\nc=d\n[\n", &bad), 0);
  assert_string_equal(seen, "[S]a=b;[S]c=d;");
  assert_int_equal(bad, 3);
  assert_int_equal(parse("a=b\n", &bad), 0);
  assert_int_equal(bad, 1);
  assert_int_equal(parse("[S]\n=b\n", &bad), 0);
  assert_int_equal(bad, 2);
  assert_int_equal(hf_systemd_parse("[S]\na=\0b\n", 9, note, NULL, &bad), 0);
  assert_int_equal(bad, 2);
  assert_int_equal(parse("[S]\nStop=1\na=b\n", &bad), -EIO);
  assert_string_equal(seen, "[S]Stop=1;");
}

static void test_names(void **state) {
  (void)state;
  char out[HF_SYSTEMD_NAME_MAX + 1], lengthy[400];
  assert_true(hf_systemd_is_unit("a.service"));
  assert_true(hf_systemd_is_unit("a-b\\x2dc@d:e.timer"));
  assert_true(hf_systemd_is_unit("dev-sda1.swap"));
  assert_false(hf_systemd_is_unit("a"));
  assert_false(hf_systemd_is_unit("a.conf"));
  assert_false(hf_systemd_is_unit("a/b.service"));
  assert_false(hf_systemd_is_unit(".service"));
  assert_false(hf_systemd_is_unit("@b.service"));
  assert_false(hf_systemd_is_unit("a b.service"));
  memset(lengthy, 'a', sizeof lengthy);
  strcpy(lengthy + 250, ".service");
  assert_false(hf_systemd_is_unit(lengthy));
  assert_true(hf_systemd_is_template("a@.service"));
  assert_false(hf_systemd_is_template("a@b.service"));
  assert_false(hf_systemd_is_template("a.service"));
  assert_true(hf_systemd_template_of("a@b.c.service", out));
  assert_string_equal(out, "a@.service");
  assert_false(hf_systemd_template_of("a@.service", out));
  assert_false(hf_systemd_template_of("a.service", out));
  assert_true(hf_systemd_with_type("a@b.timer", "service", out));
  assert_string_equal(out, "a@b.service");
  assert_false(hf_systemd_with_type(lengthy, "automount", out));
}

static void expands(const char *s, const char *name, const char *want) {
  char unknown, *got = hf_systemd_expand(s, name, &unknown);
  if (want) assert_non_null(got);
  else assert_null(got);
  if (want) assert_string_equal(got, want);
  free(got);
}

static void test_specifiers(void **state) {
  (void)state;
  char unknown;
  expands("/etc/a", "x.service", "/etc/a");
  expands("%n %N %p [%i] 100%%", "a-b@c-d.service", "a-b@c-d.service a-b@c-d a-b [c-d] 100%");
  expands("%P %I %j", "a-b@c-d\\x2de.service", "a/b c/d-e b");
  expands("%E/%p/%i.env", "app@one.service", "/etc/app/one.env");
  expands("%t%S", "app.service", "/run/var/lib");
  expands("%i|%p", "app.service", "|app");
  expands("a%", "app.service", "a%");
  expands("%h/env", "app.service", NULL);
  assert_null(hf_systemd_expand("%H", "app.service", &unknown));
  assert_int_equal(unknown, 'H');
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_parse),
    cmocka_unit_test(test_names),
    cmocka_unit_test(test_specifiers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
