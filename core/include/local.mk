# local.mk - the SDK: the headers plugin authors get
sdkdir = $(includedir)/holdfast
sdk_HEADERS = core/include/holdfast/plugin.h core/include/holdfast/source.h core/include/holdfast/target.h
