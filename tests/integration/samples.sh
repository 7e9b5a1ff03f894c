#!/bin/bash
# samples.sh - the sample manifests are ones that holdfast takes, and what of them can run anywhere does run.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154 # variables of lib.sh
. "${SRCDIR:?}/tests/integration/lib.sh"
need dpkg

make_key key 'Backup <backup@example.com>'
make_key second 'Backup Safe <backup-safe@example.com>'
make_key third 'Security <security@example.com>'
root=$work/root

# settle FILE: a sample as $M, with all folders below $root, and the public keys and passwords that it names. Sections whose plugin is no part
# of the sources are left out, each as a test that is skipped.
settle() {
  local name word
  R=$work/${1##*/}.d
  M=$R/manifest.ini
  mkdir -p "$R/keys" "$root"
  sed -E "s#(= *|, )/(etc|srv|home|usr/local|mnt|var)(/|,|\$)#\1$root/\2\3#g" "$1" >"$M"
  T=$root/mnt/backup/shop1
  sed -i "s#^\[holdfast\]#&\nstate = $R/state#" "$M"
  for word in $(awk -F ' *= *' '$1 == "plugin" { print $2 }' "$M" | sort -u); do
    [ ! -d "$SRCDIR/plugins/$word" ] && [ ! -d "$SRCDIR/targets/$word" ] || continue
    tests=$((tests + 1))
    echo "ok $tests - ${1##*/}: sections of the plugin $word # SKIP there is no such plugin yet"
    awk -v plugin="$word" '
      function out() { if (text !~ "\nplugin *= *" plugin "\n") printf "%s", text; text = "" }
      /^\[/ { out() }
      { text = text $0 "\n" }
      END { out() }' "$M" >"$M.new" && mv "$M.new" "$M"
  done
  for name in $(awk -F ' *= *' '$1 == "recipient-key" { print $2 }' "$M"); do
    case $name in
      *safe*) mygpg --armor --export "$second" ;;
      *) mygpg --armor --export "$key" "$third" ;;
    esac >"$R/$name"
  done
  for name in $(awk -F ' *= *' '$1 ~ /^[a-z].*-file$/ && $1 != "environment-file" && $1 != "exclude-file" { print $2 }' "$M"); do
    mkdir -p "${name%/*}"
    echo hush >"$name"
    chmod 600 "$name"
  done
}

for sample in "$SRCDIR/etc/manifest.sample.ini" "$SRCDIR"/etc/examples/*.ini; do
  settle "$sample"
  mkdir -p "$(awk -F ' *= *' '$1 == "path" { path = $2 } END { print path }' "$M")"
  hf init
  exits 0 "${sample##*/} is a manifest"
  is "$(grep -c . "$work/err")" 0 "${sample##*/}: without a warning" || show_last
done

# ---- app-host.ini: what runs without servers

[[ $M == */app-host.ini.d/* ]]
result $? "the last one is app-host.ini"
mkdir -p "$root"/srv/shop/{config/secrets,uploads/tmp,spool} "$root"/etc/{holdfast,ssl/private} "$root/usr/local" "$work/bin"
echo "port = 80" >"$root/srv/shop/config/shop.conf"
echo "port = 79" >"$root/srv/shop/config/shop.conf.bak"
echo hush | tee "$root/srv/shop/config/secrets/token" >"$root/etc/holdfast/redis.pw"
chmod 600 "$root/etc/holdfast/redis.pw"
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
printf '%s\n' config/srv/shop/config/shop.conf packages/packages.txt secrets/etc/holdfast/redis.pw secrets/srv/shop/config/secrets/token \
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
