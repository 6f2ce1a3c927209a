#include "grammar/shape.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum { PREFIX_MAX = 4096, FEW_NAMES = 32, FEW_CLASSES = 4, VALUES_MAX = 256, VALUES_PREFIX_MAX = 64, PLACED_MAX = 32 };

struct shape *shape_empty(struct schema *s)
{
    struct shape *shape = pool_allocate(s->pool, sizeof *shape);
    shape->evaluated.names = TERM_NONE;
    return shape;
}

void shape_add(struct schema *s, struct shape *shape, struct atom atom)
{
    struct atom *copy = pool_copy(s->pool, &atom, sizeof atom);
    copy->next = shape->atoms;
    shape->atoms = copy;
    pool_spend(s->pool, 1);
}

void evaluated_add_names(struct schema *s, struct evaluated *e, term names)
{
    e->names = term_or(s->terms, e->names, names);
}

struct shape *shape_join(struct schema *s, const struct shape *a, const struct shape *b)
{
    struct shape *both = shape_empty(s);
    uint32_t count = 0;
    const struct atom **list;
    both->atoms = a->atoms;
    for (const struct atom *atom = b->atoms; atom; atom = atom->next)
        count++;
    list = pool_array(s->pool, count, sizeof *list);
    for (const struct atom *atom = b->atoms; atom; atom = atom->next)
        list[--count] = atom;
    for (const struct atom *atom = b->atoms; atom; atom = atom->next)
        shape_add(s, both, *list[count++]);
    struct evaluated *e = &both->evaluated;
    e->all = a->evaluated.all || b->evaluated.all;
    e->names = term_or(s->terms, a->evaluated.names, b->evaluated.names);
    e->prefix = a->evaluated.prefix > b->evaluated.prefix ? a->evaluated.prefix : b->evaluated.prefix;
    e->matches = pool_array(s->pool, a->evaluated.match_count + b->evaluated.match_count, sizeof *e->matches);
    for (uint32_t i = 0; i < a->evaluated.match_count; i++)
        e->matches[e->match_count++] = a->evaluated.matches[i];
    for (uint32_t i = 0; i < b->evaluated.match_count; i++)
        e->matches[e->match_count++] = b->evaluated.matches[i];
    return both;
}

/* ---- Objects ---- */

static int compare_names(const void *a, const void *b)
{
    const struct shape_name *x = a, *y = b;
    const size_t size = x->name.size < y->name.size ? x->name.size : y->name.size;
    const int order = size > 0 ? memcmp(x->name.data, y->name.data, size) : 0; /* UTF-8 sorts as code points do */
    return order != 0 ? order : (x->name.size > y->name.size) - (x->name.size < y->name.size);
}

uint32_t shape_find_name(const struct shape *shape, struct smollm_text name)
{
    const struct shape_name wanted = {.name = name};
    const struct shape_name *found = bsearch(&wanted, shape->names, shape->name_count, sizeof wanted, compare_names);
    return found ? (uint32_t)(found - shape->names) : UINT32_MAX;
}

/* Names that atoms speak of, and more. */
static void gather_names(struct schema *s, struct shape *shape, const struct smollm_text *more, uint32_t more_count)
{
    uint32_t count = more_count;
    for (const struct atom *atom = shape->atoms; atom; atom = atom->next)
        count += atom->by_name ? 1u + (atom->kind == ATOM_NEEDS) : 0;
    shape->names = pool_array(s->pool, count, sizeof *shape->names);
    struct smollm_text *in_order = pool_array(s->pool, count, sizeof *in_order);
    count = 0;
    shape->name_count = 0;
    while (count < more_count) {
        in_order[count] = more[count];
        count++;
    }
    for (const struct atom *atom = shape->atoms; atom; atom = atom->next) {
        if (atom->by_name)
            in_order[count++] = atom->name;
        if (atom->kind == ATOM_NEEDS)
            in_order[count++] = atom->other;
    }
    for (uint32_t i = 0; i < count; i++)
        shape->names[i].name = in_order[i];
    qsort(shape->names, count, sizeof *shape->names, compare_names);
    for (uint32_t i = 0; i < count; i++)
        if (shape->name_count == 0 || !text_equal(shape->names[shape->name_count - 1].name, shape->names[i].name))
            shape->names[shape->name_count++].name = shape->names[i].name;
    /* Atoms were put in front of each other: the last one is the schema's first. */
    shape->order = pool_array(s->pool, shape->name_count, sizeof *shape->order);
    bool *taken = pool_array(s->pool, shape->name_count, sizeof *taken);
    uint32_t placed = 0;
    for (uint32_t i = count; i-- > 0;) {
        const uint32_t at = shape_find_name(shape, in_order[i]);
        if (!taken[at]) {
            shape->names[at].place = placed;
            shape->order[placed++] = at;
        }
        taken[at] = true;
    }
}

/* Splits the classes of names into those inside and outside of a set of names. */
static void split_classes(struct schema *s, struct shape *shape, term names, condition value, uint32_t claim)
{
    const uint32_t count = shape->class_count;
    struct shape_class *split = pool_array(s->pool, 2 * (size_t)count, sizeof *split);
    uint32_t kept = 0;
    const term outside = term_not(s->terms, names);
    for (uint32_t i = 0; i < count; i++) {
        struct shape_class in = shape->classes[i], out = in;
        in.names = term_and(s->terms, in.names, names);
        out.names = term_and(s->terms, out.names, outside);
        in.claims |= claim;
        if (!claim)
            in.value = constraint_with(s, in.value, value);
        if (in.value != CONSTRAINT_NONE && term_is_alive(s->terms, in.names))
            split[kept++] = in;
        if (term_is_alive(s->terms, out.names))
            split[kept++] = out;
    }
    if (kept > SHAPE_CLASSES_MAX) {
        schema_fail(s, NULL, SMOLLM_ELIMIT, "the names of members fall into more than %d classes", SHAPE_CLASSES_MAX);
        kept = 0;
    }
    shape->classes = split;
    shape->class_count = kept;
}

static void add_claim(struct schema *s, struct shape *shape, const struct atom *atom)
{
    if (shape->claim_count == SHAPE_CLAIMS_MAX) {
        schema_fail(s, NULL, SMOLLM_ELIMIT, "more than %d conditions on some member or element", SHAPE_CLAIMS_MAX);
        return;
    }
    shape->claims[shape->claim_count++] =
        (struct shape_claim){.value = atom->value, .index = atom->index, .min = atom->min, .max = atom->max};
}

/* Whether an atom speaks of a name. */
static bool atom_applies(struct schema *s, const struct atom *atom, struct smollm_text name)
{
    if (atom->by_name)
        return text_equal(atom->name, name);
    const bool has_names = atom->kind == ATOM_MEMBERS || atom->kind == ATOM_SOME || atom->kind == ATOM_NAMES;
    return has_names && term_matches(s->terms, atom->names, name);
}

static void note_atom(struct shape_name *name, const struct atom *atom, bool applies, uint32_t claim, bool *forbidden)
{
    if (atom->kind == ATOM_SOME && applies)
        name->claims |= 1u << claim;
    if ((atom->kind == ATOM_NAMES && !applies) || (atom->kind == ATOM_ABSENT && applies))
        *forbidden = true;
    name->required |= atom->kind == ATOM_REQUIRED && applies;
    name->need_count += atom->kind == ATOM_NEEDS && applies;
}

/* Conditions on the values of each name. Most atoms speak of one name: these are found by it. */
static void complete_names(struct schema *s, struct shape *shape)
{
    const uint32_t names = shape->name_count;
    uint32_t general = 0, *counts = pool_array(s->pool, names + 1, sizeof *counts), claim = 0;
    for (const struct atom *atom = shape->atoms; atom; atom = atom->next) {
        general += atom->kind == ATOM_MEMBERS && !atom->by_name;
        if (atom->kind == ATOM_MEMBERS && atom->by_name)
            counts[shape_find_name(shape, atom->name)]++;
    }
    condition **lists = pool_array(s->pool, names, sizeof *lists);
    bool *forbidden = pool_array(s->pool, names, sizeof *forbidden);
    for (uint32_t i = 0; i < names; i++) {
        lists[i] = pool_array(s->pool, counts[i] + general, sizeof **lists);
        counts[i] = 0;
    }
    for (const struct atom *atom = shape->atoms; atom && pool_spend(s->pool, 1); atom = atom->next) {
        const bool one = atom->by_name;
        if (atom->kind == ATOM_SIZE || atom->kind == ATOM_OPEN)
            continue;
        const uint32_t first = one ? shape_find_name(shape, atom->name) : 0, end = one ? first + 1 : names;
        for (uint32_t i = first; i < end; i++) {
            const bool applies = one || atom_applies(s, atom, shape->names[i].name);
            note_atom(&shape->names[i], atom, applies, claim, &forbidden[i]);
            if (atom->kind == ATOM_MEMBERS && applies)
                lists[i][counts[i]++] = atom->value;
        }
        claim += atom->kind == ATOM_SOME;
    }
    for (uint32_t i = 0; i < names; i++) {
        struct shape_name *name = &shape->names[i];
        name->value = forbidden[i] ? CONSTRAINT_NONE : constraint_of(s, lists[i], counts[i]);
        name->needs = pool_array(s->pool, name->need_count, sizeof *name->needs);
        name->need_count = 0;
    }
    for (const struct atom *atom = shape->atoms; atom; atom = atom->next)
        if (atom->kind == ATOM_NEEDS) {
            struct shape_name *name = &shape->names[shape_find_name(shape, atom->name)];
            name->needs[name->need_count++] = shape_find_name(shape, atom->other);
        }
}

/* Names that are not known, in classes. */
static void find_classes(struct schema *s, struct shape *shape)
{
    struct smollm_text *known = pool_array(s->pool, shape->name_count, sizeof *known);
    for (uint32_t i = 0; i < shape->name_count; i++)
        known[i] = shape->names[i].name;
    shape->classes = pool_array(s->pool, 1, sizeof *shape->classes);
    shape->classes[0] = (struct shape_class){
        .names = term_not(s->terms, term_one_of(s->terms, known, shape->name_count)), .value = CONSTRAINT_ANY};
    shape->class_count = 1;
    uint32_t claim = 0;
    for (const struct atom *atom = shape->atoms; atom && s->status == 0; atom = atom->next) {
        if (atom->kind == ATOM_NAMES)
            shape->classes[0].names = term_and(s->terms, shape->classes[0].names, atom->names);
    }
    for (const struct atom *atom = shape->atoms; atom && s->status == 0; atom = atom->next) {
        if (atom->kind == ATOM_MEMBERS && !atom->by_name)
            split_classes(s, shape, atom->names, atom->value, 0);
        if (atom->kind == ATOM_SOME)
            split_classes(s, shape, atom->names, 0, 1u << claim++);
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < shape->class_count; i++)
        if (term_is_alive(s->terms, shape->classes[i].names))
            shape->classes[kept++] = shape->classes[i];
    shape->class_count = kept;
}

/* The names of classes that have only a few. */
static uint32_t list_small_classes(struct schema *s, const struct shape *shape, struct smollm_text *names)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < shape->class_count; i++) {
        uint32_t its = 0;
        if (count + FEW_NAMES <= FEW_NAMES * FEW_CLASSES &&
            term_texts(s->terms, shape->classes[i].names, FEW_NAMES, names + count, &its))
            count += its;
    }
    return count;
}

static void complete_object(struct schema *s, struct shape *shape)
{
    gather_names(s, shape, NULL, 0);
    for (const struct atom *atom = shape->atoms; atom; atom = atom->next)
        if (atom->kind == ATOM_SOME)
            add_claim(s, shape, atom);
    find_classes(s, shape);
    /* Where only a few names are left they are known too, so that none is begun that has come before. */
    struct smollm_text more[FEW_NAMES * FEW_CLASSES];
    const uint32_t count = list_small_classes(s, shape, more);
    if (count > 0) {
        gather_names(s, shape, more, count);
        find_classes(s, shape);
    }
    complete_names(s, shape);
}

/* Whether some member can meet a claim. */
static bool claim_is_possible(struct schema *s, const struct shape *shape, uint32_t claim)
{
    const uint32_t bit = 1u << claim;
    for (uint32_t i = 0; i < shape->name_count; i++)
        if (shape->names[i].claims & bit &&
            constraint_is_satisfiable(s, constraint_with(s, shape->names[i].value, shape->claims[claim].value)))
            return true;
    for (uint32_t i = 0; i < shape->class_count; i++)
        if (shape->classes[i].claims & bit &&
            constraint_is_satisfiable(s, constraint_with(s, shape->classes[i].value, shape->claims[claim].value)))
            return true;
    return false;
}

static bool object_is_possible(struct schema *s, struct shape *shape)
{
    uint32_t required = 0, available = 0;
    bool unlimited = false;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < shape->name_count; i++)
            for (uint32_t k = 0; shape->names[i].required && k < shape->names[i].need_count; k++) {
                changed |= !shape->names[shape->names[i].needs[k]].required;
                shape->names[shape->names[i].needs[k]].required = true;
            }
    }
    for (uint32_t i = 0; i < shape->name_count; i++) {
        if (shape->names[i].required && !constraint_is_satisfiable(s, shape->names[i].value))
            return false;
        required += shape->names[i].required;
    }
    if (required > shape->max || shape->min > shape->max)
        return false;
    for (uint32_t i = 0; i < shape->claim_count; i++)
        if (!claim_is_possible(s, shape, i))
            return false;
    if (required >= shape->min)
        return true;
    for (uint32_t i = 0; i < shape->class_count && !unlimited; i++)
        unlimited = constraint_is_satisfiable(s, shape->classes[i].value);
    if (unlimited)
        return true;
    for (uint32_t i = 0; i < shape->name_count; i++)
        available += constraint_is_satisfiable(s, shape->names[i].value);
    return available >= shape->min;
}

/* ---- Arrays ---- */

constraint shape_element(const struct shape *shape, uint32_t index)
{
    return index < shape->prefix_count ? shape->prefix[index] : shape->rest;
}

static void complete_array(struct schema *s, struct shape *shape)
{
    uint32_t prefix = 0, count = 0;
    for (const struct atom *atom = shape->atoms; atom; atom = atom->next) {
        if (atom->kind == ATOM_ELEMENT && atom->index + 1 > prefix)
            prefix = atom->index + 1;
        if (atom->kind == ATOM_ELEMENTS && atom->index > prefix)
            prefix = atom->index;
        if (atom->kind == ATOM_COUNT) {
            add_claim(s, shape, atom);
            prefix = atom->index > prefix ? atom->index : prefix;
        }
        shape->unique |= atom->kind == ATOM_UNIQUE;
        count++;
    }
    if (prefix > PREFIX_MAX) {
        schema_fail(s, NULL, SMOLLM_ELIMIT, "more than %d elements have conditions of their own", PREFIX_MAX);
        return;
    }
    condition *all = pool_array(s->pool, count, sizeof *all);
    shape->prefix = pool_array(s->pool, prefix, sizeof *shape->prefix);
    for (uint32_t i = 0; i <= prefix && pool_spend(s->pool, 1); i++) {
        count = 0;
        for (const struct atom *atom = shape->atoms; atom; atom = atom->next)
            if ((atom->kind == ATOM_ELEMENT && atom->index == i) || (atom->kind == ATOM_ELEMENTS && atom->index <= i))
                all[count++] = atom->value;
        const constraint c = constraint_of(s, all, count);
        if (i < prefix)
            shape->prefix[i] = c;
        else
            shape->rest = c;
    }
    shape->prefix_count = prefix;
}

uint32_t shape_limit(struct schema *s, const struct shape *shape)
{
    for (uint32_t i = 0; i <= shape->prefix_count && i < shape->max; i++)
        if (!constraint_is_satisfiable(s, shape_element(shape, i)))
            return i;
    return shape->max;
}

static bool array_is_possible(struct schema *s, struct shape *shape)
{
    const uint32_t max = shape->min > 0 || shape->claim_count > 0 ? shape_limit(s, shape) : shape->max;
    if (shape->min > max)
        return false;
    if (shape->unique && shape->min > 1) {
        shape_list_values(s, shape);
        const uint32_t words = shape->values ? (shape->values->total + 31) / 32 : 0;
        if (shape->values && !shape_values_suffice(s, shape, pool_array(s->pool, words, sizeof(uint32_t)), 0))
            return false;
    }
    for (uint32_t i = 0; i < shape->claim_count; i++) {
        const struct shape_claim *claim = &shape->claims[i];
        if (claim->min > claim->max || claim->min > max || (claim->min > 0 && claim->index >= max))
            return false;
        /* Enough elements can meet it, and enough can leave it. */
        uint32_t can = 0, must = 0;
        const condition opposite = claim->value ^ 1;
        for (uint32_t k = claim->index; k < shape->prefix_count && k < max; k++) {
            can += constraint_is_satisfiable(s, constraint_with(s, shape_element(shape, k), claim->value));
            must +=
                k < shape->min && !constraint_is_satisfiable(s, constraint_with(s, shape_element(shape, k), opposite));
        }
        if (max > shape->prefix_count && constraint_is_satisfiable(s, constraint_with(s, shape->rest, claim->value)))
            can = SIZE_UNLIMITED;
        if (shape->min > shape->prefix_count &&
            !constraint_is_satisfiable(s, constraint_with(s, shape->rest, opposite)))
            must += shape->min - shape->prefix_count;
        if (can < claim->min || must > claim->max)
            return false;
    }
    return true;
}

/* Which of the listed values an element may have. */
static void find_fits(struct schema *s, struct shape_values *v, uint32_t index, constraint c)
{
    const struct constraint_entry all = *constraint_expand(s, c);
    const term languages[] = {[VALUE_STRING] = all.strings, [VALUE_NUMBER] = all.numbers, [VALUE_WORD] = all.scalars};
    uint32_t value = 0;
    v->fits[index] = pool_array(s->pool, (v->total + 31) / 32, sizeof **v->fits);
    for (int kind = 0; kind < VALUE_KINDS; kind++) {
        v->has_more[index] |= !v->listed[kind] && term_is_alive(s->terms, languages[kind]);
        for (uint32_t i = 0; v->listed[kind] && i < v->counts[kind] && pool_spend(s->pool, 1); i++, value++)
            if (term_matches(s->terms, languages[kind], v->texts[kind][i]))
                v->fits[index][value / 32] |= 1u << value % 32;
    }
    for (int family = 0; family < FAMILIES; family++)
        for (uint32_t i = 0; i < all.shapes[family].count; i++)
            v->has_more[index] |= shape_is_possible(s, all.shapes[family].list[i], family);
}

void shape_list_values(struct schema *s, struct shape *shape)
{
    if (!shape->unique || shape->values || shape->prefix_count > VALUES_PREFIX_MAX)
        return;
    const uint32_t limit = shape_limit(s, shape), last = shape->prefix_count < limit ? shape->prefix_count : limit;
    term languages[VALUE_KINDS] = {TERM_NONE, TERM_NONE, TERM_NONE};
    for (uint32_t i = 0; i <= last; i++) {
        const struct constraint_entry its = *constraint_expand(s, shape_element(shape, i));
        languages[VALUE_STRING] = term_or(s->terms, languages[VALUE_STRING], its.strings);
        languages[VALUE_NUMBER] = term_or(s->terms, languages[VALUE_NUMBER], its.numbers);
        languages[VALUE_WORD] = term_or(s->terms, languages[VALUE_WORD], its.scalars);
    }
    struct shape_values *v = pool_allocate(s->pool, sizeof *v);
    for (int kind = 0; kind < VALUE_KINDS; kind++) {
        v->texts[kind] = pool_array(s->pool, VALUES_MAX, sizeof **v->texts);
        v->listed[kind] = term_texts(s->terms, languages[kind], VALUES_MAX, v->texts[kind], &v->counts[kind]);
        v->total += v->listed[kind] ? v->counts[kind] : 0;
    }
    v->fits = pool_array(s->pool, shape->prefix_count + 1, sizeof *v->fits);
    v->has_more = pool_array(s->pool, shape->prefix_count + 1, sizeof *v->has_more);
    for (uint32_t i = 0; i <= shape->prefix_count; i++)
        find_fits(s, v, i, shape_element(shape, i));
    shape->values = v;
}

/* Finds a value for an element, moving those of others where needed: an augmenting path of a bipartite matching. */
static bool place_value(struct schema *s, const struct shape *shape, const uint32_t *used, uint32_t element,
                        uint32_t *holder, uint32_t *tried)
{
    const struct shape_values *v = shape->values;
    const uint32_t index = element < shape->prefix_count ? element : shape->prefix_count;
    pool_spend(s->pool, 1);
    for (uint32_t value = 0; value < v->total; value++) {
        const uint32_t bit = 1u << value % 32, word = value / 32;
        if (!(v->fits[index][word] & ~used[word] & ~tried[word] & bit))
            continue;
        tried[word] |= bit;
        if (holder[value] == 0 || place_value(s, shape, used, holder[value] - 1, holder, tried)) {
            holder[value] = element + 1;
            return true;
        }
    }
    return false;
}

bool shape_values_suffice(struct schema *s, const struct shape *shape, const uint32_t *used, uint32_t from)
{
    const struct shape_values *v = shape->values;
    const uint32_t words = (v->total + 31) / 32;
    if (from >= shape->min || (from < shape->prefix_count && shape->min - from > PLACED_MAX))
        return true;
    if (from >= shape->prefix_count) {
        uint32_t left = 0;
        for (uint32_t i = 0; i < words; i++)
            left += (uint32_t)__builtin_popcount(v->fits[shape->prefix_count][i] & ~used[i]);
        return v->has_more[shape->prefix_count] || left >= shape->min - from;
    }
    uint32_t *holder = pool_array(s->pool, v->total, sizeof *holder),
             *tried = pool_array(s->pool, words, sizeof *tried);
    for (uint32_t i = from; i < shape->min && pool_spend(s->pool, 1); i++) {
        if (v->has_more[i < shape->prefix_count ? i : shape->prefix_count])
            continue;
        if (words > 0)
            memset(tried, 0, words * sizeof *tried);
        if (!place_value(s, shape, used, i, holder, tried))
            return false;
    }
    return true;
}

/* ---- Both ---- */

void shape_complete(struct schema *s, struct shape *shape, int family)
{
    if (shape->is_complete)
        return;
    shape->is_complete = true;
    shape->max = SIZE_UNLIMITED;
    for (const struct atom *atom = shape->atoms; atom; atom = atom->next) {
        shape->is_open |= atom->kind == ATOM_OPEN;
        if (atom->kind == ATOM_SIZE) {
            shape->min = atom->min > shape->min ? atom->min : shape->min;
            shape->max = atom->max < shape->max ? atom->max : shape->max;
        }
    }
    if (family == FAMILY_OBJECT)
        complete_object(s, shape);
    else
        complete_array(s, shape);
}

/* The constraint of a member of this name. */
static constraint member_of(struct schema *s, const struct shape *shape, struct smollm_text name)
{
    const uint32_t index = shape_find_name(shape, name);
    if (index != UINT32_MAX)
        return shape->names[index].value;
    for (uint32_t i = 0; i < shape->class_count; i++)
        if (term_matches(s->terms, shape->classes[i].names, name))
            return shape->classes[i].value;
    return CONSTRAINT_NONE;
}

static bool requires_too_much(struct schema *s, const struct shape *a, const struct shape *b)
{
    for (uint32_t i = 0; i < a->name_count; i++)
        if (a->names[i].required &&
            !constraint_is_satisfiable(s, constraint_both(s, a->names[i].value, member_of(s, b, a->names[i].name))))
            return true;
    return false;
}

bool shapes_conflict(struct schema *s, struct shape *a, struct shape *b, int family)
{
    shape_complete(s, a, family);
    shape_complete(s, b, family);
    if ((a->min > b->max || b->min > a->max) && a->atoms && b->atoms)
        return true;
    if (family == FAMILY_ARRAY || !a->atoms || !b->atoms)
        return false;
    return requires_too_much(s, a, b) || requires_too_much(s, b, a);
}

bool shape_is_possible(struct schema *s, struct shape *shape, int family)
{
    if (shape->possible != ANSWER_UNKNOWN)
        return shape->possible == ANSWER_YES;
    if (!shape->atoms)
        return true;
    const uint32_t outer = s->reached, cuts = s->cuts;
    s->reached = UINT32_MAX;
    shape_complete(s, shape, family);
    const bool yes =
        s->status == 0 && (family == FAMILY_OBJECT ? object_is_possible(s, shape) : array_is_possible(s, shape));
    if (s->cuts == cuts && (yes || s->reached == UINT32_MAX))
        shape->possible = yes ? ANSWER_YES : ANSWER_NO;
    s->reached = yes ? outer : s->reached < outer ? s->reached : outer;
    return yes;
}
