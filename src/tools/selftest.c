/* smollm selftest: whether this build on this CPU computes what it should.
 *
 * Products with every type of weights, by every tier that the CPU has, against those of plain C, which must have the
 * bits that they have everywhere; then a small seeded model, written to a temporary file and run from end to end, whose
 * logits must have theirs. */
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/print.h"
#include "gguf/gguf_writer.h"
#include "kernel/activations.h"
#include "model/forward.h"
#include "quant/quant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command_help help = {
    COMMAND_SELFTEST, "selftest", "", "Check the kernels and the model code on this CPU.", NULL, 0, 0};

enum {
    ROWS = 45,
    COLUMNS = 512,
    TOKENS = 7,
    HIDDEN = 256,
    FFN = 512,
    HEADS = 4,
    KV_HEADS = 2,
    LAYERS = 5,
    VOCABULARY = 320,
    LENGTH = 70
};

/* Of the bits of the built-in model's logits, on every machine, and of the products with every type of weights. */
static const uint64_t EXPECTED = 0xc2fc74912be10b69, EXPECTED_PRODUCTS = 0xb7296823fa1ae6bb;

static uint32_t random_next(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*state >> 32);
}

static float random_value(uint64_t *state)
{
    return (float)(int32_t)random_next(state) * 0x1p-31f;
}

static void random_values(uint64_t *state, float *out, size_t count, float scale)
{
    for (size_t i = 0; i < count; i++)
        out[i] = random_value(state) * scale;
}

/* ---- Kernels ---- */

/* Rows of any type: random bytes, with factors that are finite. */
static void random_rows(uint64_t *state, uint32_t type, uint8_t *rows, size_t bytes)
{
    const struct quant_layout *layout = quant_layout_find(type);
    size_t step = layout ? layout->bytes : gguf_type_find(type)->block_bytes;
    for (size_t at = 0; at < bytes; at += step) {
        float value = random_value(state);
        struct quant_block block = {0};
        if (!layout) {
            quant_row_encode(type, &value, rows + at, 1);
            continue;
        }
        do {
            for (size_t i = 0; i < step; i++)
                rows[at + i] = (uint8_t)random_next(state);
            quant_block_unpack(layout, rows + at, &block);
        } while (block.d - block.d != 0.0f || block.dmin - block.dmin != 0.0f);
    }
}

/* *hash goes on with the bits of the reference. */
static bool check_matmul(const struct kernel_table *reference, const struct kernel_table *tested, uint32_t type,
                         uint64_t *hash)
{
    static uint8_t rows[ROWS * COLUMNS * 4];
    static float out[2][TOKENS][ROWS];
    uint64_t state = type + 1;
    struct packed_matrix matrix;
    struct activations input;
    size_t row_bytes = gguf_type_row_bytes(type, COLUMNS);
    random_rows(&state, type, rows, ROWS * row_bytes);
    if (packed_matrix_describe(&matrix, type, ROWS, COLUMNS, NULL) < 0 ||
        !(matrix.data = array_allocate(packed_matrix_bytes(&matrix), 1)))
        return false;
    for (uint32_t panel = 0; panel < matrix.panels; panel++)
        packed_matrix_pack(&matrix, panel, rows + panel * PANEL_ROWS * row_bytes, row_bytes);
    unsigned form = activations_form(matrix.layout);
    bool good = activations_create(&input, COLUMNS, TOKENS, 1, form | ACTIVATIONS_FLOAT, NULL) == 0;
    for (uint32_t tokens = 1; tokens <= TOKENS && good; tokens += 2) {
        random_values(&state, input.values, (size_t)tokens * COLUMNS, 3.0f);
        for (int i = 0; i < 2; i++) {
            const struct kernel_table *kernels = i == 0 ? reference : tested;
            input.tokens = tokens;
            for (uint32_t t = 0; t < tokens; t++)
                activations_quantize(&input, kernels, t, 0, COLUMNS, form);
            struct matmul_args args = {.weights = &matrix,
                                       .input = &input,
                                       .last_token = tokens,
                                       .out = out[i][0],
                                       .out_stride = ROWS,
                                       .last_panel = matrix.panels};
            kernels->matmul(&args);
        }
        good = memcmp(out[0], out[1], tokens * sizeof out[0][0]) == 0;
        *hash = hash_bytes(out[0], tokens * sizeof out[0][0], *hash);
    }
    activations_destroy(&input);
    free(matrix.data);
    return good;
}

static int check_kernels(enum cpu_tier tier)
{
    struct kernel_table reference, tested;
    kernel_table_fill(&reference, CPU_GENERIC);
    kernel_table_fill(&tested, tier);
    int failed = 0;
    uint64_t hash = 0;
#define CHECK_TYPE(name, number, ...)                                                                                  \
    if (!check_matmul(&reference, &tested, number, &hash)) {                                                           \
        printf("FAILED  matmul of %s, kernels %s\n", #name, cpu_tier_name(tier));                                      \
        failed++;                                                                                                      \
    }
    GGUF_TYPE_MAP(CHECK_TYPE, CHECK_TYPE)
#undef CHECK_TYPE
    if (tier == CPU_GENERIC && hash != EXPECTED_PRODUCTS) {
        printf("FAILED  matmul of every type: the products have the hash %016llx, not %016llx\n",
               (unsigned long long)hash, (unsigned long long)EXPECTED_PRODUCTS);
        failed++;
    }
    if (failed == 0)
        printf("ok      matmul of every type, kernels %s\n", cpu_tier_name(tier));
    return failed;
}

/* ---- The built-in model ---- */

struct builder {
    struct gguf_writer *writer;
    uint64_t state;
    int status;
    struct smollm_error *error;
};

struct builtin_tensor {
    const char *name;
    uint32_t type, columns, rows;
};

static const struct builtin_tensor layer_tensors[] = {
    {"attn_norm", GGUF_F32, HIDDEN, 1},
    {"attn_q", GGUF_Q8_0, HIDDEN, HIDDEN},
    {"attn_k", GGUF_Q4_0, HIDDEN, HIDDEN / HEADS *KV_HEADS},
    {"attn_v", GGUF_F16, HIDDEN, HIDDEN / HEADS *KV_HEADS},
    {"attn_output", GGUF_Q8_0, HIDDEN, HIDDEN},
    {"ffn_norm", GGUF_F32, HIDDEN, 1},
    {"ffn_gate", GGUF_Q4_0, HIDDEN, FFN},
    {"ffn_up", GGUF_Q8_0, HIDDEN, FFN},
    {"ffn_down", GGUF_Q4_0, FFN, HIDDEN},
};

static void each_tensor(struct builder *b,
                        void (*use)(struct builder *b, const char *name, const struct builtin_tensor *t))
{
    const struct builtin_tensor embedding = {NULL, GGUF_Q8_0, HIDDEN, VOCABULARY}, norm = {NULL, GGUF_F32, HIDDEN, 1};
    use(b, "token_embd.weight", &embedding);
    use(b, "output_norm.weight", &norm);
    for (int layer = 0; layer < LAYERS; layer++)
        for (size_t i = 0; i < sizeof layer_tensors / sizeof *layer_tensors; i++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%d.%s.weight", layer, layer_tensors[i].name);
            use(b, name, &layer_tensors[i]);
        }
}

static void describe_tensor(struct builder *b, const char *name, const struct builtin_tensor *t)
{
    uint64_t dims[2] = {t->columns, t->rows};
    gguf_writer_add_tensor(b->writer, (struct smollm_text){name, strlen(name)}, t->type, t->rows == 1 ? 1 : 2, dims);
}

static void write_tensor(struct builder *b, const char *name, const struct builtin_tensor *t)
{
    float values[FFN];
    uint8_t row[FFN * sizeof(float)];
    for (uint32_t i = 0; i < t->rows && b->status == 0; i++) {
        random_values(&b->state, values, t->columns, t->rows == 1 ? 1.0f : 0.1f);
        b->status = quant_row_encode(t->type, values, row, t->columns);
        if (b->status == 0)
            b->status = gguf_writer_write(b->writer, row, gguf_type_row_bytes(t->type, t->columns), b->error);
    }
}

static int write_model(const char *path, struct smollm_error *error)
{
    struct builder b = {.state = 1, .error = error};
    int status = gguf_writer_open(path, &b.writer, error);
    if (status < 0)
        return status;
    gguf_writer_put_text(b.writer, "general.architecture", (struct smollm_text){"smollm3", 7});
    gguf_writer_put_u32(b.writer, "smollm3.block_count", LAYERS);
    gguf_writer_put_u32(b.writer, "smollm3.context_length", 256);
    gguf_writer_put_u32(b.writer, "smollm3.embedding_length", HIDDEN);
    gguf_writer_put_u32(b.writer, "smollm3.feed_forward_length", FFN);
    gguf_writer_put_u32(b.writer, "smollm3.attention.head_count", HEADS);
    gguf_writer_put_u32(b.writer, "smollm3.attention.head_count_kv", KV_HEADS);
    gguf_writer_put_f32(b.writer, "smollm3.rope.freq_base", 5e6f);
    gguf_writer_put_f32(b.writer, "smollm3.attention.layer_norm_rms_epsilon", 1e-6f);
    each_tensor(&b, describe_tensor);
    status = gguf_writer_begin_data(b.writer, error);
    b.status = status;
    each_tensor(&b, write_tensor);
    if (b.status == 0)
        b.status = gguf_writer_finish(b.writer, error);
    gguf_writer_close(b.writer);
    return b.status;
}

/* Reads LENGTH tokens in chunks and hashes the logits of all. */
static int run_model(const char *path, enum cpu_tier tier, unsigned threads, uint32_t chunk, uint64_t *hash,
                     struct smollm_error *error)
{
    static float logits[LENGTH][VOCABULARY];
    struct gguf_file *file = NULL;
    struct thread_pool *pool = NULL;
    struct weights weights = {0};
    struct kv_cache cache = {0};
    struct forward forward = {0};
    struct model_config config;
    uint32_t pages[LENGTH / KV_PAGE_POSITIONS + 1] = {2, 0, 1};
    int status = gguf_open(path, &file, error);
    if (status == 0)
        status = model_config_read(&config, file, NULL, error);
    if (status == 0)
        status = thread_pool_create(threads, &pool, error);
    if (status == 0)
        status = weights_load(&weights, file, &config, pool, NULL, NULL, error);
    if (status == 0)
        status = kv_cache_create(&cache, &config, KV_F16, LENGTH / KV_PAGE_POSITIONS + 1, error);
    if (status == 0)
        status = forward_create(&forward, &weights, &cache, pool, tier, 1, chunk, error);
    for (uint32_t first = 0; first < LENGTH && status == 0; first += chunk) {
        struct batch_token tokens[LENGTH];
        uint32_t count = LENGTH - first < chunk ? LENGTH - first : chunk;
        for (uint32_t i = 0; i < count; i++)
            tokens[i] = (struct batch_token){(int32_t)((first + i) * 37 % VOCABULARY), first + i, pages, ROW_LOGITS};
        forward_run(&forward, tokens, count, (struct forward_results){.logits = logits[first]});
    }
    *hash = hash_bytes(logits, sizeof logits, 0);
    forward_destroy(&forward);
    kv_cache_destroy(&cache);
    weights_free(&weights);
    thread_pool_destroy(pool);
    gguf_close(file);
    return status;
}

static int check_model(const char *path, enum cpu_tier tier, unsigned threads, uint32_t chunk)
{
    struct smollm_error error = {0};
    uint64_t hash;
    int status = run_model(path, tier, threads, chunk, &hash, &error);
    bool good = status == 0 && hash == EXPECTED;
    printf("%-7s model, kernels %s, %u thread%s, %u tokens a pass%s%s\n", good ? "ok" : "FAILED", cpu_tier_name(tier),
           threads, threads > 1 ? "s" : "", chunk, status < 0 ? ": " : "", status < 0 ? error.message : "");
    if (!good && status == 0)
        printf("        logits have the hash %016llx, not %016llx\n", (unsigned long long)hash,
               (unsigned long long)EXPECTED);
    return !good;
}

/* By every tier; the file is gone afterwards, also after a Ctrl-C. */
static int check_models(enum cpu_tier best, int *failed, struct smollm_error *error)
{
    const char *folder = getenv("TMPDIR");
    char path[512];
    snprintf(path, sizeof path, "%s/smollm-selftest-%ld.gguf", folder && *folder ? folder : "/tmp", (long)getpid());
    interrupt_set(INTERRUPT_ASKS_ONCE);
    int status = write_model(path, error);
    for (int tier = CPU_GENERIC; tier <= (int)best && status == 0 && !output_is_lost(); tier++) {
        *failed += check_model(path, (enum cpu_tier)tier, 1, LENGTH);
        *failed += check_model(path, (enum cpu_tier)tier, 2, 7);
        if (interrupt_pending())
            status = error_set(error, SMOLLM_ECANCELED, "interrupted");
    }
    unlink(path);
    if (status == 0)
        interrupt_set(INTERRUPT_ENDS);
    return status;
}

int command_selftest(int argc, char **argv)
{
    struct options options;
    int code;
    if (!options_read(&help, argc, argv, &options, &code))
        return code;
    struct smollm_error error = {0};
    enum cpu_tier best;
    if (cpu_tier_parse(options.cpu, &best, &error) < 0)
        return print_error(&error);
    int failed = 0;
    for (int tier = CPU_GENERIC; tier <= (int)best && !output_is_lost(); tier++)
        failed += check_kernels((enum cpu_tier)tier);
    int status = check_models(best, &failed, &error);
    if (status < 0)
        return print_error(&error);
    printf("%s\n", failed == 0 ? "all is well" : "something is wrong: results on this machine cannot be trusted");
    return failed == 0 ? EXIT_DONE : EXIT_FAILED;
}
