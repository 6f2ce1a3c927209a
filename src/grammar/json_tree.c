#include "grammar/json_tree.h"

#include "base/error.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 400, INDEXED_MIN = 12 };

struct reader {
    struct pool *pool;
    const char *text;
    size_t size, at;
    int depth;
    bool failed;
};

static void skip_space(struct reader *r)
{
    while (r->at < r->size && memchr(" \t\r\n", r->text[r->at], 4))
        r->at++;
}

static bool take(struct reader *r, const char *text)
{
    const size_t size = strlen(text);
    if (r->size - r->at < size || memcmp(r->text + r->at, text, size) != 0)
        return false;
    r->at += size;
    return true;
}

static uint32_t take_hex(struct reader *r)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        const int c = r->at < r->size ? r->text[r->at] : 0;
        if (c >= '0' && c <= '9')
            value = value * 16 + (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            value = value * 16 + (uint32_t)((c | 0x20) - 'a' + 10);
        else {
            r->failed = true;
            return 0;
        }
    }
    return value;
}

/* After a backslash. Half of a surrogate pair becomes U+FFFD. */
static size_t take_escape(struct reader *r, char out[4])
{
    static const char letters[] = "\"\\/bfnrt", characters[] = "\"\\/\b\f\n\r\t";
    const char c = r->at < r->size ? r->text[r->at++] : '\0';
    const char *found = c ? strchr(letters, c) : NULL;
    if (found) {
        out[0] = characters[found - letters];
        return 1;
    }
    if (c != 'u') {
        r->failed = true;
        return 0;
    }
    uint32_t value = take_hex(r);
    if (value >= 0xd800 && value < 0xdc00 && r->size - r->at >= 6 && r->text[r->at] == '\\' &&
        r->text[r->at + 1] == 'u') {
        const size_t back = r->at;
        r->at += 2;
        const uint32_t low = take_hex(r);
        if (low >= 0xdc00 && low < 0xe000)
            value = 0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00);
        else
            r->at = back;
    }
    return utf8_encode(value >= 0xd800 && value < 0xe000 ? 0xfffd : value, out);
}

/* After the opening quote. */
static struct smollm_text take_string(struct reader *r)
{
    const size_t begin = r->at;
    size_t end = begin;
    while (end < r->size && r->text[end] != '"' && r->text[end] != '\\' && (unsigned char)r->text[end] >= 0x20)
        end++;
    if (end < r->size && r->text[end] == '"') {
        r->at = end + 1;
        r->failed |= !utf8_is_valid(r->text + begin, end - begin);
        return (struct smollm_text){pool_copy(r->pool, r->text + begin, end - begin), end - begin};
    }
    while (end < r->size && r->text[end] != '"')
        end += r->text[end] == '\\' ? 2 : 1;
    if (end >= r->size) {
        r->failed = true;
        return (struct smollm_text){"", 0};
    }
    char *out = pool_allocate(r->pool, end - begin);
    size_t size = 0;
    while (r->at < end && !r->failed) {
        if (r->text[r->at] == '\\') {
            r->at++;
            size += take_escape(r, out + size);
            continue;
        }
        r->failed |= (unsigned char)r->text[r->at] < 0x20;
        out[size++] = r->text[r->at++];
    }
    r->failed |= r->at != end || !utf8_is_valid(out, size);
    r->at = end + 1;
    return (struct smollm_text){out, size};
}

static size_t count_digits(struct reader *r)
{
    const size_t begin = r->at;
    while (r->at < r->size && r->text[r->at] >= '0' && r->text[r->at] <= '9')
        r->at++;
    return r->at - begin;
}

static struct smollm_text take_number(struct reader *r)
{
    const size_t begin = r->at;
    take(r, "-");
    const size_t first = r->at, digits = count_digits(r);
    r->failed |= digits == 0 || (digits > 1 && r->text[first] == '0');
    if (take(r, "."))
        r->failed |= count_digits(r) == 0;
    if (take(r, "e") || take(r, "E")) {
        if (!take(r, "+"))
            take(r, "-");
        r->failed |= count_digits(r) == 0;
    }
    return (struct smollm_text){pool_copy(r->pool, r->text + begin, r->at - begin), r->at - begin};
}

static struct json_node *take_value(struct reader *r, struct json_node *parent);

static void take_children(struct reader *r, struct json_node *node, char close)
{
    struct json_node **end = &node->first;
    r->failed |= ++r->depth > DEPTH_MAX;
    skip_space(r);
    if (r->at < r->size && r->text[r->at] == close) {
        r->at++;
        r->depth--;
        return;
    }
    while (!r->failed) {
        struct smollm_text key = {0};
        skip_space(r);
        if (node->kind == JSON_KIND_OBJECT) {
            if (!take(r, "\"")) {
                r->failed = true;
                break;
            }
            key = take_string(r);
            skip_space(r);
            r->failed |= !take(r, ":");
        }
        struct json_node *child = take_value(r, node);
        child->key = key;
        *end = child;
        end = &child->next;
        node->count++;
        skip_space(r);
        if (r->at < r->size && r->text[r->at] == close) {
            r->at++;
            break;
        }
        r->failed |= !take(r, ",");
    }
    r->depth--;
}

static struct json_node *take_value(struct reader *r, struct json_node *parent)
{
    struct json_node *node = pool_allocate(r->pool, sizeof *node);
    node->parent = parent;
    r->failed |= !pool_spend(r->pool, 1);
    skip_space(r);
    const size_t begin = r->at;
    const char c = r->at < r->size && !r->failed ? r->text[r->at] : '\0';
    if (c == '{' || c == '[') {
        r->at++;
        node->kind = c == '{' ? JSON_KIND_OBJECT : JSON_KIND_ARRAY;
        take_children(r, node, c == '{' ? '}' : ']');
    } else if (c == '"') {
        r->at++;
        node->kind = JSON_KIND_STRING;
        node->text = take_string(r);
    } else if (take(r, "true")) {
        node->kind = JSON_KIND_TRUE;
    } else if (take(r, "false")) {
        node->kind = JSON_KIND_FALSE;
    } else if (take(r, "null")) {
        node->kind = JSON_KIND_NULL;
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        node->kind = JSON_KIND_NUMBER;
        node->text = take_number(r);
    } else {
        r->failed = true;
    }
    node->source = (struct smollm_text){r->text + begin, r->at - begin};
    return node;
}

int json_tree_parse(struct pool *pool, struct smollm_text text, struct json_node **root, struct smollm_error *error)
{
    struct reader r = {.pool = pool, .text = text.data, .size = text.size};
    RETURN_ERROR_IF(text.size > POOL_BLOCK_MAX, error, SMOLLM_ELIMIT,
                    "the JSON text has %zu bytes; at most %d are allowed", text.size, POOL_BLOCK_MAX);
    *root = take_value(&r, NULL);
    skip_space(&r);
    RETURN_ERROR_IF(!pool_has_room(pool), error, SMOLLM_ELIMIT, "the JSON text is too large");
    RETURN_ERROR_IF(r.depth > DEPTH_MAX || (r.failed && r.depth == DEPTH_MAX), error, SMOLLM_ELIMIT,
                    "the JSON text has more than %d levels", DEPTH_MAX);
    RETURN_ERROR_IF(r.failed || r.at < text.size, error, SMOLLM_EINVAL, "not valid JSON at byte %zu", r.at);
    return 0;
}

/* ---- Members ---- */

static int compare_texts(struct smollm_text a, struct smollm_text b)
{
    const size_t size = a.size < b.size ? a.size : b.size;
    const int order = size > 0 ? memcmp(a.data, b.data, size) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_members(const void *a, const void *b)
{
    return compare_texts((*(struct json_node *const *)a)->key, (*(struct json_node *const *)b)->key);
}

static void make_index(struct pool *pool, struct json_node *object)
{
    uint32_t count = 0;
    object->index = pool_array(pool, object->count, sizeof *object->index);
    for (struct json_node *child = object->first; child; child = child->next)
        object->index[count++] = child;
    qsort(object->index, count, sizeof *object->index, compare_members);
}

struct json_node *json_tree_get_text(struct pool *pool, struct json_node *object, struct smollm_text key)
{
    struct json_node *found = NULL;
    if (!object || object->kind != JSON_KIND_OBJECT)
        return NULL;
    if (object->count < INDEXED_MIN) {
        for (struct json_node *child = object->first; child; child = child->next)
            if (text_equal(child->key, key))
                found = child;
        return found;
    }
    if (!object->index)
        make_index(pool, object);
    uint32_t low = 0, high = object->count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        const int order = compare_texts(object->index[middle]->key, key);
        if (order == 0)
            return object->index[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

struct json_node *json_tree_get(struct pool *pool, struct json_node *object, const char *key)
{
    return json_tree_get_text(pool, object, text_of(key));
}

void json_tree_place(const struct json_node *node, char *out, size_t size)
{
    const struct json_node *chain[DEPTH_MAX + 2];
    size_t depth = 0, used = 0;
    for (; node && node->parent && depth < DEPTH_MAX + 2; node = node->parent)
        chain[depth++] = node;
    out[0] = '\0';
    while (depth-- > 0 && used + 1 < size) {
        const struct json_node *at = chain[depth];
        int more;
        if (at->parent->kind == JSON_KIND_ARRAY) {
            uint32_t i = 0;
            for (const struct json_node *child = at->parent->first; child != at; child = child->next)
                i++;
            more = snprintf(out + used, size - used, "[%u]", i);
        } else {
            more = snprintf(out + used, size - used, "%s%.*s", used > 0 ? "." : "",
                            (int)(at->key.size < 100 ? at->key.size : 100), at->key.data);
        }
        used += more > 0 ? (size_t)more : 0;
    }
}

/* ---- Numbers ---- */

struct json_decimal json_decimal_of(struct pool *pool, struct smollm_text number)
{
    struct json_decimal d = {0};
    char *digits = pool_allocate(pool, number.size);
    size_t count = 0, i = 0;
    bool fraction = false;
    if (i < number.size && number.data[i] == '-') {
        d.negative = true;
        i++;
    }
    for (; i < number.size && (number.data[i] | 0x20) != 'e'; i++) {
        if (number.data[i] == '.') {
            fraction = true;
            continue;
        }
        d.exponent -= fraction;
        if (count > 0 || number.data[i] != '0')
            digits[count++] = number.data[i];
    }
    if (i < number.size) {
        const bool minus = number.data[++i] == '-';
        int64_t exponent = 0;
        for (; i < number.size; i++)
            if (number.data[i] >= '0' && number.data[i] <= '9' && exponent < 1000000)
                exponent = exponent * 10 + (number.data[i] - '0');
        d.exponent += minus ? -exponent : exponent;
    }
    for (; count > 0 && digits[count - 1] == '0'; count--)
        d.exponent++;
    d.digits = (struct smollm_text){digits, count};
    if (count == 0) {
        d.exponent = 0;
        d.negative = false;
    }
    return d;
}

bool json_decimal_equal(const struct json_decimal *a, const struct json_decimal *b)
{
    return a->negative == b->negative && a->exponent == b->exponent && text_equal(a->digits, b->digits);
}

bool json_decimal_is_integer(const struct json_decimal *a)
{
    return a->exponent >= 0;
}

bool json_tree_count(struct pool *pool, const struct json_node *node, uint32_t max, uint32_t *count)
{
    if (node->kind != JSON_KIND_NUMBER)
        return false;
    const struct json_decimal d = json_decimal_of(pool, node->text);
    if (d.negative || !json_decimal_is_integer(&d))
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < d.digits.size && value <= max; i++)
        value = value * 10 + (uint64_t)(d.digits.data[i] - '0');
    for (int64_t i = 0; i < d.exponent && value > 0 && value <= max; i++)
        value *= 10;
    *count = value < max ? (uint32_t)value : max;
    return true;
}

bool json_tree_equal(struct pool *pool, struct json_node *a, struct json_node *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == JSON_KIND_STRING)
        return text_equal(a->text, b->text);
    if (a->kind == JSON_KIND_NUMBER) {
        const struct json_decimal x = json_decimal_of(pool, a->text), y = json_decimal_of(pool, b->text);
        return json_decimal_equal(&x, &y);
    }
    if (a->count != b->count)
        return false;
    struct json_node *other = b->first;
    for (struct json_node *child = a->first; child; child = child->next) {
        if (a->kind == JSON_KIND_OBJECT)
            other = json_tree_get_text(pool, b, child->key);
        if (!other || !json_tree_equal(pool, child, other))
            return false;
        if (a->kind == JSON_KIND_ARRAY)
            other = other->next;
    }
    return true;
}
