/* smollm chat: a conversation in the terminal. */
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/answer.h"
#include "cli/chat_command.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/line_editor.h"
#include "cli/opening.h"
#include "cli/print.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command_help help = {
    COMMAND_CHAT, "chat", "[MODEL]", "Talk to a model in the terminal.", "/help lists what can be typed inside.", 0, 1};

/* The messages are in an arena until /clear. */
struct chat {
    const struct options *options;
    struct smollm_engine *engine;
    struct smollm_model_info info;
    struct arena arena;
    struct smollm_message *messages;
    size_t count, capacity;
    char *system; /* or NULL */
    enum smollm_thinking thinking;
    struct line_editor *editor;
    bool on_terminal;
};

static bool add_message(struct chat *chat, const char *role, const char *text, size_t size)
{
    if (chat->count == chat->capacity) {
        size_t capacity = chat->capacity ? chat->capacity * 2 : 16;
        struct smollm_message *messages = realloc(chat->messages, capacity * sizeof *messages);
        if (!messages)
            return false;
        chat->messages = messages;
        chat->capacity = capacity;
    }
    char *copy = arena_copy(&chat->arena, text, size);
    if (!copy)
        return false;
    chat->messages[chat->count++] = (struct smollm_message){.role = text_of(role), .content = {copy, size}};
    return true;
}

static void clear(struct chat *chat)
{
    arena_free(&chat->arena);
    chat->count = 0;
    if (chat->system)
        add_message(chat, "system", chat->system, strlen(chat->system));
}

static void print_usage(const struct chat *chat, const struct answer *answer)
{
    const struct smollm_usage *u = &answer->usage;
    const char *note = answer->reason == SMOLLM_FINISH_LENGTH     ? ", cut at the limit"
                       : answer->reason == SMOLLM_FINISH_CANCELED ? ", stopped"
                                                                  : "";
    char line[120], speed[40] = "";
    /* No speed can be computed from one token. */
    if (u->completion_tokens > 1 && u->predict_ms > 0)
        snprintf(speed, sizeof speed, ", %.1f a second", u->completion_tokens / u->predict_ms * 1000);
    int size = snprintf(line, sizeof line, "[%u token%s%s%s]", u->completion_tokens,
                        u->completion_tokens == 1 ? "" : "s", speed, note);
    if (chat->on_terminal)
        print_dimmed(stdout, (struct smollm_text){line, (size_t)size});
}

static bool attend(void *user)
{
    return line_editor_attend(user);
}

static int ask(struct chat *chat, struct answer *answer, struct smollm_error *error)
{
    struct smollm_request *request = NULL;
    struct smollm_sampling sampling = sampling_of(chat->options);
    struct smollm_conversation conversation = {.size = sizeof conversation,
                                               .messages = chat->messages,
                                               .message_count = chat->count,
                                               .thinking = chat->thinking};
    struct smollm_request_options wanted = {.size = sizeof wanted,
                                            .conversation = &conversation,
                                            .sampling = &sampling,
                                            .want_progress = chat->on_terminal,
                                            .max_tokens = chat->options->predict};
    const struct answer_view view = {.text = stdout, .thinking = stdout, .attend = attend, .user = chat->editor};
    int status = smollm_submit(chat->engine, &wanted, &request, error);
    if (status == 0)
        status = answer_follow(request, &view, answer, error);
    smollm_request_close(request);
    return status;
}

/* On a terminal the chat goes on after a Ctrl-C; from a pipe it ends. */
static void forget_interrupt(const struct chat *chat)
{
    if (line_editor_is_terminal(chat->editor))
        interrupt_clear();
}

/* Sends one message and shows the answer. A message that fails is removed again, so that the conversation can go on. */
static void say(struct chat *chat, struct smollm_text text)
{
    struct smollm_error error = {0};
    struct answer answer = {0};
    size_t before = chat->count;
    int status = 0;
    forget_interrupt(chat);
    if (!add_message(chat, "user", text.data, text.size))
        status = error_set(&error, SMOLLM_ENOMEM, "out of memory");
    if (status == 0)
        status = ask(chat, &answer, &error);
    forget_interrupt(chat);
    fputc('\n', stdout);
    if (status == 0) {
        print_usage(chat, &answer);
        fputs(chat->on_terminal ? "\n\n" : "\n", stdout);
    }
    fflush(stdout);
    if (status == 0 && !add_message(chat, "assistant", answer.text.data ? answer.text.data : "", answer.text.size))
        status = error_set(&error, SMOLLM_ENOMEM, "out of memory");
    answer_free(&answer);
    if (status < 0) {
        chat->count = before;
        print_error(&error);
        if (status == SMOLLM_ECONTEXT)
            fprintf(stderr, "The conversation is too long for the context: /clear starts a new one.\n");
    }
}

static void set_system(struct chat *chat, struct smollm_text text)
{
    free(chat->system);
    chat->system = text.size > 0 ? strndup(text.data, text.size) : NULL;
    clear(chat);
    printf("%s\n", chat->system ? "The conversation starts over with this system message."
                                : "The conversation starts over without a system message.");
}

static void set_thinking(struct chat *chat, enum smollm_thinking thinking)
{
    if (!chat->info.chat_format_has_thinking) {
        printf("This model does not think before it answers.\n");
        return;
    }
    chat->thinking = thinking;
    printf("%s\n",
           thinking == SMOLLM_THINKING_ON ? "The model thinks before it answers." : "The model answers at once.");
}

/* Keeps what was typed: it is in the next line again. */
static void explain(struct chat *chat, struct smollm_text line)
{
    size_t size = 0;
    while (size < line.size && size < 40 && !strchr(" \t\n", line.data[size]))
        size++;
    const struct smollm_text word = {line.data, size};
    struct smollm_text unused;
    const bool is_cached = chat_line_read(word, true, &unused) != CHAT_UNCLEAR;
    fputs(is_cached ? "" : "There is no command ", stdout);
    print_foreign(stdout, word);
    fputs(is_cached ? " takes no text after it" : " (/help lists them)", stdout);
    fputs(". To send this as text, begin with //\n", stdout);
    line_editor_put_back(chat->editor, line);
}

/* False to leave. */
static bool obey(struct chat *chat, struct smollm_text line)
{
    struct smollm_text text;
    switch (chat_line_read(line, line_editor_is_terminal(chat->editor), &text)) {
    case CHAT_MESSAGE:
        if (strspn(line.data, " \t\n") < line.size)
            say(chat, text);
        break;
    case CHAT_HELP:
        fputs(chat_help, stdout);
        break;
    case CHAT_CLEAR:
        clear(chat);
        printf("The conversation is cleared.\n");
        break;
    case CHAT_SYSTEM:
        set_system(chat, text);
        break;
    case CHAT_THINK:
        set_thinking(chat, SMOLLM_THINKING_ON);
        break;
    case CHAT_NO_THINK:
        set_thinking(chat, SMOLLM_THINKING_OFF);
        break;
    case CHAT_UNCLEAR:
        explain(chat, line);
        break;
    case CHAT_QUIT:
        return false;
    }
    return true;
}

static int converse(struct chat *chat)
{
    chat->editor = line_editor_create("> ");
    if (!chat->editor)
        return SMOLLM_ENOMEM;
    if (chat->on_terminal) {
        print_foreign(stdout, text_of(chat->info.name));
        fputs(". /help tells what can be typed.\n\n", stdout);
    }
    for (struct smollm_text line; !interrupt_is_end() && !output_is_lost() && line_editor_read(chat->editor, &line);)
        if (!obey(chat, line))
            break;
    line_editor_destroy(chat->editor);
    return 0;
}

int command_chat(int argc, char **argv)
{
    struct options options;
    int code;
    if (!options_read(&help, argc, argv, &options, &code))
        return code;
    struct smollm_error error = {0};
    struct smollm_model *model = NULL;
    struct chat chat = {.options = &options, .on_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)};
    int status =
        open_model(&options, options.argument_count > 0 ? options.arguments[0] : NULL, 1, NULL, &model, &error);
    if (status == 0)
        status = start_engine(&options, 1, true, model, &chat.engine, &error);
    if (status == 0) {
        smollm_model_get_info(model, &chat.info);
        chat.thinking = options.no_think ? SMOLLM_THINKING_OFF : SMOLLM_THINKING_DEFAULT;
        chat.system = options.system ? strdup(options.system) : NULL;
        clear(&chat);
        interrupt_set(INTERRUPT_ASKS);
        status = converse(&chat);
        /* Everything is saved, and the engine may be in a long pass: do not wait for it. */
        if (interrupt_pending())
            output_finish_now(interrupt_exit_code());
    }
    smollm_engine_close(chat.engine);
    smollm_model_close(model);
    arena_free(&chat.arena);
    free(chat.messages);
    free(chat.system);
    return status < 0 ? print_error(&error) : EXIT_DONE;
}
