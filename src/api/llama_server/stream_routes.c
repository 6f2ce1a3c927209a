/* /v1/stream, /v1/streams/lookup: streams that were asked for with X-Conversation-Id, read again and stopped. */
#include "api/core/json_writer.h"
#include "api/llama_server/llama_server.h"

enum { LOOKUP_IDS_MAX = 1024 };

/* In the order of the routes' tables. */
enum { CONVERSATION_ID, FROM };

int llama_server_read_stream(struct api *api, const struct api_call *call, struct kept_reader **reader,
                             struct api_error *error)
{
    struct query_value query[QUERY_FIELDS_MAX];
    int status = query_read(call, query, error);
    if (status == 0)
        status = kept_streams_open(&api->streams, call->key, buffer_text(&query[CONVERSATION_ID].text),
                                   query[FROM].number, call->notify, call->notify_user, reader, error);
    query_free(query);
    return status;
}

/* As llama-server: 204 also when there is nothing under the id, so that a client may repeat it. */
int llama_server_delete_stream(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                               struct api_error *error)
{
    (void)json;
    (void)out;
    struct query_value query[QUERY_FIELDS_MAX];
    const int status = query_read(call, query, error);
    if (status == 0)
        kept_streams_remove(&api->streams, call->key, buffer_text(&query[CONVERSATION_ID].text));
    query_free(query);
    return status < 0 ? -1 : 204;
}

static void write_info(void *user, const struct kept_stream_info *info)
{
    struct json_writer *writer = user;
    json_begin_object(writer);
    json_key_text(writer, "conversation_id", info->id);
    json_key_truth(writer, "is_done", info->is_done);
    json_key_unsigned(writer, "first_byte", info->begin);
    json_key_unsigned(writer, "total_bytes", info->end);
    json_key_number(writer, "started_at", info->started_at);
    json_key_number(writer, "completed_at", info->completed_at);
    json_end_object(writer);
}

int llama_server_lookup_streams(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                                struct api_error *error)
{
    const json_t *ids = json_input_value(json, "conversation_ids");
    if (!json_is_array(ids) || json_array_size(ids) > LOOKUP_IDS_MAX)
        return api_refuse(error, "conversation_ids", "conversation_ids must be an array of up to %d strings",
                          LOOKUP_IDS_MAX);
    struct json_writer writer = {out, false};
    json_begin_array(&writer);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        if (!json_input_is_string(id) || json_string_length(id) == 0)
            return api_refuse(error, "conversation_ids", "conversation_ids[%zu] must be a string that is not empty", i);
        kept_streams_visit(&api->streams, call->key, json_input_string(id), write_info, &writer);
    }
    json_end_array(&writer);
    return 0;
}
