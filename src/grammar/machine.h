/* Reads text byte by byte and knows what may come next.
 *
 * A machine runs a program: regular languages, JSON values and rules that call each other. What may be going on at a
 * place of the text is a set of threads, each with a chain of frames of what is still open; all ways in which the text
 * so far can be understood are followed at once. Each thread can be completed, so a state is dead as soon as no
 * continuation of the text is valid. Equal states have the same number, and steps that were taken once are found in a
 * table.
 *
 * Of JSON: members come in any order and none twice; white space is one space, or none, after a colon and after a
 * comma. Two conditions depend on more of the text than a state knows: that a name which the schema does not list has
 * not occurred before, and "uniqueItems". matcher.h adds them. */
#ifndef GRAMMAR_MACHINE_H
#define GRAMMAR_MACHINE_H

#include "grammar/lexeme.h"
#include "grammar/schema.h"

enum machine_code {
    MACHINE_TEXT,   /* a: term */
    MACHINE_JSON,   /* a: constraint, schema */
    MACHINE_CALL,   /* a: place */
    MACHINE_SPLIT,  /* go on at a, or at b */
    MACHINE_JUMP,   /* a */
    MACHINE_RETURN, /* of the first rule: the end of the text */
    MACHINE_FAIL
};
struct machine_instruction {
    enum machine_code code;
    uint32_t a, b;
    struct schema *schema;
};

typedef uint32_t machine_state;
enum { STATE_DEAD };

enum machine_flag {
    STATE_ACCEPTS = 1,      /* the text may end here */
    STATE_IN_STRING = 2,    /* a string or name is being read, between two characters */
    STATE_AFTER_NAME = 4,   /* a name has just ended */
    STATE_OPEN_NAME = 8,    /* a name is being read that the schema may not list */
    STATE_BEGINS_JSON = 16, /* a JSON value of the program may begin here */
    STATE_ABSORBS = 32      /* in a string of which every character leads back to this state */
};

enum { STATE_FEW = 8 };

/* The steps that were taken from a state: those to live states one by one, or, when they are many, in a table. */
struct state_steps {
    uint32_t known[8]; /* bits: bytes whose step was taken */
    uint32_t *table;   /* [256], 0: dead; NULL: the steps below are all that are alive */
    uint32_t count;
    uint8_t bytes[STATE_FEW];
    machine_state to[STATE_FEW];
};

struct state {
    struct thread *threads;
    struct state_steps *steps; /* NULL: none was taken yet */
    void *attachment;          /* memory that goes with the state, for token_mask.c */
    uint32_t count, flags;
    bool has_free;
    uint32_t free; /* see machine_free */
};

struct machine {
    struct pool *pool;
    struct terms *terms;
    struct lexemes lexemes;
    struct pool_vector program, frames, states, sets, threads, value_lists;
    struct pool_table frame_table, state_table, set_table;
    bool as_listed;    /* members as the schema lists them, see grammar.h */
    bool has_unique;   /* some array's elements must differ */
    bool has_overflow; /* a state had too many threads */
    uint32_t depth;
    struct machine_visit *visits; /* places of the program that this step has entered */
    uint32_t visit_count, visit_stamp;
};

void machine_begin(struct machine *machine, struct terms *terms);
/* Appends an instruction; its place. */
uint32_t machine_add(struct machine *machine, struct machine_instruction instruction);
/* The state before the first byte; the program begins at place 0. */
machine_state machine_start(struct machine *machine);
/* The next state. When the pool is full it is STATE_DEAD, and pool_has_room tells. */
machine_state machine_step(struct machine *machine, machine_state state, unsigned char byte);
/* Valid until the next step. */
static inline struct state *machine_state_at(const struct machine *machine, machine_state state)
{
    return (struct state *)machine->states.data + state;
}
static inline unsigned machine_flags(const struct machine *machine, machine_state state)
{
    return machine_state_at(machine, state)->flags;
}
/* In a string: at least so many characters may come, whatever they are. */
uint32_t machine_free(struct machine *machine, machine_state state);
/* machine_step, at once where the step is known. */
static inline machine_state machine_step_fast(struct machine *machine, machine_state state, unsigned char byte)
{
    const struct state_steps *steps = machine_state_at(machine, state)->steps;
    if (!steps || !(steps->known[byte / 32] >> byte % 32 & 1))
        return machine_step(machine, state, byte);
    if (steps->table)
        return steps->table[byte];
    for (uint32_t i = 0; i < steps->count; i++)
        if (steps->bytes[i] == byte)
            return steps->to[i];
    return STATE_DEAD;
}
/* Whether the innermost open value is, in some way, an array whose elements must differ. */
bool machine_is_in_unique(const struct machine *machine, machine_state state);
/* The state without the ways in which it is: an element has come twice. */
machine_state machine_leave_unique(struct machine *machine, machine_state state);
/* What is likely to come next: bytes that are certain, or those of the next member in the order of the schema. Appends
 * up to `max` bytes; ends where more than one thing is likely. */
size_t machine_predict(struct machine *machine, machine_state state, bool spaces, char *out, size_t max);

#endif
