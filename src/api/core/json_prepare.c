#include "api/core/json_prepare.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEYS_MAX = 64,    /* names remembered of one object; a name beyond is not checked */
    LEVELS_MAX = 3,   /* body, messages, message */
    NUMBER_MAX = 400, /* characters of a number that is looked at; a longer one is out of range */
    MARK_SIZE = sizeof NUMBER_MARK - 1,
};

struct preparing {
    struct smollm_text body;
    bool (*is_read)(struct smollm_text name);
    struct buffer *copy;
    size_t copied; /* of body */
    size_t at;
    unsigned depth;
    /* Of the open object at depth 1 (the body) and 3 (an object in an array of it). */
    struct smollm_text keys[LEVELS_MAX + 1][KEYS_MAX];
    size_t key_count[LEVELS_MAX + 1];
};

static void replace(struct preparing *p, size_t from, size_t to, const char *text, size_t size)
{
    buffer_append(p->copy, p->body.data + p->copied, from - p->copied);
    buffer_append(p->copy, text, size);
    p->copied = to;
}

/* ---- Strings ---- */

/* The code unit of a \uXXXX at a place, or -1. */
static int unit_at(struct smollm_text body, size_t at)
{
    int unit = 0;
    if (at + 6 > body.size || body.data[at] != '\\' || body.data[at + 1] != 'u')
        return -1;
    for (size_t i = at + 2; i < at + 6; i++) {
        const char c = body.data[i], lower = (char)(c | 0x20);
        const int digit = c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool is_high(int unit)
{
    return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low(int unit)
{
    return unit >= 0xdc00 && unit < 0xe000;
}

/* From the opening quote to behind the closing one. */
static struct smollm_text pass_string(struct preparing *p)
{
    const struct smollm_text body = p->body;
    const size_t begin = ++p->at;
    static const char instead[] = "\\ufffd";
    if (body.size - begin >= 3 && memcmp(body.data + begin, NUMBER_MARK, 3) == 0)
        replace(p, begin, begin + 3, instead, 6);
    else if (unit_at(body, begin) == 0xfdd0)
        replace(p, begin, begin + 6, instead, 6);
    while (p->at < body.size && body.data[p->at] != '"') {
        const int unit = body.data[p->at] == '\\' ? unit_at(body, p->at) : -1;
        if (is_high(unit) && is_low(unit_at(body, p->at + 6)))
            p->at += 12;
        else if (is_high(unit) || is_low(unit)) {
            replace(p, p->at, p->at + 6, instead, 6);
            p->at += 6;
        } else
            p->at += body.data[p->at] == '\\' ? 2 : 1;
    }
    p->at = p->at < body.size ? p->at : body.size;
    const struct smollm_text text = {body.data + begin, p->at - begin};
    p->at += p->at < body.size;
    return text;
}

/* ---- Numbers ---- */

static bool is_number_char(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static bool is_out_of_range(const char *digits, size_t size)
{
    char text[NUMBER_MAX + 1];
    if (size > NUMBER_MAX)
        return true;
    memcpy(text, digits, size);
    text[size] = '\0';
    errno = 0;
    if (strpbrk(text, ".eE"))
        return isinf(strtod(text, NULL));
    return strtoll(text, NULL, 10) != 0 && errno == ERANGE;
}

static void pass_number(struct preparing *p)
{
    const size_t begin = p->at;
    while (p->at < p->body.size && is_number_char(p->body.data[p->at]))
        p->at++;
    const size_t size = p->at - begin;
    /* Shorter ones fit whatever they are. */
    if (size < 5 || !is_out_of_range(p->body.data + begin, size))
        return;
    replace(p, begin, begin, "\"" NUMBER_MARK, MARK_SIZE + 1);
    replace(p, p->at, p->at, "\"", 1);
}

/* ---- Names ---- */

/* A string is a name where a colon follows. */
static bool is_name(const struct preparing *p)
{
    size_t at = p->at;
    while (at < p->body.size && memchr(" \t\r\n", p->body.data[at], 4))
        at++;
    return at < p->body.size && p->body.data[at] == ':';
}

static int check_name(struct preparing *p, struct smollm_text name, struct api_error *error)
{
    if ((p->depth != 1 && p->depth != LEVELS_MAX) || !is_name(p) || !p->is_read(name))
        return 0;
    struct smollm_text *keys = p->keys[p->depth];
    size_t *count = &p->key_count[p->depth];
    for (size_t i = 0; i < *count; i++)
        if (text_equal(keys[i], name)) {
            char param[64];
            snprintf(param, sizeof param, "%.*s", (int)(name.size < 60 ? name.size : 60), name.data);
            return api_refuse(error, param, "%s is given twice in the same object", param);
        }
    if (*count < KEYS_MAX)
        keys[(*count)++] = name;
    return 0;
}

static void open_object(struct preparing *p)
{
    p->depth++;
    if (p->depth <= LEVELS_MAX)
        p->key_count[p->depth] = 0;
}

int json_prepare(struct smollm_text body, bool (*is_read)(struct smollm_text name), struct buffer *copy,
                 struct smollm_text *prepared, struct api_error *error)
{
    if (body.size >= 3 && memcmp(body.data, "\xef\xbb\xbf", 3) == 0)
        body = (struct smollm_text){body.data + 3, body.size - 3};
    struct preparing p = {.body = body, .is_read = is_read, .copy = copy};
    while (p.at < body.size) {
        const char c = body.data[p.at];
        if (c == '"') {
            if (check_name(&p, pass_string(&p), error) < 0)
                return -1;
        } else if (c == '-' || (c >= '0' && c <= '9')) {
            pass_number(&p);
        } else {
            if (c == '{' || c == '[')
                open_object(&p);
            else if ((c == '}' || c == ']') && p.depth > 0)
                p.depth--;
            p.at++;
        }
    }
    *prepared = body;
    if (copy->size > 0) {
        replace(&p, body.size, body.size, "", 0);
        *prepared = buffer_text(copy);
    }
    if (!copy->failed)
        return 0;
    api_error_make(error, 503, "out_of_memory", "out of memory for the request");
    return -1;
}

size_t json_restore_numbers(char *text, size_t size)
{
    static const char open[] = "\"" NUMBER_MARK;
    char *from = text, *to = text, *end = text + size, *mark;
    while ((mark = memmem(from, (size_t)(end - from), open, sizeof open - 1))) {
        memmove(to, from, (size_t)(mark - from));
        to += mark - from;
        from = mark + sizeof open - 1;
        const char *quote = memchr(from, '"', (size_t)(end - from));
        const size_t digits = quote ? (size_t)(quote - from) : (size_t)(end - from);
        memmove(to, from, digits);
        to += digits;
        from += digits + (quote != NULL);
    }
    memmove(to, from, (size_t)(end - from));
    return (size_t)(to - text) + (size_t)(end - from);
}
