/* The lines of a config file: name = value, with quotes and comments. */
#include "cli/option_table.h"

#include <string.h>

static const char blanks[] = " \t";

/* Ends an unquoted value where a comment begins (after white space), without the blanks before it. */
static void cut_comment(char *value)
{
    for (char *c = value; *c; c++)
        if (*c == '#' && (c == value || strchr(blanks, c[-1]))) {
            *c = '\0';
            break;
        }
    for (size_t size = strlen(value); size > 0 && strchr(blanks, value[size - 1]); size--)
        value[size - 1] = '\0';
}

/* "a value" or 'a value' without its quotes, when nothing but a comment follows; else NULL. */
static char *take_quoted(char *value)
{
    char *end = *value == '"' || *value == '\'' ? strchr(value + 1, *value) : NULL;
    if (!end)
        return NULL;
    const char *rest = end + 1 + strspn(end + 1, blanks);
    if (*rest && *rest != '#')
        return NULL;
    *end = '\0';
    return value + 1;
}

bool config_file_parse(char *text, bool (*set)(void *user, unsigned line, const char *name, const char *value),
                       void *user)
{
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0) /* a byte order mark, which Windows' editors write */
        text += 3;
    unsigned number = 0;
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        number++;
        line[strcspn(line, "\r")] = '\0';
        char *name = line + strspn(line, blanks);
        if (!*name || *name == '#' || *name == ';')
            continue;
        char *end = name + strcspn(name, " \t="), *value = end + strspn(end, blanks);
        const bool has_value = *value && *value != '#';
        if (*value == '=')
            value += 1 + strspn(value + 1, blanks);
        char *quoted = take_quoted(value);
        if (!quoted)
            cut_comment(value);
        *end = '\0';
        if (!set(user, number, name, has_value ? (quoted ? quoted : value) : NULL))
            return false;
    }
    return true;
}
