#include "model/reference.h"

#include "base/error.h"
#include "base/memory.h"
#include "kernel/arithmetic.h"
#include "kernel/kernel.h"
#include "model/weights.h"
#include "quant/quant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reference {
    const struct gguf_file *file;
    struct model_config config;
    struct rope rope;
    uint32_t context;
    uint32_t position;
    float *keys;   /* [layer][position][kv_heads * head_dim] */
    float *values; /* the same */
    /* Scratch, sized in reference_create. */
    float *x, *normed, *query, *attended, *gate, *up, *projected, *scores, *row, *cosine, *sine;
    uint8_t *raw;
    size_t raw_bytes;
    struct smollm_error *error;
    int status;
};

/* out[columns]: row `row` of a tensor. An error is kept in r->status. */
static void read_row(struct reference *r, const struct gguf_tensor *tensor, uint64_t row, float *out)
{
    size_t bytes = gguf_type_row_bytes(tensor->type, tensor->dims[0]);
    if (r->status == 0)
        r->status = gguf_tensor_read(r->file, tensor, row * bytes, bytes, r->raw, r->error);
    if (r->status == 0)
        r->status = quant_row_decode(tensor->type, r->raw, out, tensor->dims[0]);
}

static const struct gguf_tensor *layer_tensor(const struct reference *r, uint32_t layer, const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "blk.%u.%s.weight", layer, name);
    return gguf_tensor_find(r->file, full);
}

/* out[rows] = W x */
static void multiply(struct reference *r, const struct gguf_tensor *w, const float *x, float *out)
{
    for (uint64_t row = 0; row < w->dims[1]; row++) {
        read_row(r, w, row, r->row);
        float sum = 0.0f;
        for (uint64_t i = 0; i < w->dims[0]; i++)
            sum += r->row[i] * x[i];
        out[row] = sum;
    }
}

static void norm(struct reference *r, const struct gguf_tensor *weight, const float *x, float *out)
{
    float squares = 0.0f;
    for (uint32_t i = 0; i < r->config.hidden; i++)
        squares += x[i] * x[i];
    float scale = 1.0f / __builtin_sqrtf(squares / (float)r->config.hidden + r->config.norm_epsilon);
    read_row(r, weight, 0, r->row);
    for (uint32_t i = 0; i < r->config.hidden; i++)
        out[i] = x[i] * scale * r->row[i];
}

/* One query head over all positions so far. */
static void attend(struct reference *r, const float *query, const float *keys, const float *values, float *out)
{
    const struct model_config *c = &r->config;
    size_t stride = (size_t)c->kv_heads * c->head_dim;
    float scale = 1.0f / __builtin_sqrtf((float)c->head_dim), maximum = -__builtin_inff(), sum = 0.0f;
    for (uint32_t p = 0; p <= r->position; p++) {
        float score = 0.0f;
        for (uint32_t d = 0; d < c->head_dim; d++)
            score += query[d] * keys[p * stride + d];
        r->scores[p] = score * scale;
        maximum = r->scores[p] > maximum ? r->scores[p] : maximum;
    }
    for (uint32_t d = 0; d < c->head_dim; d++)
        out[d] = 0.0f;
    for (uint32_t p = 0; p <= r->position; p++) {
        float weight = float_exp(r->scores[p] - maximum);
        sum += weight;
        for (uint32_t d = 0; d < c->head_dim; d++)
            out[d] += weight * values[p * stride + d];
    }
    for (uint32_t d = 0; d < c->head_dim; d++)
        out[d] /= sum;
}

static void attention(struct reference *r, uint32_t layer)
{
    const struct model_config *c = &r->config;
    size_t kv_size = (size_t)c->kv_heads * c->head_dim, layer_at = (size_t)layer * r->context * kv_size;
    float *keys = r->keys + layer_at, *values = r->values + layer_at;
    float *key = keys + r->position * kv_size, *value = values + r->position * kv_size;
    norm(r, layer_tensor(r, layer, "attn_norm"), r->x, r->normed);
    multiply(r, layer_tensor(r, layer, "attn_q"), r->normed, r->query);
    multiply(r, layer_tensor(r, layer, "attn_k"), r->normed, key);
    multiply(r, layer_tensor(r, layer, "attn_v"), r->normed, value);
    if (model_config_layer_has_rope(c, layer)) {
        rotate_generic(&(struct rotate_args){r->query, c->heads, c->head_dim, r->rope.pairs, r->cosine, r->sine});
        rotate_generic(&(struct rotate_args){key, c->kv_heads, c->head_dim, r->rope.pairs, r->cosine, r->sine});
    }
    for (uint32_t head = 0; head < c->heads; head++) {
        size_t shared = (size_t)(head / (c->heads / c->kv_heads)) * c->head_dim, at = (size_t)head * c->head_dim;
        attend(r, r->query + at, keys + shared, values + shared, r->attended + at);
    }
    multiply(r, layer_tensor(r, layer, "attn_output"), r->attended, r->projected);
    for (uint32_t i = 0; i < c->hidden; i++)
        r->x[i] += r->projected[i];
}

static void feed_forward(struct reference *r, uint32_t layer)
{
    const struct model_config *c = &r->config;
    norm(r, layer_tensor(r, layer, "ffn_norm"), r->x, r->normed);
    multiply(r, layer_tensor(r, layer, "ffn_gate"), r->normed, r->gate);
    multiply(r, layer_tensor(r, layer, "ffn_up"), r->normed, r->up);
    for (uint32_t i = 0; i < c->ffn; i++)
        r->gate[i] = r->gate[i] / (1.0f + float_exp(-r->gate[i])) * r->up[i];
    multiply(r, layer_tensor(r, layer, "ffn_down"), r->gate, r->projected);
    for (uint32_t i = 0; i < c->hidden; i++)
        r->x[i] += r->projected[i];
}

int reference_step(struct reference *r, int32_t token, float *hidden, float *logits, struct smollm_error *error)
{
    const struct model_config *c = &r->config;
    RETURN_ERROR_IF(r->position >= r->context, error, SMOLLM_ECONTEXT,
                    "the reference has room for %u positions, and all are used", r->context);
    RETURN_ERROR_IF(token < 0 || (uint32_t)token >= c->vocabulary, error, SMOLLM_EINVAL,
                    "token %d is not in the vocabulary of %u", token, c->vocabulary);
    r->error = error;
    r->status = 0;
    rope_angles(&r->rope, r->position, r->cosine, r->sine);
    read_row(r, gguf_tensor_find(r->file, "token_embd.weight"), (uint64_t)token, r->x);
    for (uint32_t layer = 0; layer < c->layers && r->status == 0; layer++) {
        attention(r, layer);
        feed_forward(r, layer);
    }
    if ((hidden || logits) && r->status == 0)
        norm(r, gguf_tensor_find(r->file, "output_norm.weight"), r->x, r->normed);
    if (hidden && r->status == 0)
        memcpy(hidden, r->normed, c->hidden * sizeof *hidden);
    if (logits && r->status == 0) {
        const struct gguf_tensor *head = gguf_tensor_find(r->file, "output.weight");
        multiply(r, head ? head : gguf_tensor_find(r->file, "token_embd.weight"), r->normed, logits);
    }
    if (r->status == 0)
        r->position++;
    return r->status;
}

static int allocate(struct reference *r, struct smollm_error *error)
{
    const struct model_config *c = &r->config;
    size_t kv = (size_t)c->kv_heads * c->head_dim, query = (size_t)c->heads * c->head_dim;
    size_t widest = query > c->ffn ? query : c->ffn;
    widest = widest > c->hidden ? widest : c->hidden;
    const struct {
        float **array;
        size_t size;
    } arrays[] = {{&r->keys, kv * c->layers * r->context},
                  {&r->values, kv * c->layers * r->context},
                  {&r->x, c->hidden},
                  {&r->normed, c->hidden},
                  {&r->query, query},
                  {&r->attended, query},
                  {&r->gate, c->ffn},
                  {&r->up, c->ffn},
                  {&r->projected, c->hidden},
                  {&r->scores, r->context},
                  {&r->row, widest},
                  {&r->cosine, c->rope_dims / 2},
                  {&r->sine, c->rope_dims / 2}};
    bool failed = false;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i].array = array_allocate(arrays[i].size, sizeof(float));
        failed = failed || !*arrays[i].array;
    }
    r->raw = array_allocate(widest, sizeof(float));
    RETURN_ERROR_IF(failed || !r->raw, error, SMOLLM_ENOMEM, "out of memory for %u positions", r->context);
    return 0;
}

int reference_create(const struct gguf_file *file, const struct model_config *config, uint32_t context,
                     struct reference **result, struct smollm_error *error)
{
    *result = NULL;
    struct reference *r = calloc(1, sizeof *r);
    RETURN_ERROR_IF(!r, error, SMOLLM_ENOMEM, "out of memory");
    r->file = file;
    r->config = *config;
    r->context = context;
    int status = allocate(r, error);
    uint64_t bytes;
    if (status == 0) /* checks the shape of every tensor */
        status = weights_measure(file, config, &bytes, error);
    if (status == 0)
        status = rope_read(&r->rope, file, config, error);
    if (status < 0) {
        reference_destroy(r);
        return status;
    }
    *result = r;
    return 0;
}

void reference_destroy(struct reference *r)
{
    if (!r)
        return;
    float *arrays[] = {r->keys, r->values,    r->x,      r->normed, r->query,  r->attended, r->gate,
                       r->up,   r->projected, r->scores, r->row,    r->cosine, r->sine};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
    free(r->raw);
    free(r);
}
