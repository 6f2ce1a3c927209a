#include "server/kv_batch.h"

#include <string.h>

/* ---- MessagePack ---- */

static void put_big_endian(struct buffer *out, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        buffer_append_char(out, (char)(value >> 8 * i));
}

static void put_unsigned(struct buffer *out, uint64_t value)
{
    if (value < 0x80) {
        put_big_endian(out, value, 1);
    } else {
        const int size = value <= UINT8_MAX ? 0 : value <= UINT16_MAX ? 1 : value <= UINT32_MAX ? 2 : 3;
        buffer_append_char(out, (char)(0xcc + size));
        put_big_endian(out, value, 1 << size);
    }
}

static void put_double(struct buffer *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    buffer_append_char(out, (char)0xcb);
    put_big_endian(out, bits, 8);
}

static void put_nothing(struct buffer *out)
{
    buffer_append_char(out, (char)0xc0);
}

/* Of fewer than 32 bytes. */
static void put_word(struct buffer *out, const char *word)
{
    buffer_append_char(out, (char)(0xa0 | strlen(word)));
    buffer_append_string(out, word);
}

static void begin_array(struct buffer *out, uint16_t count)
{
    if (count < 16) {
        buffer_append_char(out, (char)(0x90 | count));
    } else {
        buffer_append_char(out, (char)0xdc);
        put_big_endian(out, count, 2);
    }
}

/* Of fewer than 16 members. */
static void begin_map(struct buffer *out, unsigned count)
{
    buffer_append_char(out, (char)(0x80 | count));
}

/* ---- Events ---- */

static void put_stored(struct buffer *out, const struct smollm_cache_event *event)
{
    const uint16_t tokens = sizeof event->tokens / sizeof *event->tokens;
    begin_map(out, 8);
    put_word(out, "type");
    put_word(out, "BlockStored");
    put_word(out, "block_hashes");
    begin_array(out, 1);
    put_unsigned(out, event->page);
    put_word(out, "parent_block_hash");
    if (event->has_parent)
        put_unsigned(out, event->parent);
    else
        put_nothing(out);
    put_word(out, "token_ids");
    begin_array(out, tokens);
    for (uint16_t i = 0; i < tokens; i++)
        put_unsigned(out, (uint64_t)event->tokens[i]);
    put_word(out, "block_size");
    put_unsigned(out, tokens);
    put_word(out, "lora_id");
    put_nothing(out);
    put_word(out, "medium");
    put_word(out, "GPU"); /* how schedulers call the memory in which an engine computes */
    put_word(out, "lora_name");
    put_nothing(out);
}

static void put_event(struct buffer *out, const struct smollm_cache_event *event)
{
    if (event->type == SMOLLM_CACHE_STORED) {
        put_stored(out, event);
        return;
    }
    const bool removed = event->type == SMOLLM_CACHE_REMOVED;
    begin_map(out, removed ? 3 : 1);
    put_word(out, "type");
    put_word(out, removed ? "BlockRemoved" : "AllBlocksCleared");
    if (!removed)
        return;
    put_word(out, "block_hashes");
    begin_array(out, 1);
    put_unsigned(out, event->page);
    put_word(out, "medium");
    put_word(out, "GPU");
}

void kv_batch_write(struct buffer *out, double time, const struct smollm_cache_event *events, size_t count)
{
    begin_array(out, 3);
    put_double(out, time);
    begin_array(out, (uint16_t)count);
    for (size_t i = 0; i < count; i++)
        put_event(out, &events[i]);
    put_unsigned(out, 0); /* the rank among data-parallel engines */
}
