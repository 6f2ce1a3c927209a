/* JSON text written piece by piece into a buffer: commas are written as needed, invalid UTF-8 is replaced.
 *
 * A zeroed struct with `out` set begins a value. At the end the buffer says whether memory was sufficient. */
#ifndef API_JSON_WRITER_H
#define API_JSON_WRITER_H

#include "base/text.h"

#include <stdint.h>

struct json_writer {
    struct buffer *out;
    bool needs_comma;
};

void json_begin_object(struct json_writer *writer);
void json_end_object(struct json_writer *writer);
void json_begin_array(struct json_writer *writer);
void json_end_array(struct json_writer *writer);
/* The name of the next value in an object; must not need escapes. */
void json_key(struct json_writer *writer, const char *key);
/* The same for any text. */
void json_name(struct json_writer *writer, struct smollm_text name);
/* Bytes that are not well-formed UTF-8 become U+FFFD. */
void json_text(struct json_writer *writer, struct smollm_text text);
void json_word(struct json_writer *writer, const char *text); /* a string, NULL: null */
void json_number(struct json_writer *writer, int64_t value);
void json_unsigned(struct json_writer *writer, uint64_t value);
/* The shortest text that reads as the same float; non-finite values become null. */
void json_decimal(struct json_writer *writer, double value);
/* The same to 12 digits, for times and sums. */
void json_precise(struct json_writer *writer, double value);
void json_truth(struct json_writer *writer, bool value);
void json_nothing(struct json_writer *writer);
/* A value that is JSON already. */
void json_ready(struct json_writer *writer, struct smollm_text value);
/* The bytes of text as an array of numbers. */
void json_bytes(struct json_writer *writer, struct smollm_text text);

/* key and value in one. */
void json_key_text(struct json_writer *writer, const char *key, struct smollm_text text);
void json_key_word(struct json_writer *writer, const char *key, const char *text);
void json_key_number(struct json_writer *writer, const char *key, int64_t value);
void json_key_unsigned(struct json_writer *writer, const char *key, uint64_t value);
void json_key_decimal(struct json_writer *writer, const char *key, double value);
void json_key_precise(struct json_writer *writer, const char *key, double value);
void json_key_truth(struct json_writer *writer, const char *key, bool value);
void json_key_nothing(struct json_writer *writer, const char *key);
void json_key_ready(struct json_writer *writer, const char *key, struct smollm_text value);

#endif
