/* /end-thinking: another request's model stops thinking and answers. */
#include "api/core/json_writer.h"
#include "api/llama_server/llama_server.h"

int llama_server_end_thinking(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                              struct api_error *error)
{
    struct smollm_text id;
    if (json_input_text(json, "id", &id, error) < 0)
        return -1;
    if (id.size == 0)
        return api_refuse(error, "id", "id is missing: the id of the answer that is to end its thinking");
    if (!open_generations_end_thinking(&api->open, id, call->key)) {
        api_error_make(error, 404, "not_found", "no answer with this id is under way");
        return -1;
    }
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_text(&writer, "id", id);
    json_key_truth(&writer, "ended", true);
    json_end_object(&writer);
    return 0;
}
