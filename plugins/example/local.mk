# local.mk - the example source, built for the tests and not installed: -rpath makes a shared object of a noinst module
# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += plugins/example/example.la
plugins_example_example_la_SOURCES = plugins/example/example.c
plugins_example_example_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_example_example_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_example_example_la_LDFLAGS = $(SOURCE_LDFLAGS) -rpath $(abs_builddir)
EXTRA_DIST += plugins/example/Makefile
