// Log-probabilities that llama.cpp gives the tokens of a sequence: an oracle for make_goldens.py, which compiles it.
// usage: llama_logprobs MODEL [YARN_FACTOR ORIGINAL_CONTEXT] < IDS (white space between) > LOGPROBS (one a line)
#include <llama.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int argc, char **argv)
{
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    std::vector<llama_token> ids;
    for (int id; std::scanf("%d", &id) == 1;)
        ids.push_back(id);
    llama_model *model = llama_model_load_from_file(argv[1], llama_model_default_params());
    llama_context_params params = llama_context_default_params();
    params.n_ctx = (uint32_t)ids.size() + 8;
    params.n_batch = params.n_ubatch = 256;
    params.n_threads = params.n_threads_batch = 2;
    if (argc > 3) {
        params.rope_scaling_type = LLAMA_ROPE_SCALING_TYPE_YARN;
        params.rope_freq_scale = 1.0f / (float)std::atof(argv[2]);
        params.yarn_orig_ctx = (uint32_t)std::atoi(argv[3]);
    }
    llama_context *context = model ? llama_init_from_model(model, params) : nullptr;
    if (!context)
        return 1;
    const int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
    llama_batch batch = llama_batch_init(256, 0, 1);
    for (size_t first = 0; first + 1 < ids.size(); first += 256) {
        batch.n_tokens = 0;
        for (size_t i = first; i + 1 < ids.size() && i < first + 256; i++) {
            const int k = batch.n_tokens++;
            batch.token[k] = ids[i];
            batch.pos[k] = (llama_pos)i;
            batch.n_seq_id[k] = 1;
            batch.seq_id[k][0] = 0;
            batch.logits[k] = 1;
        }
        if (llama_decode(context, batch) != 0)
            return 1;
        for (int k = 0; k < batch.n_tokens; k++) {
            const float *logits = llama_get_logits_ith(context, k);
            double sum = 0, most = logits[0];
            for (int v = 1; v < vocabulary; v++)
                most = std::fmax(most, logits[v]);
            for (int v = 0; v < vocabulary; v++)
                sum += std::exp(logits[v] - most);
            std::printf("%.9g\n", logits[ids[first + (size_t)k + 1]] - most - std::log(sum));
        }
    }
    llama_batch_free(batch);
    llama_free(context);
    llama_model_free(model);
}
