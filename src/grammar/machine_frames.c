#include "grammar/machine_frames.h"

#include "base/hash.h"

#include <string.h>

/* ---- Sets of names ---- */

uint32_t name_set_make(struct machine *m, const uint32_t *bits, uint32_t size)
{
    const uint32_t hash = (uint32_t)hash_bytes(bits, size * sizeof *bits, size);
    uint32_t at = hash, number;
    while (pool_table_next(&m->set_table, hash, &at, &number)) {
        const struct name_set *set = (const struct name_set *)m->sets.data + number;
        if (set->size == size && (size == 0 || memcmp(set->bits, bits, size * sizeof *bits) == 0))
            return number;
    }
    *(struct name_set *)pool_vector_add(m->pool, &m->sets, sizeof(struct name_set)) =
        (struct name_set){pool_copy(m->pool, bits, size * sizeof *bits), size};
    pool_table_add(m->pool, &m->set_table, hash, m->sets.count - 1);
    return m->sets.count - 1;
}

bool name_set_has(const struct machine *m, uint32_t set, uint32_t name)
{
    const uint32_t *bits = ((const struct name_set *)m->sets.data)[set].bits;
    return bits[name / 32] >> name % 32 & 1;
}

uint32_t name_set_with(struct machine *m, uint32_t set, uint32_t name)
{
    const struct name_set *old = (const struct name_set *)m->sets.data + set;
    const uint32_t size = old->size;
    uint32_t *bits = pool_copy(m->pool, old->bits, size * sizeof *bits);
    bits[name / 32] |= 1u << name % 32;
    return name_set_make(m, bits, size);
}

const uint32_t *name_set_bits(const struct machine *m, uint32_t set)
{
    return ((const struct name_set *)m->sets.data)[set].bits;
}

/* ---- Frames ---- */

uint32_t frame_make(struct machine *m, const struct frame *wanted)
{
    struct frame key;
    memset(&key, 0, sizeof key);
    key.schema = wanted->schema;
    key.shape = wanted->shape;
    key.kind = wanted->kind;
    key.parent = wanted->parent;
    key.place = wanted->place;
    key.count = wanted->count;
    key.used = wanted->used;
    key.passed = wanted->passed;
    memcpy(key.met, wanted->met, sizeof key.met);
    const size_t size = offsetof(struct frame, allowed);
    const uint32_t hash = (uint32_t)hash_bytes(&key, size, 0);
    uint32_t at = hash, number;
    while (pool_table_next(&m->frame_table, hash, &at, &number))
        if (memcmp(frame_at(m, number), &key, size) == 0)
            return number;
    pool_spend(m->pool, 1);
    *(struct frame *)pool_vector_add(m->pool, &m->frames, sizeof key) = key;
    pool_table_add(m->pool, &m->frame_table, hash, m->frames.count - 1);
    return m->frames.count - 1;
}

/* ---- Objects ---- */

/* Whether a known name has not come and can no longer come. */
static bool is_passed(const struct machine *m, const struct frame *f, uint32_t name)
{
    return f->shape->names[name].place < f->passed && !name_set_has(m, f->used, name);
}

bool object_is_ahead(const struct machine *m, const struct frame *f, uint32_t name)
{
    return f->shape->names[name].place >= f->passed && !name_set_has(m, f->used, name);
}

uint32_t object_members_missing(struct machine *m, const struct frame *f)
{
    const struct shape *shape = f->shape;
    uint32_t missing = 0;
    bool has_needs = false;
    for (uint32_t i = 0; i < shape->name_count; i++) {
        has_needs |= shape->names[i].need_count > 0;
        missing += shape->names[i].required && !name_set_has(m, f->used, i);
    }
    if (!has_needs)
        return missing;
    /* The names that are there or must come, until nothing is added. */
    bool *there = pool_array(m->pool, shape->name_count, sizeof *there);
    for (uint32_t i = 0; i < shape->name_count; i++)
        there[i] = shape->names[i].required || name_set_has(m, f->used, i);
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < shape->name_count; i++)
            for (uint32_t k = 0; there[i] && k < shape->names[i].need_count; k++) {
                const uint32_t need = shape->names[i].needs[k];
                if (there[need])
                    continue;
                if (is_passed(m, f, need) || !constraint_is_satisfiable(f->schema, shape->names[need].value))
                    return UINT32_MAX;
                there[need] = changed = true;
            }
    }
    missing = 0;
    for (uint32_t i = 0; i < shape->name_count; i++)
        missing += there[i] && !name_set_has(m, f->used, i);
    return missing;
}

bool object_may_end(struct machine *m, const struct frame *f)
{
    for (uint32_t i = 0; i < f->shape->claim_count; i++)
        if (!f->met[i])
            return false;
    return f->count >= f->shape->min && object_members_missing(m, f) == 0;
}

/* Whether a member that has not come yet can meet the claim. */
static bool claim_can_be_met(struct machine *m, const struct frame *f, uint32_t claim)
{
    const struct shape *shape = f->shape;
    const uint32_t bit = 1u << claim;
    const condition value = shape->claims[claim].value;
    for (uint32_t i = 0; i < shape->class_count; i++)
        if (shape->classes[i].claims & bit &&
            constraint_is_satisfiable(f->schema, constraint_with(f->schema, shape->classes[i].value, value)))
            return true;
    for (uint32_t i = 0; i < shape->name_count; i++)
        if (shape->names[i].claims & bit && object_is_ahead(m, f, i) &&
            constraint_is_satisfiable(f->schema, constraint_with(f->schema, shape->names[i].value, value)))
            return true;
    return false;
}

bool object_takes_class(const struct machine *m, const struct shape *shape, uint32_t class)
{
    uint32_t required = 0;
    bool names_some = shape->name_count > 0;
    if (!m->as_listed || shape->is_open || shape->claim_count > 0 || shape->classes[class].value != CONSTRAINT_ANY)
        return true;
    for (uint32_t i = 0; i < shape->name_count; i++)
        required += shape->names[i].required;
    for (uint32_t i = 0; i < shape->class_count; i++)
        names_some |= shape->classes[i].value != CONSTRAINT_ANY;
    return !names_some || shape->min > required;
}

bool object_is_viable(struct machine *m, const struct frame *f)
{
    const struct shape *shape = f->shape;
    uint32_t pending = 0, available = 0;
    for (uint32_t i = 0; i < shape->claim_count; i++)
        if (!f->met[i]) {
            pending = 1;
            if (!claim_can_be_met(m, f, i))
                return false;
        }
    const uint32_t missing = object_members_missing(m, f), needed = missing > pending ? missing : pending;
    if (missing == UINT32_MAX || f->count + needed > shape->max)
        return false;
    if (f->count + missing >= shape->min)
        return true;
    for (uint32_t i = 0; i < shape->class_count; i++)
        if (object_takes_class(m, shape, i) && constraint_is_satisfiable(f->schema, shape->classes[i].value))
            return true;
    for (uint32_t i = 0; i < shape->name_count; i++)
        available += object_is_ahead(m, f, i) && constraint_is_satisfiable(f->schema, shape->names[i].value);
    return f->count + available >= shape->min;
}

static uint32_t count_capped(const struct shape *shape, uint32_t count)
{
    return shape->max < SIZE_UNLIMITED || count < shape->min ? count : shape->min;
}

struct frame object_with_member(struct machine *m, const struct frame *f, uint32_t name)
{
    struct frame next = *f;
    next.count = count_capped(f->shape, f->count + 1);
    if (name == NAMES)
        return next;
    next.used = name_set_with(m, f->used, name);
    next.passed = m->as_listed ? f->shape->names[name].place + 1 : 0;
    return next;
}

bool object_member_may_come(struct machine *m, const struct frame *f, uint32_t name, constraint value)
{
    if (!constraint_is_satisfiable(f->schema, value))
        return false;
    if (f->shape->max == SIZE_UNLIMITED && f->shape->claim_count == 0 &&
        (name == NAMES || (f->shape->names[name].need_count == 0 && !m->as_listed)))
        return true;
    struct frame next = object_with_member(m, f, name);
    /* It may meet every claim that it can meet. */
    for (uint32_t i = 0; i < f->shape->claim_count; i++)
        next.met[i] = 1;
    return object_is_viable(m, &next);
}

/* Members in order: the place of the next one that is required, which cannot be passed over. */
static uint32_t last_place(const struct machine *m, const struct frame *f)
{
    for (uint32_t place = f->passed; m->as_listed && place < f->shape->name_count; place++) {
        const uint32_t name = f->shape->order[place];
        if (f->shape->names[name].required && !name_set_has(m, f->used, name))
            return place;
    }
    return UINT32_MAX;
}

term object_allowed_names(struct machine *m, uint32_t number)
{
    const struct frame f = *frame_at(m, number);
    if (f.has_names)
        return f.names;
    struct smollm_text *names = pool_array(m->pool, f.shape->name_count, sizeof *names);
    uint32_t *allowed = pool_array(m->pool, f.shape->name_count, sizeof *allowed), count = 0;
    const uint32_t end = last_place(m, &f);
    for (uint32_t i = 0; i < f.shape->name_count; i++)
        if (object_is_ahead(m, &f, i) && f.shape->names[i].place <= end &&
            object_member_may_come(m, &f, i, f.shape->names[i].value)) {
            names[count] = f.shape->names[i].name;
            allowed[count++] = i;
        }
    const term t = term_names(m->terms, names, count);
    struct frame *kept = (struct frame *)m->frames.data + number;
    kept->names = t;
    kept->allowed = allowed;
    kept->has_names = true;
    return t;
}

/* ---- Arrays ---- */

bool array_may_end(const struct frame *f)
{
    for (uint32_t i = 0; i < f->shape->claim_count; i++)
        if (f->met[i] < f->shape->claims[i].min)
            return false;
    return f->count >= f->shape->min;
}

/* How many of the elements that must still come cannot but meet a claim. */
static uint32_t must_meet(const struct frame *f, const struct shape_claim *claim)
{
    struct schema *s = f->schema;
    const struct shape *shape = f->shape;
    const uint32_t from = f->count > claim->index ? f->count : claim->index;
    uint32_t must = 0;
    if (claim->max == SIZE_UNLIMITED)
        return 0;
    for (uint32_t k = from; k < shape->prefix_count && k < shape->min; k++)
        must += !constraint_is_satisfiable(s, constraint_with(s, shape_element(shape, k), claim->value ^ 1));
    const uint32_t behind = from > shape->prefix_count ? from : shape->prefix_count;
    if (shape->min > behind && !constraint_is_satisfiable(s, constraint_with(s, shape->rest, claim->value ^ 1)))
        must += shape->min - behind;
    return must;
}

bool array_is_viable(const struct frame *f)
{
    struct schema *s = f->schema;
    const struct shape *shape = f->shape;
    if (shape->claim_count == 0 && shape->min == 0 && shape->max == SIZE_UNLIMITED)
        return true;
    const uint32_t limit = shape_limit(s, shape);
    if (f->count > limit || shape->min > limit)
        return false;
    for (uint32_t i = 0; i < shape->claim_count; i++) {
        const struct shape_claim *claim = &shape->claims[i];
        uint32_t can = 0;
        if (f->met[i] + must_meet(f, claim) > claim->max)
            return false;
        if (f->met[i] >= claim->min)
            continue;
        for (uint32_t k = f->count > claim->index ? f->count : claim->index; k < shape->prefix_count && k < limit; k++)
            can += constraint_is_satisfiable(s, constraint_with(s, shape_element(shape, k), claim->value));
        const uint32_t from = f->count > shape->prefix_count ? f->count : shape->prefix_count;
        if (limit > from && constraint_is_satisfiable(s, constraint_with(s, shape->rest, claim->value)))
            can += limit - from;
        if (f->met[i] + can < claim->min)
            return false;
    }
    return true;
}

uint32_t array_elements_capped(const struct shape *shape, uint32_t count)
{
    const uint32_t cap = shape->prefix_count > shape->min ? shape->prefix_count : shape->min;
    return shape->max < SIZE_UNLIMITED || count < cap ? count : cap;
}
