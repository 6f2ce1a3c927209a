/* smollm inspect MODEL: what the file holds and what it needs. */
#include "base/error.h"
#include "base/text.h"
#include "chat/chat_format.h"
#include "cli/command.h"
#include "cli/model_path.h"
#include "cli/options.h"
#include "cli/print.h"
#include "gguf/gguf.h"
#include "model/kv_cache.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The memory that the program needs besides weights and KV cache: activations, the vocabulary, buffers. */
static const uint64_t WORKING_BYTES = (uint64_t)64 << 20;
static const uint32_t DEFAULT_CONTEXT = 8192;

enum { TYPE_COUNT_MAX = 32 };

struct type_share {
    uint32_t type;
    uint64_t tensors;
    uint64_t parameters;
    uint64_t bytes;
};

/* A number is 0 when the file does not have it. */
struct summary {
    struct smollm_text architecture, name, tokenizer_model, tokenizer_pre, chat_template;
    uint32_t layers, embedding, feed_forward, heads, kv_heads, head_size, context, vocabulary;
    uint64_t parameters;
    uint64_t weight_bytes;
    uint64_t kv_bytes_per_token;
    struct type_share types[TYPE_COUNT_MAX];
    size_t type_count;

    uint32_t memory_context;
    uint64_t kv_bytes;
    uint64_t total_bytes;
    bool memory_known;
};

/* ---- Gathering ---- */

static struct smollm_text text_get(const struct gguf_file *file, const char *key)
{
    struct smollm_text text = {"", 0};
    gguf_get_text(file, key, &text, NULL);
    return text;
}

/* A number of the model's own architecture, "llama.block_count"; the first of an array with one number per layer. */
static uint32_t number_get(const struct gguf_file *file, struct smollm_text architecture, const char *key)
{
    char full[160];
    int size = snprintf(full, sizeof full, "%.*s.%s", (int)(architecture.size < 64 ? architecture.size : 64),
                        architecture.data, key);
    uint32_t value = 0;
    if (size < (int)sizeof full && gguf_get_u32(file, full, &value, NULL) == 0)
        return value;
    int32_t *values;
    size_t count;
    if (gguf_get_i32s(file, full, &values, &count, NULL) == 0) {
        value = count > 0 && values[0] > 0 ? (uint32_t)values[0] : 0;
        free(values);
    }
    return value;
}

static int compare_shares(const void *a, const void *b)
{
    const struct type_share *x = a;
    const struct type_share *y = b;
    return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

static void tensors_sum(const struct gguf_file *file, struct summary *summary)
{
    for (size_t i = 0; i < gguf_tensor_count(file); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(file, i);
        size_t t = 0;
        while (t < summary->type_count && summary->types[t].type != tensor->type)
            t++;
        if (t == summary->type_count)
            summary->types[summary->type_count++].type = tensor->type;
        struct type_share *share = &summary->types[t];
        share->tensors++;
        share->parameters += tensor->elements;
        share->bytes += tensor->size;
        summary->parameters += tensor->elements;
        summary->weight_bytes += tensor->size;
    }
    qsort(summary->types, summary->type_count, sizeof summary->types[0], compare_shares);
}

/* The shape comes from the file, so every product is checked. */
static void memory_compute(struct summary *s, uint32_t asked, enum kv_type type)
{
    s->memory_context = asked > 0                      ? asked
                        : s->context == 0              ? DEFAULT_CONTEXT
                        : s->context < DEFAULT_CONTEXT ? s->context
                                                       : DEFAULT_CONTEXT;
    uint64_t row;
    s->memory_known = s->layers > 0 && s->kv_heads > 0 && s->head_size > 0 && s->head_size <= ATTENTION_MAX_HEAD_DIM &&
                      !__builtin_mul_overflow((uint64_t)s->kv_heads,
                                              (uint64_t)(kv_block_bytes(type, s->head_size) / ATTENTION_BLOCK), &row) &&
                      !__builtin_mul_overflow(row, (uint64_t)s->layers, &s->kv_bytes_per_token) &&
                      !__builtin_mul_overflow(s->kv_bytes_per_token, (uint64_t)s->memory_context, &s->kv_bytes) &&
                      !__builtin_add_overflow(s->kv_bytes, s->weight_bytes + WORKING_BYTES, &s->total_bytes);
}

static uint32_t vocabulary_count(const struct gguf_file *file, struct smollm_text architecture)
{
    for (size_t i = 0; i < gguf_value_count(file); i++) {
        struct gguf_value value = gguf_value_at(file, i);
        if (text_is(value.key, "tokenizer.ggml.tokens") && value.type == GGUF_VALUE_ARRAY)
            return value.count > UINT32_MAX ? UINT32_MAX : (uint32_t)value.count;
    }
    return number_get(file, architecture, "vocab_size");
}

static void summary_fill(const struct gguf_file *file, uint32_t context, enum kv_type type, struct summary *s)
{
    *s = (struct summary){0};
    s->architecture = text_get(file, "general.architecture");
    s->name = text_get(file, "general.name");
    s->tokenizer_model = text_get(file, "tokenizer.ggml.model");
    s->tokenizer_pre = text_get(file, "tokenizer.ggml.pre");
    s->chat_template = text_get(file, "tokenizer.chat_template");
    s->layers = number_get(file, s->architecture, "block_count");
    s->embedding = number_get(file, s->architecture, "embedding_length");
    s->feed_forward = number_get(file, s->architecture, "feed_forward_length");
    s->heads = number_get(file, s->architecture, "attention.head_count");
    s->kv_heads = number_get(file, s->architecture, "attention.head_count_kv");
    s->head_size = number_get(file, s->architecture, "attention.key_length");
    s->context = number_get(file, s->architecture, "context_length");
    s->vocabulary = vocabulary_count(file, s->architecture);
    if (s->kv_heads == 0)
        s->kv_heads = s->heads;
    if (s->head_size == 0 && s->heads > 0)
        s->head_size = s->embedding / s->heads;
    tensors_sum(file, s);
    memory_compute(s, context, type);
}

/* What smollm makes of the file's chat template; the one place that says so, for text and JSON. */
static const char *template_text(const struct summary *summary)
{
    const struct chat_format *format;
    if (chat_format_recognize(summary->chat_template, summary->architecture, &format, NULL) == 0)
        return chat_format_name(format);
    return summary->chat_template.size > 0 ? "not known" : "none";
}

/* ---- As text ---- */

static void print_label(const char *label)
{
    printf("%-14s ", label);
}

static void print_text(const char *label, struct smollm_text text)
{
    print_label(label);
    print_foreign(stdout, text.size > 0 ? text : text_of("(not in the file)"));
    putchar('\n');
}

static void print_shape(const struct summary *s)
{
    print_label("shape");
    printf("%u layers, hidden %u, feed-forward %u, %u heads of %u on %u key-value heads\n", s->layers, s->embedding,
           s->feed_forward, s->heads, s->head_size, s->kv_heads);
}

static void print_types(const struct summary *s)
{
    for (size_t i = 0; i < s->type_count; i++) {
        const struct type_share *share = &s->types[i];
        print_label(i == 0 ? "types" : "");
        printf("%-7s %5.1f %%  %9s in %llu tensors (%s parameters)\n", gguf_type_name(share->type),
               100 * (double)share->bytes / (double)s->weight_bytes, size_text(share->bytes).text,
               (unsigned long long)share->tensors, count_text(share->parameters).text);
    }
}

static void print_memory(const struct summary *s)
{
    print_label("memory");
    if (!s->memory_known) {
        printf("not known: the file does not give the shape of the KV cache\n");
        return;
    }
    printf("%s at a context of %u: weights %s, KV cache %s (%llu bytes a token), working memory %s\n",
           size_text(s->total_bytes).text, s->memory_context, size_text(s->weight_bytes).text,
           size_text(s->kv_bytes).text, (unsigned long long)s->kv_bytes_per_token, size_text(WORKING_BYTES).text);
}

static void print_tensors(const struct gguf_file *file)
{
    printf("\n%-40s %-7s %-24s %14s %12s\n", "tensor", "type", "shape", "offset", "bytes");
    for (size_t i = 0; i < gguf_tensor_count(file); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(file, i);
        char shape[100];
        int size = 0;
        for (uint32_t d = 0; d < tensor->n_dims; d++)
            size += snprintf(shape + size, sizeof shape - (size_t)size, "%s%llu", d > 0 ? " x " : "",
                             (unsigned long long)tensor->dims[d]);
        struct buffer name = {0};
        buffer_append_printable(&name, tensor->name);
        printf("%-40s %-7s %-24s %14llu %12llu\n", name.data ? name.data : "", gguf_type_name(tensor->type), shape,
               (unsigned long long)tensor->offset, (unsigned long long)tensor->size);
        buffer_free(&name);
    }
}

static void summary_print(const struct gguf_file *file, const struct summary *s)
{
    print_text("name", s->name);
    print_text("architecture", s->architecture);
    print_label("parameters");
    printf("%s (%llu)\n", count_text(s->parameters).text, (unsigned long long)s->parameters);
    print_shape(s);
    print_label("context");
    printf("%u\n", s->context);
    print_label("vocabulary");
    printf("%u tokens, ", s->vocabulary);
    print_foreign(stdout, s->tokenizer_model);
    printf(" / ");
    print_foreign(stdout, s->tokenizer_pre);
    printf("\n");
    print_label("chat template");
    printf("%s\n", template_text(s));
    print_label("file");
    printf("%s, GGUF version %u, %zu tensors, %zu metadata entries\n", size_text(gguf_size(file)).text,
           gguf_version(file), gguf_tensor_count(file), gguf_value_count(file));
    print_types(s);
    print_memory(s);
}

/* ---- As JSON ---- */

/* As on the terminal: base/printable.h. */
static json_t *json_text(struct smollm_text text)
{
    struct buffer clean = {0};
    buffer_append_printable(&clean, text);
    json_t *string = clean.failed ? NULL : json_stringn(clean.data ? clean.data : "", clean.size);
    buffer_free(&clean);
    return string;
}

static json_t *json_number(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static json_t *json_types(const struct summary *s)
{
    json_t *types = json_array();
    for (size_t i = 0; i < s->type_count; i++) {
        const struct type_share *share = &s->types[i];
        json_t *item = json_object();
        json_object_set_new(item, "type", json_string(gguf_type_name(share->type)));
        json_object_set_new(item, "tensors", json_number(share->tensors));
        json_object_set_new(item, "parameters", json_number(share->parameters));
        json_object_set_new(item, "bytes", json_number(share->bytes));
        json_object_set_new(item, "share", json_real((double)share->bytes / (double)s->weight_bytes));
        json_array_append_new(types, item);
    }
    return types;
}

static json_t *json_memory(const struct summary *s)
{
    if (!s->memory_known)
        return json_null();
    json_t *memory = json_object();
    json_object_set_new(memory, "context", json_number(s->memory_context));
    json_object_set_new(memory, "weights", json_number(s->weight_bytes));
    json_object_set_new(memory, "kv_cache", json_number(s->kv_bytes));
    json_object_set_new(memory, "kv_bytes_per_token", json_number(s->kv_bytes_per_token));
    json_object_set_new(memory, "working", json_number(WORKING_BYTES));
    json_object_set_new(memory, "total", json_number(s->total_bytes));
    return memory;
}

static json_t *json_tensors(const struct gguf_file *file)
{
    json_t *tensors = json_array();
    for (size_t i = 0; i < gguf_tensor_count(file); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(file, i);
        json_t *item = json_object();
        json_t *shape = json_array();
        for (uint32_t d = 0; d < tensor->n_dims; d++)
            json_array_append_new(shape, json_number(tensor->dims[d]));
        json_object_set_new(item, "name", json_text(tensor->name));
        json_object_set_new(item, "type", json_string(gguf_type_name(tensor->type)));
        json_object_set_new(item, "shape", shape);
        json_object_set_new(item, "offset", json_number(tensor->offset));
        json_object_set_new(item, "bytes", json_number(tensor->size));
        json_array_append_new(tensors, item);
    }
    return tensors;
}

static json_t *summary_json(const struct gguf_file *file, const struct summary *s)
{
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        {"file_bytes", gguf_size(file)},
        {"gguf_version", gguf_version(file)},
        {"tensor_count", gguf_tensor_count(file)},
        {"parameters", s->parameters},
        {"layers", s->layers},
        {"embedding_length", s->embedding},
        {"feed_forward_length", s->feed_forward},
        {"heads", s->heads},
        {"kv_heads", s->kv_heads},
        {"head_length", s->head_size},
        {"context_length", s->context},
        {"vocabulary_size", s->vocabulary},
    };
    json_t *root = json_object();
    json_object_set_new(root, "name", json_text(s->name));
    json_object_set_new(root, "architecture", json_text(s->architecture));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        json_object_set_new(root, numbers[i].key, json_number(numbers[i].value));
    json_object_set_new(root, "tokenizer_model", json_text(s->tokenizer_model));
    json_object_set_new(root, "tokenizer_pre", json_text(s->tokenizer_pre));
    json_object_set_new(root, "chat_template", json_string(template_text(s)));
    json_object_set_new(root, "types", json_types(s));
    json_object_set_new(root, "memory", json_memory(s));
    return root;
}

static int summary_print_json(const struct gguf_file *file, const struct summary *s, bool tensors,
                              struct smollm_error *error)
{
    json_t *root = summary_json(file, s);
    if (tensors)
        json_object_set_new(root, "tensors", json_tensors(file));
    char *out = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    json_decref(root);
    RETURN_ERROR_IF(!out, error, SMOLLM_ENOMEM, "out of memory for the JSON text");
    puts(out);
    free(out);
    return 0;
}

/* ---- The command ---- */

static const struct command_help help = {
    COMMAND_INSPECT,
    "inspect",
    "[MODEL]",
    "Show what a model file holds: architecture, shape, types, memory needed, template.",
    NULL,
    0,
    1};

static int inspect_run(const struct options *options, struct smollm_error *error)
{
    char *path;
    struct gguf_file *file = NULL;
    enum kv_type type;
    int code = kv_type_parse(options->cache_type, &type, error);
    if (code != 0)
        return code;
    code = model_path_find(options->argument_count > 0 ? options->arguments[0] : options->model, &path, error);
    if (code != 0)
        return code;
    code = gguf_open(path, &file, error);
    if (code != 0)
        error_prefix(error, "%s", path);
    else {
        struct summary summary;
        summary_fill(file, options->ctx_size, type, &summary);
        if (options->json)
            code = summary_print_json(file, &summary, options->tensors, error);
        else {
            summary_print(file, &summary);
            if (options->tensors)
                print_tensors(file);
        }
    }
    gguf_close(file);
    free(path);
    return code;
}

int command_inspect(int argc, char **argv)
{
    struct options options;
    int code;
    if (!options_read(&help, argc, argv, &options, &code))
        return code;
    struct smollm_error error = {0};
    return inspect_run(&options, &error) == 0 ? EXIT_DONE : print_error(&error);
}
