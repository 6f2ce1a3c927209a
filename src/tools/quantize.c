/* smollm quantize IN OUT TYPE */
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "gguf/gguf_writer.h"
#include "quant/quant.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* general.file_type as other programs number it. */
static const struct {
    uint32_t type;
    uint32_t file_type;
} targets[] = {{GGUF_F16, 1}, {GGUF_Q8_0, 7}, {GGUF_Q4_0, 2}};

/* Values decoded and encoded at a time: 4 MiB of floats. */
static const size_t PIECE = 1 << 20;

struct job {
    const char *in_path;
    const char *out_path;
    uint32_t type;
    uint32_t file_type;

    struct gguf_file *in;
    struct gguf_writer *out;
    uint32_t *types; /* of the tensors of the new file */
    unsigned char *raw;
    float *values;
    unsigned char *packed;
    struct progress progress;
    uint64_t done; /* bytes read */
    uint64_t total;
};

/* Vectors (norms, biases) stay as they are: they are small and matter much. The output matrix decides every token, so
 * it gets eight bits even where the rest gets four; with a tied embedding that is token_embd. Rows that are no multiple
 * of a block's columns stay F16. */
static uint32_t target_type(const struct job *job, const struct gguf_tensor *tensor)
{
    if (tensor->n_dims == 1)
        return tensor->type;
    const char *output = gguf_tensor_find(job->in, "output.weight") ? "output.weight" : "token_embd.weight";
    uint32_t type = job->type == GGUF_Q4_0 && text_is(tensor->name, output) ? (uint32_t)GGUF_Q8_0 : job->type;
    return tensor->dims[0] % gguf_type_find(type)->block_columns == 0 ? type : (uint32_t)GGUF_F16;
}

static bool can_decode(uint32_t type)
{
    return type == GGUF_F32 || type == GGUF_F16 || type == GGUF_BF16;
}

static int types_choose(struct job *job, struct smollm_error *error)
{
    size_t count = gguf_tensor_count(job->in);
    job->types = array_allocate(count, sizeof *job->types);
    job->raw = array_allocate(PIECE, sizeof(float));
    job->values = array_allocate(PIECE, sizeof(float));
    job->packed = array_allocate(PIECE, sizeof(float));
    RETURN_ERROR_IF(!job->types || !job->raw || !job->values || !job->packed, error, SMOLLM_ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(job->in, i);
        job->types[i] = target_type(job, tensor);
        job->total += tensor->size;
        RETURN_ERROR_IF(job->types[i] != tensor->type && !can_decode(tensor->type), error, SMOLLM_EUNSUPPORTED,
                        "%s: tensor %.*s is %s already; quantize starts from F32, F16 or BF16", job->in_path,
                        (int)tensor->name.size, tensor->name.data, gguf_type_name(tensor->type));
    }
    return 0;
}

static void metadata_copy(struct job *job)
{
    for (size_t i = 0; i < gguf_value_count(job->in); i++) {
        struct gguf_value value = gguf_value_at(job->in, i);
        if (!text_is(value.key, "general.file_type") && !text_is(value.key, "general.quantization_version") &&
            !text_is(value.key, "general.alignment"))
            gguf_writer_put_value(job->out, &value);
    }
    gguf_writer_put_u32(job->out, "general.file_type", job->file_type);
    gguf_writer_put_u32(job->out, "general.quantization_version", 2);
    for (size_t i = 0; i < gguf_tensor_count(job->in); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(job->in, i);
        gguf_writer_add_tensor(job->out, tensor->name, job->types[i], tensor->n_dims, tensor->dims);
    }
}

/* The next `count` values of a tensor, from value `at` on. Blocks do not cross rows, and PIECE is a multiple of every
 * block, so a tensor is one long row here. */
static int piece_convert(struct job *job, const struct gguf_tensor *tensor, uint32_t type, uint64_t at, size_t count,
                         struct smollm_error *error)
{
    size_t size = (size_t)gguf_type_row_bytes(tensor->type, count);
    int code = gguf_tensor_read(job->in, tensor, gguf_type_row_bytes(tensor->type, at), size, job->raw, error);
    if (code != 0)
        return error_prefix(error, "%s", job->in_path);
    job->done += size;
    progress_update(&job->progress, job->done, job->total);
    if (type == tensor->type)
        return gguf_writer_write(job->out, job->raw, size, error);
    quant_row_decode(tensor->type, job->raw, job->values, count);
    code = quant_row_encode(type, job->values, job->packed, count);
    RETURN_ERROR_IF(code != 0, error, code, "%s: tensor %.*s holds a value that is not finite", job->in_path,
                    (int)tensor->name.size, tensor->name.data);
    return gguf_writer_write(job->out, job->packed, (size_t)gguf_type_row_bytes(type, count), error);
}

static int tensor_convert(struct job *job, size_t index, struct smollm_error *error)
{
    const struct gguf_tensor *tensor = gguf_tensor_at(job->in, index);
    for (uint64_t at = 0; at < tensor->elements; at += PIECE) {
        RETURN_ERROR_IF(interrupt_pending(), error, SMOLLM_ECANCELED, "interrupted; nothing was written");
        uint64_t left = tensor->elements - at;
        int code = piece_convert(job, tensor, job->types[index], at, left < PIECE ? (size_t)left : PIECE, error);
        if (code != 0)
            return code;
    }
    return 0;
}

/* Overwriting the file that is being read would need both at once, and is never intended. */
static int refuse_same_file(const struct job *job, struct smollm_error *error)
{
    struct stat in;
    struct stat out;
    bool same = stat(job->in_path, &in) == 0 && stat(job->out_path, &out) == 0 && in.st_dev == out.st_dev &&
                in.st_ino == out.st_ino;
    RETURN_ERROR_IF(same, error, SMOLLM_EINVAL, "%s and %s are the same file", job->in_path, job->out_path);
    return 0;
}

static int job_run(struct job *job, struct smollm_error *error)
{
    int code = refuse_same_file(job, error);
    if (code != 0)
        return code;
    if (gguf_open(job->in_path, &job->in, error) != 0)
        return error_prefix(error, "%s", job->in_path);
    code = types_choose(job, error);
    if (code == 0)
        code = gguf_writer_open(job->out_path, &job->out, error);
    if (code != 0)
        return code;
    metadata_copy(job);
    code = gguf_writer_begin_data(job->out, error);
    progress_begin(&job->progress, "quantizing");
    for (size_t i = 0; i < gguf_tensor_count(job->in) && code == 0; i++)
        code = tensor_convert(job, i, error);
    progress_end(&job->progress);
    return code == 0 ? gguf_writer_finish(job->out, error) : code;
}

static void job_free(struct job *job)
{
    gguf_writer_close(job->out);
    gguf_close(job->in);
    free(job->types);
    free(job->raw);
    free(job->values);
    free(job->packed);
}

static bool target_find(const char *name, struct job *job)
{
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        if (strcasecmp(gguf_type_name(targets[i].type), name) == 0) {
            job->type = targets[i].type;
            job->file_type = targets[i].file_type;
            return true;
        }
    return false;
}

static const struct command_help help = {
    COMMAND_QUANTIZE,
    "quantize",
    "IN OUT TYPE",
    "Write the model IN (F32, F16 or BF16) to OUT with weights of TYPE: F16, Q8_0 or Q4_0.",
    "Vectors keep their type; with Q4_0 the output matrix becomes Q8_0.",
    3,
    3};

int command_quantize(int argc, char **argv)
{
    struct options options;
    int exit_code;
    if (!options_read(&help, argc, argv, &options, &exit_code))
        return exit_code;
    struct job job = {.in_path = options.arguments[0], .out_path = options.arguments[1]};
    if (!target_find(options.arguments[2], &job))
        return print_usage_error("quantize", "TYPE is %s, allowed are F16, Q8_0 and Q4_0", options.arguments[2]);
    struct smollm_error error = {0};
    interrupt_set(INTERRUPT_ASKS_ONCE);
    int code = job_run(&job, &error);
    uint64_t before = job.in ? gguf_size(job.in) : 0;
    job_free(&job);
    if (code != 0)
        return print_error(&error);
    struct stat status;
    if (stat(job.out_path, &status) == 0) {
        print_foreign(stderr, text_of(job.out_path));
        fprintf(stderr, ": %s, from %s\n", size_text((uint64_t)status.st_size).text, size_text(before).text);
    }
    return EXIT_DONE;
}
