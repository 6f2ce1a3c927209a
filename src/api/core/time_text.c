#include "api/core/time_text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct time_text time_text_of(int64_t seconds)
{
    const time_t time = (time_t)seconds;
    struct tm t = {0};
    struct time_text stamp;
    gmtime_r(&time, &t);
    strftime(stamp.text, sizeof stamp.text, "%Y-%m-%dT%H:%M:%SZ", &t);
    return stamp;
}

struct time_text time_text_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct time_text stamp = time_text_of(now.tv_sec);
    const size_t size = strlen(stamp.text) - 1;
    snprintf(stamp.text + size, sizeof stamp.text - size, ".%06ldZ", now.tv_nsec / 1000);
    return stamp;
}
