/* The operations of the forward pass, each with a plain C version and faster ones for some CPUs.
 *
 * All versions of an operation give the same bits; docs/numerics.md defines them. KERNEL_LIST names all operations:
 * the table, the dispatcher, the kernel test and the benchmark are generated from it. Each tier has a list of those
 * that it overrides.
 *
 * To add an operation: a line here, `NAME_generic` in kernel/NAME.c, and where it pays `NAME_avx2` in
 * kernel/x86/NAME_avx2.c with a line in KERNEL_AVX2_LIST, and likewise for the tiers after it. */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include "kernel/attention.h"
#include "kernel/cpu.h"
#include "kernel/packed_matrix.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The input of a product in the forms that weights need; see activations.h. */
struct activations;

/* out[token][row] (=, or += with add) the product of weights and activations for panels [first, last) and tokens
 * [first, last); for activations in two planes it is the sum of both planes' products. out begins with the first row of
 * the first panel for the first token, and has out_stride floats per token; only rows of the matrix are written. */
struct matmul_args {
    const struct packed_matrix *weights;
    const struct activations *input;
    uint32_t first_token;
    uint32_t last_token;
    float *out;
    size_t out_stride;
    bool add;
    uint32_t first_panel;
    uint32_t last_panel;
    /* What the thread reads next: panel last_panel of these weights, or panel next_panel of `next`. Kernels that
     * alternate between panels (kernel/wide/streams.h) prefetch it as if it had the same shape; only speed depends on
     * it. */
    const struct packed_matrix *next; /* or NULL */
    uint32_t next_panel;
};

/* The address of panel `panel`. Panels from last_panel on are those of `next`, if there is one. */
static inline const uint8_t *matmul_panel(const struct matmul_args *args, uint32_t panel)
{
    if (panel >= args->last_panel && args->next)
        return args->next->data + (size_t)(args->next_panel + panel - args->last_panel) * args->next->panel_bytes;
    return args->weights->data + (size_t)panel * args->weights->panel_bytes;
}

/* out[i] = x[i] / sqrt(mean of squares + epsilon) * weight[i]. out may be x. Zhang and Sennrich, 2019. */
struct rmsnorm_args {
    const float *x;
    const float *weight;
    float *out;
    uint32_t size;
    float epsilon;
};

enum { MAX_SMALL_SUM = 1023 };

/* int8 codes with one scale per block of 32 or 256 values, and the sums of the codes of each 16 and each 32.
 * A block that holds a value which is not finite gets the scale NaN and codes 0. With two planes what the codes leave
 * is coded too, with scale / 128, and lies behind each block as a block of its own.
 *
 * large says of a block whether some 16 of its codes, beginning at a multiple of 16, add up to more than
 * MAX_SMALL_SUM in magnitude. Where none do, which is nearly always, 6-bit codes times a sub-block stay within int16.
 */
struct quantize_args {
    const float *x;
    uint32_t size; /* a multiple of block */
    uint32_t block;
    uint32_t stride; /* distance between the results of successive blocks, in blocks */
    uint32_t planes; /* 1 or 2 */
    int8_t *codes;
    float *scales;
    int16_t *sums16;
    int16_t *sums32;
    uint8_t *large; /* 0 or 1 for each block; NULL when not needed */
};

/* Rotates the adjacent pairs (2i, 2i + 1) of each head by angle i: x0 c - x1 s, x0 s + x1 c, both products rounded.
 * Other dimensions stay. Su et al., "RoFormer", 2021. */
struct rotate_args {
    float *heads; /* [count][head_dim] */
    uint32_t count;
    uint32_t head_dim;
    uint32_t pairs; /* head_dim / 2 at most */
    const float *cosine, *sine;
};

/* out[i] = gate[i] / (1 + exp(-gate[i])) * up[i]. out may be gate. Shazeer, 2020. */
struct swiglu_args {
    const float *gate;
    const float *up;
    float *out;
    uint32_t size;
};

/* out[i] = exp(x[i] - maximum) (out may be NULL or x), *sum = their sum: sixteen partial sums in double, then a tree.
 */
struct exponentials_args {
    const float *x;
    float *out;
    double *sum;
    uint32_t size;
    float maximum;
};

/* peaks[i] = the maximum of x[i * PEAK_VALUES] and the PEAK_VALUES - 1 values after it; the last peak may have fewer.
 * 0 is above -0, and the peak is NaN if one of the values is. */
enum { PEAK_VALUES = 32 };
struct peaks_args {
    const float *x;
    float *peaks; /* [peak_count(size)] */
    uint32_t size;
};

static inline uint32_t peak_count(uint32_t size)
{
    return size / PEAK_VALUES + (size % PEAK_VALUES > 0);
}

#define KERNEL_LIST(X)                                                                                                 \
    X(matmul)                                                                                                          \
    X(kv_store)                                                                                                        \
    X(attention)                                                                                                       \
    X(attention_merge)                                                                                                 \
    X(rotate)                                                                                                          \
    X(rmsnorm)                                                                                                         \
    X(quantize)                                                                                                        \
    X(swiglu)                                                                                                          \
    X(exponentials)                                                                                                    \
    X(peaks)

#define KERNEL_AVX2_LIST(X)                                                                                            \
    X(matmul)                                                                                                          \
    X(kv_store)                                                                                                        \
    X(attention)                                                                                                       \
    X(attention_merge)                                                                                                 \
    X(rotate)                                                                                                          \
    X(rmsnorm)                                                                                                         \
    X(quantize)                                                                                                        \
    X(swiglu)                                                                                                          \
    X(exponentials)                                                                                                    \
    X(peaks)

/* The other operations gain little from wider registers and use the AVX2 kernels. */
#define KERNEL_AVX512VNNI_LIST(X)                                                                                      \
    X(matmul)                                                                                                          \
    X(attention)                                                                                                       \
    X(attention_merge)                                                                                                 \
    X(quantize)                                                                                                        \
    X(swiglu)                                                                                                          \
    X(exponentials)

/* AMX is faster when many tokens share each weight. */
#define KERNEL_AMX_LIST(X) X(matmul)

struct kernel_table {
    enum cpu_tier tier;
#define KERNEL_MEMBER(name) void (*name)(const struct name##_args *args);
    KERNEL_LIST(KERNEL_MEMBER)
#undef KERNEL_MEMBER
};

#define KERNEL_PROTOTYPE(name) void name##_generic(const struct name##_args *args);
KERNEL_LIST(KERNEL_PROTOTYPE)
#undef KERNEL_PROTOTYPE
#define KERNEL_PROTOTYPE(name) void name##_avx2(const struct name##_args *args);
KERNEL_AVX2_LIST(KERNEL_PROTOTYPE)
#undef KERNEL_PROTOTYPE
#define KERNEL_PROTOTYPE(name) void name##_avx512vnni(const struct name##_args *args);
KERNEL_AVX512VNNI_LIST(KERNEL_PROTOTYPE)
#undef KERNEL_PROTOTYPE
#define KERNEL_PROTOTYPE(name) void name##_amx(const struct name##_args *args);
KERNEL_AMX_LIST(KERNEL_PROTOTYPE)
#undef KERNEL_PROTOTYPE

/* Fills a table with the kernels of a tier: the generic ones, overridden by those of each tier up to it. */
void kernel_table_fill(struct kernel_table *table, enum cpu_tier tier);

#endif
