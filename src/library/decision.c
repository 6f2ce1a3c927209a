#include "smollm_decision.h"

#include "base/error.h"
#include "base/text.h"
#include "kernel/arithmetic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct tokens {
    int32_t *ids;
    size_t count;
};

struct smollm_decision {
    size_t question_count;
    size_t *option_counts;  /* [question_count] */
    struct tokens *prompts; /* [question_count][SMOLLM_DECISION_ORDERS] */
    int32_t labels[SMOLLM_OPTIONS_MAX];
    size_t label_count;
};

/* ---- Labels ---- */

enum { LABEL_BYTES = 4 };

/* "A" to "Z", then "AA" to "ZZ". */
static void label_text(size_t index, char text[LABEL_BYTES])
{
    const size_t letters = 26, pair = index - letters;
    if (index < letters)
        memcpy(text, (char[LABEL_BYTES]){(char)('A' + index)}, LABEL_BYTES);
    else
        memcpy(text, (char[LABEL_BYTES]){(char)('A' + pair / letters), (char)('A' + pair % letters)}, LABEL_BYTES);
}

/* Those labels that are one token each; `names` says which. A prompt without a chat format ends with a colon, after
 * which words begin with a space. */
static int find_labels(const struct smollm_model *model, bool has_format, struct smollm_decision *decision,
                       size_t names[SMOLLM_OPTIONS_MAX], size_t wanted, struct smollm_error *error)
{
    for (size_t i = 0; i < 26 + 26 * 26 && decision->label_count < wanted; i++) {
        char text[LABEL_BYTES + 1] = " ";
        int32_t *tokens;
        size_t count;
        label_text(i, text + 1);
        int status = smollm_tokenize(model, text_of(text + has_format), NULL, &tokens, &count, error);
        if (status < 0)
            return status;
        if (count == 1) {
            names[decision->label_count] = i;
            decision->labels[decision->label_count++] = tokens[0];
        }
        smollm_free(tokens);
    }
    RETURN_ERROR_IF(decision->label_count < wanted, error, SMOLLM_EINVAL,
                    "a question has %zu options; this model's vocabulary has labels for %zu", wanted,
                    decision->label_count);
    return 0;
}

/* ---- Prompts ---- */

/* "Which team?\n\nA) billing: payments and refunds\nB) shipping\n\nAnswer with a letter only." */
static void write_question(const struct smollm_question *question, const size_t *names, int order, struct buffer *out)
{
    buffer_append_text(out, question->instructions);
    buffer_append_string(out, "\n\n");
    for (size_t i = 0; i < question->option_count; i++) {
        const struct smollm_option *option = &question->options[order == 0 ? i : question->option_count - 1 - i];
        char label[LABEL_BYTES];
        label_text(names[i], label);
        buffer_printf(out, "%s) ", label);
        buffer_append_text(out, option->text);
        if (option->description.size > 0) {
            buffer_append_string(out, ": ");
            buffer_append_text(out, option->description);
        }
        buffer_append_string(out, "\n");
    }
    buffer_append_string(out, "\nAnswer with a letter only.");
}

struct writer {
    const struct smollm_model *model;
    const struct smollm_conversation *about;
    struct smollm_message *messages; /* of about, and one more */
    bool has_format;
    struct smollm_error *error;
};

/* The whole prompt, or with `is_short` one about nothing but the question, which ends with the same tokens. */
static int render(const struct writer *w, struct smollm_text question, bool is_short, struct tokens *out)
{
    struct smollm_message brief[2] = {{.role = text_of("system"), .content = text_of("#")},
                                      {.role = text_of("user"), .content = question}};
    struct smollm_conversation conversation = {.size = sizeof conversation,
                                               .messages = is_short ? brief : w->messages,
                                               .message_count = is_short ? 2 : w->about->message_count + 1,
                                               .thinking = SMOLLM_THINKING_OFF,
                                               .date = w->about->date};
    w->messages[w->about->message_count] = brief[1];
    if (w->has_format)
        return smollm_render(w->model, &conversation, &out->ids, &out->count, w->error);
    struct buffer text = {0};
    for (size_t i = 0; i < conversation.message_count; i++) {
        buffer_append_text(&text, conversation.messages[i].content);
        buffer_append_string(&text, "\n\n");
    }
    buffer_append_string(&text, "Answer:");
    static const struct smollm_tokenize_options options = {.size = sizeof options, .add_special = true};
    int status = text.failed
                     ? error_set(w->error, SMOLLM_ENOMEM, "out of memory for a decision")
                     : smollm_tokenize(w->model, buffer_text(&text), &options, &out->ids, &out->count, w->error);
    buffer_free(&text);
    return status;
}

static size_t common_end(const struct tokens *a, const struct tokens *b)
{
    size_t size = 0;
    while (size < a->count && size < b->count && a->ids[a->count - 1 - size] == b->ids[b->count - 1 - size])
        size++;
    return size;
}

/* The first question's prompt is rendered whole. Of the others only a short one is, because a turn begins with a
 * special token: its tokens do not depend on what stands before. first and first_short: the same question, whole and
 * short. */
static int splice(const struct writer *w, struct smollm_text question, const struct tokens *first,
                  const struct tokens *first_short, struct tokens *out)
{
    const size_t ending = common_end(first, first_short);
    const size_t beginning = first->count - ending, skipped = first_short->count - ending;
    struct tokens brief = {0};
    int status = render(w, question, true, &brief);
    if (status < 0)
        return status;
    if (!w->has_format || brief.count < skipped ||
        memcmp(brief.ids, first_short->ids, skipped * sizeof *brief.ids) != 0) {
        smollm_free(brief.ids);
        return render(w, question, false, out);
    }
    out->count = beginning + brief.count - skipped;
    out->ids = malloc((out->count + 1) * sizeof *out->ids);
    if (out->ids) {
        memcpy(out->ids, first->ids, beginning * sizeof *out->ids);
        memcpy(out->ids + beginning, brief.ids + skipped, (brief.count - skipped) * sizeof *out->ids);
    }
    smollm_free(brief.ids);
    return out->ids ? 0 : error_set(w->error, SMOLLM_ENOMEM, "out of memory for a decision");
}

static int write_prompts(const struct writer *w, const struct smollm_question *questions, const size_t *names,
                         struct smollm_decision *decision)
{
    struct tokens first_short = {0};
    int status = 0;
    for (size_t i = 0; i < decision->question_count * SMOLLM_DECISION_ORDERS && status == 0; i++) {
        struct buffer text = {0};
        write_question(&questions[i / SMOLLM_DECISION_ORDERS], names, (int)(i % SMOLLM_DECISION_ORDERS), &text);
        if (text.failed)
            status = error_set(w->error, SMOLLM_ENOMEM, "out of memory for a decision");
        else if (i > 0)
            status = splice(w, buffer_text(&text), &decision->prompts[0], &first_short, &decision->prompts[i]);
        else if ((status = render(w, buffer_text(&text), false, &decision->prompts[0])) == 0)
            status = render(w, buffer_text(&text), true, &first_short);
        buffer_free(&text);
    }
    smollm_free(first_short.ids);
    return status;
}

static int check(const struct smollm_question *questions, size_t count, size_t *most, struct smollm_error *error)
{
    RETURN_ERROR_IF(count == 0 || count > SMOLLM_QUESTIONS_MAX, error, SMOLLM_EINVAL,
                    "there are %zu questions; 1 to %d are allowed", count, SMOLLM_QUESTIONS_MAX);
    *most = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t options = questions[i].option_count;
        RETURN_ERROR_IF(options < 2 || options > SMOLLM_OPTIONS_MAX, error, SMOLLM_EINVAL,
                        "question %zu has %zu options; 2 to %d are allowed", i + 1, options, SMOLLM_OPTIONS_MAX);
        *most = options > *most ? options : *most;
    }
    return 0;
}

static int fill(struct writer *w, const struct smollm_question *questions, size_t count, size_t most,
                struct smollm_decision *decision)
{
    struct smollm_model_info info;
    size_t names[SMOLLM_OPTIONS_MAX];
    smollm_model_get_info(w->model, &info);
    w->has_format = info.chat_format != NULL;
    w->messages = calloc(w->about->message_count + 1, sizeof *w->messages);
    decision->option_counts = calloc(count, sizeof *decision->option_counts);
    decision->prompts = calloc(count * SMOLLM_DECISION_ORDERS, sizeof *decision->prompts);
    RETURN_ERROR_IF(!w->messages || !decision->option_counts || !decision->prompts, w->error, SMOLLM_ENOMEM,
                    "out of memory for a decision");
    if (w->about->message_count > 0)
        memcpy(w->messages, w->about->messages, w->about->message_count * sizeof *w->messages);
    decision->question_count = count;
    for (size_t i = 0; i < count; i++)
        decision->option_counts[i] = questions[i].option_count;
    const int status = find_labels(w->model, w->has_format, decision, names, most, w->error);
    return status < 0 ? status : write_prompts(w, questions, names, decision);
}

int smollm_decision_create(const struct smollm_model *model, const struct smollm_conversation *about,
                           const struct smollm_question *questions, size_t count, struct smollm_decision **result,
                           struct smollm_error *error)
{
    size_t most;
    *result = NULL;
    int status = check(questions, count, &most, error);
    if (status < 0)
        return status;
    struct smollm_decision *decision = calloc(1, sizeof *decision);
    RETURN_ERROR_IF(!decision, error, SMOLLM_ENOMEM, "out of memory for a decision");
    struct writer writer = {.model = model, .about = about, .error = error};
    status = fill(&writer, questions, count, most, decision);
    free(writer.messages);
    if (status < 0)
        smollm_decision_free(decision);
    else
        *result = decision;
    return status;
}

void smollm_decision_free(struct smollm_decision *decision)
{
    if (!decision)
        return;
    for (size_t i = 0; decision->prompts && i < decision->question_count * SMOLLM_DECISION_ORDERS; i++)
        free(decision->prompts[i].ids);
    free(decision->prompts);
    free(decision->option_counts);
    free(decision);
}

struct smollm_decision_prompt smollm_decision_get_prompt(const struct smollm_decision *decision, size_t question,
                                                         int order)
{
    const struct tokens *prompt = &decision->prompts[question * SMOLLM_DECISION_ORDERS + (size_t)order];
    return (struct smollm_decision_prompt){prompt->ids, prompt->count, decision->labels,
                                           decision->option_counts[question]};
}

/* ---- Answers ---- */

void smollm_decision_read(const struct smollm_decision *decision, size_t question,
                          const float *const scores[SMOLLM_DECISION_ORDERS], double temperature, double *probabilities)
{
    const size_t count = decision->option_counts[question];
    for (size_t i = 0; i < count; i++)
        probabilities[i] = 0;
    for (int order = 0; order < SMOLLM_DECISION_ORDERS; order++) {
        double max = (double)scores[order][0], sum = 0;
        for (size_t i = 1; i < count; i++)
            max = (double)scores[order][i] > max ? (double)scores[order][i] : max;
        for (size_t i = 0; i < count; i++)
            sum += double_exp(((double)scores[order][i] - max) / temperature);
        for (size_t i = 0; i < count; i++)
            probabilities[order == 0 ? i : count - 1 - i] +=
                double_exp(((double)scores[order][i] - max) / temperature) / sum / SMOLLM_DECISION_ORDERS;
    }
}

static size_t likeliest(const double *probabilities, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        best = probabilities[i] > probabilities[best] ? i : best;
    return best;
}

double smollm_decision_confidence(enum smollm_question_kind kind, const double *probabilities, size_t count)
{
    const size_t mode = likeliest(probabilities, count);
    double distance = 0, even = 0;
    if (kind != SMOLLM_QUESTION_SCORE) {
        const double uniform = 1.0 / (double)count, above = (probabilities[mode] - uniform) / (1 - uniform);
        return above > 0 ? above : 0;
    }
    for (size_t i = 0; i < count; i++) {
        distance += probabilities[i] * fabs((double)i - (double)mode);
        even += fabs((double)i - (double)(count - 1) / 2) / (double)count;
    }
    return distance < even ? 1 - distance / even : 0;
}
