#!/bin/bash
# source_nginx.sh - the nginx source against a real nginx: everything its configuration reaches, back in place with a test before and after,
# key material apart, and what goes wrong.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2154 # variables of lib.sh
. "${SRCDIR:?the folder of the sources}/tests/integration/lib.sh"
# shellcheck source=server_nginx.sh
. "$here/server_nginx.sh"
: "${BUILDDIR:?the folder of the build}"
need openssl curl pgrep python3
need_root "nginx tests a copy in a mount namespace"
command -v nginx >/dev/null || PATH=$PATH:/usr/sbin
need nginx

make_key key 'Recipient <recipient@example.com>'
make_key other 'Keeper of keys <keeper@example.com>'
chmod 711 "$work"
web=$work/web
c=$web/etc/nginx
nginx_site "$web"
echo data >"$work/file"
safety=$work/safety
more=

# with_source LINE...: a manifest for the repository, with an nginx source "web" and a files source "plain".
with_source() {
  new_repo repo <<EOF
[source web]
plugin = nginx
config = $c/nginx.conf
safety = $safety
$(printf '%s\n' "$@")
[source plain]
plugin = files
path = $work/file
$more
EOF
  [ -e "$R/state" ] && [ -z "${more:-}" ] || must init
}

# prints: all files and links below the configuration with content, mode, owner and time.
prints() { (cd "$c" && find . ! -type d -printf '%p %y %m %u %g %s %T@ %l\n' | sort && find . -type f -exec sha256sum {} + | sort); }

# came_back DIR: is what is below DIR the configuration as it was kept?
came_back() { diff -r --no-dereference "$work/kept/etc" "$1/etc"; }

ok "conformance" "$BUILDDIR/holdfast-source-conformance" "$BUILDDIR/plugins/nginx/.libs/nginx.so" "config=$c/nginx.conf"

# ---- backup, restore to a folder, drill

with_source 'reload = yes'
hf check
exits 0 "check"
says '7 files and links of .*nginx.conf \(2 with key material; 1 folder\)' "says what it would read"
cp -a "$web" "$work/kept"
hf backup
exits 0 "backup"
hf backup
exits 0 "again"
says '^web +complete +7 +[0-9.]+ [KMi]*B +0 B ' "nothing changed, nothing read"
hf restore latest web --to "$work/out.d"
exits 0 "restore to a folder"
ok "all of the configuration is there, the site that is off too" came_back "$work/out.d/web$web"
is "$(stat -c %a "$work/out.d/web$c/ssl/site.key") $(stat -c %a "$work/out.d/web$c/htpasswd")" "600 640" "with its modes"
ok "and nothing of what is served" test ! -e "$work/out.d/web$web/www"
must cat latest web "$c/ssl/site.key"
ok "the key is the key" cmp "$work/out" "$c/ssl/site.key"
hf drill latest web
exits 0 "a drill"
says 'web +passed' "passes"
mv "$c" "$web/away"
hf drill latest web
exits 0 "and does so where the configuration is gone"
mv "$web/away" "$c"

# ---- in place, with the real server

nginx_start "$web"
ok "the server answers" grep -q 'X-Version: one' <(nginx_get "$web" x.txt)
sed -i 's/Version one/Version two/' "$c/sites-available/site"
rm "$c/sites-available/off"
mapfile -t old < <(nginx_workers "$web")
kill -HUP "$(cat "$web/nginx.pid")"
nginx_gone "${old[@]}"
ok "it has another configuration" grep -q 'X-Version: two' <(nginx_get "$web" x.txt)
mapfile -t old < <(nginx_workers "$web")
hf restore latest web --in-place --yes
exits 0 "restore in place"
ok "the files are back" came_back "$web"
nginx_gone "${old[@]}"
ok "and the server has loaded them" grep -q 'X-Version: one' <(nginx_get "$web" x.txt)
says "kept in $safety/" "what was replaced is kept, and the message says where"
is "$(grep -c 'Version two' "$safety"/*"$c/sites-available/site")" 1 "as it was"
is "$(find "$safety" -name '.incoming*')" "" "nothing else is left there"
is "$(stat -c %a "$safety")" 700 "for nobody else to see"

# The configuration is broken, or gone: that is when it is wanted back.
echo '} broken {' >"$c/nginx.conf"
hf restore latest web --in-place --yes
exits 0 "a configuration that does not parse is replaced"
ok "by the good one" came_back "$web"
nginx_stop "$web"
rm -rf "$c"
sed -i '/^reload/d' "$M"
hf restore latest web --in-place --yes
exits 0 "so is one that is gone altogether"
ok "with all that belongs to it" came_back "$web"
is "$(stat -c '%a' "$c/ssl/site.key")" 600 "and its modes"
ok "nginx takes it" nginx -t -q -c "$c/nginx.conf"

# ---- a restored configuration that nginx refuses

# Another certificate is in use meanwhile, and the old one is gone: the old site alone cannot work.
sed -i 's/site\.\(pem\|key\)/new.\1/; s/Version one/Version three/' "$c/sites-available/site"
mv "$c/ssl/site.pem" "$c/ssl/new.pem"
mv "$c/ssl/site.key" "$c/ssl/new.key"
nginx -t -q -c "$c/nginx.conf" 2>/dev/null || result 1 "preparation: another certificate"
prints >"$work/before"
rm -rf "$safety"
hf restore latest web --in-place --yes --path "$c/sites-available/site"
exits 1 "a part that does not fit the rest is refused"
says 'nothing has been replaced: .*site\.pem' "with nginx' own words"
prints >"$work/after"
ok "and nothing has been replaced" cmp "$work/before" "$work/after"
# Where no copy can be tested beforehand, it is tried and taken back.
mkdir "$work/bin"
for d in /usr/sbin /usr/bin /usr/local/bin; do cp -sf "$d"/* "$work/bin/" 2>/dev/null; done
rm -f "$work/bin/unshare"
PATH=$work/bin hf restore latest web --in-place --yes --path "$c/sites-available/site"
exits 1 "the same without a test beforehand"
says 'everything is as it was before: .*site\.pem' "is taken back"
prints >"$work/after"
ok "byte by byte, with modes, owners and times" cmp "$work/before" "$work/after"
is "$(find "$safety" -mindepth 1)" "" "nothing is left of it"
PATH=$work/bin hf drill latest web
exits 1 "no drill without namespaces"
says 'unshare' "and the message says what is missing"
rm -rf "$web" && cp -a "$work/kept" "$web"

# ---- key material for others

more="[source keys]
plugin = nginx
config = $c/nginx.conf
part = keys
recipients = $other
safety = $safety"
with_source 'part = config'
more=
hf backup
exits 0 "two sources, one without and one with the key material only"
hf restore latest web keys --to "$work/parts"
exits 0 "restore of both"
is "$(cd "$work/parts/web$c" && find . -type f | sort | tr '\n' ' ')" "./dh.pem ./nginx.conf ./sites-available/off ./sites-available/site ./ssl/site.pem " "the one has no key and no password"
is "$(cd "$work/parts/keys$c" && find . -type f | sort | tr '\n' ' ')" "./htpasswd ./ssl/site.key " "the other one nothing else"
hf drill latest web keys
exits 0 "a drill of both"
rm -rf "$c"
hf restore latest keys --in-place --yes
exits 0 "keys back in place"
says 'there is no .*nginx.conf yet: nothing to test' "with nothing to test yet"
hf restore latest web --in-place --yes
exits 0 "then the configuration"
ok "all is there" came_back "$web"
cat "$c/ssl/site.key" >>"$c/ssl/site.pem"
hf backup web
exits 0 "a certificate file that holds the key as well"
hf restore latest web --to "$work/joint"
ok "counts as a key" test ! -e "$work/joint/web$c/ssl/site.pem"
rm -rf "$web" && cp -a "$work/kept" "$web"

# ---- what goes wrong: costs this source, and is said once

# failing NAME REGEX: the backup is done in part, one message matches, the other source is committed.
failing() {
  hf backup
  exits 3 "$1: exit code 3"
  is "$(grep -cE "source web: .*($2)" "$work/err")" 1 "$1: one clear message"
  rm -rf "$work/plain"
  hf restore latest plain --to "$work/plain"
  ok "$1: the other source is committed" cmp "$work/file" "$work/plain/plain$work/file"
  rm -rf "$web" && cp -a "$work/kept" "$web"
}
with_source
echo 'server { listen 127.0.0.1:1; lsten 2; }' >"$c/sites-enabled/bad"
failing "a configuration that nginx does not take" 'unknown directive "lsten" in .*sites-enabled/bad:1'
echo 'server { "' >"$c/sites-enabled/bad"
failing "one that does not parse" 'unexpected end of file.*bad:'
rm "$c/ssl/site.pem"
failing "a certificate that is missing" 'cannot load certificate ".*site\.pem"'
rm "$c/nginx.conf"
failing "no configuration" 'nginx\.conf" failed \(2: No such file'
with_source 'user = nobody'
chmod 755 "$c" "$c/ssl"
failing "a key that this account may not read" 'site\.key.*Permission denied.*run as root'
with_source 'nginx = /no/such/nginx'
failing "no nginx" '/no/such/nginx'
with_source 'part = keys'
sed -i '/ssl\|auth/d' "$c/sites-available/site"
failing "no key material" 'names no key material'

# What nginx itself does not look at is listed, and the rest is stored.
with_source
rm "$c/htpasswd"
hf backup
exits 3 "a password file that is missing: exit code 3"
says 'htpasswd.*No such file.*auth_basic_user_file.*site:8' "is named, with the line"
hf restore latest web --to "$work/less"
ok "the rest is stored" test -s "$work/less/web$c/ssl/site.key"
hf drill latest web
exits 1 "a drill of that snapshot"
says '1 file that it names is not in the restored copy' "finds it out"
rm -rf "$web" && cp -a "$work/kept" "$web"
# shellcheck disable=SC2016 # a variable of nginx
sed -i 's|ssl/site.key|ssl/$ssl_server_name.key|; s|ssl/site.pem|ssl/$ssl_server_name.pem|' "$c/sites-available/site"
hf backup
exits 3 "a name that depends on the request: exit code 3"
says 'ssl_server_name\.key.*depends on the request' "is named"
rm -rf "$web" && cp -a "$work/kept" "$web"

# ---- while somebody edits

python3 - "$c" "$work/stop" <<'EOF' &
import os, sys
folder, stop = sys.argv[1:]
n = 0
while not os.path.exists(stop):
    n += 1
    for name in "first", "second":
        path = f"{folder}/sites-enabled/{name}"
        # Elsewhere first: include sites-enabled/* would find half a file.
        with open(f"{folder}/half", "w") as f:
            f.write(f"# {n}\n")
        os.rename(f"{folder}/half", path)
EOF
jobs_started+=($!)
until [ -e "$c/sites-enabled/second" ]; do :; done
hf backup
exits 3 "a backup while the configuration is rewritten all the time: exit code 3"
says 'changed (while nginx read it|during the backup|while it was read)' "says that it does not fit"
touch "$work/stop"
wait
rm -f "$c"/sites-enabled/*.tmp
hf backup
exits 0 "afterwards all is well"
hf restore latest web --to "$work/pair"
ok "and the files belong together" cmp "$work/pair/web$c/sites-enabled/first" "$work/pair/web$c/sites-enabled/second"
done_testing
