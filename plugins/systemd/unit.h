/* unit.h - the syntax of unit files, and the names of units.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_SYSTEMD_UNIT_H
#define HF_SYSTEMD_UNIT_H

#include <stdbool.h>
#include <stddef.h>

#define HF_SYSTEMD_NAME_MAX 255

/* One assignment; the value is without blanks around it, "" when the list it adds to begins anew. Texts are gone when the function
 * returns. A negative result stops the parser, which returns it. */
typedef int (*hf_systemd_fn)(void *ctx, const char *section, const char *key, const char *value);

/* Take the n bytes of a unit file or drop-in apart: sections, assignments, comments, continued lines. *bad: the first line that is none of
 * these (from 1), 0 when there is none; the rest is read all the same, as the manager does. 0, what fn returned, or -ENOMEM. */
int hf_systemd_parse(const char *text, size_t n, hf_systemd_fn fn, void *ctx, unsigned *bad);

/* Is s the name of a unit: characters, length, one '@' at most, a type that there is? */
bool hf_systemd_is_unit(const char *s);
/* "a@.service" */
bool hf_systemd_is_template(const char *s);
/* "a@b.service": the template's name into out (HF_SYSTEMD_NAME_MAX + 1 bytes), and true; else false. */
bool hf_systemd_template_of(const char *s, char *out);
/* The name with another type: ("a@b.timer", "service") is "a@b.service". False when it would be too long. */
bool hf_systemd_with_type(const char *s, const char *type, char *out);
/* The type: what is behind the last '.', "" if nothing. */
const char *hf_systemd_type(const char *s);

/* The path or name s with its specifiers replaced, for the unit name: %n %N %p %P %i %I %j %J %% and the folders %E %S %C %L %t %T %V. The
 * caller frees. NULL, and *unknown: one that depends on the running system ('\0': memory is out). */
char *hf_systemd_expand(const char *s, const char *name, char *unknown);

#endif
