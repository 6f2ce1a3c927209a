/* Strings as {pointer, length} (struct smollm_text) and a growing byte buffer. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "smollm_text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* A struct smollm_text of a NUL-terminated string (borrowed). */
struct smollm_text text_of(const char *string);
bool text_equal(struct smollm_text a, struct smollm_text b);
bool text_is(struct smollm_text a, const char *string);
bool text_starts_with(struct smollm_text a, const char *prefix);
bool text_contains(struct smollm_text a, const char *needle);

/* Bytes that grow. A zeroed struct is empty. Once an allocation has failed `failed` is set and further appends do
 * nothing, so that a writer checks once at its end. data is NUL-terminated whenever it is not NULL. */
struct buffer {
    char *data;
    size_t size;
    size_t capacity;
    bool failed;
};
void buffer_append(struct buffer *buffer, const void *data, size_t size);
void buffer_append_text(struct buffer *buffer, struct smollm_text text);
void buffer_append_string(struct buffer *buffer, const char *string);
void buffer_append_char(struct buffer *buffer, char c);
void buffer_printf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The text as base/printable.h shows it. */
void buffer_append_printable(struct buffer *buffer, struct smollm_text text);
/* Makes room for size more bytes without changing what is there. */
void buffer_reserve(struct buffer *buffer, size_t size);
/* Removes the first size bytes. */
void buffer_consume(struct buffer *buffer, size_t size);
void buffer_clear(struct buffer *buffer); /* keeps the memory */
void buffer_free(struct buffer *buffer);  /* frees it; the buffer is empty and usable again */
struct smollm_text buffer_text(const struct buffer *buffer);

#endif
