/* Turns that wait to be prepared are bounded: answers may end faster than their conversations can be rendered. */
#include "../../src/library/next_turn.c"

#include "../library/tiny_model.h"
#include "cmocka_all.h"

enum { WAITING = 3, ENDING = 40 };

static void the_oldest_turns_are_dropped(void **state)
{
    char *path = tiny_model_write(false);
    struct smollm_model *model;
    struct smollm_error error;
    if (smollm_model_open(path, NULL, &model, &error) < 0)
        fail_msg("%s", error.message);
    unlink(path);
    free(path);
    /* A thread that has not been started yet: what ends meanwhile waits. */
    struct next_turns turns = {.model = model, .max_count = WAITING, .stopped = true};
    pthread_mutex_init(&turns.mutex, NULL);
    pthread_cond_init(&turns.changed, NULL);
    struct smollm_message message = {.role = {"user", 4}, .content = {"x", 1}};
    struct smollm_conversation conversation = SMOLLM_CONVERSATION_INIT;
    conversation.messages = &message;
    conversation.message_count = 1;
    const struct prompt_tokens prompt = {.is_chat = true};
    for (uint64_t i = 0; i < ENDING; i++) {
        struct turn *turn = turn_create(&turns, &conversation, &prompt, i, 4);
        assert_non_null(turn);
        turn_finish(turn);
        uint32_t waiting = 0;
        for (const struct turn *t = turns.first; t; t = t->next)
            waiting++;
        assert_int_equal(waiting, i + 1 < WAITING ? i + 1 : WAITING);
        assert_int_equal(waiting, turns.count);
        assert_int_equal(turns.last->key, i);
    }
    assert_int_equal(turns.first->key, ENDING - WAITING);
    for (struct turn *turn = turns.first, *next; turn; turn = next) {
        next = turn->next;
        turn_destroy(turn);
    }
    pthread_mutex_destroy(&turns.mutex);
    pthread_cond_destroy(&turns.changed);
    smollm_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_oldest_turns_are_dropped)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
