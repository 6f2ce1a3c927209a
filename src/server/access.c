#include "server/access.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

bool access_secret_matches(struct smollm_text given, const char *secret)
{
    size_t size = strlen(secret), differing = given.size ^ size;
    for (size_t i = 0; i < given.size; i++)
        differing |= (size_t)(unsigned char)(given.data[i] ^ secret[size > 0 ? i % size : 0]);
    return differing == 0;
}

/* Compares all keys, so that the time does not depend on which one matches. */
static const struct access_key *find_key(const struct access_rules *rules, struct smollm_text given)
{
    const size_t count = rules->keys ? rules->keys->count : 0;
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found |= (i + 1) & (0U - (size_t)(access_secret_matches(given, rules->keys->keys[i].secret) & (found == 0)));
    return given.size > 0 && found > 0 ? &rules->keys->keys[found - 1] : NULL;
}

const struct access_key *access_find_key(const struct access_rules *rules, const struct http_head *head)
{
    struct smollm_text given = http_head_field(head, "authorization");
    if (given.size > 7 && strncasecmp(given.data, "Bearer ", 7) == 0)
        return find_key(rules, (struct smollm_text){given.data + 7, given.size - 7});
    return find_key(rules, http_head_field(head, "x-api-key"));
}

static struct smollm_text without_port(struct smollm_text host)
{
    const char *end = host.data + host.size;
    const char *colon =
        host.size > 0 && *host.data == '[' ? memchr(host.data, ']', host.size) : memchr(host.data, ':', host.size);
    if (colon && *colon == ']')
        colon++;
    return (struct smollm_text){host.data, (size_t)((colon ? colon : end) - host.data)};
}

static bool is_our_host(const struct access_rules *rules, struct smollm_text host, const char *local_address)
{
    static const char *const own[] = {"127.0.0.1", "localhost", "[::1]"};
    host = without_port(host);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (http_text_is(host, own[i]))
            return true;
    for (const char *const *name = rules->hosts; name && *name; name++)
        if (http_text_is(host, *name))
            return true;
    if (host.size > 2 && *host.data == '[')
        host = (struct smollm_text){host.data + 1, host.size - 2};
    return local_address && http_text_is(host, local_address);
}

/* http or https at this machine, at any port. */
static bool is_local_origin(struct smollm_text origin)
{
    static const char *const local[] = {"127.0.0.1", "localhost", "[::1]"};
    const size_t scheme = text_starts_with(origin, "http://") ? 7 : text_starts_with(origin, "https://") ? 8 : 0;
    const struct smollm_text host = without_port((struct smollm_text){origin.data + scheme, origin.size - scheme});
    for (size_t i = 0; scheme > 0 && i < sizeof local / sizeof *local; i++)
        if (http_text_is(host, local[i]))
            return true;
    return false;
}

struct smollm_text access_allowed_origin(const struct access_rules *rules, const struct http_head *head)
{
    struct smollm_text origin = http_head_field(head, "origin");
    for (const char *const *allowed = rules->origins; origin.data && allowed && *allowed; allowed++)
        if (http_text_is(origin, *allowed) || (strcmp(*allowed, "localhost") == 0 && is_local_origin(origin)))
            return origin;
    return (struct smollm_text){0};
}

/* Whether an origin is that of a host, port included. */
static bool is_origin_of(struct smollm_text origin, struct smollm_text host)
{
    size_t scheme = text_starts_with(origin, "http://") ? 7 : text_starts_with(origin, "https://") ? 8 : 0;
    return scheme > 0 && host.data && host.size > 0 && origin.size - scheme == host.size &&
           strncasecmp(origin.data + scheme, host.data, host.size) == 0;
}

/* A browser names the page's origin with every request that is not a plain GET. Programs send none. */
static bool is_cross_origin(const struct access_rules *rules, const struct http_head *head)
{
    struct smollm_text site = http_head_field(head, "sec-fetch-site"), origin = http_head_field(head, "origin");
    if (text_is(head->method, "GET") || text_is(head->method, "HEAD") || access_allowed_origin(rules, head).data)
        return false;
    if (site.data)
        return !http_text_is(site, "same-origin") && !http_text_is(site, "none");
    return origin.data && !is_origin_of(origin, head->host) &&
           !is_origin_of(origin, http_head_field(head, "x-forwarded-host"));
}

int access_check(const struct access_rules *rules, const struct http_head *head, const char *local_address,
                 bool is_public, char reason[ACCESS_REASON_BYTES])
{
    if (head->host.data && !is_our_host(rules, head->host, local_address)) {
        snprintf(reason, ACCESS_REASON_BYTES, "this server does not answer to the host name %.*s%s",
                 (int)(head->host.size < 80 ? head->host.size : 80), head->host.data,
                 rules->host_advice ? rules->host_advice : "");
        return 403;
    }
    if (is_cross_origin(rules, head)) {
        snprintf(reason, ACCESS_REASON_BYTES, "requests from pages of another origin are refused");
        return 403;
    }
    if (!is_public && rules->keys && rules->keys->count > 0 && !access_find_key(rules, head)) {
        snprintf(reason, ACCESS_REASON_BYTES, "an API key is needed: Authorization: Bearer KEY");
        return 401;
    }
    return 0;
}

bool access_is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}
