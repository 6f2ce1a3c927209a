/* The inside of struct grammar and struct matcher, for grammar.c, tool_calls.c and token_mask.c. */
#ifndef GRAMMAR_GRAMMAR_STATE_H
#define GRAMMAR_GRAMMAR_STATE_H

#include "base/memory.h"
#include "grammar/grammar.h"
#include "grammar/json_trace.h"
#include "grammar/machine.h"
#include "grammar/shortest.h"

#include <stdatomic.h>

struct grammar {
    _Atomic int holders;
    struct pool pool;
    struct terms terms;
    struct machine machine;
    machine_state start;
    struct text_bound bound; /* no text is shorter */
    struct arena memory;
    struct grammar_source source; /* its own copy, in `memory` */
    uint32_t **masks;             /* kept for states that cost much; each is attached to its state */
    uint32_t mask_count;
};

/* Where a matcher was before a token. */
struct matcher_place {
    struct smollm_text text; /* that was read then */
    machine_state state;
    bool spaces;
    struct trace_place trace;
};

struct matcher {
    struct grammar *grammar;
    const struct token_trie *trie;
    machine_state state;
    bool spaces; /* the last colon or comma was followed by a space */
    struct json_trace trace;
    struct matcher_place *history;
    uint32_t length, capacity;
    uint32_t renewed_at; /* tokens at which the grammar was last compiled anew */
    bool has_failed;
    bool *endings; /* for token_mask.c */
};

/* Adds the instructions of a source to the grammar's program, up to a RETURN. */
int grammar_add(struct grammar *grammar, const struct grammar_source *source, struct smollm_error *error);
/* tool_calls.c: the same for calls of tools. */
int tool_calls_compile(struct grammar *grammar, const struct grammar_source *source, struct smollm_error *error);
enum { TOOL_MARKER_MAX = sizeof "</tool_call>" - 1 };

/* Allows the work of one token; a grammar that has grown large is compiled anew. */
void matcher_make_room(struct matcher *matcher);
/* A step with what the trace adds; the trace goes on by the byte, also when the state is dead because of it. */
machine_state matcher_step(struct matcher *matcher, machine_state from, char byte);

#endif
