/* The text events of one request between the engine's thread and its reader: a ring of bytes, allocated once.
 *
 * One thread writes, one reads; the caller holds a lock. An event is written whole or not at all, so the writer looks
 * for room (event_ring_room) before it starts what may write up to EVENT_RING_BURST bytes. */
#ifndef LIBRARY_EVENT_RING_H
#define LIBRARY_EVENT_RING_H

#include "smollm.h"

enum {
    EVENT_TEXT_MOST = 2048,        /* longer text becomes several events */
    EVENT_TOKEN_TEXT_MOST = 256,   /* bytes of a token shown in log-probabilities */
    EVENT_RECORD_MOST = 16 * 1024, /* one event */
    EVENT_RING_BURST = 48 * 1024,  /* what one token may set free at most */
    EVENT_RING_BYTES = 2 * EVENT_RING_BURST,
    EVENT_RING_LOW = EVENT_RING_BURST / 4,
};

struct event_ring {
    unsigned char *data;
    size_t first; /* of the oldest record */
    size_t used;
    unsigned char *current; /* EVENT_RECORD_MOST bytes that the reader's event points into */
    struct smollm_token *tokens;
    struct smollm_token_logprob *top;
};

int event_ring_create(struct event_ring *ring, struct smollm_error *error);
void event_ring_destroy(struct event_ring *ring); /* accepts a zeroed struct */

/* Whether EVENT_RING_BURST bytes are free. */
bool event_ring_has_room(const struct event_ring *ring);
/* Whether all but a little has been read. */
bool event_ring_is_low(const struct event_ring *ring);
bool event_ring_is_empty(const struct event_ring *ring);

/* Writes an event of type THINKING, TEXT, TOOL_CALL or TOOL_ARGUMENTS. Its text has at most EVENT_TEXT_MOST bytes, id
 * and name together too; token is the token that it came with, or NULL. false when there is no room: nothing is
 * written. */
bool event_ring_write(struct event_ring *ring, const struct smollm_event *event, const struct smollm_token *token);

/* Takes the oldest event out; what it points to is valid until the next call. false when there is none. */
bool event_ring_read(struct event_ring *ring, struct smollm_event *event);

#endif
