/* smollm decide: a question about a text, answered with probabilities. */
#include "base/error.h"
#include "cli/command.h"
#include "cli/deciding.h"
#include "cli/interrupt.h"
#include "cli/opening.h"
#include "cli/print.h"
#include "cli/prompt_input.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const struct command_help help = {COMMAND_DECIDE,
                                         "decide",
                                         "[MODEL] TEXT",
                                         "Answer a question about a text with probabilities.",
                                         "The model is asked twice, with the options in both orders, and what it would "
                                         "say next is read: nothing is generated. "
                                         "Text piped into stdin is appended to TEXT: cat mail.txt | smollm decide -q "
                                         "\"Which team?\" --choice billing,shipping. "
                                         "Without --choice and --levels the question is answered with yes or no. Small "
                                         "models are often wrong: smollm calibrate "
                                         "tells how often on examples of yours.",
                                         0,
                                         2};

/* "a,b,c" as options; an empty one is refused. */
static int split_options(const char *list, const char *name, struct smollm_option *options, size_t *count,
                         struct smollm_error *error)
{
    for (*count = 0;; list++) {
        const size_t size = strcspn(list, ",");
        RETURN_ERROR_IF(size == 0, error, SMOLLM_EINVAL, "--%s holds an empty text", name);
        RETURN_ERROR_IF(*count == SMOLLM_OPTIONS_MAX, error, SMOLLM_EINVAL, "--%s has more than %d texts", name,
                        SMOLLM_OPTIONS_MAX);
        options[(*count)++] = (struct smollm_option){.text = {list, size}};
        list += size;
        if (!*list)
            return 0;
    }
}

static int read_question(const struct options *options, struct smollm_option *room, struct smollm_question *question,
                         struct smollm_error *error)
{
    *question = (struct smollm_question){.options = deciding_truths, .option_count = 2};
    RETURN_ERROR_IF(!options->question || !*options->question, error, SMOLLM_EINVAL,
                    "--question is missing: what is asked about the text");
    RETURN_ERROR_IF(options->choice && options->levels, error, SMOLLM_EINVAL,
                    "--choice and --levels contradict each other");
    question->instructions = (struct smollm_text){options->question, strlen(options->question)};
    if (!options->choice && !options->levels)
        return 0;
    question->kind = options->choice ? SMOLLM_QUESTION_CHOICE : SMOLLM_QUESTION_SCORE;
    question->options = room;
    const char *name = options->choice ? "choice" : "levels";
    const int status =
        split_options(options->choice ? options->choice : options->levels, name, room, &question->option_count, error);
    RETURN_ERROR_IF(status == 0 && question->option_count < 2, error, SMOLLM_EINVAL,
                    "--%s has one text; at least 2 are needed", name);
    return status;
}

static double expected_level(const double *probabilities, size_t count)
{
    double level = 0;
    for (size_t i = 0; i < count; i++)
        level += (double)i * probabilities[i];
    return level;
}

static void print_json(const struct smollm_question *question, const double *probabilities)
{
    json_t *all = json_object();
    size_t best = 0;
    for (size_t i = 0; i < question->option_count; i++) {
        json_object_setn_new(all, question->options[i].text.data, question->options[i].text.size,
                             json_real(probabilities[i]));
        best = probabilities[i] > probabilities[best] ? i : best;
    }
    json_t *json = json_pack("{s:s%, s:o, s:f}", "answer", question->options[best].text.data,
                             question->options[best].text.size, "probabilities", all, "confidence",
                             smollm_decision_confidence(question->kind, probabilities, question->option_count));
    if (question->kind == SMOLLM_QUESTION_SCORE)
        json_object_set_new(json, "score", json_real(expected_level(probabilities, question->option_count)));
    json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
    putchar('\n');
    json_decref(json);
}

static void print_table(const struct smollm_question *question, const double *probabilities)
{
    for (size_t i = 0; i < question->option_count; i++) {
        printf("%.4f  ", probabilities[i]);
        print_model_text(stdout, question->options[i].text);
        putchar('\n');
    }
    if (question->kind == SMOLLM_QUESTION_SCORE)
        printf("%.4f  of %zu: the expected level\n", expected_level(probabilities, question->option_count),
               question->option_count - 1);
}

static int decide(const struct options *options, const char *model_name, struct smollm_text text,
                  const struct smollm_question *question, struct smollm_error *error)
{
    struct smollm_model *model = NULL;
    struct smollm_engine *engine = NULL;
    struct deciding deciding = {0};
    double probabilities[SMOLLM_OPTIONS_MAX];
    int status = open_model(options, model_name, 1, NULL, &model, error);
    if (status == 0)
        status = start_engine(options, 1, false, model, &engine, error);
    if (status == 0) {
        interrupt_set(INTERRUPT_ASKS_ONCE);
        status = deciding_ask(model, engine, text, question, &deciding, error);
    }
    if (status == 0) {
        deciding_read(&deciding, (double)options->decision_temperature, probabilities);
        if (options->json)
            print_json(question, probabilities);
        else
            print_table(question, probabilities);
    }
    deciding_free(&deciding);
    smollm_engine_close(engine);
    smollm_model_close(model);
    return status;
}

int command_decide(int argc, char **argv)
{
    struct options options;
    int code;
    if (!options_read(&help, argc, argv, &options, &code))
        return code;
    const struct prompt_arguments arguments = prompt_arguments_of(&options);
    struct smollm_error error = {0};
    struct smollm_option room[SMOLLM_OPTIONS_MAX];
    struct smollm_question question;
    struct buffer text = {0};
    if (read_question(&options, room, &question, &error) < 0)
        return print_usage_error("decide", "%s", error.message);
    int status = prompt_read(arguments.text, "smollm decide [MODEL] TEXT --question TEXT", &text, &error);
    if (status == 0)
        status = decide(&options, arguments.model, buffer_text(&text), &question, &error);
    buffer_free(&text);
    return status < 0 ? print_error(&error) : EXIT_DONE;
}
