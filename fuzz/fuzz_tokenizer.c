/* libFuzzer: any bytes as text for a small vocabulary under each pre-tokeniser, with spans anywhere. What comes back
 * must be the text (where every byte is a token), and the streaming decoder must give UTF-8 that does not depend on the
 * cuts. The first bytes of the input also choose merges, so that vocabularies are odd too. */
#include "base/utf8.h"
#include "tokenizer/token_decoder.h"
#include "tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

enum { PIECES = 64, TOKENS = 256 + PIECES + 4 };

int LLVMFuzzerTestOneInput(uint8_t const *data, size_t size);

/* The bytes of the input choose pairs of tokens that merge into new ones. */
struct sample {
    char bytes[TOKENS][64]; /* as the file spells them */
    size_t sizes[TOKENS];
    struct smollm_text tokens[TOKENS], merges[PIECES];
    int32_t types[TOKENS];
    char merge_bytes[PIECES][130];
};

static void sample_fill(struct sample *s, uint8_t const *data, size_t size)
{
    uint32_t other = 0x100;
    for (uint32_t b = 0; b < 256; b++) {
        bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        s->sizes[b] = utf8_encode(printable ? b : other++, s->bytes[b]);
    }
    for (size_t i = 0; i < PIECES; i++) {
        size_t a = 2 * i + 1 < size ? (data[2 * i] + 256u) % (256 + i) : i;
        size_t b = 2 * i + 1 < size ? data[2 * i + 1] % (256 + i) : i;
        if (s->sizes[a] + s->sizes[b] > 64)
            a = b = i;
        char *out = s->bytes[256 + i];
        memcpy(out, s->bytes[a], s->sizes[a]);
        memcpy(out + s->sizes[a], s->bytes[b], s->sizes[b]);
        s->sizes[256 + i] = s->sizes[a] + s->sizes[b];
        char *merge = s->merge_bytes[i];
        memcpy(merge, s->bytes[a], s->sizes[a]);
        merge[s->sizes[a]] = ' ';
        memcpy(merge + s->sizes[a] + 1, s->bytes[b], s->sizes[b]);
        s->merges[i] = (struct smollm_text){merge, s->sizes[256 + i] + 1};
    }
    for (size_t i = 0; i < TOKENS; i++) {
        s->tokens[i] = (struct smollm_text){s->bytes[i], s->sizes[i]};
        s->types[i] = i < 256 + PIECES ? 1 : 3;
    }
    static const char *const special[] = {"<|a|>", "<|a|>b", "<", "\xc3\xa9"};
    for (size_t i = 0; i < 4; i++)
        s->tokens[256 + PIECES + i] = text_of(special[i]);
}

static void check(const struct tokenizer *t, struct smollm_text text, const struct tokenizer_span *spans, size_t count)
{
    struct token_buffer ids = {0};
    struct buffer raw = {0}, whole = {0}, cut = {0};
    struct token_decoder decoder = {0};
    if (tokenizer_encode(t, text, spans, count, &ids, NULL) != 0)
        abort();
    for (size_t i = 0; i < ids.count; i++) {
        buffer_append_text(&raw, tokenizer_token_text(t, ids.data[i]));
        size_t before = cut.size;
        token_decoder_push(&decoder, tokenizer_token_text(t, ids.data[i]), &cut);
        if (cut.size > before && !utf8_is_valid(cut.data + before, cut.size - before))
            abort();
    }
    token_decoder_finish(&decoder, &cut);
    token_decoder_push(&decoder, text, &whole);
    token_decoder_finish(&decoder, &whole);
    if (!text_equal(buffer_text(&raw), text) || !text_equal(buffer_text(&whole), buffer_text(&cut)))
        abort();
    token_buffer_free(&ids);
    buffer_free(&raw);
    buffer_free(&whole);
    buffer_free(&cut);
}

int LLVMFuzzerTestOneInput(uint8_t const *data, size_t size)
{
    static const char *const pres[] = {"smollm", "llama-bpe", "smaug-bpe", "gpt-2"};
    if (size < 4)
        return 0;
    struct sample *s = calloc(1, sizeof *s);
    sample_fill(s, data + 4, size - 4);
    struct tokenizer_vocabulary v = {.tokens = s->tokens,
                                     .types = s->types,
                                     .token_count = TOKENS,
                                     .merges = s->merges,
                                     .merge_count = PIECES,
                                     .pre = text_of(pres[data[0] % 4]),
                                     .add_bos = -1,
                                     .bos = -1,
                                     .eos = -1,
                                     .eot = -1,
                                     .eom = -1,
                                     .padding = -1};
    struct tokenizer *t;
    if (tokenizer_create(&v, &t, NULL) != 0)
        abort();
    struct smollm_text text = {(const char *)data + 4, size - 4};
    size_t a = data[1] % (text.size + 1), b = a + data[2] % (text.size - a + 1);
    struct tokenizer_span spans[2] = {{0, a}, {b, text.size - b}};
    check(t, text, spans, data[3] % 3);
    tokenizer_free(t);
    free(s);
    return 0;
}
