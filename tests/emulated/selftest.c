/* smollm selftest as a program of its own: what of smollm needs no package, for CPUs that packages are not installed
 * for. */
#include "cli/command.h"

int main(int argc, char **argv)
{
    return command_selftest(argc, argv);
}
