#include "grammar/machine.h"

#include "base/hash.h"
#include "grammar/machine_frames.h"

#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 4096, ENTER_DEPTH_MAX = 2000, VISITS = 8192, SUBSETS_MAX = 3 };

enum thread_kind {
    THREAD_DONE,
    THREAD_TEXT,   /* a: lexeme; then the frame goes on; b: of a listed element, its kind + 1 */
    THREAD_VALUE,  /* a: constraint; b: spaces that may come */
    THREAD_STRING, /* a: lexeme; b: as of a text */
    THREAD_KEY,    /* a: lexeme; b: the class of the name, or NAMES */
    THREAD_COLON,  /* a: constraint of the value */
    THREAD_OBJECT_OPEN,
    THREAD_OBJECT_NEXT,
    THREAD_OBJECT_KEY, /* b: spaces */
    THREAD_ARRAY_OPEN,
    THREAD_ARRAY_NEXT,
    THREAD_ARRAY_VALUE /* b: spaces */
};

struct thread {
    struct schema *schema;
    uint32_t kind, a, b, frame;
};

struct machine_visit {
    uint32_t stamp, place, frame;
};

/* What the words of a list of term_names stand for: listed values. */
struct value_list {
    uint32_t words;
    const uint32_t *values;
};

/* ---- Threads ---- */

static void add_thread(struct machine *m, struct thread t)
{
    struct thread *threads = m->threads.data;
    for (uint32_t i = m->threads.count; i-- > 0 && m->threads.count - i < 32;)
        if (threads[i].kind == t.kind && threads[i].a == t.a && threads[i].b == t.b && threads[i].frame == t.frame &&
            threads[i].schema == t.schema)
            return;
    if (m->threads.count >= THREADS_MAX || !pool_spend(m->pool, 1)) {
        m->has_overflow = true;
        return;
    }
    struct thread *added = pool_vector_add(m->pool, &m->threads, sizeof t);
    memset(added, 0, sizeof *added);
    *added = t;
}

static void enter(struct machine *m, uint32_t place, uint32_t frame);

/* The value in this frame is complete. */
static void go_on(struct machine *m, uint32_t number)
{
    const struct frame *f = frame_at(m, number);
    switch ((enum frame_kind)f->kind) {
    case FRAME_NONE:
        add_thread(m, (struct thread){.kind = THREAD_DONE});
        break;
    case FRAME_PROGRAM:
        enter(m, f->place, f->parent);
        break;
    case FRAME_OBJECT:
        add_thread(m, (struct thread){.kind = THREAD_OBJECT_NEXT, .schema = f->schema, .frame = number});
        break;
    case FRAME_ARRAY:
        add_thread(m, (struct thread){.kind = THREAD_ARRAY_NEXT, .schema = f->schema, .frame = number});
        break;
    }
}

/* A listed element is complete: it may not come again. */
static void go_on_listed(struct machine *m, uint32_t number, lexeme at)
{
    struct frame f = *frame_at(m, number);
    const struct value_list *list = (const struct value_list *)m->value_lists.data;
    uint32_t index, words;
    if (!term_name(m->terms, lexeme_term(&m->lexemes, at), &index))
        return;
    words = term_at(m->terms, lexeme_term(&m->lexemes, at))->a;
    for (uint32_t i = m->value_lists.count; i-- > 0;)
        if (list[i].words == words) {
            f.used = name_set_with(m, f.used, list[i].values[index]);
            go_on(m, frame_make(m, &f));
            return;
        }
}

static void add_text(struct machine *m, lexeme at, uint32_t frame, uint32_t listed)
{
    if (at == LEXEME_DEAD)
        return;
    if (!lexeme_is_finished(&m->lexemes, at))
        add_thread(m, (struct thread){.kind = THREAD_TEXT, .a = at, .b = listed, .frame = frame});
    if (lexeme_accepts(&m->lexemes, at)) {
        if (listed)
            go_on_listed(m, frame, at);
        else
            go_on(m, frame);
    }
}

static const struct machine_instruction *instruction_at(const struct machine *m, uint32_t place)
{
    return (const struct machine_instruction *)m->program.data + place;
}

static uint32_t program_frame(struct machine *m, uint32_t place, uint32_t parent)
{
    while (instruction_at(m, place)->code == MACHINE_JUMP)
        place = instruction_at(m, place)->a;
    if (instruction_at(m, place)->code == MACHINE_RETURN)
        return parent; /* nothing is left to do here */
    return frame_make(m, &(struct frame){.kind = FRAME_PROGRAM, .place = place, .parent = parent});
}

/* Whether this place is entered for the first time in this step: repetitions of what may be empty come back to it. */
static bool visit(struct machine *m, uint32_t place, uint32_t frame)
{
    uint32_t i = (place * 0x9e3779b1u ^ frame * 0x85ebca6bu) >> 8 & (VISITS - 1);
    for (; m->visits[i].stamp == m->visit_stamp; i = (i + 1) & (VISITS - 1))
        if (m->visits[i].place == place && m->visits[i].frame == frame)
            return false;
    if (++m->visit_count > VISITS / 2) {
        m->has_overflow = true;
        return false;
    }
    m->visits[i] = (struct machine_visit){m->visit_stamp, place, frame};
    return true;
}

/* Follows the program to where bytes are read. */
static void enter(struct machine *m, uint32_t place, uint32_t frame)
{
    if (!visit(m, place, frame))
        return;
    if (++m->depth > ENTER_DEPTH_MAX || !pool_spend(m->pool, 1)) {
        m->has_overflow = true;
        m->depth--;
        return;
    }
    const struct machine_instruction i = *instruction_at(m, place);
    switch (i.code) {
    case MACHINE_TEXT:
        add_text(m, lexeme_begin(&m->lexemes, LEXEME_TEXT, i.a), program_frame(m, place + 1, frame), 0);
        break;
    case MACHINE_JSON:
        if (constraint_is_satisfiable(i.schema, i.a))
            add_thread(m, (struct thread){.kind = THREAD_VALUE,
                                          .schema = i.schema,
                                          .a = i.a,
                                          .frame = program_frame(m, place + 1, frame)});
        break;
    case MACHINE_CALL:
        enter(m, i.a, program_frame(m, place + 1, frame));
        break;
    case MACHINE_SPLIT:
        enter(m, i.a, frame);
        enter(m, i.b, frame);
        break;
    case MACHINE_JUMP:
        enter(m, i.a, frame);
        break;
    case MACHINE_RETURN:
        go_on(m, frame);
        break;
    case MACHINE_FAIL:
        break;
    }
    m->depth--;
}

/* ---- Steps of values ---- */

static void begin_object(struct machine *m, const struct thread *t, struct shape *shape)
{
    if (!shape_is_possible(t->schema, shape, FAMILY_OBJECT))
        return;
    shape_complete(t->schema, shape, FAMILY_OBJECT);
    const uint32_t size = (shape->name_count + 31) / 32;
    uint32_t *none = pool_array(m->pool, size, sizeof *none);
    const struct frame f = {.kind = FRAME_OBJECT,
                            .schema = t->schema,
                            .shape = shape,
                            .parent = t->frame,
                            .used = name_set_make(m, none, size)};
    if (object_is_viable(m, &f))
        add_thread(m, (struct thread){.kind = THREAD_OBJECT_OPEN, .schema = t->schema, .frame = frame_make(m, &f)});
}

static void begin_array(struct machine *m, const struct thread *t, struct shape *shape)
{
    if (!shape_is_possible(t->schema, shape, FAMILY_ARRAY))
        return;
    shape_complete(t->schema, shape, FAMILY_ARRAY);
    struct frame f = {.kind = FRAME_ARRAY, .schema = t->schema, .shape = shape, .parent = t->frame};
    m->has_unique |= shape->unique;
    shape_list_values(t->schema, shape);
    if (shape->values) {
        const uint32_t size = (shape->values->total + 31) / 32;
        f.used = name_set_make(m, pool_array(m->pool, size, sizeof(uint32_t)), size);
    }
    if (array_is_viable(&f))
        add_thread(m, (struct thread){.kind = THREAD_ARRAY_OPEN, .schema = t->schema, .frame = frame_make(m, &f)});
}

static void step_value(struct machine *m, const struct thread *t, unsigned char byte)
{
    if (byte == ' ' && t->b > 0) {
        struct thread next = *t;
        next.b--;
        add_thread(m, next);
        return;
    }
    const struct constraint_entry all = *constraint_expand(t->schema, t->a);
    lexeme at;
    switch (byte) {
    case '"':
        at = lexeme_begin(&m->lexemes, LEXEME_STRING, all.strings);
        if (at != LEXEME_DEAD)
            add_thread(m, (struct thread){.kind = THREAD_STRING, .a = at, .frame = t->frame});
        break;
    case '{':
        for (uint32_t i = 0; i < all.shapes[FAMILY_OBJECT].count; i++)
            begin_object(m, t, all.shapes[FAMILY_OBJECT].list[i]);
        break;
    case '[':
        for (uint32_t i = 0; i < all.shapes[FAMILY_ARRAY].count; i++)
            begin_array(m, t, all.shapes[FAMILY_ARRAY].list[i]);
        break;
    default: {
        const bool is_word = byte >= 'a';
        at = lexeme_begin(&m->lexemes, LEXEME_TEXT, is_word ? all.scalars : all.numbers);
        if (at != LEXEME_DEAD)
            add_text(m, lexeme_step(&m->lexemes, at, byte), t->frame, 0);
    }
    }
}

static bool values_suffice(const struct machine *m, const struct frame *f, uint32_t used, uint32_t from)
{
    return shape_values_suffice(f->schema, f->shape, name_set_bits(m, used), from);
}

/* Whether a listed value has not come yet, and those that must come can still be found without it. */
static bool value_is_left(struct machine *m, const struct frame *f, uint32_t value)
{
    return !name_set_has(m, f->used, value) &&
           (f->count + 1 >= f->shape->min || values_suffice(m, f, name_set_with(m, f->used, value), f->count + 1));
}

/* The listed values of a kind that may come, as a language that tells which one was read. */
static term values_left(struct machine *m, const struct frame *f, enum shape_value_kind kind, term language)
{
    const struct shape_values *v = f->shape->values;
    struct smollm_text *texts = pool_array(m->pool, v->counts[kind], sizeof *texts);
    uint32_t *values = pool_array(m->pool, v->counts[kind], sizeof *values), count = 0, first = 0;
    for (int before = 0; before < (int)kind; before++)
        first += v->listed[before] ? v->counts[before] : 0;
    for (uint32_t i = 0; i < v->counts[kind]; i++)
        if (value_is_left(m, f, first + i) && term_matches(m->terms, language, v->texts[kind][i])) {
            texts[count] = v->texts[kind][i];
            values[count++] = first + i;
        }
    const term t = term_names(m->terms, texts, count);
    if (t != TERM_NONE)
        *(struct value_list *)pool_vector_add(m->pool, &m->value_lists, sizeof(struct value_list)) =
            (struct value_list){term_at(m->terms, t)->a, values};
    return t;
}

/* An element of an array whose elements differ. */
static void step_listed(struct machine *m, const struct thread *t, const struct frame *f, unsigned char byte)
{
    const enum shape_value_kind kind = byte == '"' ? VALUE_STRING : byte >= 'a' ? VALUE_WORD : VALUE_NUMBER;
    if (byte == '{' || byte == '[' || !f->shape->values->listed[kind]) {
        if (values_suffice(m, f, f->used, f->count + 1))
            step_value(m, t, byte);
        return;
    }
    const struct constraint_entry all = *constraint_expand(t->schema, t->a);
    const enum lexeme_mode mode = kind == VALUE_STRING ? LEXEME_STRING : LEXEME_TEXT;
    const term language = kind == VALUE_STRING ? all.strings : kind == VALUE_WORD ? all.scalars : all.numbers;
    const lexeme at = lexeme_begin(&m->lexemes, mode, values_left(m, f, kind, language));
    if (at == LEXEME_DEAD)
        return;
    if (kind == VALUE_STRING)
        add_thread(m, (struct thread){.kind = THREAD_STRING, .a = at, .b = kind + 1u, .frame = t->frame});
    else
        add_text(m, lexeme_step(&m->lexemes, at, byte), t->frame, kind + 1u);
}

/* How the next element can be read: its conditions, and the frame after it. */
struct element_way {
    constraint value;
    struct frame frame;
};

/* Which conditions on some of the elements the next one meets is decided when it begins, in each way. */
static uint32_t element_ways(const struct frame *f, struct element_way ways[1 << SUBSETS_MAX])
{
    const struct shape *shape = f->shape;
    uint32_t count = 1, kept = 0;
    ways[0].value = shape_element(shape, f->count);
    ways[0].frame = *f;
    ways[0].frame.count = array_elements_capped(shape, f->count + 1);
    for (uint32_t i = 0; i < shape->claim_count; i++) {
        const struct shape_claim *claim = &shape->claims[i];
        const bool counts_exactly = claim->max < SIZE_UNLIMITED;
        if (f->count < claim->index || (!counts_exactly && f->met[i] >= claim->min))
            continue;
        for (uint32_t k = count; k-- > 0 && count < 1 << SUBSETS_MAX;) {
            ways[count] = ways[k];
            ways[count].value = constraint_with(f->schema, ways[k].value, claim->value);
            ways[count].frame.met[i]++;
            count++;
            if (counts_exactly)
                ways[k].value = constraint_with(f->schema, ways[k].value, claim->value ^ 1);
        }
    }
    for (uint32_t k = 0; k < count; k++)
        if (constraint_is_satisfiable(f->schema, ways[k].value) && array_is_viable(&ways[k].frame))
            ways[kept++] = ways[k];
    return kept;
}

static void begin_element(struct machine *m, const struct thread *t, uint32_t spaces, unsigned char byte)
{
    const struct frame f = *frame_at(m, t->frame);
    struct element_way ways[1 << SUBSETS_MAX];
    const uint32_t count = element_ways(&f, ways);
    for (uint32_t k = 0; k < count; k++) {
        const struct thread next = {.kind = THREAD_VALUE,
                                    .schema = f.schema,
                                    .a = ways[k].value,
                                    .b = spaces,
                                    .frame = frame_make(m, &ways[k].frame)};
        if (f.shape->values)
            step_listed(m, &next, &f, byte);
        else
            step_value(m, &next, byte);
    }
}

/* Whether a value that meets the conditions may come in an array whose elements differ. */
static bool listed_may_come(struct machine *m, const struct frame *f, constraint c)
{
    const struct constraint_entry all = *constraint_expand(f->schema, c);
    const term languages[] = {[VALUE_STRING] = all.strings, [VALUE_NUMBER] = all.numbers, [VALUE_WORD] = all.scalars};
    const struct shape_values *v = f->shape->values;
    uint32_t value = 0;
    bool more = false;
    for (int kind = 0; kind < VALUE_KINDS; kind++) {
        more |= !v->listed[kind] && term_is_alive(m->terms, languages[kind]);
        for (uint32_t i = 0; v->listed[kind] && i < v->counts[kind]; i++, value++)
            if (value_is_left(m, f, value) && term_matches(m->terms, languages[kind], v->texts[kind][i]))
                return true;
    }
    for (int family = 0; family < FAMILIES && !more; family++)
        for (uint32_t i = 0; i < all.shapes[family].count && !more; i++)
            more = shape_is_possible(f->schema, all.shapes[family].list[i], family);
    return more && values_suffice(m, f, f->used, f->count + 1);
}

static bool element_may_come(struct machine *m, const struct frame *f)
{
    const struct shape *shape = f->shape;
    struct element_way ways[1 << SUBSETS_MAX];
    if (f->count >= shape->max || f->count >= shape_limit(f->schema, shape))
        return false;
    if (shape->claim_count == 0 && !shape->values)
        return true;
    const uint32_t count = element_ways(f, ways);
    for (uint32_t k = 0; k < count; k++)
        if (!shape->values || listed_may_come(m, f, ways[k].value))
            return true;
    return false;
}

static void begin_key(struct machine *m, const struct thread *t)
{
    const term names = object_allowed_names(m, t->frame);
    const struct frame f = *frame_at(m, t->frame);
    lexeme at = lexeme_begin(&m->lexemes, LEXEME_STRING, names);
    if (at != LEXEME_DEAD)
        add_thread(m, (struct thread){.kind = THREAD_KEY, .schema = t->schema, .a = at, .b = NAMES, .frame = t->frame});
    for (uint32_t i = 0; i < f.shape->class_count; i++) {
        if (!object_takes_class(m, f.shape, i) || !object_member_may_come(m, &f, NAMES, f.shape->classes[i].value))
            continue;
        at = lexeme_begin(&m->lexemes, LEXEME_STRING, f.shape->classes[i].names);
        if (at != LEXEME_DEAD)
            add_thread(m, (struct thread){.kind = THREAD_KEY, .schema = t->schema, .a = at, .b = i, .frame = t->frame});
    }
}

/* Whether a name may come that is not the one of any member so far. */
static bool some_key_may_come(struct machine *m, uint32_t frame)
{
    if (object_allowed_names(m, frame) != TERM_NONE)
        return true;
    const struct frame f = *frame_at(m, frame);
    for (uint32_t i = 0; i < f.shape->class_count; i++)
        if (object_takes_class(m, f.shape, i) && object_member_may_come(m, &f, NAMES, f.shape->classes[i].value))
            return true;
    return false;
}

/* The name has ended: which claims its value meets is decided here, in each way. */
static void end_key(struct machine *m, const struct thread *t, lexeme before)
{
    const struct frame f = *frame_at(m, t->frame);
    constraint value;
    uint32_t claims, name = NAMES;
    if (t->b == NAMES) {
        uint32_t index;
        if (!term_name(m->terms, lexeme_term(&m->lexemes, before), &index))
            return;
        name = f.allowed[index];
        value = f.shape->names[name].value;
        claims = f.shape->names[name].claims;
    } else {
        value = f.shape->classes[t->b].value;
        claims = f.shape->classes[t->b].claims;
    }
    for (uint32_t i = 0; i < f.shape->claim_count; i++)
        if (f.met[i])
            claims &= ~(1u << i);
    const struct frame next = object_with_member(m, &f, name);
    for (uint32_t subset = claims;; subset = (subset - 1) & claims) {
        struct frame way = next;
        constraint its = value;
        for (uint32_t i = 0; i < f.shape->claim_count; i++)
            if (subset >> i & 1) {
                its = constraint_with(f.schema, its, f.shape->claims[i].value);
                way.met[i] = 1;
            }
        if (constraint_is_satisfiable(f.schema, its) && object_is_viable(m, &way))
            add_thread(
                m, (struct thread){.kind = THREAD_COLON, .schema = t->schema, .a = its, .frame = frame_make(m, &way)});
        if (subset == 0)
            break;
    }
}

static void step_thread(struct machine *m, const struct thread *t, unsigned char byte)
{
    const struct frame f = *frame_at(m, t->frame);
    struct thread next = *t;
    switch ((enum thread_kind)t->kind) {
    case THREAD_DONE:
        break;
    case THREAD_TEXT:
        add_text(m, lexeme_step(&m->lexemes, t->a, byte), t->frame, t->b);
        break;
    case THREAD_VALUE:
        step_value(m, t, byte);
        break;
    case THREAD_STRING:
    case THREAD_KEY:
        next.a = lexeme_step(&m->lexemes, t->a, byte);
        if (next.a > LEXEME_END)
            add_thread(m, next);
        else if (next.a == LEXEME_END && t->kind == THREAD_STRING && t->b)
            go_on_listed(m, t->frame, t->a);
        else if (next.a == LEXEME_END && t->kind == THREAD_STRING)
            go_on(m, t->frame);
        else if (next.a == LEXEME_END)
            end_key(m, t, t->a);
        break;
    case THREAD_COLON:
        if (byte == ':')
            add_thread(
                m, (struct thread){.kind = THREAD_VALUE, .schema = t->schema, .a = t->a, .b = 1, .frame = t->frame});
        break;
    case THREAD_OBJECT_OPEN:
    case THREAD_OBJECT_KEY:
    case THREAD_OBJECT_NEXT:
        if (byte == '}' && t->kind != THREAD_OBJECT_KEY && object_may_end(m, &f))
            go_on(m, f.parent);
        else if (byte == '"' && t->kind != THREAD_OBJECT_NEXT)
            begin_key(m, t);
        else if (byte == ',' && t->kind == THREAD_OBJECT_NEXT && some_key_may_come(m, t->frame))
            add_thread(m, (struct thread){.kind = THREAD_OBJECT_KEY, .schema = t->schema, .b = 1, .frame = t->frame});
        else if (byte == ' ' && t->kind == THREAD_OBJECT_KEY && t->b > 0) {
            next.b--;
            add_thread(m, next);
        }
        break;
    case THREAD_ARRAY_OPEN:
    case THREAD_ARRAY_VALUE:
    case THREAD_ARRAY_NEXT:
        if (byte == ']' && t->kind != THREAD_ARRAY_VALUE && array_may_end(&f))
            go_on(m, f.parent);
        else if (byte == ',' && t->kind == THREAD_ARRAY_NEXT && element_may_come(m, &f))
            add_thread(m, (struct thread){.kind = THREAD_ARRAY_VALUE, .schema = t->schema, .b = 1, .frame = t->frame});
        else if (byte == ' ' && t->kind == THREAD_ARRAY_VALUE && t->b > 0) {
            next.b--;
            add_thread(m, next);
        } else if (t->kind != THREAD_ARRAY_NEXT)
            begin_element(m, t, 0, byte);
        break;
    }
}

/* ---- States ---- */

static int compare_threads(const void *a, const void *b)
{
    const struct thread *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->frame != y->frame)
        return x->frame < y->frame ? -1 : 1;
    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    if (x->b != y->b)
        return x->b < y->b ? -1 : 1;
    return (x->schema > y->schema) - (x->schema < y->schema);
}

static void describe(struct machine *m, struct state *state)
{
    bool absorbs = true;
    for (uint32_t i = 0; i < state->count; i++) {
        const struct thread *t = &state->threads[i];
        if (t->kind == THREAD_DONE)
            state->flags |= STATE_ACCEPTS;
        if (t->kind == THREAD_COLON)
            state->flags |= STATE_AFTER_NAME;
        if (t->kind == THREAD_VALUE && frame_at(m, t->frame)->kind <= FRAME_PROGRAM)
            state->flags |= STATE_BEGINS_JSON;
        if (t->kind == THREAD_KEY && t->b != NAMES)
            state->flags |= STATE_OPEN_NAME;
        if (t->kind != THREAD_STRING && t->kind != THREAD_KEY) {
            absorbs = false;
            continue;
        }
        const term at = lexeme_term(&m->lexemes, t->a);
        absorbs &= at == TERM_ALL;
        if (at == TERM_NONE)
            continue;
        state->flags |= STATE_IN_STRING;
        const uint32_t its = term_at(m->terms, at)->free;
        state->free = its > state->free ? its : state->free;
    }
    if (absorbs)
        state->flags |= STATE_ABSORBS;
}

/* The state of the threads that were gathered. */
static machine_state make_state(struct machine *m)
{
    struct thread *threads = m->threads.data;
    uint32_t count = 0;
    if (m->threads.count == 0)
        return STATE_DEAD;
    qsort(threads, m->threads.count, sizeof *threads, compare_threads);
    for (uint32_t i = 0; i < m->threads.count; i++)
        if (count == 0 || compare_threads(&threads[count - 1], &threads[i]) != 0)
            threads[count++] = threads[i];
    const uint32_t hash = (uint32_t)hash_bytes(threads, count * sizeof *threads, 0);
    uint32_t at = hash, number;
    while (pool_table_next(&m->state_table, hash, &at, &number)) {
        const struct state *state = machine_state_at(m, number);
        if (state->count == count && memcmp(state->threads, threads, count * sizeof *threads) == 0)
            return number;
    }
    if (!pool_spend(m->pool, 1))
        return STATE_DEAD;
    struct state state = {.threads = pool_copy(m->pool, threads, count * sizeof *threads), .count = count};
    describe(m, &state);
    *(struct state *)pool_vector_add(m->pool, &m->states, sizeof state) = state;
    pool_table_add(m->pool, &m->state_table, hash, m->states.count - 1);
    return m->states.count - 1;
}

static void begin_step(struct machine *m)
{
    m->threads.count = m->visit_count = 0;
    m->visit_stamp++;
}

void machine_begin(struct machine *m, struct terms *terms)
{
    *m = (struct machine){.pool = terms->pool, .terms = terms};
    lexemes_begin(&m->lexemes, terms);
    pool_vector_add(m->pool, &m->frames, sizeof(struct frame));
    pool_vector_add(m->pool, &m->states, sizeof(struct state));
    pool_vector_add(m->pool, &m->threads, sizeof(struct thread));
    name_set_make(m, NULL, 0);
    m->visits = pool_array(m->pool, VISITS, sizeof *m->visits);
}

uint32_t machine_add(struct machine *m, struct machine_instruction instruction)
{
    *(struct machine_instruction *)pool_vector_add(m->pool, &m->program, sizeof instruction) = instruction;
    return m->program.count - 1;
}

machine_state machine_start(struct machine *m)
{
    begin_step(m);
    enter(m, 0, 0);
    return make_state(m);
}

static void note_step(struct machine *m, struct state_steps *steps, unsigned char byte, machine_state to)
{
    steps->known[byte / 32] |= 1u << byte % 32;
    if (to == STATE_DEAD)
        return;
    if (!steps->table && steps->count < STATE_FEW) {
        steps->bytes[steps->count] = byte;
        steps->to[steps->count++] = to;
        return;
    }
    if (!steps->table) {
        steps->table = pool_array(m->pool, 256, sizeof *steps->table);
        for (uint32_t i = 0; i < steps->count; i++)
            steps->table[steps->bytes[i]] = steps->to[i];
    }
    steps->table[byte] = to;
}

machine_state machine_step(struct machine *m, machine_state number, unsigned char byte)
{
    struct state *state = machine_state_at(m, number);
    if (number == STATE_DEAD || !pool_spend(m->pool, 1))
        return STATE_DEAD;
    if (!state->steps)
        state->steps = pool_allocate(m->pool, sizeof *state->steps);
    const struct thread *threads = state->threads;
    const uint32_t count = state->count;
    struct state_steps *steps = state->steps;
    begin_step(m);
    for (uint32_t i = 0; i < count; i++)
        step_thread(m, &threads[i], byte);
    const machine_state to = make_state(m);
    if (pool_has_room(m->pool))
        note_step(m, steps, byte, to);
    return to;
}

uint32_t machine_free(struct machine *m, machine_state number)
{
    struct state *state = machine_state_at(m, number);
    const struct thread *threads = state->threads;
    uint32_t free = state->free;
    for (uint32_t i = 0; i < state->count && !state->has_free; i++) {
        if (threads[i].kind != THREAD_STRING && threads[i].kind != THREAD_KEY)
            continue;
        const term at = lexeme_term(&m->lexemes, threads[i].a);
        const uint32_t its = at == TERM_NONE ? 0 : term_free(m->terms, at);
        free = its > free ? its : free;
    }
    state->has_free = true;
    state->free = free;
    return free;
}

bool machine_is_in_unique(const struct machine *m, machine_state number)
{
    const struct state *state = machine_state_at(m, number);
    for (uint32_t i = 0; i < state->count; i++) {
        const struct frame *f = frame_at(m, state->threads[i].frame);
        if (f->kind == FRAME_ARRAY && f->shape->unique)
            return true;
    }
    return false;
}

machine_state machine_leave_unique(struct machine *m, machine_state number)
{
    if (!machine_is_in_unique(m, number))
        return number;
    const struct state *state = machine_state_at(m, number);
    const struct thread *threads = state->threads;
    const uint32_t count = state->count;
    begin_step(m);
    for (uint32_t i = 0; i < count; i++) {
        const struct frame *f = frame_at(m, threads[i].frame);
        if (f->kind != FRAME_ARRAY || !f->shape->unique)
            add_thread(m, threads[i]);
    }
    return make_state(m);
}

/* ---- Guessing ---- */

/* The byte that is likely to come next; -1: several are. */
static int likely_byte(struct machine *m, machine_state number, bool spaces)
{
    const struct state *state = machine_state_at(m, number);
    int found = -1, first = '\t';
    if (state->count == 1 || (state->flags & STATE_AFTER_NAME)) {
        const struct thread *t = &state->threads[0];
        if (t->kind == THREAD_COLON)
            return ':';
        if ((t->kind == THREAD_VALUE || t->kind == THREAD_OBJECT_KEY || t->kind == THREAD_ARRAY_VALUE) && t->b > 0) {
            if (spaces)
                return ' ';
            first = '!';
        }
        if (t->kind == THREAD_OBJECT_KEY ||
            (t->kind == THREAD_OBJECT_OPEN && !object_may_end(m, frame_at(m, t->frame))))
            return '"';
        if (t->kind == THREAD_OBJECT_NEXT && object_members_missing(m, frame_at(m, t->frame)) > 0)
            return ',';
    }
    for (int byte = first; byte < 0x100; byte++)
        if (machine_step_fast(m, number, (unsigned char)byte) != STATE_DEAD) {
            if (found >= 0)
                return -1;
            found = byte;
        }
    return found;
}

/* Of a name at its beginning: the first in the order of the schema that is required and has not come. */
static struct smollm_text likely_name(struct machine *m, machine_state number)
{
    const struct state *state = machine_state_at(m, number);
    const struct thread *t = &state->threads[0];
    if (state->count == 0 || t->kind != THREAD_KEY || t->b != NAMES)
        return (struct smollm_text){0};
    const struct frame *f = frame_at(m, t->frame);
    const struct term_node *node = term_at(m->terms, lexeme_term(&m->lexemes, t->a));
    if (!f->has_names || lexeme_term(&m->lexemes, t->a) != f->names || node->kind != TERM_KIND_WORDS)
        return (struct smollm_text){0};
    for (int required = 1; required >= 0; required--)
        for (uint32_t i = 0; i < f->shape->name_count; i++) {
            const uint32_t name = f->shape->order[i];
            if (f->shape->names[name].required == required && object_is_ahead(m, f, name))
                return f->shape->names[name].name;
        }
    return (struct smollm_text){0};
}

size_t machine_predict(struct machine *m, machine_state state, bool spaces, char *out, size_t max)
{
    size_t size = 0;
    while (size < max && pool_has_room(m->pool)) {
        const struct smollm_text name = likely_name(m, state);
        machine_state at = state;
        size_t taken = 0;
        for (; taken < name.size && size + taken < max && at != STATE_DEAD; taken++)
            at = machine_step(m, at, (unsigned char)name.data[taken]);
        if (at != STATE_DEAD && name.size > 0 && taken == name.size)
            at = size + taken < max ? machine_step(m, at, '"') : STATE_DEAD;
        if (name.size > 0 && at != STATE_DEAD) {
            memcpy(out + size, name.data, name.size);
            size += name.size;
            out[size++] = '"';
            state = at;
            continue;
        }
        const int byte = likely_byte(m, state, spaces);
        if (byte < 0)
            break;
        state = machine_step(m, state, (unsigned char)byte);
        if (state == STATE_DEAD)
            break;
        out[size++] = (char)byte;
    }
    return size;
}
