/* smollm run: one prompt, one answer on stdout. */
#include "base/error.h"
#include "cli/answer.h"
#include "cli/command.h"
#include "cli/form_options.h"
#include "cli/interrupt.h"
#include "cli/opening.h"
#include "cli/print.h"
#include "cli/prompt_input.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command_help help = {
    COMMAND_RUN,
    "run",
    "[MODEL] TEXT",
    "Answer one prompt on stdout.",
    "Text piped into stdin is appended to TEXT, without its last line end: cat notes.txt | smollm run \"Summarize\". "
    "Without TEXT it is the prompt, exactly as it is. Thinking goes to stderr, dimmed, when that is a terminal. On a "
    "terminal, lines are broken between words. --json prints {\"text\", \"reasoning\", \"usage\", \"timings\", "
    "\"finish_reason\", \"seed\"}. When the reader of the output leaves, as head does, the answer ends with exit "
    "status 1.",
    0,
    2};

static const char *reason_name(enum smollm_finish_reason reason)
{
    static const char *const names[] = {"stop", "length", "tool_calls", "cancelled"};
    return names[reason];
}

/* No speed can be computed from one token. */
static double tokens_per_second(uint32_t tokens, double ms)
{
    return tokens > 1 && ms > 0 ? tokens / ms * 1000 : 0.0;
}

static void print_json(const struct answer *answer)
{
    const struct smollm_usage *u = &answer->usage;
    json_t *json =
        json_pack("{s:s%, s:s%, s:{s:i, s:i, s:i, s:{s:i}, s:{s:i}}, s:{s:f, s:f, s:f, s:f, s:f}, s:s, s:I}", "text",
                  answer->text.data ? answer->text.data : "", answer->text.size, "reasoning",
                  answer->reasoning.data ? answer->reasoning.data : "", answer->reasoning.size, "usage",
                  "prompt_tokens", (int)u->prompt_tokens, "completion_tokens", (int)u->completion_tokens,
                  "total_tokens", (int)(u->prompt_tokens + u->completion_tokens), "prompt_tokens_details",
                  "cached_tokens", (int)u->cached_tokens, "completion_tokens_details", "reasoning_tokens",
                  (int)u->reasoning_tokens, "timings", "queue_ms", u->queue_ms, "prompt_ms", u->prompt_ms,
                  "predicted_ms", u->predict_ms, "prompt_per_second", tokens_per_second(u->prompt_tokens, u->prompt_ms),
                  "predicted_per_second", tokens_per_second(u->completion_tokens, u->predict_ms), "finish_reason",
                  reason_name(answer->reason), "seed", (json_int_t)answer->seed);
    json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(json);
}

static int answer_prompt(const struct options *options, struct smollm_engine *engine, struct smollm_text prompt,
                         const struct smollm_form *form, struct answer *answer, struct smollm_error *error)
{
    struct smollm_message messages[2];
    size_t count = 0;
    if (options->system)
        messages[count++] =
            (struct smollm_message){.role = {"system", 6}, .content = {options->system, strlen(options->system)}};
    messages[count++] = (struct smollm_message){.role = {"user", 4}, .content = prompt};
    struct smollm_conversation conversation = {.size = sizeof conversation,
                                               .messages = messages,
                                               .message_count = count,
                                               .thinking =
                                                   options->no_think ? SMOLLM_THINKING_OFF : SMOLLM_THINKING_DEFAULT};
    struct smollm_sampling sampling = sampling_of(options);
    struct smollm_text stops[OPTIONS_HOSTS_MAX];
    for (uint32_t i = 0; i < options->stop_count; i++)
        stops[i] = (struct smollm_text){options->stops[i], strlen(options->stops[i])};
    static const struct smollm_tokenize_options special = {
        .size = sizeof special, .add_special = true, .parse_special = true};
    struct smollm_request_options wanted = {.size = sizeof wanted,
                                            .sampling = &sampling,
                                            .want_progress = true,
                                            .max_tokens = options->predict,
                                            .stop = stops,
                                            .stop_count = options->stop_count,
                                            .form = form};
    if (options->raw) {
        wanted.prompt = prompt;
        wanted.prompt_options = &special;
    } else {
        wanted.conversation = &conversation;
    }
    const struct answer_view view = {.text = options->json ? NULL : stdout,
                                     .thinking = !options->json && isatty(STDERR_FILENO) ? stderr : NULL};
    struct smollm_request *request;
    int status = smollm_submit(engine, &wanted, &request, error);
    if (status < 0)
        return status;
    /* Up to here a signal ends the program at once. */
    interrupt_set(INTERRUPT_ASKS_ONCE);
    status = answer_follow(request, &view, answer, error);
    smollm_request_close(request);
    return status;
}

int command_run(int argc, char **argv)
{
    struct options options;
    int code;
    if (!options_read(&help, argc, argv, &options, &code))
        return code;
    const struct prompt_arguments arguments = prompt_arguments_of(&options);
    struct smollm_error error = {0};
    struct buffer prompt = {0};
    struct answer answer = {0};
    struct form_memory form_memory = {0};
    struct smollm_form form;
    const struct smollm_form *wanted = NULL;
    struct smollm_model *model = NULL;
    struct smollm_engine *engine = NULL;
    int status = form_from_options(&options, &form_memory, &form, &wanted, &error);
    if (status == 0)
        status = prompt_read(arguments.text, "smollm run [MODEL] TEXT", &prompt, &error);
    if (status == 0)
        status = open_model(&options, arguments.model, 1, NULL, &model, &error);
    if (status == 0)
        status = start_engine(&options, 1, false, model, &engine, &error);
    if (status == 0)
        status = answer_prompt(&options, engine, buffer_text(&prompt), wanted, &answer, &error);
    if (status == 0 && options.json)
        print_json(&answer);
    else if (status == 0)
        putchar('\n');
    /* The engine may be in a long pass: do not wait for it. */
    if (status == 0 && answer.reason == SMOLLM_FINISH_CANCELED)
        output_finish_now(interrupt_pending() ? interrupt_exit_code() : EXIT_FAILED);
    smollm_engine_close(engine);
    smollm_model_close(model);
    form_memory_free(&form_memory);
    buffer_free(&prompt);
    answer_free(&answer);
    return status < 0 ? print_error(&error) : EXIT_DONE;
}
