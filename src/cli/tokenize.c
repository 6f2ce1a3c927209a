/* smollm tokenize: text to ids and back. */
#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/model_path.h"
#include "cli/options.h"
#include "cli/print.h"
#include "smollm.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const struct command_help help = {
    COMMAND_TOKENIZE,
    "tokenize",
    "MODEL [TEXT]",
    "Turn text into token ids, or with --decode ids into text.",
    "Without TEXT, stdin is read, exactly as it is. Special tokens are recognised in the text; no BOS is added.",
    1,
    2};

static const struct smollm_tokenize_options with_special = {.size = sizeof with_special, .parse_special = true};

/* A piece may be part of a character. A backslash is written as "\\x5c", so that all of it can be read back. */
static void print_piece(struct smollm_text piece)
{
    for (const char *slash; (slash = memchr(piece.data, '\\', piece.size));) {
        const size_t before = (size_t)(slash - piece.data);
        print_foreign(stdout, (struct smollm_text){piece.data, before});
        fputs("\\x5c", stdout);
        piece = (struct smollm_text){slash + 1, piece.size - before - 1};
    }
    print_foreign(stdout, piece);
}

static int print_ids(const struct smollm_model *model, struct smollm_text text, bool pieces, struct smollm_error *error)
{
    int32_t *ids;
    size_t count;
    int status = smollm_tokenize(model, text, &with_special, &ids, &count, error);
    for (size_t i = 0; i < count && status == 0 && !(i % 4096 == 4095 && output_is_lost()); i++) {
        if (!pieces) {
            printf("%s%d", i > 0 ? " " : "", ids[i]);
            continue;
        }
        struct smollm_text piece;
        status = smollm_detokenize(model, &ids[i], 1, &piece, error);
        printf("%d\t", ids[i]);
        print_piece(piece);
        putchar('\n');
        smollm_free((void *)(size_t)piece.data);
    }
    if (!pieces && status == 0)
        putchar('\n');
    smollm_free(ids);
    return status;
}

static int append_piece(const struct smollm_model *model, long long id, struct buffer *out, struct smollm_error *error)
{
    const int32_t narrow = id < 0 || id > INT32_MAX ? -1 : (int32_t)id;
    struct smollm_text piece;
    int status = smollm_detokenize(model, &narrow, 1, &piece, error);
    if (status < 0)
        return id == narrow ? status : error_set(error, status, "token %lld is not in the vocabulary", id);
    buffer_append_text(out, piece);
    smollm_free((void *)(size_t)piece.data);
    return 0;
}

static int print_text(const struct smollm_model *model, const char *ids, struct smollm_error *error)
{
    struct buffer out = {0};
    int status = 0;
    while (status == 0) {
        ids += strspn(ids, " \t\r\n,[]");
        if (!*ids)
            break;
        char *end;
        errno = 0;
        long long id = strtoll(ids, &end, 10);
        status = end == ids || errno ? error_set(error, SMOLLM_EINVAL, "'%.20s' is not a token id", ids)
                                     : append_piece(model, id, &out, error);
        ids = end;
    }
    if (status == 0) {
        print_model_text(stdout, buffer_text(&out));
        putchar('\n');
    }
    buffer_free(&out);
    return status;
}

static int line_encode(const struct smollm_model *model, const char *line, struct smollm_error *error)
{
    json_error_t json_error;
    json_t *json = json_loads(line, JSON_DECODE_ANY | JSON_ALLOW_NUL, &json_error);
    RETURN_ERROR_IF(!json_is_string(json), error, SMOLLM_EFORMAT, "not a JSON string: %s",
                    json ? line : json_error.text);
    int32_t *ids;
    size_t count;
    struct smollm_text text = {json_string_value(json), json_string_length(json)};
    int status = smollm_tokenize(model, text, &with_special, &ids, &count, error);
    putchar('[');
    for (size_t i = 0; i < count && status == 0; i++)
        printf("%s%d", i > 0 ? "," : "", ids[i]);
    puts("]");
    smollm_free(ids);
    json_decref(json);
    return status;
}

static int line_decode(const struct smollm_model *model, const char *line, struct smollm_error *error)
{
    json_error_t json_error;
    json_t *json = json_loads(line, 0, &json_error);
    RETURN_ERROR_IF(!json_is_array(json), error, SMOLLM_EFORMAT, "not a JSON array: %s", json ? line : json_error.text);
    struct buffer out = {0};
    int status = 0;
    for (size_t i = 0; i < json_array_size(json) && status == 0; i++) {
        json_t *id = json_array_get(json, i);
        status = json_is_integer(id) ? append_piece(model, json_integer_value(id), &out, error)
                                     : error_set(error, SMOLLM_EFORMAT, "item %zu is not a token id", i);
    }
    json_t *string = status == 0 ? json_stringn(out.data ? out.data : "", out.size) : NULL;
    if (status == 0 && !string)
        status = error_set(error, SMOLLM_EFORMAT, "the tokens are not UTF-8 text");
    if (string) {
        json_dumpf(string, stdout, JSON_ENCODE_ANY);
        putchar('\n');
    }
    json_decref(string);
    buffer_free(&out);
    json_decref(json);
    return status;
}

static int lines(const struct smollm_model *model, bool decode, struct smollm_error *error)
{
    char *line = NULL;
    size_t room = 0;
    int status = 0;
    for (unsigned long number = 1; status == 0 && !output_is_lost() && getline(&line, &room, stdin) > 0; number++) {
        status = decode ? line_decode(model, line, error) : line_encode(model, line, error);
        if (status < 0)
            error_prefix(error, "line %lu", number);
    }
    free(line);
    return status;
}

static int run(const struct options *options, const struct smollm_model *model, struct smollm_error *error)
{
    if (options->jsonl)
        return lines(model, options->decode, error);
    struct buffer input = {0};
    int status = 0;
    if (options->argument_count == 2)
        buffer_append_string(&input, options->arguments[1]);
    else
        status = file_read("-", &input, error);
    if (status == 0)
        status = options->decode ? print_text(model, input.data ? input.data : "", error)
                                 : print_ids(model, buffer_text(&input), options->pieces, error);
    buffer_free(&input);
    return status;
}

int command_tokenize(int argc, char **argv)
{
    struct options options;
    int code;
    if (!options_read(&help, argc, argv, &options, &code))
        return code;
    struct smollm_error error = {0};
    struct smollm_model *model = NULL;
    const struct smollm_model_options wanted = {.size = sizeof wanted, .vocabulary_only = true};
    char *path;
    if (model_path_find(options.arguments[0], &path, &error) < 0)
        return print_error(&error);
    int status = smollm_model_open(path, &wanted, &model, &error);
    if (status == 0)
        status = run(&options, model, &error);
    smollm_model_close(model);
    free(path);
    return status < 0 ? print_error(&error) : EXIT_DONE;
}
