#include "library/next_turn.h"

#include "base/error.h"
#include "base/memory.h"
#include "chat/chat_parser.h"
#include "library/sized.h"
#include "tokenizer/token_decoder.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct turn {
    struct turn *next;
    struct next_turns *turns;
    struct arena arena; /* the conversation, and later the answer */
    struct smollm_conversation conversation;
    struct smollm_message *messages; /* with room for the answer and what follows it */
    bool offers_tools, starts_in_thinking;
    uint64_t key;
    int32_t *answer; /* [room] */
    size_t count, room;
};

struct next_turns {
    const struct smollm_model *model;
    struct engine *engine;
    pthread_t thread;
    bool stopped; /* the thread is gone, or was never there */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Under the mutex. */
    struct turn *first, *last;
    uint32_t count, max_count; /* of waiting turns */
    bool stopping;
};

/* ---- The copy ---- */

struct copying {
    struct arena *arena;
    bool failed;
};

static struct smollm_text copy_text(struct copying *copying, struct smollm_text text)
{
    char *copy = text.size > 0 ? arena_copy(copying->arena, text.data, text.size) : NULL;
    copying->failed |= text.size > 0 && !copy;
    return copy ? (struct smollm_text){copy, text.size} : (struct smollm_text){"", 0};
}

static struct smollm_text *copy_texts(struct copying *copying, const struct smollm_text *texts, size_t count)
{
    struct smollm_text *copies = arena_array(copying->arena, count + 1, sizeof *copies);
    copying->failed |= !copies;
    for (size_t i = 0; copies && i < count; i++)
        copies[i] = copy_text(copying, texts[i]);
    return copies;
}

static struct smollm_message copy_message(struct copying *copying, const struct smollm_message *message)
{
    struct smollm_tool_call *calls = arena_array(copying->arena, message->tool_call_count + 1, sizeof *calls);
    copying->failed |= !calls;
    for (size_t i = 0; calls && i < message->tool_call_count; i++)
        calls[i] = (struct smollm_tool_call){copy_text(copying, message->tool_calls[i].id),
                                             copy_text(copying, message->tool_calls[i].name),
                                             copy_text(copying, message->tool_calls[i].arguments)};
    return (struct smollm_message){.role = copy_text(copying, message->role),
                                   .content = copy_text(copying, message->content),
                                   .reasoning = copy_text(copying, message->reasoning),
                                   .tool_calls = calls,
                                   .tool_call_count = message->tool_call_count};
}

static bool copy_conversation(struct turn *turn, const struct smollm_conversation *from)
{
    struct copying copying = {.arena = &turn->arena};
    struct smollm_error error;
    if (sized_read(&turn->conversation, sizeof turn->conversation, from, from->size, "smollm_conversation", &error) < 0)
        return false;
    turn->conversation.size = sizeof turn->conversation;
    turn->messages = arena_array(&turn->arena, from->message_count + 2, sizeof *turn->messages);
    copying.failed = !turn->messages;
    for (size_t i = 0; !copying.failed && i < from->message_count; i++)
        turn->messages[i] = copy_message(&copying, &from->messages[i]);
    turn->conversation.messages = turn->messages;
    from = &turn->conversation;
    turn->conversation.tools = copy_texts(&copying, from->tools, from->tool_count);
    turn->conversation.python_tools = copy_texts(&copying, from->python_tools, from->python_tool_count);
    if (from->date) {
        turn->conversation.date = arena_copy(&turn->arena, from->date, strlen(from->date));
        copying.failed |= !turn->conversation.date;
    }
    return !copying.failed;
}

struct turn *turn_create(struct next_turns *turns, const struct smollm_conversation *conversation,
                         const struct prompt_tokens *prompt, uint64_t key, size_t room)
{
    if (conversation->continue_last)
        return NULL;
    struct turn *turn = calloc(1, sizeof *turn);
    if (!turn)
        return NULL;
    turn->turns = turns;
    turn->key = key;
    turn->offers_tools = prompt->offers_tools;
    turn->starts_in_thinking = prompt->starts_in_thinking;
    turn->answer = calloc(room + 1, sizeof *turn->answer);
    turn->room = room;
    if (!turn->answer || !copy_conversation(turn, conversation)) {
        turn_destroy(turn);
        return NULL;
    }
    return turn;
}

void turn_destroy(struct turn *turn)
{
    if (!turn)
        return;
    arena_free(&turn->arena);
    free(turn->answer);
    free(turn);
}

void turn_add(struct turn *turn, int32_t token)
{
    if (turn->count < turn->room)
        turn->answer[turn->count++] = token;
}

/* Under the mutex, with a turn waiting. */
static void take_first(struct next_turns *turns)
{
    turns->first = turns->first->next;
    if (!turns->first)
        turns->last = NULL;
    turns->count--;
}

void turn_finish(struct turn *turn)
{
    struct next_turns *turns = turn->turns;
    pthread_mutex_lock(&turns->mutex);
    const bool taken = !turns->stopping;
    struct turn *dropped = NULL;
    if (taken && turns->count == turns->max_count) {
        /* Answers end faster than their turns are prepared: the oldest is the least likely to be used. */
        dropped = turns->first;
        take_first(turns);
    }
    if (taken) {
        turns->count++;
        if (turns->last)
            turns->last->next = turn;
        else
            turns->first = turn;
        turns->last = turn;
        pthread_cond_signal(&turns->changed);
    }
    pthread_mutex_unlock(&turns->mutex);
    turn_destroy(dropped);
    if (!taken)
        turn_destroy(turn);
}

/* ---- The answer as clients send it back ---- */

enum { CALLS_MAX = 32 };

struct answer {
    struct buffer content;
    struct buffer arguments[CALLS_MAX];
    struct smollm_tool_call calls[CALLS_MAX];
    uint32_t call_count;
    struct copying copying;
};

static void on_chat_event(void *user, const struct chat_event *event)
{
    struct answer *answer = user;
    switch (event->type) {
    case CHAT_EVENT_TEXT:
        buffer_append_text(&answer->content, event->text);
        break;
    case CHAT_EVENT_TOOL_BEGIN:
        if (answer->call_count < CALLS_MAX)
            answer->calls[answer->call_count].name = copy_text(&answer->copying, event->text);
        answer->call_count++;
        break;
    case CHAT_EVENT_TOOL_ARGUMENTS:
        if (answer->call_count <= CALLS_MAX)
            buffer_append_text(&answer->arguments[answer->call_count - 1], event->text);
        break;
    case CHAT_EVENT_THINKING:
    case CHAT_EVENT_TOOL_END:
        break;
    }
}

static void read_answer(const struct smollm_model *model, const struct turn *turn, struct answer *answer)
{
    struct chat_parser parser;
    struct token_decoder decoder = {0};
    struct buffer text = {0};
    chat_parser_init(&parser, model->chat_format, turn->offers_tools, turn->starts_in_thinking);
    for (size_t i = 0; i < turn->count; i++) {
        token_decoder_push(&decoder, tokenizer_token_text(model->tokenizer, turn->answer[i]), &text);
        chat_parser_feed(&parser, text.data, text.size, on_chat_event, answer);
        buffer_clear(&text);
    }
    token_decoder_finish(&decoder, &text);
    chat_parser_feed(&parser, text.data, text.size, on_chat_event, answer);
    chat_parser_finish(&parser, on_chat_event, answer);
    answer->copying.failed |= text.failed;
    buffer_free(&text);
}

/* The number of tokens that the prompts of two next turns have in common: these differ only in the message after the
 * answer. */
static size_t common_tokens(const struct smollm_model *model, struct turn *turn, size_t at, bool after_tools,
                            struct prompt_tokens prompts[2])
{
    /* Two texts that no pre-tokenizer joins with the text before them in the same way. */
    static const char *const followers[] = {"a", "1"};
    struct smollm_error error;
    for (int i = 0; i < 2; i++) {
        turn->messages[at] =
            (struct smollm_message){.role = text_of(after_tools ? "tool" : "user"), .content = text_of(followers[i])};
        struct smollm_request_options options = SMOLLM_REQUEST_OPTIONS_INIT;
        options.conversation = &turn->conversation;
        if (prompt_tokenize(model, &options, UINT32_MAX, &prompts[i], &error) < 0)
            return 0;
    }
    size_t common = 0;
    while (common < prompts[0].ids.count && common < prompts[1].ids.count &&
           prompts[0].ids.data[common] == prompts[1].ids.data[common])
        common++;
    return common;
}

static void read_ahead(struct next_turns *turns, struct turn *turn)
{
    struct answer answer = {.copying.arena = &turn->arena};
    struct prompt_tokens prompts[2] = {{.ids = {0}}, {.ids = {0}}};
    read_answer(turns->model, turn, &answer);
    bool failed = answer.copying.failed || answer.content.failed || answer.call_count > CALLS_MAX;
    for (uint32_t i = 0; !failed && i < answer.call_count; i++) {
        answer.calls[i].arguments = buffer_text(&answer.arguments[i]);
        failed = answer.arguments[i].failed;
    }
    if (!failed) {
        const size_t count = turn->conversation.message_count;
        turn->messages[count] = (struct smollm_message){.role = text_of("assistant"),
                                                        .content = buffer_text(&answer.content),
                                                        .tool_calls = answer.calls,
                                                        .tool_call_count = answer.call_count};
        turn->conversation.message_count = count + 2;
        const size_t common = common_tokens(turns->model, turn, count + 1, answer.call_count > 0, prompts);
        if (common > 0 && common <= UINT32_MAX)
            engine_read_ahead(turns->engine, turn->key, prompts[0].ids.data, (uint32_t)common);
    }
    for (int i = 0; i < 2; i++)
        token_buffer_free(&prompts[i].ids);
    for (int i = 0; i < CALLS_MAX; i++)
        buffer_free(&answer.arguments[i]);
    buffer_free(&answer.content);
}

/* ---- The thread ---- */

static void *turns_main(void *user)
{
    struct next_turns *turns = user;
    pthread_mutex_lock(&turns->mutex);
    for (;;) {
        while (!turns->first && !turns->stopping)
            pthread_cond_wait(&turns->changed, &turns->mutex);
        struct turn *turn = turns->first;
        if (turns->stopping)
            break;
        take_first(turns);
        pthread_mutex_unlock(&turns->mutex);
        read_ahead(turns, turn);
        turn_destroy(turn);
        pthread_mutex_lock(&turns->mutex);
    }
    pthread_mutex_unlock(&turns->mutex);
    return NULL;
}

int next_turns_start(const struct smollm_model *model, struct engine *engine, uint32_t max_count,
                     struct next_turns **result, struct smollm_error *error)
{
    struct next_turns *turns = calloc(1, sizeof *turns);
    RETURN_ERROR_IF(!turns, error, SMOLLM_ENOMEM, "out of memory");
    turns->model = model;
    turns->engine = engine;
    turns->max_count = max_count;
    pthread_mutex_init(&turns->mutex, NULL);
    pthread_cond_init(&turns->changed, NULL);
    const int failed = pthread_create(&turns->thread, NULL, turns_main, turns);
    if (failed) {
        turns->stopped = true;
        next_turns_destroy(turns);
        return error_set(error, SMOLLM_ENOMEM, "cannot start a thread: %s", strerror(failed));
    }
    *result = turns;
    return 0;
}

void next_turns_stop(struct next_turns *turns)
{
    if (!turns || turns->stopped)
        return;
    pthread_mutex_lock(&turns->mutex);
    turns->stopping = true;
    pthread_cond_signal(&turns->changed);
    pthread_mutex_unlock(&turns->mutex);
    pthread_join(turns->thread, NULL);
    turns->stopped = true;
}

void next_turns_destroy(struct next_turns *turns)
{
    if (!turns)
        return;
    next_turns_stop(turns);
    for (struct turn *turn = turns->first, *next; turn; turn = next) {
        next = turn->next;
        turn_destroy(turn);
    }
    pthread_mutex_destroy(&turns->mutex);
    pthread_cond_destroy(&turns->changed);
    free(turns);
}
