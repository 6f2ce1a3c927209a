/* The text events of one request between the engine's thread and its reader: a ring of bytes, allocated once.
 *
 * One thread writes, one reads; the caller holds a lock. An event is written whole or not at all. The events
 * of one token (a burst) fit if event_ring_has_room was true before it. */
#ifndef LIBRARY_EVENT_RING_H
#define LIBRARY_EVENT_RING_H

#include "smollm.h"

enum {
    EVENT_TEXT_MAX = 2048,        /* longer text becomes several events */
    EVENT_TOKEN_TEXT_MAX = 256,   /* bytes of a token shown in log-probabilities */
    EVENT_RECORD_MAX = 16 * 1024, /* one event */
    /* The largest burst, the token's own text left out: what parser and stop strings held back, and
     * log-probabilities. */
    EVENT_RING_BURST = 48 * 1024,
};

struct event_ring {
    unsigned char *data;
    size_t size;  /* twice the burst */
    size_t first; /* of the oldest record */
    size_t used;
    unsigned char *current; /* EVENT_RECORD_MAX bytes that the reader's event points into */
    struct smollm_token *tokens;
    struct smollm_token_logprob *top;
};

int event_ring_create(struct event_ring *ring, size_t burst, struct smollm_error *error);
void event_ring_destroy(struct event_ring *ring); /* accepts a zeroed struct */

/* Whether a burst fits. */
bool event_ring_has_room(const struct event_ring *ring);
/* Whether nearly everything has been read. */
bool event_ring_is_low(const struct event_ring *ring);
bool event_ring_is_empty(const struct event_ring *ring);

/* Writes an event of type THINKING, TEXT, TOOL_CALL, TOOL_ARGUMENTS or PROMPT_TOKENS. Its text has at most
 * EVENT_TEXT_MAX bytes, id and name together too; token is the token of this event, or NULL. false when there is no
 * room; nothing is written then. */
bool event_ring_write(struct event_ring *ring, const struct smollm_event *event, uint32_t complete_tokens,
                      const struct smollm_token *token);

/* Removes the oldest event; its pointers are valid until the next call. false when there is none. */
bool event_ring_read(struct event_ring *ring, struct smollm_event *event);

#endif
