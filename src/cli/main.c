/* smollm COMMAND …: finds the command. */
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/print.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
    {"decide", command_decide, COMMAND_DECIDE, "[MODEL] TEXT", "a question about a text, answered with probabilities"},
    {"calibrate", command_calibrate, COMMAND_CALIBRATE, "[MODEL] FILE", "fit decisions to labeled examples"},
    {"pull", command_pull, COMMAND_PULL, "NAME|URL", "download a model"},
    {"inspect", command_inspect, COMMAND_INSPECT, "[MODEL]", "show what a model file holds and needs"},
    {"quantize", command_quantize, COMMAND_QUANTIZE, "IN OUT TYPE", "write a model with smaller weights"},
    {"tokenize", command_tokenize, COMMAND_TOKENIZE, "MODEL [TEXT]", "text to token ids and back"},
    {"perplexity", command_perplexity, COMMAND_PERPLEXITY, "MODEL [FILE]", "how well a model predicts a text"},
    {"constrain", command_constrain, COMMAND_CONSTRAIN, "MODEL", "what a schema or grammar allows, token by token"},
    {"bench", command_bench, COMMAND_BENCH, "[MODEL]", "how fast a model is here"},
    {"selftest", command_selftest, COMMAND_SELFTEST, "", "check the kernels and the model code on this CPU"},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_commands(FILE *out)
{
    fprintf(out, "usage: smollm COMMAND ...\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %-14s %s\n", commands[i].name, commands[i].arguments, commands[i].summary);
    fprintf(out, "\nsmollm COMMAND --help lists the options of a command; smollm version prints the\n"
                 "version. MODEL is a GGUF file, or a name that smollm pull knows. Without one it\n"
                 "is SMOLLM_MODEL of the environment, then the default model of the config file,\n"
                 "then the only model in the cache.\n");
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
    printf(".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 130 interrupted (128 + the signal that ended it).\n.SH "
           "FILES\n"
           "~/.config/smollm/config: options as \"name = value\" lines.\n.br\n~/.cache/smollm: models.\n"
           ".SH ENVIRONMENT\nEvery option: \\-\\-ctx\\-size as SMOLLM_CTX_SIZE. An empty variable counts as unset.\n"
           "SMOLLM_MODEL: the default model. SMOLLM_CONFIG: another config file. NO_COLOR is respected.\n");
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

/* Opens standard descriptors that were closed: otherwise the next file or socket would get the number, and messages
 * would be written into it. Reads and writes on these fail. */
static void fill_descriptors(void)
{
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++)
        if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", descriptor == STDERR_FILENO ? O_WRONLY : O_RDONLY) != descriptor)
            _exit(EXIT_FAILED);
}

/* Characters are UTF-8 whatever the locale says, and numbers are written with a point. */
static void choose_characters(void)
{
    if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

static int run_command(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (argc < 2) {
        print_commands(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        print_commands(stdout);
    else if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0)
        printf("smollm %s\n", SMOLLM_VERSION);
    else if (strcmp(name, "--man-page") == 0)
        print_man_page();
    else if (strcmp(name, "--completion") == 0)
        print_completion();
    else {
        for (size_t i = 0; i < COMMANDS; i++)
            if (strcmp(name, commands[i].name) == 0)
                return commands[i].run(argc - 1, argv + 1);
        fputs("smollm: there is no command ", stderr);
        print_foreign(stderr, (struct smollm_text){name, strlen(name)});
        fputs(" (smollm --help lists them)\n", stderr);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    fill_descriptors();
    /* A write beyond a limit or to a closed pipe is an error to report, not an end. */
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    interrupt_begin();
    choose_characters();
    errno = 0;
    return output_finish(run_command(argc, argv));
}
