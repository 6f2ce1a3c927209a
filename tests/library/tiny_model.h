/* A small seeded smollm3 model with a byte tokenizer, written to a temporary file: for tests of what stands on a model.
 */
#ifndef TESTS_LIBRARY_TINY_MODEL_H
#define TESTS_LIBRARY_TINY_MODEL_H

#include "base/text.h"
#include "gguf/gguf_writer.h"
#include "quant/quant.h"
#include "smollm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef TINY_CONTEXT
#define TINY_CONTEXT 512
#endif

enum {
    TINY_HIDDEN = 64,
    TINY_FFN = 96,
    TINY_LAYERS = 5,
    TINY_HEADS = 4,
    TINY_KV_HEADS = 2,
    TINY_VOCABULARY = 272,
};

static const char *const tiny_special[] = {"<|begin_of_text|>",
                                           "<|end_of_text|>",
                                           "<think>",
                                           "</think>",
                                           "<|im_start|>",
                                           "<|im_end|>",
                                           "<tool_call>",
                                           "</tool_call>",
                                           "<r0>",
                                           "<r1>",
                                           "<r2>",
                                           "<r3>",
                                           "<r4>",
                                           "<r5>",
                                           "<r6>",
                                           "<r7>"};

static inline void tiny_tokens(char storage[TINY_VOCABULARY][24], struct smollm_text *tokens, int32_t *types)
{
    int extra = 0;
    for (int byte = 0; byte < 256; byte++) {
        bool printable = (byte >= 0x21 && byte < 0x7f) || (byte >= 0xa1 && byte < 0xad) || byte >= 0xae;
        unsigned c = printable ? (unsigned)byte : 0x100u + (unsigned)extra++;
        size_t n = 0;
        if (c < 0x80) {
            storage[byte][n++] = (char)c;
        } else {
            storage[byte][n++] = (char)(0xc0 | c >> 6);
            storage[byte][n++] = (char)(0x80 | (c & 0x3f));
        }
        storage[byte][n] = '\0';
        types[byte] = 1;
    }
    for (int i = 0; i < 16; i++) {
        snprintf(storage[256 + i], 24, "%s", tiny_special[i]);
        types[256 + i] = 3;
    }
    for (int i = 0; i < TINY_VOCABULARY; i++)
        tokens[i] = text_of(storage[i]);
}

static inline void tiny_rows(struct gguf_writer *writer, uint64_t *state, uint32_t columns, uint32_t rows, float scale,
                             bool broken)
{
    float values[TINY_FFN];
    uint8_t bytes[TINY_FFN * 4];
    for (uint32_t row = 0; row < rows; row++) {
        for (uint32_t i = 0; i < columns; i++) {
            *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
            values[i] = (float)(int32_t)(*state >> 32) * 0x1p-31f * scale;
        }
        uint32_t type = rows == 1 ? GGUF_F32 : GGUF_Q8_0;
        quant_row_encode(type, values, bytes, columns);
        if (broken && rows == 1) {
            float nan = NAN;
            memcpy(bytes, &nan, sizeof nan);
        }
        gguf_writer_write(writer, bytes, gguf_type_row_bytes(type, columns), NULL);
    }
}

enum { TINY_EXTRAS = 4, TINY_FIRST_EXTRA = TINY_VOCABULARY - TINY_EXTRAS };

/* Writes the model and returns its path, freed by the caller with free() after unlink(). broken: a weight is NaN.
 * extras: NULL, or the texts of the last TINY_EXTRAS tokens. */
static inline char *tiny_model_write_with(bool broken, const struct smollm_text *extras)
{
    char path[256];
    const char *folder = getenv("TMPDIR");
    static int number;
    snprintf(path, sizeof path, "%s/smollm-test-%ld-%d.gguf", folder ? folder : "/tmp", (long)getpid(), number++);
    struct gguf_writer *w;
    if (gguf_writer_open(path, &w, NULL) < 0)
        abort();
    static char storage[TINY_VOCABULARY][24];
    struct smollm_text tokens[TINY_VOCABULARY], merges[2] = {text_of("t h"), text_of("th e")};
    int32_t types[TINY_VOCABULARY];
    tiny_tokens(storage, tokens, types);
    for (int i = 0; extras && i < TINY_EXTRAS; i++) {
        tokens[TINY_FIRST_EXTRA + i] = extras[i];
        types[TINY_FIRST_EXTRA + i] = 4; /* user defined: its text stands for itself */
    }
    gguf_writer_put_text(w, "general.architecture", text_of("smollm3"));
    gguf_writer_put_u32(w, "smollm3.block_count", TINY_LAYERS);
    gguf_writer_put_u32(w, "smollm3.context_length", TINY_CONTEXT);
    gguf_writer_put_u32(w, "smollm3.embedding_length", TINY_HIDDEN);
    gguf_writer_put_u32(w, "smollm3.feed_forward_length", TINY_FFN);
    gguf_writer_put_u32(w, "smollm3.attention.head_count", TINY_HEADS);
    gguf_writer_put_u32(w, "smollm3.attention.head_count_kv", TINY_KV_HEADS);
    gguf_writer_put_f32(w, "smollm3.rope.freq_base", 1e5f);
    gguf_writer_put_f32(w, "smollm3.attention.layer_norm_rms_epsilon", 1e-6f);
    gguf_writer_put_text(w, "tokenizer.ggml.model", text_of("gpt2"));
    gguf_writer_put_text(w, "tokenizer.ggml.pre", text_of("smaug-bpe"));
    gguf_writer_put_texts(w, "tokenizer.ggml.tokens", tokens, TINY_VOCABULARY);
    gguf_writer_put_i32s(w, "tokenizer.ggml.token_type", types, TINY_VOCABULARY);
    gguf_writer_put_texts(w, "tokenizer.ggml.merges", merges, 0);
    gguf_writer_put_u32(w, "tokenizer.ggml.eos_token_id", 261);
    struct {
        char name[48];
        uint32_t columns, rows;
    } tensors[2 + TINY_LAYERS * 9] = {{"token_embd.weight", TINY_HIDDEN, TINY_VOCABULARY},
                                      {"output_norm.weight", TINY_HIDDEN, 1}};
    const struct {
        const char *name;
        uint32_t columns, rows;
    } layer[9] = {{"attn_norm", TINY_HIDDEN, 1},
                  {"attn_q", TINY_HIDDEN, TINY_HIDDEN},
                  {"attn_k", TINY_HIDDEN, TINY_HIDDEN / 2},
                  {"attn_v", TINY_HIDDEN, TINY_HIDDEN / 2},
                  {"attn_output", TINY_HIDDEN, TINY_HIDDEN},
                  {"ffn_norm", TINY_HIDDEN, 1},
                  {"ffn_gate", TINY_HIDDEN, TINY_FFN},
                  {"ffn_up", TINY_HIDDEN, TINY_FFN},
                  {"ffn_down", TINY_FFN, TINY_HIDDEN}};
    int count = 2;
    for (int l = 0; l < TINY_LAYERS; l++)
        for (int i = 0; i < 9; i++, count++) {
            snprintf(tensors[count].name, sizeof tensors[count].name, "blk.%d.%s.weight", l, layer[i].name);
            tensors[count].columns = layer[i].columns;
            tensors[count].rows = layer[i].rows;
        }
    for (int i = 0; i < count; i++) {
        uint64_t dims[2] = {tensors[i].columns, tensors[i].rows};
        gguf_writer_add_tensor(w, text_of(tensors[i].name), tensors[i].rows == 1 ? GGUF_F32 : GGUF_Q8_0,
                               tensors[i].rows == 1 ? 1 : 2, dims);
    }
    if (gguf_writer_begin_data(w, NULL) < 0)
        abort();
    uint64_t state = 7;
    for (int i = 0; i < count; i++)
        tiny_rows(w, &state, tensors[i].columns, tensors[i].rows,
                  tensors[i].rows == 1 ? 1.0f
                  : i == 0             ? 1.0f
                                       : 0.2f,
                  broken && i == 2);
    if (gguf_writer_finish(w, NULL) < 0)
        abort();
    gguf_writer_close(w);
    return strdup(path);
}

static inline char *tiny_model_write(bool broken)
{
    return tiny_model_write_with(broken, NULL);
}

/* Writes and opens it. */
static inline int tiny_model_open(struct smollm_model **model)
{
    char *path = tiny_model_write(false);
    struct smollm_error error;
    const int status = smollm_model_open(path, NULL, model, &error);
    unlink(path);
    free(path);
    return status;
}

#endif
