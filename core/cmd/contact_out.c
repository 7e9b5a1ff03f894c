/* contact_out.c - whom to call, for people and for programs.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"
#include "cmd/cmd.h"

void hf_out_contacts(FILE *out, const struct hf_manifest *m) {
  for (size_t i = 0; i < m->n_contacts; i++) {
    const struct hf_manifest_contact *c = &m->contacts[i];
    const struct { const char *before, *text, *after; } parts[] = {{" (", c->role, ")"}, {", ", c->phone, ""}, {", ", c->email, ""}, {", ", c->hours, ""}, {": ", c->note, ""}};
    fprintf(out, "%s %s", i ? "        " : "contacts", c->name);
    for (size_t k = 0; k < HF_NELEM(parts); k++) {
      if (!parts[k].text) continue;
      HF_CLEANUP(hf_freep) char *shown = hf_printable(parts[k].text, strlen(parts[k].text));
      fprintf(out, "%s%s%s", parts[k].before, shown, parts[k].after);
    }
    fputc('\n', out);
  }
}

json_t *hf_out_contacts_json(const struct hf_manifest *m) {
  json_t *a = json_array();
  for (size_t i = 0; i < m->n_contacts; i++) {
    const struct hf_manifest_contact *c = &m->contacts[i];
    json_array_append_new(a, json_pack("{s:s, s:o, s:o, s:o, s:I, s:o, s:o}", "name", c->name, "role", hf_out_string(c->role), "phone", hf_out_string(c->phone), "email", hf_out_string(c->email), "priority",
                                       (json_int_t)c->priority, "hours", hf_out_string(c->hours), "note", hf_out_string(c->note)));
  }
  return a;
}
