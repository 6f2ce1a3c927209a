#include "cli/options.h"

#include "base/file.h"
#include "base/text.h"
#include "cli/option_table.h"
#include "cli/print.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { MESSAGE = 300 };

/* The source of a value; later ones take precedence. */
enum source { DEFAULTS, CONFIG, ENVIRONMENT, COMMAND_LINE };

struct reading {
    const struct command_help *command;
    struct options *options;
    enum source sources[OPTIONS_MAX];
    char path[4096]; /* of the config file */
};

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

/* A size in bytes from "512M", "4G" or a number of MiB, min to max MiB. */
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
    if (!(mebibytes >= option->min && mebibytes <= option->max))
        return false;
    *bytes = (int64_t)(mebibytes * 1048576);
    return true;
}

/* 1, true, on, yes and their opposites, in any case. */
static bool read_flag(const char *text, bool *value)
{
    static const char *const words[2][4] = {{"0", "false", "off", "no"}, {"1", "true", "on", "yes"}};
    for (int i = 0; i < 8; i++)
        if (strcasecmp(text, words[i / 4][i % 4]) == 0) {
            *value = i >= 4;
            return true;
        }
    return false;
}

/* Text kept for the life of the program. */
static const char *keep_home_path(const char *text)
{
    static struct buffer kept[OPTIONS_MAX];
    static unsigned count;
    const char *home = getenv("HOME");
    if (strncmp(text, "~/", 2) != 0 || !home || !*home || count == OPTIONS_MAX)
        return text;
    buffer_printf(&kept[count], "%s%s", home, text + 1);
    return kept[count].failed ? text : kept[count++].data;
}

static bool add_string(struct options *options, const struct option *option, const char *text, char message[MESSAGE])
{
    uint32_t *count = option->offset == offsetof(struct options, stops)         ? &options->stop_count
                      : option->offset == offsetof(struct options, allow_hosts) ? &options->allow_host_count
                                                                                : &options->allow_origin_count;
    if (*count == OPTIONS_HOSTS_MAX) {
        snprintf(message, MESSAGE, "--%s can be given at most %d times", option->name, OPTIONS_HOSTS_MAX);
        return false;
    }
    ((const char **)member(options, option))[(*count)++] = text;
    return true;
}

static bool set_number(void *place, const struct option *option, const char *text, char message[MESSAGE])
{
    char *end = NULL;
    errno = 0;
    if (option->kind == OPTION_LARGE) {
        const long long value = strtoll(text, &end, 10);
        if (end != text && !*end && !errno) {
            *(int64_t *)place = value;
            return true;
        }
        snprintf(message, MESSAGE, "--%s takes a whole number from %lld to %lld, not '%s'", option->name,
                 INT64_MIN + 0LL, INT64_MAX + 0LL, text);
        return false;
    }
    double min, max;
    option_range(option, &min, &max);
    const double value = option->kind == OPTION_REAL ? strtod(text, &end) : (double)strtoll(text, &end, 10);
    if (end == text || *end || errno || !(value >= min && value <= max)) {
        snprintf(message, MESSAGE, "--%s takes %s from %.10g to %.10g, not '%s'", option->name,
                 option->kind == OPTION_REAL ? "a number" : "a whole number", min, max, text);
        return false;
    }
    if (option->kind == OPTION_REAL)
        *(float *)place = (float)value;
    else if (option->kind == OPTION_COUNT)
        *(uint32_t *)place = (uint32_t)value;
    else
        *(int32_t *)place = (int32_t)value;
    return true;
}

/* Sets one option from text; false with a sentence in message. */
static bool set_option(struct options *options, const struct option *option, const char *text, char message[MESSAGE])
{
    void *place = member(options, option);
    switch (option->kind) {
    case OPTION_FLAG:
        if (read_flag(text, place))
            return true;
        snprintf(message, MESSAGE, "--%s takes 1, true, on or yes, or 0, false, off or no, not '%s'", option->name,
                 text);
        return false;
    case OPTION_STRING:
        if (!is_choice(option->argument, text)) {
            snprintf(message, MESSAGE, "--%s takes one of %s, not '%s'", option->name, option->argument, text);
            return false;
        }
        *(const char **)place = text;
        return true;
    case OPTION_PATH:
        *(const char **)place = text;
        return true;
    case OPTION_STRINGS:
        return add_string(options, option, text, message);
    case OPTION_SIZE:
        if (read_size(option, text, place))
            return true;
        snprintf(message, MESSAGE, "--%s takes a size such as 512M or 4G, up to %.0fT, not '%s'", option->name,
                 option->max / 1048576, text);
        return false;
    default:
        return set_number(place, option, text, message);
    }
}

/* Sets an option unless a source of higher precedence has set it; values that are not in force are not checked. The
 * first value of a source replaces those of lower ones; further values are added if the option can be repeated. */
static bool take(struct reading *reading, enum source source, const struct option *option, const char *text,
                 char message[MESSAGE])
{
    enum source *before = &reading->sources[option - option_table];
    if (*before > source)
        return true;
    *before = source;
    if (option->kind == OPTION_PATH && source != COMMAND_LINE)
        text = keep_home_path(text);
    return set_option(reading->options, option, text, message);
}

static const struct option *find_brief(unsigned bit, const char *text)
{
    for (unsigned i = 0; i < option_count; i++) {
        const struct option *o = &option_table[i];
        if ((o->commands & bit) && o->brief && strcmp(o->brief, text) == 0)
            return o;
    }
    return NULL;
}

/* Kubernetes and docker --link put SMOLLM_PORT=tcp://10.0.0.7:8080 into the environment of every container when a
 * service is called smollm. */
static bool is_service_address(const struct option *option, const char *text)
{
    return strcmp(option->name, "port") == 0 && strstr(text, "://");
}

static bool read_environment(struct reading *reading)
{
    for (unsigned i = 0; i < option_count; i++) {
        const struct option *o = &option_table[i];
        char name[64], message[MESSAGE];
        option_environment_name(o, name);
        const char *text = getenv(name);
        if (!(o->commands & (unsigned)reading->command->bit) || !text || !*text)
            continue;
        if (is_service_address(o, text)) {
            if (reading->sources[i] < ENVIRONMENT) {
                fprintf(stderr, "smollm: %s is the address of a service, not a port, and is ignored: ", name);
                print_foreign(stderr, text_of(text));
                fputc('\n', stderr);
            }
            continue;
        }
        if (!take(reading, ENVIRONMENT, o, text, message)) {
            print_usage_error(reading->command->name, "%s (from %s)", message, name);
            return false;
        }
    }
    return true;
}

/* Options of other commands are ignored, unknown names are errors. */
static bool set_from_config(void *user, unsigned line, const char *name, const char *value)
{
    struct reading *reading = user;
    char message[MESSAGE];
    const size_t size = strlen(name);
    if (!option_find(~0u, name, size)) {
        print_usage_error(reading->command->name, "%s, line %u: there is no option %s", reading->path, line, name);
        return false;
    }
    const struct option *option = option_find(reading->command->bit, name, size);
    if (!option || reading->sources[option - option_table] > CONFIG || (value && !*value))
        return true;
    if (!value && option->kind != OPTION_FLAG)
        snprintf(message, sizeof message, "%s needs a value: %s = %s", name, name, option->argument);
    else if (take(reading, CONFIG, option, value ? value : "1", message))
        return true;
    print_usage_error(reading->command->name, "%s, line %u: %s", reading->path, line, message);
    return false;
}

/* False if there is no config file. */
static bool find_config(char path[4096], bool *is_named)
{
    const char *named = getenv("SMOLLM_CONFIG"), *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    *is_named = named && *named;
    if (*is_named)
        snprintf(path, 4096, "%s", named);
    else if (base && *base)
        snprintf(path, 4096, "%s/smollm/config", base);
    else if (home && *home)
        snprintf(path, 4096, "%s/.config/smollm/config", home);
    return *is_named || ((base && *base) || (home && *home) ? access(path, F_OK) == 0 : false);
}

static bool read_config(struct reading *reading)
{
    /* Values point into it as long as the program runs. */
    static struct buffer text;
    bool is_named;
    if (!find_config(reading->path, &is_named))
        return true;
    struct smollm_error error = {0};
    if (file_read(reading->path, &text, &error) < 0) {
        print_usage_error(reading->command->name, "%s", error.message);
        return false;
    }
    if (text.size > 0 && strlen(text.data) != text.size) {
        print_usage_error(reading->command->name, "%s is not UTF-8 text: it holds a NUL byte", reading->path);
        return false;
    }
    return !text.data || config_file_parse(text.data, set_from_config, reading);
}

/* The option of "--name", "--name=value" or "-n"; the value is NULL where it is not in the same argument. */
static const struct option *find_argument(unsigned bit, const char *text, const char **value)
{
    *value = NULL;
    if (text[1] != '-')
        return find_brief(bit, text);
    const size_t size = strcspn(text + 2, "=");
    if (text[2 + size] == '=')
        *value = text + 3 + size;
    const struct option *option = option_find(bit, text + 2, size);
    return option && (option->commands & OPTION_SETTING_ONLY) ? NULL : option;
}

static bool read_arguments(struct reading *reading, int argc, char **argv)
{
    const struct command_help *command = reading->command;
    struct options *options = reading->options;
    bool only_arguments = false;
    for (int i = 1; i < argc; i++) {
        const char *text = argv[i], *value = NULL;
        if (only_arguments || text[0] != '-' || text[1] == '\0') {
            if (options->argument_count >= command->max_arguments) {
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
        const struct option *option = find_argument(command->bit, text, &value);
        if (!option) {
            print_usage_error(command->name, "there is no option %s", text);
            return false;
        }
        if (option->kind == OPTION_FLAG && !value)
            value = "1";
        if (!value) {
            if (i + 1 >= argc) {
                print_usage_error(command->name, "--%s needs a value (%s)", option->name, option->argument);
                return false;
            }
            value = argv[++i];
        }
        char message[MESSAGE];
        if (!take(reading, COMMAND_LINE, option, value, message)) {
            print_usage_error(command->name, "%s", message);
            return false;
        }
    }
    if (options->argument_count < command->min_arguments) {
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
    char message[MESSAGE];
    for (unsigned i = 0; i < option_count; i++)
        if (option_table[i].standard)
            set_option(options, &option_table[i], option_table[i].standard, message);
    *exit_code = 2;
    struct reading reading = {.command = command, .options = options};
    return read_arguments(&reading, argc, argv) && read_environment(&reading) && read_config(&reading);
}

uint32_t options_list(const struct command_help *command, const char *name, const char *text, uint32_t min,
                      uint32_t max, uint32_t *values, uint32_t room)
{
    uint32_t count = 0;
    for (const char *at = text;;) {
        char *end;
        errno = 0;
        long long value = strtoll(at, &end, 10);
        if (end == at || errno || value < min || value > max || count == room || (*end && *end != ',')) {
            print_usage_error(command->name, "-%s takes up to %u whole numbers from %u to %u with commas, not '%s'",
                              name, room, min, max, text);
            return 0;
        }
        values[count++] = (uint32_t)value;
        if (!*end)
            return count;
        at = end + 1;
    }
}
