/* smollm serve: the chat page and the HTTP API. */
#include "api/api.h"
#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/opening.h"
#include "cli/print.h"
#include "server/server.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const struct command_help help = {
    COMMAND_SERVE,
    "serve",
    "[MODEL]",
    "Serve the chat page and an OpenAI-compatible API",
    "The page is at /, the API below /v1 (chat/completions, completions, models) and as llama-server has it\n"
    "(/completion, /tokenize, /props, /slots, /health). Ends on SIGTERM or Ctrl-C within ten seconds; every stream\n"
    "is finished or told.",
    0,
    1};

enum { MOST_KEYS = 1024 };

/* Keys from the option and the file, one a line; empty lines and what follows '#' at a line's beginning are not. */
struct keys {
    struct buffer file;
    const char *list[MOST_KEYS + 1];
    size_t count;
};

static int add_key(struct keys *keys, const char *key, struct smollm_error *error)
{
    RETURN_ERROR_IF(keys->count == MOST_KEYS, error, SMOLLM_ELIMIT, "more than %d API keys", MOST_KEYS);
    for (const char *c = key; *c; c++)
        RETURN_ERROR_IF(*c <= 0x20 || *c >= 0x7f, error, SMOLLM_EINVAL,
                        "an API key holds a space or a character that is not ASCII: no client could send it");
    keys->list[keys->count++] = key;
    return 0;
}

static int read_keys(const struct options *options, struct keys *keys, struct smollm_error *error)
{
    if (options->api_key) {
        RETURN_ERROR_IF(!*options->api_key, error, SMOLLM_EINVAL, "--api-key is empty");
        int status = add_key(keys, options->api_key, error);
        if (status < 0)
            return status;
    }
    if (!options->api_key_file)
        return 0;
    int status = file_read(options->api_key_file, &keys->file, error);
    if (status == 0 && keys->file.data && strlen(keys->file.data) != keys->file.size)
        status = error_set(error, SMOLLM_EINVAL, "%s is no text", options->api_key_file);
    size_t before = keys->count;
    char *rest = keys->file.data, *line;
    while (status == 0 && (line = strsep(&rest, "\r\n")))
        if (*line && *line != '#')
            status = add_key(keys, line, error);
    if (status == 0 && keys->count == before)
        status = error_set(error, SMOLLM_EINVAL, "%s holds no key", options->api_key_file);
    return status;
}

static void print_memory(struct smollm_model *model, struct smollm_engine *engine)
{
    struct smollm_model_info m;
    struct smollm_engine_info e;
    smollm_model_get_info(model, &m);
    smollm_engine_get_info(engine, &e);
    fprintf(stderr, "smollm: %s weights, %s KV cache for %u conversations of %u tokens, %u threads, %s kernels\n",
            size_text(m.weight_bytes).text, size_text(e.kv_bytes).text, e.parallel, e.context, e.threads, e.cpu);
    if (!m.chat_format)
        fprintf(stderr, "smollm: the file's chat template is none that is known here: only plain completions are "
                        "answered (--chat-format forces one)\n");
}

static struct server_options server_options_of(const struct options *options, const struct keys *keys)
{
    return (struct server_options){.host = options->host,
                                   .port = (uint16_t)options->port,
                                   .keys = keys->list,
                                   .allowed_hosts = options->allow_hosts,
                                   .allowed_host_count = options->allow_host_count,
                                   .serves_page = !options->no_ui,
                                   .log_format = strcmp(options->log_format, "json") == 0 ? LOG_JSON : LOG_TEXT,
                                   .stall_seconds = options->timeout};
}

int command_serve(int argc, char **argv)
{
    struct options options;
    int code;
    if (!options_read(&help, argc, argv, &options, &code))
        return code;
    struct smollm_error error = {0};
    struct keys *keys = calloc(1, sizeof *keys);
    struct server *server = NULL;
    struct smollm_model *model = NULL;
    struct smollm_engine *engine = NULL;
    struct api *api = NULL;
    int status = keys ? read_keys(&options, keys, &error) : error_set(&error, SMOLLM_ENOMEM, "out of memory");
    if (status == 0) {
        struct server_options wanted = server_options_of(&options, keys);
        status = server_open(&wanted, &server, &error);
    }
    if (status == 0)
        status = open_model(&options, options.argument_count > 0 ? options.arguments[0] : NULL, &model, &error);
    if (status == 0)
        status = start_engine(&options, options.parallel, true, model, &engine, &error);
    if (status == 0) {
        struct api_options wanted = {.alias = options.alias,
                                     .metrics = options.metrics,
                                     .sampling = sampling_of(&options),
                                     .has_seed = options.seed >= 0,
                                     .max_tokens = options.predict};
        status = api_create(model, engine, &wanted, &api, &error);
    }
    if (status == 0) {
        print_memory(model, engine);
        printf("smollm: ");
        print_foreign(stdout, (struct smollm_text){api_model_name(api), strlen(api_model_name(api))});
        printf(" at http://%s\n", server_address(server));
        fflush(stdout);
        status = server_run(server, api, engine, &error);
    }
    api_destroy(api);
    smollm_engine_close(engine);
    smollm_model_close(model);
    server_close(server);
    if (keys)
        buffer_free(&keys->file);
    free(keys);
    return status < 0 ? print_error(&error) : EXIT_DONE;
}
