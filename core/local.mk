# local.mk - the program
bin_PROGRAMS += holdfast
holdfast_SOURCES = core/main.c
holdfast_CFLAGS = $(AM_CFLAGS) -fPIE -fvisibility=hidden $(CORE_CFLAGS)
holdfast_LDFLAGS = $(AM_LDFLAGS) -pie
holdfast_LDADD = libcore.a $(CORE_LIBS)
