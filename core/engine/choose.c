/* choose.c - finding the snapshot that is meant, among those that can be had.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"
#include "engine/live.h"

/* Why a snapshot cannot be had: from where it was pruned, and who has it. */
static int tell_gone(const struct hf_session *s, const struct hf_live_snapshot *v, struct hf_error *err) {
  HF_CLEANUP(hf_buf_free) struct hf_buf holders = HF_BUF_INIT;
  for (size_t i = 0; i < s->manifest->n_targets; i++) {
    const char *name = s->manifest->targets[i].name;
    if (hf_live_at(v, name)) hf_buf_addf(&holders, "%s%s", holders.len ? ", " : "", name);
  }
  unsigned long long seq = v->seq, by = v->pruned_by;
  if (holders.len && by) return hf_fail(err, HOLDFAST_E_NOT_FOUND, "snapshot %llu was pruned here (record %llu says so); what holds it still: %s", seq, by, holders.data);
  if (holders.len) return hf_fail(err, HOLDFAST_E_NOT_FOUND, "snapshot %llu was passed over here; what holds it: %s", seq, holders.data);
  if (by) return hf_fail(err, HOLDFAST_E_NOT_FOUND, "snapshot %llu was pruned: record %llu says that no target holds it any more", seq, by);
  return hf_fail(err, HOLDFAST_E_NOT_FOUND, "snapshot %llu was passed over by every target that the manifest has", seq);
}

/* What the user named. */
struct spec { const char *text; bool latest, digits; int64_t at; uint64_t seq; };

static int parse(const char *text, struct spec *out, struct hf_error *err) {
  size_t len = strlen(text);
  *out = (struct spec){.text = text, .latest = strcmp(text, "latest") == 0, .digits = len > 0 && len <= 10 && strspn(text, "0123456789") == len, .at = INT64_MAX};
  if (text[0] == '@') return hf_parse_time(text + 1, &out->at, err);
  if (out->digits) out->seq = strtoull(text, NULL, 10);
  if (out->latest || out->digits || (len > 0 && strspn(text, "0123456789abcdefABCDEF") == len)) return 0;
  return hf_fail(err, HOLDFAST_E_USAGE, "%s is no snapshot: say latest, a sequence number, the start of an id, or @TIME", text);
}

/* Those that are named by what they are, and not by their place among others: they are found also when they are gone, to be told so. */
static bool is_named(const struct spec *x) { return !x->latest && x->text[0] != '@'; }

static bool is_hit(const struct spec *x, const struct hf_record *r) {
  if (r->type != HF_RECORD_SNAPSHOT) return false;
  if (x->latest) return true;
  if (x->text[0] == '@') return r->time <= x->at;
  return x->digits ? r->seq == x->seq : strncasecmp(r->id, x->text, strlen(x->text)) == 0;
}

/* The newest that is meant, and how many there are. */
static struct hf_record *look_for(struct hf_session *s, const struct hf_live *live, const struct spec *x, size_t *matches, bool *gone) {
  struct hf_record *best = NULL;
  *matches = 0;
  *gone = false;
  for (size_t i = live->n; i > 0; i--) {
    struct hf_record *r = NULL;
    const struct hf_live_snapshot *v = &live->v[i - 1];
    bool here = hf_live_within_reach(s, v);
    if (!here && !is_named(x)) {
      *gone = true;
      continue;
    }
    if (hf_session_record(s, v->seq, &r, NULL, NULL) < 0) continue;
    if (is_hit(x, r) && (*matches)++ == 0) best = r;
    else hf_record_free(r);
    if (best && (!is_named(x) || x->digits)) break;
  }
  return best;
}

int hf_session_snapshot(struct hf_session *s, const char *text, struct hf_record **out, struct hf_error *err) {
  struct spec x;
  struct hf_live live;
  size_t matches;
  bool gone;
  int r = parse(text, &x, err);
  if (r == 0) r = hf_live_load(s, &live, err);
  if (r < 0) return r;
  struct hf_record *best = look_for(s, &live, &x, &matches, &gone);
  const struct hf_live_snapshot *v = best ? hf_live_find(&live, best->seq) : NULL;
  if (!best) r = hf_fail(err, HOLDFAST_E_NOT_FOUND, "there is no snapshot %s%s", text, gone ? " at the targets that can be used; holdfast list --all shows those that were pruned" : "");
  else if (matches > 1) r = hf_fail(err, HOLDFAST_E_USAGE, "%s is the start of %zu snapshots' ids: say more of it", text, matches);
  else if (!hf_live_within_reach(s, v)) r = tell_gone(s, v, err);
  for (size_t i = 0; r == 0 && i < s->n_targets; i++) s->chains[i].elsewhere = !hf_live_at(v, hf_target_name(s->targets[i]));
  hf_live_free(&live);
  if (r < 0) hf_record_free(best);
  else *out = best;
  return r;
}
