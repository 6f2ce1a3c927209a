/* quant/: every decoder against gguf-py's floats (goldens.bin, see make_goldens.py), narrowing, encoders against ggml's
 * reference method. Takes the path of goldens.bin. */
#include "base/half.h"
#include "cmocka_all.h"
#include "quant/quant.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *goldens_path;

/* ---- Helpers shared with make_goldens.py ---- */

static uint64_t splitmix(uint64_t index)
{
    uint64_t z = (index + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint32_t crc32_update(uint32_t crc, const void *data, size_t size)
{
    static uint32_t table[256];
    if (table[1] == 0)
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int k = 0; k < 8; k++)
                c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
            table[i] = c;
        }
    const unsigned char *p = data;
    crc = ~crc;
    for (size_t i = 0; i < size; i++)
        crc = table[(crc ^ p[i]) & 255] ^ crc >> 8;
    return ~crc;
}

static void canonical_nan(float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isnan(values[i]))
            values[i] = float_from_bits(0x7fc00000);
}

struct golden {
    uint32_t type, columns, bytes, n_blocks, n_generated, crc, n_factors, factors[2];
};

static void read_golden(void *data, size_t size, FILE *file)
{
    if (fread(data, 1, size, file) != size)
        fail_msg("%s is cut short", goldens_path);
}

static void check_shown_blocks(const struct golden *g, const unsigned char *blocks, const float *expected)
{
    for (uint32_t b = 0; b < g->n_blocks; b++) {
        float out[QUANT_COLUMNS_MAX];
        assert_int_equal(quant_row_decode(g->type, blocks + (size_t)b * g->bytes, out, g->columns), 0);
        canonical_nan(out, g->columns);
        for (uint32_t i = 0; i < g->columns; i++)
            if (memcmp(&out[i], &expected[(size_t)b * g->columns + i], 4) != 0)
                fail_msg("%s block %u column %u: %a, gguf-py has %a", gguf_type_name(g->type), b, i, (double)out[i],
                         (double)expected[(size_t)b * g->columns + i]);
    }
}

static void check_generated_blocks(const struct golden *g)
{
    size_t size = (size_t)g->n_generated * g->bytes;
    size_t columns = (size_t)g->n_generated * g->columns;
    unsigned char *blocks = malloc(size + 8);
    float *out = malloc(columns * sizeof *out);
    for (size_t i = 0; i < size; i += 8) {
        uint64_t bytes = splitmix(i / 8);
        memcpy(blocks + i, &bytes, 8);
    }
    for (uint32_t b = 0; b < g->n_generated; b++)
        for (uint32_t f = 0; f < g->n_factors; f++)
            blocks[(size_t)b * g->bytes + g->factors[f] + 1] &= 0xbf;
    if (g->type == GGUF_F16 || g->type == GGUF_BF16)
        for (uint32_t i = 0; i < g->n_generated; i++)
            memcpy(blocks + 2 * i, &(uint16_t){(uint16_t)i}, 2);
    assert_int_equal(quant_row_decode(g->type, blocks, out, columns), 0);
    canonical_nan(out, columns);
    uint32_t crc = crc32_update(0, out, columns * sizeof *out);
    if (crc != g->crc)
        fail_msg("%s: CRC-32 of %zu floats is %08x, gguf-py's %08x", gguf_type_name(g->type), columns, crc, g->crc);
    free(blocks);
    free(out);
}

static void check_narrowing(FILE *file)
{
    uint32_t expected[3];
    read_golden(expected, sizeof expected, file);
    uint32_t crc_half = 0;
    uint32_t crc_bfloat = 0;
    for (uint32_t i = 0; i < expected[0]; i++) {
        uint32_t bits = (uint32_t)splitmix(i);
        bits = (bits & 0x807fffff) | (100 + (bits >> 23) % 48) << 23;
        if (i % 4 == 0)
            bits &= 0xfffff000;
        float value = float_from_bits(bits);
        uint16_t half = half_from_float(value);
        uint16_t bfloat = bfloat_from_float(value);
        crc_half = crc32_update(crc_half, &half, 2);
        crc_bfloat = crc32_update(crc_bfloat, &bfloat, 2);
    }
    assert_int_equal(crc_half, expected[1]);
    assert_int_equal(crc_bfloat, expected[2]);
}

static void decoders_equal_gguf_py(void **state)
{
    FILE *file = fopen(goldens_path, "rb");
    if (!file)
        fail_msg("cannot open %s", goldens_path);
    char magic[4];
    uint32_t n_types;
    read_golden(magic, 4, file);
    assert_memory_equal(magic, "SMQG", 4);
    read_golden(&n_types, 4, file);
    assert_int_equal(n_types, 15);
    for (uint32_t t = 0; t < n_types; t++) {
        struct golden g;
        read_golden(&g, sizeof g, file);
        const struct gguf_type_info *info = gguf_type_find(g.type);
        assert_non_null(info);
        assert_int_equal(info->block_columns, g.columns);
        assert_int_equal(info->block_bytes, g.bytes);
        unsigned char *blocks = malloc((size_t)g.n_blocks * g.bytes);
        float *expected = malloc((size_t)g.n_blocks * g.columns * sizeof *expected);
        read_golden(blocks, (size_t)g.n_blocks * g.bytes, file);
        read_golden(expected, (size_t)g.n_blocks * g.columns * sizeof *expected, file);
        check_shown_blocks(&g, blocks, expected);
        check_generated_blocks(&g);
        free(blocks);
        free(expected);
    }
    check_narrowing(file);
    fclose(file);
}

/* ---- Without goldens ---- */

static void halves_go_round(void **state)
{
    for (uint32_t h = 0; h < 65536; h++) {
        float wide = half_to_float((uint16_t)h);
        if ((h & 0x7fff) > 0x7c00) {
            assert_true(isnan(wide));
            assert_true(isnan(half_to_float(half_from_float_saturated(wide))));
            continue;
        }
        assert_int_equal(half_from_float(wide), h);
        assert_int_equal(half_from_float_saturated(wide), (h & 0x7fff) == 0x7c00 ? h - 1 : h);
    }
    assert_int_equal(half_from_float(65519.996f), 0x7bff);
    assert_int_equal(half_from_float(65520), 0x7c00);
    assert_int_equal(half_from_float_saturated(65520), 0x7bff);
    assert_int_equal(half_from_float_saturated(-1e30f), 0xfbff);
    assert_int_equal(half_from_float(0x1p-25f), 0);          /* a tie, to even */
    assert_int_equal(half_from_float(0x1.000002p-25f), 1);   /* just above it */
    assert_int_equal(half_from_float(-0x1.8p-24f), 0x8002u); /* a tie, to even */
    assert_true(isnan(bfloat_to_float(bfloat_from_float(float_from_bits(0x7f800001)))));
}

static void layouts_agree_with_types(void **state)
{
#define CHECK(name, number, block_columns, block_bytes, ...)                                                           \
    do {                                                                                                               \
        const struct quant_layout *layout = quant_layout_find(number);                                                 \
        if (block_columns == 1) {                                                                                      \
            assert_null(layout);                                                                                       \
            break;                                                                                                     \
        }                                                                                                              \
        assert_non_null(layout);                                                                                       \
        assert_int_equal(layout->columns, block_columns);                                                              \
        assert_int_equal(layout->bytes, block_bytes);                                                                  \
        assert_true(layout->columns / layout->sub_columns <= QUANT_SUB_BLOCKS_MAX);                                    \
        assert_true(layout->bytes <= QUANT_BYTES_MAX);                                                                 \
    } while (0);
    GGUF_TYPE_MAP(CHECK, CHECK)
#undef CHECK
}

/* What the layout promises of the integers, on any bytes. */
static void unpacked_integers_stay_in_range(void **state)
{
    for (uint32_t type = 0; type < 40; type++) {
        const struct quant_layout *layout = quant_layout_find(type);
        if (!layout)
            continue;
        for (uint64_t n = 0; n < 300; n++) {
            unsigned char bytes[QUANT_BYTES_MAX];
            for (size_t i = 0; i < sizeof bytes; i++)
                bytes[i] = n == 0 ? 255 : (unsigned char)splitmix(n * 1000 + i);
            struct quant_block block;
            quant_block_unpack(layout, bytes, &block);
            for (uint32_t i = 0; i < layout->columns; i++)
                assert_true(block.codes[i] < 1u << layout->code_bits);
            for (uint32_t s = 0; s < layout->columns / layout->sub_columns; s++) {
                assert_true(layout->has_scales || block.scales[s] == 1);
                assert_true(layout->has_min ? block.mins[s] < 64 : block.mins[s] == 0);
            }
            assert_true(layout->has_min || block.dmin_bits == 0);
            assert_true(half_to_float(block.d_bits) == block.d || isnan(block.d));
        }
    }
}

/* ggml's reference quantization (quantize_row_q8_0_ref, quantize_row_q4_0_ref): squared error of one block. */
static double reference_error(uint32_t type, const float *x)
{
    float largest = 0;
    for (int i = 0; i < 32; i++)
        if (fabsf(x[i]) > fabsf(largest))
            largest = x[i];
    float d = type == GGUF_Q8_0 ? fabsf(largest) / 127 : largest / -8;
    float inverse = d != 0 ? 1 / d : 0;
    float stored = half_to_float(half_from_float(d));
    double error = 0;
    for (int i = 0; i < 32; i++) {
        float q = type == GGUF_Q8_0 ? roundf(x[i] * inverse) : fminf(15, truncf(x[i] * inverse + 8.5f)) - 8;
        double difference = (double)x[i] - (double)stored * (double)q;
        error += difference * difference;
    }
    return error;
}

static double encoded_error(uint32_t type, const float *x)
{
    unsigned char block[34];
    float back[32];
    assert_int_equal(quant_row_encode(type, x, block, 32), 0);
    assert_int_equal(quant_row_decode(type, block, back, 32), 0);
    double error = 0;
    for (int i = 0; i < 32; i++) {
        double difference = (double)x[i] - (double)back[i];
        error += difference * difference;
    }
    return error;
}

static float normal(uint64_t n)
{
    double u = ((double)(splitmix(2 * n) >> 11) + 1) * 0x1p-53;
    double v = (double)(splitmix(2 * n + 1) >> 11) * 0x1p-53;
    return (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

static void encoders_are_no_worse_than_the_reference(void **state)
{
    static float const magnitudes[] = {1, 0.02f, 3e4f, 1e-6f, 3e-8f, 1e-12f};
    const uint32_t types[] = {GGUF_Q8_0, GGUF_Q4_0};
    for (int t = 0; t < 2; t++) {
        double ours = 0;
        double reference = 0;
        for (uint64_t n = 0; n < 12000; n++) {
            float x[32];
            float magnitude = n < 8000 ? 1 : magnitudes[n % 6];
            for (int i = 0; i < 32; i++)
                x[i] = magnitude *
                       (n % 7 == 6 ? (float)(int)(3 * normal(n * 32 + (unsigned)i)) : normal(n * 32 + (unsigned)i));
            double a = encoded_error(types[t], x);
            double b = reference_error(types[t], x);
            if (a > b * (1 + 1e-6) + 1e-30)
                fail_msg("%s block %llu: squared error %g, reference %g", gguf_type_name(types[t]),
                         (unsigned long long)n, a, b);
            if (n < 8000) {
                ours += a;
                reference += b;
            }
        }
        print_message("%s: root mean squared error %.6f of the reference's\n", gguf_type_name(types[t]),
                      sqrt(ours / reference));
        assert_true(ours <= reference);
    }
}

static void encoders_take_any_finite_value(void **state)
{
    const uint32_t types[] = {GGUF_F32, GGUF_F16, GGUF_BF16, GGUF_Q8_0, GGUF_Q4_0};
    float const edges[] = {0, -0.0f, 3.4e38f, -3.4e38f, 1e-45f, -1e-45f, 65504, 1e-8f};
    for (int t = 0; t < 5; t++)
        for (int n = 0; n < 200; n++) {
            float x[32];
            float back[32];
            unsigned char block[128];
            for (int i = 0; i < 32; i++)
                x[i] = n < 8 ? edges[n] : edges[splitmix((uint64_t)(n * 32 + i)) % 8];
            assert_int_equal(quant_row_encode(types[t], x, block, 32), 0);
            assert_int_equal(quant_row_decode(types[t], block, back, 32), 0);
            for (int i = 0; i < 32; i++)
                assert_true(isfinite(back[i]) || types[t] == GGUF_BF16);
            x[n % 32] = n % 2 ? NAN : INFINITY;
            assert_int_equal(quant_row_encode(types[t], x, block, 32), SMOLLM_ENUMERIC);
        }
    float x[33] = {0};
    unsigned char block[256];
    assert_int_equal(quant_row_encode(GGUF_Q8_0, x, block, 33), SMOLLM_EINVAL);
    assert_int_equal(quant_row_encode(GGUF_Q4_K, x, block, 32), SMOLLM_EINVAL);
    assert_int_equal(quant_row_decode(GGUF_Q8_0, block, x, 31), SMOLLM_EINVAL);
    assert_int_equal(quant_row_decode(99, block, x, 32), SMOLLM_EINVAL);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: test_quant GOLDENS\n");
        return 2;
    }
    goldens_path = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoders_equal_gguf_py),
        cmocka_unit_test(halves_go_round),
        cmocka_unit_test(layouts_agree_with_types),
        cmocka_unit_test(unpacked_integers_stay_in_range),
        cmocka_unit_test(encoders_are_no_worse_than_the_reference),
        cmocka_unit_test(encoders_take_any_finite_value),
    };
    return cmocka_run_group_tests_name("quant", tests, NULL, NULL);
}
