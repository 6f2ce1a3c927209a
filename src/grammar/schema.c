#include "grammar/shape.h"

#include "base/error.h"
#include "base/hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SATISFIABLE_DEPTH_MAX = 200, NESTING_MAX = 1000, BOTH_MAX = 64 };

void schema_fail(struct schema *s, const struct json_node *place, int code, const char *format, ...)
{
    char where[200], text[400];
    va_list arguments;
    if (s->status < 0)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_tree_place(place, where, sizeof where);
    s->status = error_set(s->error, code, "%s%s%s", where, where[0] ? ": " : "", text);
}

/* ---- Nodes ---- */

static uint32_t add_node(struct schema *s, struct schema_node node)
{
    *(struct schema_node *)pool_vector_add(s->pool, &s->nodes, sizeof node) = node;
    return s->nodes.count - 1;
}

/* The keywords of a schema that its draft knows. */
static struct json_node **find_keywords(struct schema *s, const struct json_node *json, enum schema_draft draft)
{
    static const struct {
        const char *name;
        enum schema_draft first, last;
    } list[] = {
#define DESCRIBE_KEYWORD(constant, name, first, last) {name, first, last},
        SCHEMA_KEYWORDS(DESCRIBE_KEYWORD)
#undef DESCRIBE_KEYWORD
    };
    struct json_node **found = pool_array(s->pool, KEYWORDS, sizeof *found);
    for (struct json_node *member = json->first; member; member = member->next)
        for (size_t i = 0; i < KEYWORDS; i++)
            if (text_is(member->key, list[i].name)) {
                if (draft == DRAFT_ANY || (draft >= list[i].first && draft <= list[i].last))
                    found[i] = member;
                break;
            }
    if (found[KEYWORD_REF] && draft != DRAFT_ANY && draft <= DRAFT_7)
        for (size_t i = 0; i < KEYWORDS; i++)
            if (i != KEYWORD_REF)
                found[i] = NULL;
    return found;
}

uint32_t schema_node_of(struct schema *s, struct json_node *json)
{
    if (json->kind == JSON_KIND_TRUE || json->kind == JSON_KIND_FALSE)
        return json->kind == JSON_KIND_TRUE ? NODE_TRUE : NODE_FALSE;
    if (json->kind != JSON_KIND_OBJECT) {
        schema_fail(s, json, SMOLLM_EINVAL, "a schema must be an object or a boolean");
        return NODE_FALSE;
    }
    if (json->count == 0)
        return NODE_TRUE;
    if (json->mark == 0) {
        const enum schema_draft draft = schema_draft_of(s, json);
        json->mark = 1 + add_node(s, (struct schema_node){.kind = SCHEMA_OBJECT,
                                                          .json = json,
                                                          .draft = draft,
                                                          .keywords = find_keywords(s, json, draft)});
    }
    return json->mark - 1;
}

uint32_t schema_const_of(struct schema *s, struct json_node *json)
{
    if (json->mark == 0)
        json->mark = 1 + add_node(s, (struct schema_node){.kind = SCHEMA_CONST, .json = json});
    return json->mark - 1;
}

uint32_t schema_either_of(struct schema *s, uint32_t a, uint32_t b)
{
    return add_node(s, (struct schema_node){.kind = SCHEMA_EITHER, .either = {a, b}});
}

bool schema_enter(struct schema *s, uint32_t number, unsigned question, bool *cut)
{
    struct schema_node *node = schema_node_at(s, number);
    if (cut)
        *cut = node->open & question && s->level > node->level;
    if (cut && *cut) {
        s->cuts++;
        return false;
    }
    if (node->open & question)
        schema_fail(s, node->json, SMOLLM_EINVAL, "the schema refers to itself without end");
    else if (s->nesting >= NESTING_MAX)
        schema_fail(s, node->json, SMOLLM_ELIMIT, "more than %d schemas refer to each other", NESTING_MAX);
    if (s->status < 0)
        return false;
    if (!node->open)
        node->level = s->level;
    node->open |= question;
    s->nesting++;
    return true;
}

void schema_leave(struct schema *s, uint32_t number, unsigned question)
{
    schema_node_at(s, number)->open &= ~question;
    s->nesting--;
}

/* ---- Constraints ---- */

static int compare_conditions(const void *a, const void *b)
{
    const condition x = *(const condition *)a, y = *(const condition *)b;
    return (x > y) - (x < y);
}

constraint constraint_of(struct schema *s, const condition *conditions, uint32_t count)
{
    condition *sorted = pool_copy(s->pool, conditions, count * sizeof *sorted);
    uint32_t kept = 0;
    qsort(sorted, count, sizeof *sorted, compare_conditions);
    for (uint32_t i = 0; i < count; i++) {
        if (sorted[i] == condition_of(NODE_FALSE, true) || sorted[i] == condition_of(NODE_TRUE, false))
            return CONSTRAINT_NONE;
        if (sorted[i] == condition_of(NODE_TRUE, true) || sorted[i] == condition_of(NODE_FALSE, false) ||
            (kept > 0 && sorted[kept - 1] == sorted[i]))
            continue;
        if (kept > 0 && sorted[kept - 1] / 2 == sorted[i] / 2)
            return CONSTRAINT_NONE;
        sorted[kept++] = sorted[i];
    }
    if (kept == 0)
        return CONSTRAINT_ANY;
    const uint32_t hash = (uint32_t)hash_bytes(sorted, kept * sizeof *sorted, 0);
    uint32_t at = hash, number;
    while (pool_table_next(&s->constraint_table, hash, &at, &number)) {
        const struct constraint_entry *entry = constraint_at(s, number);
        if (entry->count == kept && memcmp(entry->conditions, sorted, kept * sizeof *sorted) == 0)
            return number;
    }
    if (!pool_spend(s->pool, 1))
        return CONSTRAINT_NONE;
    struct constraint_entry *entry = pool_vector_add(s->pool, &s->constraints, sizeof *entry);
    *entry = (struct constraint_entry){.conditions = sorted, .count = kept};
    pool_table_add(s->pool, &s->constraint_table, hash, s->constraints.count - 1);
    return s->constraints.count - 1;
}

constraint constraint_with(struct schema *s, constraint c, condition more)
{
    const struct constraint_entry *entry = constraint_at(s, c);
    if (c == CONSTRAINT_NONE)
        return c;
    condition *all = pool_array(s->pool, entry->count + 1, sizeof *all);
    if (entry->count > 0)
        memcpy(all, entry->conditions, entry->count * sizeof *all);
    all[entry->count] = more;
    return constraint_of(s, all, entry->count + 1);
}

constraint constraint_both(struct schema *s, constraint a, constraint b)
{
    const struct constraint_entry *x = constraint_at(s, a), *y = constraint_at(s, b);
    if (a == CONSTRAINT_NONE || b == CONSTRAINT_ANY || a == b)
        return a;
    if (b == CONSTRAINT_NONE || a == CONSTRAINT_ANY)
        return b;
    condition all[BOTH_MAX];
    if (x->count + y->count > BOTH_MAX)
        return b; /* a part of the conditions: for a look in advance */
    memcpy(all, x->conditions, x->count * sizeof *all);
    memcpy(all + x->count, y->conditions, y->count * sizeof *all);
    return constraint_of(s, all, x->count + y->count);
}

static struct schema_shapes empty_shapes(struct schema *s)
{
    struct schema_shapes shapes = {.list = pool_array(s->pool, 1, sizeof *shapes.list), .count = 1};
    shapes.list[0] = shape_empty(s);
    return shapes;
}

struct constraint_entry *constraint_expand(struct schema *s, constraint c)
{
    struct constraint_entry all = *constraint_at(s, c);
    const uint32_t cuts = s->cuts;
    if (all.is_expanded)
        return constraint_at(s, c);
    s->level++;
    all.allows_null = all.allows_false = all.allows_true = c != CONSTRAINT_NONE;
    all.strings = c == CONSTRAINT_NONE ? TERM_NONE : TERM_ALL;
    all.numbers = c == CONSTRAINT_NONE ? TERM_NONE : s->numbers.written;
    for (int family = 0; family < FAMILIES && c != CONSTRAINT_NONE; family++)
        all.shapes[family] = empty_shapes(s);
    for (uint32_t i = 0; i < all.count && c != CONSTRAINT_NONE; i++) {
        const condition its = all.conditions[i];
        const bool holds = its % 2 == 0;
        const struct json_node *place = schema_node_at(s, its / 2)->json;
        all.allows_null = all.allows_null && schema_allows(s, its, JSON_KIND_NULL);
        all.allows_false = all.allows_false && schema_allows(s, its, JSON_KIND_FALSE);
        all.allows_true = all.allows_true && schema_allows(s, its, JSON_KIND_TRUE);
        const struct language strings = schema_strings(s, its / 2), numbers = schema_numbers(s, its / 2);
        all.strings = term_and(s->terms, all.strings, holds ? strings.yes : strings.no);
        all.numbers = term_and(s->terms, all.numbers, holds ? numbers.yes : numbers.no);
        for (int family = 0; family < FAMILIES; family++)
            all.shapes[family] =
                schema_shapes_product(s, family, all.shapes[family], schema_shapes_of(s, its, family, false), place);
    }
    if (all.numbers == s->numbers.written)
        all.numbers = s->numbers.any;
    struct smollm_text words[3];
    uint32_t count = 0;
    if (all.allows_false)
        words[count++] = text_of("false");
    if (all.allows_null)
        words[count++] = text_of("null");
    if (all.allows_true)
        words[count++] = text_of("true");
    all.scalars = term_one_of(s->terms, words, count);
    if (!term_is_alive(s->terms, all.strings))
        all.strings = TERM_NONE;
    if (!term_is_alive(s->terms, all.numbers))
        all.numbers = TERM_NONE;
    s->level--;
    all.is_expanded = s->cuts == cuts;
    all.satisfiable = constraint_at(s, c)->satisfiable;
    *constraint_at(s, c) = all;
    return constraint_at(s, c);
}

/* Of a constraint that needs itself the inner one counts as not satisfiable: a value is finite. An answer "no" that
 * rests on that is kept only by the outermost constraint that it rests on. */
bool constraint_is_satisfiable(struct schema *s, constraint c)
{
    struct constraint_entry *entry = constraint_at(s, c);
    if (entry->satisfiable == ANSWER_YES || entry->satisfiable == ANSWER_NO)
        return entry->satisfiable == ANSWER_YES;
    if (entry->satisfiable >= ANSWER_OPEN) {
        const uint32_t depth = (uint32_t)entry->satisfiable - ANSWER_OPEN;
        s->reached = depth < s->reached ? depth : s->reached;
        return false;
    }
    if (c == CONSTRAINT_ANY)
        return true;
    if (c == CONSTRAINT_NONE || !pool_spend(s->pool, 1))
        return false;
    if (s->depth >= SATISFIABLE_DEPTH_MAX) {
        schema_fail(s, NULL, SMOLLM_ELIMIT, "the schema needs values with more than %d levels", SATISFIABLE_DEPTH_MAX);
        return false;
    }
    const uint32_t depth = s->depth++, outer = s->reached, cuts = s->cuts;
    s->reached = UINT32_MAX;
    entry->satisfiable = (uint8_t)(ANSWER_OPEN + depth);
    const struct constraint_entry all = *constraint_expand(s, c);
    bool yes = all.scalars != TERM_NONE || all.strings != TERM_NONE || all.numbers != TERM_NONE;
    for (int family = 0; family < FAMILIES && !yes; family++)
        for (uint32_t i = 0; i < all.shapes[family].count && !yes; i++)
            yes = shape_is_possible(s, all.shapes[family].list[i], family);
    s->depth--;
    const bool is_certain = s->cuts == cuts && (yes || s->reached >= depth);
    constraint_at(s, c)->satisfiable = !is_certain ? ANSWER_UNKNOWN : yes ? ANSWER_YES : ANSWER_NO;
    s->reached = !is_certain && s->reached < outer ? s->reached : outer;
    return yes;
}

/* ---- Compiling ---- */

int schema_compile(struct schema *s, struct terms *terms, struct smollm_text text, constraint *root,
                   struct smollm_error *error)
{
    *s = (struct schema){.pool = terms->pool, .terms = terms, .error = error, .reached = UINT32_MAX};
    *root = CONSTRAINT_NONE;
    int status = json_tree_parse(s->pool, text, &s->root, error);
    if (status == 0)
        status = numbers_begin(&s->numbers, terms, error);
    if (status < 0)
        return status;
    add_node(s, (struct schema_node){.kind = SCHEMA_FALSE});
    add_node(s, (struct schema_node){.kind = SCHEMA_TRUE});
    for (int i = 0; i < 2; i++)
        pool_vector_add(s->pool, &s->constraints, sizeof(struct constraint_entry));
    schema_find_ids(s);
    const condition whole = condition_of(schema_node_of(s, s->root), true);
    schema_check(s, whole / 2);
    if (s->status < 0)
        return s->status;
    *root = constraint_of(s, &whole, 1);
    const bool is_satisfiable = constraint_is_satisfiable(s, *root);
    if (s->status == 0 && !pool_has_room(s->pool))
        schema_fail(s, NULL, SMOLLM_ELIMIT, "the schema is too complex: its conditions combine in too many ways");
    if (s->status == 0 && !is_satisfiable)
        schema_fail(s, NULL, SMOLLM_EINVAL, "no value meets the schema");
    return s->status;
}
