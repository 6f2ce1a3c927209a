/* What the prefix cache gains and loses, told to a reader on another thread.
 *
 * The engine's thread writes into a ring and never waits. When the reader is so slow that the ring is full, all that is
 * unread is replaced by one event, CLEARED, and pages count as not told: each is told again when a sequence next uses
 * it, after its parent. So the reader may know too little for a while, but never something that is wrong. */
#ifndef ENGINE_CACHE_EVENTS_H
#define ENGINE_CACHE_EVENTS_H

#include "base/error.h"
#include "model/kv_cache.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum cache_event_type { CACHE_CLEARED, CACHE_STORED, CACHE_REMOVED };

struct cache_event {
    enum cache_event_type type;
    uint64_t key;
    uint64_t page; /* a hash of the key, of the page's tokens and of those before them */
    uint64_t parent;
    bool has_parent; /* of STORED: otherwise the page begins a sequence */
    int32_t tokens[KV_PAGE_POSITIONS];
};

struct cache_events {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct cache_event *ring; /* [capacity] */
    uint32_t capacity;
    uint32_t first, count;
    uint32_t era; /* grows with each CLEARED; what was told in an earlier one counts as not told */
};

/* The first event is CLEARED. capacity: at least 2. */
int cache_events_create(struct cache_events *events, uint32_t capacity, struct smollm_error *error);
void cache_events_destroy(struct cache_events *events); /* accepts a zeroed struct */

/* Whether the event was written; false: the ring was full, and a new era has begun. */
bool cache_events_write(struct cache_events *events, const struct cache_event *event);
/* Waits up to timeout_ms (-1: without limit) for an event; false: there is none. */
bool cache_events_read(struct cache_events *events, int timeout_ms, struct cache_event *event);

/* The hash of a full page. parent: that of the page before it, or 0. The same on every machine. */
uint64_t cache_page_hash(uint64_t parent, uint64_t key, const int32_t tokens[KV_PAGE_POSITIONS]);

#endif
