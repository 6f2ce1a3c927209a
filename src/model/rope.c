#include "model/rope.h"

#include "base/error.h"
#include "kernel/arithmetic.h"

/* YaRN: the (fractional) pair whose wave turns `rotations` times over the original context. */
static double correction_pair(double rotations, const struct model_config *config)
{
    const double two_pi = 6.283185307179586;
    return config->rope_dims * double_log(config->rope_original_context / (rotations * two_pi)) /
           (2.0 * double_log((double)config->rope_base));
}

static double whole(double x, bool up)
{
    /* A base close to 1 makes waves so alike that this is beyond all pairs. */
    x = x > 1e9 ? 1e9 : x > -1e9 ? x : -1e9;
    double down = (double)(int64_t)x;
    if (down > x)
        down -= 1.0;
    return up && down < x ? down + 1.0 : down;
}

static void scale_yarn(struct rope *rope, const struct model_config *config)
{
    const double beta_fast = 32.0, beta_slow = 1.0;
    double low = whole(correction_pair(beta_fast, config), false),
           high = whole(correction_pair(beta_slow, config), true);
    low = low < 0.0 ? 0.0 : low;
    high = high > config->rope_dims - 1.0 ? config->rope_dims - 1.0 : high;
    if (low == high)
        high += 0.001;
    double factor = (double)config->rope_factor;
    for (uint32_t i = 0; i < rope->pairs; i++) {
        double ramp = (i - low) / (high - low);
        ramp = ramp < 0.0 ? 0.0 : ramp > 1.0 ? 1.0 : ramp;
        double frequency = (double)rope->frequency[i];
        rope->frequency[i] = (float)(frequency / factor * ramp + frequency * (1.0 - ramp));
    }
    rope->magnitude = (float)(0.1 * double_log(factor) + 1.0);
}

void rope_create(struct rope *rope, const struct model_config *config, const float *factors)
{
    rope->pairs = config->rope_dims / 2;
    rope->magnitude = 1.0f;
    for (uint32_t i = 0; i < rope->pairs; i++) {
        rope->frequency[i] = (float)double_power((double)config->rope_base, -2.0 * i / config->rope_dims);
        if (factors)
            rope->frequency[i] /= factors[i];
        if (config->rope_scaling == ROPE_SCALING_LINEAR)
            rope->frequency[i] /= config->rope_factor;
    }
    if (config->rope_scaling == ROPE_SCALING_YARN)
        scale_yarn(rope, config);
}

int rope_read(struct rope *rope, const struct gguf_file *file, const struct model_config *config,
              struct smollm_error *error)
{
    const struct gguf_tensor *tensor = gguf_tensor_find(file, "rope_freqs.weight");
    if (!tensor) {
        rope_create(rope, config, NULL);
        return 0;
    }
    float factors[128];
    uint32_t pairs = config->rope_dims / 2;
    RETURN_ERROR_IF(tensor->type != GGUF_F32 || tensor->elements != pairs, error, SMOLLM_EFORMAT,
                    "tensor rope_freqs.weight must be %u values of F32", pairs);
    int status = gguf_tensor_read(file, tensor, 0, tensor->size, factors, error);
    if (status < 0)
        return status;
    for (uint32_t i = 0; i < pairs; i++)
        RETURN_ERROR_IF(!(factors[i] > 0.0f && factors[i] < 1e9f), error, SMOLLM_EFORMAT,
                        "tensor rope_freqs.weight holds %g", (double)factors[i]);
    rope_create(rope, config, factors);
    return 0;
}

void rope_angles(const struct rope *rope, uint32_t position, float *cosine, float *sine)
{
    for (uint32_t i = 0; i < rope->pairs; i++) {
        double s, c;
        /* The angle is a float, as in the implementation that the models were trained with. */
        double_sincos((double)((float)position * rope->frequency[i]), &s, &c);
        cosine[i] = (float)c * rope->magnitude;
        sine[i] = (float)s * rope->magnitude;
    }
}
