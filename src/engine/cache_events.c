#include "engine/cache_events.h"

#include "base/hash.h"
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

int cache_events_create(struct cache_events *events, uint32_t capacity, struct smollm_error *error)
{
    pthread_condattr_t attributes;
    *events = (struct cache_events){.ring = array_allocate(capacity, sizeof *events->ring), .capacity = capacity};
    RETURN_ERROR_IF(!events->ring, error, SMOLLM_ENOMEM, "out of memory for %u events of the prefix cache", capacity);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&events->mutex, NULL);
    pthread_cond_init(&events->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    events->ring[0].type = CACHE_CLEARED;
    events->count = 1;
    events->era = 1;
    return 0;
}

void cache_events_destroy(struct cache_events *events)
{
    if (!events->ring)
        return;
    free(events->ring);
    pthread_mutex_destroy(&events->mutex);
    pthread_cond_destroy(&events->changed);
    *events = (struct cache_events){0};
}

bool cache_events_write(struct cache_events *events, const struct cache_event *event)
{
    pthread_mutex_lock(&events->mutex);
    const bool fits = events->count < events->capacity;
    if (fits) {
        events->ring[(events->first + events->count++) % events->capacity] = *event;
    } else {
        events->ring[events->first].type = CACHE_CLEARED;
        events->count = 1;
        events->era++;
    }
    pthread_cond_signal(&events->changed);
    pthread_mutex_unlock(&events->mutex);
    return fits;
}

bool cache_events_read(struct cache_events *events, int timeout_ms, struct cache_event *event)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms > 0 ? timeout_ms / 1000 : 0;
    until.tv_nsec += timeout_ms > 0 ? (long)(timeout_ms % 1000) * 1000000 : 0;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int status = 0;
    pthread_mutex_lock(&events->mutex);
    while (events->count == 0 && status != ETIMEDOUT)
        status = timeout_ms < 0 ? pthread_cond_wait(&events->changed, &events->mutex)
                                : pthread_cond_timedwait(&events->changed, &events->mutex, &until);
    const bool found = events->count > 0;
    if (found) {
        *event = events->ring[events->first];
        events->first = (events->first + 1) % events->capacity;
        events->count--;
    }
    pthread_mutex_unlock(&events->mutex);
    return found;
}

uint64_t cache_page_hash(uint64_t parent, uint64_t key, const int32_t tokens[KV_PAGE_POSITIONS])
{
    uint64_t hash = hash_mix(parent ^ hash_mix(key + 1));
    for (int i = 0; i < KV_PAGE_POSITIONS; i++)
        hash = hash_mix(hash + 0x9e3779b97f4a7c15u + (uint32_t)tokens[i]);
    return hash;
}
