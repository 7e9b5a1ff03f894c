# local.mk - what is installed beside the program
pkgconfig_DATA = etc/holdfast.pc

examplesdir = $(docdir)/examples
dist_examples_DATA = \
	etc/examples/app-host.ini \
	etc/manifest.sample.ini
