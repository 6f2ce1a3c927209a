/* smollm run: one prompt, one answer on stdout. */
#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/model_path.h"
#include "cli/opening.h"
#include "cli/print.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command_help help = {
    COMMAND_RUN,
    "run",
    "[MODEL] TEXT",
    "One prompt, one answer on stdout",
    "What is piped into stdin is appended to TEXT: cat notes.txt | smollm run \"Summarise\".\n"
    "Thinking goes to stderr, dimmed, when that is a terminal. --json prints {\"text\", \"reasoning\", \"usage\",\n"
    "\"timings\", \"finish_reason\", \"seed\"}.",
    0,
    2};

/* The text of the command line and of the pipe, a line apart. */
static int read_prompt(const char *text, struct buffer *prompt, struct smollm_error *error)
{
    struct buffer piped = {0};
    int status = 0;
    if (!isatty(STDIN_FILENO))
        status = file_read("-", &piped, error);
    if (text)
        buffer_append_string(prompt, text);
    if (text && piped.size > 0)
        buffer_append_string(prompt, "\n\n");
    buffer_append_text(prompt, buffer_text(&piped));
    buffer_free(&piped);
    if (status == 0 && prompt->size == 0)
        status = error_set(error, SMOLLM_EINVAL, "no prompt: smollm run [MODEL] TEXT");
    if (status == 0 && prompt->failed)
        status = error_set(error, SMOLLM_ENOMEM, "out of memory for the prompt");
    return status;
}

struct answer {
    struct buffer text, reasoning;
    struct smollm_event finish;
};

static void show(const struct options *options, const struct smollm_event *event, struct answer *answer)
{
    bool thinking = event->type == SMOLLM_EVENT_THINKING;
    if (options->json) {
        buffer_append_text(thinking ? &answer->reasoning : &answer->text, event->text);
    } else if (!thinking) {
        print_model_text(stdout, event->text);
        fflush(stdout);
    } else if (isatty(STDERR_FILENO)) {
        print_dimmed(stderr, event->text);
    }
}

static int follow(const struct options *options, struct smollm_request *request, struct answer *answer,
                  struct smollm_error *error)
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
        case SMOLLM_EVENT_TEXT:
            if (thought && !options->json && isatty(STDERR_FILENO))
                fputs("\n\n", stderr);
            thought = false;
            show(options, &event, answer);
            break;
        case SMOLLM_EVENT_THINKING:
            thought = true;
            show(options, &event, answer);
            break;
        case SMOLLM_EVENT_FINISH:
            answer->finish = event;
            return 0;
        case SMOLLM_EVENT_ERROR:
            *error = event.error;
            return event.error.code;
        default:
            break;
        }
    }
}

static const char *reason_name(enum smollm_finish_reason reason)
{
    static const char *const names[] = {"stop", "length", "tool_calls", "cancelled"};
    return names[reason];
}

static void print_json(const struct answer *answer)
{
    const struct smollm_usage *u = &answer->finish.finish.usage;
    double prompt_seconds = u->prompt_ms / 1000, predict_seconds = u->predict_ms / 1000;
    json_t *json = json_pack("{s:s%, s:s%, s:{s:i, s:i, s:i, s:{s:i}, s:{s:i}}, s:{s:f, s:f, s:f, s:f, s:f}, s:s, s:I}",
                             "text", answer->text.data ? answer->text.data : "", answer->text.size, "reasoning",
                             answer->reasoning.data ? answer->reasoning.data : "", answer->reasoning.size, "usage",
                             "prompt_tokens", (int)u->prompt_tokens, "completion_tokens", (int)u->completion_tokens,
                             "total_tokens", (int)(u->prompt_tokens + u->completion_tokens), "prompt_tokens_details",
                             "cached_tokens", (int)u->cached_tokens, "completion_tokens_details", "reasoning_tokens",
                             (int)u->reasoning_tokens, "timings", "queue_ms", u->queue_ms, "prompt_ms", u->prompt_ms,
                             "predicted_ms", u->predict_ms, "prompt_per_second",
                             prompt_seconds > 0 ? u->prompt_tokens / prompt_seconds : 0.0, "predicted_per_second",
                             predict_seconds > 0 ? u->completion_tokens / predict_seconds : 0.0, "finish_reason",
                             reason_name(answer->finish.finish.reason), "seed", (json_int_t)answer->finish.finish.seed);
    json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(json);
}

static int answer_prompt(const struct options *options, struct smollm_engine *engine, struct smollm_text prompt,
                         struct answer *answer, struct smollm_error *error)
{
    struct smollm_message messages[2];
    size_t count = 0;
    if (options->system)
        messages[count++] =
            (struct smollm_message){.role = {"system", 6}, .content = {options->system, strlen(options->system)}};
    messages[count++] = (struct smollm_message){.role = {"user", 4}, .content = prompt};
    struct smollm_conversation conversation = {.size = sizeof(struct smollm_conversation),
                                               .messages = messages,
                                               .message_count = count,
                                               .thinking =
                                                   options->no_think ? SMOLLM_THINKING_OFF : SMOLLM_THINKING_DEFAULT};
    struct smollm_sampling sampling = sampling_of(options);
    struct smollm_text stops[MOST_HOSTS];
    for (uint32_t i = 0; i < options->stop_count; i++)
        stops[i] = (struct smollm_text){options->stops[i], strlen(options->stops[i])};
    static const struct smollm_tokenize_options special = {
        .size = sizeof special, .add_special = true, .parse_special = true};
    struct smollm_request_options wanted = {.size = sizeof(struct smollm_request_options),
                                            .sampling = &sampling,
                                            .max_tokens = options->predict,
                                            .stop = stops,
                                            .stop_count = options->stop_count};
    if (options->raw) {
        wanted.prompt = prompt;
        wanted.prompt_options = &special;
    } else {
        wanted.conversation = &conversation;
    }
    struct smollm_request *request;
    int status = smollm_submit(engine, &wanted, &request, error);
    if (status < 0)
        return status;
    status = follow(options, request, answer, error);
    smollm_request_close(request);
    return status;
}

int command_run(int argc, char **argv)
{
    struct options options;
    int code;
    if (!options_read(&help, argc, argv, &options, &code))
        return code;
    /* One argument is a model only when it names one and the text comes through the pipe. */
    const char *model_name = options.argument_count == 2 ? options.arguments[0] : NULL;
    const char *text = options.argument_count == 2   ? options.arguments[1]
                       : options.argument_count == 1 ? options.arguments[0]
                                                     : NULL;
    if (options.argument_count == 1 && (known_model_find(text) || access(text, R_OK) == 0)) {
        model_name = text;
        text = NULL;
    }
    struct smollm_error error = {0};
    struct buffer prompt = {0};
    struct answer answer = {0};
    struct smollm_model *model = NULL;
    struct smollm_engine *engine = NULL;
    interrupt_hold();
    int status = read_prompt(text, &prompt, &error);
    if (status == 0)
        status = open_model(&options, model_name, &model, &error);
    if (status == 0)
        status = start_engine(&options, 1, false, model, &engine, &error);
    if (status == 0)
        status = answer_prompt(&options, engine, buffer_text(&prompt), &answer, &error);
    if (status == 0 && options.json)
        print_json(&answer);
    else if (status == 0)
        putchar('\n');
    bool canceled = status == 0 && answer.finish.finish.reason == SMOLLM_FINISH_CANCELED;
    smollm_engine_close(engine);
    smollm_model_close(model);
    buffer_free(&prompt);
    buffer_free(&answer.text);
    buffer_free(&answer.reasoning);
    return status < 0 ? print_error(&error) : canceled ? EXIT_INTERRUPTED : EXIT_DONE;
}
