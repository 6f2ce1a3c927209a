/* The hyperparameters of a model, read from a GGUF file's metadata and checked. */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include "gguf/gguf.h"

#include <stdbool.h>
#include <stdint.h>

enum rope_scaling { ROPE_SCALING_NONE, ROPE_SCALING_LINEAR, ROPE_SCALING_YARN };

struct model_config {
    const char *architecture; /* "llama" or "smollm3" */
    uint32_t layers;
    uint32_t hidden;   /* embedding_length */
    uint32_t ffn;      /* feed_forward_length */
    uint32_t heads;    /* query heads */
    uint32_t kv_heads; /* divides heads */
    uint32_t head_dim;
    uint32_t vocabulary;
    uint32_t context;   /* positions, with the scaling in force */
    uint32_t rope_dims; /* the first so many of head_dim are rotated, in adjacent pairs */
    float rope_base;
    float norm_epsilon;
    uint32_t nope_interval; /* layer l has no RoPE where (l + 1) % nope_interval == 0; 0: all have it */
    enum rope_scaling rope_scaling;
    float rope_factor;
    uint32_t rope_original_context; /* YaRN */
};

/* What the caller wants different from the file; zero: nothing. */
struct model_config_options {
    const char *rope_scaling; /* NULL, "none", "yarn" */
    float rope_scale;
    uint32_t yarn_original_context;
};

/* SMOLLM_EUNSUPPORTED for an architecture or feature that is not known, SMOLLM_EFORMAT for a value out of range. */
int model_config_read(struct model_config *config, const struct gguf_file *file,
                      const struct model_config_options *options, struct smollm_error *error);

bool model_config_layer_has_rope(const struct model_config *config, uint32_t layer);

#endif
