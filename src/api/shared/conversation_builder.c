#include "api/shared/conversation_builder.h"

#include "api/core/json_writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An array in an arena with room for one more; what it held before stays in the arena. NULL: out of memory. */
static void *grow(struct arena *arena, void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    const size_t wanted = *room > 0 ? *room * 2 : 8;
    void *grown = arena_array(arena, wanted, size);
    if (!grown)
        return NULL;
    if (count > 0)
        memcpy(grown, array, count * size);
    *room = wanted;
    return grown;
}

struct smollm_message *conversation_add(struct conversation_builder *b, const char *role)
{
    if (b->count == MESSAGES_MAX) {
        api_refuse(b->error, "messages", "there are more than %d messages", MESSAGES_MAX);
        return NULL;
    }
    struct smollm_message *grown = grow(b->arena, b->messages, b->count, &b->room, sizeof *grown);
    if (!grown) {
        api_refuse_memory(b->error);
        return NULL;
    }
    b->messages = grown;
    struct smollm_message *message = &b->messages[b->count++];
    *message = (struct smollm_message){.role = text_of(role), .content = {"", 0}};
    return message;
}

int conversation_add_call(struct conversation_builder *b, struct smollm_message *message, struct smollm_tool_call call)
{
    struct smollm_tool_call *grown = arena_array(b->arena, message->tool_call_count + 1, sizeof *grown);
    if (!grown)
        return api_refuse_memory(b->error);
    if (message->tool_call_count > 0)
        memcpy(grown, message->tool_calls, message->tool_call_count * sizeof *grown);
    grown[message->tool_call_count++] = call;
    message->tool_calls = grown;
    return 0;
}

int conversation_append(struct conversation_builder *b, struct smollm_text *text, const char *separator,
                        struct smollm_text piece)
{
    if (text->size == 0) {
        *text = piece;
        return 0;
    }
    if (piece.size == 0)
        return 0;
    const size_t between = strlen(separator);
    char *joined = arena_allocate(b->arena, text->size + between + piece.size + 1);
    if (!joined)
        return api_refuse_memory(b->error);
    memcpy(joined, text->data, text->size);
    memcpy(joined + text->size, separator, between);
    memcpy(joined + text->size + between, piece.data, piece.size);
    *text = (struct smollm_text){joined, text->size + between + piece.size};
    return 0;
}

int conversation_add_tool(struct conversation_builder *b, struct smollm_text name, struct smollm_text description,
                          const json_t *parameters)
{
    struct buffer out = {0};
    struct json_writer writer = {&out, false};
    if (b->tool_count == TOOLS_MAX)
        return api_refuse(b->error, "tools", "there are more than %d tools", TOOLS_MAX);
    struct smollm_text *grown = grow(b->arena, b->tools, b->tool_count, &b->tool_room, sizeof *grown);
    struct smollm_text schema = text_of("{\"type\":\"object\",\"properties\":{}}");
    if (!grown)
        return api_refuse_memory(b->error);
    b->tools = grown;
    if (parameters && json_dump_to_arena(parameters, b->arena, &schema, b->error) < 0)
        return -1;
    json_begin_object(&writer);
    json_key_text(&writer, "name", name);
    if (description.size > 0)
        json_key_text(&writer, "description", description);
    json_key_ready(&writer, "parameters", schema);
    json_end_object(&writer);
    char *copy = out.failed ? NULL : arena_copy(b->arena, out.data, out.size);
    b->tools[b->tool_count++] = (struct smollm_text){copy, out.size};
    buffer_free(&out);
    return copy ? 0 : api_refuse_memory(b->error);
}

int conversation_finish(struct conversation_builder *b, struct smollm_conversation *conversation)
{
    if (b->count == 0 && !conversation_add(b, "user"))
        return -1;
    conversation->messages = b->messages;
    conversation->message_count = b->count;
    conversation->tools = b->tools;
    conversation->tool_count = b->tool_count;
    return conversation_check_choice(conversation, b->error);
}

int conversation_check_choice(const struct smollm_conversation *conversation, struct api_error *error)
{
    if (conversation->tool_choice != SMOLLM_TOOL_NAMED)
        return 0;
    bool found = false;
    for (size_t i = 0; i < conversation->tool_count && !found; i++) {
        json_t *tool = json_loadb(conversation->tools[i].data, conversation->tools[i].size, JSON_ALLOW_NUL, NULL);
        found = text_equal(json_input_string(json_object_get(tool, "name")), conversation->tool_name);
        json_decref(tool);
    }
    return found ? 0
                 : api_refuse(error, "tool_choice", "tool_choice names '%.*s', which is none of the tools",
                              (int)(conversation->tool_name.size < 100 ? conversation->tool_name.size : 100),
                              conversation->tool_name.data);
}

int json_dump_to_arena(const json_t *value, struct arena *arena, struct smollm_text *text, struct api_error *error)
{
    size_t size;
    char *dumped = json_input_dump(value, &size), *copy = dumped ? arena_copy(arena, dumped, size) : NULL;
    free(dumped);
    if (!copy)
        return api_refuse_memory(error);
    *text = (struct smollm_text){copy, size};
    return 0;
}

struct json_place json_place(const char *format, ...)
{
    struct json_place place;
    va_list args;
    va_start(args, format);
    vsnprintf(place.text, sizeof place.text, format, args);
    va_end(args);
    return place;
}
