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

/* What stands around the calls of tools; \2: a line end that may be there. */
static const char call_begin[] = "<tool_call>", call_end[] = "}\2</tool_call>";

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

static int compile(struct grammar *g, const struct grammar_source *source, struct smollm_error *error);

static struct machine_instruction *instruction(struct grammar *g, uint32_t place)
{
    return (struct machine_instruction *)g->machine.program.data + place;
}

static uint32_t add_text(struct grammar *g, term t)
{
    return machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_TEXT, .a = t});
}

/* A text in which \1 stands for a space that may be there, and \2 for a line end that may be. */
static term text_with_options(struct grammar *g, const char *text, size_t size)
{
    term all = TERM_EMPTY;
    for (size_t i = size; i-- > 0;) {
        const bool is_option = text[i] == '\1' || text[i] == '\2';
        const term c =
            is_option ? term_repeat(&g->terms, term_char(&g->terms, text[i] == '\1' ? ' ' : '\n'), 0, 1) : TERM_NONE;
        size_t begin = i;
        while (!is_option && begin > 0 && text[begin - 1] != '\1' && text[begin - 1] != '\2')
            begin--;
        all = term_cat(&g->terms,
                       is_option ? c : term_text(&g->terms, (struct smollm_text){text + begin, i + 1 - begin}), all);
        i = begin;
    }
    return all;
}

/* Up to the arguments of a tool. */
static term head_of(struct grammar *g, struct smollm_text name)
{
    static const char before[] = "\2{\"name\":\1\"", after[] = "\",\1\"arguments\":\1";
    char *head = pool_allocate(&g->pool, sizeof before + sizeof after + 2 * name.size);
    size_t size = sizeof before - 1;
    memcpy(head, before, size);
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '"' || name.data[i] == '\\')
            head[size++] = '\\';
        head[size++] = name.data[i];
    }
    memcpy(head + size, after, sizeof after - 1);
    return text_with_options(g, head, size + sizeof after - 1);
}

static int compile_tool(struct grammar *g, const struct grammar_source *source, size_t index,
                        struct smollm_error *error)
{
    const struct grammar_tool *tool = &source->tools[index];
    const struct smollm_text any = text_of("{\"type\":\"object\"}");
    constraint root, object;
    struct schema *schema = pool_allocate(&g->pool, sizeof *schema);
    int status = schema_compile(schema, &g->terms, tool->schema.size > 0 ? tool->schema : any, &root, error);
    if (status == 0 && tool->schema.size > 0) {
        /* Arguments are an object, whatever else the schema allows. */
        struct json_node *node;
        status = json_tree_parse(&g->pool, any, &node, error);
        object = constraint_with(schema, root, condition_of(schema_node_of(schema, node), true));
        if (status == 0 && !constraint_is_satisfiable(schema, object))
            status = error_set(error, SMOLLM_EINVAL, "no object meets the schema");
        root = object;
    }
    if (status < 0 && source->is_lenient) {
        schema = pool_allocate(&g->pool, sizeof *schema);
        status = schema_compile(schema, &g->terms, any, &root, error);
    }
    if (status < 0) {
        error_prefix(error, "tool '%.*s'", (int)(tool->name.size < 100 ? tool->name.size : 100), tool->name.data);
        return status;
    }
    schema->error = NULL;
    add_text(g, head_of(g, tool->name));
    machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_JSON, .a = root, .schema = schema});
    return 0;
}

static int compile_tools(struct grammar *g, const struct grammar_source *source, struct smollm_error *error)
{
    struct pool_vector jumps = {0};
    uint32_t otherwise = UINT32_MAX;
    RETURN_ERROR_IF(source->tool_count == 0, error, SMOLLM_EINVAL, "there are no tools to call");
    if (source->otherwise) {
        otherwise = machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_SPLIT});
        instruction(g, otherwise)->a = otherwise + 1;
    }
    const uint32_t begin = g->machine.program.count;
    if (!source->after_marker)
        add_text(g, text_with_options(g, call_begin, sizeof call_begin - 1));
    for (size_t i = 0; i < source->tool_count; i++) {
        uint32_t split = UINT32_MAX;
        if (i + 1 < source->tool_count) {
            split = machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_SPLIT});
            instruction(g, split)->a = split + 1;
        }
        const int status = compile_tool(g, source, i, error);
        if (status < 0)
            return status;
        *(uint32_t *)pool_vector_add(&g->pool, &jumps, sizeof split) =
            machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_JUMP});
        if (split != UINT32_MAX)
            instruction(g, split)->b = g->machine.program.count;
    }
    const uint32_t last = add_text(g, text_with_options(g, call_end, sizeof call_end - 1));
    for (uint32_t i = 0; i < jumps.count; i++)
        instruction(g, ((uint32_t *)jumps.data)[i])->a = last;
    if (source->several) {
        const uint32_t again = machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_SPLIT});
        add_text(g, text_with_options(g, "\2", 1));
        machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_JUMP, .a = begin});
        instruction(g, again)->a = again + 1;
        instruction(g, again)->b = g->machine.program.count;
    }
    machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_RETURN});
    if (!source->otherwise)
        return 0;
    instruction(g, otherwise)->b = g->machine.program.count;
    return compile(g, source->otherwise, error);
}

static int compile(struct grammar *g, const struct grammar_source *source, struct smollm_error *error)
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
        return compile_tools(g, source, error);
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
    const int status = compile(g, &g->source, error);
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
    if (result & TRACE_ELEMENT_REPEATS && machine_is_in_unique(machine, result & TRACE_SCALAR_ENDED ? from : to))
        return STATE_DEAD;
    return to;
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
    const uint32_t marker = m->grammar->source.kind == GRAMMAR_TOOLS ? sizeof call_end - 1 : 0;
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
