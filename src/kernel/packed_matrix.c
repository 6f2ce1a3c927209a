#include "kernel/packed_matrix.h"

#include "base/error.h"
#include "base/memory.h"
#include "quant/quant.h"

#include <string.h>

/* The number of 32-bit words in a block of `bytes` bytes that also has `halves` 16-bit fields. */
#define WORDS(bytes, halves) (((bytes)-2 * (halves)) / 4)

static const struct packed_layout layouts[] = {
#define FLOAT(name, number, columns, bytes) {.type = (number), .value_bytes = (bytes)},
#define BLOCK(name, number, columns, bytes, sub, bits, shift, sign, min, scales, half_at, half_count, word_at, first)  \
    {.type = (number),                                                                                                 \
     .block_columns = (columns),                                                                                       \
     .sub_columns = (sub),                                                                                             \
     .offset = (shift),                                                                                                \
     .is_signed = (sign),                                                                                              \
     .has_min = (min),                                                                                                 \
     .file_bytes = (bytes),                                                                                            \
     .halves_at = (half_at),                                                                                           \
     .halves = (half_count),                                                                                           \
     .words_at = (word_at),                                                                                            \
     .words = WORDS(bytes, half_count),                                                                                \
     .words_first = (first),                                                                                           \
     .block_bytes = (bytes)*PANEL_ROWS},
    GGUF_TYPE_MAP(FLOAT, BLOCK)
#undef FLOAT
#undef BLOCK
};

#define IS_WHOLE(name, number, columns, bytes, sub, bits, shift, sign, min, scales, half_at, half_count, ...)          \
    _Static_assert(2 * (half_count) + 4 * WORDS(bytes, half_count) == (bytes), #name " is stored whole");
GGUF_TYPE_MAP(GGUF_TYPE_SKIP, IS_WHOLE)
#undef IS_WHOLE

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
                    SMOLLM_EUNSUPPORTED,
                    "a matrix has %u rows and %u columns, which do not fill whole blocks of %u columns of %s", rows,
                    columns, layout->block_columns ? layout->block_columns : 1, gguf_type_name(type));
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

/* out[i][row] = rows[row][i] for `count` values of `size` bytes; rows beyond `filled` are zero. size is a constant. */
static inline __attribute__((always_inline)) void transpose(uint8_t *out, const uint8_t *rows, size_t row_bytes,
                                                            uint32_t filled, uint32_t count, size_t size)
{
    enum { TOGETHER = 16 }; /* a cache line of each row */
    for (uint32_t first = 0; first < count; first += TOGETHER) {
        uint32_t last = count - first < TOGETHER ? count : first + TOGETHER;
        for (uint32_t row = 0; row < filled; row++)
            for (uint32_t i = first; i < last; i++)
                memcpy(out + (i * (size_t)PANEL_ROWS + row) * size, rows + row * row_bytes + i * size, size);
    }
    for (uint32_t i = 0; i < count && filled < PANEL_ROWS; i++)
        memset(out + (i * (size_t)PANEL_ROWS + filled) * size, 0, (PANEL_ROWS - filled) * size);
}

void packed_matrix_pack(struct packed_matrix *matrix, uint32_t panel, const uint8_t *rows, size_t row_bytes)
{
    const struct packed_layout *l = matrix->layout;
    uint32_t first = panel * PANEL_ROWS;
    uint32_t filled = matrix->rows - first < PANEL_ROWS ? matrix->rows - first : PANEL_ROWS;
    uint8_t *out = matrix->data + panel * matrix->panel_bytes;
    if (l->value_bytes == 4)
        transpose(out, rows, row_bytes, filled, matrix->columns, 4);
    else if (l->value_bytes == 2)
        transpose(out, rows, row_bytes, filled, matrix->columns, 2);
    else
        for (uint32_t b = 0; b < matrix->columns / l->block_columns; b++, rows += l->file_bytes) {
            uint32_t wrapped = l->words_first, straight = l->words - wrapped;
            transpose(out, rows + l->halves_at, row_bytes, filled, l->halves, 2);
            out += (size_t)l->halves * PANEL_ROWS * 2;
            transpose(out, rows + l->words_at + wrapped * 4, row_bytes, filled, straight, 4);
            out += (size_t)straight * PANEL_ROWS * 4;
            transpose(out, rows + l->words_at, row_bytes, filled, wrapped, 4);
            out += (size_t)wrapped * PANEL_ROWS * 4;
        }
}

void packed_block_unpack(const struct packed_layout *l, const uint8_t *block, uint32_t row, uint8_t *bytes)
{
    for (uint32_t i = 0; i < l->halves; i++, block += PANEL_ROWS * 2)
        memcpy(bytes + l->halves_at + i * 2, block + row * 2, 2);
    for (uint32_t i = 0; i < l->words; i++, block += PANEL_ROWS * 4)
        memcpy(bytes + l->words_at + (i + l->words_first) % l->words * 4, block + row * 4, 4);
}

void packed_matrix_row(const struct packed_matrix *matrix, uint32_t row, float *out)
{
    const struct packed_layout *l = matrix->layout;
    const uint8_t *panel = matrix->data + row / PANEL_ROWS * matrix->panel_bytes;
    uint32_t lane = row % PANEL_ROWS;
    uint8_t bytes[QUANT_BYTES_MAX];
    if (l->block_columns == 0)
        for (uint32_t i = 0; i < matrix->columns; i++)
            (void)quant_row_decode(l->type, panel + ((size_t)i * PANEL_ROWS + lane) * l->value_bytes, out + i, 1);
    else
        for (uint32_t i = 0; i < matrix->columns; i += l->block_columns, panel += l->block_bytes) {
            packed_block_unpack(l, panel, lane, bytes);
            (void)quant_row_decode(l->type, bytes, out + i, l->block_columns);
        }
}
