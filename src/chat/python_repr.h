/* JSON text as Python prints it: str(json.loads(text)), and json.dumps of it.
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

/* The same as json.dumps(ensure_ascii=False) writes it; half a surrogate pair stays an escape, so that the text is
 * UTF-8.
 */
int python_json_object(struct smollm_text json, struct buffer *out, struct smollm_error *error);
/* With indent=4, as a value at a depth: its lines but the first are indented by 4 * depth more. */
int python_json_indented(struct smollm_text json, int depth, struct buffer *out, struct smollm_error *error);

#endif
