/* Matrix product, the definition that every tier must equal bit for bit (docs/numerics.md, "Matrix product"). */
#include "kernel/activations.h"
#include "kernel/arithmetic.h"
#include "kernel/packed_codes.h"

enum { TILE = 8, GROUPS = GROUP_COLUMNS / 4 };

/* codes of one group of 32 columns as bytes [8][32 rows][4 columns] */
static void unpack_planes(const struct packed_layout *layout, const uint8_t *codes, uint8_t out[GROUPS][PANEL_ROWS][4])
{
    enum { UNIT = PANEL_ROWS * 4 };
    uint8_t *flat = &out[0][0][0];
    if (layout->bits == 8) {
        memcpy(flat, codes, (size_t)GROUPS * UNIT);
        return;
    }
    unsigned shift = 0;
    memset(flat, 0, (size_t)GROUPS * UNIT);
    for (uint32_t width = 4; width >= 1; width /= 2) {
        if (!(layout->bits & width))
            continue;
        unsigned mask = (1u << width) - 1;
        for (uint32_t g = 0; g < GROUPS; g++) {
            const uint8_t *unit = codes + (size_t)(g % width) * UNIT;
            for (uint32_t i = 0; i < UNIT; i++)
                flat[g * UNIT + i] |= (uint8_t)((unsigned)(unit[i] >> (g / width * width)) % (mask + 1) << shift);
        }
        codes += (size_t)width * UNIT;
        shift += width;
    }
}

/* sum[row] of codes times activations over units [first, last) of a group */
static void dot_units(bool is_signed, uint8_t codes[GROUPS][PANEL_ROWS][4], const int8_t *y, uint32_t first,
                      uint32_t last, int32_t sum[PANEL_ROWS])
{
    for (uint32_t row = 0; row < PANEL_ROWS; row++)
        sum[row] = 0;
    for (uint32_t g = first; g < last; g++)
        for (uint32_t row = 0; row < PANEL_ROWS; row++)
            for (uint32_t c = 0; c < 4; c++) {
                int32_t code = is_signed ? (int8_t)codes[g][row][c] : codes[g][row][c];
                sum[row] += code * y[g * 4 + c];
            }
}

static void unpack_group(const struct packed_layout *layout, const uint8_t *codes, uint8_t out[GROUPS][PANEL_ROWS][4])
{
    unpack_planes(layout, codes, out);
    if (layout->has_table)
        for (uint32_t i = 0; i < GROUPS * PANEL_ROWS * 4; i++)
            (&out[0][0][0])[i] = (uint8_t)packed_iq4_values[(&out[0][0][0])[i]];
}

struct block_sums {
    int32_t product[PANEL_ROWS]; /* sum of scale * (code - offset) * activation */
    int32_t minimum[PANEL_ROWS]; /* sum of min * activation */
};

static void add_group(const struct packed_layout *layout, const uint8_t *block, uint32_t group,
                      uint8_t codes[GROUPS][PANEL_ROWS][4], const int8_t *y, const int16_t *ysums,
                      struct block_sums *sums)
{
    uint32_t units = layout->sub_columns / 4;
    for (uint32_t first = 0; first < GROUPS; first += units) {
        uint32_t sub = (group * GROUPS + first) / units;
        int32_t dot[PANEL_ROWS], ysum = 0;
        dot_units(layout->is_signed, codes, y, first, first + units, dot);
        for (uint32_t i = 0; i < units / 4; i++)
            ysum += ysums[first / 4 + i];
        for (uint32_t row = 0; row < PANEL_ROWS; row++) {
            size_t pair = packed_pair_index(sub, row);
            int32_t scale = layout->block_columns == 256 ? (int8_t)block[layout->scales_at + pair] : 1;
            int32_t minimum = !layout->has_min ? 0 : layout->block_columns == 256 ? block[layout->mins_at + pair] : 1;
            sums->product[row] += scale * (dot[row] - layout->offset * ysum);
            sums->minimum[row] += minimum * ysum;
        }
    }
}

static void panel_integer(const struct matmul_args *args, uint32_t panel, uint32_t token, uint32_t tokens,
                          float acc[TILE][PANEL_ROWS])
{
    const struct packed_matrix *w = args->weights;
    const struct packed_layout *layout = w->layout;
    const struct activations *input = args->input;
    const struct activations_int8 *form = &input->int8[layout->block_columns == 256];
    uint32_t blocks = w->columns / layout->block_columns, groups = layout->block_columns / GROUP_COLUMNS;
    for (uint32_t b = 0; b < blocks; b++) {
        const uint8_t *block = w->data + panel * w->panel_bytes + (size_t)b * layout->block_bytes;
        const uint8_t *d = block, *m = block + PANEL_ROWS * 2;
        struct block_sums sums[TILE] = {0};
        for (uint32_t group = 0; group < groups; group++) {
            uint8_t codes[GROUPS][PANEL_ROWS][4];
            unpack_group(layout, block + layout->codes_at + (size_t)group * layout->group_bytes, codes);
            for (uint32_t t = 0; t < tokens; t++) {
                size_t column = (size_t)b * layout->block_columns + (size_t)group * GROUP_COLUMNS;
                size_t at = (size_t)(token + t) * w->columns + column;
                add_group(layout, block, group, codes, form->codes + at, form->sums16 + at / 16, &sums[t]);
            }
        }
        for (uint32_t t = 0; t < tokens; t++) {
            float scale = form->scales[(size_t)(token + t) * blocks + b];
            for (uint32_t row = 0; row < PANEL_ROWS; row++) {
                float part = packed_half(d + row * 2) * (float)sums[t].product[row];
                if (layout->has_min)
                    part = float_fma(-packed_half(m + row * 2), (float)sums[t].minimum[row], part);
                acc[t][row] = float_fma(scale, part, acc[t][row]);
            }
        }
    }
}

static void panel_float(const struct matmul_args *args, uint32_t panel, uint32_t token, uint32_t tokens,
                        float acc[TILE][PANEL_ROWS])
{
    const struct packed_matrix *w = args->weights;
    uint32_t size = w->layout->value_bytes;
    const uint8_t *data = w->data + panel * w->panel_bytes;
    for (uint32_t column = 0; column < w->columns; column++)
        for (uint32_t row = 0; row < PANEL_ROWS; row++, data += size) {
            float weight = packed_float_value(w->layout, data);
            for (uint32_t t = 0; t < tokens; t++)
                acc[t][row] =
                    float_fma(weight, args->input->values[(size_t)(token + t) * w->columns + column], acc[t][row]);
        }
}

void matmul_generic(const struct matmul_args *args)
{
    const struct packed_matrix *w = args->weights;
    for (uint32_t panel = args->first_panel; panel < args->last_panel; panel++) {
        uint32_t first_row = panel * PANEL_ROWS;
        uint32_t rows = w->rows - first_row < PANEL_ROWS ? w->rows - first_row : PANEL_ROWS;
        for (uint32_t token = 0; token < args->tokens; token += TILE) {
            uint32_t tokens = args->tokens - token < TILE ? args->tokens - token : TILE;
            float acc[TILE][PANEL_ROWS] = {0};
            if (w->layout->block_columns == 0)
                panel_float(args, panel, token, tokens, acc);
            else
                panel_integer(args, panel, token, tokens, acc);
            for (uint32_t t = 0; t < tokens; t++) {
                float *out = args->out + (size_t)(token + t) * args->out_stride + first_row;
                for (uint32_t row = 0; row < rows; row++)
                    out[row] = args->add ? out[row] + acc[t][row] : acc[t][row];
            }
        }
    }
}
