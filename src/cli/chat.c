/* smollm chat: a conversation in the terminal. */
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/line_editor.h"
#include "cli/opening.h"
#include "cli/print.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command_help help = {
    COMMAND_CHAT, "chat", "[MODEL]", "Talk to a model in the terminal", "Inside, /help lists what can be typed.", 0, 1};

static const char inside_help[] = "/help          this\n"
                                  "/clear         forget the conversation\n"
                                  "/system TEXT   set the system message (nothing: remove it) and begin anew\n"
                                  "/think         let the model think before it answers\n"
                                  "/no_think      answer at once\n"
                                  "/quit          leave (also Ctrl-D)\n"
                                  "Ctrl-C stops an answer. A line that ends with \\ goes on with the next one.\n";

/* What is said lives in an arena until /clear. */
struct chat {
    const struct options *options;
    struct smollm_engine *engine;
    struct smollm_model_info info;
    struct arena arena;
    struct smollm_message *messages;
    size_t count, capacity;
    char *system; /* or NULL */
    enum smollm_thinking thinking;
    struct buffer answer;
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

static void print_usage(const struct chat *chat, const struct smollm_event *event)
{
    const struct smollm_usage *u = &event->finish.usage;
    const char *note = event->finish.reason == SMOLLM_FINISH_LENGTH     ? ", cut at the limit"
                       : event->finish.reason == SMOLLM_FINISH_CANCELED ? ", stopped"
                                                                        : "";
    char line[120];
    int size = snprintf(line, sizeof line, "[%u tokens, %.1f a second%s]", u->completion_tokens,
                        u->predict_ms > 0 ? u->completion_tokens / u->predict_ms * 1000 : 0.0, note);
    if (chat->on_terminal)
        print_dimmed(stdout, (struct smollm_text){line, (size_t)size});
}

/* Shows the answer as it comes and keeps its text. */
static int follow(struct chat *chat, struct smollm_request *request, struct smollm_error *error)
{
    bool thought = false;
    for (;;) {
        struct smollm_event event;
        int status = smollm_next_event(request, 100, &event);
        if (interrupt_pending())
            smollm_cancel(request);
        if (status == SMOLLM_ETIMEDOUT)
            continue;
        if (status < 0)
            return error_set(error, status, "the answer ended without a reason");
        switch (event.type) {
        case SMOLLM_EVENT_THINKING:
            print_dimmed(stdout, event.text);
            thought = true;
            break;
        case SMOLLM_EVENT_TEXT:
            if (thought)
                fputs("\n\n", stdout);
            thought = false;
            print_model_text(stdout, event.text);
            buffer_append_text(&chat->answer, event.text);
            fflush(stdout);
            break;
        case SMOLLM_EVENT_FINISH:
            fputc('\n', stdout);
            print_usage(chat, &event);
            fputs(chat->on_terminal ? "\n\n" : "\n", stdout);
            fflush(stdout);
            return 0;
        case SMOLLM_EVENT_ERROR:
            fputc('\n', stdout);
            *error = event.error;
            return event.error.code;
        default:
            break;
        }
    }
}

/* Says one thing and shows the answer. What cannot be said is taken back, so that the conversation can go on. */
static void say(struct chat *chat, const char *text)
{
    struct smollm_error error = {0};
    struct smollm_request *request = NULL;
    struct smollm_sampling sampling = sampling_of(chat->options);
    size_t before = chat->count;
    int status = 0;
    buffer_clear(&chat->answer);
    if (!add_message(chat, "user", text, strlen(text)))
        status = error_set(&error, SMOLLM_ENOMEM, "out of memory");
    struct smollm_conversation conversation = {.size = sizeof(struct smollm_conversation),
                                               .messages = chat->messages,
                                               .message_count = chat->count,
                                               .thinking = chat->thinking};
    struct smollm_request_options wanted = {.size = sizeof(struct smollm_request_options),
                                            .conversation = &conversation,
                                            .sampling = &sampling,
                                            .max_tokens = chat->options->predict};
    if (status == 0)
        status = smollm_submit(chat->engine, &wanted, &request, &error);
    if (status == 0)
        status = follow(chat, request, &error);
    smollm_request_close(request);
    interrupt_clear();
    if (status == 0 && !add_message(chat, "assistant", chat->answer.data ? chat->answer.data : "", chat->answer.size))
        status = error_set(&error, SMOLLM_ENOMEM, "out of memory");
    if (status < 0) {
        chat->count = before;
        print_error(&error);
        if (status == SMOLLM_ECONTEXT)
            fprintf(stderr, "The conversation has become too long: /clear begins a new one.\n");
    }
}

static void set_system(struct chat *chat, const char *text)
{
    text += strspn(text, " \t");
    free(chat->system);
    chat->system = *text ? strdup(text) : NULL;
    clear(chat);
    printf("%s\n", chat->system ? "The conversation begins anew with this system message."
                                : "The conversation begins anew without a system message.");
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

/* Obeys a line that begins with '/'; false to leave. */
static bool obey(struct chat *chat, const char *line)
{
    struct smollm_text word = {line, strcspn(line, " \t")};
    if (text_is(word, "/quit") || text_is(word, "/exit"))
        return false;
    if (text_is(word, "/help")) {
        fputs(inside_help, stdout);
    } else if (text_is(word, "/clear")) {
        clear(chat);
        printf("The conversation is forgotten.\n");
    } else if (text_is(word, "/system")) {
        set_system(chat, line + word.size);
    } else if (text_is(word, "/think")) {
        set_thinking(chat, SMOLLM_THINKING_ON);
    } else if (text_is(word, "/no_think")) {
        set_thinking(chat, SMOLLM_THINKING_OFF);
    } else {
        printf("There is no %.*s; /help lists what there is.\n", (int)(word.size < 40 ? word.size : 40), line);
    }
    return true;
}

static int converse(struct chat *chat)
{
    struct line_editor *editor = line_editor_create("> ");
    if (!editor)
        return SMOLLM_ENOMEM;
    if (chat->on_terminal)
        printf("%s. /help tells what can be typed.\n\n", chat->info.name);
    for (const char *line; (line = line_editor_read(editor));) {
        line += strspn(line, " \t");
        if (*line == '/' && !obey(chat, line))
            break;
        if (*line && *line != '/')
            say(chat, line);
    }
    line_editor_destroy(editor);
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
    interrupt_hold();
    int status = open_model(&options, options.argument_count > 0 ? options.arguments[0] : NULL, &model, &error);
    if (status == 0)
        status = start_engine(&options, 1, true, model, &chat.engine, &error);
    if (status == 0) {
        smollm_model_get_info(model, &chat.info);
        chat.thinking = options.no_think ? SMOLLM_THINKING_OFF : SMOLLM_THINKING_DEFAULT;
        chat.system = options.system ? strdup(options.system) : NULL;
        clear(&chat);
        status = converse(&chat);
    }
    smollm_engine_close(chat.engine);
    smollm_model_close(model);
    arena_free(&chat.arena);
    free(chat.messages);
    free(chat.system);
    buffer_free(&chat.answer);
    return status < 0 ? print_error(&error) : EXIT_DONE;
}
