#include "kernel/activations.h"

#include "base/memory.h"

#include <stdlib.h>

static const uint32_t block_of[2] = {32, 256};
static const unsigned form_of[2] = {ACTIVATIONS_INT8_32, ACTIVATIONS_INT8_256};

unsigned activations_form(const struct packed_layout *layout)
{
    return layout->block_columns == 256  ? ACTIVATIONS_INT8_256
           : layout->block_columns == 32 ? ACTIVATIONS_INT8_32
                                         : ACTIVATIONS_FLOAT;
}

int activations_create(struct activations *a, uint32_t columns, uint32_t tokens, uint32_t planes, unsigned forms,
                       struct smollm_error *error)
{
    *a = (struct activations){.columns = columns, .planes = planes};
    const size_t count = (size_t)columns * tokens * planes;
    if (forms & ACTIVATIONS_FLOAT)
        a->values = array_allocate((size_t)columns * tokens, sizeof *a->values);
    bool failed = (forms & ACTIVATIONS_FLOAT) && !a->values;
    for (int i = 0; i < 2; i++) {
        if (!(forms & form_of[i]))
            continue;
        struct activations_int8 *form = &a->int8[i];
        form->codes = array_allocate(count, 1);
        form->scales = array_allocate(count / block_of[i], sizeof *form->scales);
        form->sums16 = array_allocate(count / 16, sizeof *form->sums16);
        form->sums32 = array_allocate(count / 32, sizeof *form->sums32);
        failed = failed || !form->codes || !form->scales || !form->sums16 || !form->sums32;
        if (block_of[i] == 256) {
            form->large = array_allocate(count / 256, sizeof *form->large);
            failed = failed || !form->large;
        }
    }
    if (failed) {
        activations_destroy(a);
        return error_set(error, SMOLLM_ENOMEM, "out of memory for activations of %u tokens", tokens);
    }
    return 0;
}

void activations_destroy(struct activations *a)
{
    free(a->values);
    for (int i = 0; i < 2; i++) {
        free(a->int8[i].codes);
        free(a->int8[i].scales);
        free(a->int8[i].sums16);
        free(a->int8[i].sums32);
        free(a->int8[i].large);
    }
    *a = (struct activations){0};
}

bool activations_can_split(unsigned forms, uint32_t columns)
{
    for (int i = 0; i < 2; i++)
        if ((forms & form_of[i]) && columns % block_of[i])
            return false;
    return true;
}

void activations_quantize(const struct activations *a, const struct kernel_table *kernels, uint32_t token,
                          uint32_t first, uint32_t count, unsigned forms)
{
    activations_quantize_values(a, kernels, a->values + (size_t)token * a->columns + first, token, first, count, forms);
}

void activations_quantize_values(const struct activations *a, const struct kernel_table *kernels, const float *values,
                                 uint32_t token, uint32_t first, uint32_t count, unsigned forms)
{
    for (int i = 0; i < 2; i++) {
        if (!(forms & form_of[i]))
            continue;
        const size_t block = block_of[i], rows = (size_t)a->tokens * a->planes,
                     at = first / block * rows + (size_t)token * a->planes;
        struct quantize_args args = {
            .x = values,
            .size = count,
            .block = block_of[i],
            .stride = (uint32_t)rows,
            .planes = a->planes,
            .codes = a->int8[i].codes + at * block,
            .scales = a->int8[i].scales + at,
            .sums16 = a->int8[i].sums16 + at * (block / 16),
            .sums32 = a->int8[i].sums32 + at * (block / 32),
            .large = a->int8[i].large ? a->int8[i].large + at : NULL,
        };
        kernels->quantize(&args);
    }
}
