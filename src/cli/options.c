#include "cli/options.h"

#include "base/file.h"
#include "cli/print.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum kind { FLAG, COUNT, INTEGER, LARGE, SIZE, REAL, STRING, STRINGS };

struct option {
    const char *name;
    const char *brief; /* "-c", or NULL */
    enum kind kind;
    unsigned commands;
    size_t offset;
    const char *argument; /* for --help; a choice list "{a,b}" is also checked */
    double least, most;
    const char *standard; /* the default, as text */
    const char *help;
};

enum {
    WITH_MODEL = COMMAND_SERVE | COMMAND_CHAT | COMMAND_RUN | COMMAND_BENCH | COMMAND_PERPLEXITY,
    WITH_ENGINE = COMMAND_SERVE | COMMAND_CHAT | COMMAND_RUN,
};

#define AT(member) offsetof(struct options, member)

static const struct option options_table[] = {
    {"host", NULL, STRING, COMMAND_SERVE, AT(host), "ADDRESS", 0, 0, "127.0.0.1",
     "address to listen on; another than a loopback address needs an API key"},
    {"port", NULL, COUNT, COMMAND_SERVE, AT(port), "N", 0, 65535, "8080", "port to listen on; 0: any free one"},
    {"api-key", NULL, STRING, COMMAND_SERVE, AT(api_key), "KEY", 0, 0, NULL, "require this key from clients"},
    {"api-key-file", NULL, STRING, COMMAND_SERVE, AT(api_key_file), "FILE", 0, 0, NULL,
     "require one of the keys in FILE, one a line"},
    {"alias", NULL, STRING, COMMAND_SERVE, AT(alias), "NAME", 0, 0, NULL, "name of the model in the API"},
    {"allow-host", NULL, STRINGS, COMMAND_SERVE, AT(allow_hosts), "NAME", 0, 0, NULL,
     "also answer requests for this host name; may be repeated"},
    {"metrics", NULL, FLAG, COMMAND_SERVE, AT(metrics), NULL, 0, 0, NULL, "serve Prometheus metrics at /metrics"},
    {"no-ui", NULL, FLAG, COMMAND_SERVE, AT(no_ui), NULL, 0, 0, NULL, "do not serve the chat page"},
    {"timeout", NULL, COUNT, COMMAND_SERVE, AT(timeout), "SECONDS", 1, 86400, "600",
     "end a stream whose reader has taken nothing for so long"},
    {"log-format", NULL, STRING, COMMAND_SERVE, AT(log_format), "{text,json}", 0, 0, "text", "format of log lines"},

    {"ctx-size", "-c", COUNT, WITH_MODEL | COMMAND_INSPECT, AT(ctx_size), "N", 0, 1 << 24, "0",
     "positions per conversation; 0: the model's, at most 8192"},
    {"parallel", "-np", COUNT, COMMAND_SERVE, AT(parallel), "N", 1, 1024, "4", "conversations served at once"},
    {"kv-memory", NULL, SIZE, COMMAND_SERVE, AT(kv_memory), "SIZE", 0, 1 << 24, "0",
     "memory for the keys and values of all conversations, such as 512M or 4G (no unit: MiB); 0: enough for "
     "--parallel of --ctx-size. With less, answers pause while older ones need the room"},
    {"threads", "-t", COUNT, WITH_MODEL, AT(threads), "N", 0, 1024, "0",
     "threads; 0: as many as processors may be used"},
    {"ubatch-size", "-ub", COUNT, WITH_MODEL, AT(ubatch_size), "N", 1, 8192, "256",
     "tokens of a prompt read in one pass"},
    {"cpu", NULL, STRING, WITH_MODEL | COMMAND_SELFTEST, AT(cpu), "{auto,generic,avx2,avx512vnni,amx}", 0, 0, "auto",
     "kernels to use; the results are the same"},
    {"precise", NULL, STRING, WITH_MODEL, AT(precise), "{auto,on,off}", 0, 0, "auto",
     "activations in two int8 planes instead of one: as good as float; auto: for small models"},
    {"spec", NULL, STRING, WITH_ENGINE, AT(spec), "{auto,off}", 0, 0, "auto",
     "guess tokens ahead where an answer repeats what was said before, as long as it pays; the text is the same"},
    {"cache-type", NULL, STRING, WITH_MODEL | COMMAND_INSPECT, AT(cache_type), "{f16,q8_0}", 0, 0, "f16",
     "keys and values of the conversations; q8_0: int8, half the memory"},
    {"chat-format", NULL, STRING, WITH_ENGINE, AT(chat_format), "NAME", 0, 0, NULL,
     "smollm3, chatml or llama3, instead of the one that the file's template tells"},
    {"rope-scaling", NULL, STRING, WITH_MODEL, AT(rope_scaling), "{none,yarn}", 0, 0, NULL,
     "extend the context; default: as the file says"},
    {"rope-scale", NULL, REAL, WITH_MODEL, AT(rope_scale), "X", 1, 1024, NULL, "factor of the extension (yarn: 2)"},
    {"yarn-orig-ctx", NULL, COUNT, WITH_MODEL, AT(yarn_orig_ctx), "N", 0, 1 << 24, "0",
     "context that the model was trained with; 0: the file's"},

    {"predict", "-n", INTEGER, WITH_ENGINE, AT(predict), "N", -1, 1 << 24, "-1",
     "tokens to generate at most; -1: until the context is full"},
    {"temp", NULL, REAL, WITH_ENGINE, AT(temp), "X", 0, 100, "0.6", "temperature; 0: always the likeliest token"},
    {"top-k", NULL, INTEGER, WITH_ENGINE, AT(top_k), "N", 0, 1 << 24, "0", "of the likeliest N tokens; 0: off"},
    {"top-p", NULL, REAL, WITH_ENGINE, AT(top_p), "X", 0, 1, "0.95", "of the likeliest tokens with this share; 1: off"},
    {"min-p", NULL, REAL, WITH_ENGINE, AT(min_p), "X", 0, 1, "0",
     "of tokens at least so likely, compared with the likeliest; 0: off"},
    {"repeat-penalty", NULL, REAL, WITH_ENGINE, AT(repeat_penalty), "X", 0.01, 100, "1",
     "divide the logits of recent tokens; 1: off"},
    {"repeat-last-n", NULL, INTEGER, WITH_ENGINE, AT(repeat_last_n), "N", -1, 1 << 24, "64",
     "tokens that count as recent; -1: all"},
    {"presence-penalty", NULL, REAL, WITH_ENGINE, AT(presence_penalty), "X", -2, 2, "0",
     "subtracted from the logits of generated tokens"},
    {"frequency-penalty", NULL, REAL, WITH_ENGINE, AT(frequency_penalty), "X", -2, 2, "0",
     "the same for each time that they were generated"},
    {"seed", "-s", LARGE, WITH_ENGINE, AT(seed), "N", -1, 9007199254740991.0, "-1", "of sampling; -1: a random one"},
    {"stop", NULL, STRINGS, COMMAND_RUN, AT(stops), "TEXT", 0, 0, NULL, "end before this text; may be repeated"},

    {"system", NULL, STRING, COMMAND_CHAT | COMMAND_RUN, AT(system), "TEXT", 0, 0, NULL, "system message"},
    {"no-think", NULL, FLAG, COMMAND_CHAT | COMMAND_RUN, AT(no_think), NULL, 0, 0, NULL,
     "answer without thinking first"},
    {"raw", NULL, FLAG, COMMAND_RUN, AT(raw), NULL, 0, 0, NULL,
     "go on with the text itself: no chat template, special tokens parsed"},

    {"json", NULL, FLAG, COMMAND_RUN | COMMAND_BENCH | COMMAND_PERPLEXITY | COMMAND_INSPECT, AT(json), NULL, 0, 0, NULL,
     "print JSON"},
    {"tensors", NULL, FLAG, COMMAND_INSPECT, AT(tensors), NULL, 0, 0, NULL, "list the tensors"},
    {"pieces", NULL, FLAG, COMMAND_TOKENIZE, AT(pieces), NULL, 0, 0, NULL, "print the text of each token too"},
    {"decode", NULL, FLAG, COMMAND_TOKENIZE, AT(decode), NULL, 0, 0, NULL, "from ids to text"},
    {"jsonl", NULL, FLAG, COMMAND_TOKENIZE, AT(jsonl), NULL, 0, 0, NULL,
     "a JSON string a line in, a JSON array of ids a line out; with --decode the other way"},
    {"per-token", NULL, FLAG, COMMAND_PERPLEXITY, AT(per_token), NULL, 0, 0, NULL,
     "print the log-probability of each token"},
    {"reference", NULL, FLAG, COMMAND_PERPLEXITY, AT(reference), NULL, 0, 0, NULL,
     "use the plain float32 forward pass (slow)"},
    {"ids", NULL, STRING, COMMAND_PERPLEXITY, AT(ids), "FILE", 0, 0, NULL,
     "a JSON array of token ids instead of a text"},

    {"stall-seconds", NULL, COUNT, COMMAND_PULL, AT(stall_seconds), "N", 1, 3600, "30",
     "give up a connection that brings nothing for so long"},
    {"pause-seconds", NULL, REAL, COMMAND_PULL, AT(pause_seconds), "X", 0, 60, "1",
     "before the first further attempt; each pause is twice the one before"},

    {"n-prompt", "-p", STRING, COMMAND_BENCH, AT(n_prompt), "N,...", 0, 0, "512", "lengths of prompts to read"},
    {"n-gen", "-n", STRING, COMMAND_BENCH, AT(n_gen), "N,...", 0, 0, "64", "numbers of tokens to generate"},
    {"n-batch", "-b", STRING, COMMAND_BENCH, AT(n_batch), "N,...", 0, 0, "1", "sequences that generate together"},
    {"n-depth", "-d", STRING, COMMAND_BENCH, AT(n_depth), "N,...", 0, 0, "0",
     "positions filled beforehand (with seeded values)"},
    {"repetitions", "-r", COUNT, COMMAND_BENCH, AT(repetitions), "N", 1, 1000, "3", "of each test"},
    {"profile", NULL, FLAG, COMMAND_BENCH, AT(profile), NULL, 0, 0, NULL,
     "time, bytes and multiply-accumulates of each operation, as shares of the limits"},
};
enum { OPTION_COUNT = sizeof options_table / sizeof *options_table };

static void *member(struct options *options, const struct option *option)
{
    return (char *)options + option->offset;
}

/* Whether a text is one of "{a,b,c}"; true for other argument descriptions. */
static bool is_choice(const char *choices, const char *text)
{
    if (!choices || choices[0] != '{')
        return true;
    size_t size = strlen(text);
    for (const char *at = choices + 1; *at && *at != '}';) {
        size_t length = strcspn(at, ",}");
        if (length == size && memcmp(at, text, size) == 0)
            return true;
        at += length + (at[length] == ',');
    }
    return false;
}

/* A size in bytes from "512M", "4G" or a number of MiB, least to most MiB. */
static bool read_size(const struct option *option, const char *text, int64_t *bytes)
{
    static const char units[] = "KMGT";
    char *end = NULL;
    const double number = strtod(text, &end);
    const char *unit = end > text && *end ? strchr(units, toupper((unsigned char)*end)) : units + 1;
    if (end == text || !unit || !*unit || (*end && end[1] && strcasecmp(end + 1, "iB") != 0))
        return false;
    double mebibytes = number / 1024;
    for (const char *u = units; u < unit; u++)
        mebibytes *= 1024;
    if (!(mebibytes >= option->least && mebibytes <= option->most))
        return false;
    *bytes = (int64_t)(mebibytes * 1048576);
    return true;
}

/* Sets one option from text; false with a sentence in message. */
static bool set_option(struct options *options, const struct option *option, const char *text, char message[200])
{
    void *place = member(options, option);
    char *end = NULL;
    errno = 0;
    switch (option->kind) {
    case FLAG:
        *(bool *)place = strcmp(text, "0") != 0 && strcmp(text, "false") != 0;
        return true;
    case STRING:
        if (!is_choice(option->argument, text)) {
            snprintf(message, 200, "--%s is one of %s, not '%s'", option->name, option->argument, text);
            return false;
        }
        *(const char **)place = text;
        return true;
    case STRINGS: {
        uint32_t *count = option->offset == AT(stops) ? &options->stop_count : &options->allow_host_count;
        if (*count == MOST_HOSTS) {
            snprintf(message, 200, "--%s may be given %d times", option->name, MOST_HOSTS);
            return false;
        }
        ((const char **)place)[(*count)++] = text;
        return true;
    }
    case SIZE:
        if (read_size(option, text, place))
            return true;
        snprintf(message, 200, "--%s takes a size such as 512M or 4G, up to %.0fT, not '%s'", option->name,
                 option->most / 1048576, text);
        return false;
    default:
        break;
    }
    double value = option->kind == REAL ? strtod(text, &end) : (double)strtoll(text, &end, 10);
    if (end == text || *end || errno || !(value >= option->least && value <= option->most)) {
        snprintf(message, 200, "--%s takes %s from %.10g to %.10g, not '%s'", option->name,
                 option->kind == REAL ? "a number" : "a whole number", option->least, option->most, text);
        return false;
    }
    if (option->kind == REAL)
        *(float *)place = (float)value;
    else if (option->kind == LARGE)
        *(int64_t *)place = (int64_t)value;
    else if (option->kind == COUNT)
        *(uint32_t *)place = (uint32_t)value;
    else
        *(int32_t *)place = (int32_t)value;
    return true;
}

static const struct option *find_option(unsigned bit, const char *name, size_t size)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = &options_table[i];
        if (!(o->commands & bit))
            continue;
        if (strlen(o->name) == size && memcmp(o->name, name, size) == 0)
            return o;
    }
    return NULL;
}

static const struct option *find_brief(unsigned bit, const char *text)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = &options_table[i];
        if ((o->commands & bit) && o->brief && strcmp(o->brief, text) == 0)
            return o;
    }
    return NULL;
}

static void environment_name(const struct option *option, char name[64])
{
    snprintf(name, 64, "SMOLLM_%s", option->name);
    for (char *c = name; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

static bool read_environment(const struct command_help *command, struct options *options)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = &options_table[i];
        char name[64], message[200];
        environment_name(o, name);
        const char *text = getenv(name);
        if (!(o->commands & command->bit) || !text)
            continue;
        if (!set_option(options, o, text, message)) {
            print_usage_error(command->name, "%s (from %s)", message, name);
            return false;
        }
    }
    return true;
}

/* "name = value" lines; '#' begins a comment. Options of other commands are passed over, unknown names are errors. */
static bool read_config_line(const struct command_help *command, struct options *options, char *line, const char *path,
                             unsigned number)
{
    char message[200];
    line += strspn(line, " \t");
    line[strcspn(line, "\r\n")] = '\0';
    if (*line == '\0' || *line == '#')
        return true;
    size_t size = strcspn(line, " \t=");
    char *value = line + size + strspn(line + size, " \t");
    if (*value == '=')
        value += 1 + strspn(value + 1, " \t");
    for (char *end = value + strlen(value); end > value && (end[-1] == ' ' || end[-1] == '\t'); end--)
        end[-1] = '\0';
    if (size == 5 && memcmp(line, "model", 5) == 0) {
        options->model = value;
        return true;
    }
    if (!find_option(~0u, line, size)) {
        print_usage_error(command->name, "%s, line %u: there is no option %.*s", path, number, (int)size, line);
        return false;
    }
    const struct option *option = find_option(command->bit, line, size);
    if (option && !set_option(options, option, *value ? value : "1", message)) {
        print_usage_error(command->name, "%s, line %u: %s", path, number, message);
        return false;
    }
    return true;
}

static bool read_config(const struct command_help *command, struct options *options)
{
    char path[4096];
    const char *named = getenv("SMOLLM_CONFIG"), *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (named)
        snprintf(path, sizeof path, "%s", named);
    else if (base && *base)
        snprintf(path, sizeof path, "%s/smollm/config", base);
    else if (home)
        snprintf(path, sizeof path, "%s/.config/smollm/config", home);
    else
        return true;
    if (!named && access(path, F_OK) != 0)
        return true;
    struct buffer text = {0};
    struct smollm_error error;
    int status = file_read(path, &text, &error);
    options->config = text.data;
    if (status < 0) {
        print_usage_error(command->name, "%s", error.message);
        return false;
    }
    unsigned number = 0;
    for (char *line = text.data, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (!read_config_line(command, options, line, path, ++number))
            return false;
    }
    return true;
}

static bool read_arguments(const struct command_help *command, int argc, char **argv, struct options *options)
{
    bool only_arguments = false;
    for (int i = 1; i < argc; i++) {
        const char *text = argv[i], *value = NULL;
        if (only_arguments || text[0] != '-' || text[1] == '\0') {
            if (options->argument_count >= command->most_arguments) {
                print_usage_error(command->name, "'%s' is one argument too many (%s)", text,
                                  command->arguments[0] ? command->arguments : "it takes none");
                return false;
            }
            options->arguments[options->argument_count++] = text;
            continue;
        }
        if (strcmp(text, "--") == 0) {
            only_arguments = true;
            continue;
        }
        const struct option *option = NULL;
        if (text[1] == '-') {
            size_t size = strcspn(text + 2, "=");
            option = find_option(command->bit, text + 2, size);
            if (text[2 + size] == '=')
                value = text + 3 + size;
        } else {
            option = find_brief(command->bit, text);
        }
        if (!option) {
            print_usage_error(command->name, "there is no option %s", text);
            return false;
        }
        if (option->kind == FLAG && !value)
            value = "1";
        if (!value) {
            if (i + 1 >= argc) {
                print_usage_error(command->name, "--%s needs a value (%s)", option->name, option->argument);
                return false;
            }
            value = argv[++i];
        }
        char message[200];
        if (!set_option(options, option, value, message)) {
            print_usage_error(command->name, "%s", message);
            return false;
        }
    }
    if (options->argument_count < command->least_arguments) {
        print_usage_error(command->name, "an argument is missing (%s)", command->arguments);
        return false;
    }
    return true;
}

bool options_read(const struct command_help *command, int argc, char **argv, struct options *options, int *exit_code)
{
    *options = (struct options){0};
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            options_print_help(stdout, command);
            *exit_code = 0;
            return false;
        }
    char message[200];
    for (int i = 0; i < OPTION_COUNT; i++)
        if (options_table[i].standard)
            set_option(options, &options_table[i], options_table[i].standard, message);
    *exit_code = 2;
    return read_config(command, options) && read_environment(command, options) &&
           read_arguments(command, argc, argv, options);
}

uint32_t options_list(const struct command_help *command, const char *name, const char *text, uint32_t least,
                      uint32_t most, uint32_t *values, uint32_t room)
{
    uint32_t count = 0;
    for (const char *at = text;;) {
        char *end;
        errno = 0;
        long long value = strtoll(at, &end, 10);
        if (end == at || errno || value < least || value > most || count == room || (*end && *end != ',')) {
            print_usage_error(command->name, "-%s takes up to %u whole numbers from %u to %u with commas, not '%s'",
                              name, room, least, most, text);
            return 0;
        }
        values[count++] = (uint32_t)value;
        if (!*end)
            return count;
        at = end + 1;
    }
}

void options_print_help(FILE *out, const struct command_help *command)
{
    fprintf(out, "usage: smollm %s [OPTIONS] %s\n\n%s.\n", command->name, command->arguments, command->summary);
    if (command->description)
        fprintf(out, "%s\n", command->description);
    fprintf(out, "\n");
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = &options_table[i];
        if (!(o->commands & command->bit))
            continue;
        char left[64];
        int width = snprintf(left, sizeof left, "  %-4s--%s %s", o->brief ? o->brief : "", o->name,
                             o->argument ? o->argument : "");
        fprintf(out, "%s", left);
        if (width > 34)
            fprintf(out, "\n%36s", "");
        else
            fprintf(out, "%*s", 36 - width, "");
        fprintf(out, "%s", o->help);
        if (o->standard && o->kind != FLAG)
            fprintf(out, " [%s]", o->standard);
        fprintf(out, "\n");
    }
    fprintf(out, "\nEvery option can be set in the environment (--ctx-size as SMOLLM_CTX_SIZE) and in the config file\n"
                 "~/.config/smollm/config (\"ctx-size = 4096\"; \"model = NAME\" is the default model).\n");
}

void options_print_roff(FILE *out, enum command_bit bit)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = &options_table[i];
        if (!(o->commands & (unsigned)bit))
            continue;
        fprintf(out, ".TP\n");
        if (o->brief)
            fprintf(out, "\\fB\\%s\\fR, ", o->brief);
        fprintf(out, "\\fB\\-\\-%s\\fR", o->name);
        if (o->argument)
            fprintf(out, " \\fI%s\\fR", o->argument);
        fprintf(out, "\n%s%s%s%s\n", o->help, o->standard && o->kind != FLAG ? " [" : "",
                o->standard && o->kind != FLAG ? o->standard : "", o->standard && o->kind != FLAG ? "]" : "");
    }
}

void options_print_words(FILE *out, enum command_bit bit)
{
    for (int i = 0; i < OPTION_COUNT; i++)
        if (options_table[i].commands & (unsigned)bit)
            fprintf(out, "--%s ", options_table[i].name);
}
