/* The table of options as --help, as a man page and as words for the shell. */
#include "cli/option_table.h"

#include <string.h>

enum { WIDTH = 79, INDENT = 32 };

/* Prints text from `column` on, wrapped at blanks, with further lines indented. Line breaks are kept. */
static void print_wrapped(FILE *out, const char *text, size_t column, size_t indent)
{
    for (const char *word = text; *word;) {
        const size_t size = strcspn(word, " \n");
        if (column > indent && column + 1 + size > WIDTH) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', out);
            column++;
        }
        fwrite(word, 1, size, out);
        column += size;
        word += size;
        if (*word == '\n') {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        }
        word += *word != '\0';
    }
    fputc('\n', out);
}

static bool is_listed(const struct option *o, enum command_bit bit)
{
    return (o->commands & (unsigned)bit) && !(o->commands & OPTION_SETTING_ONLY);
}

static bool has_default(const struct option *o)
{
    return o->standard && o->kind != OPTION_FLAG;
}

static void print_option(FILE *out, const struct option *o)
{
    char left[80], help[400];
    const int width =
        snprintf(left, sizeof left, "  %-4s--%s %s", o->brief ? o->brief : "", o->name, o->argument ? o->argument : "");
    snprintf(help, sizeof help, "%s%s%s%s", o->help, has_default(o) ? " [" : "", has_default(o) ? o->standard : "",
             has_default(o) ? "]" : "");
    fputs(left, out);
    if (width >= INDENT)
        fprintf(out, "\n%*s", INDENT, "");
    else
        fprintf(out, "%*s", INDENT - width, "");
    print_wrapped(out, help, INDENT, INDENT);
}

void options_print_help(FILE *out, const struct command_help *command)
{
    fprintf(out, "usage: smollm %s [OPTIONS] %s\n\n", command->name, command->arguments);
    print_wrapped(out, command->summary, 0, 0);
    if (command->description) {
        fputc('\n', out);
        print_wrapped(out, command->description, 0, 0);
    }
    fputc('\n', out);
    for (unsigned i = 0; i < option_count; i++)
        if (is_listed(&option_table[i], command->bit))
            print_option(out, &option_table[i]);
    fputc('\n', out);
    print_wrapped(out,
                  "Every option can also be set in the environment (--ctx-size as SMOLLM_CTX_SIZE) and in the config "
                  "file, ~/.config/smollm/config, as \"ctx-size = 4096\". The command line comes before the "
                  "environment, and the environment before the file. \"model = NAME\" in the file, or SMOLLM_MODEL, "
                  "is the default model.",
                  0, 0);
}

void options_print_roff(FILE *out, enum command_bit bit)
{
    for (unsigned i = 0; i < option_count; i++) {
        const struct option *o = &option_table[i];
        if (!is_listed(o, bit))
            continue;
        fprintf(out, ".TP\n");
        if (o->brief)
            fprintf(out, "\\fB\\%s\\fR, ", o->brief);
        fprintf(out, "\\fB\\-\\-%s\\fR", o->name);
        if (o->argument)
            fprintf(out, " \\fI%s\\fR", o->argument);
        fprintf(out, "\n%s%s%s%s\n", o->help, has_default(o) ? " [" : "", has_default(o) ? o->standard : "",
                has_default(o) ? "]" : "");
    }
}

void options_print_words(FILE *out, enum command_bit bit)
{
    for (unsigned i = 0; i < option_count; i++)
        if (is_listed(&option_table[i], bit))
            fprintf(out, "--%s ", option_table[i].name);
}
