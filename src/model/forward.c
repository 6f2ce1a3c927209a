#include "model/forward.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "kernel/arithmetic.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* Up to so many tokens are normed by the thread that finishes what they wait for: cheaper than another phase. */
    MOST_NORMED_BY_ONE = 2,
    /* So many positions of all tokens are attended to by the thread that finishes a head's projections. */
    MOST_JOINED_POSITIONS = 512,
    /* Results that a unit makes before it goes on with them: what stays in the second-level cache. */
    MOST_CACHED_RESULTS = 65536,
    MOST_TOGETHER = 3,
    STORED_TOGETHER = 8,
    PHASES_PER_LAYER = 9,
    OTHER_PHASES = 3
};

/* The matrices that read one input, run as one phase so that their panels spread over all threads without a wait. */
struct product {
    struct forward *forward;
    enum operation operation;
    const struct packed_matrix *matrices[MOST_TOGETHER];
    float *out[MOST_TOGETHER];
    size_t out_stride[MOST_TOGETHER];
    int count;
    const struct activations *input;
    bool add;
    uint32_t panels_per_unit;
    uint32_t units;
    /* What whoever finishes last goes on with; 0 units: nothing. */
    struct thread_pool_phase then;
    _Atomic uint32_t finished;
};

/* One layer as the phases see it. */
struct layer_pass {
    struct forward *forward;
    uint32_t layer;
    bool stores;                 /* attention units store keys and values: no two tokens are of one sequence */
    bool joined;                 /* attention of a head follows its projections without a wait */
    _Atomic uint32_t *projected; /* [KV head]: rows of its query, key and value that are done, when joined */
    struct product projections, output, gate_up, down;
};

/* All phases of a pass, run as one job. */
struct forward_plan {
    struct layer_pass *layers;
    struct product head;
    struct thread_pool_phase *phases;
    _Atomic uint32_t *projected; /* [layer][KV head] */
    _Atomic uint64_t *ends;      /* of the phases, when profiled */
};

static uint32_t query_size(const struct model_config *c)
{
    return c->heads * c->head_dim;
}

static uint32_t kv_size(const struct model_config *c)
{
    return c->kv_heads * c->head_dim;
}

/* ---- Products ---- */

static uint32_t units_of(const struct packed_matrix *matrix, uint32_t panels_per_unit)
{
    return (matrix->panels + panels_per_unit - 1) / panels_per_unit;
}

static void multiply(const struct product *p, int i, uint32_t unit)
{
    uint32_t first = unit * p->panels_per_unit, last = first + p->panels_per_unit;
    struct matmul_args args = {.weights = p->matrices[i],
                               .input = p->input,
                               .tokens = p->input->tokens,
                               .out = p->out[i],
                               .out_stride = p->out_stride[i],
                               .add = p->add,
                               .first_panel = first,
                               .last_panel = last < p->matrices[i]->panels ? last : p->matrices[i]->panels};
    p->forward->kernels.matmul(&args);
}

/* Which matrix a unit is of; *unit becomes the unit within it. */
static int matrix_of(const struct product *p, uint32_t *unit)
{
    int i = 0;
    while (*unit >= units_of(p->matrices[i], p->panels_per_unit))
        *unit -= units_of(p->matrices[i++], p->panels_per_unit);
    return i;
}

static void product_unit(void *user, uint32_t unit, unsigned thread)
{
    struct product *p = user;
    int i = matrix_of(p, &unit);
    multiply(p, i, unit);
    if (p->then.units > 0 && atomic_fetch_add(&p->finished, 1) + 1 == p->units)
        for (uint32_t token = 0; token < p->then.units; token++)
            p->then.run(p->then.argument, token, thread);
}

/* Sets the units for the pass, at the end of which one thread runs `then`; `whole` panels stay together. */
static struct thread_pool_phase product_phase(struct product *p, uint32_t whole, struct thread_pool_phase then)
{
    uint32_t panels = 0;
    for (int i = 0; i < p->count; i++)
        panels += p->matrices[i]->panels;
    /* Enough units that a late thread costs little, few enough that handing them out costs nothing. */
    const uint32_t cached = MOST_CACHED_RESULTS / (PANEL_ROWS * p->input->tokens);
    p->panels_per_unit = 1 + panels / (12 * thread_pool_size(p->forward->pool));
    if (p->panels_per_unit > cached)
        p->panels_per_unit = cached > 0 ? cached : 1;
    p->panels_per_unit = (p->panels_per_unit + whole - 1) / whole * whole;
    p->then = then;
    p->units = 0;
    for (int i = 0; i < p->count; i++)
        p->units += units_of(p->matrices[i], p->panels_per_unit);
    atomic_store_explicit(&p->finished, 0, memory_order_relaxed);
    return (struct thread_pool_phase){product_unit, p, p->units};
}

/* ---- Single tokens ---- */

/* One token: normed from the residual into place `to` of the input, and quantised. */
static void norm_token(struct forward *f, uint32_t token, const float *weight, struct activations *input, uint32_t to,
                       unsigned forms)
{
    const struct model_config *c = &f->weights->config;
    struct rmsnorm_args norm = {.x = f->residual + (size_t)token * c->hidden,
                                .weight = weight,
                                .out = input->values + (size_t)to * c->hidden,
                                .size = c->hidden,
                                .epsilon = c->norm_epsilon};
    f->kernels.rmsnorm(&norm);
    activations_quantise(input, &f->kernels, to, 0, c->hidden, forms);
}

static void attention_norm_unit(void *user, uint32_t token, unsigned thread)
{
    struct layer_pass *pass = user;
    struct forward *f = pass->forward;
    norm_token(f, token, f->weights->layers[pass->layer].attention_norm, &f->normed, token, f->attention_forms);
}

static void ffn_norm_unit(void *user, uint32_t token, unsigned thread)
{
    struct layer_pass *pass = user;
    struct forward *f = pass->forward;
    norm_token(f, token, f->weights->layers[pass->layer].ffn_norm, &f->normed, token, f->ffn_forms);
}

static void head_norm_unit(void *user, uint32_t unit, unsigned thread)
{
    struct forward *f = user;
    norm_token(f, f->wanted[unit], f->weights->output_norm, &f->chosen, unit, f->head_forms);
}

static void embed_unit(void *user, uint32_t token, unsigned thread)
{
    struct layer_pass *pass = user;
    struct forward *f = pass->forward;
    size_t pairs = f->weights->rope.pairs;
    packed_matrix_row(&f->weights->embedding, (uint32_t)f->tokens[token].id,
                      f->residual + (size_t)token * f->weights->config.hidden);
    rope_angles(&f->weights->rope, f->tokens[token].position, f->cosine + token * pairs, f->sine + token * pairs);
    attention_norm_unit(pass, token, thread);
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
    if (model_config_layer_has_rope(&f->weights->config, pass->layer))
        rope_rotate(rope, f->cosine + at, f->sine + at, heads, count, f->weights->config.head_dim);
}

/* Rotates a key of one token and stores it with its value. */
static void store_head(const struct layer_pass *pass, uint32_t token, uint32_t kv_head)
{
    const struct forward *f = pass->forward;
    const struct model_config *c = &f->weights->config;
    const struct batch_token *t = &f->tokens[token];
    float *key = projections_of(f, token) + query_size(c) + (size_t)kv_head * c->head_dim;
    rotate(pass, token, key, 1);
    const struct kv_store_args args = {.type = f->cache->type,
                                       .block = kv_cache_base(f->cache, pass->layer, kv_head) +
                                                t->pages[t->position / KV_PAGE_POSITIONS] * f->cache->page_stride,
                                       .slot = t->position % KV_PAGE_POSITIONS,
                                       .head_dim = c->head_dim,
                                       .key = key,
                                       .value = key + kv_size(c)};
    f->kernels.kv_store(&args);
}

/* Several tokens: the slots of a page share cache lines. */
static void store_unit(void *user, uint32_t unit, unsigned thread)
{
    const struct layer_pass *pass = user;
    const struct forward *f = pass->forward;
    for (uint32_t token = unit * STORED_TOGETHER; token < f->token_count && token < (unit + 1) * STORED_TOGETHER;
         token++)
        for (uint32_t kv_head = 0; kv_head < f->weights->config.kv_heads; kv_head++)
            store_head(pass, token, kv_head);
}

static bool heads_are_whole_blocks(const struct forward *f)
{
    return activations_can_split(f->attended_forms, f->attention.group * f->attention.head_dim);
}

/* Attention of one tile with one KV head, or a piece of it; whoever finishes the last piece merges and quantises. */
static void attend(const struct layer_pass *pass, const struct attention_work *work, uint32_t kv_head, unsigned thread)
{
    struct forward *f = pass->forward;
    const struct model_config *c = &f->weights->config;
    const struct attention_tile *tile = &f->attention.tiles[work->tile];
    const uint32_t group = c->heads / c->kv_heads, size = group * c->head_dim, first = kv_head * size;
    const uint32_t position = f->tokens[tile->first].position;
    if (pass->stores && work->last_range == tile->ranges)
        store_head(pass, tile->first, kv_head);
    float *q = f->queries + (size_t)thread * f->attention.most_tile * size;
    for (uint32_t t = 0; t < tile->tokens; t++) {
        memcpy(q + (size_t)t * size, projections_of(f, tile->first + t) + first, size * sizeof *q);
        rotate(pass, tile->first + t, q + (size_t)t * size, group);
    }
    float *out = f->attended.values + (size_t)tile->first * f->attended.columns + first;
    float *partials = tile->pieces > 1 ? tile->partials + kv_head * tile->partials_stride : NULL;
    const size_t range_floats = (size_t)tile->tokens * group * attention_partial_floats(c->head_dim);
    struct attention_args args = {.q = q,
                                  .out = out,
                                  .out_stride = f->attended.columns,
                                  .tokens = tile->tokens,
                                  .heads = group,
                                  .head_dim = c->head_dim,
                                  .type = f->cache->type,
                                  .cache = kv_cache_base(f->cache, pass->layer, kv_head),
                                  .pages = f->tokens[tile->first].pages,
                                  .page_stride = f->cache->page_stride,
                                  .position = position,
                                  .scale = 1.0f / __builtin_sqrtf((float)c->head_dim),
                                  .first_range = work->first_range,
                                  .last_range = work->last_range,
                                  .partials = partials ? partials + work->first_range * range_floats : NULL};
    f->kernels.attention(&args);
    if (partials) {
        if (!attention_plan_finish(&f->attention, work->tile, kv_head))
            return;
        struct attention_merge_args merge = {.partials = partials,
                                             .out = out,
                                             .out_stride = f->attended.columns,
                                             .tokens = tile->tokens,
                                             .heads = group,
                                             .head_dim = c->head_dim,
                                             .position = position};
        f->kernels.attention_merge(&merge);
    }
    if (heads_are_whole_blocks(f))
        for (uint32_t t = 0; t < tile->tokens; t++)
            activations_quantise(&f->attended, &f->kernels, tile->first + t, first, size, f->attended_forms);
}

static void attention_unit(void *user, uint32_t unit, unsigned thread)
{
    const struct layer_pass *pass = user;
    const struct attention_plan *plan = &pass->forward->attention;
    /* Late tokens have the longest way: they go first. */
    attend(pass, &plan->works[plan->work_count - 1 - unit / plan->kv_heads], unit % plan->kv_heads, thread);
}

/* Some rows of query, key or value; whoever completes a head goes on with its attention, if they are joined. */
static void projection_unit(void *user, uint32_t unit, unsigned thread)
{
    const struct layer_pass *pass = user;
    const struct product *p = &pass->projections;
    const struct attention_plan *plan = &pass->forward->attention;
    const int i = matrix_of(p, &unit);
    multiply(p, i, unit);
    if (!pass->joined)
        return;
    const uint32_t of_head = (i == 0 ? plan->group : 1) * plan->head_dim, all = (plan->group + 2) * plan->head_dim;
    const uint32_t wide = p->panels_per_unit * PANEL_ROWS, rows = p->matrices[i]->rows;
    const uint32_t end = rows - unit * wide < wide ? rows : (unit + 1) * wide;
    for (uint32_t row = unit * wide; row < end;) {
        const uint32_t kv_head = row / of_head, next = (kv_head + 1) * of_head, last = next < end ? next : end;
        if (atomic_fetch_add(&pass->projected[kv_head], last - row) + last - row == all)
            for (uint32_t work = 0; work < plan->work_count; work++)
                attend(pass, &plan->works[work], kv_head, thread);
        row = last;
    }
}

static void attended_unit(void *user, uint32_t token, unsigned thread)
{
    struct forward *f = ((struct layer_pass *)user)->forward;
    activations_quantise(&f->attended, &f->kernels, token, 0, f->attended.columns, f->attended_forms);
}

/* No two tokens of the batch share their pages; not looked for in long batches, which are prompts. */
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

/* The same panels of gate and up, then SwiGLU of their columns, quantised for down where they are whole blocks. */
static void gate_up_unit(void *user, uint32_t unit, unsigned thread)
{
    const struct product *p = user;
    struct forward *f = p->forward;
    const uint32_t ffn = f->weights->config.ffn, first = unit * p->panels_per_unit * PANEL_ROWS;
    const uint32_t left = ffn - first, wide = p->panels_per_unit * PANEL_ROWS, count = left < wide ? left : wide;
    multiply(p, 0, unit);
    multiply(p, 1, unit);
    for (uint32_t token = 0; token < f->token_count; token++) {
        size_t at = (size_t)token * ffn + first;
        struct swiglu_args args = {
            .gate = f->activated.values + at, .up = f->up + at, .out = f->activated.values + at, .size = count};
        f->kernels.swiglu(&args);
        activations_quantise(&f->activated, &f->kernels, token, first, count, f->activated_forms);
    }
}

/* ---- Profile ---- */

/* The product of a phase, NULL for another one. */
static const struct product *product_of(const struct thread_pool_phase *phase)
{
    return phase->run == product_unit || phase->run == gate_up_unit ? phase->argument
           : phase->run == projection_unit ? &((const struct layer_pass *)phase->argument)->projections
                                           : NULL;
}

static bool attends(const struct thread_pool_phase *phase)
{
    const struct layer_pass *pass = phase->argument;
    return pass && (phase->run == attention_unit || (phase->run == projection_unit && pass->joined));
}

static enum operation operation_of(const struct thread_pool_phase *phase)
{
    if (product_of(phase))
        return product_of(phase)->operation;
    return phase->run == embed_unit       ? OPERATION_embed
           : phase->run == store_unit     ? OPERATION_store
           : phase->run == attention_unit ? OPERATION_attention
           : phase->run == attended_unit  ? OPERATION_quantise
           : phase->run == attention_norm_unit || phase->run == ffn_norm_unit || phase->run == head_norm_unit
               ? OPERATION_norm
               : OPERATION_other;
}

static void count_product(struct profile_entry *entry, const struct product *p)
{
    for (int i = 0; i < p->count; i++) {
        const struct packed_matrix *m = p->matrices[i];
        double macs = (double)m->rows * m->columns * p->input->tokens;
        entry->bytes += (double)packed_matrix_bytes(m);
        if (m->layout->block_columns)
            entry->int8_macs += macs * p->input->planes;
        else
            entry->float_macs += macs;
    }
}

/* Keys and values of a sequence count once, however many of its tokens read them: tokens of one sequence follow each
 * other. */
static void count_attention(struct profile_entry *entry, const struct forward *f)
{
    const struct model_config *c = &f->weights->config;
    for (uint32_t i = 0; i < f->token_count; i++) {
        const struct batch_token *t = &f->tokens[i];
        double positions = (double)t->position + 1;
        entry->float_macs += 2 * positions * query_size(c);
        if (i + 1 == f->token_count || f->tokens[i + 1].pages != t->pages)
            entry->bytes += positions * c->kv_heads * (double)f->cache->block / KV_PAGE_POSITIONS;
    }
}

static void run_profiled(struct forward *f, uint32_t phases)
{
    struct forward_plan *plan = f->plan;
    thread_pool_time_phases(f->pool, plan->ends);
    uint64_t begin = clock_nanoseconds();
    thread_pool_run_phases(f->pool, plan->phases, phases);
    thread_pool_time_phases(f->pool, NULL);
    for (uint32_t i = 0; i < phases; i++) {
        const struct thread_pool_phase *phase = &plan->phases[i];
        if (phase->units == 0)
            continue;
        enum operation operation = operation_of(phase);
        struct profile_entry *entry = &f->profile->operations[operation];
        uint64_t end = atomic_load_explicit(&plan->ends[i], memory_order_relaxed);
        entry->calls++;
        entry->seconds += (double)(end - begin) * 1e-9;
        begin = end;
        if (product_of(phase))
            count_product(entry, product_of(phase));
        if (attends(phase))
            count_attention(entry, f);
    }
}

/* ---- The pass ---- */

/* A norm is its own phase, or the end of the product that it waits for: its units are 0 in one of the two. */
static struct thread_pool_phase only_if(bool wanted, struct thread_pool_phase phase)
{
    phase.units = wanted ? phase.units : 0;
    return phase;
}

/* So little attention that sharing it is not worth a wait. */
static bool plan_is_short(const struct forward *f)
{
    uint64_t positions = 0;
    for (uint32_t token = 0; token < f->token_count; token++)
        positions += f->tokens[token].position + 1;
    return positions <= MOST_JOINED_POSITIONS;
}

static struct thread_pool_phase *plan_layer(struct layer_pass *pass, struct thread_pool_phase *phase)
{
    struct forward *f = pass->forward;
    const struct model_config *c = &f->weights->config;
    const uint32_t tokens = f->token_count;
    const bool is_last = pass->layer + 1 == c->layers, joined = tokens <= MOST_NORMED_BY_ONE;
    const struct thread_pool_phase nothing = {0}, ffn_norm = {ffn_norm_unit, pass, tokens};
    const struct thread_pool_phase next_norm = is_last
                                                   ? (struct thread_pool_phase){head_norm_unit, f, f->chosen.tokens}
                                                   : (struct thread_pool_phase){attention_norm_unit, pass + 1, tokens};
    pass->joined = pass->stores && plan_is_short(f);
    *phase = product_phase(&pass->projections, 1, nothing);
    *phase++ = (struct thread_pool_phase){projection_unit, pass, pass->projections.units};
    for (uint32_t kv_head = 0; kv_head < c->kv_heads; kv_head++)
        atomic_store_explicit(&pass->projected[kv_head], 0, memory_order_relaxed);
    *phase++ = (struct thread_pool_phase){store_unit, pass,
                                          pass->stores ? 0 : (tokens + STORED_TOGETHER - 1) / STORED_TOGETHER};
    *phase++ =
        (struct thread_pool_phase){attention_unit, pass, pass->joined ? 0 : f->attention.work_count * c->kv_heads};
    *phase++ = (struct thread_pool_phase){attended_unit, pass, heads_are_whole_blocks(f) ? 0 : tokens};
    *phase++ = product_phase(&pass->output, 1, only_if(joined, ffn_norm));
    *phase++ = only_if(!joined, ffn_norm);
    *phase = product_phase(&pass->gate_up, activations_can_split(f->activated_forms, PANEL_ROWS) ? 1 : 8, nothing);
    phase->run = gate_up_unit;
    phase++->units = units_of(pass->gate_up.matrices[0], pass->gate_up.panels_per_unit);
    *phase++ = product_phase(&pass->down, 1, only_if(joined, next_norm));
    *phase++ = only_if(!joined, next_norm);
    return phase;
}

void forward_run(struct forward *f, const struct batch_token *tokens, uint32_t count, float *logits)
{
    struct forward_plan *plan = f->plan;
    struct thread_pool_phase *phase = plan->phases;
    const bool stores = sequences_differ(tokens, count);
    uint32_t wanted = 0;
    for (uint32_t token = 0; token < count; token++)
        if (tokens[token].wants_logits)
            f->wanted[wanted++] = token;
    f->tokens = tokens;
    f->token_count = f->normed.tokens = f->attended.tokens = f->activated.tokens = count;
    f->chosen.tokens = wanted;
    attention_plan_make(&f->attention, tokens, count);
    plan->head.out[0] = logits;
    *phase++ = (struct thread_pool_phase){embed_unit, &plan->layers[0], count};
    for (uint32_t layer = 0; layer < f->weights->config.layers; layer++) {
        plan->layers[layer].stores = stores;
        phase = plan_layer(&plan->layers[layer], phase);
    }
    if (wanted > 0)
        *phase++ = product_phase(&plan->head, 1, (struct thread_pool_phase){0});
    if (f->profile)
        run_profiled(f, (uint32_t)(phase - plan->phases));
    else
        thread_pool_run_phases(f->pool, plan->phases, (uint32_t)(phase - plan->phases));
}

/* ---- Memory ---- */

static void find_forms(struct forward *f)
{
    const struct weights *w = f->weights;
    for (uint32_t i = 0; i < w->config.layers; i++) {
        const struct layer_weights *l = &w->layers[i];
        f->attention_forms |=
            activations_form(l->query.layout) | activations_form(l->key.layout) | activations_form(l->value.layout);
        f->attended_forms |= activations_form(l->output.layout);
        f->ffn_forms |= activations_form(l->gate.layout) | activations_form(l->up.layout);
        f->activated_forms |= activations_form(l->down.layout);
    }
    f->head_forms = activations_form(w->head.layout);
}

static void describe_products(struct forward *f, const struct layer_weights *w, struct layer_pass *pass)
{
    const struct model_config *c = &f->weights->config;
    const size_t q = query_size(c), kv = kv_size(c), all = q + 2 * kv;
    pass->projections = (struct product){.forward = f,
                                         .operation = OPERATION_projections,
                                         .matrices = {&w->query, &w->key, &w->value},
                                         .out = {f->projections, f->projections + q, f->projections + q + kv},
                                         .out_stride = {all, all, all},
                                         .count = 3,
                                         .input = &f->normed};
    pass->output = (struct product){.forward = f,
                                    .operation = OPERATION_output,
                                    .matrices = {&w->output},
                                    .out = {f->residual},
                                    .out_stride = {c->hidden},
                                    .count = 1,
                                    .input = &f->attended,
                                    .add = true};
    pass->gate_up = (struct product){.forward = f,
                                     .operation = OPERATION_gate_up,
                                     .matrices = {&w->gate, &w->up},
                                     .out = {f->activated.values, f->up},
                                     .out_stride = {c->ffn, c->ffn},
                                     .count = 2,
                                     .input = &f->normed};
    pass->down = (struct product){.forward = f,
                                  .operation = OPERATION_down,
                                  .matrices = {&w->down},
                                  .out = {f->residual},
                                  .out_stride = {c->hidden},
                                  .count = 1,
                                  .input = &f->activated,
                                  .add = true};
}

static int create_plan(struct forward *f, struct smollm_error *error)
{
    const struct model_config *c = &f->weights->config;
    struct forward_plan *plan = f->plan = array_allocate(1, sizeof *plan);
    if (plan) {
        plan->layers = array_allocate(c->layers, sizeof *plan->layers);
        const size_t phases = (size_t)c->layers * PHASES_PER_LAYER + OTHER_PHASES;
        plan->phases = array_allocate(phases, sizeof *plan->phases);
        plan->ends = array_allocate(phases, sizeof *plan->ends);
        plan->projected = array_allocate((size_t)c->layers * c->kv_heads, sizeof *plan->projected);
    }
    RETURN_ERROR_IF(!plan || !plan->layers || !plan->phases || !plan->ends || !plan->projected, error, SMOLLM_ENOMEM,
                    "out of memory for %u layers", c->layers);
    for (uint32_t i = 0; i < c->layers; i++) {
        plan->layers[i].forward = f;
        plan->layers[i].layer = i;
        plan->layers[i].projected = plan->projected + (size_t)i * c->kv_heads;
        describe_products(f, &f->weights->layers[i], &plan->layers[i]);
    }
    plan->head = (struct product){.forward = f,
                                  .operation = OPERATION_head,
                                  .matrices = {&f->weights->head},
                                  .out_stride = {c->vocabulary},
                                  .count = 1,
                                  .input = &f->chosen};
    return 0;
}

/* Floats of rotated queries of one tile for each thread. */
static size_t queries_size(const struct model_config *c, unsigned threads)
{
    const size_t group = c->heads / c->kv_heads;
    return (group > ATTENTION_TILE_ROWS ? group : ATTENTION_TILE_ROWS) * c->head_dim * threads;
}

int precise_parse(const char *name, const struct weights *weights, uint32_t *planes, struct smollm_error *error)
{
    if (!name || strcmp(name, "auto") == 0)
        *planes = weights->parameters < PRECISE_PARAMETERS ? 2 : 1;
    else if (strcmp(name, "on") == 0)
        *planes = 2;
    else if (strcmp(name, "off") == 0)
        *planes = 1;
    else
        return error_set(error, SMOLLM_EINVAL, "unknown precision '%s' (auto, on, off)", name);
    return 0;
}

int forward_create(struct forward *f, const struct weights *weights, const struct kv_cache *cache,
                   struct thread_pool *pool, enum cpu_tier tier, uint32_t planes, uint32_t most_tokens,
                   struct smollm_error *error)
{
    const struct model_config *c = &weights->config;
    *f = (struct forward){.weights = weights, .cache = cache, .pool = pool, .most_tokens = most_tokens};
    kernel_table_fill(&f->kernels, tier);
    find_forms(f);
    f->residual = array_allocate((size_t)most_tokens * c->hidden, sizeof(float));
    f->projections = array_allocate((size_t)most_tokens * (query_size(c) + 2 * kv_size(c)), sizeof(float));
    f->up = array_allocate((size_t)most_tokens * c->ffn, sizeof(float));
    f->cosine = array_allocate((size_t)most_tokens * weights->rope.pairs, sizeof(float));
    f->sine = array_allocate((size_t)most_tokens * weights->rope.pairs, sizeof(float));
    f->wanted = array_allocate(most_tokens, sizeof *f->wanted);
    f->queries = array_allocate(queries_size(c, thread_pool_size(pool)), sizeof *f->queries);
    int status = !f->queries || !f->residual || !f->projections || !f->up || !f->cosine || !f->sine || !f->wanted
                     ? error_set(error, SMOLLM_ENOMEM, "out of memory for passes of %u tokens", most_tokens)
                     : 0;
    if (status == 0)
        status = activations_create(&f->normed, c->hidden, most_tokens, planes,
                                    f->attention_forms | f->ffn_forms | f->head_forms, error);
    f->chosen = f->normed;
    if (status == 0)
        status = activations_create(&f->attended, query_size(c), most_tokens, planes, f->attended_forms, error);
    if (status == 0)
        status = activations_create(&f->activated, c->ffn, most_tokens, planes, f->activated_forms, error);
    if (status == 0)
        status = attention_plan_create(&f->attention, c, thread_pool_size(pool), most_tokens, error);
    if (status == 0)
        status = create_plan(f, error);
    if (status < 0)
        forward_destroy(f);
    return status;
}

void forward_destroy(struct forward *f)
{
    free(f->residual);
    free(f->projections);
    free(f->up);
    free(f->cosine);
    free(f->sine);
    free(f->wanted);
    free(f->queries);
    attention_plan_destroy(&f->attention);
    if (f->plan) {
        free(f->plan->layers);
        free(f->plan->phases);
        free((void *)f->plan->ends);
        free((void *)f->plan->projected);
        free(f->plan);
    }
    activations_destroy(&f->normed);
    activations_destroy(&f->attended);
    activations_destroy(&f->activated);
    *f = (struct forward){0};
}
