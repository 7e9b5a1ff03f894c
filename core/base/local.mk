# local.mk - errors, log, memory, text forms, files, processes, digests, queues, JSON
libcore_a_SOURCES += \
	core/base/base.h \
	core/base/buf.c \
	core/base/digest.c \
	core/base/digest.h \
	core/base/each.c \
	core/base/error.c \
	core/base/escape.c \
	core/base/hex.c \
	core/base/internal.h \
	core/base/io.c \
	core/base/io.h \
	core/base/json.c \
	core/base/json.h \
	core/base/lock.c \
	core/base/log.c \
	core/base/mem.c \
	core/base/path.c \
	core/base/process.c \
	core/base/queue.c \
	core/base/queue.h \
	core/base/template.c \
	core/base/text.h \
	core/base/units.c \
	core/base/words.c
