/* Converts JSON that clients send and the JSON library refuses into JSON that it accepts.
 *
 *   - A byte order mark before the body is dropped.
 *   - A surrogate without its partner becomes U+FFFD.
 *   - A number that no int64_t or double holds (18446744073709551615 in the schema of a tool, 1e400) becomes a string
 * that begins with NUMBER_MARK and holds its digits, so that a check can name it and json_dump_exact can write it back.
 *     A client's own string cannot begin with the mark: U+FDD0 is a noncharacter, and becomes U+FFFD there.
 *   - A name that occurs twice is refused where the API reads it: in the body itself and in its messages. Elsewhere,
 *     in ignored fields and within tools, the last value is used. */
#ifndef API_JSON_PREPARE_H
#define API_JSON_PREPARE_H

#include "api/core/api_error.h"

#include <stdbool.h>

/* U+FDD0 and '#'. */
#define NUMBER_MARK "\xef\xb7\x90#"

/* *prepared is `body` or a part of it if nothing needs to change, and otherwise a part of `copy`. The parser finds
 * invalid JSON. is_read: whether the API reads fields of this name; refused with it as param. */
int json_prepare(struct smollm_text body, bool (*is_read)(struct smollm_text name), struct buffer *copy,
                 struct smollm_text *prepared, struct api_error *error);

/* Turns what json_prepare made of numbers back into numbers, in JSON text that was dumped without escapes of UTF-8: the
 * text becomes shorter. Returns its size. */
size_t json_restore_numbers(char *text, size_t size);

#endif
