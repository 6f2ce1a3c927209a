/* libFuzzer: any bytes as the body of the routes of one protocol, on a small model. The first byte chooses the route.
 *
 * A target defines `paths`, {method, path} each, before it includes this file. What is accepted is answered with few
 * tokens at most; every body that comes back is JSON, lines of it, or events of it. */
#include "api/api.h"
#include "tests/library/tiny_model.h"

#include <jansson.h>
#include <time.h>

int LLVMFuzzerTestOneInput(uint8_t const *data, size_t size);

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

static struct api *open_api(void)
{
    struct smollm_model *model;
    struct smollm_engine *engine;
    struct api *api;
    char *path = tiny_model_write(false);
    const struct smollm_engine_options options = {
        .size = sizeof(struct smollm_engine_options), .context = 64, .parallel = 16, .threads = 1};
    const struct api_options api_options = {.sampling = smollm_sampling_default(), .max_tokens = 2};
    REQUIRE(smollm_model_open(path, NULL, &model, NULL) == 0);
    REQUIRE(smollm_engine_start(model, &options, &engine, NULL) == 0);
    REQUIRE(api_create(&api_options, &api, NULL) == 0 && api_attach(api, model, engine, NULL) == 0);
    unlink(path);
    free(path);
    return api;
}

/* jansson cannot hold a name with NUL, which the text of a token may be; JSON can. */
static void check_json(const char *text, size_t size)
{
    json_error_t error;
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    REQUIRE(json || json_error_code(&error) == json_error_null_byte_in_key);
    json_decref(json);
}

/* Streams: each line of data is JSON or [DONE], or each line is JSON. */
static void check_stream(const struct buffer *out, bool has_events)
{
    for (char *line = strtok(out->data, "\n"); line; line = strtok(NULL, "\n")) {
        if (has_events && (*line == ':' || strncmp(line, "event: ", 7) == 0 || strcmp(line, "data: [DONE]") == 0))
            continue;
        REQUIRE(!has_events || strncmp(line, "data: ", 6) == 0);
        line += has_events ? 6 : 0;
        check_json(line, strlen(line));
    }
}

int LLVMFuzzerTestOneInput(uint8_t const *data, size_t size)
{
    static struct api *api;
    if (!api)
        api = open_api();
    if (size == 0)
        return 0;
    const char *const *path = paths[data[0] % (sizeof paths / sizeof *paths)];
    struct api_call call = {.path = text_of(path[1]), .body = {(const char *)data + 1, size - 1}, .request_id = "fuzz"};
    const struct api_match match = api_find(text_of(path[0]), call.path);
    call.route = match.route;
    call.parameter = match.parameter;
    REQUIRE(call.route);
    struct api_answer *answer = api_answer_open(api, &call);
    struct buffer out = {0};
    struct api_head head;
    REQUIRE(answer);
    enum api_state state;
    /* Long answers are left in the middle, as clients do. */
    for (int i = 0; (state = api_answer_pull(answer, &out, SIZE_MAX)) != API_DONE && i < 20; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    if (state == API_DONE) {
        REQUIRE(api_answer_head(answer, &head) && head.status >= 200);
        if (head.is_stream)
            check_stream(&out, strcmp(head.content_type, "text/event-stream") == 0);
        else
            check_json(out.data, out.size);
    }
    api_answer_close(answer);
    buffer_free(&out);
    return 0;
}
