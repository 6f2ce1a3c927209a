#include "tokenizer/pre_tokenizer.h"

#include "base/utf8.h"
#include "tokenizer/unicode_classes.h"

#include <stdint.h>

enum { L = UNICODE_LETTER, N = UNICODE_NUMBER, S = UNICODE_SPACE, D = UNICODE_DIGIT, NEWLINE = 16 };

struct character {
    size_t size;
    unsigned classes;
};

/* Most text is ASCII: its classes need neither decoding nor the two look-ups. */
static const uint8_t ascii_classes[128] = {
    ['\t'] = S,
    ['\n'] = S | NEWLINE,
    ['\v'] = S,
    ['\f'] = S,
    ['\r'] = S | NEWLINE,
    [' '] = S,
    ['0'] = N | D,
    ['1'] = N | D,
    ['2'] = N | D,
    ['3'] = N | D,
    ['4'] = N | D,
    ['5'] = N | D,
    ['6'] = N | D,
    ['7'] = N | D,
    ['8'] = N | D,
    ['9'] = N | D,
    ['A'] = L,
    ['B'] = L,
    ['C'] = L,
    ['D'] = L,
    ['E'] = L,
    ['F'] = L,
    ['G'] = L,
    ['H'] = L,
    ['I'] = L,
    ['J'] = L,
    ['K'] = L,
    ['L'] = L,
    ['M'] = L,
    ['N'] = L,
    ['O'] = L,
    ['P'] = L,
    ['Q'] = L,
    ['R'] = L,
    ['S'] = L,
    ['T'] = L,
    ['U'] = L,
    ['V'] = L,
    ['W'] = L,
    ['X'] = L,
    ['Y'] = L,
    ['Z'] = L,
    ['a'] = L,
    ['b'] = L,
    ['c'] = L,
    ['d'] = L,
    ['e'] = L,
    ['f'] = L,
    ['g'] = L,
    ['h'] = L,
    ['i'] = L,
    ['j'] = L,
    ['k'] = L,
    ['l'] = L,
    ['m'] = L,
    ['n'] = L,
    ['o'] = L,
    ['p'] = L,
    ['q'] = L,
    ['r'] = L,
    ['s'] = L,
    ['t'] = L,
    ['u'] = L,
    ['v'] = L,
    ['w'] = L,
    ['x'] = L,
    ['y'] = L,
    ['z'] = L,
};

/* The character at the start of data; an invalid byte is a character without a class. At the end of the text: size 0
 * and no class. */
static inline struct character character_at(const char *data, size_t size)
{
    if (size == 0)
        return (struct character){0, 0};
    unsigned char first = (unsigned char)data[0];
    if (first < 0x80)
        return (struct character){1, ascii_classes[first]};
    uint32_t code_point;
    size_t length = utf8_decode(data, size, &code_point);
    if (length == 0)
        return (struct character){1, 0};
    return (struct character){length, unicode_classes(code_point)};
}

/* Where the run of characters that have one of the classes ends, from position on, at most count characters. */
static size_t run_end(const char *data, size_t size, size_t position, unsigned classes, size_t count)
{
    for (; count > 0 && position < size; count--) {
        struct character c = character_at(data + position, size - position);
        if (!(c.classes & classes))
            break;
        position += c.size;
    }
    return position;
}

/* The same for characters that are neither letter, number nor space. */
static size_t other_run_end(const char *data, size_t size, size_t position)
{
    while (position < size) {
        struct character c = character_at(data + position, size - position);
        if (c.classes & (L | N | S))
            break;
        position += c.size;
    }
    return position;
}

/* 's 't 're 've 'm 'll 'd: its size, or 0. */
static size_t match_contraction(const char *data, size_t size)
{
    if (data[0] != '\'' || size < 2)
        return 0;
    char a = data[1];
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    if (size < 3)
        return 0;
    char b = data[2];
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* The same without regard to case. U+017F (long s) is an s there, being the one other character that folds to a letter
 * of these. */
static size_t match_contraction_any_case(const char *data, size_t size)
{
    if (data[0] != '\'' || size < 2)
        return 0;
    if (size >= 3 && (unsigned char)data[1] == 0xc5 && (unsigned char)data[2] == 0xbf)
        return 3;
    char lower[3] = {'\'', (char)(data[1] | 0x20), size >= 3 ? (char)(data[2] | 0x20) : '\0'};
    /* Setting the bit 0x20 makes letters of no other byte but capitals. */
    return match_contraction(lower, size >= 3 ? 3 : 2);
}

/* \s+(?!\S)|\s+ : white space up to the text's end, or all but its last character, or that one alone. */
static size_t match_space(const char *data, size_t size)
{
    size_t end = 0;
    size_t last = 0;
    while (end < size) {
        struct character c = character_at(data + end, size - end);
        if (!(c.classes & S))
            return last > 0 ? last : end;
        last = end;
        end += c.size;
    }
    return end;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t match_gpt_2(const char *data, size_t size)
{
    size_t contraction = match_contraction(data, size);
    if (contraction > 0)
        return contraction;
    size_t start = data[0] == ' ' && size > 1 ? 1 : 0;
    struct character c = character_at(data + start, size - start);
    if (c.classes & L)
        return run_end(data, size, start + c.size, L, SIZE_MAX);
    if (c.classes & N)
        return run_end(data, size, start + c.size, N, SIZE_MAX);
    if (!(c.classes & S))
        return other_run_end(data, size, start + c.size);
    return match_space(data, size);
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 */
static size_t match_llama_3(const char *data, size_t size)
{
    size_t contraction = match_contraction_any_case(data, size);
    if (contraction > 0)
        return contraction;
    struct character c = character_at(data, size);
    if (c.classes & L)
        return run_end(data, size, c.size, L, SIZE_MAX);
    if (c.classes & N)
        return run_end(data, size, c.size, N, 2);
    struct character next = character_at(data + c.size, size - c.size);
    if ((next.classes & L) && !(c.classes & NEWLINE))
        return run_end(data, size, c.size + next.size, L, SIZE_MAX);

    size_t end = 0;
    if (!(c.classes & S))
        end = other_run_end(data, size, c.size);
    else if (data[0] == ' ' && next.size > 0 && !(next.classes & (L | N | S)))
        end = other_run_end(data, size, c.size + next.size);
    if (end > 0)
        return run_end(data, size, end, NEWLINE, SIZE_MAX);

    /* \s*[\r\n]+ ends at the last line break of the run of white space. */
    size_t after_newline = 0;
    while (end < size) {
        c = character_at(data + end, size - end);
        if (!(c.classes & S))
            break;
        end += c.size;
        if (c.classes & NEWLINE)
            after_newline = end;
    }
    return after_newline > 0 ? after_newline : match_space(data, size);
}

static const struct pre_tokenizer pre_tokenizers[] = {
    {.name = "smollm", .match = match_gpt_2, .splits_digits = true},
    {.name = "llama-bpe", .match = match_llama_3, .ignores_merges = true, .adds_bos = true},
    {.name = "smaug-bpe", .match = match_llama_3},
    {.name = "gpt-2", .match = match_gpt_2},
};

const struct pre_tokenizer *pre_tokenizer_find(struct smollm_text name)
{
    /* Names that llama.cpp has for the same one. */
    if (text_is(name, "llama3") || text_is(name, "llama-v3"))
        name = text_of("llama-bpe");
    for (size_t i = 0; i < sizeof pre_tokenizers / sizeof *pre_tokenizers; i++)
        if (text_is(name, pre_tokenizers[i].name))
            return &pre_tokenizers[i];
    return NULL;
}

const char *pre_tokenizer_names(void)
{
    return "smollm, llama-bpe, smaug-bpe, gpt-2";
}

struct word_cursor word_cursor_start(const struct pre_tokenizer *pre, struct smollm_text text)
{
    return (struct word_cursor){
        .pre = pre, .data = text.data, .size = text.size, .segment_end = pre->splits_digits ? 0 : text.size};
}

bool word_cursor_next(struct word_cursor *cursor, struct smollm_text *word)
{
    size_t position = cursor->position;
    if (position >= cursor->size)
        return false;
    if (position >= cursor->segment_end) {
        size_t end = position;
        while (end < cursor->size) {
            struct character c = character_at(cursor->data + end, cursor->size - end);
            if (c.classes & D) {
                if (end == position) {
                    *word = (struct smollm_text){cursor->data + position, c.size};
                    cursor->position += c.size;
                    return true;
                }
                break;
            }
            end += c.size;
        }
        cursor->segment_end = end;
    }
    size_t size = cursor->pre->match(cursor->data + position, cursor->segment_end - position);
    *word = (struct smollm_text){cursor->data + position, size};
    cursor->position += size;
    return true;
}
