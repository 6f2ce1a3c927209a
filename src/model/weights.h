/* The weights of a model, packed for the kernels. */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include "base/thread_pool.h"
#include "kernel/packed_matrix.h"
#include "model/config.h"
#include "model/rope.h"

struct layer_weights {
    float *attention_norm;                          /* [hidden] */
    float *ffn_norm;                                /* [hidden] */
    struct packed_matrix query, key, value, output; /* hidden -> heads * head_dim, kv_heads * head_dim (2), back */
    struct packed_matrix gate, up, down;            /* hidden -> ffn (2), back */
};

struct weights {
    struct model_config config;
    struct rope rope;
    struct layer_weights *layers;
    float *output_norm;             /* [hidden] */
    struct packed_matrix embedding; /* [vocabulary][hidden] */
    struct packed_matrix head;      /* the same where the file has no output.weight (tied) */
    bool tied;
    uint64_t parameters;
    void *block; /* all of the above in one piece */
    size_t block_bytes;
    uint64_t hash; /* of the file's metadata and of all bytes of its tensors */
};

/* Reads every tensor by pread, panel by panel, on all threads of the pool; nothing of the file stays in memory. Tensors
 * that are missing, have another shape or are not part of the architecture are errors that name them.
 * progress (may be NULL) is called from the calling thread with 0 to 1; false ends it with SMOLLM_ECANCELED. */
int weights_load(struct weights *weights, const struct gguf_file *file, const struct model_config *config,
                 struct thread_pool *pool, bool (*progress)(void *user, double fraction), void *progress_user,
                 struct smollm_error *error);
/* Accepts a zeroed struct. */
void weights_free(struct weights *weights);

/* What weights_load would take, without reading any weights. */
int weights_measure(const struct gguf_file *file, const struct model_config *config, uint64_t *bytes,
                    struct smollm_error *error);

#endif
