# server_listeners.sh - the other ends of the channels: mail servers, web servers, datagram sockets; all on the loopback, below one folder.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # variables of lib.sh
#
# To be sourced, behind lib.sh: what is started is added to jobs_started, which its cleanup ends.

# start_listeners: sets ends, the folder in which listeners.py keeps what comes; its ports as variables; ends/ca.crt is the authority
# of its certificate, ends/other.crt another.
start_listeners() {
  ends=$work/ends
  mkdir -p "$ends"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$ends/server.key" -out "$ends/server.crt" -days 3650 -subj /CN=localhost \
    -addext 'subjectAltName = DNS:localhost, IP:127.0.0.1' 2>/dev/null || return 1
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$ends/other.key" -out "$ends/other.crt" -days 3650 -subj /CN=other 2>/dev/null || return 1
  cp "$ends/server.crt" "$ends/ca.crt"
  # Debian's module belongs to Debian's python, which need not be the first in PATH.
  local python
  for python in python3 /usr/bin/python3; do "$python" -c 'import aiosmtpd' 2>/dev/null && break; done
  "$python" "$here/listeners.py" "$ends" >"$ends/log" 2>&1 &
  jobs_started+=($!)
  for _ in $(seq 1000); do
    [ ! -f "$ends/ports" ] || break
    kill -0 "${jobs_started[-1]}" 2>/dev/null || break
    sleep 0.02
  done
  # shellcheck source=/dev/null
  . "$ends/ports" || { diag "$ends/log" && return 1; }
}

# got FILE COUNT: wait until that many lines have come; datagrams take their time.
got() {
  for _ in $(seq 250); do
    [ "$(cat "$ends/$1" 2>/dev/null | wc -l)" -lt "$2" ] || break
    sleep 0.02
  done
  [ "$(cat "$ends/$1" 2>/dev/null | wc -l)" -eq "$2" ]
}

# forget: what has come so far.
forget() {
  rm -f "$ends"/mail/* "$ends/http" "$ends/statsd" "$ends/udplog" "$ends/syslog" "$ends/journal"
}

# mails: how many messages there are.
mails() { find "$ends/mail" -type f -not -name '*.json' | wc -l; }

# mail EXPRESSION: of the newest message, m parsed, e the envelope.
mail() {
  python3 - "$ends/mail" "$1" <<'PY'
import email.policy, glob, json, os, sys
newest = max((f for f in glob.glob(sys.argv[1] + "/*") if not f.endswith(".json")), key=lambda f: int(os.path.basename(f)))
m = email.message_from_file(open(newest, encoding="utf-8"), policy=email.policy.default)
e = json.load(open(newest + ".json", encoding="utf-8"))
text = m.get_body(("plain",)).get_content()
print(eval(sys.argv[2]))
PY
}

# lines FILE EXPRESSION: of each line of JSON d; prints what is not None.
lines() {
  python3 -c '
import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    d = json.loads(line)
    v = eval(sys.argv[2])
    if v is not None:
        print(v)' "$ends/$1" "$2"
}
