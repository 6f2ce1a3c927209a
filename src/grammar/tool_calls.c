/* The grammar of an answer that calls tools, and what a tool's definition says of it. */
#include "base/error.h"
#include "grammar/grammar_state.h"
#include "grammar/json_tree.h"

#include <string.h>

/* What stands around a call. \1: a space that may be there, \2: a line end that may be, \3: white space of any kind. */
enum { WHITE_SPACE_MAX = 16 };
static const char call_begin[] = "<tool_call>", call_end[] = "}\2</tool_call>";

/* How a style of calls writes what stands before and behind the name, and at the end. */
struct call_style {
    const char *before, *after, *end;
};
static const struct call_style tagged = {"\2{\"name\":\1\"", "\",\1\"arguments\":\1", call_end};
static const struct call_style bare = {"{\"name\":\1\"", "\",\1\"parameters\":\1", "}"};
/* The model's own, once it has begun. */
static const struct call_style bare_begun = {"\3\"name\"\3:\3\"", "\"\3,\3\"parameters\"\3:\3", "\3}"};
static const char bare_type[] = "\3\"type\"\3:\3\"function\"\3,";

static const struct call_style *style_of(const struct grammar_source *source)
{
    return !source->is_bare ? &tagged : source->after_marker ? &bare_begun : &bare;
}

int grammar_tool_read(struct pool *pool, struct smollm_text text, struct grammar_tool *tool, struct smollm_error *error)
{
    struct json_node *json;
    int status = json_tree_parse(pool, text, &json, error);
    if (status < 0)
        return status;
    const struct json_node *name = json_tree_get(pool, json, "name");
    struct json_node *schema = json_tree_get(pool, json, "parameters");
    if (!schema)
        schema = json_tree_get(pool, json, "input_schema");
    RETURN_ERROR_IF(!name || name->kind != JSON_KIND_STRING || name->text.size == 0, error, SMOLLM_EINVAL,
                    "it has no name");
    *tool = (struct grammar_tool){.name = name->text};
    if (schema && schema->kind == JSON_KIND_OBJECT && schema->count > 0)
        tool->schema = schema->source;
    return 0;
}

static struct machine_instruction *instruction(struct grammar *g, uint32_t place)
{
    return (struct machine_instruction *)g->machine.program.data + place;
}

static uint32_t add_text(struct grammar *g, term t)
{
    return machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_TEXT, .a = t});
}

static term option_of(struct grammar *g, char mark)
{
    if (mark != '\3')
        return term_repeat(&g->terms, term_char(&g->terms, mark == '\1' ? ' ' : '\n'), 0, 1);
    const struct smollm_text spaces[] = {text_of("\t"), text_of("\n"), text_of("\r"), text_of(" ")};
    return term_repeat(&g->terms, term_one_of(&g->terms, spaces, 4), 0, WHITE_SPACE_MAX);
}

static bool is_option(char c)
{
    return c >= '\1' && c <= '\3';
}

/* A text with marks. */
static term text_with_options(struct grammar *g, const char *text)
{
    term all = TERM_EMPTY;
    for (size_t end = strlen(text), begin; end > 0; end = begin) {
        begin = end - 1;
        while (!is_option(text[end - 1]) && begin > 0 && !is_option(text[begin - 1]))
            begin--;
        all = term_cat(&g->terms,
                       is_option(text[begin]) ? option_of(g, text[begin])
                                              : term_text(&g->terms, (struct smollm_text){text + begin, end - begin}),
                       all);
    }
    return all;
}

/* Up to the arguments of a tool. */
static term head_of(struct grammar *g, const struct grammar_source *source, struct smollm_text name)
{
    const struct call_style *style = style_of(source);
    char *written = pool_allocate(&g->pool, 2 * name.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '"' || name.data[i] == '\\')
            written[size++] = '\\';
        written[size++] = name.data[i];
    }
    term head = term_cat(&g->terms, term_text(&g->terms, (struct smollm_text){written, size}),
                         text_with_options(g, style->after));
    head = term_cat(&g->terms, text_with_options(g, style->before), head);
    if (style != &bare_begun)
        return head;
    head = term_cat(&g->terms, term_repeat(&g->terms, text_with_options(g, bare_type), 0, 1), head);
    return term_cat(&g->terms, term_char(&g->terms, '{'), head);
}

static int compile_tool(struct grammar *g, const struct grammar_source *source, size_t index,
                        struct smollm_error *error)
{
    const struct grammar_tool *tool = &source->tools[index];
    const struct smollm_text any = text_of("{\"type\":\"object\"}");
    constraint root, object;
    struct schema *schema = pool_allocate(&g->pool, sizeof *schema);
    int status = schema_compile(schema, &g->terms, tool->schema.size > 0 ? tool->schema : any, &root, error);
    if (status == 0 && tool->schema.size > 0) {
        /* Arguments are an object, whatever else the schema allows. */
        struct json_node *node;
        status = json_tree_parse(&g->pool, any, &node, error);
        object = constraint_with(schema, root, condition_of(schema_node_of(schema, node), true));
        if (status == 0 && !constraint_is_satisfiable(schema, object))
            status = error_set(error, SMOLLM_EINVAL, "no object meets the schema");
        root = object;
    }
    if (status < 0 && source->is_lenient) {
        schema = pool_allocate(&g->pool, sizeof *schema);
        status = schema_compile(schema, &g->terms, any, &root, error);
    }
    if (status < 0) {
        error_prefix(error, "tool '%.*s'", (int)(tool->name.size < 100 ? tool->name.size : 100), tool->name.data);
        return status;
    }
    schema->error = NULL;
    add_text(g, head_of(g, source, tool->name));
    machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_JSON, .a = root, .schema = schema});
    return 0;
}

int tool_calls_compile(struct grammar *g, const struct grammar_source *source, struct smollm_error *error)
{
    struct pool_vector jumps = {0};
    uint32_t otherwise = UINT32_MAX;
    RETURN_ERROR_IF(source->tool_count == 0, error, SMOLLM_EINVAL, "there are no tools to call");
    if (source->otherwise) {
        otherwise = machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_SPLIT});
        instruction(g, otherwise)->a = otherwise + 1;
    }
    const uint32_t begin = g->machine.program.count;
    if (!source->after_marker && !source->is_bare)
        add_text(g, text_with_options(g, call_begin));
    for (size_t i = 0; i < source->tool_count; i++) {
        uint32_t split = UINT32_MAX;
        if (i + 1 < source->tool_count) {
            split = machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_SPLIT});
            instruction(g, split)->a = split + 1;
        }
        const int status = compile_tool(g, source, i, error);
        if (status < 0)
            return status;
        *(uint32_t *)pool_vector_add(&g->pool, &jumps, sizeof split) =
            machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_JUMP});
        if (split != UINT32_MAX)
            instruction(g, split)->b = g->machine.program.count;
    }
    const uint32_t last = add_text(g, text_with_options(g, style_of(source)->end));
    for (uint32_t i = 0; i < jumps.count; i++)
        instruction(g, ((uint32_t *)jumps.data)[i])->a = last;
    if (source->several && !source->is_bare) {
        const uint32_t again = machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_SPLIT});
        add_text(g, text_with_options(g, "\2"));
        machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_JUMP, .a = begin});
        instruction(g, again)->a = again + 1;
        instruction(g, again)->b = g->machine.program.count;
    }
    machine_add(&g->machine, (struct machine_instruction){.code = MACHINE_RETURN});
    if (!source->otherwise)
        return 0;
    instruction(g, otherwise)->b = g->machine.program.count;
    return grammar_add(g, source->otherwise, error);
}
