# local.mk - the manifest: INI text to checked settings
libcore_a_SOURCES += \
	core/manifest/build.c \
	core/manifest/ini.c \
	core/manifest/internal.h \
	core/manifest/manifest.c \
	core/manifest/manifest.h \
	core/manifest/notify.c \
	core/manifest/notify.h
