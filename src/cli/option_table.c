#include "cli/option_table.h"

#include "smollm.h"

#include <ctype.h>
#include <string.h>

enum {
    WITH_ENGINE = COMMAND_SERVE | COMMAND_CHAT | COMMAND_RUN, /* answers with text */
    WITH_DECISIONS = COMMAND_DECIDE | COMMAND_CALIBRATE,
    WITH_MODEL = WITH_ENGINE | WITH_DECISIONS | COMMAND_BENCH | COMMAND_PERPLEXITY,
};

#define AT(member) offsetof(struct options, member)

/* The range of a member of struct smollm_sampling, from smollm.h. */
enum {
#define SAMPLING_INDEX(member, min, max) SAMPLING_##member,
    SMOLLM_SAMPLING_RANGES(SAMPLING_INDEX)
#undef SAMPLING_INDEX
};
#define LIBRARY_RANGE (-1e300)
#define RANGE_OF(member) LIBRARY_RANGE, SAMPLING_##member

const struct option option_table[] = {
    {"host", NULL, OPTION_STRING, COMMAND_SERVE, AT(host), "ADDRESS", 0, 0, "127.0.0.1",
     "address to listen on, or several with commas between; one that other machines can reach needs an API key"},
    {"port", NULL, OPTION_COUNT, COMMAND_SERVE, AT(port), "N", 0, 65535, "8080",
     "port to listen on (0 = any free port)"},
    {"api-key", NULL, OPTION_STRING, COMMAND_SERVE, AT(api_key), "KEY", 0, 0, NULL,
     "clients must send this key; NAME:KEY gives it a name"},
    {"api-key-file", NULL, OPTION_PATH, COMMAND_SERVE, AT(api_key_file), "FILE", 0, 0, NULL,
     "clients must send one of the keys in FILE, one per line: KEY or NAME:KEY"},
    {"alias", NULL, OPTION_STRING, COMMAND_SERVE, AT(alias), "NAME[,NAME...]", 0, 0, NULL,
     "name of the model in the API, and further names for it"},
    {"pooling", NULL, OPTION_STRING, COMMAND_SERVE, AT(pooling), "{last,mean,none}", 0, 0, "mean",
     "what embeddings are made of: the last token's hidden state, or the mean over all tokens; none: a vector for "
     "each"},
    {"decision-temperature", NULL, OPTION_REAL, COMMAND_SERVE | COMMAND_DECIDE, AT(decision_temperature), "T", 0.01,
     100, "1", "temperature of the probabilities of decisions (smollm calibrate fits it)"},
    {"allow-host", NULL, OPTION_STRINGS, COMMAND_SERVE, AT(allow_hosts), "NAME", 0, 0, NULL,
     "also answer requests for this host name; may be repeated"},
    {"allow-origin", NULL, OPTION_STRINGS, COMMAND_SERVE, AT(allow_origins), "ORIGIN", 0, 0, NULL,
     "let pages of this origin use the API, such as https://chat.example.org, or localhost for those of this machine; "
     "may "
     "be repeated"},
    {"metrics", NULL, OPTION_FLAG, COMMAND_SERVE, AT(metrics), NULL, 0, 0, NULL,
     "serve Prometheus metrics at /metrics"},
    {"kv-events", NULL, OPTION_STRING, COMMAND_SERVE, AT(kv_events), "ENDPOINT", 0, 0, NULL,
     "publish over ZeroMQ what the KV cache holds, for schedulers, such as at tcp://127.0.0.1:5557. Whoever can "
     "connect can read conversations from it, as tokens"},
    {"kv-events-replay", NULL, OPTION_STRING, COMMAND_SERVE, AT(kv_events_replay), "ENDPOINT", 0, 0, NULL,
     "send events that a subscriber missed again when it asks at this endpoint"},
    {"kv-events-topic", NULL, OPTION_STRING, COMMAND_SERVE, AT(kv_events_topic), "TOPIC", 0, 0, NULL,
     "first frame of each message, such as kv@POD@MODEL for llm-d (default: empty)"},
    {"no-slots", NULL, OPTION_FLAG, COMMAND_SERVE, AT(no_slots), NULL, 0, 0, NULL,
     "do not show at /slots what each slot is doing"},
    {"no-ui", NULL, OPTION_FLAG, COMMAND_SERVE, AT(no_ui), NULL, 0, 0, NULL, "do not serve the chat page"},
    {"timeout", NULL, OPTION_COUNT, COMMAND_SERVE, AT(timeout), "SECONDS", 1, 86400, "600",
     "end a stream whose client has read nothing for this long"},
    {"drain-timeout", NULL, OPTION_COUNT, COMMAND_SERVE, AT(drain_timeout), "SECONDS", 0, 86400, "6",
     "on SIGTERM, wait up to this long for answers that are under way"},
    {"log-format", NULL, OPTION_STRING, COMMAND_SERVE, AT(log_format), "{text,json}", 0, 0, "text",
     "format of log lines"},

    {"model", NULL, OPTION_PATH, WITH_MODEL | COMMAND_INSPECT | OPTION_SETTING_ONLY, AT(model), "MODEL", 0, 0, NULL,
     "default model"},
    {"ctx-size", "-c", OPTION_COUNT, WITH_MODEL | COMMAND_INSPECT, AT(ctx_size), "N", 0, 1 << 24, "0",
     "context of each conversation in tokens (0 = the model's, up to 8192)"},
    {"parallel", "-np", OPTION_COUNT, COMMAND_SERVE, AT(parallel), "N", 1, 1024, "4", "conversations served at once"},
    {"kv-memory", NULL, OPTION_SIZE, COMMAND_SERVE, AT(kv_memory), "SIZE", 0, 1 << 24, "0",
     "memory for the KV cache of all conversations, such as 512M or 4G (no unit: MiB; 0 = enough for --parallel "
     "conversations of --ctx-size). With less, the newest answers pause while older ones need the memory"},
    {"threads", "-t", OPTION_COUNT, WITH_MODEL, AT(threads), "N", 0, 1024, "0",
     "number of threads (0 = one per available processor)"},
    {"ubatch-size", "-ub", OPTION_COUNT, WITH_MODEL, AT(ubatch_size), "N", 1, 8192, "256",
     "maximum number of prompt tokens in one pass"},
    {"cpu", NULL, OPTION_STRING, WITH_MODEL | COMMAND_SELFTEST, AT(cpu), "{auto,generic,avx2,avx512vnni,amx}", 0, 0,
     "auto", "kernels to use; all give the same results"},
    {"precise", NULL, OPTION_STRING, WITH_MODEL, AT(precise), "{auto,on,off}", 0, 0, "auto",
     "round activations to two int8 planes instead of one, which is as accurate as float (auto = for small models)"},
    {"spec", NULL, OPTION_STRING, WITH_ENGINE, AT(spec), "{auto,off}", 0, 0, "auto",
     "speculate: predict tokens where an answer repeats earlier text, while that is faster; the text is the same"},
    {"cache-type", NULL, OPTION_STRING, WITH_MODEL | COMMAND_INSPECT, AT(cache_type), "{f16,q8_0}", 0, 0, "f16",
     "type of the KV cache; q8_0 is int8 and takes half the memory"},
    {"chat-format", NULL, OPTION_STRING, WITH_ENGINE | WITH_DECISIONS, AT(chat_format), "NAME", 0, 0, NULL,
     "chat format to use instead of the one of the file: smollm3, chatml, llama3, llama3.1 or llama3.2"},
    {"rope-scaling", NULL, OPTION_STRING, WITH_MODEL, AT(rope_scaling), "{none,yarn}", 0, 0, NULL,
     "extend the context (default: as the file says)"},
    {"rope-scale", NULL, OPTION_REAL, WITH_MODEL, AT(rope_scale), "X", 1, 1024, NULL,
     "factor by which the context is extended (yarn: 2)"},
    {"yarn-orig-ctx", NULL, OPTION_COUNT, WITH_MODEL, AT(yarn_orig_ctx), "N", 0, 1 << 24, "0",
     "context the model was trained with (0 = from the file)"},

    {"predict", "-n", OPTION_INTEGER, WITH_ENGINE, AT(predict), "N", -1, 1 << 24, "-1",
     "maximum number of tokens to generate (-1 = until the context is full, 0 = none)"},
    {"temp", NULL, OPTION_REAL, WITH_ENGINE, AT(temp), "X", RANGE_OF(temperature), "0.6",
     "sampling temperature (0 = always the most likely token)"},
    {"top-k", NULL, OPTION_INTEGER, WITH_ENGINE, AT(top_k), "N", RANGE_OF(top_k), "0",
     "sample from the N most likely tokens (0 = off)"},
    {"top-p", NULL, OPTION_REAL, WITH_ENGINE, AT(top_p), "X", RANGE_OF(top_p), "0.95",
     "sample from the most likely tokens whose probabilities add up to X (1 = off)"},
    {"min-p", NULL, OPTION_REAL, WITH_ENGINE, AT(min_p), "X", RANGE_OF(min_p), "0",
     "drop tokens less likely than X times the most likely one (0 = off)"},
    {"repeat-penalty", NULL, OPTION_REAL, WITH_ENGINE, AT(repeat_penalty), "X", RANGE_OF(repetition_penalty), "1",
     "divide the logits of recent tokens by X (1 = off)"},
    {"repeat-last-n", NULL, OPTION_INTEGER, WITH_ENGINE, AT(repeat_last_n), "N", RANGE_OF(repetition_window), "64",
     "number of tokens that count as recent (-1 = all)"},
    {"presence-penalty", NULL, OPTION_REAL, WITH_ENGINE, AT(presence_penalty), "X", RANGE_OF(presence_penalty), "0",
     "subtract X from the logits of tokens already generated"},
    {"frequency-penalty", NULL, OPTION_REAL, WITH_ENGINE, AT(frequency_penalty), "X", RANGE_OF(frequency_penalty), "0",
     "subtract X for each time a token was generated"},
    {"seed", "-s", OPTION_LARGE, WITH_ENGINE, AT(seed), "N", 0, 0, "-1", "seed for sampling (-1 = a random one)"},
    {"stop", NULL, OPTION_STRINGS, COMMAND_RUN, AT(stops), "TEXT", 0, 0, NULL,
     "stop the answer before this text; may be repeated"},

    {"system", NULL, OPTION_STRING, COMMAND_CHAT | COMMAND_RUN, AT(system), "TEXT", 0, 0, NULL, "system message"},
    {"no-think", NULL, OPTION_FLAG, COMMAND_CHAT | COMMAND_RUN, AT(no_think), NULL, 0, 0, NULL,
     "answer without thinking first"},
    {"raw", NULL, OPTION_FLAG, COMMAND_RUN, AT(raw), NULL, 0, 0, NULL,
     "continue the text itself: no chat template, special tokens are recognised"},
    {"schema", NULL, OPTION_PATH, COMMAND_RUN, AT(schema), "FILE", 0, 0, NULL,
     "answer in JSON that this JSON schema allows"},
    {"grammar", NULL, OPTION_PATH, COMMAND_RUN, AT(grammar), "FILE", 0, 0, NULL,
     "answer with text of this grammar (GBNF, as llama.cpp writes it)"},
    {"regex", NULL, OPTION_STRING, COMMAND_RUN, AT(regex), "RE", 0, 0, NULL,
     "answer with text that this regular expression matches as a whole"},
    {"choice", NULL, OPTION_STRING, COMMAND_RUN | COMMAND_DECIDE, AT(choice), "A,B", 0, 0, NULL,
     "answer with one of these texts"},
    {"levels", NULL, OPTION_STRING, COMMAND_DECIDE, AT(levels), "LOW,HIGH", 0, 0, NULL,
     "rate the text on these levels, the lowest first"},
    {"question", "-q", OPTION_STRING, COMMAND_DECIDE, AT(question), "TEXT", 0, 0, NULL,
     "what is asked about the text; without --choice and --levels the answer is yes or no"},

    {"json", NULL, OPTION_FLAG, COMMAND_RUN | COMMAND_BENCH | COMMAND_PERPLEXITY | COMMAND_INSPECT | WITH_DECISIONS,
     AT(json), NULL, 0, 0, NULL, "print JSON"},
    {"tensors", NULL, OPTION_FLAG, COMMAND_INSPECT, AT(tensors), NULL, 0, 0, NULL, "list the tensors"},
    {"pieces", NULL, OPTION_FLAG, COMMAND_TOKENIZE, AT(pieces), NULL, 0, 0, NULL, "also print the text of each token"},
    {"decode", NULL, OPTION_FLAG, COMMAND_TOKENIZE, AT(decode), NULL, 0, 0, NULL, "turn ids into text"},
    {"jsonl", NULL, OPTION_FLAG, COMMAND_TOKENIZE | COMMAND_CONSTRAIN, AT(jsonl), NULL, 0, 0, NULL,
     "read one JSON string per line and print one JSON array of ids per line; with --decode the reverse"},
    {"trace", NULL, OPTION_FLAG, COMMAND_CONSTRAIN, AT(trace), NULL, 0, 0, NULL,
     "also write for each mask how many tokens it allows and the hash of their ids"},
    {"per-token", NULL, OPTION_FLAG, COMMAND_PERPLEXITY, AT(per_token), NULL, 0, 0, NULL,
     "print the log-probability of each token"},
    {"reference", NULL, OPTION_FLAG, COMMAND_PERPLEXITY, AT(reference), NULL, 0, 0, NULL,
     "use the plain float32 forward pass (slow)"},
    {"ids", NULL, OPTION_PATH, COMMAND_PERPLEXITY, AT(ids), "FILE", 0, 0, NULL,
     "score the token ids in FILE, a JSON array, instead of a text"},

    {"stall-seconds", NULL, OPTION_COUNT, COMMAND_PULL, AT(stall_seconds), "N", 1, 3600, "30",
     "give up a connection that has sent nothing for this long"},
    {"pause-seconds", NULL, OPTION_REAL, COMMAND_PULL, AT(pause_seconds), "X", 0, 60, "1",
     "pause before the second attempt; doubles with each attempt"},

    {"n-prompt", "-p", OPTION_STRING, COMMAND_BENCH, AT(n_prompt), "N,...", 0, 0, "512", "prompt lengths to measure"},
    {"n-gen", "-n", OPTION_STRING, COMMAND_BENCH, AT(n_gen), "N,...", 0, 0, "64", "numbers of tokens to generate"},
    {"n-batch", "-b", OPTION_STRING, COMMAND_BENCH, AT(n_batch), "N,...", 0, 0, "1",
     "numbers of sequences that generate together"},
    {"n-depth", "-d", OPTION_STRING, COMMAND_BENCH, AT(n_depth), "N,...", 0, 0, "0",
     "context depths: positions filled beforehand with seeded values"},
    {"repetitions", "-r", OPTION_COUNT, COMMAND_BENCH, AT(repetitions), "N", 1, 1000, "3", "runs of each test"},
    {"profile", NULL, OPTION_FLAG, COMMAND_BENCH, AT(profile), NULL, 0, 0, NULL,
     "show time, bytes and multiply-accumulates of each operation, relative to the limits of this machine"},
};
const unsigned option_count = sizeof option_table / sizeof *option_table;
_Static_assert(sizeof option_table / sizeof *option_table <= OPTIONS_MAX, "raise OPTIONS_MAX");

void option_range(const struct option *option, double *min, double *max)
{
    static const double ranges[][2] = {
#define SAMPLING_RANGE(member, min, max) {min, max},
        SMOLLM_SAMPLING_RANGES(SAMPLING_RANGE)
#undef SAMPLING_RANGE
    };
    const bool is_of_library = option->min == LIBRARY_RANGE;
    *min = is_of_library ? ranges[(int)option->max][0] : option->min;
    *max = is_of_library ? ranges[(int)option->max][1] : option->max;
}

void option_environment_name(const struct option *option, char name[64])
{
    snprintf(name, 64, "SMOLLM_%s", option->name);
    for (char *c = name; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

const struct option *option_find(unsigned commands, const char *name, size_t size)
{
    for (unsigned i = 0; i < option_count; i++) {
        const struct option *o = &option_table[i];
        if ((o->commands & commands) && strlen(o->name) == size && memcmp(o->name, name, size) == 0)
            return o;
    }
    return NULL;
}
