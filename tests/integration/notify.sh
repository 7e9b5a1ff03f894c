#!/bin/bash
# notify.sh - who is told what: every type of channel read at its other end, channels that fail, alarms that are told once.
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh disable=SC2154,SC2034,SC2016 # variables of lib.sh; placeholders
. "${SRCDIR:?}/tests/integration/lib.sh"
# shellcheck source=server_listeners.sh
. "$here/server_listeners.sh"
need python3 gpg openssl sqlite3

make_key key 'Recipient <recipient@example.com>'
tree=$work/tree
mkdir "$tree"
echo one >"$tree/one"
start_listeners || { echo "Bail out! the listeners do not start" && exit 1; }

# However full the disk of this machine is, that is no alarm here.
small_disk "$work/main" 8g
new_repo main <<END
[source tree]
plugin = files
path = $tree
END
chmod 600 "$M"
cp "$M" "$R/base.ini"
# channels: [notify ...] sections from standard input, put behind a repository that is there.
channels() {
  { cat "$R/base.ini" && echo && cat; } >"$M.new"
  chmod 600 "$M.new"
  mv "$M.new" "$M"
  forget
}
must init

# ---- email

mail_keys="from = holdfast@example.com
to = ops@example.com
ca-file = $ends/ca.crt"
printf 'geheim-und-lang\n' >"$work/password"
chmod 600 "$work/password"
login="user = bk
password-file = $work/password"
channels <<END
[notify ops]
type = email
server = 127.0.0.1:$starttls_port
$mail_keys
$login
END
hf backup
exits 0 "backup, with a channel of mail"
is "$(mails)" 0 "mail: people are not told that all is well"
hf check
says '^ok +notify ops: 127.0.0.1:[0-9]+ answers, starttls, login works; nothing was sent' "check logs in"
is "$(mails)" 0 "and sends nothing"
mkfifo "$work/gone.fifo"
channels <<END
[source lost]
plugin = files
path = $work/no-such-folder
[notify ops]
type = email
server = 127.0.0.1:$starttls_port
$mail_keys
to = second@example.com
$login
END
hf backup
exits 3 "a backup that is done in part"
is "$(mails)" 1 "mail: one message"
is "$(mail 'm["Subject"]')" "[holdfast testhost] backup done in part" "mail: its subject"
is "$(mail '(m["From"], m["To"], m["Auto-Submitted"], m["X-Holdfast-Event"], m["X-Holdfast-Host"])')" \
  "('holdfast@example.com', 'ops@example.com, second@example.com', 'auto-generated', 'partial', 'testhost')" "mail: its headers"
is "$(mail '(e["from"], e["to"], e["tls"], e["user"])')" "('holdfast@example.com', ['ops@example.com', 'second@example.com'], True, 'bk')" \
  "mail: to all in one, encrypted, logged in"
is "$(mail 'bool(m["Date"]) and m["Message-ID"].endswith("@example.com>")')" True "mail: date and id"
for word in "verb      backup" "exit code 3" "snapshot  3" "tree         complete" "lost         failed: .*no-such-folder" "disk         committed" "What was said" "runs/2.log"; do
  mail text >"$work/text"
  grep -Eq "$word" "$work/text"
  result $? "mail: says $word" || diag "$work/text"
done
mail_raw=$(find "$ends/mail" -type f -not -name '*.json')
grep -q '^verb      backup' "$mail_raw" && ! grep -q '=0A' "$mail_raw"
result $? "mail: its lines are lines also as it is sent" || diag "$mail_raw"
says_not 'geheim' "the password is nowhere on the screen"
grep -raq 'geheim-und-lang' "$R"
is $? 1 "nor in the state folder, a log or a repository"

channels <<END
[notify at-once]
type = email
events = success
server = 127.0.0.1:$smtps_port
tls = tls
$mail_keys
$login
[notify nearby]
type = email
events = success
verbs = backup, prune
server = 127.0.0.1:$plain_port
tls = none
$mail_keys
END
hf backup
exits 0 "backup"
is "$(mails)" 2 "mail: over TLS from the start, and without"
cat "$ends"/mail/*.json | tr '}' '\n' | grep -c '"tls": true' >"$work/n"
is "$(cat "$work/n")" 1 "one of them encrypted"
forget
hf verify
exits 0 "verify"
is "$(mails)" 1 "verbs: the one that wants backups only is not told"
is "$(mail '(m["Subject"], e["tls"])')" "('[holdfast testhost] verify done', True)" "the other is"

channels <<END
[notify ops]
type = email
events = success
server = 127.0.0.1:$starttls_port
$mail_keys
to = reject@example.com
to = other@example.com
$login
END
hf backup
exits 0 "a channel that fails does not fail the run"
says 'warning: notify ops: not told: not delivered to reject@example.com: .*550' "mail: the address that was refused is named"
is "$(mails)" 2 "mail: the others get theirs"
is "$(mail 'e["to"]')" "['other@example.com']" "mail: each"

# ---- mail servers that will not do

# fails NAME REGEX < channel: the backup succeeds, says why nobody was told, and so do status and check.
fails() {
  channels
  hf backup
  [ "$rc" -eq 0 ] && grep -Eqe "notify bad: not told: $2" "$work/err"
  result $? "$1: is said, and fails no run" || show_last
  hf status
  [ "$rc" -eq 1 ] && grep -Eqe 'WARNING notify bad: the last message could not be sent: ' "$work/out"
  result $? "$1: status shows it" || show_last
  is "$(mails)$(cat "$ends/http" 2>/dev/null | wc -l)" "0${3:-0}" "$1: nothing came"
}
check_fails() {
  hf check
  [ "$rc" -eq 1 ] && grep -Eqe "^failed +notify bad: $2" "$work/out"
  result $? "$1: check finds it" || show_last
}
printf 'wrong\n' >"$work/wrong"
chmod 600 "$work/wrong"
fails "wrong password" '.*Login denied' <<END
[notify bad]
type = email
events = success
server = 127.0.0.1:$starttls_port
$mail_keys
user = bk
password-file = $work/wrong
END
check_fails "wrong password" '.*Login denied'
fails "a certificate of somebody else" '.*(certificate|SSL)' <<END
[notify bad]
type = email
events = success
server = 127.0.0.1:$starttls_port
from = a@example.com
to = b@example.com
ca-file = $ends/other.crt
$login
END
check_fails "a certificate of somebody else" '.*(certificate|SSL)'
fails "no encryption where it is wanted" '.*(STARTTLS|SSL)' <<END
[notify bad]
type = email
events = success
server = 127.0.0.1:$plain_port
$mail_keys
END
check_fails "no encryption where it is wanted" '.*(STARTTLS|SSL)'
fails "nobody listens" '.*(refused|connect)' <<END
[notify bad]
type = email
events = success
server = 127.0.0.1:$refused_port
$mail_keys
END
check_fails "nobody listens" '.*(refused|connect)'
fails "a server that says nothing" '.*[Tt]ime' <<END
[notify bad]
type = email
events = success
timeout = 1s
server = 127.0.0.1:$hole_port
$mail_keys
END
check_fails "a server that says nothing" '.*[Tt]ime'

# ---- webhook

channels <<END
[notify hc]
type = webhook
verbs = backup
events = success, failure, partial
url = http://127.0.0.1:$http_port/ok/uuid
start-url = http://127.0.0.1:$http_port/ok/uuid/start
fail-url = http://127.0.0.1:$http_port/ok/uuid/fail
content-type = text/plain
template = \${subject} / \${exit}
END
hf backup
exits 0 "backup, with a webhook"
is "$(lines http '(d["method"], d["path"], d["body"])')" "('POST', '/ok/uuid/start', '[holdfast testhost] backup begins / ')
('POST', '/ok/uuid', '[holdfast testhost] backup done / 0')" "webhook: beginning and end"
forget
hf backup --label again -n
exits 0 "a dry run"
[ ! -e "$ends/http" ]
result $? "is not told of"
mv "$R/disk" "$R/away"
hf backup
exits 1 "a backup without a target"
mv "$R/away" "$R/disk"
is "$(lines http 'd["path"]')" "/ok/uuid/fail" "webhook: failures go elsewhere, also when the run could not begin"
forget
hf status --notify
exits 1 "status after a failed run"
says 'WARNING run backup: the last one, .*failed: no target can be used' "says that it failed, and why"
[ ! -e "$ends/http" ]
result $? "what was told when the run ended is not told again" || diag "$ends/http"
hf backup
exits 0 "a good one"

printf 'token-of-ours\n' >"$work/token"
chmod 600 "$work/token"
printf '{"text": "*${subject}*", "all": ${facts}, "host": "${host}"}\n' >"$work/template"
channels <<END
[notify json]
type = webhook
events = success
url = https://127.0.0.1:$https_port/ok
ca-file = $ends/ca.crt
method = put
token-file = $work/token
header = X-One: 1
header = Title: two words
template-file = $work/template
[notify plain]
type = webhook
events = success
url = http://127.0.0.1:$http_port/ok
[notify form]
type = webhook
events = success
url = http://127.0.0.1:$http_port/ok
content-type = application/x-www-form-urlencoded
template = text=\${subject}&n=\${run}
END
hf check
exits 0 "check"
says 'notify json: the server can be reached; nothing was sent' "check connects to a web server"
[ ! -e "$ends/http" ]
result $? "and sends nothing"
hf backup --label 'a "label"'
exits 0 "backup, with three webhooks"
is "$(lines http '(d["method"], d["headers"]["Authorization"], d["headers"]["X-One"], d["headers"]["Title"], d["headers"]["Content-Type"]) if d["method"] == "PUT" else None')" \
  "('PUT', 'Bearer token-of-ours', '1', 'two words', 'application/json')" "webhook: method, token, headers"
is "$(lines http 'json.loads(d["body"])["text"] if d["method"] == "PUT" else None')" "*[holdfast testhost] backup done*" "webhook: a template of JSON is JSON"
is "$(lines http '(lambda f: (f["label"], f["verb"], f["status"], f["sources"][0]["name"], f["targets"][0]["committed"]))(json.loads(d["body"])["all"]) if d["method"] == "PUT" else None')" \
  "('a \"label\"', 'backup', 'success', 'tree', True)" "webhook: all facts"
is "$(lines http 'json.loads(d["body"])["event"] if d["body"].startswith("{\"snap") else None')" success "webhook: without a template the facts"
is "$(lines http 'd["body"] if d["body"].startswith("text=") else None' | sed 's/n=.*/n/')" 'text=%5Bholdfast%20testhost%5D%20backup%20done&n' "webhook: a form is percent-encoded"

channels <<END
[notify flaky]
type = webhook
events = success
url = http://127.0.0.1:$http_port/flaky
[notify missing]
type = webhook
events = success
url = http://127.0.0.1:$http_port/missing
END
hf backup
exits 0 "backup"
is "$(lines http 'd["path"]' | sort | uniq -c | tr -s ' ' | tr '\n' ';')" " 2 /flaky; 1 /missing;" "webhook: 503 is tried again, 404 is not"
says 'notify missing: not told: the server answered 404: answer 404' "and says what was answered"
says_not 'notify flaky' "what went well the second time went well"
fails "401" 'the server answered 401' 1 <<END
[notify bad]
type = webhook
events = success
url = http://127.0.0.1:$http_port/denied
END
fails "a web server that does not answer" '.*[Tt]ime' 1 <<END
[notify bad]
type = webhook
events = success
timeout = 1s
url = http://127.0.0.1:$http_port/slow
END
fails "HTTPS with a certificate of somebody else" '.*(certificate|SSL)' <<END
[notify bad]
type = webhook
events = success
url = https://127.0.0.1:$https_port/secret-path
END
says_not secret-path "a URL is not repeated"
check_fails "HTTPS with a certificate of somebody else" 'url: .*(certificate|SSL)'
grep -raq 'secret-path' "$R/state"
is $? 1 "nor is it in the state folder"

# ---- syslog, journald, statsd, command

channels <<END
[notify log]
type = syslog
socket = $ends/syslog.sock
facility = local3
[notify far-log]
type = syslog
server = 127.0.0.1:$udplog_port
[notify journal]
type = journald
socket = $ends/journal.sock
[notify numbers]
type = statsd
server = 127.0.0.1:$statsd_port
[notify prefixed]
type = statsd
server = localhost:$statsd_port
prefix = web1.
events = failure
[notify program]
type = command
command = sh -c 'cat >"\$0.json"; env | grep ^HOLDFAST_ | sort >"\$0.env"' $work/told
END
hf check
exits 0 "check of sockets and programs"
hf backup
exits 0 "backup, with five channels"
# 19 * 8 + 6
got syslog 1 && grep -Eq '^<158>1 [0-9TZ:-]+ testhost holdfast [0-9]+ success \[holdfast@32473 event="success" status="success" severity="info" host="testhost" verb="backup" run="[0-9]+" seconds="[0-9.]+" exit="0" snapshot="[0-9]+"\] \[holdfast testhost\] backup done$' "$ends/syslog"
result $? "syslog: RFC 5424, with the facts" || diag "$ends/syslog"
got udplog 1 && grep -Eq '^<30>1 ' "$ends/udplog"
result $? "syslog by UDP" || diag "$ends/udplog"
got journal 1
is "$(lines journal '(d["HOLDFAST_EVENT"], d["HOLDFAST_VERB"], d["HOLDFAST_EXIT"], d["PRIORITY"], d["SYSLOG_IDENTIFIER"], d["MESSAGE"].split("\n")[0], json.loads(d["HOLDFAST_FACTS"])["sources"][0]["name"])')" \
  "('success', 'backup', '0', '6', 'holdfast', '[holdfast testhost] backup done', 'tree')" "journald: fields"
got statsd 4 && [ "$(sed 's/duration:[0-9]*/duration:N/; s/:[0-9]*|g/:N|g/' "$ends/statsd" | sort | tr '\n' ' ')" = 'backup_bytes_read:N|g backup_bytes_stored:N|g backup_duration:N|ms backup_success:1|c ' ]
result $? "statsd: a success, a time, two gauges" || diag "$ends/statsd"
is "$(python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print(d["verb"], d["status"], d["exit"])' "$work/told.json")" "backup success 0" "command: JSON on its standard input"
is "$(grep -E '^HOLDFAST_(EVENT|VERB|STATUS)=' "$work/told.env" | tr '\n' ' ')" "HOLDFAST_EVENT=success HOLDFAST_STATUS=success HOLDFAST_VERB=backup " "command: facts in its environment"
forget
cat >"$work/lost.ini" <<END
[source lost]
plugin = files
path = $work/no-such-folder
END
cat "$work/lost.ini" >>"$M"
hf backup
exits 3 "a backup done in part"
got statsd 4 && ! grep -q success "$ends/statsd" && grep -qx 'backup_partial:1|c' "$ends/statsd"
result $? "statsd: a part is no success" || diag "$ends/statsd"
hf backup lost
exits 1 "a backup that fails"
got journal 2
is "$(lines journal '(d["HOLDFAST_EVENT"], d["PRIORITY"])' | tail -n 1)" "('failure', '2')" "journald: a failure is critical"
for _ in {1..200}; do
  grep -q '^web1.backup_failure:1|c$' "$ends/statsd" && break
  sleep 0.05
done
grep -q '^web1.backup_failure:1|c$' "$ends/statsd"
result $? "statsd: its prefix, and its events" || diag "$ends/statsd"
printf '::1 localhost\n127.0.0.1 localhost\n' >"$work/hosts"
last='holdfast notify --test prefixed, where localhost is ::1 first'
unshare --mount sh -c 'mount --bind "$1" /etc/hosts && shift && exec "$@"' sh "$work/hosts" "$HOLDFAST" -c "$M" notify --test prefixed >"$work/out" 2>"$work/err" </dev/null
rc=$?
exits 0 "a name with an address at which nobody listens"
for _ in {1..100}; do
  grep -q '^web1.test:1|c$' "$ends/statsd" && break
  sleep 0.05
done
grep -q '^web1.test:1|c$' "$ends/statsd"
result $? "the next address is taken" || diag "$ends/statsd"

fails "no such socket" '.*no.sock: No such file' <<END
[notify bad]
type = journald
socket = $ends/no.sock
END
check_fails "no such socket" '.*no.sock: No such file'
fails "a command that fails" 'the command sh ended with exit code 7: too bad' <<END
[notify bad]
type = command
command = sh -c 'echo too bad >&2; exit 7'
END
fails "a command that does not end" '.*took longer than 1 s' <<END
[notify bad]
type = command
timeout = 1s
command = sleep 600
END
channels <<END
[notify bad]
type = command
command = no-such-program --flag
END
check_fails "no such program" 'there is no program no-such-program that can be run'
fails "a secret that cannot be fetched" '.*\[notify bad\] url-command: the command false ended with exit code 1' <<END
[notify bad]
type = webhook
url-command = false
END
check_fails "a secret that cannot be fetched" '.*\[notify bad\] url-command: the command false ended with exit code 1'

# ---- tests, and who can be listed

channels <<END
[notify ops]
type = webhook
events = failure
url = http://127.0.0.1:$http_port/ok
[notify off]
type = webhook
enabled = no
url-file = /no/such/file
END
hf notify --test
exits 0 "notify --test"
is "$(lines http '(lambda f: (f["event"], f["status"], f["subject"]))(json.loads(d["body"]))')" "('test', 'test', '[holdfast testhost] test of the channel ops')" "sends a message, whatever the events"
hf notify
says '^ops +webhook +20.*ok +failure$' "notify lists"
says '^off +webhook +never +switched off' "also what is switched off"
hf notify --test off
exits 2 "a test of what is switched off"
channels <<END
[notify off]
type = statsd
enabled = no
END
hf notify --test
exits 1 "a test where every channel is switched off"
says 'no \[notify NAME\] that is switched on: nobody is told of anything' "says that nobody would be told"
channels <<END
[notify ops]
type = webhook
events = failure
url = http://127.0.0.1:$http_port/ok
[notify off]
type = webhook
enabled = no
url-file = /no/such/file
END
hf notify nobody
says 'has no \[notify nobody\]' "a channel that does not exist"
hf --json notify
is "$(json '(d["name"], d["enabled"], d["error"])')" "('ops', True, None)
('off', False, None)" "as JSON"

# ---- alarms: new, repeated, changed, over

channels <<END
[notify alarms]
type = webhook
events = rpo-warning, rpo-critical, target-behind, failure
url = http://127.0.0.1:$http_port/ok
[notify eager]
type = webhook
at-most-every = 0
events = target-behind
url = http://127.0.0.1:$http_port/ok/eager
[notify critical]
type = statsd
events = rpo-critical
server = 127.0.0.1:$statsd_port
END
sed -i 's/^host = .*/&\nrpo = 24h/' "$M"
need faketime
hf backup
forget
hf status --notify
exits 0 "all is well"
[ ! -e "$ends/http" ]
result $? "and nobody is told" || diag "$ends/http"
hf_at +21h status --notify
exits 1 "21 hours later"
is "$(lines http '(lambda f: (d["path"], f["event"], f["status"], f["severity"], sorted(a["key"] for a in f["alarms"])))(json.loads(d["body"]))')" \
  "('/ok', 'rpo-warning', 'warning', 'warning', ['age-at-target:disk', 'source:tree'])" "one message with both alarms"
forget
hf_at +21h status --notify
[ ! -e "$ends/http" ]
result $? "what was told is not told again" || diag "$ends/http"
hf_at +25h status --notify
exits 2 "25 hours later"
is "$(lines http '(lambda f: (f["event"], f["status"], f["subject"]))(json.loads(d["body"]))' | cut -c 1-66)" "('rpo-critical', 'critical', '[holdfast testhost] CRITICAL: source" "an alarm that got worse is"
got statsd 2 && [ "$(sort -u "$ends/statsd")" = 'alarm_rpo_critical:1|c' ]
result $? "and comes to who wants it only then" || diag "$ends/statsd"
forget
hf_at +30h status --notify
[ ! -e "$ends/http" ]
result $? "5 hours later: quiet"
hf_at +50h status --notify
is "$(lines http 'd["path"]')" /ok "a day after it was told it is told again"
forget
hf backup
hf status --notify
exits 0 "a new snapshot"
is "$(lines http '(lambda f: (f["status"], f["severity"], f["subject"][:48], {a["verdict"] for a in f["alarms"]}))(json.loads(d["body"]))')" \
  "('ok', 'info', '[holdfast testhost] ok again: source tree: newes', {'OK'})" "is told: ok again"
got statsd 2 && [ "$(sort -u "$ends/statsd")" = 'alarm_rpo_critical_over:1|c' ]
result $? "to all that were told" || diag "$ends/statsd"
forget
hf status --notify
[ ! -e "$ends/http" ]
result $? "once"

mv "$R/disk" "$R/away"
hf status --notify
hf status --notify
is "$(lines http 'd["path"]' | sort | uniq -c | tr -s ' ' | tr '\n' ';')" " 1 /ok; 2 /ok/eager;" "a target that is down; at-most-every = 0 tells each time"
mv "$R/away" "$R/disk"
forget
hf status --notify
is "$(lines http 'd["path"]' | sort)" "/ok
/ok/eager" "and when it is back"

# An alarm that could not be told is told when it can be.
channels <<END
[notify late]
type = webhook
timeout = 1s
url = http://127.0.0.1:$refused_port/ok
END
mv "$R/disk" "$R/away"
hf status --notify
exits 1 "no channel works"
says 'notify late: not told' "is said"
sed -i "s|^url = .*|url = http://127.0.0.1:$http_port/ok|" "$M"
hf status --notify
is "$(lines http 'sorted(a["key"] for a in json.loads(d["body"])["alarms"])')" "['notify:late', 'target:disk']" "it is told as soon as it works"
mv "$R/away" "$R/disk"

# A run that did not finish is news also where one that was done in part was told.
channels <<END
[notify parts]
type = webhook
events = failure, partial
url = http://127.0.0.1:$http_port/ok
END
cp "$M" "$work/parts.ini"
cat "$work/lost.ini" >>"$M"
hf backup
is "$(lines http 'json.loads(d["body"])["event"]')" partial "a run that was done in part is told"
forget
hf status --notify
[ ! -e "$ends/http" ]
result $? "and not told again by status" || diag "$ends/http"
sqlite3 "$R/state/runs.sqlite" "insert into runs(verb, started) values('backup', strftime('%s', 'now'))"
forget
hf status --notify
is "$(lines http '[(a["event"], a["key"]) for a in json.loads(d["body"])["alarms"]]')" "[('failure', 'run:backup')]" "one that did not finish behind it is"
forget
hf status --notify
[ ! -e "$ends/http" ]
result $? "once" || diag "$ends/http"
cp "$work/parts.ini" "$M"
hf backup

# What is no UTF-8 in the manifest is told as well as the rest, and once.
channels <<END
[notify ops]
type = webhook
events = key-expiry
url = http://127.0.0.1:$http_port/ok
END
sed -i "$(printf '/^recipients/s/$/, m\374ller@example.com/')" "$M"
hf status --notify
hf status --notify
is "$(lines http '[a["key"] for a in json.loads(d["body"])["alarms"] if a["event"] == "key-expiry"]')" "['recipient:m\\\\374ller@example.com']" "a recipient in another encoding"
hf status --prometheus -
python3 -c 'import sys; open(sys.argv[1], encoding="utf-8").read()' "$work/out"
result $? "nor does it spoil the metrics"

# ---- a run that cannot begin, and a manifest that says nothing

channels <<END
[notify ops]
type = webhook
url = http://127.0.0.1:$http_port/ok
END
(exec 9<>"$R/state/lock" && flock 9 && exec sleep 60) &
jobs_started+=($!)
for _ in $(seq 250); do flock -n "$R/state/lock" true || break; sleep 0.02; done
hf backup
exits 1 "another one works"
is "$(lines http '(lambda f: (f["event"], f["verb"], "another holdfast" in f["error"]))(json.loads(d["body"]))')" "('failure', 'backup', True)" "is told as a failure, with its reason"
kill "${jobs_started[-1]}" 2>/dev/null
forget
for _ in $(seq 250); do flock -n "$R/state/lock" true && break; sleep 0.02; done
hf backup
cat >"$work/cache.ini" <<END
[source cache]
plugin = redis
socket = $work/no.sock
password-file = $work/no-such-password
END
cat "$work/cache.ini" >>"$M"
forget
hf backup
exits 2 "a source's secret cannot be fetched: no backup"
hf status --notify
exits 3 "nor can status look"
is "$(lines http '(lambda f: (f["event"], f["status"], [a["key"] for a in f["alarms"]], "no-such-password" in f["subject"]))(json.loads(d["body"]))')" \
  "('failure', 'critical', ['status:'], True)" "which is told, with the reason"
forget
hf status --notify
[ ! -e "$ends/http" ]
result $? "once" || diag "$ends/http"
echo hush >"$work/no-such-password"
chmod 600 "$work/no-such-password"
hf status --notify
is "$(lines http '[(a["key"], a["verdict"]) for a in json.loads(d["body"])["alarms"] if a["key"] == "status:"]')" "[('status:', 'OK')]" "and so is that it can again"
forget
echo nonsense >>"$M"
hf status --notify
exits 3 "a manifest that is wrong"
says 'nobody is told: a manifest that is wrong does not say whom' "says that nobody is told"
sed -i '/^nonsense$/d' "$M"

stranger
hf verify
[ ! -e "$ends/http" ]
result $? "who reads the repository elsewhere tells nobody" || diag "$ends/http"
done_testing
