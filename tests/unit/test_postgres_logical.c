/* test_postgres_logical.c - the parts of mode = logical that need no server: scripts, words of programs, versions, names of streams.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "../../plugins/postgres/logical.h"

/* ---- scripts ---- */

/* The statement number i of text; its kind, and its name in name. -2 when there is none, -1 when one does not end. */
static int subject(const char *text, size_t size, int i, char name[HF_PG_NAME_MAX]) {
  const char *at = text, *from;
  size_t n;
  for (;;) {
    int more = hf_pg_sql_next(&at, text + size, &from, &n);
    if (more <= 0) return more == 0 ? -2 : -1;
    if (i-- == 0) return (int)hf_pg_sql_subject(from, n, name);
  }
}

static void test_subjects(void **state) {
  static const struct {
    const char *sql, *name;
    int kind;
  } t[] = {
    {"CREATE ROLE app;", "app", HF_PG_SQL_CREATE_ROLE},
    {"CREATE ROLE \"we; \"\"ird\";", "we; \"ird", HF_PG_SQL_CREATE_ROLE},
    {"ALTER ROLE app WITH LOGIN PASSWORD 'a;''b';", "app", HF_PG_SQL_ROLE},
    {"ALTER ROLE app IN DATABASE shop SET work_mem TO '1GB';", "app", HF_PG_SQL_ROLE},
    {"COMMENT ON ROLE app IS 'x; ON TABLESPACE y';", "app", HF_PG_SQL_ROLE},
    {"SECURITY LABEL FOR 'p' ON ROLE app IS 'l';", "app", HF_PG_SQL_ROLE},
    {"GRANT reader TO app WITH ADMIN OPTION GRANTED BY postgres;", "app", HF_PG_SQL_MEMBER},
    {"GRANT \"ON\" TO app;", "app", HF_PG_SQL_MEMBER},
    {"GRANT SET,ALTER SYSTEM ON PARAMETER work_mem TO app;", "app", HF_PG_SQL_ROLE},
    {"REVOKE ALL ON TABLESPACE fast FROM app;", "fast", HF_PG_SQL_TABLESPACE},
    {"CREATE TABLESPACE fast OWNER app LOCATION E'/a\\';b';", "fast", HF_PG_SQL_TABLESPACE},
    {"COMMENT ON TABLESPACE fast IS 'x';", "fast", HF_PG_SQL_TABLESPACE},
    {"SET client_encoding = 'UTF8';", "", HF_PG_SQL_SET},
    {"GRANT SELECT ON secrets TO app;", "", HF_PG_SQL_OTHER},
    {"COMMENT ON DATABASE ROLE IS 'x';", "", HF_PG_SQL_OTHER},
    {"CREATE EXTENSION x;", "", HF_PG_SQL_OTHER},
    {"ALTER ROLE;", "", HF_PG_SQL_OTHER},
    {"DROP ROLE app;", "", HF_PG_SQL_OTHER},
  };
  (void)state;
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    char name[HF_PG_NAME_MAX] = "";
    int kind = subject(t[i].sql, strlen(t[i].sql), 0, name);
    if (kind != t[i].kind || strcmp(name, t[i].name) != 0) fail_msg("%s: kind %d, name %s", t[i].sql, kind, name);
    assert_int_equal(subject(t[i].sql, strlen(t[i].sql), 1, name), -2);
  }
}

static void test_statements(void **state) {
  static const char text[] = "-- a comment; with a semicolon\n\\connect elsewhere;\n;;\nCREATE ROLE a; -- another;\n  CREATE ROLE b\n-- inside;\n;\n"
                             "ALTER ROLE c IS $x$ ; $y$ ; $x$;CREATE ROLE a$b$c;CREATE ROLE d";
  char name[HF_PG_NAME_MAX];
  (void)state;
  static const char *const names[] = {"a", "b", "c", "a$b$c"};
  for (int i = 0; i < 4; i++) {
    assert_true(subject(text, sizeof text - 1, i, name) >= 0);
    assert_string_equal(name, names[i]);
  }
  assert_int_equal(subject(text, sizeof text - 1, 4, name), -1);
  assert_int_equal(subject("SELECT 'a;", 10, 0, name), -1);
  assert_int_equal(subject("SELECT E'a\\';", 13, 0, name), -1);
  assert_int_equal(subject("SELECT 'a\\';", 12, 0, name), HF_PG_SQL_OTHER);
  assert_int_equal(subject("CREATE\0ROLE a;", 14, 0, name), -1);
}

/* A name that is too long is no name: the statement is left out. */
static void test_long_name(void **state) {
  char sql[HF_PG_NAME_MAX + 100], name[HF_PG_NAME_MAX];
  (void)state;
  memset(sql, 'x', sizeof sql);
  memcpy(sql, "CREATE ROLE ", 12);
  sql[12 + HF_PG_NAME_MAX - 1] = ';';
  assert_int_equal(subject(sql, 12 + HF_PG_NAME_MAX, 0, name), HF_PG_SQL_CREATE_ROLE);
  assert_int_equal(strlen(name), HF_PG_NAME_MAX - 1);
  sql[12 + HF_PG_NAME_MAX - 1] = 'x';
  sql[12 + HF_PG_NAME_MAX] = ';';
  assert_int_equal(subject(sql, 12 + HF_PG_NAME_MAX + 1, 0, name), HF_PG_SQL_OTHER);
}

/* ---- words ---- */

static void test_words(void **state) {
  char out[200], small[30];
  (void)state;
  hf_pg_words_pick("pg_dump: warning: circular\npg_dump: error: Dumping the contents of table \"t\" failed: PQgetResult() failed.\n"
                   "pg_dump: detail: Error message from server: FATAL:  terminating connection\npg_dump: detail: Command was: COPY\n", out, sizeof out);
  assert_string_equal(out, "pg_dump: error: Dumping the contents of table \"t\" failed: PQgetResult() failed. (FATAL: terminating connection)");
  hf_pg_words_pick("pg_dump: error: query failed: ERROR:  timeout\npg_dump: detail: Query was: LOCK TABLE a.b IN MODE\n", out, sizeof out);
  assert_string_equal(out, "pg_dump: error: query failed: ERROR: timeout (LOCK TABLE a.b IN MODE)");
  hf_pg_words_pick("first\n\tlast\001line\n\n", out, sizeof out);
  assert_string_equal(out, "last line");
  hf_pg_words_pick("", out, sizeof out);
  assert_string_equal(out, "");
  hf_pg_words_pick("x: error: a text that is much longer than there is room for\nError message from server: b", small, sizeof small);
  assert_int_equal(strlen(small), sizeof small - 1);
  assert_int_equal(hf_pg_words_status("ERROR: could not extend file: No space left on device"), HOLDFAST_E_NO_SPACE);
  assert_int_equal(hf_pg_words_status("ERROR: permission denied for table x"), HOLDFAST_E_AUTH);
  assert_int_equal(hf_pg_words_status("something"), HOLDFAST_E_FAILED);
}

static void test_connect_words(void **state) {
  char out[300];
  (void)state;
  static const char refused[] = "connection to server at \"h\" (1.2.3.4), port 5432 failed: FATAL:  28P01: password authentication failed for user \"x\"\n"
                                "LOCATION:  auth_failed, auth.c:335\nconnection to server at \"h\" failed: FATAL:  28000: no entry\n";
  assert_int_equal(hf_pg_connect_words(refused, false, out, sizeof out), HOLDFAST_E_AUTH);
  assert_string_equal(out, "connection to server at \"h\" (1.2.3.4), port 5432 failed: FATAL: password authentication failed for user \"x\"");
  assert_int_equal(hf_pg_connect_words("x: FATAL:  3D000: database \"y\" does not exist\n", false, out, sizeof out), HOLDFAST_E_NOT_FOUND);
  assert_int_equal(hf_pg_connect_words("x: FATAL:  57P03: starting up\n", false, out, sizeof out), HOLDFAST_E_TRANSIENT);
  assert_int_equal(hf_pg_connect_words("x: Connection refused\n\tIs the server running?\n", false, out, sizeof out), HOLDFAST_E_TRANSIENT);
  assert_string_equal(out, "x: Connection refused Is the server running?");
  assert_int_equal(hf_pg_connect_words("fe_sendauth: no password supplied\n", true, out, sizeof out), HOLDFAST_E_AUTH);
  assert_int_equal(hf_pg_connect_words("", false, out, sizeof out), HOLDFAST_E_TRANSIENT);
  assert_string_equal(out, "no answer");
}

static void test_versions(void **state) {
  (void)state;
  assert_int_equal(hf_pg_program_version("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), 15);
  assert_int_equal(hf_pg_program_version("postgres (PostgreSQL) 18devel\n"), 18);
  assert_int_equal(hf_pg_program_version("pg_dump (EnterpriseDB) 15\n"), 0);
  assert_int_equal(hf_pg_program_version("(PostgreSQL) x"), 0);
  assert_int_equal(hf_pg_program_version(""), 0);
}

/* ---- names ---- */

static void check_stream(const char *database, const char *wanted) {
  char *got = hf_pg_stream_name(database, "16384");
  assert_string_equal(got, wanted);
  free(got);
}

static void test_stream_names(void **state) {
  (void)state;
  check_stream("shop", "shop.dump");
  check_stream("Shop_2-a", "Shop_2-a.dump");
  check_stream("a.b", "a_b.16384.dump");
  check_stream("../x", "___x.16384.dump");
  check_stream("-x", "_x.16384.dump");
  check_stream("sch\xc3\xb6n", "sch__n.16384.dump");
}

static void test_names_back(void **state) {
  json_t *s = json_loads("{\"databases\":[{\"name\":\"a.b\",\"stream\":\"a_b.5.dump\"},{\"stream\":\"bad.dump\"},7]}", 0, NULL);
  static const char *const t[][2] = {{"a_b.5.dump", "a.b"}, {"shop.dump", "shop"}, {"bad.dump", "bad"}, {".dump", NULL}, {"globals.sql", NULL}};
  (void)state;
  assert_non_null(s);
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    char *name = hf_pg_database_name(s, t[i][0]);
    if (t[i][1])
      assert_string_equal(name, t[i][1]);
    else
      assert_null(name);
    free(name);
  }
  assert_null(hf_pg_database_of(NULL, "x.dump"));
  json_decref(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_subjects), cmocka_unit_test(test_statements), cmocka_unit_test(test_long_name), cmocka_unit_test(test_words),
    cmocka_unit_test(test_connect_words), cmocka_unit_test(test_versions), cmocka_unit_test(test_stream_names), cmocka_unit_test(test_names_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
