# local.mk - the manual pages
dist_man_MANS += \
	man/holdfast-backup.1 \
	man/holdfast-cat.1 \
	man/holdfast-check.1 \
	man/holdfast-completion.1 \
	man/holdfast-diff.1 \
	man/holdfast-drill.1 \
	man/holdfast-examples.7 \
	man/holdfast-init.1 \
	man/holdfast-list.1 \
	man/holdfast-ls.1 \
	man/holdfast-notify.1 \
	man/holdfast-notify.7 \
	man/holdfast-plugin.3 \
	man/holdfast-plugins.1 \
	man/holdfast-prune.1 \
	man/holdfast-recovery.7 \
	man/holdfast-repository.5 \
	man/holdfast-restore.1 \
	man/holdfast-schedule.7 \
	man/holdfast-source-exec.7 \
	man/holdfast-source-files.7 \
	man/holdfast-source-sqlite.7 \
	man/holdfast-source-redis.7 \
	man/holdfast-source-nginx.7 \
	man/holdfast-source-systemd.7 \
	man/holdfast-source-postgres.7 \
	man/holdfast-status.1 \
	man/holdfast-sync.1 \
	man/holdfast-target-gcs.7 \
	man/holdfast-target-azure.7 \
	man/holdfast-target-local.7 \
	man/holdfast-target-s3.7 \
	man/holdfast-target-rsync.7 \
	man/holdfast-verify.1 \
	man/holdfast.1 \
	man/holdfast.ini.5
