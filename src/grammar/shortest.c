#include "grammar/shortest.h"

#include "grammar/shape.h"
#include "grammar/token_trie.h"

enum { NESTING_MAX = 64, ROUNDS_MAX = 64 };

static const struct text_bound NO_TEXT = {BOUND_MAX, BOUND_MAX};

static uint32_t add_sizes(uint32_t a, uint32_t b)
{
    return a + b < BOUND_MAX ? a + b : BOUND_MAX;
}

static struct text_bound add(struct text_bound a, struct text_bound b)
{
    return (struct text_bound){add_sizes(a.size, b.size), add_sizes(a.fixed, b.fixed)};
}

static struct text_bound add_bytes(struct text_bound a, uint32_t fixed)
{
    return add(a, (struct text_bound){fixed, fixed});
}

static struct text_bound times(struct text_bound a, uint32_t count)
{
    const uint64_t size = (uint64_t)a.size * count, fixed = (uint64_t)a.fixed * count;
    return (struct text_bound){size < BOUND_MAX ? (uint32_t)size : BOUND_MAX,
                               fixed < BOUND_MAX ? (uint32_t)fixed : BOUND_MAX};
}

static struct text_bound less(struct text_bound a, struct text_bound b)
{
    return (struct text_bound){a.size < b.size ? a.size : b.size, a.fixed < b.fixed ? a.fixed : b.fixed};
}

/* ---- Values of a schema ---- */

static struct text_bound value_bound(struct schema *s, constraint c, uint32_t nesting);

static struct text_bound object_bound(struct schema *s, const struct shape *shape, uint32_t nesting)
{
    struct text_bound all = {2, 2};
    uint32_t members = 0;
    for (uint32_t i = 0; i < shape->name_count; i++) {
        const struct shape_name *name = &shape->names[i];
        if (!name->required)
            continue;
        const uint32_t size = name->name.size < BOUND_MAX ? (uint32_t)name->name.size : BOUND_MAX;
        all = add(all, (struct text_bound){size, text_fixed_size(name->name)});
        all = add_bytes(add(all, value_bound(s, name->value, nesting)), 3);
        members++;
    }
    /* Others have at least "":0. */
    if (shape->min > members) {
        all = add(all, times((struct text_bound){4, 4}, shape->min - members));
        members = shape->min;
    }
    return members > 1 ? add_bytes(all, members - 1) : all;
}

static struct text_bound array_bound(struct schema *s, const struct shape *shape, uint32_t nesting)
{
    struct text_bound all = {2, 2};
    for (uint32_t i = 0; i < shape->min && i < shape->prefix_count; i++)
        all = add(all, value_bound(s, shape->prefix[i], nesting));
    if (shape->min > shape->prefix_count)
        all = add(all, times(value_bound(s, shape->rest, nesting), shape->min - shape->prefix_count));
    return shape->min > 1 ? add_bytes(all, shape->min - 1) : all;
}

/* A value that needs itself counts as one byte, and so does one that is nested too deeply to look at. */
static struct text_bound value_bound(struct schema *s, constraint c, uint32_t nesting)
{
    struct text_bound best = NO_TEXT;
    if (c == CONSTRAINT_NONE)
        return NO_TEXT;
    if (c == CONSTRAINT_ANY || nesting >= NESTING_MAX || !pool_spend(s->pool, 1))
        return (struct text_bound){1, 1};
    if (constraint_at(s, c)->has_bound)
        return (struct text_bound){constraint_at(s, c)->bound, constraint_at(s, c)->fixed_bound};
    constraint_at(s, c)->has_bound = true;
    constraint_at(s, c)->bound = constraint_at(s, c)->fixed_bound = 1;
    const struct constraint_entry all = *constraint_expand(s, c);
    if (all.scalars != TERM_NONE)
        best = less(best, (struct text_bound){4, 3}); /* null */
    if (all.strings != TERM_NONE)
        best = less(best, add_bytes((struct text_bound){term_shortest(s->terms, all.strings), 0}, 2));
    if (all.numbers != TERM_NONE)
        best = less(best, (struct text_bound){term_shortest(s->terms, all.numbers), 1});
    for (int family = 0; family < FAMILIES; family++)
        for (uint32_t i = 0; i < all.shapes[family].count; i++) {
            struct shape *shape = all.shapes[family].list[i];
            if (!shape_is_possible(s, shape, family))
                continue;
            shape_complete(s, shape, family);
            best = less(best, family == FAMILY_OBJECT ? object_bound(s, shape, nesting + 1)
                                                      : array_bound(s, shape, nesting + 1));
        }
    constraint_at(s, c)->bound = best.size;
    constraint_at(s, c)->fixed_bound = best.fixed;
    return best;
}

/* ---- The program ---- */

/* From an instruction to the end of its rule; after: those of all instructions, as far as they are known. */
static struct text_bound instruction_bound(struct machine *m, const struct machine_instruction *i, uint32_t place,
                                           const struct text_bound *after)
{
    switch (i->code) {
    case MACHINE_TEXT:
        return add(after[place + 1], (struct text_bound){term_shortest(m->terms, i->a), 0});
    case MACHINE_JSON:
        return add(after[place + 1], value_bound(i->schema, i->a, 0));
    case MACHINE_CALL:
        return add(after[place + 1], after[i->a]);
    case MACHINE_SPLIT:
        return less(after[i->a], after[i->b]);
    case MACHINE_JUMP:
        return after[i->a];
    case MACHINE_RETURN:
        return (struct text_bound){0, 0};
    case MACHINE_FAIL:
        return NO_TEXT;
    }
    return (struct text_bound){0, 0};
}

/* Bounds fall from "no text" to what they are; the last instruction is a RETURN or jumps. */
struct text_bound machine_shortest(struct machine *m)
{
    const uint32_t count = m->program.count;
    const struct machine_instruction *program = m->program.data;
    struct text_bound *after = pool_array(m->pool, (size_t)count + 1, sizeof *after);
    for (uint32_t i = 0; i <= count; i++)
        after[i] = NO_TEXT;
    bool changed = true;
    for (int round = 0; changed && round < ROUNDS_MAX; round++) {
        changed = false;
        for (uint32_t i = count; i-- > 0;) {
            const struct text_bound its = instruction_bound(m, &program[i], i, after);
            changed |= its.size != after[i].size || its.fixed != after[i].fixed;
            after[i] = its;
        }
    }
    if (changed || count == 0 || !pool_has_room(m->pool))
        return (struct text_bound){0, 0};
    return after[0];
}
