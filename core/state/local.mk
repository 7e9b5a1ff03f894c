# local.mk - the host's own memory
libcore_a_SOURCES += \
	core/state/catalogue.c \
	core/state/memory.c \
	core/state/runs.c \
	core/state/runs.h \
	core/state/state.c \
	core/state/state.h \
	core/state/state_impl.h
