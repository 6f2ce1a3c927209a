/* Masks over a vocabulary: which tokens a text may go on with. */
#include "grammar/grammar_state.h"

#include <stdlib.h>
#include <string.h>

enum {
    FREE_MIN = 8,         /* characters that must be free for taking the inside of strings as a whole */
    KEPT_STEPS_MIN = 200, /* steps that make a mask worth keeping */
    KEPT_MAX = 256,
    NAMES_MAX = 256
};

struct walk {
    struct matcher *m;
    struct machine *machine;
    uint32_t *mask;
    bool is_traced; /* the result depends on more than the state */
    uint32_t steps;
    /* Of the innermost object, once they are needed. */
    bool has_names;
    struct smollm_text names[NAMES_MAX], read; /* read: of the name that is being read */
    uint32_t name_count;
    bool names_have_escapes;
    /* Which endings of tokens may follow this state. */
    machine_state absorbing;
};

static void allow(struct walk *w, int32_t token)
{
    w->mask[token / 32] |= 1u << (uint32_t)token % 32;
}

/* ---- What depends on the text before ---- */

/* Where the path leads when it is read with the trace. */
static machine_state trace_path(struct walk *w, const char *path, size_t size)
{
    const struct trace_place before = w->m->trace.place;
    machine_state state = w->m->state;
    w->is_traced = true;
    for (size_t i = 0; i < size && state != STATE_DEAD; i++)
        state = matcher_step(w->m, state, path[i]);
    w->m->trace.place = before;
    return state;
}

static void find_names(struct walk *w)
{
    w->has_names = w->is_traced = true;
    w->read = json_trace_string(&w->m->trace);
    w->name_count = json_trace_names(&w->m->trace, w->names, NAMES_MAX);
    w->names_have_escapes = w->name_count > NAMES_MAX || (w->read.size > 0 && memchr(w->read.data, '\\', w->read.size));
    for (uint32_t i = 0; i < w->name_count && i < NAMES_MAX; i++)
        w->names_have_escapes |= w->names[i].size > 0 && memchr(w->names[i].data, '\\', w->names[i].size) != NULL;
}

/* Whether the name that is being read may end after `size` more bytes; then comes its quote. */
static bool name_may_end(struct walk *w, const char *path, size_t size)
{
    if (!w->has_names)
        find_names(w);
    if (w->name_count == 0)
        return true;
    if (w->names_have_escapes || (size > 0 && memchr(path, '\\', size)))
        return trace_path(w, path, size + 1) != STATE_DEAD;
    for (uint32_t i = 0; i < w->name_count; i++) {
        const struct smollm_text name = w->names[i];
        if (name.size == w->read.size + size && memcmp(name.data, w->read.data, w->read.size) == 0 &&
            memcmp(name.data + w->read.size, path, size) == 0)
            return false;
    }
    return true;
}

/* A step that the machine takes, as far as the text before allows it. */
static machine_state allowed_step(struct walk *w, machine_state from, machine_state to, const char *path, size_t size)
{
    const unsigned before = machine_flags(w->machine, from), after = machine_flags(w->machine, to);
    if (before & STATE_OPEN_NAME && after & STATE_AFTER_NAME) {
        /* A name that was begun in this token is in an object that the trace does not know yet. */
        if (w->m->trace.place.in_string && w->m->trace.place.is_name && !memchr(path, '"', size - 1))
            return name_may_end(w, path, size - 1) ? to : STATE_DEAD;
        return trace_path(w, path, size);
    }
    if (w->machine->has_unique && !(after & STATE_IN_STRING) &&
        (machine_is_in_unique(w->machine, from) || machine_is_in_unique(w->machine, to)))
        return trace_path(w, path, size);
    return to;
}

/* ---- Trees ---- */

static inline machine_state take(struct walk *w, machine_state from, const char *path, size_t size)
{
    const machine_state to = machine_step_fast(w->machine, from, (unsigned char)path[size - 1]);
    w->steps++;
    if (to == STATE_DEAD || !(w->machine->has_unique || machine_flags(w->machine, to) & STATE_AFTER_NAME))
        return to;
    return allowed_step(w, from, to, path, size);
}

/* Which endings may follow a state that every character leads back to. */
static void find_endings(struct walk *w, machine_state state)
{
    const struct trie *trie = &w->m->trie->endings;
    machine_state states[257];
    if (!w->m->endings)
        w->m->endings = calloc(w->m->trie->ending_count + 1, sizeof *w->m->endings);
    if (!w->m->endings) {
        w->m->has_failed = true;
        return;
    }
    memset(w->m->endings, 0, w->m->trie->ending_count * sizeof *w->m->endings);
    w->absorbing = state;
    states[0] = state;
    for (uint32_t i = 0; i < trie->node_count;) {
        const struct trie_node *node = &trie->nodes[i];
        const machine_state to = machine_step_fast(w->machine, states[node->depth], node->byte);
        w->steps++;
        if (to == STATE_DEAD) {
            i = node->skip;
            continue;
        }
        for (uint32_t k = 0; k < node->token_count; k++)
            w->m->endings[trie->tokens[node->first_token + k]] = true;
        states[node->depth + 1] = to;
        i++;
    }
}

/* Tokens below a node of the quoted ones, in a state that every character leads back to: their endings decide. */
static void take_endings(struct walk *w, machine_state state, const struct trie *trie, uint32_t first, uint32_t end)
{
    const bool is_open = machine_flags(w->machine, state) & STATE_OPEN_NAME;
    if (w->absorbing != state)
        find_endings(w, state);
    if (is_open && !w->has_names)
        find_names(w);
    for (uint32_t i = first; i < end && w->m->endings; i++) {
        const int32_t token = trie->tokens[i];
        const uint32_t ending = w->m->trie->ending_of[token];
        if (!w->m->endings[ending])
            continue;
        if (is_open && w->name_count > 0) {
            const struct smollm_text text = w->m->trie->texts[token];
            size_t at = 0;
            while (text.data[at] != '"')
                at += text.data[at] == '\\' ? 2 : 1;
            if (!name_may_end(w, text.data, at))
                continue;
        }
        allow(w, token);
    }
}

static void walk_tree(struct walk *w, const struct trie *trie)
{
    const bool is_quoted = trie == &w->m->trie->quoted && !w->machine->has_unique;
    machine_state states[257];
    char path[256];
    states[0] = w->m->state;
    if (is_quoted && machine_flags(w->machine, states[0]) & STATE_ABSORBS) {
        take_endings(w, states[0], trie, 0, trie->token_count);
        return;
    }
    for (uint32_t i = 0; i < trie->node_count;) {
        const struct trie_node *node = &trie->nodes[i];
        path[node->depth] = (char)node->byte;
        const machine_state to = take(w, states[node->depth], path, node->depth + 1u);
        if (to == STATE_DEAD) {
            i = node->skip;
            continue;
        }
        /* Within a string: as long as no quote has come on the way. */
        if (is_quoted && machine_flags(w->machine, to) & STATE_ABSORBS && !node->has_quote) {
            take_endings(w, to, trie, node->first_token,
                         node->skip < trie->node_count ? trie->nodes[node->skip].first_token : trie->token_count);
            i = node->skip;
            continue;
        }
        for (uint32_t k = 0; k < node->token_count; k++)
            allow(w, trie->tokens[node->first_token + k]);
        states[node->depth + 1] = to;
        i++;
    }
}

static void try_token(struct walk *w, uint32_t token)
{
    const struct smollm_text text = w->m->trie->texts[token];
    machine_state state = w->m->state;
    for (size_t i = 0; i < text.size && state != STATE_DEAD; i++)
        state = take(w, state, text.data, i + 1);
    if (state != STATE_DEAD)
        allow(w, (int32_t)token);
}

/* In a string: tokens of as many characters as are free, and then the others one by one. */
static void take_content(struct walk *w, uint32_t free_characters)
{
    const struct token_trie *trie = w->m->trie;
    if (free_characters >= trie->longest) {
        memcpy(w->mask, trie->all_content, trie->words * sizeof *w->mask);
        return;
    }
    const uint32_t most = free_characters < TRIE_LENGTHS ? free_characters : TRIE_LENGTHS;
    memcpy(w->mask, trie->content[most - 1], trie->words * sizeof *w->mask);
    for (uint32_t i = 0; i < trie->long_count; i++)
        if (trie->long_lengths[i] <= free_characters)
            allow(w, trie->long_content[i]);
    for (uint32_t i = 0; i < trie->words; i++)
        for (uint32_t left = trie->all_content[i] & ~w->mask[i]; left; left &= left - 1)
            try_token(w, i * 32 + (uint32_t)__builtin_ctz(left));
}

/* Keeps a mask with its state, if it cost much. */
static void keep(struct walk *w)
{
    struct grammar *g = w->m->grammar;
    const size_t bytes = w->m->trie->words * sizeof *w->mask;
    if (w->is_traced || w->steps < KEPT_STEPS_MIN || g->mask_count >= KEPT_MAX)
        return;
    if (!g->masks)
        g->masks = calloc(KEPT_MAX, sizeof *g->masks);
    uint32_t *kept = g->masks ? malloc(bytes) : NULL;
    if (!kept)
        return;
    memcpy(kept, w->mask, bytes);
    g->masks[g->mask_count++] = kept;
    machine_state_at(w->machine, w->m->state)->attachment = kept;
}

static void make_mask(struct matcher *m, uint32_t *mask)
{
    struct machine *machine = &m->grammar->machine;
    const struct state *state = machine_state_at(machine, m->state);
    const uint32_t free_characters =
        state->flags & STATE_IN_STRING && !state->attachment ? machine_free(machine, m->state) : 0;
    if (state->attachment) {
        memcpy(mask, state->attachment, m->trie->words * sizeof *mask);
        return;
    }
    struct walk walk = {.m = m, .machine = machine, .mask = mask}, *w = &walk;
    if (free_characters >= FREE_MIN) {
        take_content(w, free_characters);
        walk_tree(w, &m->trie->quoted);
    } else {
        walk_tree(w, &m->trie->all);
    }
    keep(w);
}

void matcher_mask(struct matcher *m, uint32_t *mask)
{
    jmp_buf escape;
    matcher_make_room(m);
    memset(mask, 0, m->trie->words * sizeof *mask);
    if (m->has_failed)
        return;
    if (setjmp(escape)) {
        m->grammar->pool.escape = NULL;
        m->has_failed = true;
        return;
    }
    m->grammar->pool.escape = &escape;
    make_mask(m, mask);
    m->grammar->pool.escape = NULL;
}
