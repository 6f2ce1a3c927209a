/* Publishes what the prefix cache gains and loses over ZeroMQ, in vLLM's format, so that the schedulers of llm-d,
 * Dynamo and vllm-router send a prompt to the server that has read its beginning.
 *
 * A PUB socket sends messages of three frames: topic, number of the batch (8 bytes, big-endian, from 0), the batch
 * (kv_batch.h). A subscriber that missed some asks the ROUTER socket with the number of the first one it wants (an
 * empty frame and 8 bytes), and gets, for each batch that is still kept, an empty frame, its number and the batch; the
 * last number is -1. libzmq is loaded when this is used, and nothing else needs it. https://zguide.zeromq.org,
 * https://github.com/vllm-project/vllm/blob/main/vllm/distributed/kv_events.py */
#ifndef SERVER_KV_PUBLISHER_H
#define SERVER_KV_PUBLISHER_H

#include "smollm.h"

struct kv_publisher;

struct kv_publisher_options {
    const char *endpoint;        /* to bind, such as tcp://127.0.0.1:5557 */
    const char *replay_endpoint; /* NULL: missed batches are not sent again */
    const char *topic;           /* NULL: empty */
};

/* Loads libzmq and binds. SMOLLM_EUNSUPPORTED: there is no libzmq; SMOLLM_EIO: an endpoint cannot be bound. */
int kv_publisher_open(const struct kv_publisher_options *options, struct kv_publisher **publisher,
                      struct smollm_error *error);
/* Starts the thread that reads the engine's events; the engine was started with cache_events and is borrowed until
 * kv_publisher_close. Once. */
int kv_publisher_start(struct kv_publisher *publisher, struct smollm_engine *engine, struct smollm_error *error);
void kv_publisher_close(struct kv_publisher *publisher); /* accepts NULL */

#endif
