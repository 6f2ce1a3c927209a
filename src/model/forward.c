#include "model/forward.h"

#include "kernel/arithmetic.h"
#include "model/forward_plan.h"

#include <string.h>

enum {
    /* Up to this many tokens, the thread that finishes a product also computes the norm: cheaper than another phase. */
    MAX_NORMED_BY_ONE = 4,
    /* Up to this many tokens and positions, the thread that finishes a head's projections computes its attention. */
    MAX_JOINED_TOKENS = 2,
    MAX_JOINED_POSITIONS = 512,
    /* Lanes have at least this many rows of activations: for fewer, unpacking the weights costs too much. */
    MIN_LANE_ROWS = 48,
    HEAD_PANELS = 64 /* so few that the logits of some tokens stay in the second-level cache */
};

/* ---- Products ---- */

/* Multiplies all pieces of a unit. */
static void multiply(const struct product *p, uint32_t unit)
{
    for (struct piece piece = {0}; product_next_piece(p, unit % p->units, &piece);)
        product_multiply(p, &piece, unit / p->units);
}

static void product_unit(void *user, uint32_t unit, unsigned thread)
{
    struct product *p = user;
    multiply(p, unit);
    if (p->follow_up.units > 0 && atomic_fetch_add(&p->finished, 1) + 1 == p->units)
        for (uint32_t token = 0; token < p->follow_up.units; token++)
            p->follow_up.run(p->follow_up.argument, token, thread);
}

/* The phase of a product. The thread that finishes the product runs the units of `follow_up`, if it has any. */
static struct thread_pool_phase product_phase(struct forward *f, struct product *p, struct lanes lanes,
                                              struct thread_pool_phase follow_up)
{
    product_plan(p, lanes, thread_pool_size(f->pool));
    p->follow_up = follow_up;
    atomic_store_explicit(&p->finished, 0, memory_order_relaxed);
    return (struct thread_pool_phase){.run = product_unit,
                                      .argument = p,
                                      .units = p->units,
                                      .lanes = lanes.count,
                                      .shares = lanes.count == 1 ? p->shares : NULL};
}

/* ---- Single tokens ---- */

/* Computes the norm of one token, from the residual. */
static void norm_to(struct forward *f, uint32_t token, const float *weight, float *out)
{
    const struct model_config *c = &f->weights->config;
    struct rmsnorm_args norm = {.x = f->residual + (size_t)token * c->hidden,
                                .weight = weight,
                                .out = out,
                                .size = c->hidden,
                                .epsilon = c->norm_epsilon};
    f->kernels.rmsnorm(&norm);
}

/* Computes the norm of one token to its place in the input, and quantizes it. */
static void norm_token(struct forward *f, uint32_t token, const float *weight, struct activations *input,
                       unsigned forms)
{
    norm_to(f, token, weight, input->values + (size_t)token * input->columns);
    activations_quantize(input, &f->kernels, token, 0, input->columns, forms);
}

static void attention_norm_token(struct layer_pass *pass, uint32_t token)
{
    struct forward *f = pass->forward;
    norm_token(f, token, f->weights->layers[pass->layer].attention_norm, &f->normed, f->attention_forms);
}

static void ffn_norm_token(struct layer_pass *pass, uint32_t token)
{
    struct forward *f = pass->forward;
    norm_token(f, token, f->weights->layers[pass->layer].ffn_norm, pass->normed, f->ffn_forms);
}

/* The last norm gives hidden states as they are, and the input of the head in memory of its own: another lane may still
 * read the input of its feed-forward product. */
static void head_norm_token(struct layer_pass *pass, uint32_t token)
{
    struct forward *f = pass->forward;
    struct activations *input = &f->head_input;
    const size_t place = f->places[token], at = place * input->columns;
    if (f->tokens[f->wanted[token]].output == ROW_HIDDEN) {
        norm_to(f, token, f->weights->output_norm, f->results.hidden + at);
        return;
    }
    norm_to(f, token, f->weights->output_norm, input->values + at);
    activations_quantize(input, &f->kernels, (uint32_t)place, 0, input->columns, f->head_forms);
}

static void embed_token(struct layer_pass *pass, uint32_t token)
{
    struct forward *f = pass->forward;
    size_t pairs = f->weights->rope.pairs;
    packed_matrix_row(&f->weights->embedding, (uint32_t)f->tokens[token].id,
                      f->residual + (size_t)token * f->weights->config.hidden);
    rope_angles(&f->weights->rope, f->tokens[token].position, f->cosine + token * pairs, f->sine + token * pairs);
    attention_norm_token(pass, token);
}

/* The number of tokens in a unit that has little work for each. */
static uint32_t unit_tokens(const struct lanes *lanes)
{
    return lanes->count > 1 ? FORWARD_UNIT_TOKENS : 1;
}

static struct thread_pool_phase token_phase(thread_pool_function *run, struct layer_pass *pass, struct lanes lanes)
{
    const uint32_t together = unit_tokens(&lanes);
    return (struct thread_pool_phase){
        .run = run, .argument = pass, .units = (lanes.tokens + together - 1) / together, .lanes = lanes.count};
}

/* Runs a function for each token of a unit. The last lane may have fewer tokens than its units hold. */
static void each_token(struct layer_pass *pass, const struct lanes *lanes, uint32_t tokens, uint32_t unit,
                       void (*run)(struct layer_pass *pass, uint32_t token))
{
    const uint32_t together = unit_tokens(lanes);
    for (uint32_t token = unit * together; token < (unit + 1) * together && token < tokens; token++)
        run(pass, token);
}

static void embed_unit(void *user, uint32_t unit, unsigned thread)
{
    struct layer_pass *pass = user;
    each_token(pass, &pass->forward->lanes, pass->forward->token_count, unit, embed_token);
}

static void attention_norm_unit(void *user, uint32_t unit, unsigned thread)
{
    struct layer_pass *pass = user;
    each_token(pass, &pass->forward->lanes, pass->forward->token_count, unit, attention_norm_token);
}

static void ffn_norm_unit(void *user, uint32_t unit, unsigned thread)
{
    struct layer_pass *pass = user;
    each_token(pass, &pass->lanes_after_attention, pass->normed->tokens, unit, ffn_norm_token);
}

static void head_norm_unit(void *user, uint32_t unit, unsigned thread)
{
    struct layer_pass *pass = user;
    each_token(pass, &pass->lanes_after_attention, pass->normed->tokens, unit, head_norm_token);
}

/* ---- Attention ---- */

static float *projections_of(const struct forward *f, uint32_t token)
{
    const struct model_config *c = &f->weights->config;
    return f->projections + (size_t)token * (query_size(c) + 2 * kv_size(c));
}

static void rotate(const struct layer_pass *pass, uint32_t token, float *heads, uint32_t count)
{
    const struct forward *f = pass->forward;
    const struct rope *rope = &f->weights->rope;
    const size_t at = (size_t)token * rope->pairs;
    const struct rotate_args args = {.heads = heads,
                                     .count = count,
                                     .head_dim = f->weights->config.head_dim,
                                     .pairs = rope->pairs,
                                     .cosine = f->cosine + at,
                                     .sine = f->sine + at};
    if (model_config_layer_has_rope(&f->weights->config, pass->layer))
        f->kernels.rotate(&args);
}

/* Rotates a key of one token and stores it with its value. */
static void store_head(const struct layer_pass *pass, uint32_t token, uint32_t kv_head)
{
    const struct forward *f = pass->forward;
    const struct model_config *c = &f->weights->config;
    const struct batch_token *t = &f->tokens[token];
    float *key = projections_of(f, token) + query_size(c) + (size_t)kv_head * c->head_dim;
    rotate(pass, token, key, 1);
    const struct kv_store_args args = {
        .type = f->cache->type,
        .block = kv_cache_block(f->cache, pass->layer, kv_head, t->pages[t->position / KV_PAGE_POSITIONS]),
        .slot = t->position % KV_PAGE_POSITIONS,
        .head_dim = c->head_dim,
        .key = key,
        .value = key + kv_size(c)};
    f->kernels.kv_store(&args);
}

/* Stores head by head: a key is scattered over all lines of its block, which are still in the cache for the next token.
 */
static void store_unit(void *user, uint32_t unit, unsigned thread)
{
    struct layer_pass *pass = user;
    const struct forward *f = pass->forward;
    const uint32_t together = unit_tokens(&f->lanes);
    for (uint32_t kv_head = 0; kv_head < f->weights->config.kv_heads; kv_head++)
        for (uint32_t token = unit * together; token < (unit + 1) * together && token < f->token_count; token++)
            store_head(pass, token, kv_head);
}

static bool heads_are_whole_blocks(const struct forward *f)
{
    return activations_can_split(f->attended_forms, f->attention.group * f->attention.head_dim);
}

/* What the attention kernel prefetches: the pages of the next unit. The place of the key that the next unit stores is
 * prefetched here. */
static struct attention_next attended_next(const struct layer_pass *pass, struct attention_unit next)
{
    const struct forward *f = pass->forward;
    if (!next.work)
        return (struct attention_next){0};
    const struct attention_tile *tile = &f->attention.tiles[next.work->tile];
    const uint32_t *pages = f->tokens[tile->first].pages;
    const uint32_t last = (f->tokens[tile->first].position + tile->tokens - 1) / KV_PAGE_POSITIONS;
    const uint32_t first = next.work->first_range * ATTENTION_RANGE;
    if (pass->stores_in_attention && next.work->last_range == tile->ranges && last > first)
        kv_cache_expect_key(f->cache, pass->layer, next.kv_head, pages[last]);
    return (struct attention_next){
        .cache = kv_cache_base(f->cache, pass->layer, next.kv_head), .pages = pages + first, .count = last - first + 1};
}

/* Whether the next lane, which may be storing keys and values at the same time, begins in the block where the tile
 * ends. */
static bool end_is_shared(const struct forward *f, const struct attention_tile *tile)
{
    const uint32_t next = (tile->first / f->lanes.tokens + 1) * f->lanes.tokens;
    const struct batch_token *last = &f->tokens[tile->first + tile->tokens - 1];
    return next < f->token_count && f->tokens[next].pages == last->pages &&
           f->tokens[next].position / ATTENTION_BLOCK == last->position / ATTENTION_BLOCK;
}

/* Copies the queries of a tile's tokens for one KV head and rotates them; returns them, in memory of the thread. */
static float *rotated_queries(const struct layer_pass *pass, const struct attention_tile *tile, uint32_t first,
                              unsigned thread)
{
    const struct forward *f = pass->forward;
    const uint32_t group = f->attention.group, size = group * f->attention.head_dim;
    float *q = f->queries + (size_t)thread * f->attention.max_tile * size;
    for (uint32_t t = 0; t < tile->tokens; t++) {
        memcpy(q + (size_t)t * size, projections_of(f, tile->first + t) + first, size * sizeof *q);
        rotate(pass, tile->first + t, q + (size_t)t * size, group);
    }
    return q;
}

/* Counts one more finished piece of a tile for a KV head. True when it was the last one; then all pieces are merged. */
static bool merge_pieces(struct forward *f, uint32_t tile_index, uint32_t kv_head, const float *partials, float *out)
{
    if (!attention_plan_finish(&f->attention, tile_index, kv_head))
        return false;
    const struct attention_tile *tile = &f->attention.tiles[tile_index];
    struct attention_merge_args merge = {.partials = partials,
                                         .out = out,
                                         .out_stride = f->attended.columns,
                                         .tokens = tile->tokens,
                                         .heads = f->attention.group,
                                         .head_dim = f->attention.head_dim,
                                         .position = f->tokens[tile->first].position};
    f->kernels.attention_merge(&merge);
    return true;
}

/* Computes the attention of one tile, or a piece of it, with one KV head. The thread that finishes the last piece
 * merges them and quantizes the result. next: the unit that the thread will probably work on afterwards. */
static void attend(const struct layer_pass *pass, struct attention_unit unit, struct attention_unit next,
                   unsigned thread)
{
    struct forward *f = pass->forward;
    const struct attention_work *work = unit.work;
    const uint32_t kv_head = unit.kv_head, group = f->attention.group, head_dim = f->attention.head_dim;
    const struct attention_tile *tile = &f->attention.tiles[work->tile];
    const uint32_t size = group * head_dim, first = kv_head * size;
    if (pass->stores_in_attention && work->last_range == tile->ranges)
        store_head(pass, tile->first, kv_head);
    float *out = f->attended.values + (size_t)tile->first * f->attended.columns + first;
    float *partials = tile->pieces > 1 ? tile->partials + kv_head * tile->partials_stride : NULL;
    const size_t range_floats = (size_t)tile->tokens * group * attention_partial_floats(head_dim);
    struct attention_args args = {.q = rotated_queries(pass, tile, first, thread),
                                  .out = out,
                                  .out_stride = f->attended.columns,
                                  .tokens = tile->tokens,
                                  .heads = group,
                                  .head_dim = head_dim,
                                  .type = f->cache->type,
                                  .cache = kv_cache_base(f->cache, pass->layer, kv_head),
                                  .pages = f->tokens[tile->first].pages,
                                  .group_stride = f->cache->group_stride,
                                  .position = f->tokens[tile->first].position,
                                  .scale = 1.0f / __builtin_sqrtf((float)head_dim),
                                  .first_range = work->first_range,
                                  .last_range = work->last_range,
                                  .partials = partials ? partials + work->first_range * range_floats : NULL,
                                  .end_is_shared = end_is_shared(f, tile),
                                  .next = attended_next(pass, next),
                                  .scratch = f->attention_scratch + (size_t)thread * ATTENTION_SCRATCH_BYTES};
    f->kernels.attention(&args);
    if (partials && !merge_pieces(f, work->tile, kv_head, partials, out))
        return;
    if (heads_are_whole_blocks(f) && !pass->drops_unwanted)
        for (uint32_t t = 0; t < tile->tokens; t++)
            activations_quantize(&f->attended, &f->kernels, tile->first + t, first, size, f->attended_forms);
}

static bool is_wanted(const struct forward *f, const struct attention_tile *tile)
{
    for (uint32_t token = tile->first; token < tile->first + tile->tokens; token++)
        if (f->tokens[token].output != ROW_NOTHING)
            return true;
    return false;
}

static void attention_unit(void *user, uint32_t unit, unsigned thread)
{
    const struct layer_pass *pass = user;
    const struct forward *f = pass->forward;
    const struct attention_plan *plan = &f->attention;
    const struct attention_unit this = attention_plan_unit(plan, unit);
    struct attention_unit next = {0};
    if (f->lanes.count == 1 && unit + 1 < plan->units)
        next = attention_plan_unit(plan, unit + 1);
    if (this.work && (!pass->drops_unwanted || is_wanted(f, &plan->tiles[this.work->tile])))
        attend(pass, this, next, thread);
}

/* Computes the attention of those heads whose projections this piece completes. */
static void attend_completed(const struct layer_pass *pass, const struct piece *piece, unsigned thread)
{
    const struct attention_plan *plan = &pass->forward->attention;
    const uint32_t of_head = (piece->matrix == 0 ? plan->group : 1) * plan->head_dim;
    const uint32_t all = (plan->group + 2) * plan->head_dim, rows = pass->projections.matrices[piece->matrix]->rows;
    const uint32_t end = piece->last_panel * PANEL_ROWS < rows ? piece->last_panel * PANEL_ROWS : rows;
    for (uint32_t row = piece->first_panel * PANEL_ROWS; row < end;) {
        const uint32_t kv_head = row / of_head, next = (kv_head + 1) * of_head, last = next < end ? next : end;
        if (atomic_fetch_add(&pass->projected[kv_head], last - row) + last - row == all)
            for (uint32_t work = 0; work < plan->work_count; work++) {
                const struct attention_unit this = {&plan->works[work], kv_head};
                const bool is_last = work + 1 == plan->work_count;
                attend(pass, this,
                       is_last ? (struct attention_unit){0} : (struct attention_unit){this.work + 1, kv_head}, thread);
            }
        row = last;
    }
}

/* Computes some rows of query, key or value. */
static void projection_unit(void *user, uint32_t unit, unsigned thread)
{
    const struct layer_pass *pass = user;
    const struct product *p = &pass->projections;
    multiply(p, unit);
    if (!pass->attends_in_projections)
        return;
    for (struct piece piece = {0}; product_next_piece(p, unit % p->units, &piece);)
        attend_completed(pass, &piece, thread);
}

static void attended_token(struct layer_pass *pass, uint32_t token)
{
    const struct forward *f = pass->forward;
    activations_quantize(pass->attended, &f->kernels, token, 0, pass->attended->columns, f->attended_forms);
}

static void attended_unit(void *user, uint32_t unit, unsigned thread)
{
    struct layer_pass *pass = user;
    each_token(pass, &pass->lanes_after_attention, pass->attended->tokens, unit, attended_token);
}

/* Moves the tokens with an output together, in order; all later phases work on them alone. */
static void choose_unit(void *user, uint32_t unit, unsigned thread)
{
    struct layer_pass *pass = user;
    struct forward *f = pass->forward;
    const size_t hidden = f->weights->config.hidden, columns = pass->attended->columns;
    for (uint32_t i = 0; i < pass->attended->tokens; i++) {
        const size_t from = f->wanted[i];
        memmove(f->residual + i * hidden, f->residual + from * hidden, hidden * sizeof(float));
        memmove(pass->attended->values + i * columns, f->attended.values + from * columns, columns * sizeof(float));
        attended_token(pass, i);
    }
}

/* Whether no two tokens of the batch share a sequence. False for long batches, which are prompts, without a search. */
static bool sequences_differ(const struct batch_token *tokens, uint32_t count)
{
    if (count > 64)
        return false;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (tokens[i].pages == tokens[k].pages)
                return false;
    return true;
}

/* ---- Feed-forward ---- */

/* Computes the same panels of gate and up, then SwiGLU of their columns, and quantizes whole blocks for down. */
static void gate_up_unit(void *user, uint32_t unit, unsigned thread)
{
    const struct layer_pass *pass = user;
    const struct product *p = &pass->gate_up;
    struct forward *f = pass->forward;
    struct activations *activated = pass->activated;
    const uint32_t lane = unit / p->units, end = lane_end(&p->lanes, lane, activated->tokens);
    float *gate = f->gated + (size_t)thread * f->gated_stride, *up = gate + f->gated_stride / 2;
    struct piece piece = {0}, next;
    (void)product_next_piece(p, unit % p->units, &piece);
    const uint32_t ffn = f->weights->config.ffn, first = piece.first_panel * PANEL_ROWS;
    const uint32_t left = ffn - first, wide = (piece.last_panel - piece.first_panel) * PANEL_ROWS;
    const uint32_t count = left < wide ? left : wide;
    /* Rows are whole cache lines, and neighboring rows do not fall into the same set of a cache. */
    const size_t stride = wide + FORWARD_GATED_PAD;
    next = (struct piece){.matrix = piece.matrix + 1, .first_panel = piece.first_panel};
    product_multiply_to(p, &piece, &next, lane, gate, stride);
    next = (struct piece){.matrix = piece.matrix, .first_panel = piece.last_panel};
    (void)product_next_piece(p, unit % p->units, &piece);
    product_multiply_to(p, &piece, &next, lane, up, stride);
    for (uint32_t token = lane_begin(&p->lanes, lane); token < end; token++, gate += stride, up += stride) {
        float *out = activated->values ? activated->values + (size_t)token * ffn + first : gate;
        struct swiglu_args args = {.gate = gate, .up = up, .out = out, .size = count};
        f->kernels.swiglu(&args);
        activations_quantize_values(activated, &f->kernels, out, token, first, count, f->activated_forms);
    }
}

/* ---- Logits ---- */

_Static_assert(PANEL_ROWS % PEAK_VALUES == 0, "a panel's logits have peaks of their own");

/* Finds the peaks of some panels' logits, for all tokens. */
static void find_peaks(const struct forward *f, const struct product *p, const struct piece *piece)
{
    const uint32_t vocabulary = f->weights->config.vocabulary;
    const uint32_t first = piece->first_panel * PANEL_ROWS, end = piece->last_panel * PANEL_ROWS;
    for (uint32_t token = 0; token < p->input->tokens; token++) {
        float *peaks = f->results.peaks + (size_t)token * peak_count(vocabulary);
        const struct peaks_args args = {.x = p->out[0] + (size_t)token * vocabulary + first,
                                        .peaks = peaks + first / PEAK_VALUES,
                                        .size = (end < vocabulary ? end : vocabulary) - first};
        f->kernels.peaks(&args);
    }
}

/* Computes a few panels at a time, so that their logits are still in the cache when the peaks are found. */
static void head_unit(void *user, uint32_t unit, unsigned thread)
{
    const struct forward *f = user;
    const struct product *p = &f->plan->head;
    struct piece all = {0};
    (void)product_next_piece(p, unit, &all);
    for (struct piece few = all; few.first_panel < all.last_panel; few.first_panel = few.last_panel) {
        few.last_panel = few.first_panel + HEAD_PANELS;
        few.last_panel = few.last_panel < all.last_panel ? few.last_panel : all.last_panel;
        product_multiply(p, &few, 0);
        if (f->results.peaks)
            find_peaks(f, p, &few);
    }
}

/* ---- The pass ---- */

/* Whether there is so little attention that sharing it among threads is not worth a wait. */
static bool plan_is_short(const struct forward *f)
{
    uint64_t positions = 0;
    for (uint32_t token = 0; token < f->token_count; token++)
        positions += f->tokens[token].position + 1;
    return positions <= MAX_JOINED_POSITIONS;
}

/* Lanes of at most FORWARD_LANE_ROWS rows of activations; equally many for each thread, unless they become too short.
 */
static struct lanes lanes_of(const struct forward *f, uint32_t tokens, bool is_one)
{
    const uint32_t rows = tokens * f->normed.planes, threads = thread_pool_size(f->pool);
    uint32_t lanes = (rows + FORWARD_LANE_ROWS - 1) / FORWARD_LANE_ROWS;
    const uint32_t even = (lanes + threads - 1) / threads * threads;
    if (even > 0 && rows / even >= MIN_LANE_ROWS)
        lanes = even;
    lanes = is_one ? 1 : lanes < THREAD_POOL_MAX_LANES ? lanes : THREAD_POOL_MAX_LANES;
    if (lanes <= 1)
        return (struct lanes){1, tokens};
    const uint32_t size =
        (tokens + lanes * FORWARD_UNIT_TOKENS - 1) / (lanes * FORWARD_UNIT_TOKENS) * FORWARD_UNIT_TOKENS;
    return (struct lanes){(tokens + size - 1) / size, size};
}

static void add_phase(struct forward_plan *plan, struct thread_pool_phase phase, struct phase_info info)
{
    plan->phases[plan->phase_count] = phase;
    plan->phase_infos[plan->phase_count++] = info;
}

static void plan_product(struct forward *f, enum operation operation, struct product *p, struct lanes lanes,
                         struct thread_pool_phase follow_up)
{
    add_phase(f->plan, product_phase(f, p, lanes, follow_up),
              (struct phase_info){.operation = operation, .product = p});
}

/* Adds a product and the norm that needs all of it: as a phase of its own, or at the end of the product. */
static void plan_product_and_norm(struct forward *f, enum operation operation, struct product *p, struct lanes lanes,
                                  struct thread_pool_phase norm)
{
    const bool is_joined = lanes.count == 1 && lanes.tokens <= MAX_NORMED_BY_ONE;
    plan_product(f, operation, p, lanes, is_joined ? norm : (struct thread_pool_phase){0});
    if (!is_joined)
        add_phase(f->plan, norm, (struct phase_info){.operation = OPERATION_norm});
}

/* Adds the phases of queries, keys, values and attention. */
static void plan_attention(struct forward_plan *plan, struct layer_pass *pass)
{
    struct forward *f = pass->forward;
    const bool attends = pass->lanes_after_attention.tokens > 0;
    struct thread_pool_phase phase;
    pass->projections.first = attends ? 0 : 1;
    phase = product_phase(f, &pass->projections, f->lanes, (struct thread_pool_phase){0});
    phase.run = projection_unit;
    phase.argument = pass;
    for (uint32_t kv_head = 0; kv_head < f->weights->config.kv_heads; kv_head++)
        atomic_store_explicit(&pass->projected[kv_head], 0, memory_order_relaxed);
    add_phase(plan, phase,
              (struct phase_info){.operation = OPERATION_projections,
                                  .product = &pass->projections,
                                  .attends = pass->attends_in_projections ? pass : NULL});
    if (!pass->stores_in_attention)
        add_phase(plan, token_phase(store_unit, pass, f->lanes), (struct phase_info){.operation = OPERATION_store});
    if (!attends)
        return;
    phase = (struct thread_pool_phase){.run = attention_unit,
                                       .argument = pass,
                                       .units = f->attention.units,
                                       .lanes = f->lanes.count,
                                       .ordered = true,
                                       .shares = f->lanes.count == 1 ? f->attention.shares : NULL};
    if (!pass->attends_in_projections)
        add_phase(plan, phase, (struct phase_info){.operation = OPERATION_attention, .attends = pass});
    if (pass->drops_unwanted)
        add_phase(plan, (struct thread_pool_phase){.run = choose_unit, .argument = pass, .units = 1, .lanes = 1},
                  (struct phase_info){.operation = OPERATION_quantise});
    else if (!heads_are_whole_blocks(f))
        add_phase(plan, token_phase(attended_unit, pass, pass->lanes_after_attention),
                  (struct phase_info){.operation = OPERATION_quantise});
}

static void plan_layer(struct forward_plan *plan, struct layer_pass *pass, bool stores, uint32_t wanted)
{
    struct forward *f = pass->forward;
    const struct thread_pool_phase nothing = {0};
    const bool is_last = pass->layer + 1 == f->weights->config.layers;
    pass->drops_unwanted = is_last && wanted < f->token_count;
    pass->lanes_after_attention = pass->drops_unwanted ? lanes_of(f, wanted, false) : f->lanes;
    pass->stores_in_attention = stores && !pass->drops_unwanted;
    pass->attends_in_projections = pass->stores_in_attention && f->token_count <= MAX_JOINED_TOKENS && plan_is_short(f);
    plan_attention(plan, pass);
    if (pass->lanes_after_attention.tokens == 0)
        return;
    plan_product_and_norm(f, OPERATION_output, &pass->output, pass->lanes_after_attention,
                          token_phase(ffn_norm_unit, pass, pass->lanes_after_attention));
    struct thread_pool_phase phase = product_phase(f, &pass->gate_up, pass->lanes_after_attention, nothing);
    phase.run = gate_up_unit;
    phase.argument = pass;
    add_phase(plan, phase, (struct phase_info){.operation = OPERATION_gate_up, .product = &pass->gate_up});
    plan_product_and_norm(f, OPERATION_down, &pass->down, pass->lanes_after_attention,
                          is_last ? token_phase(head_norm_unit, pass, pass->lanes_after_attention)
                                  : token_phase(attention_norm_unit, pass + 1, f->lanes));
}

/* Finds the tokens with an output, and the place of each among those of its kind; returns how many there are. */
static uint32_t find_wanted(struct forward *f, const struct batch_token *tokens, uint32_t count)
{
    uint32_t wanted = 0, logits = 0, hidden = 0;
    for (uint32_t token = 0; token < count; token++) {
        if (tokens[token].output == ROW_NOTHING)
            continue;
        f->places[wanted] = tokens[token].output == ROW_HIDDEN ? hidden++ : logits++;
        f->wanted[wanted++] = token;
    }
    f->head_input.tokens = logits;
    return wanted;
}

void forward_run(struct forward *f, const struct batch_token *tokens, uint32_t count, struct forward_results results)
{
    struct forward_plan *plan = f->plan;
    const bool stores = sequences_differ(tokens, count);
    const uint32_t layers = f->weights->config.layers;
    const uint32_t wanted = find_wanted(f, tokens, count);
    f->tokens = tokens;
    f->token_count = f->normed.tokens = f->attended.tokens = f->activated.tokens = count;
    f->chosen_normed.tokens = f->chosen_attended.tokens = f->chosen_activated.tokens = wanted;
    f->lanes = lanes_of(f, count, stores);
    attention_plan_make(&f->attention, tokens, count, f->lanes.tokens);
    plan->head.out[0] = results.logits;
    f->results = results;
    plan->phase_count = 0;
    add_phase(plan, token_phase(embed_unit, &plan->layers[0], f->lanes),
              (struct phase_info){.operation = OPERATION_embed});
    for (uint32_t layer = 0; layer < layers; layer++)
        plan_layer(plan, &plan->layers[layer], stores, wanted);
    if (f->head_input.tokens > 0) {
        struct thread_pool_phase phase =
            product_phase(f, &plan->head, (struct lanes){1, f->head_input.tokens}, (struct thread_pool_phase){0});
        phase.run = head_unit;
        phase.argument = f;
        add_phase(plan, phase, (struct phase_info){.operation = OPERATION_head, .product = &plan->head});
    }
    if (f->profile)
        forward_run_profiled(f);
    else
        thread_pool_run_phases(f->pool, plan->phases, plan->phase_count);
}
