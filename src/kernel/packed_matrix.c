#include "kernel/packed_matrix.h"

#include "base/error.h"
#include "base/half.h"
#include "base/memory.h"
#include "kernel/packed_codes.h"
#include "quant/quant.h"

const int8_t packed_iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

enum { HALVES = PANEL_ROWS * 2, GROUP_BYTES_PER_BIT = PANEL_ROWS * GROUP_COLUMNS / 8 };

/* type, block columns, sub-block columns, bits, offset, signed, table, minimum */
#define LAYOUT_LIST(X)                                                                                                 \
    X(Q4_0, 32, 32, 4, 8, 0, 0, 0)                                                                                     \
    X(Q4_1, 32, 32, 4, 0, 0, 0, 1)                                                                                     \
    X(Q5_0, 32, 32, 5, 16, 0, 0, 0)                                                                                    \
    X(Q5_1, 32, 32, 5, 0, 0, 0, 1)                                                                                     \
    X(Q8_0, 32, 32, 8, 0, 1, 0, 0)                                                                                     \
    X(IQ4_NL, 32, 32, 4, 0, 1, 1, 0)                                                                                   \
    X(Q2_K, 256, 16, 2, 0, 0, 0, 1)                                                                                    \
    X(Q3_K, 256, 16, 3, 4, 0, 0, 0)                                                                                    \
    X(Q4_K, 256, 32, 4, 0, 0, 0, 1)                                                                                    \
    X(Q5_K, 256, 32, 5, 0, 0, 0, 1)                                                                                    \
    X(Q6_K, 256, 16, 6, 32, 0, 0, 0)                                                                                   \
    X(IQ4_XS, 256, 32, 4, 0, 1, 1, 0)

#define PAIRS(columns, sub) ((columns) == 256 ? (columns) / (sub)*PANEL_ROWS : 0)
#define SCALES_AT(min) (HALVES * (1 + (min)))
#define CODES_AT(columns, sub, min) (SCALES_AT(min) + PAIRS(columns, sub) * (1 + (min)))

static const struct packed_layout layouts[] = {
#define LAYOUT(name, columns, sub, width, shift, sign, lookup, min)                                                    \
    {.type = GGUF_##name,                                                                                              \
     .block_columns = columns,                                                                                         \
     .sub_columns = sub,                                                                                               \
     .bits = width,                                                                                                    \
     .offset = shift,                                                                                                  \
     .is_signed = sign,                                                                                                \
     .has_table = lookup,                                                                                              \
     .has_min = min,                                                                                                   \
     .scales_at = SCALES_AT(min),                                                                                      \
     .mins_at = SCALES_AT(min) + PAIRS(columns, sub),                                                                  \
     .codes_at = CODES_AT(columns, sub, min),                                                                          \
     .group_bytes = (width)*GROUP_BYTES_PER_BIT,                                                                       \
     .block_bytes = CODES_AT(columns, sub, min) + (columns) / GROUP_COLUMNS * (width)*GROUP_BYTES_PER_BIT},
    LAYOUT_LIST(LAYOUT)
#undef LAYOUT
        {.type = GGUF_F32, .value_bytes = 4},
    {.type = GGUF_F16, .value_bytes = 2},
    {.type = GGUF_BF16, .value_bytes = 2},
};

const struct packed_layout *packed_layout_find(uint32_t type)
{
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        if (layouts[i].type == type)
            return &layouts[i];
    return NULL;
}

int packed_matrix_describe(struct packed_matrix *matrix, uint32_t type, uint32_t rows, uint32_t columns,
                           struct smollm_error *error)
{
    const struct packed_layout *layout = packed_layout_find(type);
    RETURN_ERROR_IF(!layout, error, SMOLLM_EUNSUPPORTED, "tensor type %u is not supported", type);
    RETURN_ERROR_IF(rows == 0 || columns == 0 || (layout->block_columns && columns % layout->block_columns), error,
                    SMOLLM_EUNSUPPORTED, "a matrix of %u rows and %u columns of %s", rows, columns,
                    gguf_type_name(type));
    size_t bytes, all;
    uint32_t panels = rows / PANEL_ROWS + (rows % PANEL_ROWS != 0);
    bool fits = layout->block_columns ? size_multiply(columns / layout->block_columns, layout->block_bytes, &bytes)
                                      : size_multiply(columns, (size_t)layout->value_bytes * PANEL_ROWS, &bytes);
    RETURN_ERROR_IF(!fits || !size_multiply(bytes, panels, &all), error, SMOLLM_ELIMIT,
                    "a matrix of %u rows and %u columns does not fit into memory", rows, columns);
    *matrix = (struct packed_matrix){
        .layout = layout, .rows = rows, .columns = columns, .panels = panels, .panel_bytes = bytes};
    return 0;
}

size_t packed_matrix_bytes(const struct packed_matrix *matrix)
{
    return matrix->panel_bytes * matrix->panels;
}

static void pack_floats(const struct packed_matrix *matrix, uint8_t *panel, const uint8_t *rows, size_t row_bytes,
                        uint32_t count)
{
    uint32_t size = matrix->layout->value_bytes;
    memset(panel, 0, matrix->panel_bytes);
    for (uint32_t row = 0; row < count; row++) {
        const uint8_t *from = rows + row * row_bytes;
        uint8_t *to = panel + row * size;
        for (uint32_t column = 0; column < matrix->columns; column++, from += size, to += PANEL_ROWS * size)
            memcpy(to, from, size);
    }
}

/* The sixteen codes of a unit's row position in planes: packed_code_set for 32 columns at once. */
static void pack_row_group(const struct packed_layout *layout, uint8_t *codes, uint32_t row, const uint8_t *values,
                           const uint8_t table_index[256])
{
    for (uint32_t column = 0; column < GROUP_COLUMNS; column++) {
        uint8_t code = values[column];
        packed_code_set(layout, codes, row, column, layout->has_table ? table_index[code] : code);
    }
}

void packed_matrix_pack(struct packed_matrix *matrix, uint32_t panel, const uint8_t *rows, size_t row_bytes)
{
    const struct packed_layout *layout = matrix->layout;
    uint32_t first = panel * PANEL_ROWS;
    uint32_t count = matrix->rows - first < PANEL_ROWS ? matrix->rows - first : PANEL_ROWS;
    uint8_t *out = matrix->data + panel * matrix->panel_bytes;
    if (layout->block_columns == 0) {
        pack_floats(matrix, out, rows, row_bytes, count);
        return;
    }
    uint8_t table_index[256] = {0};
    for (uint8_t i = 0; i < 16; i++)
        table_index[(uint8_t)packed_iq4_values[i]] = i;
    const struct quant_layout *format = quant_layout_find(layout->type);
    uint32_t subs = layout->block_columns / layout->sub_columns;
    memset(out, 0, matrix->panel_bytes);
    for (uint32_t b = 0; b < matrix->columns / layout->block_columns; b++, out += layout->block_bytes)
        for (uint32_t row = 0; row < count; row++) {
            struct quant_block block;
            quant_block_unpack(format, rows + row * row_bytes + (size_t)b * format->bytes, &block);
            memcpy(out + row * 2, &block.d_bits, 2);
            if (layout->has_min)
                memcpy(out + HALVES + row * 2, &block.dmin_bits, 2);
            for (uint32_t sub = 0; sub < subs && layout->block_columns == 256; sub++) {
                size_t pair = packed_pair_index(sub, row);
                out[layout->scales_at + pair] = (uint8_t)block.scales[sub];
                if (layout->has_min)
                    out[layout->mins_at + pair] = block.mins[sub];
            }
            for (uint32_t group = 0; group < layout->block_columns / GROUP_COLUMNS; group++)
                pack_row_group(layout, out + layout->codes_at + (size_t)group * layout->group_bytes, row,
                               block.codes + (size_t)group * GROUP_COLUMNS, table_index);
        }
}

static void row_floats(const struct packed_matrix *matrix, const uint8_t *panel, uint32_t lane, float *out)
{
    uint32_t size = matrix->layout->value_bytes;
    for (uint32_t column = 0; column < matrix->columns; column++)
        out[column] = packed_float_value(matrix->layout, panel + ((size_t)column * PANEL_ROWS + lane) * size);
}

void packed_matrix_row(const struct packed_matrix *matrix, uint32_t row, float *out)
{
    const struct packed_layout *layout = matrix->layout;
    const uint8_t *block = matrix->data + row / PANEL_ROWS * matrix->panel_bytes;
    uint32_t lane = row % PANEL_ROWS;
    if (layout->block_columns == 0) {
        row_floats(matrix, block, lane, out);
        return;
    }
    for (uint32_t b = 0; b < matrix->columns / layout->block_columns; b++, block += layout->block_bytes) {
        float d = packed_half(block + lane * 2), dmin = layout->has_min ? packed_half(block + HALVES + lane * 2) : 0.0f;
        for (uint32_t column = 0; column < layout->block_columns; column++) {
            size_t pair = packed_pair_index(column / layout->sub_columns, lane);
            int32_t scale = 1, minimum = layout->has_min ? 1 : 0;
            if (layout->block_columns == 256) {
                scale = (int8_t)block[layout->scales_at + pair];
                minimum = layout->has_min ? block[layout->mins_at + pair] : 0;
            }
            uint32_t group = column / GROUP_COLUMNS;
            uint8_t byte = packed_code_get(layout, block + layout->codes_at + (size_t)group * layout->group_bytes, lane,
                                           column % GROUP_COLUMNS);
            int32_t code = layout->has_table   ? packed_iq4_values[byte]
                           : layout->is_signed ? (int8_t)byte
                                               : byte - layout->offset;
            *out++ = (d * (float)scale) * (float)code - dmin * (float)minimum;
        }
    }
}
