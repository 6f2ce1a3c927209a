/* The memory of the forward pass, and those parts of its plan that are the same in every pass. */
#include "base/error.h"
#include "base/memory.h"
#include "model/forward_plan.h"

#include <stdlib.h>
#include <string.h>

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
    const bool is_last = pass->layer + 1 == c->layers;
    pass->normed = is_last ? &f->chosen_normed : &f->normed;
    pass->attended = is_last ? &f->chosen_attended : &f->attended;
    pass->activated = is_last ? &f->chosen_activated : &f->activated;
    pass->projections = (struct product){.kernels = &f->kernels,
                                         .whole = 1,
                                         .matrices = {&w->query, &w->key, &w->value},
                                         .out = {f->projections, f->projections + q, f->projections + q + kv},
                                         .out_stride = {all, all, all},
                                         .count = 3,
                                         .input = &f->normed};
    pass->output = (struct product){.kernels = &f->kernels,
                                    .whole = 1,
                                    .matrices = {&w->output},
                                    .out = {f->residual},
                                    .out_stride = {c->hidden},
                                    .count = 1,
                                    .input = pass->attended,
                                    .add = true};
    pass->gate_up =
        (struct product){.kernels = &f->kernels,
                         .whole = activations_can_split(f->activated_forms, PANEL_ROWS) ? 1 : PRODUCT_MAX_WHOLE,
                         .matrices = {&w->gate, &w->up},
                         .is_pair = true,
                         .count = 2,
                         .input = pass->normed};
    pass->down = (struct product){.kernels = &f->kernels,
                                  .whole = 1,
                                  .matrices = {&w->down},
                                  .out = {f->residual},
                                  .out_stride = {c->hidden},
                                  .count = 1,
                                  .input = pass->activated,
                                  .add = true};
}

static int create_products(struct layer_pass *pass, struct smollm_error *error)
{
    int status = product_create(&pass->projections, error);
    if (status == 0)
        status = product_create(&pass->output, error);
    if (status == 0)
        status = product_create(&pass->gate_up, error);
    if (status == 0)
        status = product_create(&pass->down, error);
    return status;
}

static int create_plan(struct forward *f, struct smollm_error *error)
{
    const struct model_config *c = &f->weights->config;
    struct forward_plan *plan = f->plan = array_allocate(1, sizeof *plan);
    if (plan) {
        plan->layers = array_allocate(c->layers, sizeof *plan->layers);
        const size_t phases = (size_t)c->layers * FORWARD_PHASES_PER_LAYER + FORWARD_OTHER_PHASES;
        plan->phases = array_allocate(phases, sizeof *plan->phases);
        plan->phase_infos = array_allocate(phases, sizeof *plan->phase_infos);
        plan->times = array_allocate(phases, sizeof *plan->times);
        plan->projected = array_allocate((size_t)c->layers * c->kv_heads, sizeof *plan->projected);
    }
    RETURN_ERROR_IF(!plan || !plan->layers || !plan->phases || !plan->phase_infos || !plan->times || !plan->projected,
                    error, SMOLLM_ENOMEM, "out of memory for %u layers", c->layers);
    for (uint32_t i = 0; i < c->layers; i++) {
        plan->layers[i].forward = f;
        plan->layers[i].layer = i;
        plan->layers[i].projected = plan->projected + (size_t)i * c->kv_heads;
        describe_products(f, &f->weights->layers[i], &plan->layers[i]);
        int status = create_products(&plan->layers[i], error);
        if (status < 0)
            return status;
    }
    plan->head = (struct product){.kernels = &f->kernels,
                                  .whole = 1,
                                  .matrices = {&f->weights->head},
                                  .out_stride = {c->vocabulary},
                                  .count = 1,
                                  .input = &f->head_input};
    return product_create(&plan->head, error);
}

static void destroy_plan(struct forward_plan *plan, uint32_t layers)
{
    for (uint32_t i = 0; plan->layers && i < layers; i++) {
        product_destroy(&plan->layers[i].projections);
        product_destroy(&plan->layers[i].output);
        product_destroy(&plan->layers[i].gate_up);
        product_destroy(&plan->layers[i].down);
    }
    product_destroy(&plan->head);
    free(plan->layers);
    free(plan->phases);
    free(plan->phase_infos);
    free((void *)plan->times);
    free((void *)plan->projected);
    free(plan);
}

/* The number of floats for the rotated queries of one tile for each thread. */
static size_t queries_size(const struct model_config *c, unsigned threads)
{
    const size_t group = c->heads / c->kv_heads;
    return (group > ATTENTION_TILE_ROWS ? group : ATTENTION_TILE_ROWS) * c->head_dim * threads;
}

/* The number of floats of gate and up that a thread computes before it uses them: at least PRODUCT_MAX_WHOLE panels for
 * a lane. */
static size_t gated_size(uint32_t max_tokens)
{
    const size_t lane = (size_t)max_tokens / THREAD_POOL_MAX_LANES + FORWARD_UNIT_TOKENS;
    const size_t tokens = lane > FORWARD_LANE_ROWS ? lane : FORWARD_LANE_ROWS;
    const size_t min = tokens * PRODUCT_MAX_WHOLE * PANEL_ROWS;
    return 2 * ((min > PRODUCT_MAX_CACHED_RESULTS ? min : PRODUCT_MAX_CACHED_RESULTS) + tokens * FORWARD_GATED_PAD);
}

uint64_t forward_bytes(const struct model_config *c, unsigned threads, uint32_t planes, uint32_t max_tokens)
{
    const uint64_t q = query_size(c), kv = kv_size(c), floats = sizeof(float);
    /* int8 codes of each plane with their sums and scales: less than two bytes a value; both block sizes at most. */
    const uint64_t codes = 2 * 2 * (uint64_t)planes;
    const uint64_t for_token =
        floats * (c->hidden + q + 2 * kv + c->head_dim) + (floats + codes) * (2 * c->hidden + q) + codes * c->ffn + 64;
    const uint64_t for_thread = floats * (gated_size(max_tokens) + queries_size(c, 1)) + ATTENTION_SCRATCH_BYTES + 4096;
    return for_token * max_tokens + for_thread * threads + ((uint64_t)8 << 20); /* and partial results of attention */
}

int precise_parse(const char *name, uint64_t parameters, uint32_t *planes, struct smollm_error *error)
{
    if (!name || strcmp(name, "auto") == 0)
        *planes = parameters < PRECISE_PARAMETERS ? 2 : 1;
    else if (strcmp(name, "on") == 0)
        *planes = 2;
    else if (strcmp(name, "off") == 0)
        *planes = 1;
    else
        return error_set(error, SMOLLM_EINVAL, "unknown precision '%s'; it must be auto, on or off", name);
    return 0;
}

int forward_create(struct forward *f, const struct weights *weights, const struct kv_cache *cache,
                   struct thread_pool *pool, enum cpu_tier tier, uint32_t planes, uint32_t max_tokens,
                   struct smollm_error *error)
{
    const struct model_config *c = &weights->config;
    *f = (struct forward){.weights = weights, .cache = cache, .pool = pool, .max_tokens = max_tokens};
    kernel_table_fill(&f->kernels, tier);
    find_forms(f);
    f->residual = array_allocate((size_t)max_tokens * c->hidden, sizeof(float));
    f->projections = array_allocate((size_t)max_tokens * (query_size(c) + 2 * kv_size(c)), sizeof(float));
    f->cosine = array_allocate((size_t)max_tokens * weights->rope.pairs, sizeof(float));
    f->sine = array_allocate((size_t)max_tokens * weights->rope.pairs, sizeof(float));
    f->wanted = array_allocate(max_tokens, sizeof *f->wanted);
    f->places = array_allocate(max_tokens, sizeof *f->places);
    f->gated_stride = gated_size(max_tokens);
    f->gated = array_allocate(f->gated_stride * thread_pool_size(pool), sizeof(float));
    f->queries = array_allocate(queries_size(c, thread_pool_size(pool)), sizeof *f->queries);
    f->attention_scratch = array_allocate(thread_pool_size(pool), ATTENTION_SCRATCH_BYTES);
    int status = !f->queries || !f->attention_scratch || !f->residual || !f->projections || !f->gated || !f->cosine ||
                         !f->sine || !f->wanted || !f->places
                     ? error_set(error, SMOLLM_ENOMEM, "out of memory for passes of %u tokens", max_tokens)
                     : 0;
    if (status == 0)
        status = activations_create(&f->normed, c->hidden, max_tokens, planes,
                                    f->attention_forms | f->ffn_forms | ACTIVATIONS_FLOAT, error);
    if (status == 0)
        status =
            activations_create(&f->head_input, c->hidden, max_tokens, planes, f->head_forms | ACTIVATIONS_FLOAT, error);
    if (status == 0)
        status = activations_create(&f->attended, query_size(c), max_tokens, planes,
                                    f->attended_forms | ACTIVATIONS_FLOAT, error);
    if (status == 0)
        status = activations_create(&f->activated, c->ffn, max_tokens, planes, f->activated_forms, error);
    f->chosen_normed = f->normed;
    f->chosen_attended = f->attended;
    f->chosen_activated = f->activated;
    if (status == 0)
        status = attention_plan_create(&f->attention, c, thread_pool_size(pool), max_tokens, error);
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
    free(f->cosine);
    free(f->sine);
    free(f->wanted);
    free(f->places);
    free(f->queries);
    free(f->attention_scratch);
    free(f->gated);
    attention_plan_destroy(&f->attention);
    if (f->plan)
        destroy_plan(f->plan, f->weights->config.layers);
    activations_destroy(&f->normed);
    activations_destroy(&f->attended);
    activations_destroy(&f->activated);
    activations_destroy(&f->head_input);
    *f = (struct forward){0};
}
