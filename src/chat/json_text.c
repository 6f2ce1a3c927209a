#include "chat/json_text.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

/* The four digits at data + *at; *at is moved behind them, or to the first byte that is not a digit. */
static bool read_digits(const char *data, size_t size, size_t *at, uint32_t *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++, (*at)++) {
        const int c = *at < size ? (unsigned char)data[*at] : 0, lower = c | 0x20;
        if (c >= '0' && c <= '9')
            *unit = *unit * 16 + (uint32_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            *unit = *unit * 16 + (uint32_t)(lower - 'a' + 10);
        else
            return false;
    }
    return true;
}

struct json_escape json_escape_read(const char *data, size_t size)
{
    static char const letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    static char const digits_expected[] = "expected four hexadecimal digits";
    assert(size > 0 && data[0] == '\\');
    struct json_escape escape = {.size = 1};
    const char c = size > 1 ? data[1] : '\0';
    const char *letter = c != '\0' ? strchr(letters, c) : NULL;
    if (letter) {
        escape.size = 2;
        escape.code_point = (unsigned char)meanings[letter - letters];
        return escape;
    }
    if (c != 'u') {
        escape.problem = "unknown escape";
        return escape;
    }
    escape.size = 2;
    if (!read_digits(data, size, &escape.size, &escape.code_point)) {
        escape.problem = digits_expected;
        return escape;
    }
    const size_t end = escape.size;
    const bool is_high = escape.code_point >= 0xd800 && escape.code_point < 0xdc00;
    if (is_high && size - end >= 6 && data[end] == '\\' && data[end + 1] == 'u') {
        uint32_t low;
        escape.size = end + 2;
        if (!read_digits(data, size, &escape.size, &low))
            escape.problem = digits_expected;
        else if (low >= 0xdc00 && low < 0xe000)
            escape.code_point = 0x10000 + ((escape.code_point - 0xd800) << 10) + (low - 0xdc00);
        else
            escape.size = end;
    }
    return escape;
}
