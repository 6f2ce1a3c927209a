/* "$ref": which subschema an address means (RFC 3986, RFC 6901, and "$id" and "$anchor" of each draft). */
#include "grammar/schema.h"

#include "base/error.h"

#include <string.h>

struct schema_id {
    struct smollm_text uri; /* absolute as far as known; without an empty fragment */
    struct json_node *json;
};

/* ---- URIs ---- */

struct uri {
    struct smollm_text scheme, authority, path, query, fragment; /* data NULL: not there; scheme with its colon */
};

static struct smollm_text part(const char *begin, const char *end)
{
    return (struct smollm_text){begin, (size_t)(end - begin)};
}

static const char *find_any(const char *at, const char *end, const char *characters)
{
    while (at < end && !strchr(characters, *at))
        at++;
    return at;
}

static struct uri split(struct smollm_text text)
{
    struct uri uri = {0};
    const char *at = text.data, *end = text.data + text.size;
    const char *colon = find_any(at, end, ":/?#");
    if (colon < end && *colon == ':' && colon > at) {
        uri.scheme = part(at, colon + 1);
        at = colon + 1;
    }
    if (end - at >= 2 && at[0] == '/' && at[1] == '/') {
        const char *stop = find_any(at + 2, end, "/?#");
        uri.authority = part(at, stop);
        at = stop;
    }
    const char *stop = find_any(at, end, "?#");
    uri.path = part(at, stop);
    at = stop;
    if (at < end && *at == '?') {
        stop = find_any(at, end, "#");
        uri.query = part(at, stop);
        at = stop;
    }
    if (at < end)
        uri.fragment = part(at, end);
    return uri;
}

static size_t append(char *out, size_t size, struct smollm_text text)
{
    if (text.size > 0)
        memcpy(out + size, text.data, text.size);
    return size + text.size;
}

/* Takes "." and ".." out of a path. */
static size_t remove_dots(char *path, size_t size)
{
    size_t kept = 0, i = 0;
    while (i < size) {
        size_t end = i;
        while (end < size && path[end] != '/')
            end++;
        const size_t length = end - i;
        const bool is_last = end == size;
        if (length == 2 && memcmp(path + i, "..", 2) == 0) {
            for (kept -= kept > 0; kept > 0 && path[kept - 1] != '/'; kept--) {
            }
        } else if (length != 1 || path[i] != '.') {
            memmove(path + kept, path + i, length);
            kept += length;
            if (!is_last)
                path[kept++] = '/';
        }
        i = end + 1;
    }
    return kept;
}

/* RFC 3986, section 5.2; the fragment of the reference stays. */
static struct smollm_text resolve(struct schema *s, struct smollm_text base_text, struct smollm_text text)
{
    const struct uri base = split(base_text), r = split(text);
    char *out = pool_allocate(s->pool, base_text.size + text.size + 1);
    size_t size = 0;
    if (r.scheme.size > 0)
        return text;
    size = append(out, size, base.scheme);
    if (r.authority.data)
        return (struct smollm_text){out, append(out, size, text)};
    size = append(out, size, base.authority);
    if (r.path.size == 0) {
        size = append(out, size, base.path);
        size = append(out, size, r.query.data ? r.query : base.query);
    } else {
        const size_t begin = size;
        if (r.path.data[0] != '/') {
            size_t keep = base.path.size;
            while (keep > 0 && base.path.data[keep - 1] != '/')
                keep--;
            size = append(out, size, (struct smollm_text){base.path.data, keep});
            if (keep == 0 && base.authority.size > 0)
                out[size++] = '/';
        }
        size = append(out, size, r.path);
        size = begin + remove_dots(out + begin, size - begin);
        size = append(out, size, r.query);
    }
    return (struct smollm_text){out, append(out, size, r.fragment)};
}

/* Without its fragment; *fragment without the #. */
static struct smollm_text cut_fragment(struct smollm_text text, struct smollm_text *fragment)
{
    const char *hash = text.size > 0 ? memchr(text.data, '#', text.size) : NULL;
    *fragment = (struct smollm_text){"", 0};
    if (!hash)
        return text;
    *fragment = part(hash + 1, text.data + text.size);
    return part(text.data, hash);
}

/* ---- Identifiers ---- */

static enum schema_draft draft_by_name(struct smollm_text name)
{
    static const struct {
        const char *part;
        enum schema_draft draft;
    } drafts[] = {{"draft-04", DRAFT_4}, {"draft-03", DRAFT_4},   {"draft-06", DRAFT_6},
                  {"draft-07", DRAFT_7}, {"2019-09", DRAFT_2019}, {"2020-12", DRAFT_2020}};
    for (size_t i = 0; i < sizeof drafts / sizeof *drafts; i++)
        if (text_contains(name, drafts[i].part))
            return drafts[i].draft;
    return DRAFT_ANY;
}

/* Whether a part of the schema names a draft of its own. */
static bool has_inner_draft(struct schema *s, struct json_node *json)
{
    for (struct json_node *child = json->first; child; child = child->next)
        if ((text_is(child->key, "$schema") && json->parent) || has_inner_draft(s, child))
            return true;
    return false;
}

enum schema_draft schema_draft_of(struct schema *s, struct json_node *json)
{
    if (s->has_one_draft)
        return s->draft;
    for (; json; json = json->parent) {
        const struct json_node *name = json_tree_get(s->pool, json, "$schema");
        if (name && name->kind == JSON_KIND_STRING)
            return draft_by_name(name->text);
    }
    return DRAFT_ANY;
}

/* The identifier of a subschema, or one without data. */
static struct smollm_text id_of(struct schema *s, struct json_node *json)
{
    const enum schema_draft draft = schema_draft_of(s, json);
    struct json_node *id = draft == DRAFT_4 ? NULL : json_tree_get(s->pool, json, "$id");
    if (!id && (draft == DRAFT_4 || draft == DRAFT_ANY))
        id = json_tree_get(s->pool, json, "id");
    const bool has_reference = draft != DRAFT_ANY && draft <= DRAFT_7 && json_tree_get(s->pool, json, "$ref");
    return id && id->kind == JSON_KIND_STRING && !has_reference ? id->text : (struct smollm_text){0};
}

/* The subschema's base URI, and the root of its resource. */
static struct smollm_text base_of(struct schema *s, struct json_node *json, struct json_node **resource)
{
    struct smollm_text chain[64];
    size_t count = 0;
    if (s->ids.count == 0 && s->has_no_ids) {
        *resource = s->root;
        return (struct smollm_text){"", 0};
    }
    struct json_node *root = NULL;
    for (struct json_node *at = json; at; at = at->parent) {
        const struct smollm_text id = at->kind == JSON_KIND_OBJECT ? id_of(s, at) : (struct smollm_text){0};
        if (id.data && id.size > 0 && id.data[0] != '#' && count < 64) {
            chain[count++] = id;
            root = root ? root : at;
        }
        if (!at->parent)
            root = root ? root : at;
    }
    struct smollm_text base = {"", 0}, fragment;
    while (count-- > 0)
        base = resolve(s, base, chain[count]);
    *resource = root;
    return cut_fragment(base, &fragment);
}

static void add_id(struct schema *s, struct smollm_text uri, struct json_node *json)
{
    *(struct schema_id *)pool_vector_add(s->pool, &s->ids, sizeof(struct schema_id)) = (struct schema_id){uri, json};
}

static struct smollm_text with_fragment(struct schema *s, struct smollm_text base, struct smollm_text name)
{
    char *out = pool_allocate(s->pool, base.size + name.size + 1);
    size_t size = append(out, 0, base);
    out[size++] = '#';
    return (struct smollm_text){out, append(out, size, name)};
}

static void find_in(struct schema *s, struct json_node *json);

static void find_in_children(struct schema *s, struct json_node *json)
{
    for (struct json_node *child = json->first; child; child = child->next)
        find_in(s, child);
}

static void find_in(struct schema *s, struct json_node *json)
{
    static const char *const maps[] = {"properties", "patternProperties", "definitions",
                                       "$defs",      "dependentSchemas",  "dependencies"};
    static const char *const values[] = {"enum", "const", "default", "examples", "example"};
    if (json->kind == JSON_KIND_ARRAY) {
        find_in_children(s, json);
        return;
    }
    if (json->kind != JSON_KIND_OBJECT || !pool_spend(s->pool, 1))
        return;
    struct smollm_text id = id_of(s, json), fragment;
    struct json_node *resource;
    if (id.data) {
        const struct smollm_text base = base_of(s, json, &resource);
        if (id.size > 0 && id.data[0] == '#')
            add_id(s, with_fragment(s, base, (struct smollm_text){id.data + 1, id.size - 1}), json);
        else
            add_id(s, base, json);
        cut_fragment(id, &fragment);
        if (fragment.size > 0 && id.data[0] != '#')
            add_id(s, with_fragment(s, base, fragment), json);
    }
    static const char *const anchors[] = {"$anchor", "$dynamicAnchor"};
    for (int i = 0; i < 2; i++) {
        const struct json_node *anchor = json_tree_get(s->pool, json, anchors[i]);
        if (anchor && anchor->kind == JSON_KIND_STRING)
            add_id(s, with_fragment(s, base_of(s, json, &resource), anchor->text), json);
    }
    for (struct json_node *child = json->first; child; child = child->next) {
        bool is_map = false, is_value = false;
        for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
            is_map |= text_is(child->key, maps[i]);
        for (size_t i = 0; i < sizeof values / sizeof *values; i++)
            is_value |= text_is(child->key, values[i]);
        if (is_map && child->kind == JSON_KIND_OBJECT)
            find_in_children(s, child);
        else if (!is_value)
            find_in(s, child);
    }
}

void schema_find_ids(struct schema *s)
{
    s->draft = schema_draft_of(s, s->root);
    s->has_one_draft = !has_inner_draft(s, s->root);
    find_in(s, s->root);
    s->has_no_ids = s->ids.count == 0;
}

/* ---- References ---- */

/* RFC 6901, percent-encoded as in a URI. */
static struct json_node *follow_pointer(struct schema *s, struct json_node *json, struct smollm_text pointer)
{
    size_t i = 0;
    while (json && i < pointer.size) {
        char *name = pool_allocate(s->pool, pointer.size);
        size_t size = 0;
        if (pointer.data[i++] != '/')
            return NULL;
        while (i < pointer.size && pointer.data[i] != '/') {
            char c = pointer.data[i++];
            if (c == '%' && pointer.size - i >= 2) {
                uint32_t value = 0;
                for (int k = 0; k < 2; k++) {
                    const char digit = pointer.data[i + (size_t)k];
                    value = value * 16 + (uint32_t)(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
                }
                c = (char)value;
                i += 2;
            }
            if (size > 0 && name[size - 1] == '~' && (c == '0' || c == '1')) {
                name[size - 1] = c == '0' ? '\1' : '/'; /* \1: a tilde that is no escape */
                continue;
            }
            name[size++] = c;
        }
        for (size_t k = 0; k < size; k++)
            name[k] = name[k] == '\1' ? '~' : name[k];
        const struct smollm_text key = {name, size};
        if (json->kind == JSON_KIND_ARRAY) {
            uint32_t index = 0;
            for (size_t k = 0; k < size && index < 1000000; k++)
                index = name[k] >= '0' && name[k] <= '9' ? index * 10 + (uint32_t)(name[k] - '0') : 1000000;
            json = json->first;
            while (json && index-- > 0)
                json = json->next;
        } else {
            json = json_tree_get_text(s->pool, json, key);
        }
    }
    return json;
}

static struct json_node *find_id(struct schema *s, struct smollm_text uri)
{
    for (uint32_t i = 0; i < s->ids.count; i++) {
        const struct schema_id *id = (const struct schema_id *)s->ids.data + i;
        if (text_equal(id->uri, uri))
            return id->json;
    }
    return NULL;
}

uint32_t schema_resolve(struct schema *s, struct json_node *reference)
{
    struct json_node *resource, *found = NULL;
    if (reference->kind != JSON_KIND_STRING) {
        schema_fail(s, reference, SMOLLM_EINVAL, "must be a string");
        return NODE_FALSE;
    }
    struct smollm_text fragment, base = base_of(s, reference->parent, &resource);
    struct smollm_text uri = cut_fragment(resolve(s, base, reference->text), &fragment), none;
    if (text_equal(uri, base) || text_equal(uri, cut_fragment(base, &none)))
        found = resource;
    else
        found = find_id(s, uri);
    if (!found && uri.size == 0)
        found = s->root;
    if (found && fragment.size > 0) {
        if (fragment.data[0] == '/')
            found = follow_pointer(s, found, fragment);
        else
            found = find_id(s, with_fragment(s, uri, fragment));
    }
    if (!found) {
        schema_fail(s, reference, SMOLLM_EUNSUPPORTED, "'%.*s' is not in this schema, and none are fetched",
                    (int)(reference->text.size < 200 ? reference->text.size : 200), reference->text.data);
        return NODE_FALSE;
    }
    return schema_node_of(s, found);
}
