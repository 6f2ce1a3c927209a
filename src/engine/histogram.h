/* How often a quantity fell into each of a few ranges with fixed bounds, and the sum of all that was recorded.
 *
 * One thread records. Any thread reads, at any time: neither waits for the other, and a reader may see a count whose
 * value is not in the sum yet. Nothing is allocated. */
#ifndef ENGINE_HISTOGRAM_H
#define ENGINE_HISTOGRAM_H

#include "smollm.h"

#include <stdatomic.h>

struct histogram {
    const double *bounds; /* ascending; borrowed for the life of the histogram */
    uint32_t bound_count; /* at most SMOLLM_HISTOGRAM_BOUNDS_MAX */
    _Atomic uint64_t counts[SMOLLM_HISTOGRAM_BOUNDS_MAX + 1];
    _Atomic double sum;
};

void histogram_begin(struct histogram *histogram, const double *bounds, uint32_t bound_count);
/* Records the value `count` times. */
void histogram_record(struct histogram *histogram, double value, uint32_t times);
void histogram_read(const struct histogram *histogram, struct smollm_histogram *result);

#endif
