# local.mk - gpgflow: gpgme's data flow against a spawned gpg
check_PROGRAMS += tests/bench/gpg/gpgflow
tests_bench_gpg_gpgflow_CFLAGS = $(AM_CFLAGS) $(CORE_CFLAGS)
tests_bench_gpg_gpgflow_LDADD = libcore.a $(CORE_LIBS)
