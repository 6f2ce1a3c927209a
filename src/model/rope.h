/* Rotary position embedding: Su et al., "RoFormer", 2021; YaRN: Peng et al., 2023. */
#ifndef MODEL_ROPE_H
#define MODEL_ROPE_H

#include "model/config.h"

/* Frequencies of the pairs of a head's dimensions. */
struct rope {
    uint32_t pairs;
    float magnitude;      /* of cosine and sine: 1, or YaRN's attention factor */
    float frequency[128]; /* radians per position */
};

/* factors: rope_dims / 2 values that divide the frequencies (Llama 3), or NULL. */
void rope_create(struct rope *rope, const struct model_config *config, const float *factors);

/* The same with the factors of the file's tensor rope_freqs.weight, where it has one. */
int rope_read(struct rope *rope, const struct gguf_file *file, const struct model_config *config,
              struct smollm_error *error);

/* Cosines and sines of one position, `pairs` each; see struct rotate_args. */
void rope_angles(const struct rope *rope, uint32_t position, float *cosine, float *sine);

#endif
