# local.mk - what is installed beside the program
pkgconfig_DATA = etc/holdfast.pc

examplesdir = $(docdir)/examples
dist_examples_DATA = \
	etc/examples/app-host.ini \
	etc/examples/gcs-lifecycle.json \
	etc/examples/gcs-role-admin.yaml \
	etc/examples/gcs-role-host.yaml \
	etc/examples/gcs-role-locks.yaml \
	etc/examples/azure-lifecycle.json \
	etc/examples/azure-role-admin.json \
	etc/examples/azure-role-host.json \
	etc/examples/s3-lifecycle.json \
	etc/examples/s3-policy-admin.json \
	etc/examples/s3-policy-host.json \
	etc/manifest.sample.ini
