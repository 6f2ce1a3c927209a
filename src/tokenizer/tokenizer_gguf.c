#include "tokenizer/tokenizer_gguf.h"

#include "base/error.h"

#include <stdlib.h>

/* A missing key is not an error when there is a default. */
static int optional(int result)
{
    return result == SMOLLM_ENOTFOUND ? 0 : result;
}

/* A key without which there is no tokenizer. */
static int required(int result, struct smollm_error *error)
{
    if (result == SMOLLM_ENOTFOUND && error)
        error->code = SMOLLM_EFORMAT;
    return result == SMOLLM_ENOTFOUND ? SMOLLM_EFORMAT : result;
}

static int read_id(const struct gguf_file *file, const char *key, int32_t *id, struct smollm_error *error)
{
    uint32_t value = UINT32_MAX; /* -1 in a file that writes "none" so */
    int result = optional(gguf_get_u32(file, key, &value, error));
    if (result != 0)
        return result;
    RETURN_ERROR_IF(value > INT32_MAX && value != UINT32_MAX, error, SMOLLM_EFORMAT,
                    "%s is %u; it must be from 0 to %d", key, value, INT32_MAX);
    *id = (int32_t)value;
    return 0;
}

static int read_special(const struct gguf_file *file, struct tokenizer_vocabulary *v, struct smollm_error *error)
{
    const struct {
        const char *key;
        int32_t *id;
    } ids[] = {
        {"tokenizer.ggml.bos_token_id", &v->bos},         {"tokenizer.ggml.eos_token_id", &v->eos},
        {"tokenizer.ggml.eot_token_id", &v->eot},         {"tokenizer.ggml.eom_token_id", &v->eom},
        {"tokenizer.ggml.padding_token_id", &v->padding},
    };
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        int result = read_id(file, ids[i].key, ids[i].id, error);
        if (result != 0)
            return result;
    }
    bool add_bos;
    int result = gguf_get_bool(file, "tokenizer.ggml.add_bos_token", &add_bos, error);
    if (result == 0)
        v->add_bos = add_bos;
    return optional(result);
}

int tokenizer_from_gguf(const struct gguf_file *file, struct tokenizer **tokenizer, struct smollm_error *error)
{
    *tokenizer = NULL;
    struct smollm_text model;
    int result = required(gguf_get_text(file, "tokenizer.ggml.model", &model, error), error);
    if (result != 0)
        return result;
    RETURN_ERROR_IF(!text_is(model, "gpt2"), error, SMOLLM_EUNSUPPORTED,
                    "the tokenizer model '%.*s' is not supported, only 'gpt2' (byte-level BPE) is",
                    (int)(model.size < 64 ? model.size : 64), model.data);
    struct tokenizer_vocabulary v = {.add_bos = -1, .bos = -1, .eos = -1, .eot = -1, .eom = -1, .padding = -1};
    struct smollm_text *tokens = NULL, *merges = NULL;
    int32_t *types = NULL;
    size_t type_count = 0;
    result = required(gguf_get_texts(file, "tokenizer.ggml.tokens", &tokens, &v.token_count, error), error);
    if (result != 0)
        goto done;
    result = required(gguf_get_texts(file, "tokenizer.ggml.merges", &merges, &v.merge_count, error), error);
    if (result != 0)
        goto done;
    result = gguf_get_i32s(file, "tokenizer.ggml.token_type", &types, &type_count, error);
    if (result == 0 && type_count != v.token_count)
        result = error_set(error, SMOLLM_EFORMAT, "tokenizer.ggml.token_type has %zu entries for %zu tokens",
                           type_count, v.token_count);
    result = optional(result);
    if (result != 0)
        goto done;
    result = optional(gguf_get_text(file, "tokenizer.ggml.pre", &v.pre, error));
    if (result != 0)
        goto done;
    result = read_special(file, &v, error);
    if (result != 0)
        goto done;
    v.tokens = tokens;
    v.types = types;
    v.merges = merges;
    result = tokenizer_create(&v, tokenizer, error);
done:
    free(tokens);
    free(types);
    free(merges);
    return result;
}
