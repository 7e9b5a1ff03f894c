# server_nginx.sh - a real nginx for the tests, on a free port of the loopback interface.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# To be sourced behind lib.sh, which ends what is started here. Needs nginx, openssl, curl, pgrep and python3.
#   nginx_site DIR        a configuration below DIR/etc/nginx with one TLS site that wants a password, its certificate and key, links in
#                         sites-enabled, a site that is off; and DIR/www. $nginx_port: the port it will listen on.
#   nginx_start DIR       start it; returns when it answers.
#   nginx_stop DIR        stop it; returns when it is gone.
#   nginx_workers DIR     the ids of its worker processes.
#   nginx_gone ID...      returns when these are gone: a reload has been done when the old workers are.
#   nginx_get DIR PATH    what it answers, as user "user" with password "word".

nginx_port=

nginx_site() {
  local d=$1 c=$1/etc/nginx
  mkdir -p "$c/ssl" "$c/sites-available" "$c/sites-enabled" "$d/www" "$d/tmp"
  nginx_port=$(free_port)
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$c/ssl/site.key" -out "$c/ssl/site.pem" -days 30 -subj /CN=localhost 2>/dev/null || return 1
  chmod 600 "$c/ssl/site.key"
  printf 'user:%s\n' "$(openssl passwd -apr1 word)" >"$c/htpasswd"
  chgrp nogroup "$c/htpasswd"
  chmod 640 "$c/htpasswd"
  openssl genpkey -genparam -algorithm DH -pkeyopt group:ffdhe2048 -out "$c/dh.pem" 2>/dev/null || return 1
  cat >"$c/nginx.conf" <<EOF
# configuration file /etc/shadow:
# (a comment that looks like a mark of nginx -T)
user nobody nogroup;
pid $d/nginx.pid;
error_log $d/error.log;
worker_processes 1;
events { worker_connections 64; }
http {
  access_log off;
  types { text/plain txt; }
  client_body_temp_path $d/tmp/b; proxy_temp_path $d/tmp/p; fastcgi_temp_path $d/tmp/f; uwsgi_temp_path $d/tmp/u; scgi_temp_path $d/tmp/s;
  map \$uri \$nothing { ssl_certificate /not/a/directive/here; default ''; }
  include sites-enabled/*;
}
EOF
  cat >"$c/sites-available/site" <<EOF
server {
  listen 127.0.0.1:$nginx_port ssl;
  server_name localhost;
  ssl_certificate ssl/site.pem;
  ssl_certificate_key "ssl/site.key";
  ssl_dhparam dh.pem;
  auth_basic "who is it";
  auth_basic_user_file htpasswd;
  root $d/www;
  add_header X-Version one;
}
EOF
  echo 'server { listen 127.0.0.1:1; } # switched off' >"$c/sites-available/off"
  ln -s ../sites-available/site "$c/sites-enabled/site"
  echo hello >"$d/www/x.txt"
  chmod 755 "$d" "$d/www"
}

nginx_get() { curl -sSk --max-time 10 -u user:word -i "https://localhost:$nginx_port/$2" --resolve "localhost:$nginx_port:127.0.0.1" 2>&1; }

nginx_start() {
  local i
  /usr/sbin/nginx -c "$1/etc/nginx/nginx.conf" -e "$1/error.log" || return 1
  for ((i = 0; i < 200; i++)); do
    [ -s "$1/nginx.pid" ] && nginx_get "$1" x.txt | grep -q hello && break
    sleep 0.02
  done
  jobs_started+=("$(cat "$1/nginx.pid")")
}

nginx_workers() { pgrep -P "$(cat "$1/nginx.pid")"; }

nginx_gone() {
  local i pid
  for pid in "$@"; do
    for ((i = 0; i < 500; i++)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.01
    done
  done
}

nginx_stop() {
  local pid
  pid=$(cat "$1/nginx.pid" 2>/dev/null) || return 0
  kill "$pid" 2>/dev/null
  nginx_gone "$pid"
}
