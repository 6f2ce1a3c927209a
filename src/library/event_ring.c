#include "library/event_ring.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { TOP_MAX = 20 };

/* A record: this header, then text, id, name, and for each log-probability of a token (chosen first) a logprob_header
 * with its bytes. */
struct record_header {
    uint32_t size; /* of the whole record */
    uint32_t type;
    uint32_t index;
    uint32_t text_size, id_size, name_size;
    uint32_t complete_tokens;
    uint32_t logprob_count; /* 0: no token; otherwise 1 + alternatives */
};

struct logprob_header {
    int32_t token;
    float logprob;
    uint32_t size;
};

int event_ring_create(struct event_ring *ring, size_t burst, struct smollm_error *error)
{
    ring->size = 2 * burst;
    ring->data = malloc(2 * burst);
    ring->current = malloc(EVENT_RECORD_MAX);
    ring->tokens = calloc(1, sizeof *ring->tokens);
    ring->top = calloc(TOP_MAX, sizeof *ring->top);
    if (!ring->data || !ring->current || !ring->tokens || !ring->top) {
        event_ring_destroy(ring);
        return error_set(error, SMOLLM_ENOMEM, "out of memory for a request");
    }
    return 0;
}

void event_ring_destroy(struct event_ring *ring)
{
    free(ring->data);
    free(ring->current);
    free(ring->tokens);
    free(ring->top);
    *ring = (struct event_ring){0};
}

bool event_ring_has_room(const struct event_ring *ring)
{
    return ring->size - ring->used >= ring->size / 2;
}

bool event_ring_is_low(const struct event_ring *ring)
{
    return ring->used <= ring->size / 8;
}

bool event_ring_is_empty(const struct event_ring *ring)
{
    return ring->used == 0;
}

static void put(struct event_ring *ring, const void *data, size_t size)
{
    size_t at = (ring->first + ring->used) % ring->size, until_end = ring->size - at;
    size_t before = size < until_end ? size : until_end;
    if (size > 0) {
        memcpy(ring->data + at, data, before);
        memcpy(ring->data, (const char *)data + before, size - before);
    }
    ring->used += size;
}

static void get(struct event_ring *ring, void *data, size_t size)
{
    size_t until_end = ring->size - ring->first, before = size < until_end ? size : until_end;
    memcpy(data, ring->data + ring->first, before);
    memcpy((char *)data + before, ring->data, size - before);
    ring->first = (ring->first + size) % ring->size;
    ring->used -= size;
}

static size_t shown(struct smollm_text bytes)
{
    return bytes.size < EVENT_TOKEN_TEXT_MAX ? bytes.size : EVENT_TOKEN_TEXT_MAX;
}

static void put_logprob(struct event_ring *ring, const struct smollm_token_logprob *logprob)
{
    struct logprob_header header = {logprob->token, logprob->logprob, (uint32_t)shown(logprob->bytes)};
    put(ring, &header, sizeof header);
    put(ring, logprob->bytes.data, header.size);
}

bool event_ring_write(struct event_ring *ring, const struct smollm_event *event, uint32_t complete_tokens,
                      const struct smollm_token *token)
{
    struct record_header header = {.type = (uint32_t)event->type,
                                   .index = event->tool.index,
                                   .text_size = (uint32_t)event->text.size,
                                   .id_size = (uint32_t)event->tool.id.size,
                                   .name_size = (uint32_t)event->tool.name.size,
                                   .complete_tokens = complete_tokens,
                                   .logprob_count = token ? 1 + (uint32_t)token->top_count : 0};
    size_t size = sizeof header + header.text_size + header.id_size + header.name_size;
    if (token) {
        size += sizeof(struct logprob_header) + shown(token->chosen.bytes);
        for (size_t i = 0; i < token->top_count; i++)
            size += sizeof(struct logprob_header) + shown(token->top[i].bytes);
    }
    if (size > EVENT_RECORD_MAX || size > ring->size - ring->used)
        return false;
    header.size = (uint32_t)size;
    put(ring, &header, sizeof header);
    put(ring, event->text.data, header.text_size);
    put(ring, event->tool.id.data, header.id_size);
    put(ring, event->tool.name.data, header.name_size);
    if (token) {
        put_logprob(ring, &token->chosen);
        for (size_t i = 0; i < token->top_count; i++)
            put_logprob(ring, &token->top[i]);
    }
    return true;
}

/* Reads one log-probability at *at and moves on. */
static struct smollm_token_logprob take_logprob(unsigned char **at)
{
    struct logprob_header header;
    memcpy(&header, *at, sizeof header);
    struct smollm_token_logprob logprob = {
        .token = header.token, .logprob = header.logprob, .bytes = {(char *)*at + sizeof header, header.size}};
    *at += sizeof header + header.size;
    return logprob;
}

bool event_ring_read(struct event_ring *ring, struct smollm_event *event)
{
    if (ring->used == 0)
        return false;
    struct record_header header;
    get(ring, &header, sizeof header);
    get(ring, ring->current, header.size - sizeof header);
    unsigned char *at = ring->current;
    *event = (struct smollm_event){.type = (enum smollm_event_type)header.type};
    event->tool.index = header.index;
    event->complete_tokens = header.complete_tokens;
    event->text = (struct smollm_text){(char *)at, header.text_size};
    at += header.text_size;
    event->tool.id = (struct smollm_text){(char *)at, header.id_size};
    at += header.id_size;
    event->tool.name = (struct smollm_text){(char *)at, header.name_size};
    at += header.name_size;
    if (header.logprob_count > 0) {
        ring->tokens->chosen = take_logprob(&at);
        ring->tokens->top = ring->top;
        ring->tokens->top_count = header.logprob_count - 1;
        for (uint32_t i = 0; i + 1 < header.logprob_count; i++)
            ring->top[i] = take_logprob(&at);
        event->tokens = ring->tokens;
        event->token_count = 1;
    }
    return true;
}
