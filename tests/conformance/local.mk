# local.mk - the conformance programs, which are installed for authors of plugins, and plugins that are wrong on purpose
# SPDX-License-Identifier: Apache-2.0
bin_PROGRAMS += holdfast-source-conformance holdfast-target-conformance

CONFORMANCE_SOURCES = \
	tests/conformance/conf.c \
	tests/conformance/conf.h \
	tests/conformance/conf_host.c \
	tests/conformance/conf_plugin.c

# They see the SDK only, as the authors of plugins do.
holdfast_source_conformance_SOURCES = $(CONFORMANCE_SOURCES) \
	tests/conformance/source_conformance.c \
	tests/conformance/source_restore.c \
	tests/conformance/source_walk.c \
	tests/conformance/source_walk.h
holdfast_source_conformance_CPPFLAGS = $(SDK_CPPFLAGS)
holdfast_source_conformance_CFLAGS = $(HF_CFLAGS)
holdfast_source_conformance_LDADD = $(DL_LIBS)

holdfast_target_conformance_SOURCES = $(CONFORMANCE_SOURCES) \
	tests/conformance/sha256.c \
	tests/conformance/sha256.h \
	tests/conformance/target_calls.c \
	tests/conformance/target_calls.h \
	tests/conformance/target_conformance.c \
	tests/conformance/target_more.c
holdfast_target_conformance_CPPFLAGS = $(SDK_CPPFLAGS)
holdfast_target_conformance_CFLAGS = $(HF_CFLAGS)
holdfast_target_conformance_LDADD = $(DL_LIBS)

# Single calls, for the tests of targets.
check_PROGRAMS += tests/conformance/target_call
tests_conformance_target_call_SOURCES = $(CONFORMANCE_SOURCES) tests/conformance/target_call.c
tests_conformance_target_call_CPPFLAGS = $(SDK_CPPFLAGS)
tests_conformance_target_call_CFLAGS = $(HF_CFLAGS)
tests_conformance_target_call_LDADD = $(DL_LIBS)

# Each of these is wrong in one thing, but for `old`, which every host must take. They land in tests/conformance/badplugins/.libs/.
BADPLUGIN_LDFLAGS = $(SOURCE_LDFLAGS) -rpath $(abs_builddir)

check_LTLIBRARIES += tests/conformance/badplugins/baddefault.la
tests_conformance_badplugins_baddefault_la_SOURCES = tests/conformance/badplugins/baddefault.c tests/conformance/badplugins/common.h
tests_conformance_badplugins_baddefault_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_conformance_badplugins_baddefault_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_conformance_badplugins_baddefault_la_LDFLAGS = $(BADPLUGIN_LDFLAGS)

check_LTLIBRARIES += tests/conformance/badplugins/badtype.la
tests_conformance_badplugins_badtype_la_SOURCES = tests/conformance/badplugins/badtype.c tests/conformance/badplugins/common.h
tests_conformance_badplugins_badtype_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_conformance_badplugins_badtype_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_conformance_badplugins_badtype_la_LDFLAGS = $(BADPLUGIN_LDFLAGS)

check_LTLIBRARIES += tests/conformance/badplugins/header.la
tests_conformance_badplugins_header_la_SOURCES = tests/conformance/badplugins/header.c tests/conformance/badplugins/common.h
tests_conformance_badplugins_header_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_conformance_badplugins_header_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_conformance_badplugins_header_la_LDFLAGS = $(BADPLUGIN_LDFLAGS)

check_LTLIBRARIES += tests/conformance/badplugins/larger.la
tests_conformance_badplugins_larger_la_SOURCES = tests/conformance/badplugins/larger.c tests/conformance/badplugins/common.h
tests_conformance_badplugins_larger_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_conformance_badplugins_larger_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_conformance_badplugins_larger_la_LDFLAGS = $(BADPLUGIN_LDFLAGS)

check_LTLIBRARIES += tests/conformance/badplugins/major.la
tests_conformance_badplugins_major_la_SOURCES = tests/conformance/badplugins/major.c tests/conformance/badplugins/common.h
tests_conformance_badplugins_major_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_conformance_badplugins_major_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_conformance_badplugins_major_la_LDFLAGS = $(BADPLUGIN_LDFLAGS)

check_LTLIBRARIES += tests/conformance/badplugins/missing.la
tests_conformance_badplugins_missing_la_SOURCES = tests/conformance/badplugins/missing.c tests/conformance/badplugins/common.h
tests_conformance_badplugins_missing_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_conformance_badplugins_missing_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_conformance_badplugins_missing_la_LDFLAGS = $(BADPLUGIN_LDFLAGS)

check_LTLIBRARIES += tests/conformance/badplugins/noentry.la
tests_conformance_badplugins_noentry_la_SOURCES = tests/conformance/badplugins/noentry.c tests/conformance/badplugins/common.h
tests_conformance_badplugins_noentry_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_conformance_badplugins_noentry_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_conformance_badplugins_noentry_la_LDFLAGS = $(BADPLUGIN_LDFLAGS)

check_LTLIBRARIES += tests/conformance/badplugins/noname.la
tests_conformance_badplugins_noname_la_SOURCES = tests/conformance/badplugins/noname.c tests/conformance/badplugins/common.h
tests_conformance_badplugins_noname_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_conformance_badplugins_noname_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_conformance_badplugins_noname_la_LDFLAGS = $(BADPLUGIN_LDFLAGS)

check_LTLIBRARIES += tests/conformance/badplugins/nosettings.la
tests_conformance_badplugins_nosettings_la_SOURCES = tests/conformance/badplugins/nosettings.c tests/conformance/badplugins/common.h
tests_conformance_badplugins_nosettings_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_conformance_badplugins_nosettings_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_conformance_badplugins_nosettings_la_LDFLAGS = $(BADPLUGIN_LDFLAGS)

check_LTLIBRARIES += tests/conformance/badplugins/null.la
tests_conformance_badplugins_null_la_SOURCES = tests/conformance/badplugins/null.c tests/conformance/badplugins/common.h
tests_conformance_badplugins_null_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_conformance_badplugins_null_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_conformance_badplugins_null_la_LDFLAGS = $(BADPLUGIN_LDFLAGS)

check_LTLIBRARIES += tests/conformance/badplugins/old.la
tests_conformance_badplugins_old_la_SOURCES = tests/conformance/badplugins/old.c tests/conformance/badplugins/common.h
tests_conformance_badplugins_old_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_conformance_badplugins_old_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_conformance_badplugins_old_la_LDFLAGS = $(BADPLUGIN_LDFLAGS)

check_LTLIBRARIES += tests/conformance/badplugins/othername.la
tests_conformance_badplugins_othername_la_SOURCES = tests/conformance/badplugins/othername.c tests/conformance/badplugins/common.h
tests_conformance_badplugins_othername_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_conformance_badplugins_othername_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_conformance_badplugins_othername_la_LDFLAGS = $(BADPLUGIN_LDFLAGS)

check_LTLIBRARIES += tests/conformance/badplugins/reserved.la
tests_conformance_badplugins_reserved_la_SOURCES = tests/conformance/badplugins/reserved.c tests/conformance/badplugins/common.h
tests_conformance_badplugins_reserved_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_conformance_badplugins_reserved_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_conformance_badplugins_reserved_la_LDFLAGS = $(BADPLUGIN_LDFLAGS)

check_LTLIBRARIES += tests/conformance/badplugins/short.la
tests_conformance_badplugins_short_la_SOURCES = tests/conformance/badplugins/short.c tests/conformance/badplugins/common.h
tests_conformance_badplugins_short_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_conformance_badplugins_short_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_conformance_badplugins_short_la_LDFLAGS = $(BADPLUGIN_LDFLAGS)
