/* smollm COMMAND …: finds the command. */
#include "cli/command.h"
#include "cli/options.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    enum command_bit bit;
    const char *arguments;
    const char *summary;
} commands[] = {
    {"serve", command_serve, COMMAND_SERVE, "[MODEL]", "chat page and HTTP API"},
    {"chat", command_chat, COMMAND_CHAT, "[MODEL]", "talk to a model in the terminal"},
    {"run", command_run, COMMAND_RUN, "[MODEL] TEXT", "one prompt, one answer on stdout"},
    {"pull", command_pull, COMMAND_PULL, "NAME|URL", "download a model"},
    {"inspect", command_inspect, COMMAND_INSPECT, "[MODEL]", "show what a model file holds and needs"},
    {"quantize", command_quantize, COMMAND_QUANTIZE, "IN OUT TYPE", "write a model with smaller weights"},
    {"tokenize", command_tokenize, COMMAND_TOKENIZE, "MODEL [TEXT]", "text to token ids and back"},
    {"perplexity", command_perplexity, COMMAND_PERPLEXITY, "MODEL [FILE]", "how well a model predicts a text"},
    {"bench", command_bench, COMMAND_BENCH, "[MODEL]", "how fast a model is here"},
    {"selftest", command_selftest, COMMAND_SELFTEST, "", "check the kernels and the model code on this CPU"},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_commands(FILE *out)
{
    fprintf(out, "usage: smollm COMMAND ...\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %-14s %s\n", commands[i].name, commands[i].arguments, commands[i].summary);
    fprintf(out, "\nsmollm COMMAND --help tells the options of a command.\n"
                 "MODEL is a GGUF file, or a name that smollm pull knows; without one, the default model of the\n"
                 "config file, then the only model in the cache.\n");
}

static void print_man_page(void)
{
    printf(".TH SMOLLM 1 \"\" \"smollm %s\"\n.SH NAME\nsmollm \\- SmolLM3 and other Llama-architecture models on "
           "ordinary CPUs\n.SH SYNOPSIS\n.B smollm\nCOMMAND [OPTIONS] [ARGUMENTS]\n",
           SMOLLM_VERSION);
    for (size_t i = 0; i < COMMANDS; i++) {
        printf(".SH SMOLLM %s\n.B smollm %s\n[OPTIONS] %s\n.PP\n%s.\n", commands[i].name, commands[i].name,
               commands[i].arguments, commands[i].summary);
        options_print_roff(stdout, commands[i].bit);
    }
    printf(".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 130 interrupted.\n.SH FILES\n"
           "~/.config/smollm/config: options as \"name = value\" lines.\n.br\n~/.cache/smollm: models.\n"
           ".SH ENVIRONMENT\nEvery option: \\-\\-ctx\\-size as SMOLLM_CTX_SIZE. NO_COLOR is respected.\n");
}

static void print_completion(void)
{
    printf("_smollm() {\n    local words=\"\"\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words=\"");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("%s ", commands[i].name);
    printf("\"\n    else\n        case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        printf("        %s) words=\"", commands[i].name);
        options_print_words(stdout, commands[i].bit);
        printf("--help\" ;;\n");
    }
    printf("        esac\n    fi\n    COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\n"
           "complete -o default -F _smollm smollm\n");
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
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        print_commands(stdout);
    else if (strcmp(argv[1], "--version") == 0)
        printf("smollm %s\n", SMOLLM_VERSION);
    else if (strcmp(argv[1], "--man-page") == 0)
        print_man_page();
    else if (strcmp(argv[1], "--completion") == 0)
        print_completion();
    else {
        for (size_t i = 0; i < COMMANDS; i++)
            if (strcmp(argv[1], commands[i].name) == 0)
                return commands[i].run(argc - 1, argv + 1);
        fprintf(stderr, "smollm: there is no command %s (smollm --help lists them)\n", argv[1]);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}
