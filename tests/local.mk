# local.mk - the tests: unit programs (cmocka), integration scripts (TAP), fuzzers
# SPDX-License-Identifier: Apache-2.0

# ---- unit tests: tests/unit/NAME.c, linked with the core. One that needs more names it: tests_unit_NAME_SOURCES, _CPPFLAGS, _LDADD.
UNIT_TESTS = \
	tests/unit/test_azure \
	tests/unit/test_base \
	tests/unit/test_child \
	tests/unit/test_chunker \
	tests/unit/test_state \
	tests/unit/test_compacted \
	tests/unit/test_crypto \
	tests/unit/test_digest \
	tests/unit/test_exec_parts \
	tests/unit/test_extract \
	tests/unit/test_extract_large \
	tests/unit/test_fetch \
	tests/unit/test_files_entry \
	tests/unit/test_files_parts \
	tests/unit/test_files_pattern \
	tests/unit/test_files_restore \
	tests/unit/test_files_walk \
	tests/unit/test_gcs \
	tests/unit/test_ingest \
	tests/unit/test_io \
	tests/unit/test_loader \
	tests/unit/test_local \
	tests/unit/test_manifest \
	tests/unit/test_nginx_parse \
	tests/unit/test_notify \
	tests/unit/test_pack \
	tests/unit/test_place \
	tests/unit/test_postgres_physical \
	tests/unit/test_postgres_logical \
	tests/unit/test_postgres_physical \
	tests/unit/test_queue \
	tests/unit/test_recipe \
	tests/unit/test_recover \
	tests/unit/test_redis_parts \
	tests/unit/test_repo \
	tests/unit/test_retention \
	tests/unit/test_rsync \
	tests/unit/test_runs \
	tests/unit/test_s3 \
	tests/unit/test_select \
	tests/unit/test_settings \
	tests/unit/test_sigv4 \
	tests/unit/test_sqlite_parts \
	tests/unit/test_sqlite_wal \
	tests/unit/test_store \
	tests/unit/test_systemd_unit \
	tests/unit/test_tar \
	tests/unit/test_target \
	tests/unit/test_text \
	tests/unit/test_tree \
	tests/unit/test_upload \
	tests/unit/test_worker

UNIT_SUPPORT = \
	tests/unit/double_target.h \
	tests/unit/extract_support.h \
	tests/unit/fake_plugins.h \
	tests/unit/tap.sh \
	tests/unit/store_support.h \
	tests/unit/target_support.h \
	tests/unit/test_files_support.h \
	tests/unit/tree_support.h \
	tests/unit/unit.h \
	tests/unit/worker_plugin.c

# Those of a plugin are linked with its objects and see the SDK only.
tests_unit_test_local_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_test_local_LDADD = $(targets_local_local_la_OBJECTS) $(CMOCKA_LIBS)
tests_unit_test_child_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_test_child_LDADD = plugins/common/libhfp.la $(CMOCKA_LIBS)
tests_unit_test_exec_parts_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_test_exec_parts_LDADD = $(plugins_exec_exec_la_OBJECTS) plugins/common/libhfp.la $(JANSSON_LIBS) $(CMOCKA_LIBS)
tests_unit_test_nginx_parse_SOURCES = tests/unit/test_nginx_parse.c plugins/nginx/parse.c
tests_unit_test_nginx_parse_CPPFLAGS = $(PLUGIN_CPPFLAGS) -I$(top_srcdir)
tests_unit_test_nginx_parse_LDADD = $(CMOCKA_LIBS)
tests_unit_test_systemd_unit_SOURCES = tests/unit/test_systemd_unit.c plugins/systemd/unit.c
tests_unit_test_systemd_unit_CPPFLAGS = $(PLUGIN_CPPFLAGS) -I$(top_srcdir)
tests_unit_test_systemd_unit_LDADD = $(CMOCKA_LIBS)
tests_unit_test_place_CPPFLAGS = $(PLUGIN_CPPFLAGS) -I$(top_srcdir)
tests_unit_test_place_LDADD = plugins/common/libhostfiles.la plugins/common/libhfp.la $(plugins_files_files_la_OBJECTS) plugins/files/libengine.la $(CMOCKA_LIBS)
tests_unit_test_rsync_CPPFLAGS = $(PLUGIN_CPPFLAGS) -I$(top_srcdir)/plugins -I$(top_srcdir)/targets/rsync
tests_unit_test_rsync_LDADD = $(targets_rsync_rsync_la_OBJECTS) plugins/common/libhfp.la $(CMOCKA_LIBS)
tests_unit_test_files_entry_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_test_files_entry_LDADD = $(plugins_files_files_la_OBJECTS) plugins/files/libengine.la $(CMOCKA_LIBS)
tests_unit_test_files_parts_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_test_files_parts_LDADD = $(plugins_files_files_la_OBJECTS) plugins/files/libengine.la $(CMOCKA_LIBS)
tests_unit_test_files_restore_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_test_files_restore_LDADD = $(plugins_files_files_la_OBJECTS) plugins/files/libengine.la $(CMOCKA_LIBS)
tests_unit_test_files_pattern_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_test_files_pattern_LDADD = $(plugins_files_files_la_OBJECTS) plugins/files/libengine.la $(CMOCKA_LIBS)
tests_unit_test_files_walk_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_test_files_walk_LDADD = $(plugins_files_files_la_OBJECTS) plugins/files/libengine.la $(CMOCKA_LIBS)
tests_unit_test_sqlite_parts_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_test_sqlite_parts_LDADD = $(plugins_sqlite_sqlite_la_OBJECTS) $(SQLITE_LIBS) $(JANSSON_LIBS) $(CMOCKA_LIBS)
tests_unit_test_sqlite_wal_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_test_sqlite_wal_LDADD = $(plugins_sqlite_sqlite_la_OBJECTS) $(SQLITE_LIBS) $(JANSSON_LIBS) $(CMOCKA_LIBS)
tests_unit_test_redis_parts_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_test_redis_parts_LDADD = $(REDIS_OBJECTS) $(CMOCKA_LIBS)
REDIS_OBJECTS = $(plugins_redis_redis_la_OBJECTS) $(plugins_redis_redis_la_LIBADD)
tests_unit_test_postgres_logical_CPPFLAGS = $(PLUGIN_CPPFLAGS) $(LIBPQ_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_test_postgres_logical_LDADD = $(plugins_postgres_postgres_la_OBJECTS) plugins/common/libhfp.la $(LIBPQ_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS) $(CMOCKA_LIBS)
tests_unit_test_postgres_physical_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_test_postgres_physical_LDADD = $(plugins_postgres_postgres_la_OBJECTS) plugins/common/libhfp.la $(LIBPQ_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS) $(CMOCKA_LIBS)

tests_unit_test_gcs_CPPFLAGS = $(PLUGIN_CPPFLAGS) $(CRYPTO_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_test_gcs_LDADD = $(targets_gcs_gcs_la_OBJECTS) $(HFT_LIBS) $(CMOCKA_LIBS)
tests_unit_test_azure_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_test_azure_LDADD = $(targets_azure_azure_la_OBJECTS) $(HFT_LIBS) $(CMOCKA_LIBS)
tests_unit_test_s3_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_test_s3_LDADD = $(targets_s3_s3_la_OBJECTS) $(HFT_LIBS) $(CMOCKA_LIBS)
tests_unit_test_sigv4_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_unit_test_sigv4_LDADD = $(HFT_LIBS) $(CMOCKA_LIBS)

# ---- integration tests: scripts that print TAP and find all they need in the environment set below
INTEGRATION_TESTS = \
	tests/integration/app_host.sh \
	tests/integration/chain.sh \
	tests/integration/commands.sh \
	tests/integration/completion.sh \
	tests/integration/conformance.sh \
	tests/integration/drill.sh \
	tests/integration/exports.sh \
	tests/integration/flaky.sh \
	tests/integration/fuzz_seeds.sh \
	tests/integration/golden.sh \
	tests/integration/hooks.sh \
	tests/integration/incremental.sh \
	tests/integration/inplace.sh \
	tests/integration/kill9.sh \
	tests/integration/lastcopy.sh \
	tests/integration/layers.sh \
	tests/integration/lint.sh \
	tests/integration/listed.sh \
	tests/integration/lock.sh \
	tests/integration/manifest.sh \
	tests/integration/notify.sh \
	tests/integration/plugin.sh \
	tests/integration/compact.sh \
	tests/integration/prune.sh \
	tests/integration/reader.sh \
	tests/integration/recovery.sh \
	tests/integration/roundtrip.sh \
	tests/integration/samples.sh \
	tests/integration/scenario_app.sh \
	tests/integration/scenario_folder.sh \
	tests/integration/scenario_service.sh \
	tests/integration/sdk.sh \
	tests/integration/secrets.sh \
	tests/integration/sequoia.sh \
	tests/integration/settings.sh \
	tests/integration/source_exec.sh \
	tests/integration/source_nginx.sh \
	tests/integration/source_postgres.sh \
	tests/integration/source_postgres_physical.sh \
	tests/integration/source_redis.sh \
	tests/integration/source_sqlite.sh \
	tests/integration/source_systemd.sh \
	tests/integration/status.sh \
	tests/integration/stop.sh \
	tests/integration/sync.sh \
	tests/integration/tamper.sh \
	tests/integration/target_gcs.sh \
	tests/integration/target_azure.sh \
	tests/integration/target_rsync.sh \
	tests/integration/target_s3.sh \
	tests/integration/targets.sh \
	tests/integration/transport.sh \
	tests/integration/trouble.sh \
	tests/integration/undo.sh \
	tests/integration/units.sh

# What they source beside lib.sh: most start a real server.
INTEGRATION_SUPPORT = \
	tests/integration/clock.sh \
	tests/integration/sample.sh \
	tests/integration/server_listeners.sh \
	tests/integration/server_azurite.sh \
	tests/integration/server_nginx.sh \
	tests/integration/server_postgres.sh \
	tests/integration/server_redis.sh \
	tests/integration/server_rsync.sh \
	tests/integration/server_s3.sh \
	tests/integration/server_sqlite.sh \
	tests/integration/server_systemd.sh \
	tests/integration/target.sh

# Calls a target from a script. Like the conformance programs it sees the SDK only.
check_PROGRAMS += tests/integration/target_call
tests_integration_target_call_SOURCES = tests/integration/target_call.c tests/conformance/sha256.c tests/conformance/sha256.h
tests_integration_target_call_CPPFLAGS = $(SDK_CPPFLAGS)
tests_integration_target_call_CFLAGS = $(HF_CFLAGS)
tests_integration_target_call_LDADD = $(DL_LIBS)

# ---- fuzzers: tests/fuzz/NAME.c defines LLVMFuzzerTestOneInput (fuzz.h); its seeds are the files of tests/fuzz/corpus/NAME/.
# Each needs three lines: its name here, and below tests_fuzz_NAME_LDADD = $(FUZZ_LIBS) and tests_fuzz_NAME_LDFLAGS = $(FUZZ_LINK).
FUZZ_TARGETS = \
	tests/fuzz/fuzz_azure \
	tests/fuzz/fuzz_compacted \
	tests/fuzz/fuzz_exec_env \
	tests/fuzz/fuzz_gcs \
	tests/fuzz/fuzz_index \
	tests/fuzz/fuzz_manifest \
	tests/fuzz/fuzz_nginx \
	tests/fuzz/fuzz_postgres \
	tests/fuzz/fuzz_postgres_sql \
	tests/fuzz/fuzz_recipe \
	tests/fuzz/fuzz_record \
	tests/fuzz/fuzz_s3 \
	tests/fuzz/fuzz_sqlite \
	tests/fuzz/fuzz_redis \
	tests/fuzz/fuzz_systemd \
	tests/fuzz/fuzz_rsync \
	tests/fuzz/fuzz_text
tests_fuzz_fuzz_azure_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_fuzz_fuzz_azure_LDADD = $(targets_azure_azure_la_OBJECTS) $(HFT_LIBS) $(FUZZ_LIBS)
tests_fuzz_fuzz_azure_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_compacted_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_compacted_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_exec_env_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_fuzz_fuzz_exec_env_LDADD = $(plugins_exec_exec_la_OBJECTS) plugins/common/libhfp.la $(FUZZ_LIBS)
tests_fuzz_fuzz_exec_env_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_index_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_index_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_manifest_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_manifest_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_nginx_SOURCES = tests/fuzz/fuzz_nginx.c plugins/nginx/parse.c
tests_fuzz_fuzz_nginx_CPPFLAGS = $(PLUGIN_CPPFLAGS) -I$(top_srcdir)
tests_fuzz_fuzz_nginx_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_nginx_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_systemd_SOURCES = tests/fuzz/fuzz_systemd.c plugins/systemd/unit.c
tests_fuzz_fuzz_systemd_CPPFLAGS = $(PLUGIN_CPPFLAGS) -I$(top_srcdir)
tests_fuzz_fuzz_systemd_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_systemd_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_postgres_sql_SOURCES = tests/fuzz/fuzz_postgres_sql.c plugins/postgres/sql.c
tests_fuzz_fuzz_postgres_sql_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_postgres_sql_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_postgres_SOURCES = tests/fuzz/fuzz_postgres.c plugins/postgres/manifest.c plugins/postgres/tarwalk.c
tests_fuzz_fuzz_postgres_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_postgres_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_recipe_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_recipe_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_record_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_record_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_sqlite_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_fuzz_fuzz_sqlite_LDADD = $(plugins_sqlite_sqlite_la_OBJECTS) $(FUZZ_LIBS)
tests_fuzz_fuzz_sqlite_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_redis_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_fuzz_fuzz_redis_LDADD = $(REDIS_OBJECTS) $(FUZZ_LIBS)
tests_fuzz_fuzz_redis_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_rsync_CPPFLAGS = $(tests_unit_test_rsync_CPPFLAGS)
tests_fuzz_fuzz_rsync_LDADD = $(targets_rsync_rsync_la_OBJECTS) plugins/common/libhfp.la $(FUZZ_LIBS)
tests_fuzz_fuzz_rsync_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_gcs_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_fuzz_fuzz_gcs_LDADD = $(targets_gcs_gcs_la_OBJECTS) $(HFT_LIBS) $(FUZZ_LIBS)
tests_fuzz_fuzz_gcs_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_s3_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_fuzz_fuzz_s3_LDADD = $(targets_s3_s3_la_OBJECTS) $(HFT_LIBS) $(FUZZ_LIBS)
tests_fuzz_fuzz_s3_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_text_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_text_LDFLAGS = $(FUZZ_LINK)

# Without libFuzzer they are linked with replay.c, and the tests run the seeds through them.
if FUZZERS
FUZZ_LIBS = libcore.a $(CORE_LIBS)
FUZZ_LINK = $(AM_LDFLAGS) -fsanitize=fuzzer
else
check_LIBRARIES = tests/fuzz/libreplay.a
tests_fuzz_libreplay_a_SOURCES = tests/fuzz/replay.c tests/fuzz/fuzz.h
FUZZ_LIBS = tests/fuzz/libreplay.a libcore.a $(CORE_LIBS)
FUZZ_LINK = $(AM_LDFLAGS)
endif
check_PROGRAMS += $(FUZZ_TARGETS)

if HAVE_CMOCKA
check_PROGRAMS += $(UNIT_TESTS)
UNIT_RUN = $(UNIT_TESTS)
endif

# What a check program gets that has no settings of its own.
AM_DEFAULT_SOURCE_EXT = .c
TEST_CFLAGS = $(AM_CFLAGS) $(CORE_CFLAGS) $(CMOCKA_CFLAGS)
LDADD = libcore.a $(CORE_LIBS) $(CMOCKA_LIBS)

TESTS = $(UNIT_RUN) $(INTEGRATION_TESTS)
TEST_EXTENSIONS = .sh
TAP_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = CMOCKA_MESSAGE_OUTPUT=TAP $(TAP_DRIVER)
LOG_COMPILER = $(SHELL) $(top_srcdir)/tests/unit/tap.sh $(TEST_WRAPPER)
SH_LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_COMPILER = bash

# The plugins that the tests use.
TEST_PLUGINS = \
	plugins/example \
	plugins/exec \
	plugins/files \
	plugins/nginx \
	plugins/postgres \
	plugins/redis \
	plugins/sqlite \
	plugins/systemd \
	targets/gcs \
	targets/azure \
	targets/local \
	targets/rsync \
	targets/s3
AM_TESTS_ENVIRONMENT = \
	SRCDIR='$(abs_top_srcdir)'; BUILDDIR='$(abs_top_builddir)'; \
	HOLDFAST='$(abs_top_builddir)/holdfast$(EXEEXT)'; HOLDFAST_PLUGIN_PATH=; \
	for plugin in $(TEST_PLUGINS); do HOLDFAST_PLUGIN_PATH="$$HOLDFAST_PLUGIN_PATH$${HOLDFAST_PLUGIN_PATH:+:}$(abs_top_builddir)/$$plugin/.libs"; done; \
	CC='$(CC)'; MAKE='$(MAKE)'; FUZZ_TARGETS='$(FUZZ_TARGETS)'; NPM_DIR='$(NPM_DIR)'; \
	export SRCDIR BUILDDIR HOLDFAST HOLDFAST_PLUGIN_PATH CC MAKE FUZZ_TARGETS NPM_DIR; unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES;

# For scripts outside the test run: eval "`make -s test-env`"
test-env:
	@$(info $(AM_TESTS_ENVIRONMENT)) :

# The unit tests under valgrind. A leak is looked for in the logs and is no error to valgrind itself: it would change the exit code of
# forked children, too (gpgme forks), in which what belongs to the other threads seems lost.
check-valgrind: all
	$(AM_V_at)test -n '$(VALGRIND)' || { echo 'valgrind is not installed'; exit 1; }
	rm -f tests/unit/valgrind.*.log
	HOLDFAST_VALGRIND=1 $(MAKE) $(AM_MAKEFLAGS) check TESTS='$(UNIT_RUN)' \
	  TEST_WRAPPER='$(LIBTOOL) --mode=execute $(VALGRIND) -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=none --child-silent-after-fork=yes --log-file=$(abs_top_builddir)/tests/unit/valgrind.%p.log'
	@! grep -h -A 12 'definitely lost' tests/unit/valgrind.*.log

# Lines of core/ that the tests run. Configure with --enable-coverage.
coverage: all
	-$(MAKE) $(AM_MAKEFLAGS) check
	$(AM_V_at)test -n '$(GCOVR)' || { echo 'gcovr is not installed'; exit 1; }
	$(GCOVR) -r '$(abs_top_srcdir)' --object-directory '$(abs_top_builddir)' -f '$(abs_top_srcdir)/core/' --print-summary

# Each fuzzer for FUZZ_SECONDS, from the seeds; findings and new inputs go below the build folder. Configure with --enable-fuzzers.
FUZZ_SECONDS = 60
fuzz: $(FUZZ_TARGETS)
	@for t in $(FUZZ_TARGETS); do \
	  n=`basename $$t`; d=tests/fuzz/found/$$n; $(MKDIR_P) $$d; echo "fuzzing $$n for $(FUZZ_SECONDS) s"; \
	  ./$$t -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix=$$d/bad- \
	    $$d $(abs_top_srcdir)/tests/fuzz/corpus/$$n >$$d.log 2>&1 || { tail -n 40 $$d.log; exit 1; }; \
	  grep -E 'stat::(number_of_executed_units|average_exec)' $$d.log; \
	done

bench: all
	$(AM_V_at)$(AM_TESTS_ENVIRONMENT) $(SHELL) '$(abs_top_srcdir)/tests/bench/run.sh'

# Peak memory on sets and on such that are ten times as large.
bench-memory: all
	$(AM_V_at)$(AM_TESTS_ENVIRONMENT) $(SHELL) '$(abs_top_srcdir)/tests/bench/memory.sh'

.PHONY: test-env check-valgrind coverage fuzz bench bench-memory

# Whole folders, so that what a script needs beside itself is there; what tests have left in them is not.
EXTRA_DIST += $(UNIT_SUPPORT) tests/integration/flaky.c tests/fuzz/fuzz.h tests/fuzz/corpus tests/bench tests/integration tests/golden tests/demo.sh \
	$(wildcard $(srcdir)/README.md $(srcdir)/tests/reader)
dist-hook:
	find '$(distdir)/tests' '(' -name '*.log' -o -name '*.trs' -o -name '*.pyc' -o -name '*.o' ')' -exec rm -f {} +
