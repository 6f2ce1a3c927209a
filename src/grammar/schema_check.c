/* What is wrong with a schema is told when it is compiled, wherever it stands: everything that can be reached from the
 * root is looked at. */
#include "grammar/schema.h"

#include "base/error.h"
#include "grammar/regex.h"

static void add(struct schema *s, uint32_t node)
{
    struct schema_node *its = schema_node_at(s, node);
    if (its->kind != SCHEMA_OBJECT || its->is_checked)
        return;
    its->is_checked = true;
    *(uint32_t *)pool_vector_add(s->pool, &s->unchecked, sizeof node) = node;
}

static void add_schema(struct schema *s, struct json_node *value)
{
    if (value)
        add(s, schema_node_of(s, value));
}

static void add_children(struct schema *s, struct json_node *value, enum json_kind kind)
{
    if (!value)
        return;
    if (value->kind != kind) {
        schema_fail(s, value, SMOLLM_EINVAL, "must be an %s", kind == JSON_KIND_ARRAY ? "array" : "object");
        return;
    }
    for (struct json_node *child = value->first; child; child = child->next)
        add_schema(s, child);
}

static void check_types(struct schema *s, struct json_node *value)
{
    static const char *const known[] = {"null", "boolean", "object", "array", "number", "string", "integer", "any"};
    const bool is_list = value && value->kind == JSON_KIND_ARRAY;
    for (struct json_node *item = is_list ? value->first : value; item; item = is_list ? item->next : NULL) {
        bool is_known = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            is_known |= item->kind == JSON_KIND_STRING && text_is(item->text, known[i]);
        if (!is_known)
            schema_fail(s, item, SMOLLM_EINVAL, "is not a type of JSON Schema");
    }
}

static void check_names(struct schema *s, struct json_node *patterns)
{
    for (struct json_node *child = patterns ? patterns->first : NULL; child && s->status == 0; child = child->next) {
        struct smollm_error error;
        term t;
        const int status = regex_compile(s->terms, child->key, false, &t, &error);
        if (status < 0)
            schema_fail(s, child, status, "%s", error.message);
    }
}

static void check_node(struct schema *s, uint32_t node)
{
    static const enum schema_keyword schemas[] = {KEYWORD_NOT,
                                                  KEYWORD_IF,
                                                  KEYWORD_THEN,
                                                  KEYWORD_ELSE,
                                                  KEYWORD_ADDITIONAL_PROPERTIES,
                                                  KEYWORD_PROPERTY_NAMES,
                                                  KEYWORD_ADDITIONAL_ITEMS,
                                                  KEYWORD_CONTAINS,
                                                  KEYWORD_UNEVALUATED_ITEMS,
                                                  KEYWORD_UNEVALUATED_PROPERTIES};
    static const enum schema_keyword arrays[] = {KEYWORD_ALL_OF, KEYWORD_ANY_OF, KEYWORD_ONE_OF, KEYWORD_PREFIX_ITEMS};
    static const enum schema_keyword objects[] = {KEYWORD_PROPERTIES, KEYWORD_PATTERN_PROPERTIES,
                                                  KEYWORD_DEPENDENT_SCHEMAS};
    struct json_node *value;
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++)
        add_schema(s, schema_get(s, node, schemas[i]));
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        add_children(s, schema_get(s, node, arrays[i]), JSON_KIND_ARRAY);
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
        add_children(s, schema_get(s, node, objects[i]), JSON_KIND_OBJECT);
    value = schema_get(s, node, KEYWORD_ITEMS);
    if (value && value->kind == JSON_KIND_ARRAY)
        add_children(s, value, JSON_KIND_ARRAY);
    else
        add_schema(s, value);
    value = schema_get(s, node, KEYWORD_DEPENDENCIES);
    for (struct json_node *child = value ? value->first : NULL; child; child = child->next)
        if (child->kind == JSON_KIND_OBJECT)
            add_schema(s, child);
    if ((value = schema_get(s, node, KEYWORD_REF)))
        add(s, schema_resolve(s, value));
    if ((value = schema_get(s, node, KEYWORD_DYNAMIC_REF)) || (value = schema_get(s, node, KEYWORD_RECURSIVE_REF)))
        schema_fail(s, value, SMOLLM_EUNSUPPORTED, "dynamic references are not supported");
    check_types(s, schema_get(s, node, KEYWORD_TYPE));
    check_names(s, schema_get(s, node, KEYWORD_PATTERN_PROPERTIES));
    value = schema_get(s, node, KEYWORD_ENUM);
    if (value && value->kind != JSON_KIND_ARRAY)
        schema_fail(s, value, SMOLLM_EINVAL, "must be an array");
    /* Patterns, formats and numbers are compiled, and references that go round are found. */
    schema_allows(s, condition_of(node, true), JSON_KIND_NULL);
    if (schema_get(s, node, KEYWORD_PATTERN) || schema_get(s, node, KEYWORD_FORMAT) ||
        schema_get(s, node, KEYWORD_MIN_LENGTH) || schema_get(s, node, KEYWORD_MAX_LENGTH))
        schema_strings(s, node);
    if (schema_get(s, node, KEYWORD_MULTIPLE_OF))
        schema_numbers(s, node);
}

void schema_check(struct schema *s, uint32_t root)
{
    add(s, root);
    while (s->unchecked.count > 0 && s->status == 0 && pool_spend(s->pool, 1))
        check_node(s, ((uint32_t *)s->unchecked.data)[--s->unchecked.count]);
}
