#include "base/text.h"

#include "base/printable.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct smollm_text text_of(const char *string)
{
    return (struct smollm_text){string, string ? strlen(string) : 0};
}

bool text_equal(struct smollm_text a, struct smollm_text b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool text_is(struct smollm_text a, const char *string)
{
    return text_equal(a, text_of(string));
}

bool text_starts_with(struct smollm_text a, const char *prefix)
{
    size_t size = strlen(prefix);
    return a.size >= size && memcmp(a.data, prefix, size) == 0;
}

bool text_contains(struct smollm_text a, const char *needle)
{
    return a.size > 0 && memmem(a.data, a.size, needle, strlen(needle)) != NULL;
}

void buffer_reserve(struct buffer *buffer, size_t size)
{
    size_t need;
    if (buffer->failed)
        return;
    if (!size_add(buffer->size, size, &need) || need > SIZE_MAX / 4) {
        buffer->failed = true;
        return;
    }
    need += 1;
    if (need <= buffer->capacity)
        return;
    size_t capacity = buffer->capacity < 64 ? 64 : buffer->capacity * 2;
    if (capacity < need)
        capacity = need;
    char *data = realloc(buffer->data, capacity);
    if (!data) {
        buffer->failed = true;
        return;
    }
    buffer->data = data;
    buffer->capacity = capacity;
}

void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    buffer_reserve(buffer, size);
    if (buffer->failed)
        return;
    if (size > 0)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
}

void buffer_append_text(struct buffer *buffer, struct smollm_text text)
{
    buffer_append(buffer, text.data, text.size);
}

void buffer_append_string(struct buffer *buffer, const char *string)
{
    buffer_append(buffer, string, strlen(string));
}

void buffer_append_char(struct buffer *buffer, char c)
{
    buffer_append(buffer, &c, 1);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0) {
        buffer->failed = true;
        return;
    }
    buffer_reserve(buffer, (size_t)size);
    if (buffer->failed)
        return;
    va_start(args, format);
    vsnprintf(buffer->data + buffer->size, (size_t)size + 1, format, args);
    va_end(args);
    buffer->size += (size_t)size;
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    if (size >= buffer->size) {
        buffer_clear(buffer);
        return;
    }
    memmove(buffer->data, buffer->data + size, buffer->size - size);
    buffer->size -= size;
    buffer->data[buffer->size] = '\0';
}

void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
    if (buffer->data)
        buffer->data[0] = '\0';
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

struct smollm_text buffer_text(const struct buffer *buffer)
{
    return (struct smollm_text){buffer->data, buffer->size};
}

void buffer_append_printable(struct buffer *buffer, struct smollm_text text)
{
    for (size_t i = 0; i < text.size;) {
        char shown[PRINTABLE_MAX_BYTES];
        size_t size;
        i += printable_next(text.data + i, text.size - i, shown, &size);
        buffer_append(buffer, shown, size);
    }
}
