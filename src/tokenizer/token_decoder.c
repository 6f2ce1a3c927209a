#include "tokenizer/token_decoder.h"

#include "base/utf8.h"

#include <string.h>

/* How many bytes at the start of data, which is not a character, one U+FFFD stands for. */
static size_t broken_size(const char *data, size_t size)
{
    for (size_t part = size < 3 ? size : 3; part > 1; part--)
        if (utf8_incomplete_tail(data, part) == part)
            return part;
    return 1;
}

/* Appends the characters of data; returns how many bytes at its end are unfinished. */
static size_t append_characters(const char *data, size_t size, struct buffer *out)
{
    size_t tail = utf8_incomplete_tail(data, size);
    size_t end = size - tail;
    size_t start = 0;
    uint32_t code_point;
    for (size_t i = 0; i < end;) {
        size_t length = utf8_decode(data + i, end - i, &code_point);
        if (length > 0) {
            i += length;
            continue;
        }
        buffer_append(out, data + start, i - start);
        buffer_append(out, "\xef\xbf\xbd", 3);
        i += broken_size(data + i, end - i);
        start = i;
    }
    buffer_append(out, data + start, end - start);
    return tail;
}

void token_decoder_push(struct token_decoder *decoder, struct smollm_text bytes, struct buffer *out)
{
    /* Byte by byte until the character that was begun is whole or broken. */
    while (decoder->pending_size > 0 && bytes.size > 0) {
        size_t size = decoder->pending_size;
        decoder->pending[size++] = *bytes.data;
        bytes.data++;
        bytes.size--;
        size_t tail = append_characters(decoder->pending, size, out);
        memmove(decoder->pending, decoder->pending + size - tail, tail);
        decoder->pending_size = (unsigned char)tail;
    }
    if (bytes.size == 0)
        return;
    size_t tail = append_characters(bytes.data, bytes.size, out);
    memcpy(decoder->pending, bytes.data + bytes.size - tail, tail);
    decoder->pending_size = (unsigned char)tail;
}

void token_decoder_finish(struct token_decoder *decoder, struct buffer *out)
{
    if (decoder->pending_size > 0)
        buffer_append(out, "\xef\xbf\xbd", 3);
    decoder->pending_size = 0;
}
