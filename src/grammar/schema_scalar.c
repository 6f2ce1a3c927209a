/* What a schema says about null, booleans, strings and numbers. */
#include "grammar/schema.h"

#include "base/error.h"
#include "grammar/format.h"
#include "grammar/regex.h"

#include <string.h>

enum { LENGTH_MAX = 1 << 24 }; /* a longer text is not generated: the bound is not followed */

/* ---- Keywords ---- */

static bool is_type(const struct json_node *value, const char *type)
{
    return value->kind == JSON_KIND_STRING && text_is(value->text, type);
}

bool schema_has_type(struct schema *s, uint32_t node, const char *type)
{
    struct json_node *value = schema_get(s, node, KEYWORD_TYPE);
    if (!value)
        return true;
    const bool is_list = value->kind == JSON_KIND_ARRAY;
    for (struct json_node *item = is_list ? value->first : value; item; item = is_list ? item->next : NULL) {
        if (is_type(item, type) || is_type(item, "any"))
            return true;
    }
    return false;
}

/* The children of an array of schemas, or NULL. */
static struct json_node *schemas_of(struct schema *s, uint32_t node, enum schema_keyword keyword)
{
    struct json_node *list = schema_get(s, node, keyword);
    if (!list)
        return NULL;
    if (list->kind != JSON_KIND_ARRAY || list->count == 0) {
        schema_fail(s, list, SMOLLM_EINVAL, "must be an array with at least one schema");
        return NULL;
    }
    return list->first;
}

/* ---- null, true, false ---- */

static bool allows(struct schema *s, uint32_t number, enum json_kind kind);

static bool has_kind(const struct json_node *list, enum json_kind kind)
{
    const struct json_node *item = list->first;
    while (item && item->kind != kind)
        item = item->next;
    return item != NULL;
}

/* Everything is looked at, so that a schema that refers to itself is found. */
static bool object_allows(struct schema *s, uint32_t number, enum json_kind kind)
{
    struct json_node *value, *item;
    bool yes = schema_has_type(s, number, kind == JSON_KIND_NULL ? "null" : "boolean"), any = false;
    uint32_t count = 0;
    if ((value = schema_get(s, number, KEYWORD_REF)))
        yes &= allows(s, schema_resolve(s, value), kind);
    if ((value = schema_get(s, number, KEYWORD_CONST)))
        yes &= value->kind == kind;
    if ((value = schema_get(s, number, KEYWORD_ENUM)))
        yes &= has_kind(value, kind);
    for (item = schemas_of(s, number, KEYWORD_ALL_OF); item; item = item->next)
        yes &= allows(s, schema_node_of(s, item), kind);
    if ((item = schemas_of(s, number, KEYWORD_ANY_OF))) {
        for (; item; item = item->next)
            any |= allows(s, schema_node_of(s, item), kind);
        yes &= any;
    }
    if ((item = schemas_of(s, number, KEYWORD_ONE_OF))) {
        for (; item; item = item->next)
            count += allows(s, schema_node_of(s, item), kind);
        yes &= count == 1;
    }
    if ((value = schema_get(s, number, KEYWORD_NOT)))
        yes &= !allows(s, schema_node_of(s, value), kind);
    if ((value = schema_get(s, number, KEYWORD_IF))) {
        value = schema_get(s, number, allows(s, schema_node_of(s, value), kind) ? KEYWORD_THEN : KEYWORD_ELSE);
        yes &= !value || allows(s, schema_node_of(s, value), kind);
    }
    return yes;
}

static bool allows(struct schema *s, uint32_t number, enum json_kind kind)
{
    struct schema_node *node = schema_node_at(s, number);
    bool yes = false;
    if (s->status < 0)
        return false;
    if (node->has_allows >> kind & 1)
        return node->allows >> kind & 1;
    switch (node->kind) {
    case SCHEMA_TRUE:
    case SCHEMA_FALSE:
        return node->kind == SCHEMA_TRUE;
    case SCHEMA_CONST:
        return node->json->kind == kind;
    case SCHEMA_EITHER: {
        const uint32_t second = node->either[1];
        return allows(s, node->either[0], kind) || allows(s, second, kind);
    }
    case SCHEMA_OBJECT:
        if (!schema_enter(s, number, QUESTION_ALLOWS, NULL))
            return false;
        yes = object_allows(s, number, kind);
        schema_leave(s, number, QUESTION_ALLOWS);
    }
    node = schema_node_at(s, number);
    node->has_allows |= (uint8_t)(1 << kind);
    node->allows |= (uint8_t)(yes << kind);
    return yes;
}

bool schema_allows(struct schema *s, condition c, enum json_kind kind)
{
    return allows(s, c / 2, kind) == (c % 2 == 0);
}

/* ---- Languages ---- */

static struct language both(struct schema *s, struct language a, struct language b)
{
    return (struct language){term_and(s->terms, a.yes, b.yes), term_or(s->terms, a.no, b.no)};
}

static struct language either(struct schema *s, struct language a, struct language b)
{
    return (struct language){term_or(s->terms, a.yes, b.yes), term_and(s->terms, a.no, b.no)};
}

static struct language opposite(struct language a)
{
    return (struct language){a.no, a.yes};
}

typedef struct language language_of(struct schema *s, uint32_t node);

/* The keywords that stand for other schemas, for strings as for numbers. */
static struct language combined(struct schema *s, uint32_t number, language_of *of, struct language all)
{
    struct json_node *value, *item;
    const struct language everything = {all.yes, TERM_NONE}, nothing = {TERM_NONE, all.yes};
    struct language l = everything;
    if ((value = schema_get(s, number, KEYWORD_REF)))
        l = both(s, l, of(s, schema_resolve(s, value)));
    for (item = schemas_of(s, number, KEYWORD_ALL_OF); item; item = item->next)
        l = both(s, l, of(s, schema_node_of(s, item)));
    if ((item = schemas_of(s, number, KEYWORD_ANY_OF))) {
        struct language any = nothing;
        for (; item; item = item->next)
            any = either(s, any, of(s, schema_node_of(s, item)));
        l = both(s, l, any);
    }
    if ((item = schemas_of(s, number, KEYWORD_ONE_OF))) {
        /* Of those so far: none holds, one holds. */
        struct language none = everything, one = nothing;
        for (; item; item = item->next) {
            const struct language its = of(s, schema_node_of(s, item));
            one = either(s, both(s, one, opposite(its)), both(s, none, its));
            none = both(s, none, opposite(its));
        }
        l = both(s, l, one);
    }
    if ((value = schema_get(s, number, KEYWORD_NOT)))
        l = both(s, l, opposite(of(s, schema_node_of(s, value))));
    if ((value = schema_get(s, number, KEYWORD_IF))) {
        const struct language when = of(s, schema_node_of(s, value));
        struct json_node *then = schema_get(s, number, KEYWORD_THEN), *otherwise = schema_get(s, number, KEYWORD_ELSE);
        if (then)
            l = both(s, l, either(s, opposite(when), of(s, schema_node_of(s, then))));
        if (otherwise)
            l = both(s, l, either(s, when, of(s, schema_node_of(s, otherwise))));
    }
    return l;
}

/* ---- Strings ---- */

static struct language exact(struct schema *s, term yes)
{
    return (struct language){yes, term_not(s->terms, yes)};
}

/* A bound that must be a whole number; false when it is not there. */
static bool bound_of(struct schema *s, uint32_t node, enum schema_keyword keyword, uint32_t max, uint32_t *bound)
{
    struct json_node *value = schema_get(s, node, keyword);
    if (!value)
        return false;
    if (json_tree_count(s->pool, value, max, bound))
        return true;
    schema_fail(s, value, SMOLLM_EINVAL, "must be a whole number that is not negative");
    return false;
}

static term words_of(struct schema *s, struct json_node *list)
{
    struct smollm_text *texts = pool_array(s->pool, list->count, sizeof *texts);
    uint32_t count = 0;
    for (struct json_node *item = list->first; item; item = item->next)
        if (item->kind == JSON_KIND_STRING)
            texts[count++] = item->text;
    return term_one_of(s->terms, texts, count);
}

static struct language object_strings(struct schema *s, uint32_t number)
{
    const struct language nothing = {TERM_NONE, TERM_ALL};
    struct json_node *value;
    term t = TERM_ALL;
    int status = 0;
    uint32_t min = 0, max = TERM_UNLIMITED;
    struct smollm_error error;
    if (!schema_has_type(s, number, "string"))
        return nothing;
    if ((value = schema_get(s, number, KEYWORD_CONST)))
        t = value->kind == JSON_KIND_STRING ? term_text(s->terms, value->text) : TERM_NONE;
    if ((value = schema_get(s, number, KEYWORD_ENUM)))
        t = term_and(s->terms, t, words_of(s, value));
    const bool has_min = bound_of(s, number, KEYWORD_MIN_LENGTH, LENGTH_MAX, &min);
    if (bound_of(s, number, KEYWORD_MAX_LENGTH, LENGTH_MAX, &max) || has_min)
        t = min > max ? TERM_NONE
                      : term_and(s->terms, t,
                                 term_repeat(s->terms, term_set(s->terms, CHAR_SET_ANY), min,
                                             max >= LENGTH_MAX ? TERM_UNLIMITED : max));
    if ((value = schema_get(s, number, KEYWORD_PATTERN))) {
        term pattern = TERM_NONE;
        if (value->kind != JSON_KIND_STRING)
            schema_fail(s, value, SMOLLM_EINVAL, "must be a string");
        else if ((status = regex_compile(s->terms, value->text, false, &pattern, &error)) < 0)
            schema_fail(s, value, status, "%s", error.message);
        t = term_and(s->terms, t, pattern);
    }
    if ((value = schema_get(s, number, KEYWORD_FORMAT)) && value->kind == JSON_KIND_STRING) {
        term format = TERM_ALL;
        if ((status = format_compile(s->terms, value->text, &format, &error)) < 0)
            schema_fail(s, value, status, "%s", error.message);
        t = term_and(s->terms, t, format);
    }
    return both(s, exact(s, t), combined(s, number, schema_strings, exact(s, TERM_ALL)));
}

struct language schema_strings(struct schema *s, uint32_t number)
{
    const struct schema_node *node = schema_node_at(s, number);
    struct language l = {TERM_NONE, TERM_ALL};
    if (node->has_strings || s->status < 0)
        return node->strings;
    switch (node->kind) {
    case SCHEMA_FALSE:
        break;
    case SCHEMA_TRUE:
        l = opposite(l);
        break;
    case SCHEMA_CONST:
        if (node->json->kind == JSON_KIND_STRING)
            l = exact(s, term_text(s->terms, node->json->text));
        break;
    case SCHEMA_EITHER:
        l = schema_strings(s, node->either[0]);
        l = either(s, l, schema_strings(s, schema_node_at(s, number)->either[1]));
        break;
    case SCHEMA_OBJECT:
        if (schema_enter(s, number, QUESTION_STRINGS, NULL)) {
            l = object_strings(s, number);
            schema_leave(s, number, QUESTION_STRINGS);
        }
    }
    schema_node_at(s, number)->strings = l;
    schema_node_at(s, number)->has_strings = true;
    return l;
}

/* ---- Numbers ---- */

static struct language within(struct schema *s, term yes)
{
    return (struct language){yes, term_and(s->terms, s->numbers.written, term_not(s->terms, yes))};
}

static struct language equal_to(struct schema *s, const struct json_node *value)
{
    const struct json_decimal d = json_decimal_of(s->pool, value->text);
    return within(s, number_equal(&s->numbers, &d));
}

static struct language one_of_numbers(struct schema *s, struct json_node *list)
{
    struct language l = {TERM_NONE, s->numbers.written};
    for (struct json_node *item = list->first; item; item = item->next)
        if (item->kind == JSON_KIND_NUMBER)
            l = either(s, l, equal_to(s, item));
    return l;
}

/* A number that a keyword gives; false when it is not there. */
static bool decimal_of(struct schema *s, uint32_t node, enum schema_keyword keyword, struct json_decimal *d)
{
    struct json_node *value = schema_get(s, node, keyword);
    if (!value)
        return false;
    if (value->kind == JSON_KIND_NUMBER) {
        *d = json_decimal_of(s->pool, value->text);
        return true;
    }
    if (value->kind != JSON_KIND_TRUE && value->kind != JSON_KIND_FALSE)
        schema_fail(s, value, SMOLLM_EINVAL, "must be a number");
    return false;
}

static bool is_true(struct schema *s, uint32_t node, enum schema_keyword keyword)
{
    const struct json_node *value = schema_get(s, node, keyword);
    return value && value->kind == JSON_KIND_TRUE;
}

static struct language bounded(struct schema *s, uint32_t number, struct language l)
{
    struct numbers *n = &s->numbers;
    struct json_decimal d;
    if (decimal_of(s, number, KEYWORD_MINIMUM, &d))
        l = both(s, l, within(s, number_from(n, &d, is_true(s, number, KEYWORD_EXCLUSIVE_MINIMUM))));
    if (decimal_of(s, number, KEYWORD_EXCLUSIVE_MINIMUM, &d))
        l = both(s, l, within(s, number_from(n, &d, true)));
    if (decimal_of(s, number, KEYWORD_MAXIMUM, &d))
        l = both(s, l, opposite(within(s, number_from(n, &d, !is_true(s, number, KEYWORD_EXCLUSIVE_MAXIMUM)))));
    if (decimal_of(s, number, KEYWORD_EXCLUSIVE_MAXIMUM, &d))
        l = both(s, l, opposite(within(s, number_from(n, &d, false))));
    struct json_node *format = schema_get(s, number, KEYWORD_FORMAT);
    struct smollm_text min, max;
    if (format && format->kind == JSON_KIND_STRING && format_of_numbers(format->text, &min, &max)) {
        d = json_decimal_of(s->pool, min);
        l = both(s, l, within(s, number_from(n, &d, false)));
        d = json_decimal_of(s->pool, max);
        l = both(s, l, opposite(within(s, number_from(n, &d, true))));
        l = both(s, l, (struct language){n->integer, n->broken});
    }
    return l;
}

static struct language object_numbers(struct schema *s, uint32_t number)
{
    struct language l = {s->numbers.written, TERM_NONE};
    struct json_node *value;
    struct json_decimal d;
    if (!schema_has_type(s, number, "number")) {
        if (!schema_has_type(s, number, "integer"))
            return opposite(l);
        l = (struct language){s->numbers.integer, s->numbers.broken};
    }
    if ((value = schema_get(s, number, KEYWORD_CONST)))
        l = both(s, l,
                 value->kind == JSON_KIND_NUMBER ? equal_to(s, value)
                                                 : (struct language){TERM_NONE, s->numbers.written});
    if ((value = schema_get(s, number, KEYWORD_ENUM)))
        l = both(s, l, one_of_numbers(s, value));
    l = bounded(s, number, l);
    if (decimal_of(s, number, KEYWORD_MULTIPLE_OF, &d)) {
        struct smollm_error error;
        term multiple = TERM_NONE;
        value = schema_get(s, number, KEYWORD_MULTIPLE_OF);
        if (d.negative || d.digits.size == 0)
            schema_fail(s, value, SMOLLM_EINVAL, "must be greater than 0");
        else if (number_multiple(&s->numbers, &d, &multiple, &error) < 0)
            schema_fail(s, value, error.code, "%s", error.message);
        /* Multiples are decimal; what is scientific is neither allowed nor forbidden. */
        const term decimal = term_or(s->terms, s->numbers.unsigned_decimal,
                                     term_cat(s->terms, s->numbers.minus, s->numbers.unsigned_decimal));
        l = both(s, l,
                 (struct language){multiple, term_and(s->terms, term_and(s->terms, s->numbers.written, decimal),
                                                      term_not(s->terms, multiple))});
    }
    return both(s, l, combined(s, number, schema_numbers, (struct language){s->numbers.written, TERM_NONE}));
}

struct language schema_numbers(struct schema *s, uint32_t number)
{
    const struct schema_node *node = schema_node_at(s, number);
    struct language l = {TERM_NONE, s->numbers.written};
    if (node->has_numbers || s->status < 0)
        return node->numbers;
    switch (node->kind) {
    case SCHEMA_FALSE:
        break;
    case SCHEMA_TRUE:
        l = opposite(l);
        break;
    case SCHEMA_CONST:
        if (node->json->kind == JSON_KIND_NUMBER)
            l = equal_to(s, node->json);
        break;
    case SCHEMA_EITHER:
        l = schema_numbers(s, node->either[0]);
        l = either(s, l, schema_numbers(s, schema_node_at(s, number)->either[1]));
        break;
    case SCHEMA_OBJECT:
        if (schema_enter(s, number, QUESTION_NUMBERS, NULL)) {
            l = object_numbers(s, number);
            schema_leave(s, number, QUESTION_NUMBERS);
        }
    }
    schema_node_at(s, number)->numbers = l;
    schema_node_at(s, number)->has_numbers = true;
    return l;
}
