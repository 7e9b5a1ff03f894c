#!/bin/bash
# samples.sh - the sample manifests are ones that holdfast takes, and what of them can run anywhere does run.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154 # variables of lib.sh
. "${SRCDIR:?}/tests/integration/lib.sh"
need dpkg systemd-analyze

# shellcheck source=sample.sh
. "$here/sample.sh"

sample_keys
# Nobody is asked who is not there: what a sample has elsewhere is switched off, and its keys are checked all the same.
for sample in "$SRCDIR/etc/manifest.sample.ini" "$SRCDIR"/etc/examples/{folder-to-s3,service,app-host}.ini; do
  sample_settle "$sample"
  T=$root/mnt/backup/shop1
  for section in $(awk '/^\[/ { section = $2 } $1 == "plugin" && $3 ~ /^(s3|rsync|gcs|azure)$/ { sub("]", "", section); print section }' "$M"); do
    sample_add "target $section" 'enabled = no'
  done
  for section in $(sed -n 's/^\[notify \(.*\)\]$/\1/p' "$M"); do sample_add "notify $section" 'enabled = no'; done
  # One target has to be there.
  grep -q '^plugin *= local$' "$M" || printf '[target here]\nplugin = local\npath = %s\n' "$root/mnt/backup" >>"$M"
  mkdir -p "$(awk -F ' *= *' '$1 == "plugin" { local = $2 == "local" } local && $1 == "path" { print $2 }' "$M" | tail -n 1)"
  hf init
  exits 0 "${sample##*/} is a manifest"
  is "$(grep -c . "$work/err")" 0 "${sample##*/}: without a warning" || show_last
done
is "$(find "$SRCDIR/etc/examples" -name '*.ini' | wc -l)" 3 "these are all of them"

# ---- drop-ins: each says where it goes, and fits what is there

units=$work/units
mkdir "$units"
for unit in "$SRCDIR"/etc/systemd/*.in; do
  name=${unit##*/}
  sed -e '/^@[a-z]*@$/d' -e "s#@bindir@#/bin#; s#/bin/holdfast#/bin/true#" "$unit" >"$units/${name%.in}"
done
cp "$SRCDIR"/etc/systemd/*.timer "$units"
for conf in "$SRCDIR"/etc/examples/*.conf; do
  place=$(sed -n '1s/^# To be copied to \([^ ]*\.conf\)[:. ].*/\1/p' "$conf")
  case ${conf##*/} in service-logrotate.conf) continue ;; esac
  unit=$(basename "${place%/*}" .d)
  [[ $place == /etc/systemd/system/*.d/*.conf ]] && [ -e "$units/${unit/@*./@.}" ]
  result $? "${conf##*/} is for a unit that there is" || echo "# $place"
  mkdir -p "$units/$unit.d"
  sed 's#=holdfast #=/bin/true #' "$conf" >"$units/$unit.d/${place##*/}"
  for when in $(sed -n 's/^OnCalendar=\(..*\)$/\1/p' "$conf" | tr ' ' '_'); do
    ok "${conf##*/}: ${when//_/ } is a time" systemd-analyze calendar "${when//_/ }"
  done
done
# Instances, too: one is named in a drop-in.
for unit in "$units"/*.{service,timer}; do
  case $unit in *@.*) echo "${unit/@/@databases}" ;; *) echo "$unit" ;; esac
done >"$work/list"
for unit in $(grep @ "$work/list"); do cp "${unit/@databases/@}" "$unit"; done
mapfile -t all <"$work/list"
SYSTEMD_UNIT_PATH=$units: systemd-analyze verify --man=no --recursive-errors=no "${all[@]}" >"$work/out" 2>&1
is "$(grep -v 'Unit .* is not loaded properly' "$work/out")" '' "systemd takes units and drop-ins"

# ---- app-host.ini: what runs without servers

mkdir -p "$root"/srv/shop/{config/secrets,uploads/tmp,spool} "$root"/etc/{holdfast,ssl/private} "$root/usr/local" "$work/bin"
echo "port = 80" >"$root/srv/shop/config/shop.conf"
echo "port = 79" >"$root/srv/shop/config/shop.conf.bak"
echo hush >"$root/srv/shop/config/secrets/token"
echo picture >"$root/srv/shop/uploads/1.jpg"
echo half >"$root/srv/shop/uploads/tmp/2.jpg"
echo job >"$root/srv/shop/spool/1"
# The hooks' systemctl and logger note what they were asked to do.
for tool in systemctl logger; do
  printf '#!/bin/sh\necho "%s $*" >>"%s"\n' "$tool" "$work/hooks" >"$work/bin/$tool"
  chmod 755 "$work/bin/$tool"
done
PATH=$work/bin:$PATH hf backup config secrets uploads spool packages
exits 0 "backup of the sources that need no server"
is "$(cat "$work/hooks")" "$(printf 'systemctl %s shop-worker.service\n' stop start)" "the hooks of the spool stop and start its worker"
hf restore latest --to "$work/r"
exits 0 "restore"
printf '%s\n' config/srv/shop/config/shop.conf packages/packages.txt secrets/etc/holdfast/mail.pw secrets/etc/holdfast/redis.pw secrets/etc/holdfast/s3.secret secrets/srv/shop/config/secrets/token \
  spool/srv/shop/spool/1 uploads/srv/shop/uploads/1.jpg >"$work/want"
(cd "$work/r" && find . -type f | sed "s#$root##; s#^\./##" | sort) >"$work/got"
ok "each source has what it should, and no more" diff "$work/want" "$work/got"
ok "the list of packages" grep -Eq "^dpkg[[:space:]]+install" "$work/r/packages/packages.txt"
hf drill latest packages
exits 0 "drill"
rm "$work/hooks"
mv "$root/srv/shop/spool" "$root/srv/shop/gone"
PATH=$work/bin:$PATH hf backup config spool
exits 3 "the spool is missing: exit code 3"
is "$(cut -d' ' -f1,2 "$work/hooks")" "$(printf '%s\n' 'systemctl stop' 'logger -p' 'systemctl start')" "the failure is logged, and the worker starts all the same"

# The secrets are for other eyes.
gpg_only() {
  local home=$work/only
  rm -rf "$home"
  mkdir -m 700 "$home"
  mygpg --armor --export-secret-keys "$1" | mygpg --homedir "$home" --import
  GNUPGHOME=$home hf restore "$2" "$3" --to "$work/only-$3"
  gpgconf --homedir "$home" --kill all >/dev/null 2>&1
}
gpg_only "$key" 2 config
exits 0 "who may read the configuration can"
gpg_only "$key" 2 secrets
[ "$rc" -ne 0 ]
result $? "and cannot read the secrets" || show_last
done_testing
