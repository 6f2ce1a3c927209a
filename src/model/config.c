#include "model/config.h"

#include "base/error.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* Hyperparameters that every file must have, and what is sensible for them. */
struct range {
    const char *key;
    uint32_t min;
    uint32_t max;
};

static const char *const architectures[] = {"llama", "smollm3"};

/* Keys that would change the forward pass in ways that we do not compute; they must be absent or zero. */
static const char *const refused[] = {"expert_count", "attention.sliding_window", "attention.clamp_kqv",
                                      "attention.max_alibi_bias"};

static void key_of(char key[96], const struct model_config *config, const char *name)
{
    snprintf(key, 96, "%s.%s", config->architecture, name);
}

static int read_u32(const struct model_config *config, const struct gguf_file *file, const struct range *range,
                    uint32_t *value, struct smollm_error *error)
{
    char key[96];
    key_of(key, config, range->key);
    int status = gguf_get_u32(file, key, value, error);
    if (status < 0)
        return status;
    RETURN_ERROR_IF(*value < range->min || *value > range->max, error, SMOLLM_EFORMAT,
                    "%s is %u; it must be from %u to %u", key, *value, range->min, range->max);
    return 0;
}

static int read_optional_u32(const struct model_config *config, const struct gguf_file *file, const struct range *range,
                             uint32_t *value, struct smollm_error *error)
{
    char key[96];
    key_of(key, config, range->key);
    return gguf_has(file, key) ? read_u32(config, file, range, value, error) : 0;
}

static int read_float(const struct model_config *config, const struct gguf_file *file, const char *name, float min,
                      float max, float *value, struct smollm_error *error)
{
    char key[96];
    key_of(key, config, name);
    int status = gguf_get_f32(file, key, value, error);
    if (status < 0)
        return status;
    RETURN_ERROR_IF(!(*value >= min && *value <= max), error, SMOLLM_EFORMAT, "%s is %g; it must be from %g to %g", key,
                    (double)*value, (double)min, (double)max);
    return 0;
}

static int read_vocabulary(struct model_config *config, const struct gguf_file *file, struct smollm_error *error)
{
    const struct gguf_tensor *embedding = gguf_tensor_find(file, "token_embd.weight");
    RETURN_ERROR_IF(!embedding, error, SMOLLM_EFORMAT, "tensor token_embd.weight is missing");
    RETURN_ERROR_IF(embedding->dims[1] < 2 || embedding->dims[1] > 1u << 24, error, SMOLLM_EFORMAT,
                    "token_embd.weight has %llu rows; it must have 2 to %u", (unsigned long long)embedding->dims[1],
                    1u << 24);
    config->vocabulary = (uint32_t)embedding->dims[1];
    return 0;
}

static int read_shape(struct model_config *config, const struct gguf_file *file, struct smollm_error *error)
{
    const struct {
        struct range range;
        uint32_t *value;
    } needed[] = {
        {{"block_count", 1, 1024}, &config->layers},          {{"embedding_length", 2, 65536}, &config->hidden},
        {{"feed_forward_length", 1, 1u << 20}, &config->ffn}, {{"attention.head_count", 1, 1024}, &config->heads},
        {{"context_length", 1, 1u << 24}, &config->context},
    };
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        int status = read_u32(config, file, &needed[i].range, needed[i].value, error);
        if (status < 0)
            return status;
    }
    config->kv_heads = config->heads;
    config->head_dim = config->hidden / config->heads;
    uint32_t value_dim;
    const struct range kv_heads = {"attention.head_count_kv", 1, 1024}, dim = {"attention.key_length", 2, 256},
                       values = {"attention.value_length", 2, 256}, rope = {"rope.dimension_count", 2, 256};
    int status = read_optional_u32(config, file, &kv_heads, &config->kv_heads, error);
    if (status == 0)
        status = read_optional_u32(config, file, &dim, &config->head_dim, error);
    value_dim = config->rope_dims = config->head_dim;
    if (status == 0)
        status = read_optional_u32(config, file, &values, &value_dim, error);
    if (status == 0)
        status = read_optional_u32(config, file, &rope, &config->rope_dims, error);
    if (status < 0)
        return status;
    RETURN_ERROR_IF(config->heads % config->kv_heads, error, SMOLLM_EFORMAT,
                    "%u query heads are not a multiple of %u key and value heads", config->heads, config->kv_heads);
    RETURN_ERROR_IF(config->head_dim < 2 || config->head_dim > 256 || config->head_dim % 2, error, SMOLLM_EUNSUPPORTED,
                    "heads have %u dimensions; an even number from 2 to 256 is supported", config->head_dim);
    RETURN_ERROR_IF(value_dim != config->head_dim, error, SMOLLM_EUNSUPPORTED,
                    "values have %u dimensions and keys %u; only equal numbers are supported", value_dim,
                    config->head_dim);
    RETURN_ERROR_IF(config->rope_dims > config->head_dim || config->rope_dims % 2, error, SMOLLM_EFORMAT,
                    "rope.dimension_count is %u; it must be even and at most the %u dimensions of a head",
                    config->rope_dims, config->head_dim);
    return read_vocabulary(config, file, error);
}

static int read_factor(struct model_config *config, const struct gguf_file *file, const char *name,
                       struct smollm_error *error)
{
    int status = read_float(config, file, name, 0.0f, 1024.0f, &config->rope_factor, error);
    if (status == 0 && config->rope_factor == 0.0f)
        config->rope_factor = 1.0f;
    RETURN_ERROR_IF(status == 0 && config->rope_factor < 1.0f, error, SMOLLM_EFORMAT,
                    "%s.%s is %g; it must be 0 or from 1 to 1024", config->architecture, name,
                    (double)config->rope_factor);
    return status;
}

static int read_scaling(struct model_config *config, const struct gguf_file *file,
                        const struct model_config_options *options, struct smollm_error *error)
{
    char key[96];
    /* As llama.cpp reads them: a factor without a type is linear, and 0 means none. */
    struct smollm_text type = text_of("linear");
    config->rope_factor = 1.0f;
    config->rope_original_context = config->context;
    key_of(key, config, "rope.scaling.type");
    int status = gguf_has(file, key) ? gguf_get_text(file, key, &type, error) : 0;
    key_of(key, config, "rope.scaling.factor");
    const bool has_factor = gguf_has(file, key);
    if (status == 0 && has_factor)
        status = read_factor(config, file, "rope.scaling.factor", error);
    key_of(key, config, "rope.scale_linear"); /* its name in files of 2023 */
    if (status == 0 && !has_factor && gguf_has(file, key))
        status = read_factor(config, file, "rope.scale_linear", error);
    const struct range original = {"rope.scaling.original_context_length", 1, 1u << 24};
    if (status == 0)
        status = read_optional_u32(config, file, &original, &config->rope_original_context, error);
    if (status < 0)
        return status;
    const char *wanted = options ? options->rope_scaling : NULL;
    if (wanted) {
        type = text_of(wanted);
        config->rope_factor = options->rope_scale > 0 ? options->rope_scale : 2.0f;
        if (options->yarn_original_context > 0)
            config->rope_original_context = options->yarn_original_context;
        RETURN_ERROR_IF(!(config->rope_factor >= 1.0f && config->rope_factor <= 1024.0f), error, SMOLLM_EINVAL,
                        "rope_scale is %g; it must be from 1 to 1024", (double)config->rope_factor);
        RETURN_ERROR_IF(config->rope_original_context > 1u << 24, error, SMOLLM_EINVAL,
                        "yarn_original_context is %u; it must be from 1 to %u", config->rope_original_context,
                        1u << 24);
    }
    if (text_is(type, "none") || config->rope_factor == 1.0f) {
        config->rope_scaling = ROPE_SCALING_NONE;
    } else if (text_is(type, "linear")) {
        config->rope_scaling = ROPE_SCALING_LINEAR;
    } else if (text_is(type, "yarn")) {
        RETURN_ERROR_IF(!(config->rope_base > 1.0f), error, SMOLLM_EFORMAT,
                        "%s.rope.freq_base is %g; YaRN needs a base above 1", config->architecture,
                        (double)config->rope_base);
        config->rope_scaling = ROPE_SCALING_YARN;
        double extended = (double)config->rope_original_context * (double)config->rope_factor;
        if (extended > config->context)
            config->context = extended < (double)(1u << 24) ? (uint32_t)extended : 1u << 24;
    } else {
        return error_set(error, wanted ? SMOLLM_EINVAL : SMOLLM_EUNSUPPORTED,
                         "RoPE scaling '%.*s' is not supported; none, linear and yarn are",
                         (int)(type.size < 63 ? type.size : 63), type.data);
    }
    return 0;
}

int model_config_read(struct model_config *config, const struct gguf_file *file,
                      const struct model_config_options *options, struct smollm_error *error)
{
    *config = (struct model_config){0};
    struct smollm_text architecture;
    int status = gguf_get_text(file, "general.architecture", &architecture, error);
    if (status < 0)
        return status;
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++)
        if (text_is(architecture, architectures[i]))
            config->architecture = architectures[i];
    RETURN_ERROR_IF(!config->architecture, error, SMOLLM_EUNSUPPORTED,
                    "architecture '%.*s' is not supported; llama and smollm3 are",
                    (int)(architecture.size < 64 ? architecture.size : 64), architecture.data);
    config->nope_interval = text_is(architecture, "smollm3") ? 4 : 0;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char key[96];
        uint32_t value = 1;
        key_of(key, config, refused[i]);
        RETURN_ERROR_IF(gguf_has(file, key) && (gguf_get_u32(file, key, &value, NULL) < 0 || value != 0), error,
                        SMOLLM_EUNSUPPORTED, "models with %s are not supported", key);
    }
    if ((status = read_shape(config, file, error)) < 0)
        return status;
    config->rope_base = 10000.0f;
    char key[96];
    key_of(key, config, "rope.freq_base");
    if (gguf_has(file, key))
        status = read_float(config, file, "rope.freq_base", 1.0f, 1e12f, &config->rope_base, error);
    if (status == 0)
        status = read_float(config, file, "attention.layer_norm_rms_epsilon", 0.0f, 1.0f, &config->norm_epsilon, error);
    return status < 0 ? status : read_scaling(config, file, options, error);
}

bool model_config_layer_has_rope(const struct model_config *config, uint32_t layer)
{
    return config->nope_interval == 0 || (layer + 1) % config->nope_interval != 0;
}
