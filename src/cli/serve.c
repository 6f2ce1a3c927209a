/* smollm serve: the chat page and the HTTP API. */
#include "api/api.h"
#include "base/error.h"
#include "cli/command.h"
#include "cli/opening.h"
#include "cli/print.h"
#include "cli/supervisor.h"
#include "server/kv_publisher.h"
#include "server/server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const struct command_help help = {
    COMMAND_SERVE,
    "serve",
    "[MODEL]",
    "Serve the chat page and the APIs of OpenAI, Anthropic, Ollama and llama-server.",
    "The page is at /, the routes are listed at /openapi.json. SIGTERM, SIGHUP and Ctrl-C shut the server down "
    "within ten seconds; active streams finish or receive an error event.",
    0,
    1};

static int read_keys(const struct options *options, struct access_keys *keys, struct smollm_error *error)
{
    RETURN_ERROR_IF(options->api_key && !*options->api_key, error, SMOLLM_EINVAL, "--api-key is empty");
    int status = options->api_key ? access_keys_add(keys, options->api_key, error) : 0;
    if (status == 0 && options->api_key_file)
        status = access_keys_read(keys, options->api_key_file, error);
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
        fprintf(stderr, "smollm: the file's chat template is not supported: only plain completions are "
                        "answered (--chat-format forces one)\n");
}

static struct server_options server_options_of(const struct options *options, const struct access_keys *keys)
{
    return (struct server_options){.host = options->host,
                                   .port = (uint16_t)options->port,
                                   .keys = keys,
                                   .allowed_hosts = options->allow_hosts,
                                   .allowed_host_count = options->allow_host_count,
                                   .serves_page = !options->no_ui,
                                   .log_format = strcmp(options->log_format, "json") == 0 ? LOG_JSON : LOG_TEXT,
                                   .stall_seconds = options->timeout,
                                   .drain_seconds = options->drain_timeout,
                                   .allowed_origins = options->allow_origin_count > 0 ? options->allow_origins : NULL,
                                   .host_advice = " (smollm serve --allow-host NAME allows one)"};
}

static int print_address(const struct api *api, const struct server *server, struct smollm_error *error)
{
    printf("smollm: ");
    print_foreign(stdout, (struct smollm_text){api_model_name(api), strlen(api_model_name(api))});
    const char *address;
    for (uint32_t i = 0; (address = server_address(server, i)); i++)
        printf("%shttp://%s", i == 0 ? " at " : " and ", address);
    printf("\n");
    /* A closed output is accepted, a full disk is an error. */
    RETURN_ERROR_IF(!output_is_written() && !output_was_closed(), error, SMOLLM_EIO,
                    "the address could not be written, so nothing is served");
    return 0;
}

static int open_publisher(const struct options *options, struct kv_publisher **publisher, struct smollm_error *error)
{
    const struct kv_publisher_options wanted = {.endpoint = options->kv_events,
                                                .replay_endpoint = options->kv_events_replay,
                                                .topic = options->kv_events_topic};
    RETURN_ERROR_IF(!options->kv_events && (options->kv_events_replay || options->kv_events_topic), error,
                    SMOLLM_EINVAL, "--kv-events-replay and --kv-events-topic need --kv-events");
    return options->kv_events ? kv_publisher_open(&wanted, publisher, error) : 0;
}

/* The model is opened on its own thread, while the server answers that it is loading. */
struct loader {
    const struct options *options;
    struct server *server;
    struct api *api;
    struct smollm_model *model;
    struct smollm_engine *engine;
    struct kv_publisher *publisher; /* NULL: none is wanted */
    _Atomic bool is_canceled;
    int status;
    struct smollm_error error;
};

static bool on_progress(void *user, double fraction)
{
    struct loader *loader = user;
    api_set_loaded(loader->api, fraction);
    supervisor_loading(fraction);
    return !atomic_load(&loader->is_canceled);
}

static int load(struct loader *loader)
{
    const struct options *options = loader->options;
    const struct opening_watch watch = {on_progress, loader};
    struct smollm_error *error = &loader->error;
    int status = open_model(options, options->argument_count > 0 ? options->arguments[0] : NULL, options->parallel,
                            &watch, &loader->model, error);
    if (status == 0)
        status = start_engine(options, options->parallel, true, loader->model, &loader->engine, error);
    if (status == 0 && loader->publisher)
        status = kv_publisher_start(loader->publisher, loader->engine, error);
    if (status == 0)
        status = api_attach(loader->api, loader->model, loader->engine, error);
    if (status < 0)
        return status;
    print_memory(loader->model, loader->engine);
    supervisor_ready(server_address(loader->server, 0));
    return print_address(loader->api, loader->server, error);
}

static void *loader_main(void *user)
{
    struct loader *loader = user;
    loader->status = load(loader);
    if (loader->status < 0)
        server_stop(loader->server);
    return NULL;
}

static void on_draining(void *user)
{
    struct loader *loader = user;
    atomic_store(&loader->is_canceled, true);
    supervisor_stopping();
}

static int run_server(struct loader *loader, struct smollm_error *error)
{
    pthread_t thread;
    const int failed = pthread_create(&thread, NULL, loader_main, loader);
    RETURN_ERROR_IF(failed, error, SMOLLM_ENOMEM, "cannot start a thread: %s", strerror(failed));
    server_run(loader->server, loader->api);
    pthread_join(thread, NULL);
    /* A signal during loading is a normal end, too. */
    if (loader->status == SMOLLM_ECANCELED)
        return 0;
    *error = loader->error;
    return loader->status;
}

static enum smollm_pooling pooling_of(const char *name)
{
    return strcmp(name, "mean") == 0   ? SMOLLM_POOLING_MEAN
           : strcmp(name, "none") == 0 ? SMOLLM_POOLING_NONE
                                       : SMOLLM_POOLING_LAST;
}

int command_serve(int argc, char **argv)
{
    struct options options;
    int code;
    if (!options_read(&help, argc, argv, &options, &code))
        return code;
    struct smollm_error error = {0};
    struct access_keys *keys = calloc(1, sizeof *keys);
    struct loader loader = {.options = &options};
    const struct api_options api_wanted = {.alias = options.alias,
                                           .metrics = options.metrics,
                                           .hides_slots = options.no_slots,
                                           .sampling = sampling_of(&options),
                                           .has_seed = options.seed != -1,
                                           .max_tokens = options.predict,
                                           .decision_temperature = (double)options.decision_temperature,
                                           .pooling = pooling_of(options.pooling)};
    int status = keys ? read_keys(&options, keys, &error) : error_set(&error, SMOLLM_ENOMEM, "out of memory");
    if (status == 0)
        status = open_publisher(&options, &loader.publisher, &error);
    if (status == 0)
        status = api_create(&api_wanted, &loader.api, &error);
    if (status == 0) {
        struct server_options wanted = server_options_of(&options, keys);
        wanted.draining = on_draining;
        wanted.draining_user = &loader;
        status = server_open(&wanted, &loader.server, &error);
        if (status < 0)
            error_append(&error, " (--host and --port choose the address, --api-key or --api-key-file sets keys)");
    }
    if (status == 0)
        status = run_server(&loader, &error);
    server_close(loader.server);
    api_destroy(loader.api);
    kv_publisher_close(loader.publisher);
    smollm_engine_close(loader.engine);
    smollm_model_close(loader.model);
    access_keys_free(keys);
    free(keys);
    return status < 0 ? print_error(&error) : EXIT_DONE;
}
