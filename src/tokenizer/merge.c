#include "tokenizer/merge.h"

#include "base/cancellation.h"
#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>
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

static int no_memory(size_t word_size, struct smollm_error *error)
{
    return error_set(error, SMOLLM_ENOMEM, "tokenizer: no memory for a word of %zu bytes", word_size);
}

/* Makes the tokens of the word's bytes the symbols, in a list; returns their number. Bytes without a token are left
 * out. */
static int32_t make_symbols(const struct vocabulary *v, struct smollm_text word, struct merge_symbol *symbols)
{
    int32_t count = 0;
    for (size_t i = 0; i < word.size; i++) {
        int32_t token = v->byte_tokens[(unsigned char)word.data[i]];
        if (token < 0)
            continue;
        symbols[count] = (struct merge_symbol){token, count - 1, count + 1};
        count++;
    }
    if (count > 0)
        symbols[count - 1].next = -1;
    return count;
}

/* Fills the heap with the merges of all neighboring symbols. False when memory is short. */
static bool make_heap(const struct vocabulary *v, struct merge_workspace *w, int32_t count, size_t *heap_size)
{
    *heap_size = 0;
    for (int32_t i = 0; i + 1 < count; i++) {
        const struct merge_entry *merge = vocabulary_find_merge(v, w->symbols[i].token, w->symbols[i + 1].token);
        if (!merge)
            continue;
        if (heap_reserve(w, *heap_size + 1) != 0)
            return false;
        w->heap[(*heap_size)++] = heap_item(merge, i);
    }
    for (size_t i = *heap_size / 2; i-- > 0;)
        heap_sift_down(w->heap, *heap_size, i);
    return true;
}

/* Applies the merge that a heap item stands for to the symbol at its position; false when it does not apply any more.
 *
 * The neighbors may have changed since the item was pushed. As in HF tokenizers it still counts when what they merge
 * into now is the same token. */
static bool apply_merge(const struct vocabulary *v, struct merge_symbol *symbols, uint64_t item)
{
    int32_t position = (int32_t)(item & UINT32_MAX);
    struct merge_symbol *left = &symbols[position];
    if (left->token < 0 || left->next < 0)
        return false;
    struct merge_symbol *right = &symbols[left->next];
    const struct merge_entry *merge = vocabulary_find_merge(v, left->token, right->token);
    if (!merge || merge->result != v->merge_results[item >> 32])
        return false;
    left->token = merge->result;
    left->next = right->next;
    right->token = -1;
    if (left->next >= 0)
        symbols[left->next].previous = position;
    return true;
}

/* Pushes the merge of the symbol at `position` with the one after it, if there is one; the heap has room. */
static void push_merge(const struct vocabulary *v, struct merge_workspace *w, size_t *heap_size, int32_t position)
{
    const struct merge_symbol *left = &w->symbols[position], *right = &w->symbols[left->next];
    const struct merge_entry *merge = vocabulary_find_merge(v, left->token, right->token);
    if (merge)
        heap_push(w->heap, heap_size, heap_item(merge, position));
}

int64_t merge_word(const struct vocabulary *v, struct smollm_text word, struct merge_workspace *w,
                   struct smollm_error *error)
{
    RETURN_ERROR_IF(word.size > MERGE_WORD_MAX, error, SMOLLM_ELIMIT,
                    "the text has a word of %zu bytes, up to the next space or mark; %d are allowed", word.size,
                    MERGE_WORD_MAX);
    if (workspace_reserve(w, word.size) != 0)
        return no_memory(word.size, error);
    int32_t count = make_symbols(v, word, w->symbols);
    size_t heap_size;
    if (!make_heap(v, w, count, &heap_size))
        return no_memory(word.size, error);
    int64_t tokens = count;
    struct cancellation_count work = {0};
    while (heap_size > 0) {
        RETURN_ERROR_IF(cancellation_after(&work, 1), error, SMOLLM_ECANCELED, "the text is not wanted any more");
        uint64_t item = w->heap[0];
        w->heap[0] = w->heap[--heap_size];
        if (heap_size > 0)
            heap_sift_down(w->heap, heap_size, 0);
        if (!apply_merge(v, w->symbols, item))
            continue;
        tokens--;
        if (heap_reserve(w, heap_size + 2) != 0)
            return no_memory(word.size, error);
        int32_t position = (int32_t)(item & UINT32_MAX);
        const struct merge_symbol *merged = &w->symbols[position];
        if (merged->previous >= 0)
            push_merge(v, w, &heap_size, merged->previous);
        if (merged->next >= 0)
            push_merge(v, w, &heap_size, position);
    }
    return tokens;
}
