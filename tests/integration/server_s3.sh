# server_s3.sh - a real S3 service for tests: Ceph's gateway over one monitor and one store in memory. To be sourced.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034 # the variables are for the script that sources this
#
#   s3_start DIR [CERTIFICATE]   start it below DIR and wait until it answers. CERTIFICATE: a PEM file with key, for TLS on a second port.
#   s3_stop DIR                  end what s3_start has started there
#   s3_admin DIR ARGUMENT...     radosgw-admin
# After s3_start: $s3_url, $s3_tls_url; the account is $s3_access and $s3_secret. Needs radosgw, ceph-mon, ceph-osd, curl, python3.

s3_access=holdfastaccess
s3_secret=holdfastsecretholdfastsecret
s3_url=
s3_tls_url=
# What the gateway is started with in front of it, such as an env with a clock.
s3_gateway=()

# s3_ports N: a port P such that P to P+N-1 are free now.
s3_ports() {
  python3 - "$1" <<'PYTHON'
import random, socket, sys
for _ in range(200):
    base = random.randrange(20000, 32000)
    held = []
    try:
        for port in range(base, base + int(sys.argv[1])):
            s = socket.socket()
            held.append(s)
            s.bind(("127.0.0.1", port))
    except OSError:
        continue
    finally:
        for s in held:
            s.close()
    print(base)
    break
PYTHON
}

# s3_spawn DIR NAME COMMAND...: in the background, remembered for s3_stop.
s3_spawn() {
  local dir=$1 name=$2
  shift 2
  "$@" >"$dir/log/$name.out" 2>&1 </dev/null &
  echo $! >>"$dir/pids"
  disown $!
}

s3_admin() {
  local dir=$1
  shift
  CEPH_CONF=$dir/ceph.conf CEPH_ARGS=--no-mon-config radosgw-admin -n client.rgw "$@"
}

# s3_again COMMAND...: until it succeeds, ten times at most.
s3_again() {
  local i
  for i in {1..10}; do "$@" && return 0; done
  return 1
}

s3_config() {
  local dir=$1 port=$2 fsid=$3 certificate=$4
  # --no-mon-config, tcp_nodelay and the short Paxos intervals: without them starts hang now and then, a call takes 44 ms, a start 6 s.
  cat <<EOF
[global]
fsid = $fsid
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
monmap = $dir/monmap
ms_bind_msgr2 = false
ms_bind_port_min = $((port + 3))
ms_bind_port_max = $((port + 19))
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
auth_allow_insecure_global_id_reclaim = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 2000
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
memstore_device_bytes = ${S3_STORE_BYTES:-1073741824}
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
mon_data_avail_crit = 1
mon_data_avail_warn = 1
run_dir = $dir/run
pid_file = $dir/run/\$type.\$id.pid
admin_socket = $dir/run/\$name.asok
log_file = $dir/log/\$name.log
log_to_stderr = false
mon_cluster_log_file = $dir/log/cluster.log
crash_dir = $dir/run
mon_data = $dir/mon
osd_data = $dir/osd
rgw_data = $dir/rgw
keyring = $dir/keyring
heartbeat_file = $dir/run/hb
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1 ${certificate:+ssl_endpoint=127.0.0.1:$((port + 1)) ssl_certificate=$certificate}
rgw_rados_pool_pg_num_min = 1
rgw_thread_pool_size = 32
rgw_enable_usage_log = false
rgw_gc_max_objs = 1
rgw_usage_max_shards = 1
rgw_lc_max_objs = 1
rgw_objexp_hints_num_shards = 1
rgw_data_log_num_shards = 1
rgw_md_log_max_shards = 1
rgw_num_control_oids = 1
rgw_num_rados_handles = 1
rgw_override_bucket_index_max_shards = 1
rgw_dynamic_resharding = false
rgw_run_sync_thread = false
rgw_bucket_quota_ttl = 0
rgw_user_quota_bucket_sync_interval = 0
rgw_crypt_require_ssl = false
rgw_crypt_s3_kms_backend = testing
rgw_crypt_s3_kms_encryption_keys = testkey=YmluCmJvb3N0CmJvb3N0LWJ1aWxkCmNlcGguY29uZgo=
EOF
}

s3_start() {
  local dir=$1 certificate=${2:-} port fsid uuid
  mkdir -p "$dir"/{mon,osd,rgw,run,log} || return 1
  port=$(s3_ports 20)
  fsid=$(cat /proc/sys/kernel/random/uuid)
  uuid=$(cat /proc/sys/kernel/random/uuid)
  s3_config "$dir" "$port" "$fsid" "$certificate" >"$dir/ceph.conf"
  : >"$dir/pids"
  local -x CEPH_CONF=$dir/ceph.conf CEPH_ARGS=--no-mon-config
  {
    ceph-authtool --create-keyring "$dir/keyring" --gen-key -n mon. --cap mon 'allow *' -n client.admin --gen-key &&
      monmaptool -c /dev/null --create --clobber --fsid "$fsid" --addv a "[v1:127.0.0.1:$((port + 2))]" "$dir/monmap" &&
      ceph-mon --mkfs -i a --monmap "$dir/monmap" --keyring "$dir/keyring"
  } >"$dir/log/mkfs.out" 2>&1 || return 1
  s3_spawn "$dir" mon ceph-mon -f -i a
  # A client that talks to the monitor before it has learnt the cluster's id is refused: the next one does better.
  {
    s3_again ceph osd new "$uuid" && ceph-osd -i 0 --mkfs --osd-uuid "$uuid"
  } >"$dir/log/osd.mkfs" 2>&1 || return 1
  s3_spawn "$dir" osd ceph-osd -f -i 0
  s3_again s3_admin "$dir" user create --uid=t --display-name=t --access-key="$s3_access" --secret-key="$s3_secret" >"$dir/log/user.json" 2>&1 || return 1
  if [ -n "${S3_COLD:-}" ]; then
    s3_admin "$dir" zonegroup placement add --rgw-zonegroup default --placement-id default-placement --storage-class STANDARD_IA >"$dir/log/cold.out" 2>&1
    s3_admin "$dir" zone placement add --rgw-zone default --placement-id default-placement --storage-class STANDARD_IA --data-pool default.rgw.ia.data \
      >>"$dir/log/cold.out" 2>&1
  fi
  s3_spawn "$dir" rgw "${s3_gateway[@]}" radosgw -f -n client.rgw
  s3_url=http://127.0.0.1:$port
  s3_tls_url=https://127.0.0.1:$((port + 1))
  # It is ready when it answers.
  for _ in {1..1200}; do
    curl -s -o /dev/null "$s3_url/" && return 0
    sleep 0.05
  done
  return 1
}

s3_stop() {
  local pid
  [ -e "$1/pids" ] || return 0
  # Ended at once: nothing of it is kept, and an orderly end takes seconds.
  while read -r pid; do kill -9 "$pid" 2>/dev/null; done <"$1/pids"
  : >"$1/pids"
}
