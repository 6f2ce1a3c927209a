/* Units of products: every wanted panel is in one piece of one unit, units begin at multiples of `whole`, a pair's unit
 * is the same panels of both, and its results fit the memory that is there for them. */
#include "cmocka_all.h"
#include "model/product.h"
#include "random_weights.h"

enum { MAX_PANELS = 800 };

static void check_units(const struct product *p)
{
    static uint8_t seen[PRODUCT_MAX_MATRICES][MAX_PANELS];
    memset(seen, 0, sizeof seen);
    for (uint32_t unit = 0; unit < p->units; unit++) {
        uint32_t pieces = 0, first = 0;
        for (struct piece piece = {0}; product_next_piece(p, unit, &piece); pieces++) {
            assert_in_range(piece.matrix, p->first, p->count - 1);
            assert_true(piece.first_panel < piece.last_panel);
            assert_in_range(piece.last_panel, 1, p->matrices[piece.matrix]->panels);
            assert_int_equal(p->begins[unit] % p->whole, 0);
            if (pieces == 0)
                first = piece.first_panel;
            assert_true(!p->is_pair || piece.first_panel == first);
            for (uint32_t panel = piece.first_panel; panel < piece.last_panel; panel++)
                seen[piece.matrix][panel]++;
            const uint32_t results = (piece.last_panel - piece.first_panel) * PANEL_ROWS * p->lanes.tokens;
            const uint32_t min = p->whole * PANEL_ROWS * p->lanes.tokens;
            assert_true(!p->is_pair ||
                        results <= (min > PRODUCT_MAX_CACHED_RESULTS ? min : PRODUCT_MAX_CACHED_RESULTS));
        }
        assert_int_equal(p->is_pair, pieces == 2 && p->is_pair);
        assert_true(pieces > 0);
    }
    for (int i = p->first; i < p->count; i++)
        for (uint32_t panel = 0; panel < p->matrices[i]->panels; panel++)
            assert_int_equal(seen[i][panel], 1);
}

/* Shares are all units, in order; none has more than one `whole` more of panels than another. */
static void check_shares(const struct product *p, uint32_t shares)
{
    const uint32_t whole = p->whole > PRODUCT_PANELS_BY_TURNS ? p->whole : PRODUCT_PANELS_BY_TURNS;
    uint32_t min = UINT32_MAX, most = 0;
    assert_int_equal(p->shares[0], 0);
    assert_int_equal(p->shares[shares], p->units);
    for (uint32_t share = 0; share < shares; share++) {
        assert_true(p->shares[share] <= p->shares[share + 1]);
        const uint32_t panels = p->begins[p->shares[share + 1]] - p->begins[p->shares[share]];
        min = panels < min ? panels : min;
        most = panels > most ? panels : most;
    }
    assert_true(most - min < 2 * whole);
}

static void every_panel_is_in_one_unit(void **state)
{
    for (int round = 0; round < 400; round++) {
        const bool is_pair = random_u32() % 2;
        struct packed_matrix matrices[PRODUCT_MAX_MATRICES];
        const unsigned threads = 1 + random_u32() % 40;
        struct product p = {.is_pair = is_pair,
                            .count = is_pair ? 2 : 1 + (int)(random_u32() % PRODUCT_MAX_MATRICES),
                            .whole = is_pair && random_u32() % 2 ? PRODUCT_MAX_WHOLE : 1};
        const uint32_t panels = 1 + random_u32() % (random_u32() % 2 ? 30 : MAX_PANELS);
        for (int i = 0; i < PRODUCT_MAX_MATRICES; i++) {
            matrices[i].panels = is_pair ? panels : 1 + random_u32() % panels;
            p.matrices[i] = &matrices[i];
        }
        assert_int_equal(product_create(&p, NULL), 0);
        for (int pass = 0; pass < 6; pass++) {
            const struct lanes lanes = {1 + random_u32() % 2 * (random_u32() % 16), 1 + random_u32() % 128};
            p.first = !is_pair && p.count > 1 ? (int)(random_u32() % 2) : 0;
            product_plan(&p, lanes, threads);
            check_units(&p);
            if (lanes.count == 1)
                check_shares(&p, thread_pool_shares(threads));
        }
        product_destroy(&p);
    }
}

/* Threads that work equally fast end together: the last units of a share are small, and whole turns. */
static void units_become_smaller(void **state)
{
    struct packed_matrix matrix = {.panels = 344};
    struct product p = {.matrices = {&matrix}, .count = 1, .whole = 1};
    assert_int_equal(product_create(&p, NULL), 0);
    product_plan(&p, (struct lanes){1, 1}, 2);
    assert_in_range(p.units, 10, 40);
    for (uint32_t share = 0; share < 2; share++) {
        const uint32_t *begins = p.begins + p.shares[share], units = p.shares[share + 1] - p.shares[share];
        assert_int_equal(begins[0], share * 172);
        for (uint32_t unit = 1; unit < units; unit++)
            assert_true(begins[unit + 1] - begins[unit] <= begins[unit] - begins[unit - 1]);
        for (uint32_t unit = 0; unit < units; unit++)
            assert_int_equal(begins[unit] % PRODUCT_PANELS_BY_TURNS, 0);
        assert_int_equal(begins[units] - begins[units - 1], PRODUCT_PANELS_BY_TURNS);
    }
    product_destroy(&p);
}

int main(void)
{
    random_state = 20261126;
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_panel_is_in_one_unit),
                                       cmocka_unit_test(units_become_smaller)};
    return cmocka_run_group_tests_name("product", tests, NULL, NULL);
}
