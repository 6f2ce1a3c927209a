#include "api/core/json_writer.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void begin_value(struct json_writer *writer)
{
    if (writer->needs_comma)
        buffer_append_char(writer->out, ',');
    writer->needs_comma = true;
}

static void begin_nest(struct json_writer *writer, char bracket)
{
    begin_value(writer);
    buffer_append_char(writer->out, bracket);
    writer->needs_comma = false;
}

static void end_nest(struct json_writer *writer, char bracket)
{
    buffer_append_char(writer->out, bracket);
    writer->needs_comma = true;
}

void json_begin_object(struct json_writer *writer)
{
    begin_nest(writer, '{');
}

void json_end_object(struct json_writer *writer)
{
    end_nest(writer, '}');
}

void json_begin_array(struct json_writer *writer)
{
    begin_nest(writer, '[');
}

void json_end_array(struct json_writer *writer)
{
    end_nest(writer, ']');
}

void json_key(struct json_writer *writer, const char *key)
{
    begin_value(writer);
    buffer_printf(writer->out, "\"%s\":", key);
    writer->needs_comma = false;
}

static void append_escaped(struct buffer *out, unsigned char c)
{
    switch (c) {
    case '"':
        buffer_append(out, "\\\"", 2);
        break;
    case '\\':
        buffer_append(out, "\\\\", 2);
        break;
    case '\n':
        buffer_append(out, "\\n", 2);
        break;
    case '\r':
        buffer_append(out, "\\r", 2);
        break;
    case '\t':
        buffer_append(out, "\\t", 2);
        break;
    default:
        buffer_printf(out, "\\u%04x", c);
    }
}

void json_text(struct json_writer *writer, struct smollm_text text)
{
    begin_value(writer);
    buffer_append_char(writer->out, '"');
    size_t plain = 0, i = 0; /* from plain to i nothing needs a change */
    while (i < text.size) {
        unsigned char c = (unsigned char)text.data[i];
        uint32_t code_point;
        size_t size = c < 0x80 ? 1 : utf8_decode(text.data + i, text.size - i, &code_point);
        if (size > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
            i += size;
            continue;
        }
        buffer_append(writer->out, text.data + plain, i - plain);
        if (size == 0)
            buffer_append(writer->out, "\xef\xbf\xbd", 3);
        else
            append_escaped(writer->out, c);
        plain = ++i;
    }
    if (i > plain)
        buffer_append(writer->out, text.data + plain, i - plain);
    buffer_append_char(writer->out, '"');
}

void json_word(struct json_writer *writer, const char *text)
{
    if (text)
        json_text(writer, text_of(text));
    else
        json_nothing(writer);
}

void json_number(struct json_writer *writer, int64_t value)
{
    begin_value(writer);
    buffer_printf(writer->out, "%" PRId64, value);
}

void json_unsigned(struct json_writer *writer, uint64_t value)
{
    begin_value(writer);
    buffer_printf(writer->out, "%" PRIu64, value);
}

void json_decimal(struct json_writer *writer, double value)
{
    if (!isfinite(value)) {
        json_nothing(writer);
        return;
    }
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if ((float)strtod(text, NULL) == (float)value)
            break;
    }
    json_ready(writer, text_of(text));
}

void json_truth(struct json_writer *writer, bool value)
{
    json_ready(writer, text_of(value ? "true" : "false"));
}

void json_nothing(struct json_writer *writer)
{
    json_ready(writer, text_of("null"));
}

void json_ready(struct json_writer *writer, struct smollm_text value)
{
    begin_value(writer);
    buffer_append_text(writer->out, value);
}

void json_bytes(struct json_writer *writer, struct smollm_text text)
{
    json_begin_array(writer);
    for (size_t i = 0; i < text.size; i++)
        json_number(writer, (unsigned char)text.data[i]);
    json_end_array(writer);
}

void json_key_text(struct json_writer *writer, const char *key, struct smollm_text text)
{
    json_key(writer, key);
    json_text(writer, text);
}

void json_key_word(struct json_writer *writer, const char *key, const char *text)
{
    json_key(writer, key);
    json_word(writer, text);
}

void json_key_number(struct json_writer *writer, const char *key, int64_t value)
{
    json_key(writer, key);
    json_number(writer, value);
}

void json_key_unsigned(struct json_writer *writer, const char *key, uint64_t value)
{
    json_key(writer, key);
    json_unsigned(writer, value);
}

void json_key_decimal(struct json_writer *writer, const char *key, double value)
{
    json_key(writer, key);
    json_decimal(writer, value);
}

void json_key_truth(struct json_writer *writer, const char *key, bool value)
{
    json_key(writer, key);
    json_truth(writer, value);
}

void json_key_nothing(struct json_writer *writer, const char *key)
{
    json_key(writer, key);
    json_nothing(writer);
}

void json_key_ready(struct json_writer *writer, const char *key, struct smollm_text value)
{
    json_key(writer, key);
    json_ready(writer, value);
}

void json_name(struct json_writer *writer, struct smollm_text name)
{
    json_text(writer, name);
    buffer_append_char(writer->out, ':');
    writer->needs_comma = false;
}

void json_precise(struct json_writer *writer, double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.12g", value);
    if (isfinite(value))
        json_ready(writer, text_of(text));
    else
        json_nothing(writer);
}

void json_key_precise(struct json_writer *writer, const char *key, double value)
{
    json_key(writer, key);
    json_precise(writer, value);
}
