# server_postgres.sh - a real PostgreSQL server for the tests: a cluster of its own below the work folder.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # work: of lib.sh
#
# To be sourced after lib.sh. PostgreSQL refuses root: as root it runs as the account postgres, which has to get through $work.
#
#   pg_start NAME [LINE...]  make and start a cluster in $work/NAME, with the lines in its postgresql.conf; several may run. Leaves
#                            $pg_bin the folder of its programs, $pg_dir its folder (data/, log, and its Unix socket, where everybody is trusted), $pg_port its
#                            port on 127.0.0.1, where the password is asked for. Superuser pgadm, password pw. $pg_initdb: one more option of initdb.
#   pg_psql DATABASE SQL     run SQL as pgadm in the cluster started last; prints bare rows
#   pg_stop MODE             stop the cluster started last: fast or immediate
#   pg_again                 start it again
#   pg_ctl ARGUMENT...       pg_ctl on its data directory
#   as_postgres COMMAND...   run a command as the account that the server runs as
#
# All clusters are stopped when the test ends.

pg_bin=$(for d in /usr/lib/postgresql/*/bin; do [ -x "$d/postgres" ] && echo "$d"; done | sort -V | tail -n 1)
[ -n "$pg_bin" ] || { echo "Bail out! no PostgreSQL server below /usr/lib/postgresql" && exit 1; }
pg_all=()
[ "$(id -u)" -ne 0 ] || chmod 711 "$work"

as_postgres() {
  if [ "$(id -u)" -eq 0 ]; then
    setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/ "$@"
  else
    "$@"
  fi
}

pg_free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

pg_ctl() { (cd / && as_postgres "$pg_bin/pg_ctl" -D "$pg_dir/data" "$@"); }

pg_again() { pg_ctl -l "$pg_dir/log" -w -t 60 -s start >"$work/pg_ctl.out" 2>&1 || { echo "Bail out! PostgreSQL does not start" && diag "$pg_dir/log" "$work/pg_ctl.out" && exit 1; }; }

pg_stop() { pg_ctl -w -t 60 -s -m "$1" stop >/dev/null 2>&1; }

pg_start() {
  pg_dir=$work/$1
  shift
  pg_port=$(pg_free_port)
  mkdir -m 755 "$pg_dir"
  [ "$(id -u)" -ne 0 ] || chown postgres:postgres "$pg_dir"
  echo pw >"$work/pg.pw"
  chmod 644 "$work/pg.pw"
  as_postgres "$pg_bin/initdb" -D "$pg_dir/data" -U pgadm --pwfile="$work/pg.pw" -A scram-sha-256 -E UTF8 --locale=C.UTF-8 -N -k ${pg_initdb:+"$pg_initdb"} >"$work/initdb.out" 2>&1 ||
    { echo "Bail out! initdb failed" && diag "$work/initdb.out" && exit 1; }
  {
    printf '%s\n' "listen_addresses = '127.0.0.1'" "port = $pg_port" "unix_socket_directories = '$pg_dir'" 'fsync = off' 'shared_buffers = 32MB' \
      'wal_level = replica' 'max_wal_senders = 10' 'max_replication_slots = 10' 'autovacuum = off' 'lc_messages = C'
    [ $# -eq 0 ] || printf '%s\n' "$@"
  } | as_postgres tee -a "$pg_dir/data/postgresql.conf" >/dev/null
  printf '%s\n' 'local all,replication all trust' 'host all,replication all 127.0.0.1/32 scram-sha-256' | as_postgres tee "$pg_dir/data/pg_hba.conf" >/dev/null
  pg_all+=("$pg_dir")
  pg_again
}

pg_psql() { PGOPTIONS='' "$pg_bin/psql" -XAtq -v ON_ERROR_STOP=1 -h "$pg_dir" -p "$pg_port" -U pgadm -d "$1" -c "$2"; }

pg_cleanup() {
  for pg_dir in "${pg_all[@]}"; do pg_stop immediate; done
  cleanup
}
trap pg_cleanup EXIT
