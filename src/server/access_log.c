#include "server/access_log.h"

#include "base/text.h"
#include "server/log_writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { FIGURES_MAX = 320, KEY_MAX = 128, LINE_MAX_BYTES = 1536 };

/* Tokens and times of what was generated, as they follow the rest of the line. */
static void format_figures(enum log_format format, const struct api_figures *f, char text[FIGURES_MAX])
{
    const bool is_json = format == LOG_JSON;
    char first[32] = "null";
    if (f->first_token_ms >= 0)
        snprintf(first, sizeof first, is_json ? "%.1f" : "%.1fms", f->first_token_ms);
    else if (!is_json)
        snprintf(first, sizeof first, "-");
    snprintf(text, FIGURES_MAX,
             is_json ? ",\"prompt_tokens\":%" PRIu64 ",\"cached_tokens\":%" PRIu64 ",\"completion_tokens\":%" PRIu64
                       ",\"queue_ms\":%.1f,\"ttft_ms\":%s,\"finish\":\"%s\""
                     : " prompt=%" PRIu64 " cached=%" PRIu64 " completion=%" PRIu64 " queue=%.1fms ttft=%s finish=%s",
             f->prompt_tokens, f->cached_tokens, f->completion_tokens, f->queue_ms, first, f->finish);
}

/* Methods and paths that the parser let through are printable ASCII without quotes and backslashes. */
void access_log_write(struct log_writer *writer, enum log_format format, const struct log_entry *entry)
{
    char stamp[32];
    time_t now = time(NULL);
    struct tm t = {0};
    gmtime_r(&now, &t);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &t);
    struct smollm_text method = entry->method.size > 0 ? entry->method : text_of("-");
    struct smollm_text path = entry->path.size > 0 ? entry->path : text_of("-");
    int max = path.size < 256 ? (int)path.size : 256;
    char figures[FIGURES_MAX] = "", key[KEY_MAX] = "";
    if (entry->key)
        snprintf(key, sizeof key, format == LOG_JSON ? ",\"key\":\"%s\"" : " key=%s", entry->key);
    if (entry->figures)
        format_figures(format, entry->figures, figures);
    const char *pattern = format == LOG_JSON
                              ? "{\"time\":\"%s\",\"client\":\"%s\",\"method\":\"%.*s\",\"path\":\"%.*s\","
                                "\"status\":%d,\"ms\":%.1f,\"bytes\":%" PRIu64 ",\"end\":\"%s\"%s%s,\"id\":\"%s\"}\n"
                              : "%s %s %.*s %.*s %d %.1fms %" PRIu64 "B %s%s%s id=%s\n";
    char line[LINE_MAX_BYTES];
    const int size = snprintf(line, sizeof line, pattern, stamp, entry->client, (int)method.size, method.data, max,
                              path.data, entry->status, entry->milliseconds, entry->bytes, entry->ending, figures, key,
                              entry->request_id[0] ? entry->request_id : "-");
    log_writer_add(writer, (struct smollm_text){line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1});
}
