#include "cli/supervisor.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void notify(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void notify(const char *format, ...)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@') /* an abstract name */
        address.sun_path[0] = '\0';
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return;
    const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    /* A message that cannot be sent is ignored. */
    (void)!sendto(descriptor, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address, size);
    close(descriptor);
}

void supervisor_loading(double fraction)
{
    static double last = -1;
    const double now = clock_seconds();
    if (last >= 0 && now - last < 1)
        return;
    last = now;
    notify("STATUS=Loading the model: %d %%\nEXTEND_TIMEOUT_USEC=60000000", (int)(fraction * 100));
}

void supervisor_ready(const char *address)
{
    notify("READY=1\nSTATUS=Serving at http://%s", address);
}

void supervisor_stopping(void)
{
    notify("STOPPING=1\nSTATUS=Finishing what is being answered");
}
