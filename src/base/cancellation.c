#include "base/cancellation.h"

static _Thread_local bool (*ask)(void *user);
static _Thread_local void *ask_user;

void cancellation_set(bool (*is_canceled)(void *user), void *user)
{
    ask = is_canceled;
    ask_user = user;
}

bool cancellation_wanted(void)
{
    return ask && ask(ask_user);
}
