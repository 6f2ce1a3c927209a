#include "api/api.h"

#include "api/core/generation.h"
#include "api/core/path_text.h"
#include "api/core/route.h"
#include "api/route_table.h"
#include "base/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* ---- The server's part ---- */

/* "a,b" */
static int take_names(struct api *api, const char *names, struct smollm_error *error)
{
    api->name_texts = strdup(names);
    RETURN_ERROR_IF(!api->name_texts, error, SMOLLM_ENOMEM, "out of memory");
    char *rest = api->name_texts, *name;
    while ((name = strsep(&rest, ","))) {
        RETURN_ERROR_IF(!*name, error, SMOLLM_EINVAL, "'%s' holds an empty name for the model", names);
        RETURN_ERROR_IF(api->name_count == API_NAMES_MAX, error, SMOLLM_ELIMIT, "more than %d names for the model",
                        API_NAMES_MAX);
        api->names[api->name_count++] = name;
    }
    return 0;
}

int api_create(const struct api_options *options, struct api **result, struct smollm_error *error)
{
    *result = NULL;
    struct api *api = calloc(1, sizeof *api);
    RETURN_ERROR_IF(!api, error, SMOLLM_ENOMEM, "out of memory");
    open_generations_init(&api->open);
    kept_answers_init(&api->kept);
    kept_streams_init(&api->streams);
    api->options = *options;
    api->options.sampling.logit_bias = NULL;
    api->options.sampling.logit_bias_count = 0;
    api->options.alias = NULL;
    api->started = time(NULL);
    snprintf(api->started_header, sizeof api->started_header, "Process-Start-Time-Unix: %" PRId64 "\r\n", api->started);
    const int status = options->alias ? take_names(api, options->alias, error) : 0;
    if (status < 0) {
        api_destroy(api);
        return status;
    }
    *result = api;
    return 0;
}

/* A model's own name may hold a comma. */
static int take_own_name(struct api *api, struct smollm_error *error)
{
    api->name_texts = strdup(api->info.name);
    RETURN_ERROR_IF(!api->name_texts, error, SMOLLM_ENOMEM, "out of memory");
    api->names[api->name_count++] = api->name_texts;
    return 0;
}

int api_attach(struct api *api, struct smollm_model *model, struct smollm_engine *engine, struct smollm_error *error)
{
    api->model = model;
    api->engine = engine;
    smollm_model_get_info(model, &api->info);
    const int status = api->name_count == 0 ? take_own_name(api, error) : 0;
    if (status < 0)
        return status;
    /* The text for a seed depends on the program and the weights: the fingerprint identifies both. */
    snprintf(api->fingerprint, sizeof api->fingerprint, "build-%.12s-%016" PRIx64, smollm_version(),
             api->info.content_hash);
    atomic_store(&api->is_attached, true);
    if (atomic_load(&api->is_draining))
        smollm_engine_drain(engine);
    return 0;
}

void api_set_loaded(struct api *api, double fraction)
{
    atomic_store(&api->loaded_permille, (uint32_t)(fraction * 1000));
}

void api_drain(struct api *api)
{
    atomic_store(&api->is_draining, true);
    if (atomic_load(&api->is_attached))
        smollm_engine_drain(api->engine);
}

void api_destroy(struct api *api)
{
    if (!api)
        return;
    kept_streams_destroy(&api->streams); /* closes generations */
    open_generations_destroy(&api->open);
    kept_answers_destroy(&api->kept);
    free(api->name_texts);
    free(api);
}

const char *api_model_name(const struct api *api)
{
    return api->names[0];
}

void api_count_answer(struct api *api, int status)
{
    refusals_count(&api->refusals, status);
}

static bool is_name(struct smollm_text text, const char *name)
{
    return text.size == strlen(name) && strncasecmp(text.data, name, text.size) == 0;
}

const char *api_find_model(const struct api *api, struct smollm_text name)
{
    static const char latest[] = ":latest";
    const size_t tag = sizeof latest - 1;
    struct smollm_text plain = name;
    if (name.size > tag && is_name((struct smollm_text){name.data + name.size - tag, tag}, latest))
        plain.size -= tag;
    for (size_t i = 0; i < api->name_count; i++)
        if (name.size > 0 && (is_name(name, api->names[i]) || is_name(plain, api->names[i])))
            return api->names[i];
    return NULL;
}

/* ---- Routes ---- */

static unsigned method_of(struct smollm_text method)
{
    static const struct {
        const char *name;
        enum api_method method;
    } methods[] = {{"GET", API_GET}, {"HEAD", API_GET}, {"POST", API_POST}, {"DELETE", API_DELETE}};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (text_is(method, methods[i].name))
            return methods[i].method;
    return 0;
}

/* Notes the rows with this path; the first one with the method is the route. */
static void match_rows(unsigned method, struct smollm_text path, struct api_match *match)
{
    for (const struct route_list *const *list = route_table(); *list; list++) {
        for (size_t i = 0; i < (*list)->count; i++) {
            const struct route *route = &(*list)->routes[i];
            struct smollm_text parameter;
            if (!path_matches(path, route->path, &parameter))
                continue;
            match->methods |= (unsigned)route->method;
            match->is_public |= (route->flags & ROUTE_PUBLIC) != 0;
            if (match->route || route->method != method)
                continue;
            match->route = route;
            match->parameter = parameter;
            match->takes_body = route->method == API_POST;
            match->type_may_be_missing = route->protocol->type_may_be_missing;
        }
    }
}

/* The paths as they are, then without or with /v1 before them. */
static struct api_match find(unsigned method, struct smollm_text path)
{
    static const char version[] = "/v1";
    enum { VERSION = sizeof version - 1, PATH_MAX_WITH_VERSION = 512 };
    char longer[PATH_MAX_WITH_VERSION];
    struct api_match match = {0};
    match_rows(method, path, &match);
    if (match.methods != 0)
        return match;
    size_t slashes = 0;
    while (slashes < path.size && path.data[slashes] == '/')
        slashes++;
    const struct smollm_text rest = {path.data + slashes, path.size - slashes};
    if (slashes == 0)
        return match;
    if (text_starts_with(rest, "v1/")) {
        if (rest.size > VERSION && !text_starts_with(rest, "v1/v1"))
            match_rows(method, (struct smollm_text){rest.data + VERSION - 1, rest.size - VERSION + 1}, &match);
    } else if (path.size + VERSION <= sizeof longer) {
        memcpy(longer, version, VERSION);
        memcpy(longer + VERSION, path.data, path.size);
        match_rows(method, (struct smollm_text){longer, path.size + VERSION}, &match);
        if (match.parameter.data) /* it points into the copy */
            match.parameter.data = path.data + (match.parameter.data - longer) - VERSION;
    }
    return match;
}

struct api_match api_find(struct smollm_text method, struct smollm_text path)
{
    return find(method_of(method), path);
}

static const struct protocol *protocol_of(struct smollm_text path)
{
    static const unsigned methods[] = {API_POST, API_GET, API_DELETE};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const struct api_match match = find(methods[i], path);
        if (match.route)
            return match.route->protocol;
    }
    return route_table_protocol(path);
}

void api_write_error(struct smollm_text path, int status, const char *message, const char *request_id,
                     struct buffer *out)
{
    struct api_error error;
    api_error_make(&error, status, NULL, message);
    protocol_of(path)->error(&error, request_id, out);
}

/* ---- Answers ---- */

struct api_answer {
    const struct route *route;
    struct api_head head;
    bool head_is_known;
    struct buffer body; /* of an answer that was complete immediately */
    bool body_is_taken;
    struct generation *generation; /* or: */
    struct kept_reader *reader;    /* of a kept stream; both NULL: the answer is the body alone */
};

static struct api_head head_of_error(const struct api_error *error)
{
    return (struct api_head){
        .status = error->status, .retry_after = error->retry_after, .content_type = "application/json"};
}

static void set_error(struct api_answer *answer, const struct api_call *call, const struct api_error *error)
{
    buffer_clear(&answer->body);
    answer->route->protocol->error(error, call->request_id, &answer->body);
    answer->head = head_of_error(error);
    answer->head_is_known = true;
}

/* *stream is what the answer is to be kept as; NULL: it is not kept. */
static int create_stream(struct api *api, const struct api_call *call, bool is_stream, struct kept_stream **stream,
                         struct api_error *error)
{
    const struct smollm_text id = call->conversation_id;
    *stream = NULL;
    if (!is_stream || id.size == 0)
        return 0;
    if (id.size > KEPT_STREAM_ID_MAX)
        return api_refuse(error, "X-Conversation-Id", "X-Conversation-Id has %zu bytes; up to %d are allowed", id.size,
                          KEPT_STREAM_ID_MAX);
    *stream = kept_stream_create(&api->streams, call->key, id);
    return *stream ? 0 : api_refuse_memory(error);
}

/* Opens the generation, which is the answer itself, or the source of a kept stream that the answer reads. */
static int open_generation(struct api *api, const struct api_call *call, json_t *json,
                           struct generation_request *request, struct kept_stream *stream, struct api_answer *answer,
                           struct api_error *error)
{
    struct api_call own = *call;
    if (stream) {
        own.notify = kept_stream_notify;
        own.notify_user = stream;
    }
    struct generation *generation;
    int status = generation_open(api, call->route->format, request, json, &own, &generation, error);
    if (status == 0) {
        generation->open = &api->open;
        open_generations_add(&api->open, generation);
    }
    if (status == 0 && stream)
        status = kept_stream_start(stream, &generation_source, generation, call->notify, call->notify_user,
                                   &answer->reader, error);
    if (status < 0)
        generation_close(generation);
    else if (!stream)
        answer->generation = generation;
    return status;
}

static int begin_generation(struct api *api, const struct api_call *call, json_t *json, struct api_answer *answer,
                            struct api_error *error)
{
    struct generation_request request;
    generation_request_init(&request, api);
    int status = call->route->format->read(api, call, json, &request, error);
    struct kept_stream *stream = NULL;
    if (status == 0)
        status = create_stream(api, call, request.is_stream, &stream, error);
    if (status < 0) {
        generation_request_free(&request);
        return status;
    }
    status = open_generation(api, call, json, &request, stream, answer, error);
    if (status < 0 && stream)
        kept_stream_discard(stream);
    if (answer->generation)
        answer->head = generation_head(answer->generation);
    return status;
}

static int answer_at_once(struct api *api, const struct api_call *call, const json_t *json, struct api_answer *answer,
                          struct api_error *error)
{
    const struct route *route = call->route;
    const int status = route->answer(api, call, json, &answer->body, error);
    answer->head = (struct api_head){.status = status > 0 ? status : 200,
                                     .content_type = status == 204         ? NULL
                                                     : route->content_type ? route->content_type
                                                                           : "application/json",
                                     .field = route->flags & ROUTE_TELLS_START ? api->started_header : NULL};
    answer->head_is_known = true;
    return status < 0 ? -1 : 0;
}

/* Before there is a model. */
static int refuse_while_loading(const struct api *api, struct api_error *error)
{
    const uint32_t permille = atomic_load(&api->loaded_permille);
    char message[80];
    snprintf(message, sizeof message, "the model is being loaded (%u %%)", permille / 10);
    api_error_make(error, 503, "loading", message);
    return -1;
}

static int open_answer(struct api *api, const struct api_call *call, struct api_answer *answer, struct api_error *error)
{
    const struct route *route = call->route;
    if (!(route->flags & ROUTE_WHILE_LOADING) && !atomic_load(&api->is_attached))
        return refuse_while_loading(api, error);
    json_t *json = NULL;
    const struct smollm_text body =
        (route->flags & ROUTE_MAY_BE_EMPTY) && call->body.size == 0 ? text_of("{}") : call->body;
    if (route->method == API_POST && json_input_parse(body, &json, error) < 0)
        return -1;
    const int status = route->format ? begin_generation(api, call, json, answer, error)
                       : route->read ? route->read(api, call, &answer->reader, error)
                                     : answer_at_once(api, call, json, answer, error);
    json_decref(json);
    return status;
}

struct api_answer *api_answer_open(struct api *api, const struct api_call *call)
{
    struct api_answer *answer = calloc(1, sizeof *answer);
    struct api_error error = {0};
    if (!answer)
        return NULL;
    answer->route = call->route;
    if (open_answer(api, call, answer, &error) < 0)
        set_error(answer, call, &error);
    return answer;
}

bool api_answer_head(const struct api_answer *answer, struct api_head *head)
{
    if (answer->head_is_known)
        *head = answer->head;
    return answer->head_is_known;
}

enum api_state api_answer_pull(struct api_answer *answer, struct buffer *out, size_t max)
{
    if (answer->reader) {
        const enum api_state state = kept_reader_pull(answer->reader, out, max);
        answer->head_is_known = answer->head_is_known || kept_reader_head(answer->reader, &answer->head);
        return state;
    }
    if (!answer->generation) {
        if (!answer->body_is_taken)
            buffer_append_text(out, buffer_text(&answer->body));
        out->failed |= answer->body.failed;
        answer->body_is_taken = true;
        return API_DONE;
    }
    const size_t before = out->size;
    enum api_state state = generation_pull(answer->generation, out, max);
    if (!answer->head_is_known && (state == API_DONE || out->size > before)) {
        answer->head_is_known = true;
        answer->head = generation_head(answer->generation);
    }
    return state;
}

bool api_answer_is_stream(const struct api_answer *answer)
{
    return answer->reader || (answer->generation && answer->head.is_stream);
}

void api_answer_begin(struct api_answer *answer)
{
    if (answer->generation)
        answer->generation->must_begin = true;
    if (answer->reader)
        kept_reader_begin(answer->reader);
}

bool api_answer_figures(const struct api_answer *answer, struct api_figures *figures)
{
    if (answer->reader)
        return kept_reader_figures(answer->reader, figures);
    if (answer->generation)
        generation_get_figures(answer->generation, figures);
    return answer->generation != NULL;
}

void api_answer_keep_alive(struct api_answer *answer, struct buffer *out)
{
    void (*keep_alive)(struct buffer *) = answer->route->protocol->keep_alive;
    if (answer->reader)
        kept_reader_keep_alive(answer->reader);
    if (answer->generation && answer->generation->begun && answer->head.is_stream && keep_alive)
        keep_alive(out);
}

void api_answer_abort(struct api_answer *answer)
{
    struct api_error error;
    api_error_make(&error, 503, "shutting_down", "the server is shutting down");
    if (answer->generation)
        generation_fail(answer->generation, &error);
    if (answer->reader)
        kept_reader_abort(answer->reader, &error);
}

void api_answer_close(struct api_answer *answer)
{
    if (!answer)
        return;
    generation_close(answer->generation);
    kept_reader_close(answer->reader);
    buffer_free(&answer->body);
    free(answer);
}
