#include "library/stop_matcher.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

int stop_matcher_create(struct stop_matcher *m, const struct smollm_text *stops, size_t count,
                        struct smollm_error *error)
{
    *m = (struct stop_matcher){0};
    RETURN_ERROR_IF(count > STOP_MAX, error, SMOLLM_EINVAL, "%zu stop strings (at most %d)", count, STOP_MAX);
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        RETURN_ERROR_IF(stops[i].size == 0 || stops[i].size > STOP_BYTES_MAX, error, SMOLLM_EINVAL,
                        "stop string %zu has %zu bytes (1 to %d)", i, stops[i].size, STOP_BYTES_MAX);
        bytes += stops[i].size;
    }
    m->block = malloc(bytes + STOP_BYTES_MAX);
    RETURN_ERROR_IF(!m->block, error, SMOLLM_ENOMEM, "out of memory for stop strings");
    char *at = m->block;
    for (size_t i = 0; i < count; i++, at += stops[i - 1].size) {
        memcpy(at, stops[i].data, stops[i].size);
        m->stops[i] = (struct smollm_text){at, stops[i].size};
        m->longest = stops[i].size > m->longest ? stops[i].size : m->longest;
    }
    m->count = count;
    m->held = at;
    return 0;
}

void stop_matcher_destroy(struct stop_matcher *m)
{
    free(m->block);
    *m = (struct stop_matcher){0};
}

/* Whether the text held back is the beginning of a stop string, a whole one, or neither. */
enum verdict { NEITHER, BEGINNING, WHOLE };

static enum verdict judge(struct stop_matcher *m, bool at_end)
{
    enum verdict verdict = NEITHER;
    for (size_t i = 0; i < m->count; i++) {
        struct smollm_text stop = m->stops[i];
        size_t size = m->held_size < stop.size ? m->held_size : stop.size;
        if (memcmp(stop.data, m->held, size) != 0)
            continue;
        if (size < stop.size && at_end)
            continue;
        if (size < stop.size)
            return BEGINNING;
        if (verdict != WHOLE || stop.size > m->stops[m->match].size)
            m->match = i;
        verdict = WHOLE;
    }
    return verdict;
}

/* Passes on held text until what is left may begin a stop string; sets matched. */
static void settle(struct stop_matcher *m, bool at_end, stop_matcher_sink *sink, void *user)
{
    size_t free_size = 0;
    char *begin = m->held;
    while (m->held_size > 0 && !m->matched) {
        enum verdict verdict = judge(m, at_end);
        if (verdict == WHOLE)
            m->matched = true;
        else if (verdict == BEGINNING)
            break;
        else
            m->held++, m->held_size--, free_size++;
    }
    m->held = begin;
    if (free_size > 0)
        sink(user, begin, free_size);
    if (!m->matched)
        memmove(begin, begin + free_size, m->held_size);
}

void stop_matcher_feed(struct stop_matcher *m, const char *data, size_t size, stop_matcher_sink *sink, void *user)
{
    if (m->count == 0) {
        sink(user, data, size);
        return;
    }
    /* What settle leaves is shorter than the longest stop string, so there is always room for more. */
    while (size > 0 && !m->matched) {
        size_t room = STOP_BYTES_MAX - m->held_size, part = size < room ? size : room;
        memcpy(m->held + m->held_size, data, part);
        m->held_size += part;
        data += part;
        size -= part;
        settle(m, false, sink, user);
    }
}

void stop_matcher_finish(struct stop_matcher *m, stop_matcher_sink *sink, void *user)
{
    if (!m->matched)
        settle(m, true, sink, user);
    m->held_size = 0;
}
