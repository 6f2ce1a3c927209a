#include "api/llama_server/llama_server.h"
#include "api/openai/openai.h"
#include "api/shared/embedding_fields.h"
#include "api/shared/request_fields.h"

#define CONVERSATION_ID                                                                                                \
    {                                                                                                                  \
        "conv_id", false, true, "the X-Conversation-Id of the stream"                                                  \
    }

static const struct route routes[] = {
    {"/chat/completions", API_POST, 0, &openai_bare_protocol, .format = &openai_bare_chat_format,
     .summary = "A conversation, as llama-server has it",
     .fields = ROUTE_FIELDS(&request_common_fields, &request_conversation_fields)},
    {"/completion", API_POST, 0, &openai_bare_protocol, .format = &llama_server_completion_format,
     .summary = "A raw prompt, in llama-server's form",
     .fields = ROUTE_FIELDS(&request_common_fields, &llama_server_completion_fields)},
    {"/health", API_GET, ROUTE_PUBLIC | ROUTE_WHILE_LOADING, &openai_protocol, .answer = llama_server_health,
     .summary = "Whether requests are answered"},
    {"/props", API_GET, 0, &openai_protocol, .answer = llama_server_props, .summary = "The settings of the server"},
    {"/slots", API_GET, 0, &openai_protocol, .answer = llama_server_slots, .summary = "What each slot is doing",
     .query = ROUTE_QUERY({"fail_on_no_slot", false, false, "any text: 503 when no slot is idle"})},
    {"/metrics", API_GET, ROUTE_TELLS_START, &openai_protocol, .answer = llama_server_metrics,
     .content_type = "text/plain; version=0.0.4; charset=utf-8", .summary = "Prometheus text"},
    {"/tokenize", API_POST, 0, &openai_protocol, .answer = llama_server_tokenize, .summary = "Text to tokens"},
    {"/detokenize", API_POST, 0, &openai_protocol, .answer = llama_server_detokenize, .summary = "Tokens to text"},
    {"/apply-template", API_POST, 0, &openai_protocol, .answer = llama_server_apply_template,
     .summary = "The prompt that a conversation becomes", .fields = ROUTE_FIELDS(&request_conversation_fields)},
    {"/lora-adapters", API_GET, 0, &openai_protocol, .answer = llama_server_list_adapters, .summary = "An empty list"},
    {"/embedding", API_POST, 0, &openai_bare_protocol, .format = &llama_server_embedding_format,
     .summary = "Texts as vectors, in llama-server's form", .fields = ROUTE_FIELDS(&embedding_fields)},
    {"/embeddings", API_POST, 0, &openai_bare_protocol, .format = &llama_server_embedding_format,
     .summary = "Texts as vectors, in llama-server's form", .fields = ROUTE_FIELDS(&embedding_fields)},
    {"/infill", API_POST, 0, &openai_bare_protocol, .format = &llama_server_infill_format,
     .summary = "Code between a prefix and a suffix",
     .fields = ROUTE_FIELDS(&request_common_fields, &llama_server_completion_fields)},
    {"/end-thinking", API_POST, 0, &openai_protocol, .answer = llama_server_end_thinking,
     .summary = "Ends the thinking of an answer that is under way"},
    {"/v1/stream", API_GET, 0, &openai_protocol, .read = llama_server_read_stream,
     .summary = "A stream that was asked for with X-Conversation-Id, from byte `from` on",
     .query = ROUTE_QUERY(CONVERSATION_ID,
                          {"from", true, false, "the byte of the stream's body at which the answer begins"})},
    {"/v1/stream", API_DELETE, 0, &openai_protocol, .answer = llama_server_delete_stream,
     .summary = "Stops a stream that was asked for with X-Conversation-Id, and forgets it",
     .query = ROUTE_QUERY(CONVERSATION_ID)},
    {"/v1/streams/lookup", API_POST, 0, &openai_protocol, .answer = llama_server_lookup_streams,
     .summary = "Which conversations have a stream"},
};

const struct route_list llama_server_routes = ROUTE_LIST(routes);
