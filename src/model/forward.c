#include "model/forward.h"

#include "base/error.h"
#include "base/memory.h"
#include "kernel/arithmetic.h"

#include <stdlib.h>

/* The matrices that read one input, run as one job so that their panels spread over all threads without a wait. */
enum { MOST_TOGETHER = 3 };
struct product {
    struct forward *forward;
    const struct packed_matrix *matrices[MOST_TOGETHER];
    float *out[MOST_TOGETHER];
    size_t out_stride[MOST_TOGETHER];
    int count;
    const struct activations *input;
    uint32_t tokens;
    bool add;
    uint32_t panels_per_unit;
};

static uint32_t query_size(const struct model_config *c)
{
    return c->heads * c->head_dim;
}

static uint32_t kv_size(const struct model_config *c)
{
    return c->kv_heads * c->head_dim;
}

static uint32_t units_of(const struct packed_matrix *matrix, uint32_t panels_per_unit)
{
    return (matrix->panels + panels_per_unit - 1) / panels_per_unit;
}

static void product_unit(void *user, uint32_t unit, unsigned thread)
{
    const struct product *p = user;
    int i = 0;
    while (unit >= units_of(p->matrices[i], p->panels_per_unit))
        unit -= units_of(p->matrices[i++], p->panels_per_unit);
    uint32_t first = unit * p->panels_per_unit, last = first + p->panels_per_unit;
    struct matmul_args args = {.weights = p->matrices[i],
                               .input = p->input,
                               .tokens = p->tokens,
                               .out = p->out[i],
                               .out_stride = p->out_stride[i],
                               .add = p->add,
                               .first_panel = first,
                               .last_panel = last < p->matrices[i]->panels ? last : p->matrices[i]->panels};
    p->forward->kernels.matmul(&args);
}

static void product_run(struct product *p)
{
    uint32_t panels = 0, units = 0;
    for (int i = 0; i < p->count; i++)
        panels += p->matrices[i]->panels;
    /* Enough units that a late thread costs little, few enough that handing them out costs nothing. */
    p->panels_per_unit = 1 + panels / (16 * thread_pool_size(p->forward->pool));
    for (int i = 0; i < p->count; i++)
        units += units_of(p->matrices[i], p->panels_per_unit);
    thread_pool_run(p->forward->pool, product_unit, p, units);
}

/* One token of `target`: normed from the residual and quantised. */
static void norm_token(struct forward *f, const float *residual, const float *weight, struct activations *target,
                       uint32_t token, unsigned forms)
{
    struct rmsnorm_args norm = {.x = residual,
                                .weight = weight,
                                .out = target->values + (size_t)token * target->columns,
                                .size = f->weights->config.hidden,
                                .epsilon = f->weights->config.norm_epsilon};
    f->kernels.rmsnorm(&norm);
    activations_quantise(target, &f->kernels, token, forms);
}

static float *residual_of(const struct forward *f, uint32_t token)
{
    return f->residual + (size_t)token * f->weights->config.hidden;
}

static void embed_unit(void *user, uint32_t token, unsigned thread)
{
    struct forward *f = user;
    packed_matrix_row(&f->weights->embedding, (uint32_t)f->tokens[token].id, residual_of(f, token));
    size_t pairs = f->weights->rope.pairs;
    rope_angles(&f->weights->rope, f->tokens[token].position, f->cosine + token * pairs, f->sine + token * pairs);
}

static void attention_norm_unit(void *user, uint32_t token, unsigned thread)
{
    struct forward *f = user;
    norm_token(f, residual_of(f, token), f->weights->layers[f->layer].attention_norm, &f->normed, token,
               f->attention_forms);
}

static void ffn_norm_unit(void *user, uint32_t token, unsigned thread)
{
    struct forward *f = user;
    norm_token(f, residual_of(f, token), f->weights->layers[f->layer].ffn_norm, &f->normed, token, f->ffn_forms);
}

static float *projections_of(const struct forward *f, uint32_t token)
{
    const struct model_config *c = &f->weights->config;
    return f->projections + (size_t)token * (query_size(c) + 2 * kv_size(c));
}

/* Rotates the queries and keys of one token and stores its keys and values. */
static void store_unit(void *user, uint32_t token, unsigned thread)
{
    struct forward *f = user;
    const struct model_config *c = &f->weights->config;
    const struct batch_token *t = &f->tokens[token];
    float *query = projections_of(f, token), *key = query + query_size(c), *value = key + kv_size(c);
    if (model_config_layer_has_rope(c, f->layer)) {
        const struct rope *rope = &f->weights->rope;
        const float *cosine = f->cosine + (size_t)token * rope->pairs, *sine = f->sine + (size_t)token * rope->pairs;
        rope_rotate(rope, cosine, sine, query, c->heads, c->head_dim);
        rope_rotate(rope, cosine, sine, key, c->kv_heads, c->head_dim);
    }
    kv_cache_write(f->cache, f->layer, t->pages[t->position / KV_PAGE_POSITIONS], t->position % KV_PAGE_POSITIONS, key,
                   value);
}

static void attention_unit(void *user, uint32_t unit, unsigned thread)
{
    struct forward *f = user;
    const struct model_config *c = &f->weights->config;
    /* Late tokens have the longest way: they go first. */
    uint32_t token = f->token_count - 1 - unit / c->kv_heads, kv_head = unit % c->kv_heads;
    uint32_t group = c->heads / c->kv_heads;
    size_t at = (size_t)kv_head * group * c->head_dim;
    struct attention_args args = {.q = projections_of(f, token) + at,
                                  .out = f->attended.values + (size_t)token * f->attended.columns + at,
                                  .heads = group,
                                  .head_dim = c->head_dim,
                                  .cache = kv_cache_base(f->cache, f->layer, kv_head),
                                  .pages = f->tokens[token].pages,
                                  .page_stride = f->cache->page_stride,
                                  .position = f->tokens[token].position,
                                  .scale = 1.0f / __builtin_sqrtf((float)c->head_dim)};
    f->kernels.attention(&args);
}

static void attended_unit(void *user, uint32_t token, unsigned thread)
{
    struct forward *f = user;
    activations_quantise(&f->attended, &f->kernels, token, f->attended_forms);
}

static void swiglu_unit(void *user, uint32_t token, unsigned thread)
{
    struct forward *f = user;
    size_t at = (size_t)token * f->weights->config.ffn;
    struct swiglu_args args = {.gate = f->activated.values + at,
                               .up = f->up + at,
                               .out = f->activated.values + at,
                               .size = f->weights->config.ffn};
    f->kernels.swiglu(&args);
    activations_quantise(&f->activated, &f->kernels, token, f->activated_forms);
}

static void run_attention(struct forward *f)
{
    const struct model_config *c = &f->weights->config;
    const struct layer_weights *w = &f->weights->layers[f->layer];
    size_t stride = query_size(c) + 2 * (size_t)kv_size(c);
    struct product projections = {
        .forward = f,
        .matrices = {&w->query, &w->key, &w->value},
        .out = {f->projections, f->projections + query_size(c), f->projections + query_size(c) + kv_size(c)},
        .out_stride = {stride, stride, stride},
        .count = 3,
        .input = &f->normed,
        .tokens = f->token_count};
    struct product output = {.forward = f,
                             .matrices = {&w->output},
                             .out = {f->residual},
                             .out_stride = {c->hidden},
                             .count = 1,
                             .input = &f->attended,
                             .tokens = f->token_count,
                             .add = true};
    thread_pool_run(f->pool, attention_norm_unit, f, f->token_count);
    product_run(&projections);
    thread_pool_run(f->pool, store_unit, f, f->token_count);
    thread_pool_run(f->pool, attention_unit, f, f->token_count * c->kv_heads);
    thread_pool_run(f->pool, attended_unit, f, f->token_count);
    product_run(&output);
}

static void run_ffn(struct forward *f)
{
    const struct model_config *c = &f->weights->config;
    const struct layer_weights *w = &f->weights->layers[f->layer];
    struct product gate_up = {.forward = f,
                              .matrices = {&w->gate, &w->up},
                              .out = {f->activated.values, f->up},
                              .out_stride = {c->ffn, c->ffn},
                              .count = 2,
                              .input = &f->normed,
                              .tokens = f->token_count};
    struct product down = {.forward = f,
                           .matrices = {&w->down},
                           .out = {f->residual},
                           .out_stride = {c->hidden},
                           .count = 1,
                           .input = &f->activated,
                           .tokens = f->token_count,
                           .add = true};
    thread_pool_run(f->pool, ffn_norm_unit, f, f->token_count);
    product_run(&gate_up);
    thread_pool_run(f->pool, swiglu_unit, f, f->token_count);
    product_run(&down);
}

/* The wanted rows are normed into the first places of `normed`. */
static void run_head(struct forward *f, float *logits)
{
    uint32_t wanted = 0;
    for (uint32_t token = 0; token < f->token_count; token++)
        if (f->tokens[token].wants_logits)
            norm_token(f, residual_of(f, token), f->weights->output_norm, &f->normed, wanted++, f->head_forms);
    if (wanted == 0)
        return;
    struct product head = {.forward = f,
                           .matrices = {&f->weights->head},
                           .out = {logits},
                           .out_stride = {f->weights->config.vocabulary},
                           .count = 1,
                           .input = &f->normed,
                           .tokens = wanted};
    product_run(&head);
}

void forward_run(struct forward *f, const struct batch_token *tokens, uint32_t count, float *logits)
{
    f->tokens = tokens;
    f->token_count = count;
    thread_pool_run(f->pool, embed_unit, f, count);
    for (f->layer = 0; f->layer < f->weights->config.layers; f->layer++) {
        run_attention(f);
        run_ffn(f);
    }
    run_head(f, logits);
}

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

int forward_create(struct forward *f, const struct weights *weights, const struct kv_cache *cache,
                   struct thread_pool *pool, enum cpu_tier tier, uint32_t most_tokens, struct smollm_error *error)
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
    int status = !f->residual || !f->projections || !f->up || !f->cosine || !f->sine
                     ? error_set(error, SMOLLM_ENOMEM, "out of memory for passes of %u tokens", most_tokens)
                     : 0;
    if (status == 0)
        status = activations_create(&f->normed, c->hidden, most_tokens,
                                    f->attention_forms | f->ffn_forms | f->head_forms, error);
    if (status == 0)
        status = activations_create(&f->attended, query_size(c), most_tokens, f->attended_forms, error);
    if (status == 0)
        status = activations_create(&f->activated, c->ffn, most_tokens, f->activated_forms, error);
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
    activations_destroy(&f->normed);
    activations_destroy(&f->attended);
    activations_destroy(&f->activated);
    *f = (struct forward){0};
}

size_t forward_bytes(const struct weights *weights, uint32_t most_tokens)
{
    const struct model_config *c = &weights->config;
    struct forward f = {.weights = weights};
    find_forms(&f);
    size_t floats = c->hidden + query_size(c) + 2 * kv_size(c) + c->ffn + 2 * weights->rope.pairs;
    return floats * most_tokens * sizeof(float) +
           activations_bytes(c->hidden, most_tokens, f.attention_forms | f.ffn_forms | f.head_forms) +
           activations_bytes(query_size(c), most_tokens, f.attended_forms) +
           activations_bytes(c->ffn, most_tokens, f.activated_forms);
}
