/* tokenizer/: broken vocabularies, what the file may say, streaming decoding. The ids themselves are compared with HF
 * tokenizers in test_encode.py. */
#include "base/utf8.h"
#include "cmocka_all.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/token_decoder.h"
#include "tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

enum { TOKENS = 256 + 8 };

struct sample {
    struct smollm_text tokens[TOKENS];
    int32_t types[TOKENS];
    struct smollm_text merges[3];
    char spelling[256][3];
    struct tokenizer_vocabulary vocabulary;
};

/* All bytes, "he", "ll", "hell", "hello" by merges or not, and three special tokens. */
static void sample_fill(struct sample *s)
{
    *s = (struct sample){0};
    uint32_t other = 0x100;
    for (uint32_t b = 0; b < 256; b++) {
        bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        size_t size = utf8_encode(printable ? b : other++, s->spelling[b]);
        s->tokens[b] = (struct smollm_text){s->spelling[b], size};
    }
    static const char *const more[] = {"he", "ll", "hell", "hello", "<|im_end|>", "<|im_end|>!", "<tool>", "<unused>"};
    for (size_t i = 0; i < 8; i++)
        s->tokens[256 + i] = text_of(more[i]);
    for (size_t i = 0; i < TOKENS; i++)
        s->types[i] = 1;
    s->types[260] = s->types[261] = 3;
    s->types[262] = 4;
    s->types[263] = 5;
    s->merges[0] = text_of("h e");
    s->merges[1] = text_of("l l");
    s->merges[2] = text_of("he ll");
    s->vocabulary = (struct tokenizer_vocabulary){.tokens = s->tokens,
                                                  .types = s->types,
                                                  .token_count = TOKENS,
                                                  .merges = s->merges,
                                                  .merge_count = 3,
                                                  .pre = text_of("gpt-2"),
                                                  .add_bos = -1,
                                                  .bos = 260,
                                                  .eos = -1,
                                                  .eot = -1,
                                                  .eom = -1,
                                                  .padding = -1};
}

static void assert_ids(const struct tokenizer *t, const char *text, const struct tokenizer_span *spans, size_t count,
                       const int32_t *ids, size_t id_count)
{
    struct token_buffer out = {0};
    struct smollm_error error = {0};
    assert_int_equal(tokenizer_encode(t, text_of(text), spans, count, &out, &error), 0);
    assert_int_equal(out.count, id_count);
    assert_memory_equal(out.data, ids, id_count * sizeof *ids);
    token_buffer_free(&out);
}
#define ASSERT_IDS(t, text, spans, count, ...)                                                                         \
    assert_ids(t, text, spans, count, (int32_t[]){__VA_ARGS__}, sizeof(int32_t[]){__VA_ARGS__} / sizeof(int32_t))

static struct tokenizer *create(const struct sample *s)
{
    struct tokenizer *t;
    struct smollm_error error = {0};
    int result = tokenizer_create(&s->vocabulary, &t, &error);
    if (result != 0)
        print_error("%s\n", error.message);
    assert_int_equal(result, 0);
    return t;
}

static void merges_and_whole_words(void **state)
{
    struct sample s;
    sample_fill(&s);
    struct tokenizer *t = create(&s);
    /* "hello" is a token that no merges lead to. */
    for (int again = 0; again < 2; again++)
        ASSERT_IDS(t, "hello", NULL, 0, 258, 'o');
    ASSERT_IDS(t, "hell", NULL, 0, 258);
    assert_false(tokenizer_adds_bos(t));
    tokenizer_free(t);
    s.vocabulary.pre = text_of("llama-bpe");
    t = create(&s);
    ASSERT_IDS(t, "hello", NULL, 0, 259);
    assert_true(tokenizer_adds_bos(t));
    tokenizer_free(t);
    s.vocabulary.add_bos = 0;
    t = create(&s);
    assert_false(tokenizer_adds_bos(t));
    tokenizer_free(t);
    s.vocabulary.add_bos = 1;
    s.vocabulary.bos = -1;
    t = create(&s);
    assert_false(tokenizer_adds_bos(t));
    tokenizer_free(t);
}

static void special_tokens_inside_spans(void **state)
{
    struct sample s;
    sample_fill(&s);
    struct tokenizer *t = create(&s);
    const char *text = "he<|im_end|>!he";
    ASSERT_IDS(t, text, (&(struct tokenizer_span){0, 15}), 1, 256, 261, 256);
    ASSERT_IDS(t, text, (&(struct tokenizer_span){2, 10}), 1, 256, 260, '!', 256);
    ASSERT_IDS(t, "<|im_end|>", (&(struct tokenizer_span){0, 9}), 1, '<', '|', 'i', 'm', '_', 'e', 'n', 'd', '|', '>');
    ASSERT_IDS(t, "<|im_end|>", (&(struct tokenizer_span){1, 9}), 1, '<', '|', 'i', 'm', '_', 'e', 'n', 'd', '|', '>');
    /* An edge of a span inside a word does not cut it. */
    ASSERT_IDS(t, "hell", ((struct tokenizer_span[]){{0, 1}, {1, 2}}), 2, 258);
    ASSERT_IDS(t, "<tool><unused>", (&(struct tokenizer_span){0, 14}), 1, 262, '<', 'u', 'n', 'u', 's', 'e', 'd', '>');
    struct token_buffer out = {0};
    struct smollm_error error;
    const struct tokenizer_span wrong[][2] = {
        {{2, 3}, {1, 1}}, {{0, 16}, {16, 0}}, {{1, SIZE_MAX}, {0, 0}}, {{SIZE_MAX, 1}, {0, 0}}};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(tokenizer_encode(t, text_of(text), wrong[i], 2, &out, &error), SMOLLM_EINVAL);
    assert_int_equal(tokenizer_encode_text(t, (struct smollm_text){NULL, 0}, true, &out, &error), 0);
    assert_int_equal(out.count, 0);
    token_buffer_free(&out);
    tokenizer_free(t);
}

static void ends_come_from_the_file(void **state)
{
    struct sample s;
    sample_fill(&s);
    s.vocabulary.eos = 3;
    s.vocabulary.eot = 4;
    s.vocabulary.eom = 5;
    struct tokenizer *t = create(&s);
    for (int32_t id = -2; id < TOKENS + 2; id++)
        assert_int_equal(tokenizer_is_end(t, id), (id >= 3 && id <= 5) || id == 260);
    assert_int_equal(tokenizer_eos(t), 3);
    assert_true(tokenizer_is_special(t, 262));
    assert_false(tokenizer_is_special(t, 263));
    assert_int_equal(tokenizer_longest_token(t), 11);
    tokenizer_free(t);
    /* Called <|im_end|> is not enough: it must be a control token. */
    s.types[260] = 4;
    t = create(&s);
    assert_false(tokenizer_is_end(t, 260));
    tokenizer_free(t);
}

static void assert_refused(const struct sample *s, int code, const char *words)
{
    struct tokenizer *t = (struct tokenizer *)1;
    struct smollm_error error = {0};
    assert_int_equal(tokenizer_create(&s->vocabulary, &t, &error), code);
    assert_null(t);
    if (!strstr(error.message, words))
        fail_msg("'%s' is not in '%s'", words, error.message);
}

static void broken_vocabularies_are_refused(void **state)
{
    struct sample good, s;
    sample_fill(&good);
    s = good;
    s.vocabulary.pre = text_of("qwen2");
    assert_refused(&s, SMOLLM_EUNSUPPORTED,
                   "'qwen2' is not supported; it must be one of smollm, llama-bpe, smaug-bpe, gpt-2");
    s.vocabulary.pre = (struct smollm_text){NULL, 0};
    assert_refused(&s, SMOLLM_EUNSUPPORTED, "names no pre-tokenizer");
    s = good;
    s.vocabulary.token_count = 0;
    assert_refused(&s, SMOLLM_EFORMAT, "empty");
    static const char *const merges[] = {"he", " he", "he ", ""};
    for (size_t i = 0; i < sizeof merges / sizeof *merges; i++) {
        s = good;
        s.vocabulary.tokens = s.tokens;
        s.merges[1] = text_of(merges[i]);
        s.vocabulary.merges = s.merges;
        assert_refused(&s, SMOLLM_EFORMAT, "merge 1 ");
    }
    for (int field = 0; field < 5; field++) {
        static const int32_t ids[] = {TOKENS, INT32_MAX, -2, INT32_MIN};
        for (size_t i = 0; i < 4; i++) {
            s = good;
            int32_t *fields[] = {&s.vocabulary.bos, &s.vocabulary.eos, &s.vocabulary.eot, &s.vocabulary.eom,
                                 &s.vocabulary.padding};
            *fields[field] = ids[i];
            assert_refused(&s, SMOLLM_EFORMAT, "token is");
        }
    }
    s = good;
    s.types[7] = 9;
    s.vocabulary.types = s.types;
    assert_refused(&s, SMOLLM_EFORMAT, "token 7 has the type 9");
    char *huge = calloc(1, 70000);
    s = good;
    s.tokens[9] = (struct smollm_text){huge, 70000};
    s.vocabulary.tokens = s.tokens;
    assert_refused(&s, SMOLLM_EFORMAT, "token 9 has 70000 bytes");
    free(huge);
}

static void odd_vocabularies_are_tolerated(void **state)
{
    struct sample s;
    sample_fill(&s);
    /* Duplicates, empty tokens, tokens that are not UTF-8, merges said twice. */
    s.tokens[257] = text_of("he");
    s.tokens[259] = (struct smollm_text){NULL, 0};
    s.tokens[263] = text_of("\xff\xfe");
    s.merges[1] = s.merges[2] = text_of("h e");
    struct tokenizer *t = create(&s);
    ASSERT_IDS(t, "hehe", NULL, 0, 256, 256);
    assert_int_equal(tokenizer_token_text(t, 259).size, 0);
    assert_int_equal(tokenizer_token_text(t, TOKENS).size, 0);
    assert_int_equal(tokenizer_token_text(t, INT32_MIN).size, 0);
    tokenizer_free(t);
    /* Without a token for a byte it is left out, and its neighbors meet. */
    sample_fill(&s);
    s.tokens[1] = text_of("<one>");
    t = create(&s);
    ASSERT_IDS(t,
               "h\x01"
               "e",
               NULL, 0, 'h', 'e');
    ASSERT_IDS(t, "\x02\x01\x02", NULL, 0, 2, 2);
    struct token_buffer out = {0};
    assert_int_equal(tokenizer_encode_text(t, text_of("\x01"), false, &out, NULL), 0);
    assert_int_equal(out.count, 0);
    tokenizer_free(t);
    /* One token alone, no merges. */
    struct smollm_text only = text_of("a");
    s.vocabulary.tokens = &only;
    s.vocabulary.types = NULL;
    s.vocabulary.token_count = 1;
    s.vocabulary.merge_count = 0;
    s.vocabulary.bos = 0;
    t = create(&s);
    ASSERT_IDS(t, "aba", NULL, 0, 0, 0);
    tokenizer_free(t);
}

static void decoding_does_not_depend_on_the_cuts(void **state)
{
    static char const sample[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xff"
                                 "b\xe2\x82"
                                 "c\xf0\x9f\x98"
                                 "d\xed\xa0\x80"
                                 "\xc0\x80\xf4\x90\x80\x80\xf0\x9f\x98";
    static char const want[] = "aé€😀\uFFFDb\uFFFDc\uFFFD"
                               "d\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD";
    size_t size = sizeof sample - 1;
    for (size_t a = 0; a <= size; a++) {
        for (size_t b = a; b <= size; b++) {
            struct token_decoder decoder = {0};
            struct buffer out = {0};
            size_t cuts[] = {0, a, b, size};
            for (int i = 0; i < 3; i++) {
                token_decoder_push(&decoder, (struct smollm_text){sample + cuts[i], cuts[i + 1] - cuts[i]}, &out);
                assert_true(utf8_is_valid(out.size ? out.data : "", out.size));
            }
            token_decoder_finish(&decoder, &out);
            assert_string_equal(out.data, want);
            buffer_free(&out);
        }
    }
    /* Nothing is held back longer than needed. */
    struct token_decoder decoder = {0};
    struct buffer out = {0};
    token_decoder_push(&decoder, text_of("\xf0\x9f"), &out);
    assert_int_equal(out.size, 0);
    token_decoder_push(&decoder, text_of("x"), &out);
    assert_string_equal(out.data, "\uFFFDx");
    buffer_free(&out);
}

static void words_are_the_text(void **state)
{
    static const char *const names[] = {"smollm", "llama-bpe", "smaug-bpe", "gpt-2"};
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        char text[24];
        size_t size = 1 + (size_t)rand_r(&seed) % sizeof text;
        for (size_t i = 0; i < size; i++)
            text[i] = "a1 \n\r'sSl.\xc5\xbf\xe2\x80\xa8\xff\t"[rand_r(&seed) % 17];
        const struct pre_tokenizer *pre = pre_tokenizer_find(text_of(names[round % 4]));
        struct word_cursor cursor = word_cursor_start(pre, (struct smollm_text){text, size});
        struct smollm_text word;
        size_t at = 0;
        while (word_cursor_next(&cursor, &word)) {
            assert_ptr_equal(word.data, text + at);
            assert_true(word.size > 0);
            at += word.size;
        }
        assert_int_equal(at, size);
    }
}

/* Words where ids alone would not tell: the same bytes cut elsewhere may merge into the same tokens. */
static void words_are_cut_as_the_patterns_say(void **state)
{
    static const char *const cases[][3] = {
        {"llama-bpe", "it'\u017Fx", "it|'\u017F|x"},
        {"llama-bpe", "it'\u017Ex", "it|'\u017Ex"},
        {"smaug-bpe", "WE'LLx 'Re'D''s", "WE|'LL|x| '|Re|'D|''|s"},
        {"gpt-2", "we'llx we'LLx 's", "we|'ll|x| we|'|LLx| '|s"},
        {"llama-bpe", "12345 6", "123|45| |6"},
        {"gpt-2", "12345 6", "12345| 6"},
        {"smollm", "12345 6", "1|2|3|4|5| |6"},
        {"smollm", "a  1\u0663b", "a|  |1|\u0663|b"},
        {"llama-bpe", "a \n \n  b", "a| \n \n| | b"},
        {"gpt-2", "a \n \n  b", "a| \n \n | b"},
        {"llama-bpe", "\tx .\n\ny!?\r\n", "\tx| .\n\n|y|!?\r\n"},
        {"gpt-2", "\tx .\n\ny!?\r\n", "\t|x| .|\n|\n|y|!?|\r\n"},
        {"llama-bpe", "\xff\xfe x\xff", "\xff\xfe| x|\xff"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct word_cursor cursor = word_cursor_start(pre_tokenizer_find(text_of(cases[i][0])), text_of(cases[i][1]));
        struct smollm_text word;
        struct buffer words = {0};
        while (word_cursor_next(&cursor, &word)) {
            if (words.size > 0)
                buffer_append_char(&words, '|');
            buffer_append_text(&words, word);
        }
        assert_string_equal(words.data, cases[i][2]);
        buffer_free(&words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_and_whole_words),
        cmocka_unit_test(special_tokens_inside_spans),
        cmocka_unit_test(ends_come_from_the_file),
        cmocka_unit_test(broken_vocabularies_are_refused),
        cmocka_unit_test(odd_vocabularies_are_tolerated),
        cmocka_unit_test(decoding_does_not_depend_on_the_cuts),
        cmocka_unit_test(words_are_the_text),
        cmocka_unit_test(words_are_cut_as_the_patterns_say),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
