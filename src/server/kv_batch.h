/* Events of the prefix cache as vLLM publishes them, which schedulers read: MessagePack of an array [time, events,
 * rank], in which an event is a map with its "type": BlockStored, BlockRemoved or AllBlocksCleared.
 * https://github.com/vllm-project/vllm/blob/main/vllm/distributed/kv_events.py,
 * https://github.com/msgpack/msgpack/blob/master/spec.md */
#ifndef SERVER_KV_BATCH_H
#define SERVER_KV_BATCH_H

#include "base/text.h"
#include "smollm.h"

enum { KV_BATCH_EVENTS_MAX = 64 };

/* Appends one batch with up to KV_BATCH_EVENTS_MAX events. time: seconds since 1970. out->failed tells of memory. */
void kv_batch_write(struct buffer *out, double time, const struct smollm_cache_event *events, size_t count);

#endif
