/* /v1/stream, /v1/streams/lookup: streams that were asked for with X-Conversation-Id, read again and stopped. */
#include "api/core/json_writer.h"
#include "api/core/path_text.h"
#include "api/llama_server/llama_server.h"

#include <stdlib.h>

enum { LOOKUP_IDS_MAX = 1024 };

/* "conv_id" of the query; the caller frees it. */
static int read_id(const struct api_call *call, struct buffer *id, struct api_error *error)
{
    query_find(call->query, "conv_id", id);
    if (id->failed)
        return api_refuse_memory(error);
    if (id->size == 0)
        return api_refuse(error, "conv_id", "conv_id is missing in the query: the X-Conversation-Id of the stream");
    return 0;
}

/* "from" of the query: a position in bytes; 0 when it is missing or empty. */
static int read_from(const struct api_call *call, uint64_t *from, struct api_error *error)
{
    struct buffer text = {0};
    query_find(call->query, "from", &text);
    int status = text.failed ? api_refuse_memory(error) : 0;
    bool is_number = text.size < 20; /* digits of numbers that uint64_t holds for certain */
    for (size_t i = 0; i < text.size && is_number; i++)
        is_number = text.data[i] >= '0' && text.data[i] <= '9';
    if (status == 0 && !is_number)
        status = api_refuse(error, "from", "from is '%.40s'; it must be a number of bytes", text.data);
    *from = status == 0 && text.size > 0 ? strtoull(text.data, NULL, 10) : 0;
    buffer_free(&text);
    return status;
}

int llama_server_read_stream(struct api *api, const struct api_call *call, struct kept_reader **reader,
                             struct api_error *error)
{
    struct buffer id = {0};
    uint64_t from;
    int status = read_id(call, &id, error);
    if (status == 0)
        status = read_from(call, &from, error);
    if (status == 0)
        status = kept_streams_open(&api->streams, call->key, buffer_text(&id), from, call->notify, call->notify_user,
                                   reader, error);
    buffer_free(&id);
    return status;
}

/* As llama-server: 204 also when there is nothing under the id, so that a client may repeat it. */
int llama_server_delete_stream(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                               struct api_error *error)
{
    (void)json;
    (void)out;
    struct buffer id = {0};
    const int status = read_id(call, &id, error);
    if (status == 0)
        kept_streams_remove(&api->streams, call->key, buffer_text(&id));
    buffer_free(&id);
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
