/* JSON text as Python prints it: str(json.loads(text)).
 *
 * SmolLM3's template writes each tool as `tool | string`, so this is what the model saw in training: single quotes,
 * True, False and None, keys in the order sent, floats as Python's repr, integers of any size digit by digit. */
#ifndef CHAT_PYTHON_REPR_H
#define CHAT_PYTHON_REPR_H

#include "base/text.h"
#include "smollm_error.h"

/* Nesting beyond this is refused (SMOLLM_ELIMIT). */
enum { PYTHON_REPR_MAX_DEPTH = 128 };

/* Appends to out. Text must be one JSON object (RFC 8259; no NaN, no Infinity), otherwise SMOLLM_EFORMAT with the place
 * in bytes. Of members with the same name the last one's value stands in the first one's place, as in a dict. A \u
 * escape of half a surrogate pair is kept as Python keeps it. On failure out is as before, but for SMOLLM_ENOMEM. */
int python_repr_object(struct smollm_text json, struct buffer *out, struct smollm_error *error);

#endif
