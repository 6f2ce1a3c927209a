#include "cli/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t current_mode = INTERRUPT_ENDS;
static volatile sig_atomic_t noted_interrupt, noted_end; /* SIGINT; SIGTERM or SIGHUP */
static volatile sig_atomic_t noted_terminal;             /* bits of enum interrupt_terminal */
static const char *volatile last_words;
static int wake[2] = {-1, -1};

static void end_now(int number)
{
    const char *words = last_words;
    if (words && write(STDERR_FILENO, words, strlen(words)) < 0)
        words = NULL; /* a failure to write is ignored */
    _exit(128 + number);
}

static void wake_up(void)
{
    const int saved = errno;
    if (write(wake[1], "", 1) < 0)
        errno = saved; /* a full pipe wakes the reader as well */
    errno = saved;
}

static void on_end(int number)
{
    const bool is_second = noted_interrupt || noted_end;
    if (current_mode == INTERRUPT_ENDS || (current_mode == INTERRUPT_ASKS_ONCE && is_second))
        end_now(number);
    if (number == SIGINT)
        noted_interrupt = number;
    else
        noted_end = number;
    wake_up();
}

static void on_terminal(int number)
{
    noted_terminal |= number == SIGWINCH ? INTERRUPT_RESIZED : number == SIGTSTP ? INTERRUPT_STOP : INTERRUPT_CONTINUED;
    wake_up();
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void interrupt_begin(void)
{
    if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0)
        wake[0] = wake[1] = -1;
    handle(SIGINT, on_end);
    handle(SIGTERM, on_end);
    /* nohup ignores SIGHUP; that is kept. */
    struct sigaction before;
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        handle(SIGHUP, on_end);
}

enum interrupt_mode interrupt_set(enum interrupt_mode mode)
{
    const enum interrupt_mode before = (enum interrupt_mode)current_mode;
    current_mode = (int)mode;
    if (mode == INTERRUPT_ENDS && interrupt_pending())
        end_now(noted_end ? noted_end : noted_interrupt);
    return before;
}

bool interrupt_pending(void)
{
    return noted_interrupt || noted_end;
}

bool interrupt_is_end(void)
{
    return noted_end != 0;
}

void interrupt_clear(void)
{
    noted_interrupt = 0;
}

int interrupt_exit_code(void)
{
    return 128 + (noted_end ? noted_end : SIGINT);
}

int interrupt_descriptor(void)
{
    return wake[0];
}

void interrupt_clear_descriptor(void)
{
    char bytes[64];
    while (read(wake[0], bytes, sizeof bytes) > 0)
        continue;
}

void interrupt_set_last_words(const char *words)
{
    last_words = words;
}

void interrupt_watch_terminal(void)
{
    handle(SIGWINCH, on_terminal);
    handle(SIGTSTP, on_terminal);
    handle(SIGCONT, on_terminal);
}

int interrupt_take_terminal(void)
{
    const int bits = noted_terminal;
    noted_terminal &= ~bits;
    return bits;
}

void interrupt_suspend(void)
{
    handle(SIGTSTP, SIG_DFL);
    raise(SIGTSTP);
    handle(SIGTSTP, on_terminal);
}
