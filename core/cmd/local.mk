# local.mk - one file per command
libcore_a_SOURCES += \
	core/cmd/args.c \
	core/cmd/cmd.h \
	core/cmd/cmd_backup.c \
	core/cmd/cmd_cat.c \
	core/cmd/cmd_check.c \
	core/cmd/cmd_completion.c \
	core/cmd/cmd_diff.c \
	core/cmd/cmd_drill.c \
	core/cmd/cmd_init.c \
	core/cmd/cmd_list.c \
	core/cmd/cmd_ls.c \
	core/cmd/cmd_notify.c \
	core/cmd/cmd_plugins.c \
	core/cmd/cmd_prune.c \
	core/cmd/cmd_restore.c \
	core/cmd/cmd_status.c \
	core/cmd/cmd_sync.c \
	core/cmd/cmd_undo.c \
	core/cmd/cmd_verify.c \
	core/cmd/complete.c \
	core/cmd/complete.h \
	core/cmd/contact_out.c \
	core/cmd/drill_html.c \
	core/cmd/drill_out.h \
	core/cmd/entry_out.c \
	core/cmd/entry_out.h \
	core/cmd/open.c \
	core/cmd/out.c \
	core/cmd/record_out.c \
	core/cmd/restore_ask.c \
	core/cmd/restore_out.h \
	core/cmd/table.c
