/* Tools of a response. Kinds other than functions are run by OpenAI and left out; a namespace holds functions. */
#include "api/responses/responses.h"

#include <string.h>

static const char *type_of(const json_t *tool)
{
    const char *type = json_string_value(json_object_get(tool, "type"));
    return type ? type : "";
}

static int read_function(struct conversation_builder *b, const json_t *tool, const char *place)
{
    /* Chat completions' envelope is taken too. */
    const json_t *inner = json_object_get(tool, "function"), *function = json_is_object(inner) ? inner : tool;
    const json_t *name = json_object_get(function, "name"), *schema = json_object_get(function, "parameters");
    if (!json_input_is_string(name))
        return api_refuse(b->error, place, "%s has no name", place);
    if (json_is_null(schema))
        schema = NULL;
    if (schema && !json_is_object(schema))
        return api_refuse(b->error, place, "%s.parameters is %s; it must be a JSON schema", place,
                          json_input_kind(schema));
    return conversation_add_tool(b, json_input_string(name),
                                 json_input_string(json_object_get(function, "description")), schema);
}

static int copy_name(struct conversation_builder *b, const json_t *tool, struct smollm_text *name)
{
    const struct smollm_text text = json_input_string(json_object_get(tool, "name"));
    const char *copy = arena_copy(b->arena, text.data ? text.data : "", text.size);
    *name = (struct smollm_text){copy, text.size};
    return copy ? 0 : api_refuse_memory(b->error);
}

static int read_namespace(struct conversation_builder *b, const json_t *tool, const char *place,
                          struct responses_request *own)
{
    const json_t *tools = json_object_get(tool, "tools");
    const size_t count = json_array_size(tools);
    struct responses_namespace *grown = arena_array(b->arena, own->namespace_count + count + 1, sizeof *grown);
    if (!grown)
        return api_refuse_memory(b->error);
    if (own->namespace_count > 0)
        memcpy(grown, own->namespaces, own->namespace_count * sizeof *grown);
    own->namespaces = grown;
    for (size_t i = 0; i < count; i++) {
        const json_t *function = json_array_get(tools, i);
        const struct json_place at = json_place("%s.tools[%zu]", place, i);
        if (strcmp(type_of(function), "function") != 0)
            continue;
        if (read_function(b, function, at.text) < 0)
            return -1;
        struct responses_namespace *added = &own->namespaces[own->namespace_count++];
        if (copy_name(b, function, &added->function) < 0 || copy_name(b, tool, &added->name) < 0)
            return -1;
    }
    return 0;
}

static bool is_allowed(const json_t *allowed, struct smollm_text tool)
{
    json_t *function = json_loadb(tool.data, tool.size, JSON_ALLOW_NUL, NULL);
    const struct smollm_text name = json_input_string(json_object_get(function, "name"));
    bool found = false;
    for (size_t i = 0; i < json_array_size(allowed) && !found; i++)
        found = text_equal(json_input_string(json_object_get(json_array_get(allowed, i), "name")), name);
    json_decref(function);
    return found;
}

/* {"type": "allowed_tools", "mode": "auto" | "required", "tools": [{"type": "function", "name": ...}]} */
static void keep_allowed(struct conversation_builder *b, const json_t *choice, struct smollm_conversation *conversation)
{
    size_t kept = 0;
    for (size_t i = 0; i < b->tool_count; i++)
        if (is_allowed(json_object_get(choice, "tools"), b->tools[i]))
            b->tools[kept++] = b->tools[i];
    b->tool_count = kept;
    if (text_is(json_input_string(json_object_get(choice, "mode")), "required"))
        conversation->tool_choice = SMOLLM_TOOL_REQUIRED;
}

static int read_choice(struct conversation_builder *b, const json_t *json, struct smollm_conversation *conversation)
{
    const json_t *choice = json_input_value(json, "tool_choice");
    const struct smollm_text text = json_input_string(choice);
    if (!choice || text_is(text, "auto"))
        return 0;
    if (text_is(text, "none")) {
        b->tool_count = 0;
    } else if (text_is(text, "required")) {
        conversation->tool_choice = SMOLLM_TOOL_REQUIRED;
    } else if (strcmp(type_of(choice), "function") == 0) {
        conversation->tool_choice = SMOLLM_TOOL_NAMED;
        conversation->tool_name = json_input_string(json_object_get(choice, "name"));
    } else if (strcmp(type_of(choice), "allowed_tools") == 0) {
        keep_allowed(b, choice, conversation);
    } else {
        return api_refuse(b->error, "tool_choice",
                          "tool_choice must be auto, none, required, a function or allowed_tools");
    }
    return 0;
}

int responses_read_tools(struct conversation_builder *b, const json_t *json, struct generation_request *request,
                         struct responses_request *own)
{
    const json_t *tools = json_input_value(json, "tools");
    if (tools && !json_is_array(tools))
        return api_refuse(b->error, "tools", "tools is %s; it must be an array", json_input_kind(tools));
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *tool = json_array_get(tools, i);
        const struct json_place place = json_place("tools[%zu]", i);
        int status = 0;
        if (strcmp(type_of(tool), "function") == 0)
            status = read_function(b, tool, place.text);
        else if (strcmp(type_of(tool), "namespace") == 0)
            status = read_namespace(b, tool, place.text, own);
        else if (!*type_of(tool))
            status = api_refuse(b->error, place.text, "%s must be an object with a type", place.text);
        if (status < 0)
            return -1;
    }
    return read_choice(b, json, &request->conversation);
}
