#include "api/shared/native_parts.h"

#include "api/shared/answer_parts.h"
#include "kernel/arithmetic.h"

#include <math.h>

static void write_native(struct json_writer *writer, const struct smollm_token_logprob *token, bool sampled)
{
    json_key_number(writer, "id", token->token);
    json_key_text(writer, "token", token->bytes);
    json_key(writer, "bytes");
    json_bytes(writer, token->bytes);
    if (sampled)
        json_key_decimal(writer, "prob", double_exp((double)token->logprob));
    else
        json_key_decimal(writer, "logprob", answer_logprob(token->logprob));
}

void answer_write_native_token(struct json_writer *writer, const struct smollm_token *token, bool sampled)
{
    json_begin_object(writer);
    write_native(writer, &token->chosen, sampled);
    json_key(writer, sampled ? "top_probs" : "top_logprobs");
    json_begin_array(writer);
    for (size_t i = 0; i < token->top_count; i++) {
        json_begin_object(writer);
        write_native(writer, &token->top[i], sampled);
        json_end_object(writer);
    }
    json_end_array(writer);
    json_end_object(writer);
}

/* -infinity, which forbids a token, is null; with ignore_eos the end token is among them. */
static void write_bias(int32_t token, double bias, struct json_writer *writer)
{
    json_begin_object(writer);
    json_key_decimal(writer, "bias", bias);
    json_key_number(writer, "token", token);
    json_end_object(writer);
}

static void write_biases(const struct generation *generation, struct json_writer *writer)
{
    const struct generation_request *request = &generation->request;
    json_key(writer, "logit_bias");
    json_begin_array(writer);
    for (size_t i = 0; i < request->logit_bias_count; i++)
        write_bias(request->logit_bias[i].token, (double)request->logit_bias[i].bias, writer);
    if (request->ignore_eos && generation->api->info.eos_token >= 0)
        write_bias(generation->api->info.eos_token, -INFINITY, writer);
    json_end_array(writer);
}

static void write_settings(const struct generation *generation, const struct choice *choice, struct json_writer *writer)
{
    const struct generation_request *request = &generation->request;
    const struct smollm_sampling sampling = generation_request_sampling(request, 0), *s = &sampling;
    struct smollm_engine_info info;
    smollm_engine_get_info(generation->api->engine, &info);
    json_key(writer, "generation_settings");
    json_begin_object(writer);
    json_key_word(writer, "model", generation->request.model);
    json_key_unsigned(writer, "n_ctx", info.context);
    json_key_number(writer, "n_predict", request->max_tokens);
    json_key_number(writer, "seed", (int64_t)choice->seed); /* as it was sent */
    json_key_decimal(writer, "temperature", (double)s->temperature);
    json_key_number(writer, "top_k", s->top_k);
    json_key_decimal(writer, "top_p", (double)s->top_p);
    json_key_decimal(writer, "min_p", (double)s->min_p);
    json_key_decimal(writer, "repeat_penalty", (double)s->repetition_penalty);
    json_key_number(writer, "repeat_last_n", s->repetition_window);
    json_key_decimal(writer, "presence_penalty", (double)s->presence_penalty);
    json_key_decimal(writer, "frequency_penalty", (double)s->frequency_penalty);
    json_key_number(writer, "n_probs", request->logprobs > 0 ? request->logprobs : 0);
    json_key_truth(writer, "post_sampling_probs", request->sampled_logprobs);
    json_key_truth(writer, "ignore_eos", request->ignore_eos);
    write_biases(generation, writer);
    json_key_truth(writer, "stream", request->is_stream);
    json_end_object(writer);
}

static const char *stop_type(const struct choice *choice)
{
    if (choice->stop.size > 0)
        return "word";
    return choice->reason == SMOLLM_FINISH_LENGTH ? "limit" : "eos";
}

void answer_write_native_end(const struct generation *generation, const struct choice *choice,
                             struct json_writer *writer)
{
    json_key_word(writer, "model", generation->request.model);
    json_key_number(writer, "id_slot", -1);
    json_key_truth(writer, "stop", true);
    json_key_word(writer, "stop_type", stop_type(choice));
    json_key_text(writer, "stopping_word", buffer_text(&choice->stop));
    json_key_unsigned(writer, "tokens_predicted", choice->usage.completion_tokens);
    json_key_unsigned(writer, "tokens_evaluated", choice->usage.prompt_tokens);
    json_key_unsigned(writer, "tokens_cached", choice->usage.cached_tokens);
    json_key_truth(writer, "truncated", false);
    json_key_truth(writer, "has_new_line", choice->has_new_line);
    json_key_text(writer, "prompt", choice->prompt);
    write_settings(generation, choice, writer);
    answer_write_timings(choice, writer);
}

void answer_write_verbose(const struct generation *generation, const struct choice *choice, struct json_writer *writer)
{
    if (!generation->request.verbose)
        return;
    struct buffer text = generation_join(choice, ITEM_TEXT);
    json_key(writer, "__verbose");
    json_begin_object(writer);
    json_key_number(writer, "index", choice->index);
    json_key_text(writer, "content", buffer_text(&text));
    answer_write_native_end(generation, choice, writer);
    json_end_object(writer);
    writer->out->failed |= text.failed;
    buffer_free(&text);
}
