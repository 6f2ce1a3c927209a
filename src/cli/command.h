/* The subcommands. Each gets argv[0] as its own name and returns the exit code of the program. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

int command_bench(int argc, char **argv);
int command_calibrate(int argc, char **argv);
int command_chat(int argc, char **argv);
int command_decide(int argc, char **argv);
int command_inspect(int argc, char **argv);
int command_perplexity(int argc, char **argv);
int command_constrain(int argc, char **argv);
int command_pull(int argc, char **argv);
int command_run(int argc, char **argv);
int command_serve(int argc, char **argv);
int command_quantize(int argc, char **argv);
int command_selftest(int argc, char **argv);
int command_tokenize(int argc, char **argv);

#endif
