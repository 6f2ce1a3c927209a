/* Tiles and pieces of random batches: every token is in one tile beside its neighbors of one lane, every range of it
 * in one piece, and partial results do not overlap. */
#include "cmocka_all.h"
#include "model/attention_plan.h"
#include "random_weights.h"

#include <stdlib.h>

enum { MAX_TOKENS = 200, SEQUENCES = 6 };

/* Runs of one sequence at neighboring positions; a sequence may come again further on. */
static uint32_t random_batch(struct batch_token *tokens, uint32_t pages[SEQUENCES])
{
    uint32_t count = 0, wanted = 1 + random_u32() % MAX_TOKENS;
    while (count < wanted) {
        const uint32_t *of = &pages[random_u32() % SEQUENCES];
        uint32_t position = random_u32() % (random_u32() % 2 ? 40000 : 700);
        for (uint32_t run = random_u32() % 4 ? 1 : 1 + random_u32() % 150; run > 0 && count < wanted; run--)
            tokens[count++] = (struct batch_token){.position = position++, .pages = of};
    }
    return count;
}

/* Each work meets each KV head in one unit of its lane, those of the last tokens first; shares are all units of a lane.
 */
static void check_units(const struct attention_plan *plan, uint32_t lanes)
{
    const uint32_t shares = thread_pool_shares(plan->threads);
    assert_int_equal(plan->units, plan->max_lane_works * plan->kv_heads);
    for (uint32_t lane = 0, unit = 0; lane < lanes; lane++) {
        const uint32_t works = plan->lane_works[lane + 1] - plan->lane_works[lane];
        for (uint32_t i = 0; i < plan->units; i++, unit++) {
            const struct attention_unit of = attention_plan_unit(plan, unit);
            assert_int_equal(of.kv_head, i % plan->kv_heads);
            if (i < works * plan->kv_heads)
                assert_ptr_equal(of.work, &plan->works[plan->lane_works[lane + 1] - 1 - i / plan->kv_heads]);
            else
                assert_null(of.work);
        }
    }
    assert_int_equal(plan->shares[0], 0);
    assert_int_equal(plan->shares[shares], plan->units);
    for (uint32_t share = 0; share < shares; share++)
        assert_in_range(plan->shares[share + 1] - plan->shares[share], plan->units / shares, plan->units / shares + 1);
}

static void check_plan(struct attention_plan *plan, const struct batch_token *tokens, uint32_t count, uint32_t lane)
{
    uint32_t token = 0, work = 0;
    size_t used = 0;
    attention_plan_make(plan, tokens, count, lane);
    for (uint32_t i = 0; i < plan->tile_count; i++) {
        const struct attention_tile *tile = &plan->tiles[i];
        assert_int_equal(tile->first, token);
        assert_in_range(tile->tokens, 1, plan->max_tile);
        assert_int_equal(tile->first / lane, (tile->first + tile->tokens - 1) / lane);
        const uint32_t *works = &plan->lane_works[tile->first / lane];
        assert_true(works[0] <= work && work + tile->pieces <= works[1]);
        assert_true(works[1] - works[0] <= plan->max_lane_works);
        for (uint32_t t = 0; t < tile->tokens; t++, token++) {
            assert_ptr_equal(tokens[token].pages, tokens[tile->first].pages);
            assert_int_equal(tokens[token].position, tokens[tile->first].position + t);
        }
        assert_int_equal(tile->ranges, attention_ranges(tokens[token - 1].position + 1));
        uint32_t range = 0;
        for (uint32_t piece = 0; piece < tile->pieces; piece++, work++) {
            assert_int_equal(plan->works[work].tile, i);
            assert_int_equal(plan->works[work].first_range, range);
            range = plan->works[work].last_range;
            assert_true(range > plan->works[work].first_range);
        }
        assert_int_equal(range, tile->ranges);
        if (tile->pieces > 1) {
            const size_t rows = (size_t)tile->tokens * plan->group;
            assert_true(tile->partials_stride >= tile->ranges * rows * attention_partial_floats(plan->head_dim));
            assert_true(tile->partials >= plan->partials + used);
            used = (size_t)(tile->partials - plan->partials) + tile->partials_stride * plan->kv_heads;
            assert_true(used * sizeof(float) <= plan->partials_bytes);
        }
        for (uint32_t piece = 0; piece < tile->pieces * 2; piece++) /* two layers */
            assert_int_equal(attention_plan_finish(plan, i, plan->kv_heads - 1),
                             piece % tile->pieces == tile->pieces - 1);
    }
    assert_int_equal(token, count);
    assert_int_equal(work, plan->work_count);
    check_units(plan, (count + lane - 1) / lane);
}

static void every_token_is_attended_once(void **state)
{
    static struct batch_token tokens[MAX_TOKENS];
    uint32_t pages[SEQUENCES];
    const uint32_t threads[] = {1, 2, 3, 16, 64};
    for (int i = 0; i < 10; i++) {
        const struct model_config config = {.heads = i % 2 ? 16 : 9, .kv_heads = i % 2 ? 4 : 3, .head_dim = 64};
        struct attention_plan plan;
        assert_int_equal(attention_plan_create(&plan, &config, threads[i / 2], MAX_TOKENS, NULL), 0);
        for (int round = 0; round < 300; round++) {
            const uint32_t count = random_batch(tokens, pages),
                           least = (count + THREAD_POOL_MAX_LANES - 1) / THREAD_POOL_MAX_LANES;
            check_plan(&plan, tokens, count, round % 2 ? count : least + random_u32() % count);
        }
        attention_plan_destroy(&plan);
    }
}

/* Tokens of sequences of so many positions, one after the other, as works of `threads` threads. */
static uint32_t works_of(uint32_t threads, const uint32_t *positions, uint32_t count, uint32_t *first_pieces)
{
    const struct model_config config = {.heads = 9, .kv_heads = 3, .head_dim = 64};
    struct attention_plan plan;
    uint32_t pages[8];
    struct batch_token tokens[8];
    for (uint32_t i = 0; i < count; i++)
        tokens[i] = (struct batch_token){.position = positions[i] - 1, .pages = &pages[i]};
    assert_int_equal(attention_plan_create(&plan, &config, threads, count, NULL), 0);
    attention_plan_make(&plan, tokens, count, count);
    const uint32_t works = plan.work_count;
    *first_pieces = plan.tiles[0].pieces;
    attention_plan_destroy(&plan);
    return works;
}

/* One deep sequence is shared by all threads, in pieces the shorter the more of them there are. */
static void long_contexts_are_cut(void **state)
{
    uint32_t pieces;
    assert_int_equal(works_of(1, (uint32_t[]){65536}, 1, &pieces), 1);
    assert_int_equal(works_of(8, (uint32_t[]){16000}, 1, &pieces), 11);  /* of 3 ranges: 4 units for each thread */
    assert_int_equal(works_of(2, (uint32_t[]){4096}, 1, &pieces), 3);    /* the same */
    assert_int_equal(works_of(2, (uint32_t[]){16384}, 1, &pieces), 8);   /* of 4 ranges */
    assert_int_equal(works_of(2, (uint32_t[]){131072}, 1, &pieces), 43); /* of 6: 64 units for each thread */
}

/* Nobody waits for the one who got the deep sequence among shallow ones. */
static void one_long_context_of_many_is_cut(void **state)
{
    uint32_t pieces;
    const uint32_t works = works_of(2, (uint32_t[]){16384, 100, 200, 300, 400, 500, 600, 700}, 8, &pieces);
    assert_int_equal(pieces, 8);
    assert_int_equal(works, 8 + 7);
}

int main(void)
{
    random_state = 20261124;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_token_is_attended_once),
        cmocka_unit_test(long_contexts_are_cut),
        cmocka_unit_test(one_long_context_of_many_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
