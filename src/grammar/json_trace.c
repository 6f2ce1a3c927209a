#include "grammar/json_trace.h"

#include "base/hash.h"
#include "grammar/json_tree.h"

#include <stdlib.h>
#include <string.h>

enum event_kind { EVENT_OBJECT, EVENT_ARRAY, EVENT_NAME, EVENT_ELEMENT };

struct trace_event {
    uint64_t hash; /* of a name or an element */
    uint32_t kind;
    uint32_t at;        /* its first byte, of a name after the quote */
    uint32_t end;       /* of a name: its closing quote */
    uint32_t container; /* in which it is */
};

void json_trace_clear(struct json_trace *t)
{
    t->place = (struct trace_place){0};
}

void json_trace_begin(struct json_trace *t)
{
    t->place = (struct trace_place){.size = t->place.size, .event_count = t->place.event_count};
}

void json_trace_free(struct json_trace *t)
{
    free(t->text);
    free(t->events);
    pool_destroy(&t->scratch);
    *t = (struct json_trace){0};
}

static void add_event(struct json_trace *t, struct trace_event event)
{
    if (t->place.event_count == t->event_capacity) {
        const uint32_t capacity = t->event_capacity > 0 ? 2 * t->event_capacity : 64;
        struct trace_event *events = realloc(t->events, capacity * sizeof *events);
        if (!events) {
            t->has_failed = true;
            return;
        }
        t->events = events;
        t->event_capacity = capacity;
    }
    t->events[t->place.event_count++] = event;
}

static bool has_before(const struct json_trace *t, enum event_kind kind, uint64_t hash)
{
    for (uint32_t i = t->place.event_count; i-- > t->place.container;)
        if (t->events[i].kind == kind && t->events[i].container == t->place.container && t->events[i].hash == hash)
            return true;
    return t->has_failed;
}

/* ---- Values that are equal have equal hashes ---- */

static uint64_t hash_text(struct smollm_text text, uint64_t seed)
{
    return hash_bytes(text.data, text.size, seed);
}

static uint64_t hash_value(struct pool *pool, const struct json_node *node)
{
    uint64_t hash = hash_mix(node->kind + 1);
    if (node->kind == JSON_KIND_STRING)
        return hash_text(node->text, hash);
    if (node->kind == JSON_KIND_NUMBER) {
        const struct json_decimal d = json_decimal_of(pool, node->text);
        return hash_text(d.digits, hash_mix((uint64_t)d.exponent * 2 + d.negative + hash));
    }
    for (const struct json_node *child = node->first; child; child = child->next) {
        const uint64_t its = hash_value(pool, child);
        if (node->kind == JSON_KIND_OBJECT)
            hash += hash_mix(hash_text(child->key, 1) + 31 * its); /* in any order */
        else
            hash = hash_mix(hash ^ its);
    }
    return hash;
}

static uint64_t hash_json(struct json_trace *t, uint32_t begin, uint32_t end)
{
    struct json_node *root;
    if (!t->scratch.base && pool_create(&t->scratch, NULL) < 0) {
        t->has_failed = true;
        return 0;
    }
    pool_clear(&t->scratch);
    pool_allow(&t->scratch, UINT64_MAX);
    if (json_tree_parse(&t->scratch, (struct smollm_text){t->text + begin, end - begin}, &root, NULL) < 0)
        return 0;
    return hash_value(&t->scratch, root);
}

/* ---- Steps ---- */

static bool is_in(const struct json_trace *t, enum event_kind kind)
{
    return t->place.container > 0 && t->events[t->place.container - 1].kind == kind;
}

static unsigned end_value(struct json_trace *t, uint32_t end, bool elements)
{
    unsigned result = t->place.in_scalar ? TRACE_SCALAR_ENDED : 0;
    t->place.in_scalar = false;
    if (!elements || !is_in(t, EVENT_ARRAY))
        return 0;
    const uint64_t hash = hash_json(t, t->place.value_at, end);
    if (!has_before(t, EVENT_ELEMENT, hash))
        result = 0;
    else
        result |= TRACE_ELEMENT_REPEATS;
    add_event(t, (struct trace_event){.kind = EVENT_ELEMENT, .hash = hash, .container = t->place.container});
    return result;
}

static unsigned end_string(struct json_trace *t, uint32_t at, bool elements)
{
    t->place.in_string = false;
    if (!t->place.is_name)
        return end_value(t, at + 1, elements);
    const uint64_t hash = hash_json(t, t->place.string_at, at + 1);
    const unsigned result = has_before(t, EVENT_NAME, hash) ? TRACE_NAME_REPEATS : 0;
    add_event(t, (struct trace_event){.kind = EVENT_NAME,
                                      .hash = hash,
                                      .at = t->place.string_at + 1,
                                      .end = at,
                                      .container = t->place.container});
    return result;
}

static unsigned close(struct json_trace *t, uint32_t at, bool elements)
{
    unsigned result = t->place.in_scalar ? end_value(t, at, elements) : 0;
    if (t->place.container == 0)
        return result;
    const struct trace_event opened = t->events[t->place.container - 1];
    t->place.container = opened.container;
    t->place.value_at = opened.at;
    return result | end_value(t, at + 1, elements);
}

unsigned json_trace_step(struct json_trace *t, char byte, bool elements)
{
    struct trace_place *p = &t->place;
    const uint32_t at = p->size;
    if (at == t->capacity) {
        const uint32_t capacity = at > 0 ? 2 * at : 1024;
        char *text = realloc(t->text, capacity);
        if (!text) {
            t->has_failed = true;
            return TRACE_NAME_REPEATS | TRACE_ELEMENT_REPEATS;
        }
        t->text = text;
        t->capacity = capacity;
    }
    t->text[p->size++] = byte;
    if (p->in_string) {
        if (p->is_escaped || byte == '\\')
            p->is_escaped = !p->is_escaped;
        else if (byte == '"')
            return end_string(t, at, elements);
        return 0;
    }
    switch (byte) {
    case '"':
        p->in_string = true;
        p->is_name = p->expects_name;
        p->string_at = at;
        p->value_at = p->is_name ? p->value_at : at;
        return 0;
    case '{':
    case '[':
        add_event(t, (struct trace_event){
                         .kind = byte == '{' ? EVENT_OBJECT : EVENT_ARRAY, .at = at, .container = p->container});
        p->container = p->event_count;
        p->expects_name = byte == '{';
        return 0;
    case '}':
    case ']':
        return close(t, at, elements);
    case ',': {
        const unsigned result = p->in_scalar ? end_value(t, at, elements) : 0;
        p->expects_name = is_in(t, EVENT_OBJECT);
        return result;
    }
    case ':':
        p->expects_name = false;
        return 0;
    case ' ':
        return 0;
    default:
        if (!p->in_scalar) {
            p->in_scalar = true;
            p->value_at = at;
        }
        return 0;
    }
}

uint32_t json_trace_names(const struct json_trace *t, struct smollm_text *names, uint32_t max)
{
    uint32_t count = 0;
    for (uint32_t i = t->place.event_count; i-- > t->place.container;) {
        const struct trace_event *event = &t->events[i];
        if (event->kind != EVENT_NAME || event->container != t->place.container)
            continue;
        if (count < max)
            names[count] = (struct smollm_text){t->text + event->at, event->end - event->at};
        count++;
    }
    return count;
}

struct smollm_text json_trace_string(const struct json_trace *t)
{
    const uint32_t at = t->place.string_at + 1;
    return (struct smollm_text){t->text + at, t->place.size - at};
}
