/* gguf/: what the writer writes the reader reads; every rule of gguf.h is broken once, by hand. */
#include "base/text.h"
#include "cmocka_all.h"
#include "gguf/gguf_writer.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/smollm-gguf-XXXXXX";
static char path[64];

static int set_up(void **state)
{
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/a.gguf", directory);
    return 0;
}

static int tear_down(void **state)
{
    unlink(path);
    return rmdir(directory);
}

/* ---- Round trip ---- */

static void written_files_read_back(void **state)
{
    struct smollm_error error = {0};
    struct gguf_writer *writer;
    struct smollm_text words[] = {{"one", 3}, {"", 0}, {"thr\0e", 5}};
    uint64_t dims[] = {64, 3};
    unsigned char rows[3 * 68];
    float norm[5] = {1, 2, 3, 4, 5};
    for (size_t i = 0; i < sizeof rows; i++)
        rows[i] = (unsigned char)(i * 7);

    assert_int_equal(gguf_writer_open(path, &writer, &error), 0);
    gguf_writer_put_text(writer, "general.architecture", text_of("llama"));
    gguf_writer_put_u32(writer, "llama.block_count", 7);
    gguf_writer_put_f32(writer, "llama.eps", 1e-6f);
    gguf_writer_put_bool(writer, "flag", true);
    gguf_writer_put_texts(writer, "words", words, 3);
    gguf_writer_put_i32s(writer, "numbers", (int32_t[]){-5, 0, INT32_MAX}, 3);
    gguf_writer_put_f32s(writer, "floats", (float[]){0.5f}, 1);
    gguf_writer_put_i32s(writer, "nothing", NULL, 0);
    gguf_writer_add_tensor(writer, text_of("norm"), GGUF_F32, 1, (uint64_t[]){5});
    gguf_writer_add_tensor(writer, text_of("weight"), GGUF_Q8_0, 2, dims);
    assert_int_equal(gguf_writer_begin_data(writer, &error), 0);
    assert_int_equal(gguf_writer_finish(writer, &error), SMOLLM_EINVAL);
    assert_int_equal(gguf_writer_write(writer, norm, sizeof norm, &error), 0);
    assert_int_equal(gguf_writer_write(writer, rows, 100, &error), 0);
    assert_int_equal(gguf_writer_write(writer, rows + 100, sizeof rows, &error), SMOLLM_EINVAL);
    assert_int_equal(gguf_writer_write(writer, rows + 100, sizeof rows - 100, &error), 0);
    assert_int_equal(gguf_writer_write(writer, rows, 1, &error), SMOLLM_EINVAL);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(gguf_writer_finish(writer, &error), 0);
    gguf_writer_close(writer);

    struct gguf_file *file;
    assert_int_equal(gguf_open(path, &file, &error), 0);
    assert_int_equal(gguf_version(file), 3);
    assert_int_equal(gguf_value_count(file), 8);
    uint32_t u32 = 99;
    uint64_t u64;
    float f32;
    bool flag = false;
    struct smollm_text text;
    assert_int_equal(gguf_get_u32(file, "llama.block_count", &u32, &error), 0);
    assert_int_equal(u32, 7);
    assert_int_equal(gguf_get_u64(file, "llama.block_count", &u64, &error), 0);
    assert_int_equal(u64, 7);
    assert_int_equal(gguf_get_f32(file, "llama.eps", &f32, &error), 0);
    assert_true(f32 == 1e-6f);
    assert_int_equal(gguf_get_bool(file, "flag", &flag, &error), 0);
    assert_true(flag);
    assert_int_equal(gguf_get_text(file, "general.architecture", &text, &error), 0);
    assert_true(text_is(text, "llama"));

    assert_int_equal(gguf_get_u32(file, "absent", &u32, &error), SMOLLM_ENOTFOUND);
    assert_string_equal(error.message, "metadata absent is missing");
    assert_int_equal(gguf_get_u32(file, "flag", &u32, &error), SMOLLM_EFORMAT);
    assert_string_equal(error.message, "metadata flag is bool, expected an integer");
    assert_int_equal(gguf_get_text(file, "words", &text, &error), SMOLLM_EFORMAT);
    assert_string_equal(error.message, "metadata words is an array of string, expected a string");
    assert_int_equal(u32, 7);

    struct smollm_text *texts;
    int32_t *integers;
    float *floats;
    size_t count;
    assert_int_equal(gguf_get_texts(file, "words", &texts, &count, &error), 0);
    assert_int_equal(count, 3);
    assert_true(text_is(texts[0], "one"));
    assert_int_equal(texts[1].size, 0);
    assert_memory_equal(texts[2].data, "thr\0e", 5);
    free(texts);
    assert_int_equal(gguf_get_i32s(file, "numbers", &integers, &count, &error), 0);
    assert_int_equal(count, 3);
    assert_int_equal(integers[0], -5);
    assert_int_equal(integers[2], INT32_MAX);
    free(integers);
    assert_int_equal(gguf_get_i32s(file, "nothing", &integers, &count, &error), 0);
    assert_int_equal(count, 0);
    free(integers);
    assert_int_equal(gguf_get_f32s(file, "floats", &floats, &count, &error), 0);
    assert_true(count == 1 && floats[0] == 0.5f);
    free(floats);
    assert_int_equal(gguf_get_texts(file, "numbers", &texts, &count, &error), SMOLLM_EFORMAT);
    assert_int_equal(gguf_get_i32s(file, "words", &integers, &count, &error), SMOLLM_EFORMAT);
    assert_int_equal(gguf_get_i32s(file, "floats", &integers, &count, &error), SMOLLM_EFORMAT);
    assert_int_equal(gguf_get_f32s(file, "numbers", &floats, &count, &error), SMOLLM_EFORMAT);
    assert_int_equal(gguf_get_f32s(file, "flag", &floats, &count, &error), SMOLLM_EFORMAT);

    const struct gguf_tensor *tensor = gguf_tensor_find(file, "weight");
    assert_non_null(tensor);
    assert_null(gguf_tensor_find(file, "weigh"));
    assert_int_equal(tensor->size, sizeof rows);
    assert_int_equal(tensor->elements, 192);
    assert_int_equal(tensor->dims[1], 3);
    assert_int_equal(tensor->dims[3], 1);
    unsigned char back[sizeof rows];
    assert_int_equal(gguf_tensor_read(file, tensor, 0, sizeof back, back, &error), 0);
    assert_memory_equal(back, rows, sizeof rows);
    assert_int_equal(gguf_tensor_read(file, tensor, 68, 68, back, &error), 0);
    assert_memory_equal(back, rows + 68, 68);
    assert_int_equal(gguf_tensor_read(file, tensor, 1, sizeof back, back, &error), SMOLLM_EINVAL);
    assert_int_equal(gguf_tensor_read(file, tensor, UINT64_MAX, 2, back, &error), SMOLLM_EINVAL);

    /* Cut while it is open. */
    assert_int_equal(truncate(path, (off_t)tensor->offset + 10), 0);
    assert_int_equal(gguf_tensor_read(file, tensor, 0, sizeof back, back, &error), SMOLLM_EIO);
    assert_non_null(strstr(error.message, "tensor weight: the file has become shorter"));
    gguf_close(file);
    unlink(path);
}

/* Writes one entry, reads it back as u32, u64, i32 array. */
static void check_integer(enum gguf_value_type type, const void *bytes, size_t size, int code, uint32_t expected)
{
    struct smollm_error error = {0};
    struct gguf_writer *writer;
    struct gguf_file *file;
    assert_int_equal(gguf_writer_open(path, &writer, &error), 0);
    gguf_writer_put_value(writer, &(struct gguf_value){.key = text_of("n"), .type = type, .bytes = {bytes, size}});
    assert_int_equal(gguf_writer_begin_data(writer, &error), 0);
    assert_int_equal(gguf_writer_finish(writer, &error), 0);
    gguf_writer_close(writer);
    uint32_t value = 77;
    assert_int_equal(gguf_open(path, &file, &error), 0);
    assert_int_equal(gguf_get_u32(file, "n", &value, &error), code);
    assert_int_equal(value, code == 0 ? expected : 77);
    gguf_close(file);
    unlink(path);
}

static void integers_of_any_type_are_taken_where_they_fit(void **state)
{
    check_integer(GGUF_VALUE_U8, &(uint8_t){255}, 1, 0, 255);
    check_integer(GGUF_VALUE_I8, &(int8_t){-1}, 1, SMOLLM_EFORMAT, 0);
    check_integer(GGUF_VALUE_I16, &(int16_t){INT16_MAX}, 2, 0, INT16_MAX);
    check_integer(GGUF_VALUE_U16, &(uint16_t){65535}, 2, 0, 65535);
    check_integer(GGUF_VALUE_I32, &(int32_t){INT32_MIN}, 4, SMOLLM_EFORMAT, 0);
    check_integer(GGUF_VALUE_I32, &(int32_t){5}, 4, 0, 5);
    check_integer(GGUF_VALUE_U32, &(uint32_t){UINT32_MAX}, 4, 0, UINT32_MAX);
    check_integer(GGUF_VALUE_I64, &(int64_t){-5}, 8, SMOLLM_EFORMAT, 0);
    check_integer(GGUF_VALUE_I64, &(int64_t){INT64_MIN}, 8, SMOLLM_EFORMAT, 0);
    check_integer(GGUF_VALUE_U64, &(uint64_t){1ull << 32}, 8, SMOLLM_EFORMAT, 0);
    check_integer(GGUF_VALUE_U64, &(uint64_t){UINT32_MAX}, 8, 0, UINT32_MAX);
    check_integer(GGUF_VALUE_F32, &(float){5}, 4, SMOLLM_EFORMAT, 0);
}

static void unfinished_files_vanish(void **state)
{
    struct smollm_error error = {0};
    struct gguf_writer *writer;
    assert_int_equal(gguf_writer_open(path, &writer, &error), 0);
    gguf_writer_add_tensor(writer, text_of("t"), GGUF_F32, 1, (uint64_t[]){1000});
    assert_int_equal(gguf_writer_begin_data(writer, &error), 0);
    gguf_writer_close(writer);
    assert_int_equal(access(path, F_OK), -1);

    assert_int_equal(gguf_writer_open(path, &writer, &error), 0);
    gguf_writer_add_tensor(writer, text_of("t"), GGUF_Q4_K, 1, (uint64_t[]){1000});
    assert_int_equal(gguf_writer_begin_data(writer, &error), SMOLLM_EINVAL);
    gguf_writer_close(writer);

    assert_int_equal(gguf_writer_open("/nonexistent/x.gguf", &writer, &error), SMOLLM_ENOTFOUND);
    assert_int_equal(rmdir(directory), 0); /* nothing is left in it */
    assert_int_equal(mkdir(directory, 0700), 0);
}

/* ---- Broken files, from memory ---- */

struct image {
    struct buffer bytes;
    size_t marks[16]; /* places that a case changes */
    size_t n_marks;
};

static void mark(struct image *image)
{
    image->marks[image->n_marks++] = image->bytes.size;
}
static void u32(struct image *image, uint32_t value)
{
    buffer_append(&image->bytes, &value, 4);
}
static void u64(struct image *image, uint64_t value)
{
    buffer_append(&image->bytes, &value, 8);
}
static void name(struct image *image, const char *text)
{
    u64(image, strlen(text));
    buffer_append_string(&image->bytes, text);
}

enum {
    VERSION,
    TENSORS,
    ENTRIES,
    KEY_SIZE,
    VALUE_TYPE,
    STRING_SIZE,
    ELEMENT_TYPE,
    COUNT,
    BOOLEAN,
    N_DIMS,
    DIM,
    TYPE,
    OFFSET
};

/* Two entries of interest, a boolean, two tensors of 32 floats each; marks in the order of the enum above. */
static struct image image_create(void)
{
    struct image image = {0};
    buffer_append_string(&image.bytes, "GGUF");
    mark(&image), u32(&image, 3);
    mark(&image), u64(&image, 2);
    mark(&image), u64(&image, 4);
    mark(&image), name(&image, "text");
    mark(&image), u32(&image, GGUF_VALUE_STRING);
    mark(&image), name(&image, "value");
    name(&image, "list"), u32(&image, GGUF_VALUE_ARRAY);
    mark(&image), u32(&image, GGUF_VALUE_STRING);
    mark(&image), u64(&image, 2);
    name(&image, "a"), name(&image, "bc");
    name(&image, "flag"), u32(&image, GGUF_VALUE_BOOL);
    mark(&image), buffer_append_char(&image.bytes, 1);
    name(&image, "general.alignmen_"), u32(&image, GGUF_VALUE_U32), u32(&image, 64);
    name(&image, "first");
    mark(&image), u32(&image, 2);
    mark(&image), u64(&image, 32), u64(&image, 1);
    mark(&image), u32(&image, GGUF_F32);
    mark(&image), u64(&image, 0);
    name(&image, "other"), u32(&image, 1), u64(&image, 32), u32(&image, GGUF_F32), u64(&image, 128);
    while (image.bytes.size % 32 != 0)
        buffer_append_char(&image.bytes, 0);
    for (int i = 0; i < 256; i++)
        buffer_append_char(&image.bytes, 1);
    return image;
}

static int image_open(const struct image *image, struct gguf_file **file, struct smollm_error *error)
{
    int descriptor = memfd_create("image", MFD_CLOEXEC);
    assert_int_equal(write(descriptor, image->bytes.data, image->bytes.size), image->bytes.size);
    return gguf_open_descriptor(descriptor, file, error);
}

static void expect_error(const struct image *image, int code, const char *part)
{
    struct gguf_file *file;
    struct smollm_error error = {0};
    int got = image_open(image, &file, &error);
    if (got != code || !strstr(error.message, part))
        fail_msg("expected %d with \"%s\", got %d: %s", code, part, got, error.message);
    assert_null(file);
}

/* Opens the image with `size` bytes at a mark (plus `skip`) replaced. */
static void expect_refusal(int at, size_t skip, uint64_t value, size_t size, int code, const char *part)
{
    struct image image = image_create();
    memcpy(image.bytes.data + image.marks[at] + skip, &value, size);
    expect_error(&image, code, part);
    buffer_free(&image.bytes);
}

static void every_rule_is_enforced(void **state)
{
    struct image image = image_create();
    struct gguf_file *file;
    struct smollm_error error = {0};
    assert_int_equal(image_open(&image, &file, &error), 0);
    gguf_close(file);
    memcpy(image.bytes.data + image.marks[VERSION], &(uint32_t){2}, 4);
    assert_int_equal(image_open(&image, &file, &error), 0);
    gguf_close(file);

    expect_refusal(VERSION, 0, 1, 4, SMOLLM_EUNSUPPORTED, "GGUF version 1");
    expect_refusal(VERSION, 0, 4, 4, SMOLLM_EUNSUPPORTED, "GGUF version 4");
    expect_refusal(VERSION, 0, 0x03000000, 4, SMOLLM_EUNSUPPORTED, "big-endian");
    expect_refusal(TENSORS, 0, 1000, 8, SMOLLM_EFORMAT, "1000 tensors");
    expect_refusal(TENSORS, 0, UINT64_MAX, 8, SMOLLM_EFORMAT, "18446744073709551615 tensors");
    expect_refusal(ENTRIES, 0, 1u << 31, 8, SMOLLM_EFORMAT, "2147483648 metadata entries");
    expect_refusal(KEY_SIZE, 0, 0, 8, SMOLLM_EFORMAT, "has a length of 0");
    expect_refusal(KEY_SIZE, 0, 65536, 8, SMOLLM_EFORMAT, "has a length of 65536");
    expect_refusal(KEY_SIZE, 8, 0xff, 1, SMOLLM_EFORMAT, "not printable UTF-8");
    expect_refusal(KEY_SIZE, 8, 0x1b, 1, SMOLLM_EFORMAT, "not printable UTF-8");
    expect_refusal(VALUE_TYPE, 0, 13, 4, SMOLLM_EFORMAT, "unknown value type 13");
    expect_refusal(STRING_SIZE, 0, UINT64_MAX, 8, SMOLLM_EFORMAT, "metadata text needs 18446744073709551615 bytes");
    expect_refusal(ELEMENT_TYPE, 0, GGUF_VALUE_ARRAY, 4, SMOLLM_EUNSUPPORTED, "array of arrays");
    expect_refusal(ELEMENT_TYPE, 0, 77, 4, SMOLLM_EFORMAT, "unknown value type 77");
    expect_refusal(COUNT, 0, UINT64_MAX / 8, 8, SMOLLM_EFORMAT, "more than the file");
    expect_refusal(COUNT, 0, 60, 8, SMOLLM_EFORMAT, "metadata list");
    expect_refusal(BOOLEAN, 0, 2, 1, SMOLLM_EFORMAT, "boolean that is 2");
    expect_refusal(N_DIMS, 0, 0, 4, SMOLLM_EFORMAT, "tensor first has 0 dimensions");
    expect_refusal(N_DIMS, 0, 5, 4, SMOLLM_EFORMAT, "tensor first has 5 dimensions");
    expect_refusal(DIM, 0, 0, 8, SMOLLM_EFORMAT, "tensor first has a dimension of 0");
    expect_refusal(DIM, 8, 0, 8, SMOLLM_EFORMAT, "tensor first has a dimension of 0");
    expect_refusal(DIM, 0, 1ull << 62, 8, SMOLLM_EFORMAT, "larger than any file");
    expect_refusal(DIM, 8, 1ull << 60, 8, SMOLLM_EFORMAT, "more elements than any file");
    expect_refusal(DIM, 8, 1ull << 40, 8, SMOLLM_EFORMAT, "tensor first needs 140737488355328 bytes at offset");
    expect_refusal(DIM, 8, 2, 8, SMOLLM_EFORMAT, "tensors first and other overlap");
    expect_refusal(TYPE, 0, 4, 4, SMOLLM_EUNSUPPORTED, "tensor first has type 4 (unknown)");
    expect_refusal(TYPE, 0, 16, 4, SMOLLM_EUNSUPPORTED, "tensor first has type 16 (IQ2_XXS)");
    expect_refusal(TYPE, 0, GGUF_Q4_K, 4, SMOLLM_EFORMAT,
                   "rows of 32 columns, which do not fill whole blocks of 256 columns");
    expect_refusal(OFFSET, 0, 4, 8, SMOLLM_EFORMAT, "it must be a multiple of the alignment 32");
    expect_refusal(OFFSET, 0, 128, 8, SMOLLM_EFORMAT, "overlap");
    expect_refusal(OFFSET, 0, 160, 8, SMOLLM_EFORMAT, "truncated download?");
    expect_refusal(OFFSET, 0, UINT64_MAX - 31, 8, SMOLLM_EFORMAT, "file ends at");
    buffer_free(&image.bytes);
}

/* Replaces a run of bytes of the same length. */
static void image_rename(struct image *image, const char *from, const char *to)
{
    char *place = memmem(image->bytes.data, image->bytes.size, from, strlen(from));
    assert_non_null(place);
    memcpy(place, to, strlen(to));
}

static void names_are_unique_and_alignment_is_sane(void **state)
{
    struct image image = image_create();
    image_rename(&image, "other", "first");
    expect_error(&image, SMOLLM_EFORMAT, "duplicate tensor first");
    buffer_free(&image.bytes);

    image = image_create();
    image_rename(&image, "list", "text");
    expect_error(&image, SMOLLM_EFORMAT, "duplicate metadata key text");
    buffer_free(&image.bytes);

    image = image_create();
    image_rename(&image, "general.alignmen_", "general.alignment");
    char *value = memmem(image.bytes.data, image.bytes.size, "general.alignment", 17);
    const uint32_t bad[] = {0, 3, 48, 1u << 31};
    for (int i = 0; i < 4; i++) {
        memcpy(value + 17 + 4, &bad[i], 4);
        expect_error(&image, SMOLLM_EFORMAT, "general.alignment is");
    }
    buffer_free(&image.bytes);
}

static void every_prefix_is_refused(void **state)
{
    struct image image = image_create();
    size_t whole = image.bytes.size;
    for (size_t size = 0; size < whole; size++) {
        image.bytes.size = size;
        expect_error(&image, SMOLLM_EFORMAT, "");
    }
    buffer_free(&image.bytes);
}

static void other_things_are_no_models(void **state)
{
    struct gguf_file *file;
    struct smollm_error error;
    assert_int_equal(gguf_open("/nonexistent", &file, &error), SMOLLM_ENOTFOUND);
    assert_int_equal(gguf_open(directory, &file, &error), SMOLLM_EFORMAT);
    assert_string_equal(error.message, "this is a directory, not a GGUF file");
    char fifo[64];
    snprintf(fifo, sizeof fifo, "%s/fifo", directory);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(gguf_open(fifo, &file, &error), SMOLLM_EFORMAT);
    unlink(fifo);
    gguf_close(NULL);
}

/* Opens a sparse file of 1 TiB that begins with the image, under a small address space: what a header claims must not
 * buy memory. (Not limited under ASan, whose shadow is larger than any limit.) */
static void expect_refusal_without_memory(int at, uint64_t value, int code, const char *part)
{
    struct image image = image_create();
    memcpy(image.bytes.data + image.marks[at], &value, 8);
    int descriptor = memfd_create("sparse", MFD_CLOEXEC);
    assert_int_equal(write(descriptor, image.bytes.data, image.bytes.size), image.bytes.size);
    assert_int_equal(ftruncate(descriptor, (off_t)1 << 40), 0);
    struct rlimit before;
    getrlimit(RLIMIT_AS, &before);
#if !defined(__SANITIZE_ADDRESS__)
    struct rlimit small = {.rlim_cur = (rlim_t)200 << 20, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &small), 0);
#endif
    struct gguf_file *file;
    struct smollm_error error;
    int got = gguf_open_descriptor(descriptor, &file, &error);
    setrlimit(RLIMIT_AS, &before);
    if (got != code || !strstr(error.message, part))
        fail_msg("expected %d with \"%s\", got %d: %s", code, part, got, error.message);
    buffer_free(&image.bytes);
}

static void absurd_counts_allocate_nothing(void **state)
{
    expect_refusal_without_memory(TENSORS, 1 << 20, SMOLLM_EFORMAT, "a tensor name");
    expect_refusal_without_memory(ENTRIES, 65536, SMOLLM_EFORMAT, "a metadata key");
    expect_refusal_without_memory(STRING_SIZE, 300 << 20, SMOLLM_ELIMIT, "the header is larger than");
    expect_refusal_without_memory(COUNT, 1ull << 36, SMOLLM_EFORMAT, "metadata list needs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_files_read_back),
        cmocka_unit_test(integers_of_any_type_are_taken_where_they_fit),
        cmocka_unit_test(unfinished_files_vanish),
        cmocka_unit_test(every_rule_is_enforced),
        cmocka_unit_test(names_are_unique_and_alignment_is_sane),
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(other_things_are_no_models),
        cmocka_unit_test(absurd_counts_allocate_nothing),
    };
    return cmocka_run_group_tests_name("gguf", tests, set_up, tear_down);
}
