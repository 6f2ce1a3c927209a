#include "engine/histogram.h"

#include <assert.h>

void histogram_begin(struct histogram *histogram, const double *bounds, uint32_t bound_count)
{
    assert(bound_count <= SMOLLM_HISTOGRAM_BOUNDS_MAX);
    *histogram = (struct histogram){.bounds = bounds, .bound_count = bound_count};
}

/* There is one writer: it may read, add and write, which costs less than adding in one step. */
void histogram_record(struct histogram *histogram, double value, uint32_t times)
{
    uint32_t range = 0;
    while (range < histogram->bound_count && value > histogram->bounds[range])
        range++;
    const uint64_t count = atomic_load_explicit(&histogram->counts[range], memory_order_relaxed);
    atomic_store_explicit(&histogram->counts[range], count + times, memory_order_relaxed);
    const double sum = atomic_load_explicit(&histogram->sum, memory_order_relaxed);
    atomic_store_explicit(&histogram->sum, sum + value * times, memory_order_relaxed);
}

void histogram_read(const struct histogram *histogram, struct smollm_histogram *result)
{
    *result = (struct smollm_histogram){.bound_count = histogram->bound_count,
                                        .sum = atomic_load_explicit(&histogram->sum, memory_order_relaxed)};
    for (uint32_t i = 0; i < histogram->bound_count; i++)
        result->bounds[i] = histogram->bounds[i];
    for (uint32_t i = 0; i <= histogram->bound_count; i++)
        result->counts[i] = atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
}
