#include "base/printable.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

static bool is_acted_on(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

size_t printable_next(const char *data, size_t size, char shown[PRINTABLE_MAX_BYTES], size_t *shown_size)
{
    uint32_t c = 0;
    const size_t taken = utf8_decode(data, size, &c);
    if (taken > 0 && !is_acted_on(c)) {
        memcpy(shown, data, taken);
        *shown_size = taken;
        return taken;
    }
    const unsigned value = taken == 0 ? (unsigned char)*data : (unsigned)c;
    const int written = snprintf(shown, PRINTABLE_MAX_BYTES, value > 0xff ? "\\u%04x" : "\\x%02x", value & 0xffff);
    *shown_size = (size_t)written;
    return taken == 0 ? 1 : taken;
}

void printable_copy(char *out, size_t room, const char *data, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < size;) {
        char shown[PRINTABLE_MAX_BYTES];
        size_t shown_size;
        i += printable_next(data + i, size - i, shown, &shown_size);
        if (used + shown_size >= room)
            break;
        memcpy(out + used, shown, shown_size);
        used += shown_size;
    }
    out[used] = '\0';
}
