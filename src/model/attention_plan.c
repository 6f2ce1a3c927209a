#include "model/attention_plan.h"

#include "base/error.h"
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

enum {
    MIN_UNITS = 4,    /* for each thread if there are enough ranges, so that a late thread delays the others little */
    MAX_UNITS = 64,   /* for each thread: smaller units let all threads finish at nearly the same time */
    PIECE_RANGES = 4, /* of a piece when both limits allow it: at the end of each unit memory idles for a moment */
    MIN_TILE = 4,     /* in tokens; tiles are halved down to this when there are too few */
    DEEP = 1024       /* in positions; before this, tiles of half the rows skip more of the hidden positions */
};
static const size_t PARTIALS_BYTES = (size_t)8 << 20;

/* The maximum number of works: one for each tile, and MAX_UNITS more for each thread. */
static size_t works_of(unsigned threads, uint32_t max_tokens)
{
    return max_tokens + (size_t)MAX_UNITS * threads;
}

int attention_plan_create(struct attention_plan *plan, const struct model_config *config, unsigned threads,
                          uint32_t max_tokens, struct smollm_error *error)
{
    *plan = (struct attention_plan){.kv_heads = config->kv_heads,
                                    .group = config->heads / config->kv_heads,
                                    .head_dim = config->head_dim,
                                    .threads = threads,
                                    .partials_bytes = PARTIALS_BYTES};
    plan->max_tile = plan->group < ATTENTION_TILE_ROWS ? ATTENTION_TILE_ROWS / plan->group : 1;
    plan->tiles = array_allocate(max_tokens, sizeof *plan->tiles);
    plan->works = array_allocate(works_of(threads, max_tokens), sizeof *plan->works);
    plan->finished = array_allocate((size_t)max_tokens * config->kv_heads, sizeof *plan->finished);
    plan->partials = pages_allocate(plan->partials_bytes);
    if (!plan->tiles || !plan->works || !plan->finished || !plan->partials) {
        attention_plan_destroy(plan);
        return error_set(error, SMOLLM_ENOMEM, "out of memory for passes of %u tokens", max_tokens);
    }
    return 0;
}

void attention_plan_destroy(struct attention_plan *plan)
{
    free(plan->tiles);
    free(plan->works);
    free((void *)plan->finished);
    pages_free(plan->partials, plan->partials_bytes);
    *plan = (struct attention_plan){0};
}

/* Makes tiles of at most `max` tokens, each within one lane. */
static void make_tiles(struct attention_plan *plan, const struct batch_token *tokens, uint32_t count, uint32_t lane,
                       uint32_t max)
{
    plan->tile_count = 0;
    for (uint32_t token = 0; token < count;) {
        const uint32_t shallow = (plan->max_tile + 1) / 2;
        const uint32_t limit = tokens[token].position < DEEP && max > shallow ? shallow : max;
        uint32_t size = 1;
        while (size < limit && token + size < count && (token + size) % lane != 0 &&
               tokens[token + size].pages == tokens[token].pages &&
               tokens[token + size].position == tokens[token].position + size)
            size++;
        plan->tiles[plan->tile_count++] = (struct attention_tile){
            .first = token, .tokens = size, .ranges = attention_ranges(tokens[token].position + size), .pieces = 1};
        token += size;
    }
}

/* Divides a tile into pieces, unless their partial results do not fit into what is left after *used floats. */
static void split(struct attention_plan *plan, struct attention_tile *tile, uint32_t pieces, size_t *used)
{
    const size_t stride = (size_t)tile->ranges * tile->tokens * plan->group * attention_partial_floats(plan->head_dim);
    if (pieces < 2 || stride * plan->kv_heads > plan->partials_bytes / sizeof(float) - *used)
        return;
    tile->pieces = pieces;
    tile->partials = plan->partials + *used;
    tile->partials_stride = stride;
    *used += stride * plan->kv_heads;
}

/* The number of ranges in a piece (at least 1) with which each thread gets about `units` units. */
static uint32_t ranges_for(const struct attention_plan *plan, uint32_t units)
{
    const uint64_t wanted = (uint64_t)units * plan->threads;
    uint64_t ranges = 0;
    for (uint32_t i = 0; i < plan->tile_count; i++)
        ranges += plan->tiles[i].ranges;
    return (uint32_t)((ranges * plan->kv_heads + wanted - 1) / wanted);
}

/* The maximum number of ranges in a piece: PIECE_RANGES, unless threads then had too few units or too many to merge. */
static uint32_t ranges_of_piece(const struct attention_plan *plan)
{
    const uint32_t low = ranges_for(plan, MAX_UNITS), high = ranges_for(plan, MIN_UNITS);
    return low > PIECE_RANGES ? low : high < PIECE_RANGES ? high : PIECE_RANGES;
}

void attention_plan_make(struct attention_plan *plan, const struct batch_token *tokens, uint32_t count, uint32_t lane)
{
    assert(lane > 0);
    const uint32_t wanted = (MIN_UNITS * plan->threads + plan->kv_heads - 1) / plan->kv_heads;
    uint32_t max = plan->max_tile;
    make_tiles(plan, tokens, count, lane, max);
    while (plan->threads > 1 && plan->tile_count < wanted && max / 2 >= MIN_TILE && plan->tile_count < count)
        make_tiles(plan, tokens, count, lane, max /= 2);
    const bool is_cut = plan->threads > 1 && (plan->tile_count < wanted || count <= lane);
    const uint32_t ranges = ranges_of_piece(plan);
    size_t used = 0;
    plan->work_count = 0;
    for (uint32_t i = 0; i < plan->tile_count; i++) {
        struct attention_tile *tile = &plan->tiles[i];
        if (tile->first % lane == 0)
            plan->lane_works[tile->first / lane] = plan->work_count;
        if (is_cut)
            split(plan, tile, (tile->ranges + ranges - 1) / ranges, &used);
        for (uint32_t piece = 0; piece < tile->pieces; piece++)
            plan->works[plan->work_count++] =
                (struct attention_work){.tile = i,
                                        .first_range = tile->ranges * piece / tile->pieces,
                                        .last_range = tile->ranges * (piece + 1) / tile->pieces};
        for (uint32_t kv_head = 0; kv_head < plan->kv_heads; kv_head++)
            atomic_store_explicit(&plan->finished[i * plan->kv_heads + kv_head], 0, memory_order_relaxed);
    }
    const uint32_t lanes = (count + lane - 1) / lane;
    plan->lane_works[lanes] = plan->work_count;
    plan->max_lane_works = 0;
    for (uint32_t i = 0; i < lanes; i++) {
        const uint32_t works = plan->lane_works[i + 1] - plan->lane_works[i];
        plan->max_lane_works = works > plan->max_lane_works ? works : plan->max_lane_works;
    }
    plan->units = plan->max_lane_works * plan->kv_heads;
    const uint32_t shares = thread_pool_shares(plan->threads);
    for (uint32_t share = 0; share <= shares; share++)
        plan->shares[share] = plan->units * share / shares;
}

struct attention_unit attention_plan_unit(const struct attention_plan *plan, uint32_t unit)
{
    const uint32_t lane = unit / plan->units, at = unit % plan->units / plan->kv_heads;
    const uint32_t *works = &plan->lane_works[lane];
    return (struct attention_unit){.work = at < works[1] - works[0] ? &plan->works[works[1] - 1 - at] : NULL,
                                   .kv_head = unit % plan->kv_heads};
}
