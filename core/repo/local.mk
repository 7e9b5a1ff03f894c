# local.mk - bytes and keys: objects, packs, indexes, records, the chain, OpenPGP
libcore_a_SOURCES += \
	core/repo/chain.c \
	core/repo/crypto.c \
	core/repo/crypto.h \
	core/repo/crypto_bulk.c \
	core/repo/crypto_internal.h \
	core/repo/crypto_keys.c \
	core/repo/crypto_known.c \
	core/repo/crypto_meta.c \
	core/repo/crypto_packets.c \
	core/repo/crypto_run.c \
	core/repo/index_read.c \
	core/repo/index_write.c \
	core/repo/layout.c \
	core/repo/pack_internal.h \
	core/repo/pack_read.c \
	core/repo/pack_seal.c \
	core/repo/pack_write.c \
	core/repo/ranges.c \
	core/repo/record.c \
	core/repo/record_internal.h \
	core/repo/record_read.c \
	core/repo/record_write.c \
	core/repo/repo.h \
	core/repo/secret.c \
	core/repo/texts.c \
	core/repo/zstd.c

# README.txt and recover.sh go into every repository: they are made into C strings.
nodist_libcore_a_SOURCES = core/repo/text_data.c
REPO_TEXTS = core/repo/readme.txt core/repo/recover.sh
EXTRA_DIST += $(REPO_TEXTS) core/repo/text_data.sh
CLEANFILES += core/repo/text_data.c
core/repo/text_data.c: $(REPO_TEXTS) core/repo/text_data.sh
	$(AM_V_GEN)$(MKDIR_P) core/repo && $(SHELL) $(srcdir)/core/repo/text_data.sh \
	  $(srcdir)/core/repo/readme.txt $(srcdir)/core/repo/recover.sh >$@.tmp && mv $@.tmp $@
