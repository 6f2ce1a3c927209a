/* How long the tokenizer of a model file takes: loading, prose, and the texts that are hardest on it.
 *
 *     bench_tokenizer MODEL.gguf [TEXT FILE] */
#include "tokenizer/tokenizer.h"
#include "base/clock.h"
#include "gguf/gguf.h"
#include "tokenizer/tokenizer_gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char const prose[] =
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it "
    "was the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season of "
    "Darkness, it was the spring of hope, it was the winter of despair, we had everything before us, we had nothing "
    "before us, we were all going direct to Heaven, we were all going direct the other way.\n\nThere were a king with "
    "a "
    "large jaw and a queen with a plain face, on the throne of England; there were a king with a large jaw and a queen "
    "with a fair face, on the throne of France. In both countries it was clearer than crystal to the lords of the "
    "State "
    "preserves of loaves and fishes, that things in general were settled for ever. Mrs. Southcott had recently "
    "attained "
    "her five-and-twentieth blessed birthday, of whom a prophetic private in the Life Guards had heralded the sublime "
    "appearance by announcing that arrangements were made for the swallowing up of London and Westminster in 1775.\n";

/* Repeats sample up to size bytes. */
static char *repeat(const char *sample, size_t sample_size, size_t size)
{
    char *text = malloc(size);
    for (size_t i = 0; text && i < size; i++)
        text[i] = sample[i % sample_size];
    return text;
}

static void measure(const struct tokenizer *t, const char *name, const char *text, size_t size)
{
    struct token_buffer out = {0};
    struct smollm_error error;
    double best = 1e9;
    for (int i = 0; i < 3; i++) {
        out.count = 0;
        double start = clock_seconds();
        if (!text || tokenizer_encode_text(t, (struct smollm_text){text, size}, false, &out, &error) != 0)
            return;
        double seconds = clock_seconds() - start;
        best = seconds < best ? seconds : best;
    }
    printf("%-28s %8.1f ms  %7.1f MB/s  %8zu tokens of %zu bytes\n", name, best * 1e3, (double)size / best * 1e-6,
           out.count, size);
    token_buffer_free(&out);
}

int main(int argc, char **argv)
{
    struct smollm_error error = {0};
    struct gguf_file *file;
    struct tokenizer *t;
    if (argc < 2 || argc > 3)
        return fprintf(stderr, "usage: bench_tokenizer MODEL.gguf [TEXT FILE]\n"), 2;
    if (gguf_open(argv[1], &file, &error) != 0)
        return fprintf(stderr, "%s: %s\n", argv[1], error.message), 1;
    double start = clock_seconds();
    if (tokenizer_from_gguf(file, &t, &error) != 0)
        return fprintf(stderr, "%s: %s\n", argv[1], error.message), 1;
    printf("%zu tokens (%s) loaded in %.1f ms\n", tokenizer_token_count(t), tokenizer_pre(t),
           (clock_seconds() - start) * 1e3);
    gguf_close(file);

    const size_t megabyte = 1000000;
    unsigned seed = 1;
    char *letters = malloc(megabyte), *bytes = malloc(megabyte);
    for (size_t i = 0; letters && bytes && i < megabyte; i++) {
        letters[i] = (char)('a' + rand_r(&seed) % 26);
        bytes[i] = (char)(rand_r(&seed) >> 4);
    }
    const struct {
        const char *name;
        char *text;
    } texts[] = {
        {"prose", repeat(prose, sizeof prose - 1, megabyte)},
        {"one letter", repeat("a", 1, megabyte)},
        {"prose without spaces", NULL},
        {"random letters, no space", letters},
        {"spaces", repeat(" ", 1, megabyte)},
        {"line breaks", repeat("\n", 1, megabyte)},
        {"spaces and line breaks", repeat(" \n  \n", 5, megabyte)},
        {"apostrophes", repeat("'", 1, megabyte)},
        {"digits", repeat("1234567890", 10, megabyte)},
        {"random bytes", bytes},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *text = texts[i].text;
        if (!text && (text = malloc(megabyte)) != NULL)
            for (size_t at = 0, from = 0; at < megabyte; from++) {
                char c = prose[from % (sizeof prose - 1)];
                if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
                    text[at++] = c;
            }
        measure(t, texts[i].name, text, megabyte);
        free(text);
    }
    if (argc == 3) {
        FILE *input = fopen(argv[2], "rb");
        char *text = malloc(64 << 20);
        size_t size = input && text ? fread(text, 1, 64 << 20, input) : 0;
        measure(t, argv[2], text, size);
        free(text);
        if (input)
            fclose(input);
    }
    tokenizer_free(t);
    return 0;
}
