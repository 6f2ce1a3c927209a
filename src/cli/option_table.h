/* The rows behind cli/options.h: name, argument and meaning of every option. */
#ifndef CLI_OPTION_TABLE_H
#define CLI_OPTION_TABLE_H

#include "cli/options.h"

#include <stddef.h>

/* OPTION_PATH is an OPTION_STRING in which a leading "~/" is the home directory. */
enum option_kind {
    OPTION_FLAG,
    OPTION_COUNT,
    OPTION_INTEGER,
    OPTION_LARGE,
    OPTION_SIZE,
    OPTION_REAL,
    OPTION_STRING,
    OPTION_PATH,
    OPTION_STRINGS
};

struct option {
    const char *name;
    const char *brief; /* "-c", or NULL */
    enum option_kind kind;
    unsigned commands;
    size_t offset;        /* in struct options */
    const char *argument; /* for --help; a choice list "{a,b}" is also checked */
    double min, max;      /* for option_range; not of OPTION_LARGE, which takes all of int64_t */
    const char *standard; /* the default, as text */
    const char *help;
};

/* The range of a numeric option, both ends included. */
void option_range(const struct option *option, double *min, double *max);

/* Beside the commands: an option of the environment and the config file, not of the command line. */
enum { OPTION_SETTING_ONLY = 1 << 30 };

enum { OPTIONS_MAX = 80 };
extern const struct option option_table[];
extern const unsigned option_count;

/* "SMOLLM_CTX_SIZE" for ctx-size. */
void option_environment_name(const struct option *option, char name[64]);
/* NULL if no command of the set has it. */
const struct option *option_find(unsigned commands, const char *name, size_t size);

/* Calls set for each "name = value" of a config file; value is NULL where a line is a name alone. Values and names live
 * as long as text, which is changed. Both stop at the first false, which is returned. */
bool config_file_parse(char *text, bool (*set)(void *user, unsigned line, const char *name, const char *value),
                       void *user);

#endif
