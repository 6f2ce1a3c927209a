#include "grammar/regex.h"

#include "base/error.h"
#include "base/utf8.h"

#include <string.h>

enum { DEPTH_MAX = 100, SIZE_MAX_REGEX = 16384, UNROLLED_MAX = 8, REPEAT_MAX = 1 << 20 };

enum node_kind { NODE_EMPTY, NODE_SET, NODE_CAT, NODE_OR, NODE_REPEAT, NODE_LOOK, NODE_START, NODE_END };

struct node {
    enum node_kind kind;
    bool is_special; /* has an anchor or a look-ahead in it: depends on what is around it */
    bool has_start;  /* has ^ in it */
    bool negated;
    bool nullable;
    uint32_t set, min, max;
    struct node *first, *next; /* children of this node; the next child of its parent */
};

struct parser {
    struct terms *terms;
    struct pool *pool;
    const char *text;
    size_t size, at;
    int depth;
    int status;
    struct smollm_error *error;
};

#define FAIL(p, code, ...)                                                                                             \
    do {                                                                                                               \
        if ((p)->status == 0)                                                                                          \
            (p)->status = error_set((p)->error, code, __VA_ARGS__);                                                    \
        (p)->at = (p)->size;                                                                                           \
    } while (0)

static struct node *make(struct parser *p, enum node_kind kind)
{
    struct node *node = pool_allocate(p->pool, sizeof *node);
    node->kind = kind;
    return node;
}

static struct node *make_set(struct parser *p, uint32_t set)
{
    struct node *node = make(p, NODE_SET);
    node->set = set;
    return node;
}

/* A list of children; one child stands for itself. */
static struct node *make_list(struct parser *p, enum node_kind kind, struct node *first)
{
    if (first && !first->next)
        return first;
    struct node *node = make(p, first ? kind : NODE_EMPTY);
    node->first = first;
    node->nullable = kind == NODE_CAT || !first;
    for (struct node *child = first; child; child = child->next) {
        node->is_special |= child->is_special;
        node->has_start |= child->has_start;
        node->nullable = kind == NODE_CAT ? node->nullable && child->nullable : node->nullable || child->nullable;
    }
    return node;
}

/* ---- Characters ---- */

static bool is_at(const struct parser *p, const char *text)
{
    const size_t size = strlen(text);
    return p->size - p->at >= size && memcmp(p->text + p->at, text, size) == 0;
}

static bool take(struct parser *p, const char *text)
{
    if (!is_at(p, text))
        return false;
    p->at += strlen(text);
    return true;
}

static uint32_t take_character(struct parser *p)
{
    uint32_t c = 0;
    const size_t size = p->at < p->size ? utf8_decode(p->text + p->at, p->size - p->at, &c) : 0;
    if (size == 0)
        FAIL(p, SMOLLM_EINVAL, "the expression is not valid UTF-8 at byte %zu", p->at);
    else
        p->at += size;
    return c;
}

static uint32_t take_hex(struct parser *p, size_t digits)
{
    uint32_t value = 0;
    for (size_t i = 0; i < digits; i++) {
        const char c = p->at < p->size ? p->text[p->at] : '\0';
        const char *found = c ? strchr("0123456789abcdef", c | 0x20) : NULL;
        if (c >= '0' && c <= '9')
            value = value * 16 + (uint32_t)(c - '0');
        else if (found && (c | 0x20) >= 'a')
            value = value * 16 + (uint32_t)((c | 0x20) - 'a' + 10);
        else {
            FAIL(p, SMOLLM_EINVAL, "%zu hexadecimal digits expected at byte %zu of the expression", digits, p->at);
            return 0;
        }
        p->at++;
    }
    return value;
}

static uint32_t take_unicode(struct parser *p)
{
    if (take(p, "{")) {
        uint32_t value = 0;
        while (p->at < p->size && !is_at(p, "}") && value <= CODE_POINT_MAX)
            value = value * 16 + take_hex(p, 1);
        if (!take(p, "}") || value > CODE_POINT_MAX)
            FAIL(p, SMOLLM_EINVAL, "\\u{...} names no character at byte %zu of the expression", p->at);
        return value;
    }
    uint32_t value = take_hex(p, 4);
    if (value >= 0xd800 && value < 0xdc00 && is_at(p, "\\u")) {
        const size_t back = p->at;
        p->at += 2;
        const uint32_t low = take_hex(p, 4);
        if (low >= 0xdc00 && low < 0xe000)
            return 0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00);
        p->at = back;
    }
    return value;
}

/* \d, \w, \s and their complements. */
static bool add_class_escape(struct parser *p, char letter, struct char_ranges *ranges)
{
    static const uint32_t digits[] = {'0', '9'}, words[] = {'0', '9', 'A', 'Z', '_', '_', 'a', 'z'},
                          spaces[] = {'\t',   '\r',   ' ',    ' ',    0xa0,   0xa0,   0x1680, 0x1680, 0x2000, 0x200a,
                                      0x2028, 0x2029, 0x202f, 0x202f, 0x205f, 0x205f, 0x3000, 0x3000, 0xfeff, 0xfeff};
    const uint32_t *list;
    size_t count;
    switch (letter | 0x20) {
    case 'd':
        list = digits;
        count = sizeof digits / sizeof *digits;
        break;
    case 'w':
        list = words;
        count = sizeof words / sizeof *words;
        break;
    case 's':
        list = spaces;
        count = sizeof spaces / sizeof *spaces;
        break;
    default:
        return false;
    }
    struct char_ranges its = {0};
    for (size_t i = 0; i < count; i += 2)
        char_ranges_add(p->pool, &its, list[i], list[i + 1]);
    uint32_t set = char_sets_make(&p->terms->sets, &its);
    if (letter < 'a')
        set = char_sets_negate(&p->terms->sets, set);
    char_ranges_add_set(p->pool, ranges, char_sets_at(&p->terms->sets, set));
    return true;
}

/* The character of an escape, after the backslash. */
static uint32_t take_escape(struct parser *p, bool in_class)
{
    if (p->at == p->size) {
        FAIL(p, SMOLLM_EINVAL, "the expression ends with a backslash");
        return 0;
    }
    const size_t where = p->at - 1;
    const uint32_t c = take_character(p);
    switch (c) {
    case 't':
        return '\t';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 'f':
        return '\f';
    case 'v':
        return '\v';
    case '0':
        return 0;
    case 'x':
        return take_hex(p, 2);
    case 'u':
        return take_unicode(p);
    case 'c':
        return take_character(p) & 31;
    case 'b':
        if (in_class)
            return '\b';
        break;
    default:
        if (c >= 0x80 || !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_') {
            if (c >= '1' && c <= '9' && !in_class)
                break;
            return c;
        }
    }
    if (c == 'b' || c == 'B')
        FAIL(p, SMOLLM_EUNSUPPORTED, "word boundaries (\\%c at byte %zu of the expression) are not supported", (char)c,
             where);
    else if (c == 'p' || c == 'P')
        FAIL(p, SMOLLM_EUNSUPPORTED, "Unicode properties (\\%c at byte %zu of the expression) are not supported",
             (char)c, where);
    else if (c == 'k' || (c >= '1' && c <= '9'))
        FAIL(p, SMOLLM_EUNSUPPORTED, "back references (\\%c at byte %zu of the expression) are not supported", (char)c,
             where);
    else
        FAIL(p, SMOLLM_EINVAL, "\\%c at byte %zu of the expression is not an escape of ECMAScript", (char)c, where);
    return 0;
}

/* A class, after its bracket. */
static struct node *parse_class(struct parser *p)
{
    const size_t where = p->at - 1;
    const bool negated = take(p, "^");
    struct char_ranges ranges = {0};
    while (p->at < p->size && !is_at(p, "]")) {
        bool is_class = false;
        uint32_t first;
        if (take(p, "\\")) {
            if (p->at < p->size && add_class_escape(p, p->text[p->at], &ranges)) {
                p->at++;
                is_class = true;
                first = 0;
            } else {
                first = take_escape(p, true);
            }
        } else {
            first = take_character(p);
        }
        if (is_class)
            continue;
        uint32_t last = first;
        if (is_at(p, "-") && p->size - p->at > 1 && p->text[p->at + 1] != ']') {
            const size_t back = p->at++;
            if (take(p, "\\")) {
                if (p->at < p->size && strchr("dDwWsS", p->text[p->at]))
                    p->at = back;
                else
                    last = take_escape(p, true);
            } else {
                last = take_character(p);
            }
            if (p->at == back) { /* [a-\d]: a and - stand for themselves */
                char_ranges_add(p->pool, &ranges, '-', '-');
                p->at++;
            }
        }
        if (last < first)
            FAIL(p, SMOLLM_EINVAL, "the range before byte %zu of the expression is out of order", p->at);
        else
            char_ranges_add(p->pool, &ranges, first, last);
    }
    if (!take(p, "]"))
        FAIL(p, SMOLLM_EINVAL, "the class at byte %zu of the expression is not closed", where);
    uint32_t set = char_sets_make(&p->terms->sets, &ranges);
    return make_set(p, negated ? char_sets_negate(&p->terms->sets, set) : set);
}

/* ---- Structure ---- */

static struct node *parse_or(struct parser *p);

static struct node *parse_group(struct parser *p)
{
    const size_t where = p->at - 1;
    bool look = false, negated = false;
    if (is_at(p, "?<=") || is_at(p, "?<!")) {
        FAIL(p, SMOLLM_EUNSUPPORTED, "looking behind (byte %zu of the expression) is not supported", where);
    } else if (take(p, "?=")) {
        look = true;
    } else if (take(p, "?!")) {
        look = negated = true;
    } else if (take(p, "?<") || take(p, "?P<")) {
        const char *end = memchr(p->text + p->at, '>', p->size - p->at);
        if (end)
            p->at = (size_t)(end - p->text) + 1;
        else
            FAIL(p, SMOLLM_EINVAL, "the group's name at byte %zu of the expression is not closed", where);
    } else if (!take(p, "?:") && is_at(p, "?")) {
        FAIL(p, SMOLLM_EUNSUPPORTED, "(?%.1s (byte %zu of the expression) is not supported",
             p->size - p->at > 1 ? p->text + p->at + 1 : "", where);
    }
    if (++p->depth > DEPTH_MAX)
        FAIL(p, SMOLLM_ELIMIT, "the expression has more than %d groups in each other", DEPTH_MAX);
    struct node *inside = parse_or(p);
    p->depth--;
    if (!take(p, ")"))
        FAIL(p, SMOLLM_EINVAL, "the group at byte %zu of the expression is not closed", where);
    if (!look)
        return inside;
    struct node *node = make(p, NODE_LOOK);
    node->is_special = node->nullable = true;
    node->has_start = inside->has_start;
    node->negated = negated;
    node->first = inside;
    return node;
}

static struct node *parse_atom(struct parser *p)
{
    const size_t where = p->at;
    struct node *node;
    if (take(p, "("))
        return parse_group(p);
    if (take(p, "["))
        return parse_class(p);
    if (take(p, ".")) {
        struct char_ranges ends = {0};
        char_ranges_add(p->pool, &ends, '\n', '\n');
        char_ranges_add(p->pool, &ends, '\r', '\r');
        char_ranges_add(p->pool, &ends, 0x2028, 0x2029);
        return make_set(p, char_sets_negate(&p->terms->sets, char_sets_make(&p->terms->sets, &ends)));
    }
    if (take(p, "^") || take(p, "$")) {
        node = make(p, p->text[where] == '^' ? NODE_START : NODE_END);
        node->is_special = node->nullable = true;
        node->has_start = node->kind == NODE_START;
        return node;
    }
    if (is_at(p, "*") || is_at(p, "+") || is_at(p, "?")) {
        FAIL(p, SMOLLM_EINVAL, "nothing to repeat at byte %zu of the expression", where);
        return make(p, NODE_EMPTY);
    }
    struct char_ranges ranges = {0};
    if (take(p, "\\")) {
        if (p->at < p->size && add_class_escape(p, p->text[p->at], &ranges)) {
            p->at++;
            return make_set(p, char_sets_make(&p->terms->sets, &ranges));
        }
        const uint32_t c = take_escape(p, false);
        char_ranges_add(p->pool, &ranges, c, c);
    } else {
        const uint32_t c = take_character(p);
        char_ranges_add(p->pool, &ranges, c, c);
    }
    return make_set(p, char_sets_make(&p->terms->sets, &ranges));
}

static bool take_number(struct parser *p, uint32_t *number)
{
    const size_t begin = p->at;
    uint64_t value = 0;
    while (p->at < p->size && p->text[p->at] >= '0' && p->text[p->at] <= '9') {
        value = value < REPEAT_MAX ? value * 10 + (uint64_t)(p->text[p->at] - '0') : value;
        p->at++;
    }
    *number = (uint32_t)value;
    return p->at > begin;
}

/* {n}, {n,} or {n,m}; anything else is literal text. */
static bool take_braces(struct parser *p, uint32_t *min, uint32_t *max)
{
    const size_t back = p->at;
    if (!take(p, "{"))
        return false;
    bool fine = take_number(p, min);
    *max = *min;
    if (fine && take(p, ",") && !take_number(p, max))
        *max = TERM_UNLIMITED;
    fine = fine && take(p, "}");
    if (!fine)
        p->at = back;
    return fine;
}

static struct node *parse_quantified(struct parser *p)
{
    const size_t where = p->at;
    struct node *atom = parse_atom(p);
    uint32_t min, max;
    bool repeats = true;
    if (take(p, "*")) {
        min = 0;
        max = TERM_UNLIMITED;
    } else if (take(p, "+")) {
        min = 1;
        max = TERM_UNLIMITED;
    } else if (take(p, "?")) {
        min = 0;
        max = 1;
    } else {
        repeats = take_braces(p, &min, &max);
    }
    if (!repeats)
        return atom;
    if (is_at(p, "?"))
        p->at++; /* lazy: the same texts */
    if (min > max)
        FAIL(p, SMOLLM_EINVAL, "the repetition at byte %zu of the expression is out of order", where);
    if (min >= REPEAT_MAX || (max >= REPEAT_MAX && max != TERM_UNLIMITED))
        FAIL(p, SMOLLM_ELIMIT, "the repetition at byte %zu of the expression is larger than %d", where, REPEAT_MAX);
    struct node *node = make(p, NODE_REPEAT);
    node->first = atom;
    node->min = min;
    node->max = max;
    node->is_special = atom->is_special;
    node->has_start = atom->has_start;
    node->nullable = min == 0 || atom->nullable;
    return node;
}

static struct node *parse_cat(struct parser *p)
{
    struct node *first = NULL, **end = &first;
    while (p->at < p->size && !is_at(p, "|") && !is_at(p, ")")) {
        *end = parse_quantified(p);
        end = &(*end)->next;
    }
    return make_list(p, NODE_CAT, first);
}

static struct node *parse_or(struct parser *p)
{
    struct node *first = parse_cat(p), **end = &first->next;
    while (take(p, "|")) {
        /* An alternative that stands for itself may already be linked: it is wrapped. */
        struct node *next = parse_cat(p);
        *end = next;
        end = &next->next;
    }
    return make_list(p, NODE_OR, first);
}

/* ---- Building ---- */

/* The texts that the node and then `rest` describe. at_start: nothing stands before. Looking ahead and $ speak about
 * what follows, so the language is built from its end. */
static term build(struct parser *p, const struct node *node, bool at_start, term rest);

static term build_repeat(struct parser *p, const struct node *node, bool at_start, term rest)
{
    const struct node *inside = node->first;
    if (!inside->is_special)
        return term_cat(p->terms, term_repeat(p->terms, build(p, inside, false, TERM_EMPTY), node->min, node->max),
                        rest);
    if (node->max > UNROLLED_MAX) {
        FAIL(p, SMOLLM_EUNSUPPORTED, "an anchor or look-ahead inside a repetition is not supported");
        return TERM_NONE;
    }
    term all = rest;
    for (uint32_t i = node->max; i > 0; i--) {
        const term once = build(p, inside, at_start && i == 1, all);
        all = i > node->min ? term_or(p->terms, once, rest) : once;
    }
    return all;
}

static term build_cat(struct parser *p, const struct node *item, bool at_start, term rest)
{
    if (!item)
        return rest;
    bool later_start = false;
    for (const struct node *later = item->next; later; later = later->next)
        later_start |= later->has_start;
    const bool has_width = item->kind != NODE_START && item->kind != NODE_END && item->kind != NODE_LOOK;
    if (!at_start || !later_start)
        return build(p, item, at_start, build_cat(p, item->next, false, rest));
    if (!has_width)
        return build(p, item, true, build_cat(p, item->next, true, rest));
    /* A later ^ can hold only if this takes no text. */
    term all = build(p, item, true, build_cat(p, item->next, false, rest));
    if (item->nullable)
        all = term_or(p->terms, all, build_cat(p, item->next, true, rest));
    return all;
}

static term build(struct parser *p, const struct node *node, bool at_start, term rest)
{
    term all = TERM_NONE;
    if (p->status < 0 || !pool_has_room(p->pool))
        return TERM_NONE;
    switch (node->kind) {
    case NODE_EMPTY:
        return rest;
    case NODE_SET:
        return term_cat(p->terms, term_set(p->terms, node->set), rest);
    case NODE_CAT:
        return build_cat(p, node->first, at_start, rest);
    case NODE_OR:
        for (const struct node *child = node->first; child; child = child->next)
            all = term_or(p->terms, all,
                          node->is_special ? build(p, child, at_start, rest) : build(p, child, false, TERM_EMPTY));
        return node->is_special ? all : term_cat(p->terms, all, rest);
    case NODE_REPEAT:
        return build_repeat(p, node, at_start, rest);
    case NODE_LOOK:
        all = build(p, node->first, at_start, TERM_ALL);
        return term_and(p->terms, node->negated ? term_not(p->terms, all) : all, rest);
    case NODE_START:
        return at_start ? rest : TERM_NONE;
    case NODE_END:
        return term_and(p->terms, TERM_EMPTY, rest);
    }
    return TERM_NONE;
}

int regex_compile(struct terms *terms, struct smollm_text pattern, bool whole, term *result, struct smollm_error *error)
{
    RETURN_ERROR_IF(pattern.size > SIZE_MAX_REGEX, error, SMOLLM_ELIMIT,
                    "the expression has %zu bytes; at most %d are allowed", pattern.size, SIZE_MAX_REGEX);
    struct parser p = {.terms = terms, .pool = terms->pool, .text = pattern.data, .size = pattern.size, .error = error};
    const struct node *root = parse_or(&p);
    if (p.status == 0 && p.at < p.size)
        FAIL(&p, SMOLLM_EINVAL, "the parenthesis at byte %zu of the expression closes nothing", p.at);
    if (p.status < 0)
        return p.status;
    if (whole) {
        *result = build(&p, root, true, TERM_EMPTY);
    } else {
        const term later = term_cat(terms, TERM_ALL, build(&p, root, false, TERM_ALL));
        *result = later;
        if (root->has_start)
            *result = term_or(terms, build(&p, root, true, TERM_ALL),
                              later == TERM_NONE ? TERM_NONE : term_cat(terms, term_set(terms, CHAR_SET_ANY), later));
    }
    if (p.status == 0 && !pool_has_room(terms->pool))
        return error_set(error, SMOLLM_ELIMIT, "the expression is too large to be followed");
    return p.status;
}
