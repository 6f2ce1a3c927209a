/* The text of JSON strings (RFC 8259, section 7). */
#ifndef CHAT_JSON_TEXT_H
#define CHAT_JSON_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* One escape of a string. A pair of escaped surrogates is one escape; a surrogate without its partner is returned as
 * it is (0xd800 to 0xdfff), and the caller decides whether it may stand. */
struct json_escape {
    size_t size; /* bytes that the escape takes; after a problem, the offset of the byte that is wrong */
    uint32_t code_point;
    const char *problem; /* NULL when the escape is valid; otherwise what was expected, a string literal */
};

/* Reads the escape at data, whose first byte is a backslash; no byte at or beyond data + size is read. */
struct json_escape json_escape_read(const char *data, size_t size);

#endif
