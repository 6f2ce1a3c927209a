#include "chat/json_scan.h"

#include <string.h>

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool in_object(const struct json_scan *scan)
{
    return scan->depth > 0 && scan->objects >> (scan->depth - 1) & 1;
}

static enum json_scan_state after_value(const struct json_scan *scan)
{
    return scan->depth == 0 ? JSON_SCAN_DONE : JSON_SCAN_NEXT;
}

static enum json_scan_state open_bracket(struct json_scan *scan, bool object)
{
    if (scan->depth == JSON_SCAN_MAX_DEPTH)
        return JSON_SCAN_BROKEN;
    uint64_t bit = (uint64_t)1 << scan->depth++;
    scan->objects = object ? scan->objects | bit : scan->objects & ~bit;
    return JSON_SCAN_FIRST;
}

static enum json_scan_state close_bracket(struct json_scan *scan, bool object)
{
    if (scan->depth == 0 || in_object(scan) != object)
        return JSON_SCAN_BROKEN;
    scan->depth--;
    return after_value(scan);
}

static enum json_scan_state open_string(struct json_scan *scan, bool key)
{
    scan->string_is_key = key;
    return JSON_SCAN_STRING;
}

static enum json_scan_state scan_value(struct json_scan *scan, unsigned char c)
{
    switch (c) {
    case '{':
    case '[':
        return open_bracket(scan, c == '{');
    case '"':
        return open_string(scan, false);
    case '-':
        return JSON_SCAN_MINUS;
    case '0':
        return JSON_SCAN_ZERO;
    case 't':
        scan->word = "rue";
        return JSON_SCAN_WORD;
    case 'f':
        scan->word = "alse";
        return JSON_SCAN_WORD;
    case 'n':
        scan->word = "ull";
        return JSON_SCAN_WORD;
    default:
        return is_digit(c) ? JSON_SCAN_DIGITS : JSON_SCAN_BROKEN;
    }
}

static enum json_scan_state scan_next(struct json_scan *scan, unsigned char c)
{
    if (c == ',')
        return in_object(scan) ? JSON_SCAN_KEY : JSON_SCAN_VALUE;
    if (c == '}' || c == ']')
        return close_bracket(scan, c == '}');
    return is_space(c) ? JSON_SCAN_NEXT : JSON_SCAN_BROKEN;
}

/* The byte after a number that may end: outside of any bracket only space can tell that it has. */
static enum json_scan_state scan_number_end(struct json_scan *scan, unsigned char c)
{
    if (scan->depth == 0)
        return is_space(c) ? JSON_SCAN_DONE : JSON_SCAN_BROKEN;
    return scan_next(scan, c);
}

static enum json_scan_state scan_string(struct json_scan *scan, unsigned char c)
{
    if (c == '\\')
        return JSON_SCAN_ESCAPE;
    if (c == '"')
        return scan->string_is_key ? JSON_SCAN_COLON : after_value(scan);
    return c < 0x20 ? JSON_SCAN_BROKEN : JSON_SCAN_STRING;
}

static enum json_scan_state scan_escape(struct json_scan *scan, unsigned char c)
{
    if (c == 'u') {
        scan->hex_left = 4;
        return JSON_SCAN_HEX;
    }
    return c != '\0' && strchr("\"\\/bfnrt", c) ? JSON_SCAN_STRING : JSON_SCAN_BROKEN;
}

static enum json_scan_state scan_hex(struct json_scan *scan, unsigned char c)
{
    unsigned char lower = c | 0x20;
    if (!is_digit(c) && !(lower >= 'a' && lower <= 'f'))
        return JSON_SCAN_BROKEN;
    return --scan->hex_left == 0 ? JSON_SCAN_STRING : JSON_SCAN_HEX;
}

static enum json_scan_state next_state(struct json_scan *scan, unsigned char c)
{
    switch (scan->state) {
    case JSON_SCAN_VALUE:
        return is_space(c) ? JSON_SCAN_VALUE : scan_value(scan, c);
    case JSON_SCAN_FIRST:
        if (is_space(c))
            return JSON_SCAN_FIRST;
        if (c == '}' || c == ']')
            return close_bracket(scan, c == '}');
        if (in_object(scan))
            return c == '"' ? open_string(scan, true) : JSON_SCAN_BROKEN;
        return scan_value(scan, c);
    case JSON_SCAN_KEY:
        if (is_space(c))
            return JSON_SCAN_KEY;
        return c == '"' ? open_string(scan, true) : JSON_SCAN_BROKEN;
    case JSON_SCAN_COLON:
        if (is_space(c))
            return JSON_SCAN_COLON;
        return c == ':' ? JSON_SCAN_VALUE : JSON_SCAN_BROKEN;
    case JSON_SCAN_NEXT:
        return scan_next(scan, c);
    case JSON_SCAN_STRING:
        return scan_string(scan, c);
    case JSON_SCAN_ESCAPE:
        return scan_escape(scan, c);
    case JSON_SCAN_HEX:
        return scan_hex(scan, c);
    case JSON_SCAN_WORD:
        if (c != (unsigned char)*scan->word)
            return JSON_SCAN_BROKEN;
        return *++scan->word == '\0' ? after_value(scan) : JSON_SCAN_WORD;
    case JSON_SCAN_MINUS:
        return c == '0' ? JSON_SCAN_ZERO : is_digit(c) ? JSON_SCAN_DIGITS : JSON_SCAN_BROKEN;
    case JSON_SCAN_DIGITS:
        if (is_digit(c))
            return JSON_SCAN_DIGITS;
        /* fall through */
    case JSON_SCAN_ZERO:
        if (c == '.')
            return JSON_SCAN_POINT;
        return (c | 0x20) == 'e' ? JSON_SCAN_E : scan_number_end(scan, c);
    case JSON_SCAN_POINT:
        return is_digit(c) ? JSON_SCAN_FRACTION_DIGITS : JSON_SCAN_BROKEN;
    case JSON_SCAN_FRACTION_DIGITS:
        if (is_digit(c))
            return JSON_SCAN_FRACTION_DIGITS;
        return (c | 0x20) == 'e' ? JSON_SCAN_E : scan_number_end(scan, c);
    case JSON_SCAN_E:
        if (c == '+' || c == '-')
            return JSON_SCAN_E_SIGN;
        /* fall through */
    case JSON_SCAN_E_SIGN:
        return is_digit(c) ? JSON_SCAN_E_DIGITS : JSON_SCAN_BROKEN;
    case JSON_SCAN_E_DIGITS:
        return is_digit(c) ? JSON_SCAN_E_DIGITS : scan_number_end(scan, c);
    case JSON_SCAN_DONE:
        return is_space(c) ? JSON_SCAN_DONE : JSON_SCAN_BROKEN;
    case JSON_SCAN_BROKEN:
        break;
    }
    return JSON_SCAN_BROKEN;
}

enum json_scan_state json_scan_byte(struct json_scan *scan, unsigned char byte)
{
    scan->state = next_state(scan, byte);
    return scan->state;
}
