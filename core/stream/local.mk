# local.mk - recipes, tar headers, the tree builder
libcore_a_SOURCES += \
	core/stream/arena.c \
	core/stream/extract.c \
	core/stream/extract.h \
	core/stream/extract_acl.c \
	core/stream/extract_check.c \
	core/stream/extract_dirs.c \
	core/stream/extract_entry.c \
	core/stream/extract_finish.c \
	core/stream/extract_internal.h \
	core/stream/extract_large.c \
	core/stream/extract_meta.c \
	core/stream/extract_scan.c \
	core/stream/extract_spool.c \
	core/stream/recipe.h \
	core/stream/recipe_read.c \
	core/stream/recipe_write.c \
	core/stream/tar.c \
	core/stream/tar.h \
	core/stream/tar_internal.h \
	core/stream/tar_pax.c \
	core/stream/tree.c \
	core/stream/tree.h \
	core/stream/tree_bulk.c \
	core/stream/tree_internal.h \
	core/stream/tree_out.c \
	core/stream/tree_prev.c \
	core/stream/tree_read.c
