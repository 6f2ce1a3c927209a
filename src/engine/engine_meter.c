#include "engine/engine_meter.h"

#include "base/clock.h"
#include "engine/drafter.h"

/* Bounds suit a CPU: a token of a small model takes a millisecond, a long prompt of a large one minutes. */
static const double rhythm[] = {0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075,
                                0.1,   0.15,   0.2,   0.3,  0.5,  1,    2.5,  10};
static const double waits[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300, 600, 1800};
static const double batches[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192};
static const double prefixes[] = {0, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072};
static const double guesses[] = {0, 1, 2, 3, 4, 6, 8, 12, DRAFT_MAX};

#define BOUNDS(list)                                                                                                   \
    {                                                                                                                  \
        list, sizeof list / sizeof *list                                                                               \
    }
static const struct {
    const double *list;
    uint32_t count;
} bounds[SMOLLM_MEASURES] = {
    [SMOLLM_MEASURE_FIRST_TOKEN_SECONDS] = BOUNDS(waits), [SMOLLM_MEASURE_INTER_TOKEN_SECONDS] = BOUNDS(rhythm),
    [SMOLLM_MEASURE_QUEUE_SECONDS] = BOUNDS(waits),       [SMOLLM_MEASURE_REQUEST_SECONDS] = BOUNDS(waits),
    [SMOLLM_MEASURE_STEP_SECONDS] = BOUNDS(rhythm),       [SMOLLM_MEASURE_BATCH_TOKENS] = BOUNDS(batches),
    [SMOLLM_MEASURE_CACHED_TOKENS] = BOUNDS(prefixes),    [SMOLLM_MEASURE_ACCEPTED_TOKENS] = BOUNDS(guesses),
};

void engine_meter_begin(struct engine_meter *meter)
{
    *meter = (struct engine_meter){0};
    for (int i = 0; i < SMOLLM_MEASURES; i++)
        histogram_begin(&meter->histograms[i], bounds[i].list, bounds[i].count);
}

static void record(struct engine_meter *meter, enum smollm_measure measure, double value)
{
    histogram_record(&meter->histograms[measure], value, 1);
}

static double seconds_since(uint64_t from)
{
    const uint64_t now = clock_nanoseconds();
    return now > from ? (double)(now - from) * 1e-9 : 0.0;
}

void engine_meter_left_queue(struct engine_meter *meter, uint64_t submitted_ns)
{
    record(meter, SMOLLM_MEASURE_QUEUE_SECONDS, seconds_since(submitted_ns));
}

void engine_meter_first_token(struct engine_meter *meter, uint64_t submitted_ns, uint32_t cached)
{
    record(meter, SMOLLM_MEASURE_FIRST_TOKEN_SECONDS, seconds_since(submitted_ns));
    record(meter, SMOLLM_MEASURE_CACHED_TOKENS, cached);
}

void engine_meter_token(struct engine_meter *meter)
{
    meter->drawn++;
}

void engine_meter_drawn(struct engine_meter *meter, uint64_t *last_ns, uint32_t drafted)
{
    const uint32_t drawn = meter->drawn;
    meter->drawn = 0;
    if (drawn == 0)
        return;
    /* Each token counts, with its share of the time, so that count / sum is the speed of a stream. */
    if (*last_ns > 0)
        histogram_record(&meter->histograms[SMOLLM_MEASURE_INTER_TOKEN_SECONDS], seconds_since(*last_ns) / drawn,
                         drawn);
    *last_ns = clock_nanoseconds();
    /* The last token drawn was not guessed; those before it were. */
    if (drafted > 0)
        record(meter, SMOLLM_MEASURE_ACCEPTED_TOKENS, drawn - 1);
}

void engine_meter_step(struct engine_meter *meter, uint32_t tokens, uint64_t begin_ns)
{
    record(meter, SMOLLM_MEASURE_STEP_SECONDS, seconds_since(begin_ns));
    record(meter, SMOLLM_MEASURE_BATCH_TOKENS, tokens);
}

void engine_meter_finished(struct engine_meter *meter, uint64_t submitted_ns)
{
    record(meter, SMOLLM_MEASURE_REQUEST_SECONDS, seconds_since(submitted_ns));
}

void engine_meter_pages(struct engine_meter *meter, const struct page_cache *cache)
{
    atomic_store_explicit(&meter->pages_cached, cache->unheld, memory_order_relaxed);
    atomic_store_explicit(&meter->pages_evicted, cache->evicted, memory_order_relaxed);
}
