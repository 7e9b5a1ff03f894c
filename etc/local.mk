# local.mk - what is installed beside the program
pkgconfig_DATA = etc/holdfast.pc

examplesdir = $(docdir)/examples
dist_examples_DATA = \
	etc/examples/app-host.ini \
	etc/examples/daily-prune.conf \
	etc/examples/drill-report.conf \
	etc/examples/folder-to-s3.ini \
	etc/examples/gcs-lifecycle.json \
	etc/examples/gcs-role-admin.yaml \
	etc/examples/gcs-role-host.yaml \
	etc/examples/gcs-role-locks.yaml \
	etc/examples/azure-lifecycle.json \
	etc/examples/azure-role-admin.json \
	etc/examples/azure-role-host.json \
	etc/examples/quarterly-drill.conf \
	etc/examples/s3-lifecycle.json \
	etc/examples/s3-policy-admin.json \
	etc/examples/s3-policy-host.json \
	etc/examples/service-backup.conf \
	etc/examples/service-cleanup.conf \
	etc/examples/service-databases.conf \
	etc/examples/service-logrotate.conf \
	etc/examples/service-status.conf \
	etc/examples/service.ini \
	etc/holdfast.cron \
	etc/holdfast.logrotate \
	etc/manifest.sample.ini

# Each asks the program, which knows its commands and options.
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = etc/completions/holdfast
fishcompletiondir = $(datadir)/fish/vendor_completions.d
dist_fishcompletion_DATA = etc/completions/holdfast.fish
zshcompletiondir = $(datadir)/zsh/site-functions
dist_zshcompletion_DATA = etc/completions/_holdfast

# Units and timers, installed but not enabled. What they share stands in two files of its own, and every unit gets a copy.
UNITS = \
	etc/systemd/holdfast-backup.service \
	etc/systemd/holdfast-backup@.service \
	etc/systemd/holdfast-drill.service \
	etc/systemd/holdfast-prune.service \
	etc/systemd/holdfast-status.service \
	etc/systemd/holdfast-verify.service
TIMERS = \
	etc/systemd/holdfast-backup.timer \
	etc/systemd/holdfast-backup@.timer \
	etc/systemd/holdfast-drill.timer \
	etc/systemd/holdfast-prune.timer \
	etc/systemd/holdfast-status.timer \
	etc/systemd/holdfast-verify.timer
UNIT_PARTS = etc/systemd/hardening.conf etc/systemd/running.conf
EXTRA_DIST += $(UNITS:=.in) $(TIMERS) $(UNIT_PARTS)
CLEANFILES += $(UNITS)
if INSTALL_UNITS
nodist_systemdsystemunit_DATA = $(UNITS)
dist_systemdsystemunit_DATA = $(TIMERS)
endif

$(UNITS): %: %.in $(UNIT_PARTS)
	$(AM_V_GEN)$(MKDIR_P) etc/systemd && \
	$(SED) -e '/^@running@$$/{' -e 'r $(srcdir)/etc/systemd/running.conf' -e 'd' -e '}' -e '/^@hardening@$$/{' -e 'r $(srcdir)/etc/systemd/hardening.conf' -e 'd' -e '}' \
	  '$(srcdir)/$@.in' | $(SED) -e 's|@bindir[@]|$(bindir)|g; s|@sysconfdir[@]|$(sysconfdir)|g; s|@unit[@]|$(@F)|g' >$@.tmp && mv -f $@.tmp $@
