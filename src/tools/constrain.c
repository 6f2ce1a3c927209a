/* smollm constrain: what a schema, grammar or expression allows, token by token, without a model's weights. */
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/model_path.h"
#include "cli/options.h"
#include "cli/print.h"
#include "grammar/grammar.h"
#include "grammar/json_tree.h"
#include "tokenizer/tokenizer_gguf.h"

#include <stdlib.h>
#include <string.h>

static const struct command_help help = {
    COMMAND_CONSTRAIN,
    "constrain",
    "MODEL",
    "Show what a JSON schema, a grammar or an expression allows, token by token.",
    "Reads lines {\"schema\": ..., \"instances\": [\"text\", ...]} (or "
    "\"grammar\", \"regex\", \"choice\", \"tools\") from stdin and writes "
    "a line for each: whether it compiles, which instances are accepted, and the "
    "time of the masks (\"times\": true lists each). All that is valid is taken, members in any order; with "
    "\"as_listed\": true in a line, what requests write: members as the schema lists them. Tools always take "
    "what requests write: calls as with tool_choice required, or with \"tool_choice\": \"auto\" in a line, one "
    "call from behind its mark; \"bare\": true: as Llama 3.1 writes them. Only the tokenizer "
    "of the model is read.",
    1,
    1};

struct checking {
    const struct options *options;
    const struct tokenizer *tokenizer;
    struct token_trie trie;
    struct smollm_text *texts;
    uint32_t *mask, *ends, vocabulary;
    double *times; /* of masks, microseconds */
    size_t time_count, time_capacity;
};

/* ---- Masks ---- */

static void note_time(struct checking *c, uint64_t begin)
{
    if (c->time_count == c->time_capacity) {
        const size_t capacity = c->time_capacity > 0 ? 2 * c->time_capacity : 1024;
        double *times = realloc(c->times, capacity * sizeof *times);
        if (!times)
            return;
        c->times = times;
        c->time_capacity = capacity;
    }
    c->times[c->time_count++] = (double)(clock_nanoseconds() - begin) / 1000.0;
}

static void make_mask(struct checking *c, struct matcher *matcher)
{
    const uint64_t begin = clock_nanoseconds();
    matcher_mask(matcher, c->mask);
    if (matcher_may_end(matcher))
        for (uint32_t i = 0; i < c->trie.words; i++)
            c->mask[i] |= c->ends[i];
    note_time(c, begin);
}

static uint32_t count_allowed(const struct checking *c)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->trie.words; i++)
        count += (uint32_t)__builtin_popcount(c->mask[i]);
    return count;
}

/* FNV-1a over the ids in ascending order, each as four bytes, little-endian. */
static uint64_t hash_of(const struct checking *c)
{
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (uint32_t i = 0; i < c->trie.words; i++)
        for (uint32_t left = c->mask[i]; left; left &= left - 1) {
            const uint32_t id = i * 32 + (uint32_t)__builtin_ctz(left);
            for (int byte = 0; byte < 4; byte++)
                hash = (hash ^ (id >> 8 * byte & 0xff)) * 0x100000001b3ULL;
        }
    return hash;
}

/* Whether each token of an instance is in the mask before it, and an end token in the last. */
static bool accepts(struct checking *c, struct grammar *grammar, const struct token_buffer *ids, struct buffer *trace)
{
    struct matcher *matcher = matcher_create(grammar, &c->trie);
    bool yes = matcher != NULL;
    for (size_t i = 0; i <= ids->count && yes; i++) {
        make_mask(c, matcher);
        if (c->options->trace)
            buffer_printf(trace, "%s[%u,\"%016llx\"]", i > 0 ? "," : "", count_allowed(c),
                          (unsigned long long)hash_of(c));
        if (i == ids->count) {
            yes = matcher_may_end(matcher);
            break;
        }
        const uint32_t id = (uint32_t)ids->data[i];
        yes = (c->mask[id / 32] >> id % 32 & 1) &&
              matcher_advance(matcher, tokenizer_token_text(c->tokenizer, ids->data[i]));
    }
    matcher_destroy(matcher);
    return yes;
}

/* ---- Lines ---- */

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_times(struct checking *c, bool each)
{
    if (each) {
        printf(",\"times_us\":[");
        for (size_t i = 0; i < c->time_count; i++)
            printf("%s%.1f", i > 0 ? "," : "", c->times[i]);
        putchar(']');
    }
    double sum = 0;
    qsort(c->times, c->time_count, sizeof *c->times, compare_doubles);
    for (size_t i = 0; i < c->time_count; i++)
        sum += c->times[i];
    const size_t n = c->time_count;
    printf(",\"mask_us\":{\"mean\":%.1f,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f},\"masks\":%zu",
           n ? sum / (double)n : 0.0, n ? c->times[n / 2] : 0.0, n ? c->times[n * 99 / 100] : 0.0,
           n ? c->times[n - 1] : 0.0, n);
}

static void print_escaped(struct smollm_text text)
{
    putchar('"');
    for (size_t i = 0; i < text.size; i++) {
        const unsigned char byte = (unsigned char)text.data[i];
        if (byte < 0x20 || byte == '"' || byte == '\\')
            printf("\\u%04x", byte);
        else
            putchar(byte);
    }
    putchar('"');
}

/* Calls as the library holds answers to them (library/tool_forms.c). */
static int tools_of(struct pool *pool, struct json_node *request, struct json_node *list, struct grammar_source *source,
                    struct smollm_error *error)
{
    const struct json_node *choice = json_tree_get(pool, request, "tool_choice");
    const struct json_node *several = json_tree_get(pool, request, "parallel_tool_calls");
    const struct json_node *is_bare = json_tree_get(pool, request, "bare");
    const bool is_auto = choice && choice->kind == JSON_KIND_STRING && text_is(choice->text, "auto");
    RETURN_ERROR_IF(list->kind != JSON_KIND_ARRAY, error, SMOLLM_EINVAL, "the tools must be a list");
    struct grammar_tool *tools = pool_array(pool, list->count + 1, sizeof *tools);
    size_t count = 0;
    for (struct json_node *item = list->first; item; item = item->next) {
        struct json_node *function = json_tree_get(pool, item, "function");
        const int status = grammar_tool_read(pool, (function ? function : item)->source, &tools[count++], error);
        if (status < 0)
            return error_prefix(error, "tool %zu", count - 1);
    }
    *source = (struct grammar_source){.kind = GRAMMAR_TOOLS,
                                      .as_listed = true,
                                      .tools = tools,
                                      .tool_count = count,
                                      .is_bare = is_bare && is_bare->kind == JSON_KIND_TRUE,
                                      .after_marker = is_auto,
                                      .several = !is_auto && !(several && several->kind == JSON_KIND_FALSE),
                                      .is_lenient = is_auto};
    return 0;
}

/* The text of a value as it stands in the line. */
static int source_of(struct pool *pool, struct json_node *request, struct grammar_source *source,
                     struct smollm_error *error)
{
    struct json_node *value;
    if ((value = json_tree_get(pool, request, "schema"))) {
        /* A text is a schema that was not parsed; anything else is taken as it stands in the line. */
        const struct json_node *order = json_tree_get(pool, request, "as_listed");
        *source = (struct grammar_source){.kind = GRAMMAR_SCHEMA,
                                          .as_listed = order && order->kind == JSON_KIND_TRUE,
                                          .text = value->kind == JSON_KIND_STRING ? value->text : value->source};
        return 0;
    }
    if ((value = json_tree_get(pool, request, "tools")))
        return tools_of(pool, request, value, source, error);
    if ((value = json_tree_get(pool, request, "grammar")))
        source->kind = GRAMMAR_GBNF;
    else if ((value = json_tree_get(pool, request, "regex")))
        source->kind = GRAMMAR_REGEX;
    if (value) {
        RETURN_ERROR_IF(value->kind != JSON_KIND_STRING, error, SMOLLM_EINVAL,
                        "the grammar or expression must be a string");
        source->text = value->text;
        return 0;
    }
    value = json_tree_get(pool, request, "choice");
    RETURN_ERROR_IF(!value || value->kind != JSON_KIND_ARRAY, error, SMOLLM_EINVAL,
                    "the line has none of schema, grammar, regex, choice and tools");
    struct smollm_text *texts = pool_array(pool, value->count, sizeof *texts);
    source->kind = GRAMMAR_CHOICE;
    source->texts = texts;
    for (struct json_node *item = value->first; item; item = item->next) {
        RETURN_ERROR_IF(item->kind != JSON_KIND_STRING, error, SMOLLM_EINVAL, "a choice must be a string");
        texts[source->text_count++] = item->text;
    }
    return 0;
}

static int check_instances(struct checking *c, struct grammar *grammar, struct json_node *instances,
                           struct buffer *accepted, struct buffer *trace, struct smollm_error *error)
{
    struct token_buffer ids = {0};
    int status = 0;
    for (struct json_node *item = instances ? instances->first : NULL; item && status == 0; item = item->next) {
        ids.count = 0;
        if (item->kind != JSON_KIND_STRING)
            status = error_set(error, SMOLLM_EINVAL, "an instance must be a string");
        else
            status = tokenizer_encode_text(c->tokenizer, item->text, false, &ids, error);
        if (status < 0)
            break;
        const char *comma = item == instances->first ? "" : ",";
        buffer_printf(trace, "%s[", comma);
        buffer_printf(accepted, "%s%s", comma, accepts(c, grammar, &ids, trace) ? "true" : "false");
        buffer_append_char(trace, ']');
    }
    token_buffer_free(&ids);
    return status;
}

static void print_failure(const struct smollm_error *error)
{
    fputs("{\"ok\":false,\"error\":", stdout);
    print_escaped(text_of(error->message));
    puts("}");
}

static int check_line(struct checking *c, struct smollm_text line, struct smollm_error *error)
{
    struct pool pool;
    struct json_node *request = NULL;
    struct grammar *grammar = NULL;
    struct grammar_source source = {0};
    struct buffer accepted = {0}, trace = {0};
    struct smollm_error refusal;
    int status = pool_create(&pool, error);
    if (status < 0)
        return status;
    pool_allow(&pool, UINT64_MAX);
    status = json_tree_parse(&pool, line, &request, error);
    if (status == 0)
        status = source_of(&pool, request, &source, error);
    if (status == 0) {
        const uint64_t begin = clock_nanoseconds();
        const int compiled = grammar_compile(&source, &grammar, &refusal);
        const double microseconds = (double)(clock_nanoseconds() - begin) / 1000.0;
        c->time_count = 0;
        if (compiled < 0) {
            print_failure(&refusal);
        } else {
            status = check_instances(c, grammar, json_tree_get(&pool, request, "instances"), &accepted, &trace, error);
            if (status == 0) {
                printf("{\"ok\":true,\"compile_us\":%.1f,\"accepted\":[%s]", microseconds,
                       accepted.data ? accepted.data : "");
                struct json_node *each = json_tree_get(&pool, request, "times");
                print_times(c, each && each->kind == JSON_KIND_TRUE);
                if (c->options->trace)
                    printf(",\"trace\":[%s]", trace.data ? trace.data : "");
                puts("}");
            }
        }
    }
    fflush(stdout);
    grammar_release(grammar);
    buffer_free(&accepted);
    buffer_free(&trace);
    pool_destroy(&pool);
    return status;
}

static int check_lines(struct checking *c, struct smollm_error *error)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    int status = 0;
    for (unsigned long number = 1; status == 0 && !output_is_lost() && (size = getline(&line, &room, stdin)) > 0;
         number++) {
        status = check_line(c, (struct smollm_text){line, (size_t)size}, error);
        if (status < 0)
            error_prefix(error, "line %lu", number);
    }
    free(line);
    return status;
}

static int prepare(struct checking *c, struct smollm_error *error)
{
    c->vocabulary = (uint32_t)tokenizer_token_count(c->tokenizer);
    c->texts = array_allocate(c->vocabulary, sizeof *c->texts);
    c->mask = array_allocate((c->vocabulary + 31) / 32, sizeof *c->mask);
    c->ends = array_allocate((c->vocabulary + 31) / 32, sizeof *c->ends);
    RETURN_ERROR_IF(!c->texts || !c->mask || !c->ends, error, SMOLLM_ENOMEM, "out of memory for %u tokens",
                    c->vocabulary);
    for (uint32_t id = 0; id < c->vocabulary; id++)
        if (!tokenizer_is_special(c->tokenizer, (int32_t)id))
            c->texts[id] = tokenizer_token_text(c->tokenizer, (int32_t)id);
    for (uint32_t id = 0; id < c->vocabulary; id++)
        if (tokenizer_is_end(c->tokenizer, (int32_t)id))
            c->ends[id / 32] |= 1u << id % 32;
    return token_trie_create(&c->trie, c->texts, c->vocabulary, error);
}

int command_constrain(int argc, char **argv)
{
    struct options options;
    int code;
    if (!options_read(&help, argc, argv, &options, &code))
        return code;
    if (!options.jsonl)
        return print_usage_error("constrain", "needs --jsonl: it reads and writes lines of JSON");
    struct smollm_error error = {0};
    struct gguf_file *file = NULL;
    struct tokenizer *tokenizer = NULL;
    struct checking checking = {.options = &options};
    char *path;
    if (model_path_find(options.arguments[0], &path, &error) < 0)
        return print_error(&error);
    int status = gguf_open(path, &file, &error);
    if (status == 0)
        status = tokenizer_from_gguf(file, &tokenizer, &error);
    if (status < 0)
        error_prefix(&error, "%s", path);
    checking.tokenizer = tokenizer;
    if (status == 0)
        status = prepare(&checking, &error);
    if (status == 0)
        status = check_lines(&checking, &error);
    token_trie_free(&checking.trie);
    free(checking.texts);
    free(checking.mask);
    free(checking.ends);
    free(checking.times);
    tokenizer_free(tokenizer);
    gguf_close(file);
    free(path);
    return status == 0 ? EXIT_DONE : print_error(&error);
}
