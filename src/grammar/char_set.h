/* Sets of Unicode code points, as ranges; equal sets have the same number. */
#ifndef GRAMMAR_CHAR_SET_H
#define GRAMMAR_CHAR_SET_H

#include "grammar/pool.h"

enum { CODE_POINT_MAX = 0x10ffff };

/* Borrowed from the pool: ranges in order that do not touch, [bounds[0], bounds[1]), [bounds[2], bounds[3]), ... */
struct char_set {
    uint32_t *bounds;
    uint32_t count; /* of bounds */
};

struct char_sets {
    struct pool *pool;
    struct pool_vector sets;
    struct pool_table table;
};
/* The first two sets: nothing, and every code point that is no surrogate. */
enum { CHAR_SET_NONE, CHAR_SET_ANY };
void char_sets_begin(struct char_sets *sets, struct pool *pool);

/* A set in the making: ranges in any order. */
struct char_ranges {
    struct pool_vector ranges; /* of uint32_t[2]: first, last */
};
void char_ranges_add(struct pool *pool, struct char_ranges *ranges, uint32_t first, uint32_t last);
void char_ranges_add_set(struct pool *pool, struct char_ranges *ranges, const struct char_set *set);
/* The same letters in the other case, for ASCII. */
void char_ranges_add_cases(struct pool *pool, struct char_ranges *ranges);

/* Surrogates are left out of all sets. */
uint32_t char_sets_make(struct char_sets *sets, const struct char_ranges *ranges);
uint32_t char_sets_negate(struct char_sets *sets, uint32_t set);
uint32_t char_sets_unite(struct char_sets *sets, uint32_t a, uint32_t b);

static inline const struct char_set *char_sets_at(const struct char_sets *sets, uint32_t set)
{
    return (const struct char_set *)sets->sets.data + set;
}

/* Whether c is in the set; narrows [*first, *last], which holds c, to code points of which the same is true. */
bool char_set_has(const struct char_set *set, uint32_t c, uint32_t *first, uint32_t *last);

#endif
