/* Checks JSON (RFC 8259) byte by byte as it arrives, remembering only the kinds of the open brackets.
 * Strings are checked for escapes and control characters, not for UTF-8. */
#ifndef CHAT_JSON_SCAN_H
#define CHAT_JSON_SCAN_H

#include <stdbool.h>
#include <stdint.h>

enum { JSON_SCAN_MAX_DEPTH = 64 };

enum json_scan_state {
    JSON_SCAN_VALUE, /* a value is expected; a zeroed struct begins here */
    JSON_SCAN_FIRST, /* just after [ or {: a value or key, or the end */
    JSON_SCAN_KEY,
    JSON_SCAN_COLON,
    JSON_SCAN_NEXT, /* a comma or the end is expected */
    JSON_SCAN_STRING,
    JSON_SCAN_ESCAPE,
    JSON_SCAN_HEX,
    JSON_SCAN_WORD, /* inside true, false, null */
    JSON_SCAN_MINUS,
    JSON_SCAN_ZERO, /* a number may end here, as in the three "digits" states */
    JSON_SCAN_DIGITS,
    JSON_SCAN_POINT,
    JSON_SCAN_FRACTION_DIGITS,
    JSON_SCAN_E,
    JSON_SCAN_E_SIGN,
    JSON_SCAN_E_DIGITS,
    JSON_SCAN_DONE, /* the outermost array or object is complete */
    JSON_SCAN_BROKEN
};

struct json_scan {
    enum json_scan_state state;
    unsigned depth;
    uint64_t objects; /* bit i: the bracket at depth i + 1 is { */
    bool string_is_key;
    unsigned hex_left;
    const char *word;
};

/* Takes the next byte and returns the state after it. Only space may follow JSON_SCAN_DONE; JSON_SCAN_BROKEN stays. */
enum json_scan_state json_scan_byte(struct json_scan *scan, unsigned char byte);

#endif
