#include "chat/python_repr.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "chat/json_text.h"
#include "chat/python_printable.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { KIND_NULL, KIND_FALSE, KIND_TRUE, KIND_INTEGER, KIND_FLOAT, KIND_STRING, KIND_ARRAY, KIND_OBJECT };

struct value {
    enum kind kind;
    struct smollm_text text; /* a number's characters; a string decoded, half surrogates in three bytes */
    struct value *first;     /* of an array or object */
    struct value *next;      /* in the array or object that this is in */
    struct smollm_text key;  /* of a member */
    size_t place;            /* among its siblings */
    size_t count;            /* of an array or object */
};

struct reader {
    const char *data;
    size_t size;
    size_t at;
    unsigned depth;
    struct arena arena;
    struct smollm_error *error;
};

static int malformed(struct reader *r, const char *what)
{
    return error_set(r->error, SMOLLM_EFORMAT, "JSON: %s at byte %zu", what, r->at);
}

static int no_memory(struct reader *r)
{
    return error_set(r->error, SMOLLM_ENOMEM, "JSON: no memory for a document of %zu bytes", r->size);
}

static void skip_space(struct reader *r)
{
    while (r->at < r->size && memchr(" \t\n\r", r->data[r->at], 4))
        r->at++;
}

static int peek(const struct reader *r)
{
    return r->at < r->size ? (unsigned char)r->data[r->at] : -1;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* Half surrogates are written like any character of their size: a Python string may hold them. */
static size_t encode_code_point(uint32_t c, char out[4])
{
    if (c < 0xd800 || c >= 0xe000)
        return utf8_encode(c, out);
    out[0] = (char)(0xe0 | c >> 12);
    out[1] = (char)(0x80 | (c >> 6 & 0x3f));
    out[2] = (char)(0x80 | (c & 0x3f));
    return 3;
}

static int read_string(struct reader *r, struct smollm_text *text)
{
    if (peek(r) != '"')
        return malformed(r, "expected a string");
    r->at++;
    const char *end = r->data + r->at;
    const char *stop = r->data + r->size;
    while (end < stop && *end != '"')
        end += *end == '\\' && end + 1 < stop ? 2 : 1;
    /* What is decoded is never longer than what is written. */
    char *out = arena_allocate(&r->arena, (size_t)(end - r->data) - r->at + 4);
    if (!out)
        return no_memory(r);
    size_t count = 0;
    for (;;) {
        int c = peek(r);
        if (c < 0)
            return malformed(r, "unterminated string");
        if (c == '"')
            break;
        if (c < 0x20)
            return malformed(r, "control character in a string");
        size_t length = 1;
        uint32_t code_point;
        if (c == '\\') {
            const struct json_escape escape = json_escape_read(r->data + r->at, r->size - r->at);
            r->at += escape.size;
            if (escape.problem)
                return malformed(r, escape.problem);
            length = encode_code_point(escape.code_point, out + count);
        } else {
            length = utf8_decode(r->data + r->at, r->size - r->at, &code_point);
            if (length == 0)
                return malformed(r, "invalid UTF-8");
            memcpy(out + count, r->data + r->at, length);
            r->at += length;
        }
        count += length;
    }
    r->at++;
    *text = (struct smollm_text){out, count};
    return 0;
}

static int read_number(struct reader *r, struct value *value)
{
    size_t start = r->at;
    value->kind = KIND_INTEGER;
    if (peek(r) == '-')
        r->at++;
    if (!is_digit(peek(r)))
        return malformed(r, "expected a value");
    if (peek(r) == '0')
        r->at++;
    else
        while (is_digit(peek(r)))
            r->at++;
    if (peek(r) == '.') {
        value->kind = KIND_FLOAT;
        r->at++;
        if (!is_digit(peek(r)))
            return malformed(r, "expected a digit");
        while (is_digit(peek(r)))
            r->at++;
    }
    if (peek(r) == 'e' || peek(r) == 'E') {
        value->kind = KIND_FLOAT;
        r->at++;
        if (peek(r) == '+' || peek(r) == '-')
            r->at++;
        if (!is_digit(peek(r)))
            return malformed(r, "expected a digit");
        while (is_digit(peek(r)))
            r->at++;
    }
    value->text = (struct smollm_text){r->data + start, r->at - start};
    return 0;
}

static int compare_members(const void *a, const void *b)
{
    const struct value *x = *(struct value *const *)a, *y = *(struct value *const *)b;
    size_t size = x->key.size < y->key.size ? x->key.size : y->key.size;
    int order = size > 0 ? memcmp(x->key.data, y->key.data, size) : 0;
    if (order == 0)
        order = (x->key.size > y->key.size) - (x->key.size < y->key.size);
    return order != 0 ? order : (x->place > y->place) - (x->place < y->place);
}

/* Leaves one member of each name: the first place, the last value. Sorting keeps this from being quadratic. */
static int remove_duplicates(struct reader *r, struct value *object)
{
    if (object->count < 2)
        return 0;
    struct value **sorted = malloc(object->count * sizeof *sorted);
    if (!sorted)
        return no_memory(r);
    size_t count = 0;
    for (struct value *member = object->first; member; member = member->next)
        sorted[count++] = member;
    qsort(sorted, count, sizeof *sorted, compare_members);
    bool any = false;
    for (size_t i = 0; i < count;) {
        size_t end = i + 1;
        while (end < count && text_equal(sorted[i]->key, sorted[end]->key))
            end++;
        struct value *last = sorted[end - 1];
        if (last != sorted[i]) {
            sorted[i]->kind = last->kind;
            sorted[i]->text = last->text;
            sorted[i]->first = last->first;
            for (size_t k = i + 1; k < end; k++)
                sorted[k]->place = SIZE_MAX; /* to be removed */
            any = true;
        }
        i = end;
    }
    free(sorted);
    for (struct value **link = &object->first; any && *link;) {
        if ((*link)->place == SIZE_MAX)
            *link = (*link)->next;
        else
            link = &(*link)->next;
    }
    return 0;
}

static int read_value(struct reader *r, struct value *value);

/* An array or an object, up to its closing bracket. */
static int read_items(struct reader *r, struct value *parent)
{
    bool object = parent->kind == KIND_OBJECT;
    int close = object ? '}' : ']';
    if (++r->depth > PYTHON_REPR_MAX_DEPTH)
        return error_set(r->error, SMOLLM_ELIMIT, "JSON: more than %d levels of nesting at byte %zu",
                         PYTHON_REPR_MAX_DEPTH, r->at);
    r->at++;
    skip_space(r);
    struct value **link = &parent->first;
    while (peek(r) != close || link != &parent->first) {
        struct value *item = arena_allocate(&r->arena, sizeof *item);
        if (!item)
            return no_memory(r);
        int result = 0;
        if (object) {
            result = read_string(r, &item->key);
            if (result != 0)
                return result;
            skip_space(r);
            if (peek(r) != ':')
                return malformed(r, "expected a colon");
            r->at++;
            skip_space(r);
        }
        result = read_value(r, item);
        if (result != 0)
            return result;
        item->place = parent->count++;
        *link = item;
        link = &item->next;
        skip_space(r);
        if (peek(r) == close)
            break;
        if (peek(r) != ',')
            return malformed(r, object ? "expected a comma or }" : "expected a comma or ]");
        r->at++;
        skip_space(r);
    }
    r->at++;
    r->depth--;
    return object ? remove_duplicates(r, parent) : 0;
}

static int read_value(struct reader *r, struct value *value)
{
    static const struct {
        const char *word;
        enum kind kind;
    } words[] = {{"null", KIND_NULL}, {"false", KIND_FALSE}, {"true", KIND_TRUE}};
    int c = peek(r);
    if (c == '{' || c == '[') {
        value->kind = c == '{' ? KIND_OBJECT : KIND_ARRAY;
        return read_items(r, value);
    }
    if (c == '"') {
        value->kind = KIND_STRING;
        return read_string(r, &value->text);
    }
    for (size_t i = 0; i < 3; i++) {
        struct smollm_text rest = {r->data + r->at, r->size - r->at};
        if (text_starts_with(rest, words[i].word)) {
            value->kind = words[i].kind;
            r->at += strlen(words[i].word);
            return 0;
        }
    }
    return read_number(r, value);
}

static void write_string(struct buffer *out, struct smollm_text text)
{
    bool has_single = text.size > 0 && memchr(text.data, '\'', text.size);
    bool has_double = text.size > 0 && memchr(text.data, '"', text.size);
    char quote = has_single && !has_double ? '"' : '\'';
    buffer_append_char(out, quote);
    for (size_t i = 0; i < text.size;) {
        uint32_t c;
        size_t length = utf8_decode(text.data + i, text.size - i, &c);
        if (length == 0) { /* half a surrogate pair */
            c = 0xd000 | ((uint32_t)text.data[i + 1] & 0x3fu) << 6 | ((uint32_t)text.data[i + 2] & 0x3fu);
            length = 3;
        }
        if (c == (unsigned char)quote || c == '\\')
            buffer_printf(out, "\\%c", (char)c);
        else if (c == '\n')
            buffer_append_string(out, "\\n");
        else if (c == '\r')
            buffer_append_string(out, "\\r");
        else if (c == '\t')
            buffer_append_string(out, "\\t");
        else if (python_is_printable(c))
            buffer_append(out, text.data + i, length);
        else if (c < 0x100)
            buffer_printf(out, "\\x%02x", c);
        else if (c < 0x10000)
            buffer_printf(out, "\\u%04x", c);
        else
            buffer_printf(out, "\\U%08x", c);
        i += length;
    }
    buffer_append_char(out, quote);
}

/* The fewest digits that read back as the same number (not negative or infinite), and the exponent of the first. */
static void shortest_digits(double number, char plain[32], int *exponent)
{
    char text[64];
    double size = __builtin_fabs(number);
    for (int precision = 0; precision <= 16; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, size);
        char *e = strchr(text, 'e');
        *exponent = atoi(e + 1);
        plain[0] = text[0];
        memcpy(plain + 1, text + 2, (size_t)precision);
        plain[precision + 1] = '\0';
        if (strtod(text, NULL) == size)
            return;
        /* Below a power of two numbers lie twice as close, so the digits next above may do where the nearest, which are
         * below, do not. */
        unsigned long long next = strtoull(plain, NULL, 10) + 1;
        snprintf(text, sizeof text, "%llue%d", next, *exponent - precision);
        if (strtod(text, NULL) == size) {
            snprintf(plain, 32, "%llu", next);
            return;
        }
    }
}

/* The shortest digits that read back as the same number; an exponent below -4 or above 15, as float.__repr__ does. */
static void write_float(struct buffer *out, struct smollm_text text, bool is_json)
{
    char stack[64];
    char *copy = text.size < sizeof stack ? stack : malloc(text.size + 1);
    if (!copy) {
        out->failed = true;
        return;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    double number = strtod(copy, NULL);
    if (copy != stack)
        free(copy);
    if (number - number != 0) { /* beyond the range of a double */
        buffer_append_string(out, number < 0 ? "-" : "");
        buffer_append_string(out, is_json ? "Infinity" : "inf");
        return;
    }
    char plain[32];
    int exponent;
    shortest_digits(number, plain, &exponent);
    size_t count = strlen(plain);
    if (number < 0 || (number == 0 && *text.data == '-'))
        buffer_append_char(out, '-');
    if (exponent < -4 || exponent >= 16) {
        buffer_append_char(out, plain[0]);
        if (count > 1)
            buffer_append_char(out, '.');
        buffer_append(out, plain + 1, count - 1);
        buffer_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0) {
        buffer_append_string(out, "0.");
        for (int i = -1; i > exponent; i--)
            buffer_append_char(out, '0');
        buffer_append(out, plain, count);
        return;
    }
    for (int i = 0; i <= exponent; i++)
        buffer_append_char(out, (size_t)i < count ? plain[i] : '0');
    buffer_append_char(out, '.');
    if (count <= (size_t)exponent + 1)
        buffer_append_char(out, '0');
    else
        buffer_append(out, plain + exponent + 1, count - (size_t)exponent - 1);
}

/* Recursion is as deep as the reader let it be. */
static void write_value(struct buffer *out, const struct value *value)
{
    switch (value->kind) {
    case KIND_NULL:
        buffer_append_string(out, "None");
        break;
    case KIND_FALSE:
        buffer_append_string(out, "False");
        break;
    case KIND_TRUE:
        buffer_append_string(out, "True");
        break;
    case KIND_INTEGER:
        if (text_is(value->text, "-0"))
            buffer_append_char(out, '0');
        else
            buffer_append_text(out, value->text);
        break;
    case KIND_FLOAT:
        write_float(out, value->text, false);
        break;
    case KIND_STRING:
        write_string(out, value->text);
        break;
    case KIND_ARRAY:
    case KIND_OBJECT:
        buffer_append_char(out, value->kind == KIND_OBJECT ? '{' : '[');
        for (const struct value *item = value->first; item; item = item->next) {
            if (item != value->first)
                buffer_append_string(out, ", ");
            if (value->kind == KIND_OBJECT) {
                write_string(out, item->key);
                buffer_append_string(out, ": ");
            }
            write_value(out, item);
        }
        buffer_append_char(out, value->kind == KIND_OBJECT ? '}' : ']');
        break;
    }
}

/* As json.dumps(ensure_ascii=False) writes a string, but that half surrogates, which UTF-8 does not have, are escaped.
 */
static void write_json_string(struct buffer *out, struct smollm_text text)
{
    buffer_append_char(out, '"');
    for (size_t i = 0; i < text.size;) {
        static const char special[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
        const char c = text.data[i], *place = c != '\0' ? strchr(special, c) : NULL;
        uint32_t code_point;
        const size_t length = utf8_decode(text.data + i, text.size - i, &code_point);
        if (place)
            buffer_printf(out, "\\%c", letters[place - special]);
        else if ((unsigned char)c < 0x20)
            buffer_printf(out, "\\u%04x", (unsigned)c);
        else if (length > 0)
            buffer_append(out, text.data + i, length);
        else
            buffer_printf(out, "\\u%04x",
                          0xd000u | ((unsigned)text.data[i + 1] & 0x3fu) << 6 | ((unsigned)text.data[i + 2] & 0x3fu));
        i += length > 0 ? length : 3;
    }
    buffer_append_char(out, '"');
}

static void write_line_break(struct buffer *out, int depth)
{
    buffer_append_char(out, '\n');
    for (int i = 0; i < 4 * depth; i++)
        buffer_append_char(out, ' ');
}

/* depth: of the indentation; -1: all in one line. */
static void write_json(struct buffer *out, const struct value *value, int depth)
{
    static const char *const words[] = {[KIND_NULL] = "null", [KIND_FALSE] = "false", [KIND_TRUE] = "true"};
    const bool is_object = value->kind == KIND_OBJECT;
    const int inside = depth < 0 ? depth : depth + 1;
    switch (value->kind) {
    case KIND_NULL:
    case KIND_FALSE:
    case KIND_TRUE:
        buffer_append_string(out, words[value->kind]);
        break;
    case KIND_INTEGER:
        buffer_append_text(out, text_is(value->text, "-0") ? text_of("0") : value->text);
        break;
    case KIND_FLOAT:
        write_float(out, value->text, true);
        break;
    case KIND_STRING:
        write_json_string(out, value->text);
        break;
    case KIND_ARRAY:
    case KIND_OBJECT:
        buffer_append_char(out, is_object ? '{' : '[');
        for (const struct value *item = value->first; item; item = item->next) {
            if (item != value->first)
                buffer_append_string(out, depth < 0 ? ", " : ",");
            if (depth >= 0)
                write_line_break(out, inside);
            if (is_object) {
                write_json_string(out, item->key);
                buffer_append_string(out, ": ");
            }
            write_json(out, item, inside);
        }
        if (depth >= 0 && value->first)
            write_line_break(out, depth);
        buffer_append_char(out, is_object ? '}' : ']');
        break;
    }
}

enum { AS_REPR = -2, AS_ONE_LINE = -1 };

/* style: AS_REPR, AS_ONE_LINE, or the depth of JSON's indentation. */
static int write_object(struct smollm_text json, int style, struct buffer *out, struct smollm_error *error)
{
    struct reader r = {.data = json.data, .size = json.size, .error = error};
    struct value value = {0};
    skip_space(&r);
    int result = peek(&r) == '{' ? read_value(&r, &value) : malformed(&r, "expected an object");
    skip_space(&r);
    if (result == 0 && r.at < r.size)
        result = malformed(&r, "unexpected text after the object");
    if (result == 0) {
        /* strtod and printf write the decimal point of the thread's locale. */
        locale_t c_locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
        locale_t before = c_locale ? uselocale(c_locale) : (locale_t)0;
        if (style == AS_REPR)
            write_value(out, &value);
        else
            write_json(out, &value, style);
        if (c_locale) {
            uselocale(before);
            freelocale(c_locale);
        }
        if (out->failed)
            result = no_memory(&r);
    }
    arena_free(&r.arena);
    return result;
}

int python_repr_object(struct smollm_text json, struct buffer *out, struct smollm_error *error)
{
    return write_object(json, AS_REPR, out, error);
}

int python_json_object(struct smollm_text json, struct buffer *out, struct smollm_error *error)
{
    return write_object(json, AS_ONE_LINE, out, error);
}

int python_json_indented(struct smollm_text json, int depth, struct buffer *out, struct smollm_error *error)
{
    return write_object(json, depth, out, error);
}
