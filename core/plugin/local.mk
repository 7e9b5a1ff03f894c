# local.mk - core/plugin
libcore_a_SOURCES += \
	core/plugin/describe.c \
	core/plugin/internal.h \
	core/plugin/loader.c \
	core/plugin/plugin.h \
	core/plugin/registry.c \
	core/plugin/secret.c \
	core/plugin/settings.c \
	core/plugin/worker.c \
	core/plugin/worker.h \
	core/plugin/worker_backup.c \
	core/plugin/worker_child.c \
	core/plugin/worker_child_backup.c \
	core/plugin/worker_child_restore.c \
	core/plugin/worker_msg.c \
	core/plugin/worker_proto.h \
	core/plugin/worker_restore.c
