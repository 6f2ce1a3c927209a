/* The input of a matrix product, for a number of tokens, in the forms that the types of the weights need.
 *
 * A model mixes types (attn_v may be Q6_K where attn_q is Q4_K), so one input may be wanted as int8 in blocks of 256
 * and again in blocks of 32 or as float; activations_quantize makes the forms that are asked for. */
#ifndef KERNEL_ACTIVATIONS_H
#define KERNEL_ACTIVATIONS_H

#include "kernel/kernel.h"

/* Bits that are combined in activations.forms. */
enum { ACTIVATIONS_FLOAT = 1, ACTIVATIONS_INT8_32 = 2, ACTIVATIONS_INT8_256 = 4 };

struct activations {
    uint32_t columns;
    uint32_t tokens; /* in the current content; set before anything is written */
    uint32_t planes; /* of the int8 forms: 1, or 2 when the remainders are coded too (docs/numerics.md) */
    float *values;   /* [token][columns]; NULL when not needed */
    /* Index 0: blocks of 32, 1: blocks of 256; NULL where the model has no weights of the kind.
     * A row is a token's plane, [token][plane]. */
    struct activations_int8 {
        int8_t *codes;   /* [columns / block][rows][block], so that a block of all tokens is contiguous */
        float *scales;   /* [columns / block][rows] */
        int16_t *sums16; /* [columns / block][rows][block / 16] */
        int16_t *sums32; /* [columns / block][rows][block / 32] */
        uint8_t *large;  /* [columns / block][rows], see struct quantize_args; blocks of 32: NULL */
    } int8[2];
};

/* The form that a matrix needs. */
unsigned activations_form(const struct packed_layout *layout);

/* Allocates the given forms; ACTIVATIONS_FLOAT stands for values. */
int activations_create(struct activations *activations, uint32_t columns, uint32_t tokens, uint32_t planes,
                       unsigned forms, struct smollm_error *error);
/* Accepts a zeroed struct. */
void activations_destroy(struct activations *activations);

/* Whether each run of `columns` columns can be quantized on its own, which holds when it is whole blocks of all forms.
 */
bool activations_can_split(unsigned forms, uint32_t columns);

/* Makes the int8 forms of `count` columns of one token from its values, or from those given; first and count are whole
 * blocks. */
void activations_quantize(const struct activations *activations, const struct kernel_table *kernels, uint32_t token,
                          uint32_t first, uint32_t count, unsigned forms);
void activations_quantize_values(const struct activations *activations, const struct kernel_table *kernels,
                                 const float *values, uint32_t token, uint32_t first, uint32_t count, unsigned forms);

#endif
