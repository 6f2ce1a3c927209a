/* /openapi.json: a description of all routes (OpenAPI 3.1), made from the tables that route and validate requests. */
#include "api/core/json_writer.h"
#include "api/openai/openai.h"
#include "api/route_table.h"

#include <ctype.h>
#include <string.h>

static const char *method_name(const struct route *route)
{
    return route->method == API_GET ? "get" : route->method == API_POST ? "post" : "delete";
}

static void write_type(const char *type, struct json_writer *writer)
{
    json_begin_object(writer);
    if (type)
        json_key_word(writer, "type", type);
}

static void write_number(const struct request_field *field, struct json_writer *writer)
{
    static const char *const types[] = {
        [FIELD_INTEGER] = "integer", [FIELD_NUMBER] = "number", [FIELD_TRUTH] = "boolean"};
    const struct json_field ranged = request_field_ranged(field);
    json_name(writer, text_of(ranged.name));
    write_type(types[ranged.kind], writer);
    if (ranged.kind != FIELD_TRUTH) {
        json_key_decimal(writer, "minimum", ranged.min);
        json_key_decimal(writer, "maximum", ranged.max);
    }
    json_end_object(writer);
}

/* Whether an earlier list has the field, too: names are unique in an object. */
static bool is_known(const struct field_list *const *first, const struct field_list *until, size_t index,
                     const char *name)
{
    for (const struct field_list *const *list = first;; list++) {
        const size_t fields = (*list)->field_count, others = *list == until ? index : (*list)->other_count;
        for (size_t i = 0; i < fields; i++)
            if (strcmp((*list)->fields[i].field.name, name) == 0)
                return true;
        for (size_t i = 0; i < others; i++)
            if (strcmp((*list)->others[i].name, name) == 0)
                return true;
        if (*list == until)
            return false;
    }
}

static bool is_number_known(const struct field_list *const *first, const struct field_list *until, size_t index)
{
    const char *name = until->fields[index].field.name;
    for (size_t i = 0; i < index; i++)
        if (strcmp(until->fields[i].field.name, name) == 0)
            return true;
    for (const struct field_list *const *list = first; *list != until; list++)
        for (size_t i = 0; i < (*list)->field_count; i++)
            if (strcmp((*list)->fields[i].field.name, name) == 0)
                return true;
    return false;
}

static void write_schema(const struct route *route, struct json_writer *writer)
{
    write_type("object", writer);
    json_key(writer, "properties");
    json_begin_object(writer);
    for (const struct field_list *const *list = route->fields; list && *list; list++) {
        for (size_t i = 0; i < (*list)->field_count; i++)
            if (!is_number_known(route->fields, *list, i))
                write_number(&(*list)->fields[i], writer);
        for (size_t i = 0; i < (*list)->other_count; i++) {
            if (is_known(route->fields, *list, i, (*list)->others[i].name))
                continue;
            json_name(writer, text_of((*list)->others[i].name));
            write_type((*list)->others[i].type, writer);
            json_end_object(writer);
        }
    }
    json_end_object(writer);
    json_key(writer, "required");
    json_begin_array(writer);
    for (const struct field_list *const *list = route->fields; list && *list; list++)
        for (size_t i = 0; i < (*list)->other_count; i++)
            if ((*list)->others[i].is_required)
                json_word(writer, (*list)->others[i].name);
    json_end_array(writer);
    json_end_object(writer);
}

static void write_body(const struct route *route, struct json_writer *writer)
{
    json_key(writer, "requestBody");
    json_begin_object(writer);
    json_key_truth(writer, "required", !(route->flags & ROUTE_MAY_BE_EMPTY));
    json_key(writer, "content");
    json_begin_object(writer);
    json_key(writer, "application/json");
    json_begin_object(writer);
    json_key(writer, "schema");
    write_schema(route, writer);
    json_end_object(writer);
    json_end_object(writer);
    json_end_object(writer);
}

static void write_parameter(struct smollm_text name, const char *in, bool is_required, const char *type,
                            const char *summary, struct json_writer *writer)
{
    json_begin_object(writer);
    json_key_text(writer, "name", name);
    json_key_word(writer, "in", in);
    json_key_truth(writer, "required", is_required);
    if (summary)
        json_key_word(writer, "description", summary);
    json_key(writer, "schema");
    write_type(type, writer);
    if (strcmp(type, "integer") == 0)
        json_key_number(writer, "minimum", 0);
    json_end_object(writer);
    json_end_object(writer);
}

/* Of the path and of the query. */
static void write_parameters(const struct route *route, struct json_writer *writer)
{
    const char *brace = strchr(route->path, '{');
    if (!brace && !route->query)
        return;
    json_key(writer, "parameters");
    json_begin_array(writer);
    if (brace)
        write_parameter((struct smollm_text){brace + 1, strcspn(brace + 1, "}")}, "path", true, "string", NULL, writer);
    for (const struct query_field *field = route->query; field && field->name; field++)
        write_parameter(text_of(field->name), "query", field->is_required, field->is_number ? "integer" : "string",
                        field->summary, writer);
    json_end_array(writer);
}

static void write_responses(const struct route *route, struct json_writer *writer)
{
    json_key(writer, "responses");
    json_begin_object(writer);
    json_key(writer, "200");
    json_begin_object(writer);
    json_key_word(writer, "description", "The answer");
    json_key(writer, "content");
    json_begin_object(writer);
    json_name(writer, text_of(route->content_type ? route->content_type : "application/json"));
    json_begin_object(writer);
    json_end_object(writer);
    if (route->format) {
        json_name(writer, text_of(route->protocol->stream_type));
        json_begin_object(writer);
        json_end_object(writer);
    }
    json_end_object(writer);
    json_end_object(writer);
    json_key(writer, "default");
    json_begin_object(writer);
    json_key_word(writer, "description", "An error, in the protocol's form");
    json_end_object(writer);
    json_end_object(writer);
}

/* "post_v1_chat_completions" */
static void write_operation_id(const struct route *route, struct json_writer *writer)
{
    struct buffer id = {0};
    buffer_append_string(&id, method_name(route));
    for (const char *c = route->path; *c; c++)
        buffer_append_char(&id, isalnum((unsigned char)*c) ? *c : '_');
    json_key_text(writer, "operationId", buffer_text(&id));
    buffer_free(&id);
}

static void write_operation(const struct route *route, struct json_writer *writer)
{
    json_key(writer, method_name(route));
    json_begin_object(writer);
    json_key_word(writer, "summary", route->summary ? route->summary : "");
    write_operation_id(route, writer);
    write_parameters(route, writer);
    if (route->method == API_POST)
        write_body(route, writer);
    if (route->flags & ROUTE_PUBLIC)
        json_key_ready(writer, "security", text_of("[]"));
    write_responses(route, writer);
    json_end_object(writer);
}

static bool is_first_of_path(const struct route_list *list, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(list->routes[i].path, list->routes[index].path) == 0)
            return false;
    return true;
}

int openapi_describe(struct api *api, const struct api_call *call, const json_t *json, struct buffer *out,
                     struct api_error *error)
{
    (void)api, (void)call, (void)json, (void)error;
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key_word(&writer, "openapi", "3.1.0");
    json_key(&writer, "info");
    json_begin_object(&writer);
    json_key_word(&writer, "title", "smollm");
    json_key_word(&writer, "version", smollm_version());
    json_end_object(&writer);
    json_key_ready(&writer, "security", text_of("[{\"key\":[]}]"));
    json_key_ready(&writer, "components",
                   text_of("{\"securitySchemes\":{\"key\":{\"type\":\"http\",\"scheme\":\"bearer\"}}}"));
    json_key(&writer, "paths");
    json_begin_object(&writer);
    for (const struct route_list *const *list = route_table(); *list; list++) {
        for (size_t i = 0; i < (*list)->count; i++) {
            const struct route *routes = (*list)->routes;
            if (!is_first_of_path(*list, i))
                continue;
            json_name(&writer, text_of(routes[i].path));
            json_begin_object(&writer);
            for (size_t j = i; j < (*list)->count; j++)
                if (strcmp(routes[j].path, routes[i].path) == 0)
                    write_operation(&routes[j], &writer);
            json_end_object(&writer);
        }
    }
    json_end_object(&writer);
    json_end_object(&writer);
    return 0;
}
