/* smollm calibrate: how good decisions are on labeled examples, and the temperature that fits their probabilities. */
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/deciding.h"
#include "cli/interrupt.h"
#include "cli/opening.h"
#include "cli/print.h"
#include "kernel/arithmetic.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct command_help help = {
    COMMAND_CALIBRATE,
    "calibrate",
    "[MODEL] FILE",
    "Fit the temperature of decisions to labeled examples, and report how often the model is right.",
    "FILE has a JSON object on each line: {\"text\": \"...\", \"question\": \"...\", \"choices\": [\"a\", \"b\"], "
    "\"answer\": \"a\"}; \"levels\" instead of choices rate, and without either the answer is true or false. The "
    "temperature is the one with the smallest log loss; give it to smollm serve as --decision-temperature.",
    1,
    2};

enum { EXAMPLES_MAX = 100000 };

struct example {
    struct deciding asked;
    size_t answer;
};

struct examples {
    struct example *list;
    size_t count, room;
};

/* ---- Reading ---- */

/* One line, and what its question borrows from it. */
struct line {
    json_t *json;
    struct smollm_text text;
    struct smollm_option options[SMOLLM_OPTIONS_MAX];
    struct smollm_question question;
    size_t answer;
};

static struct smollm_text string_of(const json_t *value)
{
    return (struct smollm_text){json_string_value(value), json_string_length(value)};
}

static int read_options(struct line *line, size_t number, struct smollm_error *error)
{
    const json_t *choices = json_object_get(line->json, "choices"), *levels = json_object_get(line->json, "levels");
    const json_t *list = choices ? choices : levels, *answer = json_object_get(line->json, "answer");
    if (!list) {
        RETURN_ERROR_IF(!json_is_boolean(answer), error, SMOLLM_EINVAL, "line %zu: answer must be true or false",
                        number);
        line->question.options = deciding_truths;
        line->question.option_count = 2;
        line->answer = json_is_true(answer) ? 0 : 1;
        return 0;
    }
    const size_t count = json_array_size(list);
    RETURN_ERROR_IF(count < 2 || count > SMOLLM_OPTIONS_MAX, error, SMOLLM_EINVAL,
                    "line %zu: %s must be an array of 2 to %d strings", number, choices ? "choices" : "levels",
                    SMOLLM_OPTIONS_MAX);
    line->question.kind = choices ? SMOLLM_QUESTION_CHOICE : SMOLLM_QUESTION_SCORE;
    line->question.options = line->options;
    line->question.option_count = count;
    line->answer = count;
    for (size_t i = 0; i < count; i++) {
        line->options[i] = (struct smollm_option){.text = string_of(json_array_get(list, i))};
        RETURN_ERROR_IF(line->options[i].text.size == 0, error, SMOLLM_EINVAL, "line %zu: option %zu is not a string",
                        number, i + 1);
        if (json_is_string(answer) && text_equal(line->options[i].text, string_of(answer)))
            line->answer = i;
    }
    RETURN_ERROR_IF(line->answer == count, error, SMOLLM_EINVAL, "line %zu: answer is none of the options", number);
    return 0;
}

/* The caller frees line->json with json_decref, on failure too. */
static int read_line(const char *text, size_t number, struct line *line, struct smollm_error *error)
{
    json_error_t cause;
    memset(line, 0, sizeof *line);
    line->json = json_loads(text, 0, &cause);
    RETURN_ERROR_IF(!json_is_object(line->json), error, SMOLLM_EINVAL, "line %zu is not a JSON object", number);
    line->text = string_of(json_object_get(line->json, "text"));
    line->question.instructions = string_of(json_object_get(line->json, "question"));
    RETURN_ERROR_IF(line->text.size == 0 || line->question.instructions.size == 0, error, SMOLLM_EINVAL,
                    "line %zu needs a text and a question", number);
    return read_options(line, number, error);
}

static struct example *add_example(struct examples *examples)
{
    if (examples->count == examples->room) {
        const size_t room = examples->room * 2 + 64;
        struct example *grown = realloc(examples->list, room * sizeof *grown);
        if (!grown)
            return NULL;
        examples->list = grown;
        examples->room = room;
    }
    examples->list[examples->count] = (struct example){0};
    return &examples->list[examples->count++];
}

static int ask_all(char *text, const struct smollm_model *model, struct smollm_engine *engine,
                   struct examples *examples, struct smollm_error *error)
{
    int status = 0;
    char *rest = text, *row;
    struct line *line = malloc(sizeof *line);
    RETURN_ERROR_IF(!line, error, SMOLLM_ENOMEM, "out of memory");
    for (size_t number = 1; status == 0 && (row = strsep(&rest, "\n")); number++) {
        if (row[strspn(row, " \t\r")] == '\0')
            continue;
        struct example *example = NULL;
        status = read_line(row, number, line, error);
        if (status == 0 && (examples->count == EXAMPLES_MAX || !(example = add_example(examples))))
            status = error_set(error, SMOLLM_ENOMEM, "no room for more than %zu examples", examples->count);
        if (status == 0) {
            example->answer = line->answer;
            status = deciding_ask(model, engine, line->text, &line->question, &example->asked, error);
        }
        json_decref(line->json);
    }
    free(line);
    if (status == 0 && examples->count == 0)
        status = error_set(error, SMOLLM_EINVAL, "there are no examples");
    return status;
}

/* ---- Fitting ---- */

/* The mean log loss at a temperature; *right: how many answers are the likeliest. */
static double log_loss(const struct examples *examples, double temperature, size_t *right)
{
    static const double floor_of_probability = 1e-12;
    double probabilities[SMOLLM_OPTIONS_MAX], sum = 0;
    *right = 0;
    for (size_t i = 0; i < examples->count; i++) {
        const struct example *example = &examples->list[i];
        size_t best = 0;
        deciding_read(&example->asked, temperature, probabilities);
        for (size_t j = 1; j < example->asked.option_count; j++)
            best = probabilities[j] > probabilities[best] ? j : best;
        *right += best == example->answer;
        const double p = probabilities[example->answer];
        sum -= double_log(p > floor_of_probability ? p : floor_of_probability);
    }
    return sum / (double)examples->count;
}

/* Golden section search over the logarithm of the temperature (J. Kiefer, 1953). */
static double fit_temperature(const struct examples *examples)
{
    const double golden = (sqrt(5) - 1) / 2;
    double low = double_log(0.05), high = double_log(50);
    size_t right;
    for (int step = 0; step < 60; step++) {
        const double a = high - golden * (high - low), b = low + golden * (high - low);
        if (log_loss(examples, double_exp(a), &right) < log_loss(examples, double_exp(b), &right))
            high = b;
        else
            low = a;
    }
    return double_exp((low + high) / 2);
}

/* ---- The command ---- */

static void report(const struct examples *examples, bool is_json)
{
    const double temperature = fit_temperature(examples);
    size_t right, right_fitted;
    const double before = log_loss(examples, 1, &right), after = log_loss(examples, temperature, &right_fitted);
    const double accuracy = (double)right_fitted / (double)examples->count;
    double chance = 0;
    for (size_t i = 0; i < examples->count; i++)
        chance += 1.0 / (double)examples->list[i].asked.option_count / (double)examples->count;
    if (is_json) {
        printf("{\"examples\":%zu,\"accuracy\":%.6f,\"chance\":%.6f,\"log_loss\":%.6f,\"log_loss_fitted\":%.6f,"
               "\"temperature\":%.4f}\n",
               examples->count, accuracy, chance, before, after, temperature);
        return;
    }
    printf("examples     %zu\naccuracy     %.3f (by chance %.3f)\nlog loss     %.4f at temperature 1, %.4f at %.2f\n"
           "temperature  %.2f (smollm serve --decision-temperature %.2f)\n",
           examples->count, accuracy, chance, before, after, temperature, temperature, temperature);
}

int command_calibrate(int argc, char **argv)
{
    struct options options;
    int code;
    if (!options_read(&help, argc, argv, &options, &code))
        return code;
    const char *model_name = options.argument_count == 2 ? options.arguments[0] : NULL;
    struct smollm_error error = {0};
    struct buffer file = {0};
    struct examples examples = {0};
    struct smollm_model *model = NULL;
    struct smollm_engine *engine = NULL;
    int status = file_read(options.arguments[options.argument_count - 1], &file, &error);
    if (status == 0)
        status = open_model(&options, model_name, 1, NULL, &model, &error);
    if (status == 0)
        status = start_engine(&options, 1, false, model, &engine, &error);
    if (status == 0) {
        interrupt_set(INTERRUPT_ASKS_ONCE);
        status = ask_all(file.data ? file.data : (char[]){""}, model, engine, &examples, &error);
    }
    if (status == 0)
        report(&examples, options.json);
    for (size_t i = 0; i < examples.count; i++)
        deciding_free(&examples.list[i].asked);
    free(examples.list);
    smollm_engine_close(engine);
    smollm_model_close(model);
    buffer_free(&file);
    return status < 0 ? print_error(&error) : EXIT_DONE;
}
