#include "library/tool_forms.h"

#include "base/error.h"
#include "grammar/pool.h"

#include <stdlib.h>

void tool_memory_free(struct tool_memory *memory)
{
    if (memory->pool)
        pool_destroy(memory->pool);
    free(memory->pool);
    free(memory->tools);
    *memory = (struct tool_memory){0};
}

int tool_source(const struct smollm_conversation *c, enum chat_calls calls, struct tool_memory *memory,
                struct grammar_source *source, const struct grammar_source **wanted, struct smollm_error *error)
{
    *wanted = NULL;
    if (c->tool_count == 0)
        return 0;
    memory->tools = calloc(c->tool_count, sizeof *memory->tools);
    memory->pool = calloc(1, sizeof *memory->pool);
    RETURN_ERROR_IF(!memory->tools || !memory->pool, error, SMOLLM_ENOMEM, "out of memory for tools");
    int status = pool_create(memory->pool, error);
    if (status < 0)
        return status;
    pool_allow(memory->pool, UINT64_MAX);
    size_t count = 0;
    for (size_t i = 0; i < c->tool_count; i++) {
        status = grammar_tool_read(memory->pool, c->tools[i], &memory->tools[count], error);
        if (status < 0) {
            error_prefix(error, "tool %zu", i);
            return status;
        }
        count += c->tool_choice != SMOLLM_TOOL_NAMED || text_equal(memory->tools[count].name, c->tool_name);
    }
    RETURN_ERROR_IF(count == 0, error, SMOLLM_EINVAL, "no tool is called '%.*s'",
                    (int)(c->tool_name.size < 100 ? c->tool_name.size : 100), c->tool_name.data);
    *source = (struct grammar_source){.kind = GRAMMAR_TOOLS,
                                      .as_listed = true,
                                      .tools = memory->tools,
                                      .tool_count = count,
                                      .is_bare = calls == CHAT_CALLS_BARE,
                                      .after_marker = c->tool_choice == SMOLLM_TOOL_AUTO,
                                      .several = c->tool_choice == SMOLLM_TOOL_REQUIRED && !c->one_tool_call,
                                      .is_lenient = c->tool_choice == SMOLLM_TOOL_AUTO};
    *wanted = source;
    return 0;
}
