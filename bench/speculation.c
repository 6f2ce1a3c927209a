/* What guessing ahead gains where an answer repeats what stands before it, and what it costs where nothing repeats.
 *
 *     speculation MODEL.gguf [--rounds 5] [--threads N] [--precise auto|on|off] [--only edit,target,prose]
 *
 * edit     A file of about 400 tokens and the order to write it again with one name changed; the model's own answer,
 *          greedy. What a small model answers may be far from the order.
 * target   The same, and the right answer counts as drawn whatever the logits say: models with random weights are
 *          measured with the guesses of a good one. The work of a pass does not depend on what the tokens are.
 * prose    A story, replayed likewise: guesses are few, and fail.
 *
 * Each round runs with guesses off and on, by turns, on two engines with the same weights; figures are medians of the
 * tokens a second behind the first one, and of the ratios within rounds with their range. */
#include "base/error.h"
#include "base/file.h"
#include "base/system_limits.h"
#include "base/thread_pool.h"
#include "library/handles.h"
#include "model/forward.h"

#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXT = 2048, FILE_BYTES = 1350, MAX_ANSWER = 500, PROSE_PROMPT = 150, PROSE_ANSWER = 500, MAX_ROUNDS = 99 };

static const char old_name[] = "read_row", new_name[] = "load_row";

struct task {
    const char *name;
    struct token_buffer prompt, target; /* no target: the model's own tokens */
};

struct run {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool has_ended;
    uint32_t tokens;
    uint64_t hash; /* of the tokens */
    struct engine_account account;
    struct smollm_error error; /* code 0: none */
};

struct outcome {
    double rate[2][MAX_ROUNDS]; /* tokens a second: guesses off, on */
    struct run last[2];
};

static void fail(const struct smollm_error *error)
{
    fprintf(stderr, "speculation: %s\n", error->message);
    exit(1);
}

static bool on_token(void *user, const struct engine_token *token, const struct engine_account *account)
{
    struct run *run = user;
    run->tokens++;
    run->hash = (run->hash ^ (uint64_t)token->id) * 0x100000001b3u;
    return true;
}

static void on_finished(void *user, enum engine_end end, const struct engine_account *account,
                        const struct smollm_error *error)
{
    struct run *run = user;
    pthread_mutex_lock(&run->mutex);
    run->account = *account;
    if (end == ENGINE_END_ERROR)
        run->error = *error;
    run->has_ended = true;
    pthread_cond_signal(&run->changed);
    pthread_mutex_unlock(&run->mutex);
}

/* Tokens a second behind the first. */
static double run_task(const struct smollm_model *model, struct engine *engine, const struct task *task,
                       struct run *run)
{
    *run = (struct run){.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    /* Another owner each time: nothing is guessed from the same answer in an earlier round. */
    static uint64_t key;
    struct engine_request request = {.key = ++key,
                                     .prompt = task->prompt.data,
                                     .prompt_count = (uint32_t)task->prompt.count,
                                     .replay = task->target.data,
                                     .replay_count = (uint32_t)task->target.count,
                                     .max_tokens = task->target.count > 0 ? (uint32_t)task->target.count : MAX_ANSWER,
                                     .sampling = smollm_sampling_default(),
                                     .alternatives = -1,
                                     .end_token = task->target.count > 0 ? NULL : model->end_token,
                                     .client = {.user = run, .token = on_token, .finished = on_finished}};
    request.sampling.temperature = 0.0f;
    struct engine_sequence *sequence;
    struct smollm_error error;
    uint64_t id;
    if (engine_submit(engine, &request, &id, &sequence, &error) < 0)
        fail(&error);
    pthread_mutex_lock(&run->mutex);
    while (!run->has_ended)
        pthread_cond_wait(&run->changed, &run->mutex);
    pthread_mutex_unlock(&run->mutex);
    engine_release(sequence);
    if (run->error.code < 0)
        fail(&run->error);
    return run->tokens > 1 ? (run->tokens - 1) / (account_predict_ms(&run->account, 0) * 1e-3) : 0.0;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const struct smollm_model *model, struct engine *engines[2], const struct task *task,
                    uint32_t rounds)
{
    static struct outcome outcome;
    double ratio[MAX_ROUNDS];
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t turn = 0; turn < 2; turn++) {
            const uint32_t way = (round + turn) % 2;
            outcome.rate[way][round] = run_task(model, engines[way], task, &outcome.last[way]);
        }
        ratio[round] = outcome.rate[1][round] / outcome.rate[0][round];
        if (outcome.last[0].hash != outcome.last[1].hash) {
            fprintf(stderr, "speculation: guesses changed the answer\n");
            exit(1);
        }
    }
    for (uint32_t way = 0; way < 2; way++)
        qsort(outcome.rate[way], rounds, sizeof *outcome.rate[way], compare);
    qsort(ratio, rounds, sizeof *ratio, compare);
    const struct run *run = &outcome.last[1];
    /* A pass makes a token of its own beside those that were guessed; the first token is the prompt's. */
    const uint32_t passes = run->tokens - 1 - run->account.accepted;
    printf("%-8s %7zu %7u %9.2f %9.2f %6.2f (%.2f to %.2f) %10.2f %12.2f\n", task->name, task->prompt.count,
           run->tokens, outcome.rate[0][rounds / 2], outcome.rate[1][rounds / 2], ratio[rounds / 2], ratio[0],
           ratio[rounds - 1], run->account.drafted > 0 ? (double)run->account.accepted / run->account.drafted : 0.0,
           (double)run->account.drafted / passes);
    fflush(stdout);
}

/* ---- Tasks ---- */

static void tokenize(const struct smollm_model *model, struct smollm_text text, struct token_buffer *ids)
{
    struct smollm_error error;
    if (tokenizer_encode_text(model->tokenizer, text, false, ids, &error) < 0)
        fail(&error);
}

static void read_text(const char *name, struct buffer *text)
{
    char path[4096];
    struct smollm_error error;
    snprintf(path, sizeof path, TEXTS "/%s", name);
    if (file_read(path, text, &error) < 0)
        fail(&error);
}

static void make_edit(const struct smollm_model *model, struct task *task)
{
    struct buffer file = {0}, question = {0}, answer = {0};
    read_text("code.txt", &file);
    /* Whole lines. */
    file.size = file.size < FILE_BYTES ? file.size : FILE_BYTES;
    while (file.size > 0 && file.data[file.size - 1] != '\n')
        file.size--;
    buffer_printf(&question, "%.*s\nWrite this file again, complete and without comment, with %s renamed to %s.",
                  (int)file.size, file.data, old_name, new_name);
    for (size_t at = 0; at < file.size;) {
        const bool is_name = text_starts_with((struct smollm_text){file.data + at, file.size - at}, old_name);
        buffer_append(&answer, is_name ? new_name : file.data + at, is_name ? sizeof new_name - 1 : 1);
        at += is_name ? sizeof old_name - 1 : 1;
    }
    const struct smollm_message message = {.role = text_of("user"), .content = buffer_text(&question)};
    const struct smollm_conversation conversation = {.size = sizeof(struct smollm_conversation),
                                                     .messages = &message,
                                                     .message_count = 1,
                                                     .thinking = SMOLLM_THINKING_OFF};
    const struct smollm_request_options options = {.size = sizeof(struct smollm_request_options),
                                                   .max_tokens = -1,
                                                   .conversation = model->chat_format ? &conversation : NULL,
                                                   .prompt = buffer_text(&question)};
    struct prompt_tokens prompt = {0};
    struct smollm_error error;
    if (prompt_tokenize(model, &options, UINT32_MAX, &prompt, &error) < 0)
        fail(&error);
    task->prompt = prompt.ids;
    tokenize(model, buffer_text(&answer), &task->target);
    buffer_free(&file);
    buffer_free(&question);
    buffer_free(&answer);
}

static void make_prose(const struct smollm_model *model, struct task *task)
{
    struct buffer text = {0};
    struct token_buffer all = {0};
    read_text("prose.txt", &text);
    tokenize(model, buffer_text(&text), &all);
    const size_t prompt = all.count / 2 < PROSE_PROMPT ? all.count / 2 : PROSE_PROMPT, rest = all.count - prompt;
    /* Borrowed from one block that lives as long as the program. */
    task->prompt = (struct token_buffer){.data = all.data, .count = prompt};
    task->target = (struct token_buffer){.data = all.data + prompt, .count = rest < PROSE_ANSWER ? rest : PROSE_ANSWER};
    buffer_free(&text);
}

/* ---- Options ---- */

static const char usage[] = "usage: speculation MODEL.gguf [--rounds 5] [--threads N] [--precise auto|on|off] [--only "
                            "edit,target,prose]\n";

struct settings {
    uint32_t rounds, threads;
    const char *precise, *only;
};

static bool read_options(int argc, char **argv, struct settings *settings)
{
    static const struct option names[] = {{"rounds", 1, NULL, 'r'},
                                          {"threads", 1, NULL, 't'},
                                          {"precise", 1, NULL, 'p'},
                                          {"only", 1, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;)
        switch (option) {
        case 'r':
            settings->rounds = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 't':
            settings->threads = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'p':
            settings->precise = optarg;
            break;
        case 'o':
            settings->only = optarg;
            break;
        default:
            return false;
        }
    return optind + 1 == argc && settings->rounds >= 1 && settings->rounds <= MAX_ROUNDS && settings->threads >= 1;
}

int main(int argc, char **argv)
{
    struct settings settings = {.rounds = 5, .threads = system_processors_available(""), .precise = "auto"};
    struct smollm_error error;
    struct smollm_model *model;
    struct engine *engines[2];
    if (!read_options(argc, argv, &settings)) {
        fputs(usage, stderr);
        return 2;
    }
    if (smollm_model_open(argv[optind], NULL, &model, &error) < 0)
        fail(&error);
    struct engine_options options = {
        .context = CONTEXT, .parallel = 1, .queue = 1, .threads = settings.threads, .batch = 256, .tier = model->tier};
    if (precise_parse(settings.precise, model->weights.parameters, &options.planes, &error) < 0)
        fail(&error);
    for (int way = 0; way < 2; way++) {
        options.speculates = way == 1;
        if (engine_create(&model->weights, &options, &engines[way], &error) < 0)
            fail(&error);
    }
    struct task edit = {.name = "target"}, own, prose = {.name = "prose"};
    make_edit(model, &edit);
    make_prose(model, &prose);
    own = (struct task){.name = "edit", .prompt = edit.prompt};
    printf("%-8s %7s %7s %9s %9s %24s %10s %12s\n", "task", "prompt", "answer", "off t/s", "on t/s", "ratio", "right",
           "guesses/pass");
    const struct task *tasks[] = {&own, &edit, &prose};
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
        if (!settings.only || strstr(settings.only, tasks[i]->name))
            measure(model, engines, tasks[i], settings.rounds);
    token_buffer_free(&edit.prompt);
    token_buffer_free(&edit.target);
    token_buffer_free(&prose.prompt);
    engine_destroy(engines[0]);
    engine_destroy(engines[1]);
    smollm_model_close(model);
    return 0;
}
