/* What a schema says about arrays and objects, as alternatives (schema.h). */
#include "grammar/shape.h"

#include "base/error.h"
#include "grammar/regex.h"

#include <string.h>

enum { SHAPES_MAX = 2000 };

/* ---- Sets of shapes ---- */

static struct schema_shapes none(void)
{
    return (struct schema_shapes){0};
}

static struct schema_shapes one(struct schema *s, struct shape *shape)
{
    struct schema_shapes all = {.list = pool_array(s->pool, 1, sizeof *all.list), .count = 1};
    all.list[0] = shape;
    return all;
}

static struct schema_shapes everything(struct schema *s)
{
    return one(s, shape_empty(s));
}

static struct schema_shapes with(struct schema *s, struct atom atom)
{
    struct shape *shape = shape_empty(s);
    shape_add(s, shape, atom);
    return one(s, shape);
}

/* The same shapes, to be changed. */
static struct schema_shapes copies(struct schema *s, struct schema_shapes a)
{
    struct schema_shapes all = {.list = pool_array(s->pool, a.count, sizeof *all.list)};
    for (; all.count < a.count; all.count++)
        all.list[all.count] = shape_join(s, a.list[all.count], shape_empty(s));
    return all;
}

static bool is_everything(struct schema_shapes a)
{
    return a.count == 1 && !a.list[0]->atoms;
}

static struct schema_shapes unite(struct schema *s, struct schema_shapes a, struct schema_shapes b,
                                  const struct json_node *place)
{
    if (a.count == 0 || b.count == 0)
        return a.count == 0 ? b : a;
    if (a.count + b.count > SHAPES_MAX) {
        schema_fail(s, place, SMOLLM_ELIMIT, "the schemas combine in more than %d ways", SHAPES_MAX);
        return none();
    }
    struct schema_shapes all = {.list = pool_array(s->pool, a.count + b.count, sizeof *all.list)};
    for (uint32_t i = 0; i < a.count; i++)
        all.list[all.count++] = a.list[i];
    for (uint32_t i = 0; i < b.count; i++)
        all.list[all.count++] = b.list[i];
    return all;
}

struct schema_shapes schema_shapes_product(struct schema *s, int family, struct schema_shapes a, struct schema_shapes b,
                                           const struct json_node *place)
{
    if (a.count == 0 || b.count == 0)
        return none();
    if (is_everything(a) && !a.list[0]->evaluated.all && a.list[0]->evaluated.names == TERM_NONE &&
        a.list[0]->evaluated.prefix == 0 && a.list[0]->evaluated.match_count == 0)
        return b;
    if ((uint64_t)a.count * b.count > 16 * SHAPES_MAX) {
        schema_fail(s, place, SMOLLM_ELIMIT, "the schemas combine in more than %d ways", SHAPES_MAX);
        return none();
    }
    struct pool_vector kept = {0};
    for (uint32_t i = 0; i < a.count && s->status == 0; i++)
        for (uint32_t k = 0; k < b.count && pool_spend(s->pool, 1); k++) {
            if (a.count * b.count > 1 && shapes_conflict(s, a.list[i], b.list[k], family))
                continue;
            struct shape *joined = shape_join(s, a.list[i], b.list[k]);
            if (a.count * b.count > 1 && !shape_is_possible(s, joined, family))
                continue;
            *(struct shape **)pool_vector_add(s->pool, &kept, sizeof joined) = joined;
        }
    if (kept.count > SHAPES_MAX)
        schema_fail(s, place, SMOLLM_ELIMIT, "the schemas combine in more than %d ways", SHAPES_MAX);
    return (struct schema_shapes){kept.data, kept.count};
}

/* ---- What is the same for both families ---- */

/* A question: the shapes of schemas that hold, or that do not. */
struct question {
    struct schema *s;
    int family;
    bool holds, annotated;
};

static struct schema_shapes shapes_of(struct question q, struct json_node *json, bool holds)
{
    return schema_shapes_of(q.s, condition_of(schema_node_of(q.s, json), holds), q.family, q.annotated && holds);
}

static struct schema_shapes product(struct question q, struct schema_shapes a, struct schema_shapes b,
                                    const struct json_node *place)
{
    return schema_shapes_product(q.s, q.family, a, b, place);
}

static bool can_meet(struct question q, struct shape *shape, struct schema_shapes all)
{
    for (uint32_t i = 0; i < all.count && pool_spend(q.s->pool, 1); i++)
        if (!shapes_conflict(q.s, shape, all.list[i], q.family) &&
            shape_is_possible(q.s, shape_join(q.s, shape, all.list[i]), q.family))
            return true;
    return false;
}

/* What is there already, and exactly one of a list holds. Where a shape of one schema rules out another schema anyway,
 * nothing is added to it. */
static struct schema_shapes exactly_one(struct question q, struct schema_shapes there, struct json_node *list)
{
    struct schema_shapes all = none();
    for (struct json_node *item = list->first; item; item = item->next) {
        const struct schema_shapes its = product(q, there, shapes_of(q, item, true), list);
        for (uint32_t i = 0; i < its.count && q.s->status == 0; i++) {
            struct schema_shapes alone = one(q.s, its.list[i]);
            for (struct json_node *other = list->first; other; other = other->next) {
                struct question plain = q;
                plain.annotated = false;
                if (other != item && can_meet(q, its.list[i], shapes_of(plain, other, true)))
                    alone = product(q, alone, shapes_of(plain, other, false), list);
            }
            all = unite(q.s, all, alone, list);
        }
    }
    return all;
}

/* At least one of a list holds. Where "unevaluated..." is asked for, each set of them is a way of its own. */
static struct schema_shapes any_of(struct question q, struct json_node *list)
{
    struct schema_shapes all = none();
    for (struct json_node *item = list->first; item; item = item->next) {
        const struct schema_shapes its = shapes_of(q, item, true);
        struct schema_shapes joined =
            q.annotated && all.count > 0 && its.count > 0 ? product(q, all, its, list) : none();
        all = unite(q.s, unite(q.s, all, its, list), joined, list);
    }
    return all;
}

static struct schema_shapes not_exactly_one(struct question q, struct json_node *list)
{
    struct schema_shapes nothing = everything(q.s), all;
    for (struct json_node *item = list->first; item; item = item->next)
        nothing = product(q, nothing, shapes_of(q, item, false), list);
    all = nothing;
    for (struct json_node *item = list->first; item; item = item->next)
        for (struct json_node *other = item->next; other; other = other->next)
            all = unite(q.s, all, product(q, shapes_of(q, item, true), shapes_of(q, other, true), list), list);
    return all;
}

static bool is_list(struct schema *s, struct json_node *value)
{
    if (!value)
        return false;
    if (value->kind != JSON_KIND_ARRAY || value->count == 0)
        schema_fail(s, value, SMOLLM_EINVAL, "must be an array with at least one schema");
    return value->kind == JSON_KIND_ARRAY && value->count > 0;
}

/* Adds a condition: to those that hold together, or, if the schema is to be broken, as one more way to break it. */
static void combine(struct question q, struct schema_shapes *all, struct schema_shapes more,
                    const struct json_node *place)
{
    *all = q.holds ? product(q, *all, more, place) : unite(q.s, *all, more, place);
}

static struct schema_shapes of_constants(struct question q, struct json_node *list, bool is_enum)
{
    struct schema_shapes all = q.holds ? none() : everything(q.s);
    const enum json_kind kind = q.family == FAMILY_ARRAY ? JSON_KIND_ARRAY : JSON_KIND_OBJECT;
    for (struct json_node *item = is_enum ? list->first : list; item; item = is_enum ? item->next : NULL) {
        if (item->kind != kind)
            continue;
        const struct schema_shapes its =
            schema_shapes_of(q.s, condition_of(schema_const_of(q.s, item), q.holds), q.family, false);
        all = q.holds ? unite(q.s, all, its, list) : product(q, all, its, list);
    }
    return all;
}

static void add_common(struct question q, uint32_t node, struct schema_shapes *all)
{
    struct schema *s = q.s;
    struct json_node *value, *item, *then, *otherwise;
    if ((value = schema_get(s, node, KEYWORD_ENUM))) {
        if (value->kind != JSON_KIND_ARRAY)
            schema_fail(s, value, SMOLLM_EINVAL, "must be an array");
        combine(q, all, of_constants(q, value, true), value);
    }
    if ((value = schema_get(s, node, KEYWORD_CONST)))
        combine(q, all, of_constants(q, value, false), value);
    if ((value = schema_get(s, node, KEYWORD_REF))) {
        const condition c = condition_of(schema_resolve(s, value), q.holds);
        combine(q, all, schema_shapes_of(s, c, q.family, q.annotated && q.holds), value);
    }
    if (is_list(s, value = schema_get(s, node, KEYWORD_ALL_OF)))
        for (item = value->first; item; item = item->next)
            combine(q, all, shapes_of(q, item, q.holds), item);
    if (is_list(s, value = schema_get(s, node, KEYWORD_ANY_OF))) {
        if (q.holds) {
            combine(q, all, any_of(q, value), value);
        } else {
            struct schema_shapes broken = everything(s);
            for (item = value->first; item; item = item->next)
                broken = product(q, broken, shapes_of(q, item, false), item);
            combine(q, all, broken, value);
        }
    }
    if (is_list(s, value = schema_get(s, node, KEYWORD_ONE_OF))) {
        if (q.holds)
            *all = exactly_one(q, *all, value);
        else
            combine(q, all, not_exactly_one(q, value), value);
    }
    if ((value = schema_get(s, node, KEYWORD_NOT))) {
        struct question plain = q;
        plain.annotated = false;
        combine(q, all, shapes_of(plain, value, !q.holds), value);
    }
    if ((value = schema_get(s, node, KEYWORD_IF))) {
        then = schema_get(s, node, KEYWORD_THEN);
        otherwise = schema_get(s, node, KEYWORD_ELSE);
        struct schema_shapes ways = none();
        if (then || q.annotated)
            ways = product(q, shapes_of(q, value, true), then ? shapes_of(q, then, q.holds) : everything(s), value);
        else if (q.holds)
            ways = shapes_of(q, value, true);
        if (otherwise || q.holds)
            ways = unite(s, ways,
                         product(q, shapes_of(q, value, false),
                                 otherwise ? shapes_of(q, otherwise, q.holds) : everything(s), value),
                         value);
        if (then || otherwise || q.annotated)
            combine(q, all, ways, value);
    }
}

/* A bound of the size; false when it is not there. */
static bool size_of(struct schema *s, uint32_t node, enum schema_keyword keyword, uint32_t *size)
{
    struct json_node *value = schema_get(s, node, keyword);
    if (value && !json_tree_count(s->pool, value, SIZE_UNLIMITED, size))
        schema_fail(s, value, SMOLLM_EINVAL, "must be a whole number that is not negative");
    return value != NULL;
}

static void add_sizes(struct question q, uint32_t node, enum schema_keyword min_name, enum schema_keyword max_name,
                      struct schema_shapes *all)
{
    uint32_t min = 0, max = SIZE_UNLIMITED;
    const bool has_min = size_of(q.s, node, min_name, &min), has_max = size_of(q.s, node, max_name, &max);
    const struct json_node *place = schema_node_at(q.s, node)->json;
    if (q.holds && (has_min || has_max))
        combine(q, all, with(q.s, (struct atom){.kind = ATOM_SIZE, .min = min, .max = max}), place);
    if (!q.holds && has_min && min > 0)
        combine(q, all, with(q.s, (struct atom){.kind = ATOM_SIZE, .max = min - 1}), place);
    if (!q.holds && has_max && max < SIZE_UNLIMITED)
        combine(q, all, with(q.s, (struct atom){.kind = ATOM_SIZE, .min = max + 1, .max = SIZE_UNLIMITED}), place);
}

/* ---- Objects ---- */

/* All members of a kind meet a schema; broken: one of them does not. */
static struct schema_shapes of_members(struct question q, struct atom atom, uint32_t node)
{
    atom.value = condition_of(node, q.holds);
    atom.kind = ATOM_MEMBERS;
    if (q.holds)
        return with(q.s, atom);
    if (!atom.by_name) {
        atom.kind = ATOM_SOME;
        return with(q.s, atom);
    }
    struct shape *shape = shape_empty(q.s);
    shape_add(q.s, shape, atom);
    shape_add(q.s, shape, (struct atom){.kind = ATOM_REQUIRED, .by_name = true, .name = atom.name});
    return one(q.s, shape);
}

static term pattern_of(struct schema *s, struct json_node *member)
{
    struct smollm_error error;
    term t = TERM_NONE;
    const int status = regex_compile(s->terms, member->key, false, &t, &error);
    if (status < 0)
        schema_fail(s, member, status, "%s", error.message);
    return t;
}

static term names_of(struct schema *s, struct json_node *object)
{
    if (!object || object->kind != JSON_KIND_OBJECT)
        return TERM_NONE;
    struct smollm_text *names = pool_array(s->pool, object->count, sizeof *names);
    uint32_t count = 0;
    for (struct json_node *member = object->first; member; member = member->next)
        names[count++] = member->key;
    return term_one_of(s->terms, names, count);
}

static void check_object(struct schema *s, const struct json_node *value)
{
    if (value && value->kind != JSON_KIND_OBJECT)
        schema_fail(s, value, SMOLLM_EINVAL, "must be an object");
}

/* "properties", "patternProperties" and "additionalProperties"; *seen: the names they speak of. */
static void add_members(struct question q, uint32_t node, struct schema_shapes *all, term *seen)
{
    struct schema *s = q.s;
    struct json_node *properties = schema_get(s, node, KEYWORD_PROPERTIES),
                     *patterns = schema_get(s, node, KEYWORD_PATTERN_PROPERTIES),
                     *additional = schema_get(s, node, KEYWORD_ADDITIONAL_PROPERTIES), *member;
    struct shape *together = shape_empty(s);
    check_object(s, properties);
    check_object(s, patterns);
    if (additional || q.annotated)
        *seen = names_of(s, properties);
    for (member = properties ? properties->first : NULL; member; member = member->next) {
        const struct atom atom = {.by_name = true, .name = member->key};
        const uint32_t its = schema_node_of(s, member);
        if (q.holds)
            shape_add(
                s, together,
                (struct atom){
                    .kind = ATOM_MEMBERS, .by_name = true, .name = member->key, .value = condition_of(its, true)});
        else if (its != NODE_TRUE)
            combine(q, all, of_members(q, atom, its), properties);
    }
    for (member = patterns ? patterns->first : NULL; member; member = member->next) {
        const term names = pattern_of(s, member);
        combine(q, all, of_members(q, (struct atom){.names = names}, schema_node_of(s, member)), patterns);
        *seen = term_or(s->terms, *seen, names);
    }
    if (additional) {
        const uint32_t its = schema_node_of(s, additional);
        if (its != NODE_FALSE)
            shape_add(s, together, (struct atom){.kind = ATOM_OPEN});
        if (its != NODE_TRUE)
            combine(q, all, of_members(q, (struct atom){.names = term_not(s->terms, *seen)}, its), additional);
        *seen = TERM_ALL;
    }
    if (q.holds)
        combine(q, all, one(s, together), properties);
}

static struct atom required(struct smollm_text name)
{
    return (struct atom){.kind = ATOM_REQUIRED, .by_name = true, .name = name};
}

static struct atom absent(struct smollm_text name)
{
    return (struct atom){.kind = ATOM_ABSENT, .by_name = true, .name = name};
}

static void add_required(struct question q, uint32_t node, struct schema_shapes *all)
{
    struct json_node *list = schema_get(q.s, node, KEYWORD_REQUIRED);
    struct shape *together = shape_empty(q.s);
    if (!list || list->kind == JSON_KIND_TRUE || list->kind == JSON_KIND_FALSE)
        return; /* draft 3 has booleans in members */
    if (list->kind != JSON_KIND_ARRAY)
        schema_fail(q.s, list, SMOLLM_EINVAL, "must be an array of names");
    for (struct json_node *item = list->first; item; item = item->next) {
        if (item->kind != JSON_KIND_STRING)
            schema_fail(q.s, item, SMOLLM_EINVAL, "must be a name");
        else if (q.holds)
            shape_add(q.s, together, required(item->text));
        else
            combine(q, all, with(q.s, absent(item->text)), list);
    }
    if (q.holds)
        combine(q, all, one(q.s, together), list);
}

/* If there is a member of this name, there must be others. */
static void add_needs(struct question q, struct smollm_text name, struct json_node *list, struct schema_shapes *all)
{
    struct schema *s = q.s;
    struct shape *together = shape_empty(s);
    for (struct json_node *item = list->kind == JSON_KIND_ARRAY ? list->first : list; item;
         item = list->kind == JSON_KIND_ARRAY ? item->next : NULL) {
        if (item->kind != JSON_KIND_STRING) {
            schema_fail(s, item, SMOLLM_EINVAL, "must be a name");
            continue;
        }
        if (q.holds) {
            shape_add(s, together,
                      (struct atom){.kind = ATOM_NEEDS, .by_name = true, .name = name, .other = item->text});
            continue;
        }
        struct shape *broken = shape_empty(s);
        shape_add(s, broken, required(name));
        shape_add(s, broken, absent(item->text));
        combine(q, all, one(s, broken), list);
    }
    if (q.holds)
        combine(q, all, one(s, together), list);
}

static void add_dependent_schema(struct question q, struct json_node *member, struct schema_shapes *all)
{
    struct schema *s = q.s;
    struct schema_shapes its = product(q, with(s, required(member->key)), shapes_of(q, member, q.holds), member);
    if (q.holds)
        its = unite(s, with(s, absent(member->key)), its, member);
    combine(q, all, its, member);
}

static void add_dependencies(struct question q, uint32_t node, struct schema_shapes *all)
{
    static const enum schema_keyword keywords[] = {KEYWORD_DEPENDENCIES, KEYWORD_DEPENDENT_REQUIRED,
                                                   KEYWORD_DEPENDENT_SCHEMAS};
    for (int i = 0; i < 3; i++) {
        struct json_node *value = schema_get(q.s, node, keywords[i]);
        check_object(q.s, value);
        for (struct json_node *member = value ? value->first : NULL; member; member = member->next) {
            const bool is_schema =
                member->kind == JSON_KIND_OBJECT || member->kind == JSON_KIND_TRUE || member->kind == JSON_KIND_FALSE;
            if (is_schema)
                add_dependent_schema(q, member, all);
            else
                add_needs(q, member->key, member, all);
        }
    }
}

static struct schema_shapes object_shapes(struct question q, uint32_t node)
{
    struct schema *s = q.s;
    struct schema_shapes all = q.holds ? everything(s) : none();
    struct json_node *value;
    term seen = TERM_NONE;
    if (!schema_has_type(s, node, "object"))
        return q.holds ? none() : everything(s);
    add_members(q, node, &all, &seen);
    add_required(q, node, &all);
    add_sizes(q, node, KEYWORD_MIN_PROPERTIES, KEYWORD_MAX_PROPERTIES, &all);
    if ((value = schema_get(s, node, KEYWORD_PROPERTY_NAMES))) {
        const struct language names = schema_strings(s, schema_node_of(s, value));
        const struct atom atom =
            q.holds ? (struct atom){.kind = ATOM_NAMES, .names = names.yes}
                    : (struct atom){.kind = ATOM_SOME, .names = names.no, .value = condition_of(NODE_TRUE, true)};
        combine(q, &all, with(s, atom), value);
    }
    add_dependencies(q, node, &all);
    add_common(q, node, &all);
    if (q.annotated) {
        all = copies(s, all);
        for (uint32_t i = 0; i < all.count; i++)
            evaluated_add_names(s, &all.list[i]->evaluated, seen);
    }
    if ((value = schema_get(s, node, KEYWORD_UNEVALUATED_PROPERTIES))) {
        const uint32_t its = schema_node_of(s, value);
        if (!q.holds) /* which members are left over is not certain: that way of breaking the schema is not taken */
            return all;
        for (uint32_t i = 0; i < all.count; i++) {
            struct evaluated *e = &all.list[i]->evaluated;
            if (its != NODE_FALSE)
                shape_add(s, all.list[i], (struct atom){.kind = ATOM_OPEN});
            if (its != NODE_TRUE && !e->all)
                shape_add(s, all.list[i],
                          (struct atom){.kind = ATOM_MEMBERS,
                                        .names = term_not(s->terms, e->names),
                                        .value = condition_of(its, true)});
            e->all = true;
            e->names = TERM_ALL;
        }
    }
    return all;
}

/* An object that is equal to this one, or not. */
static struct schema_shapes const_object(struct question q, struct json_node *json)
{
    struct schema *s = q.s;
    struct shape *equal = shape_empty(s);
    struct schema_shapes broken = none();
    const term others = term_not(s->terms, names_of(s, json));
    for (struct json_node *member = json->first; member; member = member->next) {
        const uint32_t its = schema_const_of(s, member);
        shape_add(s, equal, required(member->key));
        shape_add(s, equal,
                  (struct atom){
                      .kind = ATOM_MEMBERS, .by_name = true, .name = member->key, .value = condition_of(its, true)});
        if (q.holds)
            continue;
        broken = unite(s, broken, with(s, absent(member->key)), json);
        broken = unite(s, broken, of_members(q, (struct atom){.by_name = true, .name = member->key}, its), json);
    }
    shape_add(s, equal, (struct atom){.kind = ATOM_MEMBERS, .names = others, .value = condition_of(NODE_FALSE, true)});
    if (q.holds)
        return one(s, equal);
    return unite(s, broken,
                 with(s, (struct atom){.kind = ATOM_SOME, .names = others, .value = condition_of(NODE_TRUE, true)}),
                 json);
}

/* ---- Arrays ---- */

static struct schema_shapes of_element(struct question q, uint32_t index, uint32_t node)
{
    struct shape *shape = shape_empty(q.s);
    shape_add(q.s, shape, (struct atom){.kind = ATOM_ELEMENT, .index = index, .value = condition_of(node, q.holds)});
    if (!q.holds)
        shape_add(q.s, shape, (struct atom){.kind = ATOM_SIZE, .min = index + 1, .max = SIZE_UNLIMITED});
    return one(q.s, shape);
}

static struct schema_shapes of_elements(struct question q, uint32_t from, uint32_t node)
{
    const struct atom all = {.kind = ATOM_ELEMENTS, .index = from, .value = condition_of(node, true)},
                      some = {.kind = ATOM_COUNT,
                              .index = from,
                              .value = condition_of(node, false),
                              .min = 1,
                              .max = SIZE_UNLIMITED};
    return with(q.s, q.holds ? all : some);
}

static void add_contains(struct question q, uint32_t node, struct schema_shapes *all, struct json_node *value)
{
    struct schema *s = q.s;
    uint32_t min = 1, max = SIZE_UNLIMITED;
    struct atom atom = {
        .kind = ATOM_COUNT, .value = condition_of(schema_node_of(s, value), true), .max = SIZE_UNLIMITED};
    size_of(s, node, KEYWORD_MIN_CONTAINS, &min);
    size_of(s, node, KEYWORD_MAX_CONTAINS, &max);
    if (q.holds) {
        atom.min = min;
        atom.max = max;
        if (min > 0 || max < SIZE_UNLIMITED)
            combine(q, all, with(s, atom), value);
        return;
    }
    if (min > 0) {
        atom.max = min - 1;
        combine(q, all, with(s, atom), value);
    }
    if (max < SIZE_UNLIMITED) {
        atom.min = max + 1;
        atom.max = SIZE_UNLIMITED;
        combine(q, all, with(s, atom), value);
    }
}

/* Elements from `prefix` on that meet none of the schemas that have looked at elements meet this one. */
static void add_unevaluated_items(struct schema *s, struct shape *shape, uint32_t node)
{
    const struct evaluated *e = &shape->evaluated;
    uint32_t its = node;
    if (e->all || node == NODE_TRUE)
        return;
    for (uint32_t i = 0; i < e->match_count; i++)
        its = schema_either_of(s, its, e->matches[i] / 2);
    shape_add(s, shape, (struct atom){.kind = ATOM_ELEMENTS, .index = e->prefix, .value = condition_of(its, true)});
}

static void note_evaluated_items(struct schema *s, struct shape *shape, bool whole, uint32_t prefix,
                                 struct json_node *contains)
{
    struct evaluated *e = &shape->evaluated;
    e->all |= whole;
    e->prefix = prefix > e->prefix ? prefix : e->prefix;
    if (contains) {
        condition *more = pool_array(s->pool, e->match_count + 1, sizeof *more);
        if (e->match_count > 0)
            memcpy(more, e->matches, e->match_count * sizeof *more);
        more[e->match_count++] = condition_of(schema_node_of(s, contains), true);
        e->matches = more;
    }
}

static struct schema_shapes array_shapes(struct question q, uint32_t node)
{
    struct schema *s = q.s;
    struct schema_shapes all = q.holds ? everything(s) : none();
    struct json_node *prefix = schema_get(s, node, KEYWORD_PREFIX_ITEMS), *rest = schema_get(s, node, KEYWORD_ITEMS),
                     *contains, *value;
    uint32_t index = 0;
    if (!schema_has_type(s, node, "array"))
        return q.holds ? none() : everything(s);
    if (prefix && prefix->kind != JSON_KIND_ARRAY)
        schema_fail(s, prefix, SMOLLM_EINVAL, "must be an array");
    const bool old = rest && rest->kind == JSON_KIND_ARRAY;
    if (old) {
        prefix = rest;
        rest = schema_get(s, node, KEYWORD_ADDITIONAL_ITEMS);
    }
    for (struct json_node *item = prefix ? prefix->first : NULL; item; item = item->next)
        combine(q, &all, of_element(q, index++, schema_node_of(s, item)), prefix);
    if (rest)
        combine(q, &all, of_elements(q, index, schema_node_of(s, rest)), rest);
    add_sizes(q, node, KEYWORD_MIN_ITEMS, KEYWORD_MAX_ITEMS, &all);
    contains = schema_get(s, node, KEYWORD_CONTAINS);
    if (contains)
        add_contains(q, node, &all, contains);
    value = schema_get(s, node, KEYWORD_UNIQUE_ITEMS);
    if (value && value->kind == JSON_KIND_TRUE && q.holds)
        combine(q, &all, with(s, (struct atom){.kind = ATOM_UNIQUE}), value);
    add_common(q, node, &all);
    value = schema_get(s, node, KEYWORD_UNEVALUATED_ITEMS);
    const bool matches = schema_node_at(s, node)->draft != DRAFT_2019;
    if (!q.annotated)
        return all;
    all = copies(s, all);
    for (uint32_t i = 0; i < all.count; i++) {
        note_evaluated_items(s, all.list[i], rest != NULL, index, matches ? contains : NULL);
        if (value) {
            add_unevaluated_items(s, all.list[i], schema_node_of(s, value));
            all.list[i]->evaluated.all = true;
        }
    }
    return all;
}

static struct schema_shapes const_array(struct question q, struct json_node *json)
{
    struct schema *s = q.s;
    struct schema_shapes all = q.holds ? everything(s) : none();
    uint32_t index = 0;
    for (struct json_node *item = json->first; item; item = item->next)
        combine(q, &all, of_element(q, index++, schema_const_of(s, item)), json);
    if (q.holds)
        combine(q, &all, with(s, (struct atom){.kind = ATOM_SIZE, .min = index, .max = index}), json);
    else if (index > 0)
        combine(q, &all, with(s, (struct atom){.kind = ATOM_SIZE, .max = index - 1}), json);
    if (!q.holds)
        combine(q, &all, with(s, (struct atom){.kind = ATOM_SIZE, .min = index + 1, .max = SIZE_UNLIMITED}), json);
    return all;
}

/* ---- Any node ---- */

static bool looks_at_rest(struct schema *s, uint32_t node, int family)
{
    return schema_get(s, node, family == FAMILY_ARRAY ? KEYWORD_UNEVALUATED_ITEMS : KEYWORD_UNEVALUATED_PROPERTIES) !=
           NULL;
}

static struct schema_shapes find(struct question q, uint32_t number)
{
    const struct schema_node *node = schema_node_at(q.s, number);
    switch (node->kind) {
    case SCHEMA_TRUE:
    case SCHEMA_FALSE:
        return (node->kind == SCHEMA_TRUE) == q.holds ? everything(q.s) : none();
    case SCHEMA_CONST:
        if (node->json->kind != (q.family == FAMILY_ARRAY ? JSON_KIND_ARRAY : JSON_KIND_OBJECT))
            return q.holds ? none() : everything(q.s);
        return q.family == FAMILY_ARRAY ? const_array(q, node->json) : const_object(q, node->json);
    case SCHEMA_EITHER: {
        const uint32_t a = node->either[0], b = node->either[1];
        const struct schema_shapes first = schema_shapes_of(q.s, condition_of(a, q.holds), q.family, false),
                                   second = schema_shapes_of(q.s, condition_of(b, q.holds), q.family, false);
        return q.holds ? unite(q.s, first, second, NULL) : product(q, first, second, NULL);
    }
    case SCHEMA_OBJECT:
        q.annotated |= q.holds && looks_at_rest(q.s, number, q.family);
        return q.family == FAMILY_ARRAY ? array_shapes(q, number) : object_shapes(q, number);
    }
    return none();
}

struct schema_shapes schema_shapes_of(struct schema *s, condition c, int family, bool annotated)
{
    const uint32_t number = c / 2, breaks = c % 2;
    const struct question q = {s, family, !breaks, annotated};
    const unsigned question = (unsigned)QUESTION_SHAPES << (4u * (unsigned)family + 2 * breaks + annotated);
    if (schema_node_at(s, number)->has_shapes[family][breaks][annotated] || s->status < 0)
        return schema_node_at(s, number)->shapes[family][breaks][annotated];
    bool cut;
    const uint32_t cuts = s->cuts;
    if (!schema_enter(s, number, question, &cut))
        return cut ? everything(s) : none();
    const struct schema_shapes all = find(q, number);
    schema_leave(s, number, question);
    if (s->cuts != cuts)
        return all;
    schema_node_at(s, number)->shapes[family][breaks][annotated] = all;
    schema_node_at(s, number)->has_shapes[family][breaks][annotated] = true;
    return all;
}
