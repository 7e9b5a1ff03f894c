#!/bin/bash
# completion.sh - what bash, fish and zsh offer, asked for as they do it; and the options that the table of commands, the parsers and the manual pages name.
# SPDX-License-Identifier: Apache-2.0
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2154
. "${SRCDIR:?the folder of the sources}/tests/integration/lib.sh"
need python3 fish zsh
make_key key 'Recipient <recipient@example.com>'
new_repo main "include = more.ini" <<END
[source config]
plugin = example
[source colours]
plugin = example
END
printf '[target offsite]\nplugin = local\npath = %s\npassword-command = touch %s\n' "$R/off" "$work/fetched" >"$R/more.ini"
sed -i '/^password/d' "$R/more.ini"
must init
must backup --label 'first one'
# From here on a manifest that is wrong, with a command for a secret: completion reads names only.
printf 'password-command = touch %s\nnonsense = 1\n[notify ops]\ntype = statsd\n[contact oncall]\nphone = 1\n' "$work/fetched" >>"$R/more.ini"
export HOLDFAST_MANIFEST=$M
mkdir "$work/bin" "$work/files"
ln -s "$HOLDFAST" "$work/bin/holdfast"
PATH=$work/bin:$PATH
touch "$work/files/one.ini"
mkdir "$work/files/folder"
cd "$work/files" || exit 1

# ---- what the program says

# words WORD...: the candidates, without their descriptions, in one line.
words() { holdfast completion words "$@" | cut -f 1 | tr '\n' ' '; }
is "$(words ba)" 'backup ' "a command"
is "$(words -v --json re)" 'restore ' "behind options"
is "$(words zz)" '' "none"
is "$(words help dr)" 'drill ' "help is about a command"
is "$(words backup --l)" '--label --lock-wait ' "an option of the command and of all"
is "$(words backup -)" "$(holdfast backup --help | grep -oE '^ +-.*' | grep -oE '(^ +|, )--?[a-z][a-z-]*' | tr -d ' ,' | tr '\n' ' ')" "all options, in the order of the help"
is "$(words backup co)" 'config colours ' "a source"
is "$(words backup config co)" 'config colours ' "another"
is "$(words backup --label co)" '' "not where a text is wanted"
is "$(words backup -- -)" '' "behind -- there are no options"
is "$(words ls '')" 'latest 2 ' "a snapshot"
is "$(holdfast completion words ls 2 | cut -f 2 | sed 's/^[0-9TZ:-]*//')" ', first one' "with its label"
is "$(words ls latest col)" 'colours ' "then a source"
is "$(words ls latest colours x)" '' "then a path, of which nothing is known"
is "$(words restore latest --target '')" 'disk offsite ' "a target, also of an included file"
is "$(words restore latest --target=o)" '--target=offsite ' "in one word"
is "$(words restore latest --target = o)" 'offsite ' "in three, as bash cuts it"
is "$(words diff latest 2 co)" 'config colours ' "an operand by its place"
is "$(words restore --to '')" ':folders ' "a folder is for the shell to find"
is "$(words -c '')" ':files ' "so is a file"
is "$(words completion f)" 'fish ' "a shell"
is "$(words -c "$R/nosuch" backup '')" '' "a manifest that is not there offers nothing"
is "$(words --config="$R/nosuch" ls '')" 'latest ' "in either form"
is "$(words)" "$(words '')" "no word at all"
ok "nothing was fetched for that" test ! -e "$work/fetched"
hf completion
exits 2 "no shell"
hf completion tcsh
exits 2 "an unknown shell"
says 'bash, fish and zsh' "is told which there are"

# ---- what the shells offer

# bash_offers LINE: through the file that is installed, called as bash calls it.
bash_offers() {
  bash --norc --noprofile -c '
    . "$1"
    COMP_LINE=$2 COMP_POINT=${#2} COMPREPLY=()
    # As readline cuts words: at blanks and at the =.
    read -r -a COMP_WORDS <<<"${2//=/ = }"
    [[ $2 != *" " ]] || COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    eval "$(complete -p holdfast | sed "s/.*-F \([^ ]*\) .*/\1/")"
    printf "%s " "${COMPREPLY[@]}"' bash "$SRCDIR/etc/completions/holdfast" "$1" 2>"$work/err"
}
is "$(bash_offers 'holdfast ba')" 'backup ' "bash: a command"
is "$(bash_offers 'holdfast restore latest --ta')" '--target ' "bash: an option"
is "$(bash_offers 'holdfast restore latest --target=o')" 'offsite ' "bash: a value"
is "$(bash_offers 'holdfast backup ')" 'config colours ' "bash: an empty word"
is "$(bash_offers 'holdfast -c o')" 'one.ini ' "bash: a file"
is "$(bash_offers 'holdfast restore latest --to ')" 'folder ' "bash: a folder"
# At a real prompt.
cat >"$work/prompt.py" <<'PY'
import os, pty, select, sys, time
shell, typed, wanted = sys.argv[1].split(), sys.argv[2], sys.argv[3]
pid, fd = pty.fork()
if pid == 0:
    os.environ.update(TERM="dumb", PS1="> ", INPUTRC="/dev/null")
    os.execvp(shell[0], shell)
seen, sent, end = b"", False, time.time() + 30
while time.time() < end and wanted.encode() not in seen:
    if select.select([fd], [], [], 0.1)[0]:
        try:
            seen += os.read(fd, 4096)
        except OSError:
            break
    elif not sent:
        os.write(fd, typed.encode() + b"\t")
        sent = True
os.kill(pid, 9)
text = seen.decode(errors="replace")
sys.exit(0 if wanted in text else "seen: %r" % text)
PY
printf '. %q\n' "$SRCDIR/etc/completions/holdfast" >"$work/bashrc"
ok "bash: a tab at a prompt" python3 "$work/prompt.py" "bash --rcfile $work/bashrc -i" 'holdfast backup col' 'holdfast backup colours'

fish_offers() {
  HOME=$work fish --no-config -c '. $argv[1]; complete -C"$argv[2]"' "$SRCDIR/etc/completions/holdfast.fish" "$1" 2>"$work/err" | cut -f 1 | sort | tr '\n' ' '
}
is "$(fish_offers 'holdfast ba')" 'backup ' "fish: a command"
is "$(fish_offers 'holdfast restore latest --ta')" '--target ' "fish: an option"
is "$(fish_offers 'holdfast restore latest --target=o')" '--target=offsite ' "fish: a value"
is "$(fish_offers 'holdfast backup ')" 'colours config ' "fish: an empty word"
is "$(fish_offers 'holdfast -c o')" 'one.ini ' "fish: a file"
is "$(HOME=$work fish --no-config -c '. $argv[1]; complete -C"holdfast bac"' "$SRCDIR/etc/completions/holdfast.fish")" "$(printf 'backup\ttake a snapshot')" "fish: with a description"

mkdir "$work/zsh"
cp "$SRCDIR/etc/completions/_holdfast" "$work/zsh/"
cat >"$work/zsh/.zshrc" <<END
fpath=($work/zsh \$fpath)
autoload -Uz compinit && compinit -u -d $work/zsh/dump
zstyle ':completion:*' list-colors ''
END
ok "zsh: a command, by a tab at a prompt" env ZDOTDIR="$work/zsh" python3 "$work/prompt.py" 'zsh -i' 'holdfast back' 'holdfast backup'
ok "zsh: a source" env ZDOTDIR="$work/zsh" python3 "$work/prompt.py" 'zsh -i' 'holdfast backup col' 'holdfast backup colours'
ok "zsh: a target" env ZDOTDIR="$work/zsh" python3 "$work/prompt.py" 'zsh -i' 'holdfast restore latest --target off' 'holdfast restore latest --target offsite'

# ---- table, parsers and pages name the same options

cat >"$work/options.py" <<'PY'
import os, re, subprocess, sys
top, program = sys.argv[1:3]
def run(*a):
    return subprocess.run([program, *a], capture_output=True, text=True)
def options(lines):
    found = {}
    for line in lines:
        m = re.match(r" +(-[a-zA-Z])?(?:, )?(--[a-z-]+)?(\[=| )?([A-Z][A-Z-]*)?", line)
        if m and (m[1] or m[2]):
            found[m[2] or m[1]] = (m[1], m[4], m[3] == "[=")
    return found
def words(text): # of mdoc: the options of a SYNOPSIS or of tags
    return set(re.findall(r"(?<![A-Za-z])-(?:-)?[a-z][a-z-]*", re.sub(r"\bFl (-?)", r"-\1", text)))
shared, bad = None, []
def say(*a):
    bad.append(" ".join(a))
general = open(top + "/man/holdfast.1").read()
commands = re.findall(r"^  ([a-z]+)  +\S", run("--help").stdout, re.M)
commands.remove("help")
assert len(commands) >= 13, commands
for command in commands:
    out = run("help", command).stdout
    usage = out.splitlines()[0]
    own, _, rest = out.partition("Options of every command:")
    own, all_ = options(own.splitlines()[1:]), options(rest.splitlines())
    shared = shared or all_
    if all_ != shared:
        say(command, "other shared options")
    page = open(top + "/man/holdfast-%s.1" % command).read()
    synopsis = re.search(r"^\.Sh SYNOPSIS\n(.*?)^\.Sh ", page, re.M | re.S)[1]
    in_synopsis = words(synopsis)
    in_tags = words("\n".join(re.findall(r"^\.It (Fl .*)$", page, re.M)))
    source = "".join(open(top + "/core/cmd/" + f).read() for f in ("cmd_%s.c" % command,))
    longs = {"--" + n for n in re.findall(r'\{"([a-z-]+)", (?:no|required|optional)_argument', source)}
    shorts = {"-" + s for arg in re.findall(r'hf_args_next\(c, "\+?([a-zA-Z:]*)"', source) for s in arg.replace(":", "")}
    names = {n for o, (s, _, _) in own.items() for n in (o, s) if n}
    if {n for n in names if n.startswith("--")} != longs:
        say(command, "long options: help has", str(sorted(names)), "the parser", str(sorted(longs)))
    if {n for n in names if not n.startswith("--")} != shorts:
        say(command, "short options: help has", str(sorted(names)), "the parser", str(sorted(shorts)))
    for o, (s, value, optional) in own.items():
        forms = {o, s} - {None}
        if not any(re.search(r"(?<![a-z-])%s(?![a-z-])" % re.escape(f), usage) for f in forms):
            say(command, o, "is not in the usage line")
        if not forms & in_synopsis:
            say(command, o, "is not in the SYNOPSIS of its page")
        if not forms <= in_tags:
            say(command, str(sorted(forms - in_tags)), "has no line in its page")
    for w in in_synopsis - names:
        say(command, w, "is in the SYNOPSIS only")
    for w in in_tags - names:
        say(command, w, "has a line in the page only")
    if "holdfast-%s 1" % command not in general:
        say(command, "is not in holdfast(1)")
synopsis = re.search(r"^\.Sh SYNOPSIS\n(.*?)^\.Sh ", general, re.M | re.S)[1]
tags = words("\n".join(re.findall(r"^\.It (Fl .*)$", general, re.M)))
for o, (s, _, _) in shared.items():
    if not {o, s} - {None} <= tags:
        say(o, "has no line in holdfast(1)")
    if o not in ("--help",) and not {o, s} & words(synopsis) and not (s and s[1] in "".join(re.findall(r"Fl ([a-z]+)", synopsis))):
        say(o, "is not in the SYNOPSIS of holdfast(1)")
print("\n".join(bad))
PY
unset HOLDFAST_MANIFEST
is "$(python3 "$work/options.py" "$SRCDIR" "$HOLDFAST" 2>&1)" '' "every command's options: help, parser, usage line and manual page agree"
# It would be seen.
mkdir -p "$work/top/core"
cp -r "$SRCDIR/man" "$work/top/" && cp -r "$SRCDIR/core/cmd" "$work/top/core/"
sed -i 's/Fl -label/Fl -lable/' "$work/top/man/holdfast-backup.1"
[ "$(python3 "$work/options.py" "$work/top" "$HOLDFAST" 2>&1 | grep -c '^backup')" -ge 2 ]
result $? "a page that does not agree would be found"
done_testing
