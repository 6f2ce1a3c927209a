/* Matrix product, the definition that every tier must equal bit for bit (docs/numerics.md, "Matrix product"). */
#include "kernel/activations.h"
#include "kernel/arithmetic.h"
#include "quant/quant.h"

enum { TILE = 32 /* rows of activations, one or two for each token */ };

/* One block of one row times one token: Σ scale Σ (code - offset) y, and Σ min Σ y. */
static void block_sums(const struct packed_layout *layout, const struct quant_block *block,
                       const int8_t codes[MAX_BLOCK_COLUMNS], const int8_t *y, const int16_t *sums16, int32_t *product,
                       int32_t *minimum)
{
    uint32_t size = layout->sub_columns;
    *product = *minimum = 0;
    for (uint32_t sub = 0; sub < layout->block_columns / size; sub++) {
        int32_t dot = 0, sum = 0;
        for (uint32_t i = sub * size; i < (sub + 1) * size; i++)
            dot += codes[i] * y[i];
        for (uint32_t i = sub * size / 16; i < (sub + 1) * size / 16; i++)
            sum += sums16[i];
        *product += block->scales[sub] * dot;
        *minimum += block->mins[sub] * sum;
    }
}

static void panel_integer(const struct matmul_args *args, uint32_t panel, uint32_t token, uint32_t tokens,
                          float acc[TILE][PANEL_ROWS])
{
    const struct packed_matrix *w = args->weights;
    const struct packed_layout *layout = w->layout;
    const struct quant_layout *format = quant_layout_find(layout->type);
    const uint32_t columns = layout->block_columns, stride = args->input->tokens * args->input->planes;
    const struct activations_int8 *form = &args->input->int8[columns == 256];
    for (uint32_t b = 0; b < w->columns / columns; b++)
        for (uint32_t row = 0; row < PANEL_ROWS; row++) {
            uint8_t bytes[QUANT_BYTES_MAX];
            struct quant_block block;
            int8_t codes[MAX_BLOCK_COLUMNS] = {0};
            packed_block_unpack(layout, w->data + panel * w->panel_bytes + (size_t)b * layout->block_bytes, row, bytes);
            quant_block_unpack(format, bytes, &block);
            for (uint32_t i = 0; i < columns; i++)
                codes[i] = (int8_t)(layout->is_signed ? block.signed_codes[i] : block.codes[i] - layout->offset);
            for (uint32_t t = 0; t < tokens; t++) {
                size_t at = (size_t)b * stride + token + t;
                int32_t product, minimum;
                block_sums(layout, &block, codes, form->codes + at * columns, form->sums16 + at * (columns / 16),
                           &product, &minimum);
                float part = block.d * (float)product;
                if (layout->has_min)
                    part = float_fma(-block.dmin, (float)minimum, part);
                acc[t][row] = float_fma(form->scales[at], part, acc[t][row]);
            }
        }
}

/* A value of F32, F16 or BF16. */
static float float_value(uint32_t type, const uint8_t *data)
{
    float value;
    (void)quant_row_decode(type, data, &value, 1);
    return value;
}

static void panel_float(const struct matmul_args *args, uint32_t panel, uint32_t token, uint32_t tokens,
                        float acc[TILE][PANEL_ROWS])
{
    const struct packed_matrix *w = args->weights;
    uint32_t size = w->layout->value_bytes;
    const uint8_t *data = w->data + panel * w->panel_bytes;
    for (uint32_t column = 0; column < w->columns; column++)
        for (uint32_t row = 0; row < PANEL_ROWS; row++, data += size) {
            float weight = float_value(w->layout->type, data);
            for (uint32_t t = 0; t < tokens; t++)
                acc[t][row] =
                    float_fma(weight, args->input->values[(size_t)(token + t) * w->columns + column], acc[t][row]);
        }
}

void matmul_generic(const struct matmul_args *args)
{
    const struct packed_matrix *w = args->weights;
    const bool is_float = w->layout->block_columns == 0;
    const bool both = !is_float && args->input->planes == 2;
    const uint32_t planes = both ? 2 : 1, end = args->last_token * planes;
    for (uint32_t panel = args->first_panel; panel < args->last_panel; panel++) {
        uint32_t first_row = panel * PANEL_ROWS;
        uint32_t rows = w->rows - first_row < PANEL_ROWS ? w->rows - first_row : PANEL_ROWS;
        for (uint32_t first = args->first_token * planes; first < end; first += TILE) {
            uint32_t count = end - first < TILE ? end - first : TILE;
            float acc[TILE][PANEL_ROWS] = {0};
            if (is_float)
                panel_float(args, panel, first, count, acc);
            else
                panel_integer(args, panel, first, count, acc);
            for (uint32_t t = 0; t < count; t += planes) {
                float *out = args->out + (size_t)((first + t) / planes - args->first_token) * args->out_stride +
                             (size_t)(panel - args->first_panel) * PANEL_ROWS;
                for (uint32_t row = 0; row < rows; row++) {
                    float sum = both ? acc[t][row] + acc[t + 1][row] : acc[t][row];
                    out[row] = args->add ? out[row] + sum : sum;
                }
            }
        }
    }
}
