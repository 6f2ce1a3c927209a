#include "library/vector_ring.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int vector_ring_create(struct vector_ring *ring, size_t size, size_t count, struct smollm_error *error)
{
    const size_t fitting = VECTOR_RING_BYTES / sizeof *ring->values / size, room = fitting < count ? fitting : count;
    *ring = (struct vector_ring){.size = size, .room = room > 0 ? room : 1};
    ring->values = array_allocate(ring->room * size, sizeof *ring->values);
    RETURN_ERROR_IF(!ring->values, error, SMOLLM_ENOMEM, "out of memory for a request");
    return 0;
}

void vector_ring_destroy(struct vector_ring *ring)
{
    free(ring->values);
    *ring = (struct vector_ring){0};
}

bool vector_ring_is_full(const struct vector_ring *ring)
{
    return ring->used == ring->room;
}

bool vector_ring_is_low(const struct vector_ring *ring)
{
    return ring->used <= ring->room / 2;
}

void vector_ring_write(struct vector_ring *ring, const float *values)
{
    assert(!vector_ring_is_full(ring));
    float *place = ring->values + (ring->first + ring->used++) % ring->room * ring->size;
    memcpy(place, values, ring->size * sizeof *values);
}

const float *vector_ring_read(struct vector_ring *ring)
{
    if (ring->is_reading) {
        ring->first = (ring->first + 1) % ring->room;
        ring->used--;
    }
    ring->is_reading = ring->used > 0;
    return ring->is_reading ? ring->values + ring->first * ring->size : NULL;
}
