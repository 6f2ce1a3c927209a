#include "base/utf8.h"

size_t utf8_decode(const char *data, size_t size, uint32_t *code_point)
{
    unsigned const char *s = (unsigned const char *)data;
    if (s[0] < 0x80) {
        *code_point = s[0];
        return 1;
    }
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || size < length)
        return 0;
    uint32_t value = s[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (s[i] & 0x3fu);
    }
    static const uint32_t min[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < min[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return 0;
    *code_point = value;
    return length;
}

size_t utf8_encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

bool utf8_is_valid(const char *data, size_t size)
{
    uint32_t code_point;
    for (size_t i = 0; i < size;) {
        size_t length = utf8_decode(data + i, size - i, &code_point);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

size_t utf8_incomplete_tail(const char *data, size_t size)
{
    unsigned const char *s = (unsigned const char *)data;
    for (size_t back = 1; back <= 3 && back <= size; back++) {
        unsigned char c = s[size - back];
        if ((c & 0xc0) == 0x80)
            continue;
        size_t length = c >= 0xf5 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;
        if (length <= back)
            return 0;
        /* The second byte must already fit what the first announces (E0, ED, F0 and F4 restrict it). */
        if (back >= 2) {
            unsigned char d = s[size - back + 1];
            if ((c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) ||
                (c == 0xf4 && d > 0x8f))
                return 0;
        }
        return back;
    }
    return 0;
}
