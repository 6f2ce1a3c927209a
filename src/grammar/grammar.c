#include "grammar/grammar.h"

#include "base/error.h"
#include "base/memory.h"
#include "grammar/gbnf.h"
#include "grammar/machine.h"
#include "grammar/regex.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "grammar/grammar_state.h"

/* Steps of work: of compiling, and of one mask. */
enum { COMPILE_WORK = 250000, MASK_WORK = 400000, RENEW_AFTER = 8 /* tokens */ };

/* A grammar that has grown to this size while it was read is compiled anew: what it knows of the texts so far is not
 * needed any more. */
static const size_t GROWN_BYTES = (size_t)24 << 20;

static int compile_schema(struct grammar *g, struct smollm_text text, struct smollm_error *error)
{
    constraint root;
    struct schema *schema = pool_allocate(&g->pool, sizeof *schema);
    const int status = schema_compile(schema, &g->terms, text, &root, error);
    if (status < 0)
        return status;
    machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_JSON, .a = root, .schema = schema});
    machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_RETURN});
    schema->error = NULL;
    return 0;
}

static int compile_term(struct grammar *g, term t, struct smollm_error *error)
{
    RETURN_ERROR_IF(!term_is_alive(&g->terms, t), error, SMOLLM_EINVAL, "no text matches the expression");
    machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_TEXT, .a = t});
    machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_RETURN});
    return 0;
}

static int compile_choice(struct grammar *g, const struct grammar_source *source, struct smollm_error *error)
{
    RETURN_ERROR_IF(source->text_count == 0, error, SMOLLM_EINVAL, "there is nothing to choose from");
    RETURN_ERROR_IF(source->text_count > 65536, error, SMOLLM_ELIMIT,
                    "%zu texts to choose from; at most 65536 are allowed", source->text_count);
    return compile_term(g, term_one_of(&g->terms, source->texts, (uint32_t)source->text_count), error);
}

int grammar_add(struct grammar *g, const struct grammar_source *source, struct smollm_error *error)
{
    term t = TERM_NONE;
    int status;
    switch (source->kind) {
    case GRAMMAR_SCHEMA:
        return compile_schema(g, source->text, error);
    case GRAMMAR_GBNF:
        return gbnf_compile(&g->machine, source->text, error);
    case GRAMMAR_REGEX:
        status = regex_compile(&g->terms, source->text, true, &t, error);
        return status < 0 ? status : compile_term(g, t, error);
    case GRAMMAR_CHOICE:
        return compile_choice(g, source, error);
    case GRAMMAR_TOOLS:
        return tool_calls_compile(g, source, error);
    }
    return error_set(error, SMOLLM_EINVAL, "not a kind of grammar");
}

static struct smollm_text copy_text(struct arena *arena, struct smollm_text text, bool *fine)
{
    char *copy = arena_copy(arena, text.data, text.size);
    *fine = *fine && copy;
    return (struct smollm_text){copy, text.size};
}

/* The source must outlive the client's text: matchers may need it again. */
static bool copy_source(struct arena *arena, const struct grammar_source *source, struct grammar_source *copy)
{
    bool fine = true;
    *copy = *source;
    copy->text = copy_text(arena, source->text, &fine);
    struct smollm_text *texts = arena_array(arena, source->text_count + 1, sizeof *texts);
    struct grammar_tool *tools = arena_array(arena, source->tool_count + 1, sizeof *tools);
    if (!texts || !tools)
        return false;
    for (size_t i = 0; i < source->text_count; i++)
        texts[i] = copy_text(arena, source->texts[i], &fine);
    for (size_t i = 0; i < source->tool_count; i++)
        tools[i] = (struct grammar_tool){copy_text(arena, source->tools[i].name, &fine),
                                         copy_text(arena, source->tools[i].schema, &fine)};
    copy->texts = texts;
    copy->tools = tools;
    if (source->otherwise) {
        struct grammar_source *otherwise = arena_allocate(arena, sizeof *otherwise);
        copy->otherwise = otherwise;
        fine = fine && otherwise && copy_source(arena, source->otherwise, otherwise);
    }
    return fine;
}

static int compile_within_bounds(struct grammar *g, struct smollm_error *error)
{
    static const char message[] = "the grammar is too complex: it can be read in too many ways";
    jmp_buf escape;
    if (setjmp(escape)) {
        g->pool.escape = NULL;
        return error_set(error, SMOLLM_ELIMIT, "%s", message);
    }
    g->pool.escape = &escape;
    pool_allow(&g->pool, COMPILE_WORK);
    terms_begin(&g->terms, &g->pool);
    machine_begin(&g->machine, &g->terms);
    g->machine.as_listed = g->source.as_listed;
    const int status = grammar_add(g, &g->source, error);
    if (status == 0)
        g->start = machine_start(&g->machine);
    g->pool.escape = NULL;
    if (status == 0 && (g->start == STATE_DEAD || g->machine.has_overflow || !pool_has_room(&g->pool)))
        return error_set(error, SMOLLM_ELIMIT, "%s", message);
    return status;
}

/* What is too complex to be found out is not known. */
static void find_bound(struct grammar *g)
{
    jmp_buf escape;
    if (setjmp(escape) == 0) {
        g->pool.escape = &escape;
        pool_allow(&g->pool, COMPILE_WORK);
        g->bound = machine_shortest(&g->machine);
    }
    g->pool.escape = NULL;
}

int grammar_compile(const struct grammar_source *source, struct grammar **result, struct smollm_error *error)
{
    *result = NULL;
    struct grammar *g = calloc(1, sizeof *g);
    RETURN_ERROR_IF(!g, error, SMOLLM_ENOMEM, "out of memory for a grammar");
    atomic_store(&g->holders, 1);
    int status = pool_create(&g->pool, error);
    if (status == 0 && !copy_source(&g->memory, source, &g->source))
        status = error_set(error, SMOLLM_ENOMEM, "out of memory for a grammar");
    if (status == 0)
        status = compile_within_bounds(g, error);
    if (status < 0) {
        grammar_release(g);
        return status;
    }
    find_bound(g);
    *result = g;
    return 0;
}

struct grammar *grammar_hold(struct grammar *g)
{
    atomic_fetch_add(&g->holders, 1);
    return g;
}

void grammar_release(struct grammar *g)
{
    if (!g || atomic_fetch_sub(&g->holders, 1) > 1)
        return;
    for (uint32_t i = 0; i < g->mask_count; i++)
        free(g->masks[i]);
    free(g->masks);
    arena_free(&g->memory);
    pool_destroy(&g->pool);
    free(g);
}

/* ---- Matchers ---- */

struct matcher *matcher_create(struct grammar *g, const struct token_trie *trie)
{
    struct matcher *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->grammar = grammar_hold(g);
    m->trie = trie;
    m->state = g->start;
    return m;
}

void matcher_destroy(struct matcher *m)
{
    if (!m)
        return;
    grammar_release(m->grammar);
    json_trace_free(&m->trace);
    free(m->history);
    free(m->endings);
    free(m);
}

bool matcher_is_sound(const struct matcher *m)
{
    return !m->has_failed && !m->grammar->machine.has_overflow && pool_has_room(&m->grammar->pool);
}

bool matcher_may_end(const struct matcher *m)
{
    return machine_flags(&m->grammar->machine, m->state) & STATE_ACCEPTS;
}

uint32_t matcher_length(const struct matcher *m)
{
    return m->length;
}

/* Reads the text so far with a fresh copy of the grammar. */
static void start_anew(struct matcher *m)
{
    struct grammar *fresh;
    struct smollm_error error;
    if (grammar_compile(&m->grammar->source, &fresh, &error) < 0) {
        m->has_failed = true;
        return;
    }
    const uint32_t length = m->length;
    grammar_release(m->grammar);
    m->grammar = fresh;
    m->state = fresh->start;
    m->spaces = false;
    m->length = 0;
    json_trace_clear(&m->trace);
    for (uint32_t i = 0; i < length; i++)
        if (!matcher_advance(m, m->history[i].text)) {
            m->has_failed = true;
            return;
        }
}

void matcher_make_room(struct matcher *m)
{
    pool_allow(&m->grammar->pool, MASK_WORK);
    if (m->grammar->pool.used > GROWN_BYTES && !m->has_failed && m->length > m->renewed_at + RENEW_AFTER) {
        m->renewed_at = m->length;
        start_anew(m);
    }
}

machine_state matcher_step(struct matcher *m, machine_state from, char byte)
{
    struct machine *machine = &m->grammar->machine;
    const unsigned before = machine_flags(machine, from);
    const machine_state to = machine_step_fast(machine, from, (unsigned char)byte);
    if (to == STATE_DEAD)
        return to;
    if (before & STATE_BEGINS_JSON && byte != ' ')
        json_trace_begin(&m->trace);
    const unsigned result = json_trace_step(&m->trace, byte, machine->has_unique);
    if (result & TRACE_NAME_REPEATS && machine_flags(machine, to) & STATE_AFTER_NAME)
        return STATE_DEAD;
    if (!(result & TRACE_ELEMENT_REPEATS))
        return to;
    return result & TRACE_SCALAR_ENDED
               ? machine_step_fast(machine, machine_leave_unique(machine, from), (unsigned char)byte)
               : machine_leave_unique(machine, to);
}

static bool advance(struct matcher *m, struct smollm_text text)
{
    if (text.size == 0)
        return false;
    if (m->length == m->capacity) {
        const uint32_t capacity = m->capacity > 0 ? 2 * m->capacity : 256;
        struct matcher_place *history = realloc(m->history, capacity * sizeof *history);
        if (!history) {
            m->has_failed = true;
            return false;
        }
        m->history = history;
        m->capacity = capacity;
    }
    const struct matcher_place before = {text, m->state, m->spaces, m->trace.place};
    machine_state state = m->state;
    pool_allow(&m->grammar->pool, MASK_WORK);
    for (size_t i = 0; i < text.size && state != STATE_DEAD; i++) {
        const struct trace_place *place = &m->trace.place;
        if (place->size > 0 && !place->in_string && memchr(":,", m->trace.text[place->size - 1], 2))
            m->spaces = text.data[i] == ' ';
        state = matcher_step(m, state, text.data[i]);
    }
    if (state == STATE_DEAD) {
        m->trace.place = before.trace;
        m->spaces = before.spaces;
        return false;
    }
    m->history[m->length++] = before;
    m->state = state;
    return true;
}

bool matcher_advance(struct matcher *m, struct smollm_text text)
{
    jmp_buf escape;
    if (m->has_failed)
        return false;
    if (setjmp(escape)) {
        m->grammar->pool.escape = NULL;
        m->has_failed = true;
        return false;
    }
    m->grammar->pool.escape = &escape;
    const bool yes = advance(m, text);
    m->grammar->pool.escape = NULL;
    return yes;
}

/* Of a choice, exactly. */
static uint32_t least_of_choice(const struct matcher *m)
{
    const struct grammar_source *source = &m->grammar->source;
    uint32_t least = UINT32_MAX;
    for (size_t i = 0; i < source->text_count && least > 1; i++) {
        const uint32_t its = token_trie_spell(m->trie, source->texts[i]);
        least = its < least ? its : least;
    }
    return least;
}

uint32_t matcher_least_tokens(const struct matcher *m)
{
    if (m->grammar->source.kind == GRAMMAR_CHOICE)
        return least_of_choice(m);
    const struct text_bound bound = m->grammar->bound;
    /* The marks of calls may be tokens of their own, which the tree does not have. */
    const uint32_t marker = m->grammar->source.kind == GRAMMAR_TOOLS ? TOOL_MARKER_MAX : 0;
    const uint32_t longest = m->trie->longest_size > marker ? m->trie->longest_size : marker;
    const uint32_t fixed = m->trie->longest_fixed > marker ? m->trie->longest_fixed : marker;
    const uint32_t by_size = longest > 0 ? (bound.size + longest - 1) / longest : 0;
    const uint32_t by_fixed = fixed > 0 ? (bound.fixed + fixed - 1) / fixed : 0;
    return by_size > by_fixed ? by_size : by_fixed;
}

void matcher_restart(struct matcher *m)
{
    m->length = 0;
    m->renewed_at = 0;
    m->state = m->grammar->start;
    m->spaces = false;
    json_trace_clear(&m->trace);
}

bool matcher_is_in_string(const struct matcher *m)
{
    return m->trace.place.in_string;
}

void matcher_retreat(struct matcher *m, uint32_t count)
{
    if (count == 0 || count > m->length)
        return;
    m->length -= count;
    m->state = m->history[m->length].state;
    m->spaces = m->history[m->length].spaces;
    m->trace.place = m->history[m->length].trace;
}

size_t matcher_predict(struct matcher *m, char *out, size_t max)
{
    jmp_buf escape;
    matcher_make_room(m);
    if (m->has_failed)
        return 0;
    if (setjmp(escape)) {
        m->grammar->pool.escape = NULL;
        m->has_failed = true;
        return 0;
    }
    m->grammar->pool.escape = &escape;
    const size_t size = machine_predict(&m->grammar->machine, m->state, m->spaces || m->length == 0, out, max);
    m->grammar->pool.escape = NULL;
    return size;
}
