#include "gguf/gguf_type.h"

#include <strings.h>

static const struct gguf_type_info types[] = {
#define GGUF_TYPE_ROW(name, number, columns, bytes, ...) {#name, number, columns, bytes},
    GGUF_TYPE_MAP(GGUF_TYPE_ROW, GGUF_TYPE_ROW)
#undef GGUF_TYPE_ROW
};
#define TYPE_COUNT (sizeof types / sizeof types[0])

/* These are named only so that an error message can say what the file holds. */
static const struct {
    const char *name;
    uint32_t number;
} other_types[] = {
    {"Q8_1", 9},   {"Q8_K", 15},  {"IQ2_XXS", 16}, {"IQ2_XS", 17}, {"IQ3_XXS", 18}, {"IQ1_S", 19},
    {"IQ3_S", 21}, {"IQ2_S", 22}, {"I8", 24},      {"I16", 25},    {"I32", 26},     {"I64", 27},
    {"F64", 28},   {"IQ1_M", 29}, {"TQ1_0", 34},   {"TQ2_0", 35},  {"MXFP4", 39},
};

const struct gguf_type_info *gguf_type_find(uint32_t number)
{
    for (size_t i = 0; i < TYPE_COUNT; i++)
        if (types[i].number == number)
            return &types[i];
    return NULL;
}

const struct gguf_type_info *gguf_type_find_name(const char *name)
{
    for (size_t i = 0; i < TYPE_COUNT; i++)
        if (strcasecmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

const char *gguf_type_name(uint32_t number)
{
    const struct gguf_type_info *type = gguf_type_find(number);
    if (type)
        return type->name;
    for (size_t i = 0; i < sizeof other_types / sizeof other_types[0]; i++)
        if (other_types[i].number == number)
            return other_types[i].name;
    return "unknown";
}

uint64_t gguf_type_row_bytes(uint32_t number, uint64_t columns)
{
    const struct gguf_type_info *type = gguf_type_find(number);
    uint64_t bytes;
    if (!type || columns % type->block_columns != 0 ||
        __builtin_mul_overflow(columns / type->block_columns, (uint64_t)type->block_bytes, &bytes))
        return 0;
    return bytes;
}
