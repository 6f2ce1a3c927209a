/* UTF-8 (RFC 3629): decoding, checking, and cutting a stream at character boundaries. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes the character at data; returns its length in bytes, or 0 when the bytes are not well-formed UTF-8 (overlong,
 * surrogate, beyond U+10FFFF, or cut short). size must be at least 1. */
size_t utf8_decode(const char *data, size_t size, uint32_t *code_point);

/* Writes code_point (must be a Unicode scalar value) to out, returns 1 to 4. */
size_t utf8_encode(uint32_t code_point, char out[4]);

bool utf8_is_valid(const char *data, size_t size);

/* How many bytes at the end of data are the beginning of a character that further bytes may complete (0 to 3). */
size_t utf8_incomplete_tail(const char *data, size_t size);

#endif
