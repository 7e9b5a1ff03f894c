/* drill_html.c - the report of a drill as one page of HTML: no script, nothing from elsewhere, fit for printing.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cmd/drill_out.h"

#include "base/io.h"
#include "base/text.h"

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n";
static const char style[] =
    "<style>\n"
    "body { font: 11pt/1.45 sans-serif; color: #111; background: #fff; max-width: 60em; margin: 2em auto; padding: 0 1em; }\n"
    "h1 { font-size: 1.5em; margin: 0 0 .2em; } h2 { font-size: 1.1em; margin: 1.6em 0 .4em; }\n"
    ".verdict { display: inline-block; padding: .3em .9em; border: 2px solid; font-weight: bold; }\n"
    ".passed { color: #0a5c1e; } .failed { color: #a00; } .restored { color: #7a5200; }\n"
    "table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .3em .6em; border-bottom: 1px solid #bbb; } td.f { overflow-wrap: anywhere; }\n"
    "th { border-bottom: 2px solid #444; white-space: nowrap; } td.n, th.n { text-align: right; white-space: nowrap; } td.w { white-space: nowrap; }\n"
    "tr { break-inside: avoid; } thead { display: table-header-group; }\n"
    "dl { display: grid; grid-template-columns: max-content 1fr; gap: .15em 1.2em; margin: 1em 0; } dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; }\n"
    "footer { margin-top: 2.5em; color: #555; font-size: .85em; } .sign { margin-top: 3em; } .sign span { display: inline-block; width: 18em; border-top: 1px solid #444; margin-right: 3em; }\n"
    "@page { margin: 18mm; } @media print { body { margin: 0; max-width: none; font-size: 10pt; } }\n"
    "</style>\n";

/* Text of any bytes, as text. What would steer a terminal is shown as \ooo here too. */
static void add_text(struct hf_buf *b, const char *s) {
  HF_CLEANUP(hf_freep) char *shown = hf_printable(s ? s : "", s ? strlen(s) : 0);
  for (const char *c = shown; *c; c++) {
    switch (*c) {
    case '<': hf_buf_adds(b, "&lt;"); break;
    case '>': hf_buf_adds(b, "&gt;"); break;
    case '&': hf_buf_adds(b, "&amp;"); break;
    case '"': hf_buf_adds(b, "&quot;"); break;
    case '\'': hf_buf_adds(b, "&#39;"); break;
    default: hf_buf_addc(b, *c);
    }
  }
}

static void add_fact(struct hf_buf *b, const char *name, const char *value) {
  hf_buf_addf(b, "<dt>%s</dt><dd>", name);
  add_text(b, value);
  hf_buf_adds(b, "</dd>\n");
}

static void add_cell(struct hf_buf *b, const char *class, const char *value) {
  hf_buf_addf(b, "<td%s%s%s>", class ? " class=\"" : "", class ? class : "", class ? "\"" : "");
  add_text(b, value);
  hf_buf_adds(b, "</td>");
}

static void add_duration(struct hf_buf *b, double seconds) {
  char took[24];
  hf_format_duration(took, seconds);
  add_cell(b, "n", took);
}

static void add_facts(struct hf_buf *b, const struct hf_manifest *m, const struct hf_drill_result *r, uint64_t record) {
  char when[HF_TIME_LEN], text[160], took[24], rto[24];
  hf_buf_adds(b, "<dl>\n");
  add_fact(b, "Host", m->host);
  hf_format_time(when, r->time);
  add_fact(b, "Drill ended", when);
  hf_format_time(when, r->snapshot_time);
  snprintf(text, sizeof text, "%llu of %s (%.32s)", (unsigned long long)r->seq, when, r->id);
  add_fact(b, "Snapshot", text);
  hf_format_duration(took, r->seconds);
  hf_format_duration(rto, (double)r->rto);
  snprintf(text, sizeof text, "%s%s%s", took, r->rto ? "; rto is " : "; no rto is set", r->rto ? rto : "");
  add_fact(b, "Time needed", text);
  if (r->late) add_fact(b, "Too late", r->late);
  snprintf(text, sizeof text, "%zu of %zu came back as they should", r->n_sources - r->failed, r->n_sources);
  add_fact(b, "Sources", text);
  snprintf(text, sizeof text, "%llu", (unsigned long long)record);
  add_fact(b, "Record on the chain", record ? text : "none: this machine is not the host, or it was not to be recorded");
  hf_buf_adds(b, "</dl>\n");
}

static void add_sources(struct hf_buf *b, const struct hf_drill_result *r) {
  hf_buf_adds(b, "<h2>Sources</h2>\n<table>\n<thead><tr><th>Source</th><th>Verdict</th><th class=\"n\">Files</th><th class=\"n\">Size</th><th class=\"n\">Restore</th><th class=\"n\">Verify</th>"
                 "<th class=\"n\">RTO</th><th>Found</th></tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < r->n_sources; i++) {
    const struct hf_drill_source *d = &r->sources[i];
    char text[24];
    hf_buf_adds(b, "<tr>");
    add_cell(b, "w", d->name);
    hf_buf_addf(b, "<td class=\"w %s\">%s</td>", hf_drill_word(d->verdict), hf_drill_word(d->verdict));
    snprintf(text, sizeof text, "%llu", (unsigned long long)d->files);
    add_cell(b, "n", text);
    hf_format_size(text, d->bytes);
    add_cell(b, "n", text);
    add_duration(b, d->restore_seconds);
    add_duration(b, d->verify_seconds);
    if (d->rto) add_duration(b, (double)d->rto);
    else add_cell(b, "n", "");
    add_cell(b, "f", d->message);
    hf_buf_adds(b, "</tr>\n");
  }
  hf_buf_adds(b, "</tbody>\n</table>\n");
}

static void add_contacts(struct hf_buf *b, const struct hf_manifest *m) {
  if (m->n_contacts == 0) return;
  hf_buf_adds(b, "<h2>Contacts</h2>\n<table>\n<thead><tr><th>Name</th><th>Role</th><th>Phone</th><th>E-mail</th><th>Hours</th><th>Note</th></tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < m->n_contacts; i++) {
    const struct hf_manifest_contact *c = &m->contacts[i];
    const char *const cells[] = {c->name, c->role, c->phone, c->email, c->hours, c->note};
    hf_buf_adds(b, "<tr>");
    for (size_t k = 0; k < HF_NELEM(cells); k++) add_cell(b, k == 0 || k == 2 || k == 3 ? "w" : "f", cells[k]);
    hf_buf_adds(b, "</tr>\n");
  }
  hf_buf_adds(b, "</tbody>\n</table>\n");
}

int hf_drill_html(const char *path, const struct hf_manifest *m, const struct hf_drill_result *r, uint64_t record, struct hf_error *err) {
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  const char *verdict = hf_drill_passed(r) ? "passed" : "failed";
  hf_buf_adds(&b, head);
  hf_buf_adds(&b, "<title>Restore drill of ");
  add_text(&b, m->host);
  hf_buf_addf(&b, ": %s</title>\n%s</head>\n<body>\n<h1>Restore drill of ", verdict, style);
  add_text(&b, m->host);
  hf_buf_addf(&b, "</h1>\n<p class=\"verdict %s\">%s</p>\n", verdict, verdict);
  add_facts(&b, m, r, record);
  add_sources(&b, r);
  add_contacts(&b, m);
  hf_buf_adds(&b, "<p class=\"sign\"><span>Date</span><span>Seen by</span></p>\n<footer>Written by ");
  add_text(&b, HF_TOOL);
  hf_buf_adds(&b, ". Each source was restored to a private folder, compared with the snapshot's record, verified by its plugin, and removed.</footer>\n</body>\n</html>\n");
  return hf_write_file_atomic(path, b.data, b.len, 0600, err);
}
