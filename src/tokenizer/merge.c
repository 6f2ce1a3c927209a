#include "tokenizer/merge.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>

void merge_workspace_free(struct merge_workspace *workspace)
{
    free(workspace->symbols);
    free(workspace->heap);
    *workspace = (struct merge_workspace){0};
}

static int workspace_reserve(struct merge_workspace *w, size_t symbols)
{
    if (symbols <= w->symbol_capacity)
        return 0;
    size_t capacity = symbols < 256 ? 256 : symbols;
    free(w->symbols);
    w->symbol_capacity = 0;
    w->symbols = array_allocate(capacity, sizeof *w->symbols);
    if (!w->symbols)
        return SMOLLM_ENOMEM;
    w->symbol_capacity = capacity;
    return 0;
}

static void heap_sift_down(uint64_t *heap, size_t size, size_t i)
{
    uint64_t item = heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= size)
            break;
        if (child + 1 < size && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= item)
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = item;
}

static int heap_reserve(struct merge_workspace *w, size_t size)
{
    if (size <= w->heap_capacity)
        return 0;
    size_t capacity = w->heap_capacity < 256 ? 256 : w->heap_capacity + w->heap_capacity / 2;
    uint64_t *heap = realloc(w->heap, capacity * sizeof *heap);
    if (!heap)
        return SMOLLM_ENOMEM;
    w->heap = heap;
    w->heap_capacity = capacity;
    return 0;
}

static void heap_push(uint64_t *heap, size_t *size, uint64_t item)
{
    size_t i = (*size)++;
    while (i > 0 && heap[(i - 1) / 2] > item) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = item;
}

static uint64_t heap_item(const struct merge_entry *merge, int32_t position)
{
    return (uint64_t)merge->rank << 32 | (uint32_t)position;
}

int64_t merge_word(const struct vocabulary *v, struct smollm_text word, struct merge_workspace *w,
                   struct smollm_error *error)
{
    RETURN_ERROR_IF(word.size > INT32_MAX, error, SMOLLM_ELIMIT, "tokenizer: a word of %zu bytes", word.size);
    if (workspace_reserve(w, word.size) != 0)
        return error_set(error, SMOLLM_ENOMEM, "tokenizer: no memory for a word of %zu bytes", word.size);
    struct merge_symbol *symbols = w->symbols;
    int32_t count = 0;
    for (size_t i = 0; i < word.size; i++) {
        int32_t token = v->byte_tokens[(unsigned char)word.data[i]];
        if (token < 0)
            continue;
        symbols[count] = (struct merge_symbol){token, count - 1, count + 1};
        count++;
    }
    if (count == 0)
        return 0;
    symbols[count - 1].next = -1;

    size_t heap_size = 0;
    for (int32_t i = 0; i + 1 < count; i++) {
        const struct merge_entry *merge = vocabulary_find_merge(v, symbols[i].token, symbols[i + 1].token);
        if (!merge)
            continue;
        if (heap_reserve(w, heap_size + 1) != 0)
            return error_set(error, SMOLLM_ENOMEM, "tokenizer: no memory for a word of %zu bytes", word.size);
        w->heap[heap_size++] = heap_item(merge, i);
    }
    for (size_t i = heap_size / 2; i-- > 0;)
        heap_sift_down(w->heap, heap_size, i);

    int64_t tokens = count;
    while (heap_size > 0) {
        uint64_t item = w->heap[0];
        w->heap[0] = w->heap[--heap_size];
        if (heap_size > 0)
            heap_sift_down(w->heap, heap_size, 0);
        int32_t position = (int32_t)(item & UINT32_MAX);
        struct merge_symbol *left = &symbols[position];
        if (left->token < 0 || left->next < 0)
            continue;
        /* The neighbours may have changed since the item was pushed. As in HF tokenizers it still counts when what they
         * merge into now is the same token. */
        struct merge_symbol *right = &symbols[left->next];
        const struct merge_entry *merge = vocabulary_find_merge(v, left->token, right->token);
        if (!merge || merge->result != v->merge_results[item >> 32])
            continue;
        left->token = merge->result;
        left->next = right->next;
        right->token = -1;
        if (left->next >= 0)
            symbols[left->next].previous = position;
        tokens--;

        if (heap_reserve(w, heap_size + 2) != 0)
            return error_set(error, SMOLLM_ENOMEM, "tokenizer: no memory for a word of %zu bytes", word.size);
        if (left->previous >= 0) {
            merge = vocabulary_find_merge(v, symbols[left->previous].token, left->token);
            if (merge)
                heap_push(w->heap, &heap_size, heap_item(merge, left->previous));
        }
        if (left->next >= 0) {
            merge = vocabulary_find_merge(v, left->token, symbols[left->next].token);
            if (merge)
                heap_push(w->heap, &heap_size, heap_item(merge, position));
        }
    }
    return tokens;
}
