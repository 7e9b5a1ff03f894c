# report.awk - the raw figures of run.sh as tables of ratios, in Markdown.
# SPDX-License-Identifier: Apache-2.0

BEGIN {
  FS = "\t"
  MiB = 1048576
  n_jobs = split("first first-cpu unchanged changed restore restore-cpu one check stored memory", jobs, " ")
  title["first"] = "first backup"
  title["first-cpu"] = "first backup, processor time"
  title["restore-cpu"] = "full restore, processor time"
  title["unchanged"] = "nothing changed"
  title["changed"] = "1 % of files changed"
  title["restore"] = "full restore"
  title["one"] = "one file restored"
  title["check"] = "check, reading all"
  title["decrypt"] = "check, decrypting all"
  title["stored"] = "bytes stored"
  title["memory"] = "peak memory"
  name["restic"] = "restic"
  name["restic-none"] = "restic, no compression"
  name["borg-zstd"] = "borg, zstd 3"
  name["borg-lz4"] = "borg, lz4"
  name["pipe"] = "tar \\| zstd \\| gpg"
  name["holdfast"] = "holdfast"
}

$1 == "machine" { machine = $2; next }
$1 == "versions" { versions = $2; next }
$1 == "restores" { restores = $2; next }
$1 == "scale" { scale = $2; next }
$1 == "rounds" { rounds = $2; next }
$1 == "set" {
  sets[++n_sets] = $2
  files[$2] = $3
  bytes[$2] = $4
  next
}

{
  tool_seen[$3] = 1
  if ($2 ~ /^memory-/) { # the worst of all jobs
    k = $1 SUBSEP "memory" SUBSEP $3
    if ($5 + 0 > value[k] + 0) value[k] = $5
    next
  }
  k = $1 SUBSEP $2 SUBSEP $3
  figures[k, ++n_figures[k]] = $5 + 0
  if ($2 != "stored") {
    k = $1 SUBSEP $2 "-cpu" SUBSEP $3
    figures[k, ++n_figures[k]] = $6 + $7
  }
}

function median(k,    i, j, n, v, t) {
  n = n_figures[k]
  for (i = 1; i <= n; i++) {
    t = figures[k, i]
    for (j = i - 1; j > 0 && v[j] > t; j--) v[j + 1] = v[j]
    v[j + 1] = t
  }
  return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}

# The least of the peers' values at like compression, 0 when there is none. Peers read all in one way only, which is their check.
function best_peer(set, job,    i, k, least) {
  if (job == "decrypt") job = "check"
  for (i = 1; i <= n_tools; i++) {
    k = set SUBSEP job SUBSEP tools[i]
    if (tools[i] !~ /^(restic|borg-zstd)$/ || !(k in value)) continue
    if (!least || value[k] < least) least = value[k]
  }
  return least
}

function of(set, job, tool,    k) {
  k = set SUBSEP job SUBSEP tool
  return k in value ? value[k] : 0
}

# One row of the first table. goal: the limit, or "" for none; small_goal: another one for the set of small files; only: the one set that the goal is for.
function row(job, against, goal, small_goal, only,    i, set, v, limit, other, cells) {
  for (i = 1; i <= n_sets; i++) {
    set = sets[i]
    v = of(set, job, "holdfast")
    other = against == "peer" ? best_peer(set, job) : against == "pipe" ? of(set, job, "pipe") : against
    limit = set == "small" && small_goal != "" ? small_goal : goal
    if (only != "" && only != set) limit = ""
    if (!v || !other) cells = cells " – |"
    else if (limit == "") cells = cells sprintf(" %.2f |", v / other)
    else cells = cells sprintf(" %.2f, %s |", v / other, v / other <= limit ? "met" : "**not met**")
  }
  if (against == "peer") other = job == "stored" ? "the smaller peer" : "the faster peer"
  else other = against == "pipe" ? "the pipeline" : "256 MiB"
  limit = goal == "" ? "–" : "≤ " goal
  if (small_goal != "") limit = limit " (small: " small_goal ")"
  if (only != "") limit = limit " (" only ")"
  printf "| %s | %s | %s |%s\n", title[job], other, limit, cells
}

function heading(first, second, third,    i, line, rule) {
  line = "| " first " |" (second != "" ? " " second " |" : "") (third != "" ? " " third " |" : "")
  rule = "|---|" (second != "" ? "---|" : "") (third != "" ? "---|" : "")
  for (i = 1; i <= n_sets; i++) {
    line = line " " sets[i] " |"
    rule = rule "---|"
  }
  print line
  print rule
}

function grouped(n,    s) {
  s = sprintf("%.0f", int(n))
  while (match(s, /^[0-9]+/) && RLENGTH > 3) s = substr(s, 1, RLENGTH - 3) "," substr(s, RLENGTH - 2)
  return s
}

END {
  n = split("holdfast restic restic-none borg-zstd borg-lz4 pipe", all, " ")
  for (i = 1; i <= n; i++) if (all[i] in tool_seen) tools[++n_tools] = all[i]
  for (k in n_figures) value[k] = median(k)
  base = "holdfast" in tool_seen ? "holdfast" : tools[1]

  printf "Ratios of one run on %s; %s. ", machine, versions
  if (restores) printf "Restores go to %s. ", restores
  printf "Medians of %d round%s%s.\n", rounds, rounds == 1 ? "" : "s", scale == 1 ? "" : ", sets scaled by " scale
  printf "Sets:"
  for (i = 1; i <= n_sets; i++) printf "%s %s has %s files of %.1f MiB together", (i > 1 ? ";" : ""), sets[i], grouped(files[sets[i]]), bytes[sets[i]] / MiB
  print ".\n"

  if (base == "holdfast") {
    heading("holdfast", "against", "goal")
    row("first", "peer", 0.55, 0.45, "")
    row("first", "pipe", "1.0", 1.25, "")
    row("unchanged", "peer", 0.15, "", "")
    row("changed", "peer", 0.25, "", "")
    row("restore", "peer", "0.6", "", "")
    row("restore", "pipe", 1.3, "", "")
    row("one", "peer", "0.3", "", "small")
    row("check", "peer", "", "", "")
    row("decrypt", "peer", "", "", "")
    row("stored", "peer", 0.95, "", "")
    row("memory", 256 * MiB, "1.0", "", "")
    print ""
  }

  if ("restic-none" in tool_seen || "borg-lz4" in tool_seen)
    printf "The peers are those that compress alike, restic (auto) and borg with zstd 3. What they do with less compression, or none, is in these tables.\n\n"
  printf "Every tool, in multiples of %s's time, bytes or memory:\n", base
  for (i = 1; i <= n_sets; i++) {
    line = "\n| " sets[i] " |"
    rule = "|---|"
    for (t = 1; t <= n_tools; t++) {
      line = line " " name[tools[t]] " |"
      rule = rule "---|"
    }
    print line
    print rule
    for (j = 1; j <= n_jobs; j++) {
      b = of(sets[i], jobs[j], base)
      if (!b) continue
      line = "| " title[jobs[j]] " |"
      for (t = 1; t <= n_tools; t++) line = line (of(sets[i], jobs[j], tools[t]) ? sprintf(" %.2f |", of(sets[i], jobs[j], tools[t]) / b) : " – |")
      print line
    }
  }
}
