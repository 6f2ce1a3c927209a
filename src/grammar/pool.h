/* The memory and the work of one grammar, both bounded.
 *
 * A grammar is compiled from text that a client sent, and it grows while it is used: states are made when they are
 * reached. All of it lives in one reserved range of addresses, of which only what is written takes memory, and is freed
 * at once. Work is counted in steps, not in time, so that the same text is refused on every machine. */
#ifndef GRAMMAR_POOL_H
#define GRAMMAR_POOL_H

#include "smollm_error.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POOL_MEBIBYTES = 56, POOL_RESERVE_MEBIBYTES = 8, POOL_BLOCK_MAX = 4 << 20 };

struct pool {
    char *base;
    size_t used;
    uint64_t work;       /* steps done since pool_allow */
    uint64_t work_limit; /* steps that may be done */
    jmp_buf *escape; /* where to go when even the reserve is used up; what was being made is lost. NULL: see below */
};

int pool_create(struct pool *pool, struct smollm_error *error);
void pool_destroy(struct pool *pool); /* accepts a zeroed struct */

/* Empty again. */
void pool_clear(struct pool *pool);

/* A zeroed block, aligned to 16 bytes. Never NULL: makers of new things ask pool_has_room first, and the reserve behind
 * that limit is larger than nearly all that can be under way. Beyond the reserve it does not return, or without an
 * escape gives memory that is used for nothing else, again and again. size is at most POOL_BLOCK_MAX. */
void *pool_allocate(struct pool *pool, size_t size);
void *pool_array(struct pool *pool, size_t count, size_t size);
void *pool_copy(struct pool *pool, const void *data, size_t size);

/* False once the memory, the reserve aside, or the work is used up. */
bool pool_has_room(const struct pool *pool);
/* Allows so many more steps. */
void pool_allow(struct pool *pool, uint64_t steps);
/* Counts steps; whether there is room for more. */
static inline bool pool_spend(struct pool *pool, uint64_t steps)
{
    pool->work += steps;
    return pool_has_room(pool);
}

/* An array in a pool that grows; old copies stay until the pool goes. A zeroed struct is empty. */
struct pool_vector {
    void *data;
    uint32_t count, capacity;
};
/* A new zeroed element at the end. Never NULL; once the vector can grow no more it does not return, or without an
 * escape gives its last element again. */
void *pool_vector_add(struct pool *pool, struct pool_vector *vector, size_t element_size);

/* A table of numbers by hash, for looking up things that are equal ("interning"). A zeroed struct is empty. */
struct pool_table {
    uint32_t *slots; /* number + 1; 0: empty */
    uint32_t *hashes;
    uint32_t count, capacity;
};
/* The numbers with this hash, one after the other: begin with *at = the hash, and go on until false. */
bool pool_table_next(const struct pool_table *table, uint32_t hash, uint32_t *at, uint32_t *number);
void pool_table_add(struct pool *pool, struct pool_table *table, uint32_t hash, uint32_t number);

#endif
