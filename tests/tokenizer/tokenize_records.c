/* Encodes or decodes records from standard input: the tests' way to the tokenizer.
 *
 *     tokenize_records MODEL.gguf encode   records: u32 spans, (u32 offset, u32 size) each, u32 size, bytes
 *                                          answers: u32 count, ids
 *     tokenize_records MODEL.gguf decode   records: u32 count, ids; answers: u32 size, bytes (streaming decoder)
 *
 * Numbers are little-endian, 32 bits. */
#include "gguf/gguf.h"
#include "tokenizer/token_decoder.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/tokenizer_gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_u32(uint32_t *value)
{
    return fread(value, sizeof *value, 1, stdin) == 1;
}

static void *read_array(uint32_t count, size_t size)
{
    void *data = malloc((size_t)count * size + 1);
    if (!data || fread(data, size, count, stdin) != count)
        exit(3);
    return data;
}

static int encode_record(const struct tokenizer *tokenizer, uint32_t span_count, struct smollm_error *error)
{
    uint32_t *numbers = read_array(span_count * 2, sizeof *numbers);
    struct tokenizer_span *spans = calloc(span_count + 1, sizeof *spans);
    for (uint32_t i = 0; i < span_count; i++)
        spans[i] = (struct tokenizer_span){numbers[2 * i], numbers[2 * i + 1]};
    uint32_t size;
    if (!read_u32(&size))
        exit(3);
    char *bytes = read_array(size, 1);
    struct token_buffer ids = {0};
    int result = tokenizer_encode(tokenizer, (struct smollm_text){bytes, size}, spans, span_count, &ids, error);
    uint32_t count = (uint32_t)ids.count;
    fwrite(&count, sizeof count, 1, stdout);
    if (count > 0)
        fwrite(ids.data, sizeof *ids.data, count, stdout);
    token_buffer_free(&ids);
    free(bytes);
    free(spans);
    free(numbers);
    return result;
}

static void decode_record(const struct tokenizer *tokenizer, uint32_t count)
{
    int32_t *ids = read_array(count, sizeof *ids);
    struct token_decoder decoder = {0};
    struct buffer out = {0};
    for (uint32_t i = 0; i < count; i++)
        token_decoder_push(&decoder, tokenizer_token_text(tokenizer, ids[i]), &out);
    token_decoder_finish(&decoder, &out);
    uint32_t size = (uint32_t)out.size;
    fwrite(&size, sizeof size, 1, stdout);
    fwrite(out.data, 1, size, stdout);
    buffer_free(&out);
    free(ids);
}

int main(int argc, char **argv)
{
    struct smollm_error error = {0};
    struct gguf_file *file = NULL;
    struct tokenizer *tokenizer = NULL;
    if (argc != 3)
        return 2;
    if (gguf_open(argv[1], &file, &error) != 0 || tokenizer_from_gguf(file, &tokenizer, &error) != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], error.message);
        gguf_close(file);
        return 1;
    }
    gguf_close(file);
    int result = 0;
    uint32_t first;
    while (result == 0 && read_u32(&first)) {
        if (strcmp(argv[2], "decode") == 0)
            decode_record(tokenizer, first);
        else
            result = encode_record(tokenizer, first, &error);
    }
    if (result != 0)
        fprintf(stderr, "%s\n", error.message);
    tokenizer_free(tokenizer);
    return result != 0;
}
