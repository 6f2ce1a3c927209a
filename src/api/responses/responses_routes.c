/* Responses that are kept, and routes about them. A kept text is {"previous": id, "items": [input and output],
 * "input": number of items that are input, "response": {...}}. */
#include "api/core/path_text.h"
#include "api/responses/responses.h"

void responses_keep(const struct generation *generation)
{
    const struct responses_request *own = generation->request.own;
    const struct choice *choice = &generation->choices[0];
    struct buffer out = {0};
    struct json_writer writer = {&out, false};
    if (!own->keeps)
        return;
    json_begin_object(&writer);
    if (own->previous.size > 0)
        json_key_text(&writer, "previous", own->previous);
    json_key(&writer, "items");
    json_begin_array(&writer);
    if (own->items.size > 0)
        json_ready(&writer, own->items);
    for (size_t i = 0; i < choice->item_count; i++)
        responses_write_item(generation, i, "completed", &writer);
    json_end_array(&writer);
    json_key_unsigned(&writer, "output_count", choice->item_count);
    json_key(&writer, "response");
    responses_write_object(generation, choice->item_count, responses_status(generation), &writer);
    json_end_object(&writer);
    if (!out.failed)
        kept_answers_add(&generation->api->kept, generation->key, text_of(generation->id), buffer_text(&out));
    buffer_free(&out);
}

static int refuse_unknown(struct api_error *error)
{
    api_error_make(error, 404, "not_found", "there is no response with this id; it may have been dropped to make room");
    return -1;
}

/* The kept response that the path names; the caller frees it with json_decref. NULL: refused. */
static json_t *find(struct api *api, const struct api_call *call, const char *ending, struct api_error *error)
{
    struct buffer id = {0}, text = {0};
    struct smollm_text parameter = call->parameter;
    const struct smollm_text tail = text_of(ending);
    parameter.size -= tail.size < parameter.size ? tail.size : 0;
    path_decode(parameter, &id);
    json_t *kept = NULL;
    if (kept_answers_get(&api->kept, call->key, buffer_text(&id), &text) && !text.failed)
        kept = json_loadb(text.data, text.size, JSON_ALLOW_NUL, NULL);
    else
        refuse_unknown(error);
    if (!kept && error->status == 0)
        api_refuse_memory(error);
    buffer_free(&id);
    buffer_free(&text);
    return kept;
}

static int write_value(const json_t *value, struct buffer *out, struct api_error *error)
{
    size_t size;
    char *text = json_input_dump(value, &size);
    if (!text)
        return api_refuse_memory(error);
    buffer_append(out, text, size);
    free(text);
    return 0;
}

static const char input_items[] = "/input_items";

static bool asks_for_items(const struct api_call *call)
{
    const size_t size = sizeof input_items - 1;
    return call->parameter.size > size &&
           text_is((struct smollm_text){call->parameter.data + call->parameter.size - size, size}, input_items);
}

static int write_items(const json_t *kept, struct buffer *out, struct api_error *error)
{
    const json_t *items = json_object_get(kept, "items");
    const size_t count = json_array_size(items) - (size_t)json_integer_value(json_object_get(kept, "output_count"));
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_word(&writer, "object", "list");
    json_key(&writer, "data");
    json_begin_array(&writer);
    for (size_t i = 0; i < count; i++) {
        struct buffer item = {0};
        if (write_value(json_array_get(items, i), &item, error) < 0)
            return -1;
        json_ready(&writer, buffer_text(&item));
        buffer_free(&item);
    }
    json_end_array(&writer);
    json_key_truth(&writer, "has_more", false);
    json_end_object(&writer);
    return 0;
}

int responses_show(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                   struct api_error *error)
{
    (void)json;
    const bool has_items = asks_for_items(call);
    json_t *kept = find(api, call, has_items ? input_items : "", error);
    if (!kept)
        return -1;
    const int status =
        has_items ? write_items(kept, out, error) : write_value(json_object_get(kept, "response"), out, error);
    json_decref(kept);
    return status;
}

int responses_delete(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                     struct api_error *error)
{
    (void)json;
    struct buffer id = {0};
    path_decode(call->parameter, &id);
    const bool found = kept_answers_remove(&api->kept, call->key, buffer_text(&id));
    if (found) {
        struct json_writer writer = {out, false};
        json_begin_object(&writer);
        json_key_text(&writer, "id", buffer_text(&id));
        json_key_word(&writer, "object", "response");
        json_key_truth(&writer, "deleted", true);
        json_end_object(&writer);
    }
    buffer_free(&id);
    return found ? 0 : refuse_unknown(error);
}

int responses_count_tokens(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                           struct api_error *error)
{
    return generation_write_count(api, &responses_format, "response.input_tokens", call, json, out, error);
}

/* Its result would be readable by OpenAI alone. */
static int refuse_compaction(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                             struct api_error *error)
{
    (void)api, (void)call, (void)json, (void)out;
    api_error_make(error, 404, "not_found", "compaction is not supported; send the items themselves");
    return -1;
}

static const struct route routes[] = {
    {"/v1/responses", API_POST, 0, &responses_protocol, .format = &responses_format, .summary = "A response (OpenAI)",
     .fields = ROUTE_FIELDS(&responses_fields)},
    {"/v1/responses/input_tokens", API_POST, 0, &responses_protocol, .answer = responses_count_tokens,
     .summary = "How many tokens an input has", .fields = ROUTE_FIELDS(&responses_fields)},
    {"/v1/responses/compact", API_POST, 0, &responses_protocol, .answer = refuse_compaction,
     .summary = "Refused: compaction is not supported"},
    {"/v1/responses/{id}", API_GET, 0, &responses_protocol, .answer = responses_show,
     .summary = "A response that is kept, or with /input_items its input"},
    {"/v1/responses/{id}", API_DELETE, 0, &responses_protocol, .answer = responses_delete,
     .summary = "Forgets a response"},
};

const struct route_list responses_routes = ROUTE_LIST(routes);
