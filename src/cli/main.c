/* smollm COMMAND …: finds the command. */
#include "cli/command.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"serve", command_serve, "chat page and HTTP API"},
    {"run", command_run, "one prompt, one answer on stdout"},
    {"inspect", command_inspect, "show what a model file holds"},
    {"quantize", command_quantize, "write a model with smaller weights"},
    {"bench", command_bench, "how fast a model is here"},
    {"tokenize", command_tokenize, "text to token ids and back"},
    {"perplexity", command_perplexity, "how well a model predicts a text"},
    {"pull", command_pull, "download a model"},
};

static void print_commands(FILE *out)
{
    fprintf(out, "usage: smollm COMMAND ...\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
}

int main(int argc, char **argv)
{
    /* A write beyond a limit or to a closed pipe is an error to report, not an end. */
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        print_commands(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_commands(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("smollm %s\n", SMOLLM_VERSION);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "smollm: there is no command %s (smollm --help lists them)\n", argv[1]);
    return EXIT_USAGE;
}
