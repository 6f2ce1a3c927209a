#include "model/weights.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "quant/quant.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, MATRICES_PER_LAYER = 7, VECTORS_PER_LAYER = 2 };

/* What a tensor of the file becomes. */
struct target {
    const struct gguf_tensor *tensor;
    struct packed_matrix *matrix; /* or */
    float **vector;
    size_t offset; /* in the block */
};

struct plan {
    struct target *targets;
    size_t count;
    size_t bytes;
};

static int plan_tensor(struct plan *plan, const struct gguf_file *file, const char *name, uint32_t columns,
                       uint32_t rows, struct packed_matrix *matrix, float **vector, struct smollm_error *error)
{
    const struct gguf_tensor *tensor = gguf_tensor_find(file, name);
    RETURN_ERROR_IF(!tensor, error, SMOLLM_EFORMAT, "tensor %s is missing", name);
    RETURN_ERROR_IF(tensor->dims[0] != columns || tensor->dims[1] != rows || tensor->dims[2] != 1 ||
                        tensor->dims[3] != 1,
                    error, SMOLLM_EFORMAT, "tensor %s has shape %llu x %llu, expected %u x %u", name,
                    (unsigned long long)tensor->dims[0], (unsigned long long)tensor->dims[1], columns, rows);
    size_t bytes = (size_t)columns * sizeof(float);
    if (matrix) {
        int status = packed_matrix_describe(matrix, tensor->type, rows, columns, error);
        if (status < 0) {
            error_prefix(error, "tensor %s", name);
            return status;
        }
        bytes = packed_matrix_bytes(matrix);
    }
    plan->targets[plan->count++] =
        (struct target){.tensor = tensor, .matrix = matrix, .vector = vector, .offset = plan->bytes};
    RETURN_ERROR_IF(!size_add(plan->bytes, bytes, &plan->bytes) || plan->bytes > SIZE_MAX / 2, error, SMOLLM_ELIMIT,
                    "the weights do not fit into memory");
    plan->bytes = size_align(plan->bytes, ALIGNMENT);
    return 0;
}

static int plan_layer(struct plan *plan, const struct gguf_file *file, const struct model_config *c, uint32_t layer,
                      struct layer_weights *w, struct smollm_error *error)
{
    uint32_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    const struct {
        const char *name;
        uint32_t columns, rows;
        struct packed_matrix *matrix;
        float **vector;
    } tensors[MATRICES_PER_LAYER + VECTORS_PER_LAYER] = {
        {"attn_norm", c->hidden, 1, NULL, &w->attention_norm},
        {"attn_q", c->hidden, q, &w->query, NULL},
        {"attn_k", c->hidden, kv, &w->key, NULL},
        {"attn_v", c->hidden, kv, &w->value, NULL},
        {"attn_output", q, c->hidden, &w->output, NULL},
        {"ffn_norm", c->hidden, 1, NULL, &w->ffn_norm},
        {"ffn_gate", c->hidden, c->ffn, &w->gate, NULL},
        {"ffn_up", c->hidden, c->ffn, &w->up, NULL},
        {"ffn_down", c->ffn, c->hidden, &w->down, NULL},
    };
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%u.%s.weight", layer, tensors[i].name);
        int status = plan_tensor(plan, file, name, tensors[i].columns, tensors[i].rows, tensors[i].matrix,
                                 tensors[i].vector, error);
        if (status < 0)
            return status;
    }
    return 0;
}

/* A tensor that the forward pass does not use (biases, experts, norms of heads) belongs to a different architecture. */
static int refuse_others(const struct plan *plan, const struct gguf_file *file, struct smollm_error *error)
{
    size_t known = plan->count + (gguf_tensor_find(file, "rope_freqs.weight") != NULL);
    if (gguf_tensor_count(file) == known)
        return 0;
    for (size_t i = 0; i < gguf_tensor_count(file); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(file, i);
        bool found = text_is(tensor->name, "rope_freqs.weight");
        for (size_t k = 0; k < plan->count && !found; k++)
            found = plan->targets[k].tensor == tensor;
        RETURN_ERROR_IF(!found, error, SMOLLM_EUNSUPPORTED, "tensor %.*s is not part of the architecture",
                        (int)(tensor->name.size < 255 ? tensor->name.size : 255), tensor->name.data);
    }
    return 0;
}

static int plan_all(struct plan *plan, struct weights *w, const struct gguf_file *file, struct smollm_error *error)
{
    const struct model_config *c = &w->config;
    *plan = (struct plan){0};
    size_t max = (size_t)c->layers * (MATRICES_PER_LAYER + VECTORS_PER_LAYER) + 3;
    RETURN_ERROR_IF(gguf_tensor_count(file) + 1 < max - 1, error, SMOLLM_EFORMAT,
                    "the file has %zu tensors, too few for %u layers", gguf_tensor_count(file), c->layers);
    plan->targets = array_allocate(max, sizeof *plan->targets);
    w->layers = array_allocate(c->layers, sizeof *w->layers);
    RETURN_ERROR_IF(!plan->targets || !w->layers, error, SMOLLM_ENOMEM, "out of memory for %u layers", c->layers);
    int status = plan_tensor(plan, file, "token_embd.weight", c->hidden, c->vocabulary, &w->embedding, NULL, error);
    for (uint32_t layer = 0; layer < c->layers && status == 0; layer++)
        status = plan_layer(plan, file, c, layer, &w->layers[layer], error);
    if (status == 0)
        status = plan_tensor(plan, file, "output_norm.weight", c->hidden, 1, NULL, &w->output_norm, error);
    w->tied = gguf_tensor_find(file, "output.weight") == NULL;
    if (status == 0 && !w->tied)
        status = plan_tensor(plan, file, "output.weight", c->hidden, c->vocabulary, &w->head, NULL, error);
    return status < 0 ? status : refuse_others(plan, file, error);
}

struct loading {
    const struct gguf_file *file;
    const struct target *target;
    uint8_t *buffers; /* row_bytes * PANEL_ROWS for each thread */
    size_t buffer_bytes;
    size_t row_bytes;
    uint32_t first_panel; /* of the panels that are being loaded */
    _Atomic int status;
    _Atomic uint64_t *hash;     /* of the weights: a sum, since panels are loaded in any order */
    uint64_t seed;              /* of this tensor */
    struct smollm_error *error; /* written by the first thread that fails */
    _Atomic bool failed;
};

static void load_panel(void *user, uint32_t unit, unsigned thread)
{
    struct loading *l = user;
    struct packed_matrix *matrix = l->target->matrix;
    const uint32_t panel = l->first_panel + unit;
    if (atomic_load_explicit(&l->failed, memory_order_relaxed))
        return;
    uint32_t first = panel * PANEL_ROWS;
    uint32_t rows = matrix->rows - first < PANEL_ROWS ? matrix->rows - first : PANEL_ROWS;
    uint8_t *buffer = l->buffers + thread * l->buffer_bytes;
    struct smollm_error error;
    int status = gguf_tensor_read(l->file, l->target->tensor, (uint64_t)first * l->row_bytes, rows * l->row_bytes,
                                  buffer, &error);
    if (status < 0) {
        if (!atomic_exchange(&l->failed, true)) {
            if (l->error)
                *l->error = error;
            atomic_store(&l->status, status);
        }
        return;
    }
    atomic_fetch_add(l->hash, hash_block(buffer, rows * l->row_bytes, hash_mix(l->seed + first)));
    packed_matrix_pack(matrix, panel, buffer, l->row_bytes);
}

/* Who is told about progress, and may cancel. */
struct reporting {
    bool (*progress)(void *user, double fraction);
    void *user;
    double all; /* bytes of all weights */
};

static int report(const struct reporting *reporting, double bytes, struct smollm_error *error)
{
    RETURN_ERROR_IF(reporting->progress && !reporting->progress(reporting->user, bytes / reporting->all), error,
                    SMOLLM_ECANCELED, "loading was interrupted");
    return 0;
}

/* The number of panels between two reports, which is some megabytes. */
enum { PANELS_PER_REPORT = 64 };

static int load_matrix(const struct gguf_file *file, const struct target *target, struct thread_pool *pool,
                       uint8_t *buffers, size_t buffer_bytes, const struct reporting *reporting, _Atomic uint64_t *hash,
                       struct smollm_error *error)
{
    struct loading loading = {.file = file,
                              .target = target,
                              .buffers = buffers,
                              .buffer_bytes = buffer_bytes,
                              .row_bytes = gguf_type_row_bytes(target->tensor->type, target->matrix->columns),
                              .hash = hash,
                              .seed = hash_bytes(target->tensor->name.data, target->tensor->name.size, 0),
                              .error = error};
    const uint32_t panels = target->matrix->panels;
    int status = 0;
    for (; loading.first_panel < panels && status == 0; loading.first_panel += PANELS_PER_REPORT) {
        const uint32_t left = panels - loading.first_panel;
        thread_pool_run(pool, load_panel, &loading, left < PANELS_PER_REPORT ? left : PANELS_PER_REPORT);
        status = atomic_load(&loading.status);
        if (status == 0)
            status = report(
                reporting, (double)target->offset + (double)target->tensor->size * loading.first_panel / panels, error);
    }
    return status;
}

static int load_vector(const struct gguf_file *file, const struct gguf_tensor *tensor, float *out, uint8_t *buffer,
                       _Atomic uint64_t *hash, struct smollm_error *error)
{
    int status = gguf_tensor_read(file, tensor, 0, tensor->size, buffer, error);
    if (status == 0)
        atomic_fetch_add(hash, hash_block(buffer, tensor->size, hash_bytes(tensor->name.data, tensor->name.size, 1)));
    if (status == 0)
        status = quant_row_decode(tensor->type, buffer, out, tensor->dims[0]);
    return status;
}

static int load_all(struct weights *w, const struct plan *plan, const struct gguf_file *file, struct thread_pool *pool,
                    bool (*progress)(void *user, double fraction), void *progress_user, struct smollm_error *error)
{
    size_t buffer_bytes = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct gguf_tensor *tensor = plan->targets[i].tensor;
        size_t bytes = gguf_type_row_bytes(tensor->type, tensor->dims[0]) * PANEL_ROWS;
        buffer_bytes = bytes > buffer_bytes ? bytes : buffer_bytes;
    }
    buffer_bytes = size_align(buffer_bytes, ALIGNMENT);
    uint8_t *buffers = array_allocate(thread_pool_size(pool), buffer_bytes);
    RETURN_ERROR_IF(!buffers, error, SMOLLM_ENOMEM, "out of memory for loading");
    _Atomic uint64_t hash = 0;
    const struct reporting reporting = {progress, progress_user, (double)plan->bytes};
    int status = report(&reporting, 0, error);
    for (size_t i = 0; i < plan->count && status == 0; i++) {
        const struct target *target = &plan->targets[i];
        uint8_t *place = (uint8_t *)w->block + target->offset;
        if (target->matrix) {
            target->matrix->data = place;
            status = load_matrix(file, target, pool, buffers, buffer_bytes, &reporting, &hash, error);
        } else {
            *target->vector = (float *)(void *)place;
            status = load_vector(file, target->tensor, *target->vector, buffers, &hash, error);
        }
        w->parameters += target->tensor->elements;
    }
    free(buffers);
    w->hash = hash_mix(atomic_load(&hash) + gguf_metadata_hash(file));
    return status < 0 ? status : rope_read(&w->rope, file, &w->config, error);
}

int weights_load(struct weights *w, const struct gguf_file *file, const struct model_config *config,
                 struct thread_pool *pool, bool (*progress)(void *user, double fraction), void *progress_user,
                 struct smollm_error *error)
{
    *w = (struct weights){.config = *config};
    struct plan plan;
    int status = plan_all(&plan, w, file, error);
    if (status == 0) {
        w->block_bytes = plan.bytes;
        w->block = pages_allocate(plan.bytes);
        if (!w->block)
            status = error_set(error, SMOLLM_ENOMEM, "out of memory for %.1f MiB of weights",
                               (double)plan.bytes / 1048576.0);
    }
    if (status == 0)
        status = load_all(w, &plan, file, pool, progress, progress_user, error);
    if (status == 0 && w->tied)
        w->head = w->embedding;
    free(plan.targets);
    if (status < 0)
        weights_free(w);
    return status;
}

void weights_free(struct weights *w)
{
    free(w->layers);
    pages_free(w->block, w->block_bytes);
    *w = (struct weights){0};
}

int weights_measure(const struct gguf_file *file, const struct model_config *config, uint64_t *bytes,
                    struct smollm_error *error)
{
    struct weights w = {.config = *config};
    struct plan plan;
    int status = plan_all(&plan, &w, file, error);
    *bytes = plan.bytes;
    free(plan.targets);
    free(w.layers);
    return status;
}
