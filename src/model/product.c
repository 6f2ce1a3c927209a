#include "model/product.h"

#include "base/memory.h"

#include <stdlib.h>

enum { SHARE_PARTS = 4 /* a unit is 1/SHARE_PARTS of what is left of its thread's share */ };

/* The number of panels that are divided into units. */
static uint32_t panels_of(const struct product *p)
{
    uint32_t panels = 0;
    for (int i = p->first; i < (p->is_pair ? p->first + 1 : p->count); i++)
        panels += p->matrices[i]->panels;
    return panels;
}

int product_create(struct product *p, struct smollm_error *error)
{
    p->begins = array_allocate((size_t)panels_of(p) + 1, sizeof *p->begins);
    RETURN_ERROR_IF(!p->begins, error, SMOLLM_ENOMEM, "out of memory for the units of %u panels", panels_of(p));
    return 0;
}

void product_destroy(struct product *p)
{
    free(p->begins);
    p->begins = NULL;
}

/* Divides panels [begin, end) into units: each is a part of what is left, a multiple of `whole`, and at most `max`. */
static void cut(struct product *p, uint32_t begin, uint32_t end, uint32_t whole, uint32_t max)
{
    while (begin < end) {
        const uint32_t size = ((end - begin) / SHARE_PARTS + whole) / whole * whole;
        p->begins[p->units++] = begin;
        begin += size < max ? size : max;
    }
}

void product_plan(struct product *p, struct lanes lanes, unsigned threads)
{
    if (p->units > 0 && lanes.count == p->lanes.count && lanes.tokens == p->lanes.tokens && p->first == p->begins_first)
        return;
    const uint32_t panels = panels_of(p), cached = PRODUCT_MAX_CACHED_RESULTS / (PANEL_ROWS * lanes.tokens);
    const uint32_t whole = lanes.count == 1 && p->whole < PRODUCT_PANELS_BY_TURNS ? PRODUCT_PANELS_BY_TURNS : p->whole;
    const uint32_t max = !p->is_pair ? panels : cached > whole ? cached / whole * whole : whole;
    p->lanes = lanes;
    p->begins_first = p->first;
    p->units = 0;
    const uint32_t shares = thread_pool_shares(threads), wholes = (panels + whole - 1) / whole;
    for (uint32_t share = 0; lanes.count == 1 && share < shares; share++) {
        const uint32_t begin = wholes * share / shares * whole, end = wholes * (share + 1) / shares * whole;
        p->shares[share] = p->units;
        cut(p, begin, end < panels ? end : panels, whole, max);
    }
    p->shares[shares] = p->units;
    /* So many units of one size that a late thread costs little. */
    const uint32_t even = (panels * lanes.count / (12 * threads) + whole) / whole * whole;
    for (uint32_t begin = 0; lanes.count > 1 && begin < panels; begin += even < max ? even : max)
        p->begins[p->units++] = begin;
    p->begins[p->units] = panels;
}

bool product_next_piece(const struct product *p, uint32_t unit, struct piece *piece)
{
    const uint32_t begin = p->begins[unit], end = p->begins[unit + 1];
    uint32_t before = 0; /* panels of the previous matrices */
    for (int i = p->first; i < p->count; i++) {
        const uint32_t panels = p->matrices[i]->panels;
        const bool is_next = piece->last_panel == 0 || i > piece->matrix;
        if (is_next && end > before && begin < before + panels) {
            *piece = (struct piece){.matrix = i,
                                    .first_panel = begin > before ? begin - before : 0,
                                    .last_panel = end - before < panels ? end - before : panels};
            return true;
        }
        before += p->is_pair ? 0 : panels;
    }
    return false;
}

void product_multiply_to(const struct product *p, const struct piece *piece, const struct piece *next, uint32_t lane,
                         float *out, size_t out_stride)
{
    const struct matmul_args args = {.weights = p->matrices[piece->matrix],
                                     .input = p->input,
                                     .first_token = lane_begin(&p->lanes, lane),
                                     .last_token = lane_end(&p->lanes, lane, p->input->tokens),
                                     .out = out,
                                     .out_stride = out_stride,
                                     .add = p->add,
                                     .first_panel = piece->first_panel,
                                     .last_panel = piece->last_panel,
                                     .next = next ? p->matrices[next->matrix] : NULL,
                                     .next_panel = next ? next->first_panel : 0};
    p->kernels->matmul(&args);
}

void product_multiply(const struct product *p, const struct piece *piece, uint32_t lane)
{
    const size_t stride = p->out_stride[piece->matrix], row = (size_t)piece->first_panel * PANEL_ROWS;
    product_multiply_to(p, piece, NULL, lane, p->out[piece->matrix] + lane_begin(&p->lanes, lane) * stride + row,
                        stride);
}
