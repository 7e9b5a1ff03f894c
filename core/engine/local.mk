# local.mk - one file per verb
libcore_a_SOURCES += \
	core/engine/append.c \
	core/engine/append.h \
	core/engine/backup.c \
	core/engine/browse.c \
	core/engine/browse.h \
	core/engine/cat.c \
	core/engine/chain.c \
	core/engine/check.c \
	core/engine/check.h \
	core/engine/confirm.c \
	core/engine/engine.h \
	core/engine/drill.c \
	core/engine/drill.h \
	core/engine/hooks.c \
	core/engine/hooks.h \
	core/engine/init.c \
	core/engine/live.c \
	core/engine/live.h \
	core/engine/read.c \
	core/engine/recipients.c \
	core/engine/repo_lock.c \
	core/engine/restore.c \
	core/engine/restore_impl.h \
	core/engine/restore_tree.c \
	core/engine/safety.c \
	core/engine/select.c \
	core/engine/session.c \
	core/engine/session.h \
	core/engine/sync.c \
	core/engine/sync.h \
	core/engine/verify.c \
	core/engine/verify_impl.h \
	core/engine/verify_read.c
