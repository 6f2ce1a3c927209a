/* Seeded numbers and weights for the kernel tests. */
#ifndef TESTS_KERNEL_RANDOM_WEIGHTS_H
#define TESTS_KERNEL_RANDOM_WEIGHTS_H

#include "quant/quant.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static uint64_t random_state = 1;

static inline uint32_t random_u32(void)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    uint32_t x = (uint32_t)(random_state >> 32);
    return x ^ x >> 15;
}

static inline float random_float(void)
{
    return (float)((double)random_u32() / 2147483648.0 - 1.0);
}

/* Bytes of rows of any type, every factor finite; extreme: codes and scales at their limits more often than not. */
static inline void random_rows(uint32_t type, uint8_t *data, size_t rows, size_t columns, bool extreme)
{
    const struct quant_layout *layout = quant_layout_find(type);
    if (!layout) {
        for (size_t i = 0; i < rows * columns; i++) {
            float value = extreme && i % 7 == 0 ? 60000.0f : random_float();
            quant_row_encode(type, &value, data + i * gguf_type_find(type)->block_bytes, 1);
        }
        return;
    }
    for (size_t b = 0; b < rows * columns / layout->columns; b++, data += layout->bytes) {
        struct quant_block block;
        do {
            int fill = extreme ? (int)(random_u32() % 3) : 0;
            for (size_t i = 0; i < layout->bytes; i++)
                data[i] = fill == 1 ? 0xff : fill == 2 ? 0x00 : (uint8_t)random_u32();
            /* The factors lie at one end of a block or the other: random ones in both places. */
            for (size_t i = 0; i < 4; i++)
                data[i] = (uint8_t)random_u32(), data[layout->bytes - 1 - i] = (uint8_t)random_u32();
            quant_block_unpack(layout, data, &block);
        } while (!isfinite(block.d) || !isfinite(block.dmin));
    }
}

#define GGUF_TYPE_NUMBER(name, number, ...) number,
static const uint32_t all_types[] = {GGUF_TYPE_MAP(GGUF_TYPE_NUMBER, GGUF_TYPE_NUMBER)};
enum { ALL_TYPES = sizeof all_types / sizeof *all_types };

#endif
