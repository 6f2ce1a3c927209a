#include "api/api.h"

#include "api/generation.h"
#include "api/routes.h"
#include "base/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- The server's part ---- */

int api_create(const struct api_options *options, struct api **result, struct smollm_error *error)
{
    *result = NULL;
    struct api *api = calloc(1, sizeof *api);
    RETURN_ERROR_IF(!api, error, SMOLLM_ENOMEM, "out of memory");
    api->options = *options;
    api->options.sampling.logit_bias = NULL;
    api->options.sampling.logit_bias_count = 0;
    api->options.alias = NULL;
    api->started = time(NULL);
    api->name = options->alias ? strdup(options->alias) : NULL;
    if (options->alias && !api->name) {
        api_destroy(api);
        return error_set(error, SMOLLM_ENOMEM, "out of memory");
    }
    open_generations_init(&api->open);
    *result = api;
    return 0;
}

int api_attach(struct api *api, struct smollm_model *model, struct smollm_engine *engine, struct smollm_error *error)
{
    api->model = model;
    api->engine = engine;
    smollm_model_get_info(model, &api->info);
    if (!api->name)
        api->name = strdup(api->info.name);
    RETURN_ERROR_IF(!api->name, error, SMOLLM_ENOMEM, "out of memory");
    /* The text for a seed depends on the program and the weights: the fingerprint identifies both. */
    snprintf(api->fingerprint, sizeof api->fingerprint, "smollm-%.12s-%016" PRIx64, smollm_version(),
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
    open_generations_destroy(&api->open);
    free(api->name);
    free(api);
}

const char *api_model_name(const struct api *api)
{
    return api->name;
}

void api_count_answer(struct api *api, int status)
{
    refusals_count(&api->refusals, status);
}

/* ---- Routes ---- */

enum route_kind {
    HEALTH,
    PROPS,
    SLOTS,
    METRICS,
    MODELS,
    MODEL,
    TOKENIZE,
    DETOKENIZE,
    APPLY_TEMPLATE,
    END_THINKING,
    CHAT_COMPLETIONS,
    COMPLETIONS,
    NATIVE_COMPLETION
};

static const struct api_route routes[] = {
    {"/chat/completions", API_POST, false, CHAT_COMPLETIONS},
    {"/completions", API_POST, false, COMPLETIONS},
    {"/completion", API_POST, false, NATIVE_COMPLETION},
    {"/models", API_GET, false, MODELS},
    {"/models/", API_GET, false, MODEL}, /* a name follows */
    {"/health", API_GET, true, HEALTH},
    {"/props", API_GET, false, PROPS},
    {"/slots", API_GET, false, SLOTS},
    {"/metrics", API_GET, false, METRICS},
    {"/tokenize", API_POST, false, TOKENIZE},
    {"/detokenize", API_POST, false, DETOKENIZE},
    {"/apply-template", API_POST, false, APPLY_TEMPLATE},
    {"/end-thinking", API_POST, false, END_THINKING},
};

/* Removes a prefix from a path, in which several slashes count as one; false when the path has another beginning. */
static bool take_beginning(struct smollm_text *path, const char *beginning)
{
    size_t at = 0;
    for (; *beginning; beginning++) {
        if (at == path->size || path->data[at] != *beginning)
            return false;
        at++;
        while (*beginning == '/' && at < path->size && path->data[at] == '/')
            at++;
    }
    *path = (struct smollm_text){path->data + at, path->size - at};
    return true;
}

static bool is_path(struct smollm_text path, const char *of_route)
{
    return take_beginning(&path, of_route) && (path.size == 0 || (take_beginning(&path, "/") && path.size == 0));
}

const struct api_route *api_route_find(const struct api *api, struct smollm_text path)
{
    struct smollm_text rest = path;
    if (take_beginning(&rest, "/v1/"))
        path = (struct smollm_text){rest.data - 1, rest.size + 1};
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const struct api_route *route = &routes[i];
        if (route->kind == METRICS && !api->options.metrics)
            continue;
        rest = path;
        if (route->kind == MODEL ? take_beginning(&rest, route->path) && rest.size > 0 : is_path(path, route->path))
            return route;
    }
    return NULL;
}

/* ---- Answers ---- */

struct api_answer {
    const struct api *api;
    struct api_head head;
    bool head_is_known;
    struct buffer body; /* of an answer that was complete immediately */
    bool body_is_taken;
    struct generation *generation; /* NULL: the answer is the body alone */
};

static void set_error(struct api_answer *answer, const struct api_error *error)
{
    buffer_clear(&answer->body);
    api_error_write(error, &answer->body);
    answer->head = (struct api_head){
        .status = error->status, .retry_after = error->retry_after, .content_type = "application/json"};
    answer->head_is_known = true;
}

static int answer_at_once(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                          struct api_error *error)
{
    switch ((enum route_kind)call->route->kind) {
    case PROPS:
        route_props(api, out);
        return 0;
    case SLOTS:
        route_slots(api, out);
        return 0;
    case METRICS:
        route_metrics(api, out);
        return 0;
    case MODELS:
        route_models(api, out);
        return 0;
    case MODEL:
        return route_model(api, call->path, out, error);
    case TOKENIZE:
        return route_tokenize(api, json, out, error);
    case DETOKENIZE:
        return route_detokenize(api, json, out, error);
    case END_THINKING:
        return route_end_thinking(api, call, json, out, error);
    default:
        return route_apply_template(api, json, out, error);
    }
}

static int begin_generation(struct api *api, const struct api_call *call, const json_t *json, struct api_answer *answer,
                            struct api_error *error)
{
    enum generation_kind kind = call->route->kind == CHAT_COMPLETIONS ? GENERATION_CHAT
                                : call->route->kind == COMPLETIONS    ? GENERATION_COMPLETIONS
                                                                      : GENERATION_NATIVE;
    struct generation_request request;
    int status = generation_request_read(&api->options, api->model, kind, json, &request, error);
    if (status < 0) {
        arena_free(&request.arena);
        return status;
    }
    bool is_stream = request.is_stream;
    status = generation_open(api, &request, call, &answer->generation, error);
    if (status < 0) {
        generation_close(answer->generation);
        answer->generation = NULL;
        return status;
    }
    answer->generation->open = &api->open;
    open_generations_add(&api->open, answer->generation);
    answer->head = (struct api_head){
        .status = 200, .content_type = is_stream ? "text/event-stream" : "application/json", .is_stream = is_stream};
    return 0;
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
    if (call->route->kind == HEALTH) {
        answer->head =
            (struct api_head){.status = route_health(api, &answer->body), .content_type = "application/json"};
        answer->head_is_known = true;
        return 0;
    }
    if (!atomic_load(&api->is_attached))
        return refuse_while_loading(api, error);
    json_t *json = NULL;
    bool generates = call->route->kind >= CHAT_COMPLETIONS;
    if (call->route->method == API_POST && json_input_parse(call->body, &json, error) < 0)
        return -1;
    int status = 0;
    if (generates) {
        status = begin_generation(api, call, json, answer, error);
    } else {
        status = answer_at_once(api, call, json, &answer->body, error);
        answer->head =
            (struct api_head){.status = 200,
                              .content_type = call->route->kind == METRICS ? "text/plain; version=0.0.4; charset=utf-8"
                                                                           : "application/json"};
        answer->head_is_known = true;
    }
    json_decref(json);
    return status;
}

struct api_answer *api_answer_open(struct api *api, const struct api_call *call)
{
    struct api_answer *answer = calloc(1, sizeof *answer);
    struct api_error error = {0};
    if (!answer)
        return NULL;
    answer->api = api;
    if (open_answer(api, call, answer, &error) < 0)
        set_error(answer, &error);
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
        const struct api_error *error = &answer->generation->error;
        answer->head_is_known = true;
        if (error->status != 0 && !answer->generation->begun)
            answer->head = (struct api_head){
                .status = error->status, .retry_after = error->retry_after, .content_type = "application/json"};
    }
    return state;
}

bool api_answer_is_stream(const struct api_answer *answer)
{
    return answer->generation && answer->head.is_stream;
}

void api_answer_begin(struct api_answer *answer)
{
    if (answer->generation)
        answer->generation->must_begin = true;
}

bool api_answer_figures(const struct api_answer *answer, struct api_figures *figures)
{
    if (answer->generation)
        generation_get_figures(answer->generation, figures);
    return answer->generation != NULL;
}

void api_answer_keep_alive(struct api_answer *answer, struct buffer *out)
{
    if (answer->generation && answer->generation->begun && answer->head.is_stream)
        event_stream_comment(out, "keep-alive");
}

void api_answer_abort(struct api_answer *answer, const struct api_error *error)
{
    if (answer->generation)
        generation_fail(answer->generation, error);
}

void api_answer_close(struct api_answer *answer)
{
    if (!answer)
        return;
    generation_close(answer->generation);
    buffer_free(&answer->body);
    free(answer);
}
