/* What a JSON text so far has in it, as far as a state of the machine does not know: the names of each open object's
 * members, and the elements of open arrays. Steps can be taken back to any earlier place. */
#ifndef GRAMMAR_JSON_TRACE_H
#define GRAMMAR_JSON_TRACE_H

#include "base/text.h"
#include "grammar/pool.h"

struct trace_event;

/* Where the reader is; kept by who wants to come back. */
struct trace_place {
    uint32_t size, event_count;
    uint32_t container; /* event that opened it, + 1; 0: none */
    uint32_t string_at, value_at;
    bool in_string, is_escaped, is_name, expects_name, in_scalar;
};

struct json_trace {
    char *text;
    uint32_t capacity;
    struct trace_event *events;
    uint32_t event_capacity;
    struct trace_place place;
    struct pool scratch; /* for comparing elements; made when needed */
    bool has_failed;     /* out of memory: everything counts as a repetition then */
};

enum trace_result {
    TRACE_NAME_REPEATS = 1,    /* the byte ended a name that the object has already */
    TRACE_ELEMENT_REPEATS = 2, /* it ended an element that the array has already */
    TRACE_SCALAR_ENDED = 4     /* and that element was a number or a word, which the byte is not part of */
};

void json_trace_clear(struct json_trace *trace); /* keeps the memory */
/* A new JSON text begins; what came before can still be gone back to. */
void json_trace_begin(struct json_trace *trace);
void json_trace_free(struct json_trace *trace); /* accepts a zeroed struct */
/* elements: whether they are compared. A set of enum trace_result. */
unsigned json_trace_step(struct json_trace *trace, char byte, bool elements);
/* Writes up to `max` names of the innermost object, as they stand between their quotes in the text (borrowed until the
 * next step); how many there are. */
uint32_t json_trace_names(const struct json_trace *trace, struct smollm_text *names, uint32_t max);
/* In a string: what has been read of it. */
struct smollm_text json_trace_string(const struct json_trace *trace);

#endif
