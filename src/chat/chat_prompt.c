#include "chat/chat_prompt.h"

#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void chat_prompt_free(struct chat_prompt *prompt)
{
    buffer_free(&prompt->text);
    free(prompt->spans);
    *prompt = (struct chat_prompt){0};
}

void prompt_append_format(struct chat_prompt *prompt, const char *string)
{
    size_t size = strlen(string);
    size_t offset = prompt->text.size;
    if (size == 0)
        return;
    buffer_append(&prompt->text, string, size);
    struct chat_span *last = prompt->span_count > 0 ? &prompt->spans[prompt->span_count - 1] : NULL;
    if (last && last->offset + last->size == offset) {
        last->size += size;
        return;
    }
    if (!prompt->spans || prompt->span_count == prompt->span_capacity) {
        size_t capacity = prompt->span_capacity < 16 ? 16 : prompt->span_capacity * 2;
        struct chat_span *spans = realloc(prompt->spans, capacity * sizeof *spans);
        if (!spans) {
            prompt->text.failed = true;
            return;
        }
        prompt->spans = spans;
        prompt->span_capacity = capacity;
    }
    prompt->spans[prompt->span_count++] = (struct chat_span){offset, size};
}

void prompt_append_text(struct chat_prompt *prompt, struct smollm_text text)
{
    buffer_append_text(&prompt->text, text);
}

void prompt_append_date(struct chat_prompt *prompt, const char *date, bool is_short)
{
    static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                         "July",    "August",   "September", "October", "November", "December"};
    char today[64];
    if (!date) {
        const time_t now = time(NULL);
        struct tm local = {.tm_mday = 1};
        localtime_r(&now, &local);
        snprintf(today, sizeof today, "%02d %.*s %d", local.tm_mday, is_short ? 3 : 16, months[local.tm_mon],
                 local.tm_year + 1900);
        date = today;
    }
    prompt_append_text(prompt, text_of(date));
}

bool python_is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

struct smollm_text python_rstrip(struct smollm_text text)
{
    while (text.size > 0) {
        size_t start = text.size - 1;
        while (start > 0 && text.size - start < 4 && ((unsigned char)text.data[start] & 0xc0) == 0x80)
            start--;
        uint32_t c;
        size_t length = utf8_decode(text.data + start, text.size - start, &c);
        if (length != text.size - start || !python_is_space(c))
            break;
        text.size = start;
    }
    return text;
}

struct smollm_text python_strip(struct smollm_text text)
{
    while (text.size > 0) {
        uint32_t c;
        size_t length = utf8_decode(text.data, text.size, &c);
        if (length == 0 || !python_is_space(c))
            break;
        text.data += length;
        text.size -= length;
    }
    return python_rstrip(text);
}

struct smollm_text strip_leading_newlines(struct smollm_text text)
{
    while (text.size > 0 && *text.data == '\n') {
        text.data++;
        text.size--;
    }
    return text;
}

void buffer_remove_all(struct buffer *buffer, const char *what)
{
    size_t size = strlen(what);
    size_t from = 0, to = 0;
    while (from < buffer->size) {
        char *found = memmem(buffer->data + from, buffer->size - from, what, size);
        size_t end = found ? (size_t)(found - buffer->data) : buffer->size;
        memmove(buffer->data + to, buffer->data + from, end - from);
        to += end - from;
        from = found ? end + size : end;
    }
    buffer->size = to;
    if (buffer->data)
        buffer->data[to] = '\0';
}

void prompt_append_json_string(struct chat_prompt *prompt, struct smollm_text text)
{
    struct buffer *out = &prompt->text;
    buffer_append_char(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        const char *plain = "\b\f\n\r\t\"\\", *letters = "bfnrt\"\\";
        const char *special = c != '\0' ? strchr(plain, c) : NULL;
        if (special)
            buffer_printf(out, "\\%c", letters[special - plain]);
        else if ((unsigned char)c < 0x20)
            buffer_printf(out, "\\u%04x", (unsigned)c);
        else
            buffer_append_char(out, c);
    }
    buffer_append_char(out, '"');
}
