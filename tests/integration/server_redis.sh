# server_redis.sh - real Redis servers for the tests, on loopback and Unix sockets below a folder of the test's own.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# To be sourced. Needs redis-server and redis-cli (and openssl for redis_certificates); uses nothing of lib.sh, so that other scripts can source it
# too. Whoever sources it calls redis_stop_all when it ends, from its trap.
#
#   redis_start DIR [LINE...]    start a server with its data in DIR (made if need be), again with the same data if it ran there before, and wait until it
#                                answers. It listens on a free port of 127.0.0.1 and on DIR/s. LINEs are more of its configuration, and are kept for the next
#                                start when there are none. Sets redis_port, and redis_tls_port (0 without REDIS_TLS).
#                                Users: "default" with the password "secret", and from REDIS_ACL, lines of an ACL file. REDIS_TLS=FOLDER of
#                                redis_certificates gives it a port for TLS as well.
#   redis_at DIR COMMAND...      redis-cli as the default user on DIR/s
#   redis_stop DIR [SIGNAL]      end it and wait; without a SIGNAL by SHUTDOWN, saving nothing that its configuration does not save
#   redis_stop_all               end all of them at once
#   redis_pid DIR                its process id
#   redis_fill DIR MiB           keys with about so many MiB of data that compresses to about a half
#   redis_certificates FOLDER    ca.pem, server.pem, server.key (for localhost and 127.0.0.1), client.pem, client.key, other-ca.pem (of another CA)

redis_dirs=()
redis_port=0
redis_tls_port=0

# A port that nobody listens at now.
redis_free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

redis_at() {
  local dir=$1
  shift
  REDISCLI_AUTH=secret redis-cli --no-auth-warning -s "$dir/s" "$@"
}

redis_pid() { cat "$1/pid"; }

redis_start() {
  local dir=$1 try i
  shift
  mkdir -p "$dir/data"
  [ $# -eq 0 ] || printf '%s\n' "$@" >"$dir/lines"
  [ -e "$dir/lines" ] || : >"$dir/lines"
  if [ ! -e "$dir/users.acl" ] || [ -n "${REDIS_ACL:-}" ]; then
    printf 'user default on >secret ~* &* +@all\n%s\n' "${REDIS_ACL:-}" | sed '/^$/d' >"$dir/users.acl"
  fi
  for try in 1 2 3; do
    redis_port=$(redis_free_port)
    redis_tls_port=0
    {
      cat <<CONF
bind 127.0.0.1
port $redis_port
unixsocket $dir/s
dir $dir/data
aclfile $dir/users.acl
daemonize no
logfile $dir/log
save ""
repl-diskless-sync-delay 0
hz 100
CONF
      if [ -n "${REDIS_TLS:-}" ]; then
        redis_tls_port=$(redis_free_port)
        printf '%s\n' "tls-port $redis_tls_port" "tls-cert-file $REDIS_TLS/server.pem" "tls-key-file $REDIS_TLS/server.key" \
          "tls-ca-cert-file $REDIS_TLS/ca.pem" 'tls-auth-clients optional'
      fi
      cat "$dir/lines"
    } >"$dir/conf"
    rm -f "$dir/s"
    redis-server "$dir/conf" </dev/null >"$dir/out" 2>&1 &
    echo $! >"$dir/pid"
    disown $!
    case " ${redis_dirs[*]} " in *" $dir "*) ;; *) redis_dirs+=("$dir") ;; esac
    for ((i = 0; i < 1000; i++)); do
      [ "$(redis_at "$dir" ping 2>/dev/null)" != PONG ] || return 0
      kill -0 "$(redis_pid "$dir")" 2>/dev/null || break
      sleep 0.01
    done
  done
  echo "# $dir: redis-server does not start (try $try)" >&2
  tail -n 5 "$dir/log" "$dir/out" >&2
  return 1
}

# Is it gone, or dead and waiting for its parent?
redis_gone() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }

redis_stop() {
  local pid i
  pid=$(redis_pid "$1")
  if [ -n "${2:-}" ]; then kill "-$2" "$pid" 2>/dev/null; else redis_at "$1" shutdown >/dev/null 2>&1; fi
  for ((i = 0; i < 1000; i++)); do
    redis_gone "$pid" && return 0
    sleep 0.01
  done
  return 1
}

redis_stop_all() {
  local dir
  for dir in "${redis_dirs[@]}"; do
    [ ! -s "$dir/pid" ] || kill -9 "$(redis_pid "$dir")" 2>/dev/null
  done
  redis_dirs=()
}

redis_fill() {
  python3 - "$2" <<'PY' | redis_at "$1" --pipe >/dev/null
import os, sys
out = sys.stdout.buffer
for i in range(int(sys.argv[1]) * 16):
    value = os.urandom(32768) + b'%032d' % i * 1024
    key = b'bulk:%d' % i
    out.write(b'*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n' % (len(key), key, len(value), value))
PY
}

redis_certificates() {
  local d=$1 ca who
  mkdir -p "$d"
  for ca in ca other-ca; do
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$d/$ca.key" -out "$d/$ca.pem" \
      -days 30 -subj "/CN=Test $ca" 2>/dev/null || return 1
  done
  for who in server client; do
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$d/$who.key" -out "$d/$who.csr" -subj "/CN=$who" 2>/dev/null || return 1
    openssl x509 -req -in "$d/$who.csr" -CA "$d/ca.pem" -CAkey "$d/ca.key" -CAcreateserial -days 30 -out "$d/$who.pem" \
      -extfile <(echo 'subjectAltName = DNS:localhost, IP:127.0.0.1') 2>/dev/null || return 1
  done
}
