/* The vectors of one request between the engine's thread and its reader: a ring of them, allocated once.
 *
 * One thread writes, one reads; the caller holds a lock. The vector that was read last keeps its place until the next
 * one is read, because the reader's event points to it. */
#ifndef LIBRARY_VECTOR_RING_H
#define LIBRARY_VECTOR_RING_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { VECTOR_RING_BYTES = 8 << 20 }; /* unless a single vector is larger */

struct vector_ring {
    float *values; /* [room][size] */
    size_t size;   /* of a vector */
    size_t room;
    size_t first, used;
    bool is_reading; /* the first one has been read */
};

/* count: of all vectors, which limits the room. */
int vector_ring_create(struct vector_ring *ring, size_t size, size_t count, struct smollm_error *error);
void vector_ring_destroy(struct vector_ring *ring); /* accepts a zeroed struct */

/* Whether there is no room for another vector. */
bool vector_ring_is_full(const struct vector_ring *ring);
/* Whether half of the room or more is free. */
bool vector_ring_is_low(const struct vector_ring *ring);
/* Copies a vector; the ring is not full. */
void vector_ring_write(struct vector_ring *ring, const float *values);
/* The oldest vector, valid until the next call; NULL when there is none. */
const float *vector_ring_read(struct vector_ring *ring);

#endif
