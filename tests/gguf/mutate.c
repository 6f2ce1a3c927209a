/* Mutated model files: truncated at every byte of the header; every integer of the header replaced by values that break
 * careless programs; then random bytes, several at a time, until COUNT files were tried. Each is opened, asked for
 * everything and read (fuzz/fuzz_gguf.c). A crash, a sanitizer's report, an error without a proper message or a file
 * that takes longer than ten seconds ends the program with a signal and the number of the file.
 *
 * usage: mutate [COUNT [SEED]]
 *
 * The model has a metadata entry of every type and a tensor of every block type. */
#include "base/text.h"
#include "gguf/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(uint8_t const *data, size_t size);

enum { MARKS_MAX = 512 };

struct image {
    struct buffer bytes;
    size_t header_size;
    struct {
        size_t at, size;
    } integers[MARKS_MAX];
    size_t integer_count;
};

static void integer(struct image *image, uint64_t value, size_t size)
{
    image->integers[image->integer_count].at = image->bytes.size;
    image->integers[image->integer_count++].size = size;
    buffer_append(&image->bytes, &value, size);
}

static void name(struct image *image, const char *text)
{
    integer(image, strlen(text), 8);
    buffer_append_string(&image->bytes, text);
}

static void key(struct image *image, const char *text, uint32_t type)
{
    name(image, text);
    integer(image, type, 4);
}

static void add_metadata(struct image *image)
{
    key(image, "general.alignment", GGUF_VALUE_U32), integer(image, 32, 4);
    key(image, "a", GGUF_VALUE_STRING), name(image, "llama");
    key(image, "b", GGUF_VALUE_U8), integer(image, 200, 1);
    key(image, "c", GGUF_VALUE_I8), integer(image, 200, 1);
    key(image, "d", GGUF_VALUE_U16), integer(image, 2, 2);
    key(image, "e", GGUF_VALUE_I16), integer(image, 3, 2);
    key(image, "f", GGUF_VALUE_I32), integer(image, 4, 4);
    key(image, "g", GGUF_VALUE_F32), integer(image, 5, 4);
    key(image, "h", GGUF_VALUE_BOOL), integer(image, 1, 1);
    key(image, "i", GGUF_VALUE_U64), integer(image, 6, 8);
    key(image, "j", GGUF_VALUE_I64), integer(image, 7, 8);
    key(image, "k", GGUF_VALUE_F64), integer(image, 8, 8);
    key(image, "l", GGUF_VALUE_ARRAY), integer(image, GGUF_VALUE_STRING, 4), integer(image, 3, 8);
    name(image, "x"), name(image, ""), name(image, "yz");
    key(image, "m", GGUF_VALUE_ARRAY), integer(image, GGUF_VALUE_I32, 4), integer(image, 2, 8);
    integer(image, 9, 4), integer(image, 10, 4);
    key(image, "n", GGUF_VALUE_ARRAY), integer(image, GGUF_VALUE_F32, 4), integer(image, 1, 8), integer(image, 0, 4);
}

/* One row of 256 columns of each type. */
static size_t add_tensors(struct image *image)
{
    size_t offset = 0;
#define TENSOR(type_name, number, columns, size, ...)                                                                  \
    name(image, #type_name);                                                                                           \
    integer(image, 2, 4), integer(image, 256, 8), integer(image, 1, 8), integer(image, number, 4);                     \
    integer(image, offset, 8);                                                                                         \
    offset = (offset + 256 / columns * size + 31) / 32 * 32;
    GGUF_TYPE_MAP(TENSOR, TENSOR)
#undef TENSOR
    return offset;
}

static struct image image_create(void)
{
    struct image image = {0};
    buffer_append_string(&image.bytes, "GGUF");
    integer(&image, 3, 4);
    integer(&image, 15, 8);
    integer(&image, 15, 8);
    add_metadata(&image);
    size_t data_size = add_tensors(&image);
    image.header_size = image.bytes.size;
    while (image.bytes.size % 32 != 0)
        buffer_append_char(&image.bytes, 0);
    for (size_t i = 0; i < data_size; i++)
        buffer_append_char(&image.bytes, (char)(i * 37));
    return image;
}

static unsigned long tried;

/* A copy of exactly the size, so that a sanitizer sees every byte beyond. */
static void attempt(const char *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, data, size);
    alarm(10);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    tried++;
}

static void try_truncations(const struct image *image)
{
    for (size_t size = 0; size <= image->header_size; size++)
        attempt(image->bytes.data, size);
}

static void try_integers(struct image *image)
{
    static const uint64_t values[] = {
        0,          1,          2,          255,        (1u << 31) - 1,  1u << 31,
        UINT32_MAX, 1ull << 32, 1ull << 62, 1ull << 63, UINT64_MAX - 31, UINT64_MAX,
    };
    for (size_t i = 0; i < image->integer_count; i++) {
        char *place = image->bytes.data + image->integers[i].at;
        size_t size = image->integers[i].size;
        char old[8];
        memcpy(old, place, size);
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            memcpy(place, &values[v], size);
            attempt(image->bytes.data, image->bytes.size);
        }
        memcpy(place, old, size);
    }
}

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* One to four bytes, or another integer's value, somewhere in the header. */
static void try_random(struct image *image, uint64_t *state)
{
    char *header = image->bytes.data;
    char *whole = malloc(image->header_size);
    memcpy(whole, header, image->header_size);
    for (uint64_t n = random_next(state) % 4 + 1; n > 0; n--) {
        if (random_next(state) % 2) {
            header[random_next(state) % image->header_size] = (char)random_next(state);
            continue;
        }
        size_t a = random_next(state) % image->integer_count;
        size_t b = random_next(state) % image->integer_count;
        size_t size =
            image->integers[a].size < image->integers[b].size ? image->integers[a].size : image->integers[b].size;
        memmove(header + image->integers[a].at, header + image->integers[b].at, size);
    }
    attempt(header, image->bytes.size);
    memcpy(header, whole, image->header_size);
    free(whole);
}

static void accept_whole(const struct image *image)
{
    char path[] = "/tmp/smollm-mutate-XXXXXX";
    int descriptor = mkstemp(path);
    struct gguf_file *file;
    struct smollm_error error = {0};
    if (descriptor < 0 || write(descriptor, image->bytes.data, image->bytes.size) < 0 ||
        gguf_open_descriptor(descriptor, &file, &error) != 0) {
        fprintf(stderr, "mutate: the model is refused unchanged: %s\n", error.message);
        exit(1);
    }
    gguf_close(file);
    unlink(path);
}

int main(int argc, char **argv)
{
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000;
    uint64_t state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    struct image image = image_create();
    accept_whole(&image);
    try_truncations(&image);
    printf("%lu truncated files, ", tried);
    unsigned long before = tried;
    try_integers(&image);
    printf("%lu with one integer replaced, ", tried - before);
    before = tried;
    while (tried < count)
        try_random(&image, &state);
    printf("%lu with random changes: no signal, no report\n", tried - before);
    buffer_free(&image.bytes);
    return 0;
}
