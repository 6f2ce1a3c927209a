/* A generation as the source of a kept stream. */
#include "api/core/generation.h"

static enum api_state pull(void *user, struct buffer *out, size_t max)
{
    return generation_pull(user, out, max);
}

static struct api_head head(const void *user)
{
    return generation_head(user);
}

static void get_figures(const void *user, struct api_figures *figures)
{
    generation_get_figures(user, figures);
}

static void begin(void *user)
{
    struct generation *generation = user;
    generation->must_begin = true;
}

static void fail(void *user, const struct api_error *error)
{
    generation_fail(user, error);
}

static void close_generation(void *user)
{
    generation_close(user);
}

static void keep_alive(const void *user, struct buffer *out)
{
    const struct generation *generation = user;
    void (*write)(struct buffer *) = generation->format->protocol->keep_alive;
    if (write)
        write(out);
}

const struct stream_source generation_source = {.pull = pull,
                                                .head = head,
                                                .get_figures = get_figures,
                                                .begin = begin,
                                                .fail = fail,
                                                .close = close_generation,
                                                .keep_alive = keep_alive};
