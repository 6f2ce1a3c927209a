#include "api/core/kept_answers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct kept_answer {
    struct kept_answer *newer, *older;
    uint64_t key;
    size_t id_size, text_size;
    char bytes[]; /* id, then text */
};

static size_t bytes_of(const struct kept_answer *answer)
{
    return sizeof *answer + answer->id_size + answer->text_size;
}

void kept_answers_init(struct kept_answers *kept)
{
    *kept = (struct kept_answers){0};
    pthread_mutex_init(&kept->mutex, NULL);
}

void kept_answers_destroy(struct kept_answers *kept)
{
    for (struct kept_answer *next, *answer = kept->newest; answer; answer = next) {
        next = answer->older;
        free(answer);
    }
    pthread_mutex_destroy(&kept->mutex);
}

static void unlink_answer(struct kept_answers *kept, struct kept_answer *answer)
{
    if (answer->newer)
        answer->newer->older = answer->older;
    else
        kept->newest = answer->older;
    if (answer->older)
        answer->older->newer = answer->newer;
    else
        kept->oldest = answer->newer;
    answer->newer = answer->older = NULL;
    kept->bytes -= bytes_of(answer);
    assert(kept->newest != answer && kept->oldest != answer);
}

static void link_newest(struct kept_answers *kept, struct kept_answer *answer)
{
    answer->older = kept->newest;
    if (kept->newest)
        kept->newest->newer = answer;
    else
        kept->oldest = answer;
    kept->newest = answer;
    kept->bytes += bytes_of(answer);
}

static struct kept_answer *find(struct kept_answers *kept, uint64_t key, struct smollm_text id)
{
    struct kept_answer *answer = kept->newest;
    while (answer && (answer->key != key || !text_equal(id, (struct smollm_text){answer->bytes, answer->id_size})))
        answer = answer->older;
    return answer;
}

static void drop(struct kept_answers *kept, struct kept_answer *answer)
{
    if (!answer)
        return;
    unlink_answer(kept, answer);
    free(answer);
}

bool kept_answers_add(struct kept_answers *kept, uint64_t key, struct smollm_text id, struct smollm_text text)
{
    if (text.size > KEPT_ANSWER_BYTES || id.size == 0)
        return false;
    struct kept_answer *answer = malloc(sizeof *answer + id.size + text.size);
    if (!answer)
        return false;
    *answer = (struct kept_answer){.key = key, .id_size = id.size, .text_size = text.size};
    memcpy(answer->bytes, id.data, id.size);
    if (text.size > 0)
        memcpy(answer->bytes + id.size, text.data, text.size);
    pthread_mutex_lock(&kept->mutex);
    drop(kept, find(kept, key, id));
    while (kept->oldest && kept->bytes + bytes_of(answer) > KEPT_ANSWERS_BYTES)
        drop(kept, kept->oldest);
    link_newest(kept, answer);
    pthread_mutex_unlock(&kept->mutex);
    return true;
}

bool kept_answers_get(struct kept_answers *kept, uint64_t key, struct smollm_text id, struct buffer *out)
{
    pthread_mutex_lock(&kept->mutex);
    struct kept_answer *answer = find(kept, key, id);
    if (answer) {
        buffer_append(out, answer->bytes + answer->id_size, answer->text_size);
        unlink_answer(kept, answer);
        link_newest(kept, answer);
    }
    pthread_mutex_unlock(&kept->mutex);
    return answer != NULL;
}

bool kept_answers_remove(struct kept_answers *kept, uint64_t key, struct smollm_text id)
{
    pthread_mutex_lock(&kept->mutex);
    struct kept_answer *answer = find(kept, key, id);
    drop(kept, answer);
    pthread_mutex_unlock(&kept->mutex);
    return answer != NULL;
}
