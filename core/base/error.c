/* error.c - the one error object: filling, prefixing, and what an errno means.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#include <errno.h>

/* Messages are one line: whatever a library put in between becomes a blank, and what it put behind is dropped. */
static void set_message(struct hf_error *err, const char *text) {
  size_t n = 0;
  for (; text[n] && n < sizeof err->msg - 1; n++) err->msg[n] = (unsigned char)text[n] < 0x20 ? ' ' : text[n];
  while (n > 0 && err->msg[n - 1] == ' ') n--;
  err->msg[n] = 0;
}

int hf_fail(struct hf_error *err, int code, const char *fmt, ...) {
  if (!err) return code;
  /* By way of a copy: the arguments may well include the message that is there now. */
  char text[sizeof err->msg];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  err->code = code;
  set_message(err, text);
  return code;
}

int hf_fail_errno(struct hf_error *err, int errnum, const char *fmt, ...) {
  int code = hf_status_of_errno(errnum);
  if (!err) return code;
  char text[sizeof err->msg], why[128];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  const char *w = strerror_r(errnum, why, sizeof why);
  /* A long path must not push the reason out of the message. */
  size_t at = n < 0 ? 0 : HF_MIN((size_t)n, sizeof text - 1), room = strlen(w) + 3;
  if (at + room > sizeof text) at = sizeof text - room;
  snprintf(text + at, sizeof text - at, ": %s", w);
  err->code = code;
  set_message(err, text);
  return code;
}

int hf_prefix(struct hf_error *err, const char *fmt, ...) {
  if (!err) return HOLDFAST_E_FAILED;
  char text[2 * sizeof err->msg];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(text, sizeof err->msg, fmt, ap);
  va_end(ap);
  size_t at = n < 0 ? 0 : HF_MIN((size_t)n, sizeof err->msg - 1);
  snprintf(text + at, sizeof text - at, ": %s", err->msg);
  set_message(err, text);
  return err->code;
}

int hf_status_of_errno(int errnum) {
  switch (errnum) {
  case ENOSPC:
  case EDQUOT: return HOLDFAST_E_NO_SPACE;
  case EACCES:
  case EPERM: return HOLDFAST_E_AUTH;
  case ENOENT:
  case ENOTDIR: return HOLDFAST_E_NOT_FOUND;
  case EEXIST: return HOLDFAST_E_EXISTS;
  case EAGAIN:
  case EINTR:
  case EBUSY:
  case ESTALE:
  case EPIPE:
  case ECONNRESET:
  case ECONNREFUSED:
  case ECONNABORTED:
  case ENETDOWN:
  case ENETUNREACH:
  case EHOSTUNREACH:
  case ETIMEDOUT: return HOLDFAST_E_TRANSIENT;
  case ENOSYS:
  case EOPNOTSUPP: return HOLDFAST_E_UNSUPPORTED;
  case ECANCELED: return HOLDFAST_E_CANCELED;
  default: return HOLDFAST_E_FAILED;
  }
}

const char *hf_status_name(int status) {
  switch (status) {
  case HOLDFAST_OK: return "ok";
  case HOLDFAST_E_FAILED: return "failed";
  case HOLDFAST_E_CONFIG: return "wrong settings";
  case HOLDFAST_E_NOT_FOUND: return "not found";
  case HOLDFAST_E_EXISTS: return "exists";
  case HOLDFAST_E_AUTH: return "not permitted";
  case HOLDFAST_E_TRANSIENT: return "transient";
  case HOLDFAST_E_NO_SPACE: return "no space";
  case HOLDFAST_E_CORRUPT: return "corrupt";
  case HOLDFAST_E_UNSUPPORTED: return "unsupported";
  case HOLDFAST_E_FATAL: return "fatal";
  case HOLDFAST_E_CANCELED: return "canceled";
  case HOLDFAST_E_TIMEOUT: return "timed out";
  case HOLDFAST_E_CHANGED: return "changed";
  case HOLDFAST_E_USAGE: return "wrong usage";
  default: return "unknown status";
  }
}
