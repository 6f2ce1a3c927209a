#include "grammar/char_set.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

enum { SURROGATE_FIRST = 0xd800, SURROGATE_END = 0xe000 };

static uint32_t intern(struct char_sets *sets, const uint32_t *bounds, uint32_t count)
{
    const uint32_t hash = (uint32_t)hash_bytes(bounds, count * sizeof *bounds, 0);
    uint32_t at = hash, number;
    while (pool_table_next(&sets->table, hash, &at, &number)) {
        const struct char_set *set = char_sets_at(sets, number);
        if (set->count == count && (count == 0 || memcmp(set->bounds, bounds, count * sizeof *bounds) == 0))
            return number;
    }
    if (!pool_has_room(sets->pool) && sets->sets.count > CHAR_SET_ANY)
        return CHAR_SET_NONE;
    struct char_set *set = pool_vector_add(sets->pool, &sets->sets, sizeof *set);
    *set = (struct char_set){pool_copy(sets->pool, bounds, count * sizeof *bounds), count};
    pool_table_add(sets->pool, &sets->table, hash, sets->sets.count - 1);
    return sets->sets.count - 1;
}

void char_sets_begin(struct char_sets *sets, struct pool *pool)
{
    *sets = (struct char_sets){.pool = pool};
    static const uint32_t any[] = {0, SURROGATE_FIRST, SURROGATE_END, CODE_POINT_MAX + 1};
    intern(sets, NULL, 0);
    intern(sets, any, 4);
}

void char_ranges_add(struct pool *pool, struct char_ranges *ranges, uint32_t first, uint32_t last)
{
    uint32_t *range = pool_vector_add(pool, &ranges->ranges, 2 * sizeof *range);
    range[0] = first;
    range[1] = last;
}

void char_ranges_add_set(struct pool *pool, struct char_ranges *ranges, const struct char_set *set)
{
    for (uint32_t i = 0; i < set->count; i += 2)
        char_ranges_add(pool, ranges, set->bounds[i], set->bounds[i + 1] - 1);
}

void char_ranges_add_cases(struct pool *pool, struct char_ranges *ranges)
{
    const uint32_t count = ranges->ranges.count;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t base = 'A'; base <= 'a'; base += 'a' - 'A') {
            const uint32_t *range = (const uint32_t *)ranges->ranges.data + 2 * i;
            const uint32_t first = range[0] > base ? range[0] : base;
            const uint32_t last = range[1] < base + 25 ? range[1] : base + 25;
            if (first <= last)
                char_ranges_add(pool, ranges, first ^ 0x20, last ^ 0x20);
        }
}

static int compare_ranges(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Adds [first, end) behind what is there. */
static uint32_t append(uint32_t *bounds, uint32_t count, uint32_t first, uint32_t end)
{
    if (first >= end)
        return count;
    if (count > 0 && first <= bounds[count - 1]) {
        if (end > bounds[count - 1])
            bounds[count - 1] = end;
        return count;
    }
    bounds[count] = first;
    bounds[count + 1] = end;
    return count + 2;
}

uint32_t char_sets_make(struct char_sets *sets, const struct char_ranges *ranges)
{
    const uint32_t total = ranges->ranges.count;
    if (total == 0)
        return CHAR_SET_NONE;
    uint32_t *sorted = pool_copy(sets->pool, ranges->ranges.data, total * 2 * sizeof *sorted);
    qsort(sorted, total, 2 * sizeof *sorted, compare_ranges);
    uint32_t *bounds = pool_array(sets->pool, 4 * (size_t)total, sizeof *bounds), count = 0;
    for (uint32_t i = 0; i < total; i++) {
        const uint32_t first = sorted[2 * i], end = sorted[2 * i + 1] + 1;
        count = append(bounds, count, first,
                       end < SURROGATE_FIRST     ? end
                       : first < SURROGATE_FIRST ? SURROGATE_FIRST
                                                 : 0);
        count = append(bounds, count, first > SURROGATE_END ? first : SURROGATE_END, end);
    }
    return intern(sets, bounds, count);
}

uint32_t char_sets_negate(struct char_sets *sets, uint32_t number)
{
    const struct char_set *set = char_sets_at(sets, number);
    struct char_ranges ranges = {0};
    uint32_t next = 0;
    for (uint32_t i = 0; i < set->count; i += 2) {
        if (set->bounds[i] > next)
            char_ranges_add(sets->pool, &ranges, next, set->bounds[i] - 1);
        next = set->bounds[i + 1];
    }
    if (next <= CODE_POINT_MAX)
        char_ranges_add(sets->pool, &ranges, next, CODE_POINT_MAX);
    return char_sets_make(sets, &ranges);
}

uint32_t char_sets_unite(struct char_sets *sets, uint32_t a, uint32_t b)
{
    struct char_ranges ranges = {0};
    char_ranges_add_set(sets->pool, &ranges, char_sets_at(sets, a));
    char_ranges_add_set(sets->pool, &ranges, char_sets_at(sets, b));
    return char_sets_make(sets, &ranges);
}

bool char_set_has(const struct char_set *set, uint32_t c, uint32_t *first, uint32_t *last)
{
    uint32_t low = 0, high = set->count; /* bounds[low - 1] <= c < bounds[high] */
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (set->bounds[middle] <= c)
            low = middle + 1;
        else
            high = middle;
    }
    if (low > 0 && set->bounds[low - 1] > *first)
        *first = set->bounds[low - 1];
    if (low < set->count && set->bounds[low] - 1 < *last)
        *last = set->bounds[low] - 1;
    return low % 2 == 1;
}
