/* Times as text (RFC 3339), in UTC. */
#ifndef API_TIME_TEXT_H
#define API_TIME_TEXT_H

#include <stdint.h>

struct time_text {
    char text[40];
};
/* "2026-11-28T23:00:00Z" */
struct time_text time_text_of(int64_t seconds);
/* Now, to the microsecond: "2026-11-28T23:00:00.123456Z" */
struct time_text time_text_now(void);

#endif
