# local.mk - from a source to the targets and back
libcore_a_SOURCES += \
	core/pipeline/chunker.c \
	core/pipeline/chunker.h \
	core/pipeline/ingest.c \
	core/pipeline/ingest.h \
	core/pipeline/pace.c \
	core/pipeline/pace.h \
	core/pipeline/plan.c \
	core/pipeline/plan.h \
	core/pipeline/reuse.c \
	core/pipeline/store.c \
	core/pipeline/store.h \
	core/pipeline/target.c \
	core/pipeline/target.h \
	core/pipeline/upload.c \
	core/pipeline/upload.h
