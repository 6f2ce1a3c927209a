#include "server/access_log.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* Methods and paths that the parser let through are printable ASCII without quotes and backslashes. */
void access_log_write(enum log_format format, const struct log_entry *entry)
{
    char stamp[32];
    time_t now = time(NULL);
    struct tm t = {0};
    gmtime_r(&now, &t);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &t);
    struct smollm_text method = entry->method.size > 0 ? entry->method : text_of("-");
    struct smollm_text path = entry->path.size > 0 ? entry->path : text_of("-");
    int most = path.size < 256 ? (int)path.size : 256;
    const char *pattern = format == LOG_JSON
                              ? "{\"time\":\"%s\",\"client\":\"%s\",\"method\":\"%.*s\",\"path\":\"%.*s\","
                                "\"status\":%d,\"ms\":%.1f,\"bytes\":%" PRIu64 ",\"end\":\"%s\"}\n"
                              : "%s %s %.*s %.*s %d %.1fms %" PRIu64 "B %s\n";
    fprintf(stderr, pattern, stamp, entry->client, (int)method.size, method.data, most, path.data, entry->status,
            entry->milliseconds, entry->bytes, entry->ending);
}
