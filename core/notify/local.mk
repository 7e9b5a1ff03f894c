# local.mk - the channels by which people and programs are told
libcore_a_SOURCES += \
	core/notify/channel.c \
	core/notify/channel.h \
	core/notify/command.c \
	core/notify/curl.c \
	core/notify/datagram.c \
	core/notify/email.c \
	core/notify/internal.h \
	core/notify/journald.c \
	core/notify/notice.c \
	core/notify/notice_text.c \
	core/notify/statsd.c \
	core/notify/syslog.c \
	core/notify/webhook.c
