/* libFuzzer: any bytes as a model file: open, ask for everything, read and decode every tensor.
 *
 * tests/gguf/mutate.c calls the same function with systematic mutations, so it must also hold without libFuzzer. */
#include "base/utf8.h"
#include "gguf/gguf.h"
#include "quant/quant.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(uint8_t const *data, size_t size);

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

/* An error has a code that goes with it, and one line that can be shown. */
static void check_error(int code, const struct smollm_error *error)
{
    size_t size = strnlen(error->message, sizeof error->message);
    REQUIRE(code < 0 && error->code == code);
    REQUIRE(size > 0 && size < sizeof error->message);
    REQUIRE(!strchr(error->message, '\n') && utf8_is_valid(error->message, size));
}

static void ask_metadata(const struct gguf_file *file)
{
    for (size_t i = 0; i < gguf_value_count(file); i++) {
        struct gguf_value value = gguf_value_at(file, i);
        struct smollm_error error = {0};
        char *key = strndup(value.key.data, value.key.size);
        uint32_t u32;
        uint64_t u64;
        float f32;
        bool flag;
        struct smollm_text text;
        struct smollm_text *texts;
        int32_t *integers;
        float *floats;
        size_t count;
        REQUIRE(gguf_has(file, key));
        gguf_get_u32(file, key, &u32, &error);
        gguf_get_u64(file, key, &u64, &error);
        gguf_get_f32(file, key, &f32, &error);
        gguf_get_bool(file, key, &flag, &error);
        if (gguf_get_text(file, key, &text, &error) == 0)
            utf8_is_valid(text.data, text.size);
        if (gguf_get_texts(file, key, &texts, &count, &error) == 0) {
            for (size_t k = 0; k < count; k++)
                utf8_is_valid(texts[k].data, texts[k].size);
            free(texts);
        }
        if (gguf_get_i32s(file, key, &integers, &count, &error) == 0)
            free(integers);
        if (gguf_get_f32s(file, key, &floats, &count, &error) == 0)
            free(floats);
        free(key);
    }
}

static void read_tensor(const struct gguf_file *file, const struct gguf_tensor *tensor)
{
    struct smollm_error error = {0};
    uint64_t row = gguf_type_row_bytes(tensor->type, tensor->dims[0]);
    REQUIRE(row > 0 && tensor->size == row * (tensor->elements / tensor->dims[0]));
    unsigned char *bytes = malloc((size_t)row);
    float *values = malloc((size_t)tensor->dims[0] * sizeof *values);
    for (uint64_t at = 0; bytes && values && at < tensor->size; at += row) {
        REQUIRE(gguf_tensor_read(file, tensor, at, (size_t)row, bytes, &error) == 0);
        REQUIRE(quant_row_decode(tensor->type, bytes, values, (size_t)tensor->dims[0]) == 0);
    }
    REQUIRE(gguf_tensor_read(file, tensor, tensor->size, 1, &(char){0}, &error) == SMOLLM_EINVAL);
    free(bytes);
    free(values);
}

int LLVMFuzzerTestOneInput(uint8_t const *data, size_t size)
{
    int descriptor = memfd_create("model", MFD_CLOEXEC);
    if (descriptor < 0 || write(descriptor, data, size) != (ssize_t)size) {
        close(descriptor);
        return 0;
    }
    struct gguf_file *file;
    struct smollm_error error = {0};
    int code = gguf_open_descriptor(descriptor, &file, &error);
    if (code != 0) {
        check_error(code, &error);
        REQUIRE(!file);
        return 0;
    }
    ask_metadata(file);
    for (size_t i = 0; i < gguf_tensor_count(file); i++)
        read_tensor(file, gguf_tensor_at(file, i));
    gguf_close(file);
    return 0;
}
