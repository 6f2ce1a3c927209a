/* The options of all commands, in one table: parsing, --help, environment (SMOLLM_CTX_SIZE for --ctx-size), the config
 * file, the man page and shell completion are read from it.
 *
 * Order, later wins: defaults, config file, environment, command line. Only the value in force is checked. An empty
 * variable, or an empty value in the file, counts as not given. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "smollm_error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The commands, as bits, so that an option can name those that take it. */
enum command_bit {
    COMMAND_SERVE = 1 << 0,
    COMMAND_CHAT = 1 << 1,
    COMMAND_RUN = 1 << 2,
    COMMAND_BENCH = 1 << 3,
    COMMAND_PERPLEXITY = 1 << 4,
    COMMAND_TOKENIZE = 1 << 5,
    COMMAND_INSPECT = 1 << 6,
    COMMAND_QUANTIZE = 1 << 7,
    COMMAND_PULL = 1 << 8,
    COMMAND_SELFTEST = 1 << 9,
    COMMAND_CONSTRAIN = 1 << 10,
    COMMAND_DECIDE = 1 << 11,
    COMMAND_CALIBRATE = 1 << 12
};

enum { OPTIONS_ARGUMENTS_MAX = 64, OPTIONS_HOSTS_MAX = 16 };

struct options {
    /* serving */
    const char *host;
    uint32_t port;
    const char *api_key;
    const char *api_key_file;
    const char *alias;
    const char *pooling;
    float decision_temperature;
    const char *allow_hosts[OPTIONS_HOSTS_MAX];
    uint32_t allow_host_count;
    const char *allow_origins[OPTIONS_HOSTS_MAX + 1]; /* NULL-terminated */
    uint32_t allow_origin_count;
    uint32_t drain_timeout;
    bool metrics;
    const char *kv_events;
    const char *kv_events_replay;
    const char *kv_events_topic;
    bool no_slots;
    bool no_ui;
    uint32_t timeout; /* seconds without progress of a reader */
    const char *log_format;
    /* model and engine */
    const char *model; /* of the environment or the config file */
    uint32_t ctx_size;
    uint32_t parallel;
    uint32_t threads;
    uint32_t ubatch_size;
    const char *cpu;
    const char *cache_type;
    const char *precise;
    const char *spec;
    int64_t kv_memory; /* bytes */
    const char *chat_format;
    const char *rope_scaling;
    float rope_scale;
    uint32_t yarn_orig_ctx;
    /* sampling */
    int32_t predict;
    float temp;
    int32_t top_k;
    float top_p;
    float min_p;
    float repeat_penalty;
    int32_t repeat_last_n;
    float presence_penalty;
    float frequency_penalty;
    int64_t seed; /* -1: a random one; else these 64 bits */
    const char *stops[OPTIONS_HOSTS_MAX];
    uint32_t stop_count;
    /* conversation */
    const char *system;
    bool no_think;
    bool raw;
    /* the form of the answer */
    const char *schema;
    const char *grammar;
    const char *regex;
    const char *choice;
    const char *levels;
    const char *question;
    /* output and input */
    bool json;
    bool tensors;
    bool pieces;
    bool decode;
    bool jsonl;
    bool trace;
    bool per_token;
    bool reference;
    const char *ids;
    /* pull */
    uint32_t stall_seconds;
    float pause_seconds;
    /* bench */
    const char *n_prompt;
    const char *n_gen;
    const char *n_batch;
    const char *n_depth;
    uint32_t repetitions;
    bool profile;
    /* what is not an option */
    const char *arguments[OPTIONS_ARGUMENTS_MAX];
    uint32_t argument_count;
};

struct command_help {
    enum command_bit bit;
    const char *name;
    const char *arguments; /* "[MODEL] TEXT" */
    const char *summary;
    const char *description; /* further sentences, may be NULL */
    uint32_t min_arguments;
    uint32_t max_arguments;
};

/* Fills options from defaults, config file, environment and argv[1..]. Returns true to go on; otherwise *exit_code says
 * how to end (0 after --help, 2 after a wrong option, with the message printed). Strings are borrowed from argv, the
 * environment and a block that lives as long as the program. */
bool options_read(const struct command_help *command, int argc, char **argv, struct options *options, int *exit_code);

/* A list of numbers such as "1,2,4"; returns how many, or 0 with a usage message printed. */
uint32_t options_list(const struct command_help *command, const char *name, const char *text, uint32_t min,
                      uint32_t max, uint32_t *values, uint32_t room);

/* The option part of --help, of the man page (roff) and of bash completion for one command. */
void options_print_help(FILE *out, const struct command_help *command);
void options_print_roff(FILE *out, enum command_bit bit);
void options_print_words(FILE *out, enum command_bit bit);

#endif
