#include "server/page.h"

#include "base/text.h"
#include "page_stamp.h"

#include <string.h>
#include <strings.h>

/* PAGE_FOLDER is web/dist, PAGE_PACKED_FOLDER is where the build compressed the page (scripts/pack-page.py).
 * page_stamp.h changes when what is there does, so that this file is compiled again. */
#define EMBED(name, path)                                                                                              \
    __asm__(".section .rodata\n"                                                                                       \
            ".balign 16\n"                                                                                             \
            ".hidden smollm_" name "_begin\n"                                                                          \
            ".hidden smollm_" name "_end\n"                                                                            \
            ".globl smollm_" name "_begin\n"                                                                           \
            ".globl smollm_" name "_end\n"                                                                             \
            "smollm_" name "_begin:\n"                                                                                 \
            ".incbin \"" path "\"\n"                                                                                   \
            "smollm_" name "_end:\n"                                                                                   \
            ".byte 0\n"                                                                                                \
            ".previous\n")
EMBED("page", PAGE_FOLDER "/index.html");
EMBED("packed_page", PAGE_PACKED_FOLDER "/index.html.gz");
EMBED("policy", PAGE_FOLDER "/csp.txt");
extern const char smollm_page_begin[], smollm_page_end[], smollm_packed_page_begin[], smollm_packed_page_end[],
    smollm_policy_begin[], smollm_policy_end[];

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The next element of a comma-separated list, without the white space around it; false at the end. */
static bool next_element(struct smollm_text *list, struct smollm_text *element)
{
    if (list->size == 0)
        return false;
    const char *comma = memchr(list->data, ',', list->size);
    size_t size = comma ? (size_t)(comma - list->data) : list->size;
    *element = (struct smollm_text){list->data, size};
    size_t taken = comma ? size + 1 : size;
    *list = (struct smollm_text){list->data + taken, list->size - taken};
    while (element->size > 0 && is_blank(*element->data))
        *element = (struct smollm_text){element->data + 1, element->size - 1};
    while (element->size > 0 && is_blank(element->data[element->size - 1]))
        element->size--;
    return true;
}

/* Whether the parameters behind a coding ("q=0.5") leave it allowed: any weight but zero does; an invalid weight
 * refuses it, because every client can read the plain page. */
static bool has_weight(struct smollm_text parameters)
{
    bool is_above_zero = false;
    while (parameters.size > 0 && (is_blank(*parameters.data) || *parameters.data == ';'))
        parameters = (struct smollm_text){parameters.data + 1, parameters.size - 1};
    if (parameters.size == 0)
        return true;
    if (parameters.size < 3 || strncasecmp(parameters.data, "q=", 2) != 0)
        return false;
    for (size_t i = 2; i < parameters.size; i++) {
        char c = parameters.data[i];
        if (i == 3 ? c != '.' : c < '0' || c > '9')
            return false;
        is_above_zero = is_above_zero || (c >= '1' && c <= '9');
    }
    return is_above_zero;
}

bool page_accepts_gzip(const struct http_head *head)
{
    bool any = false;
    for (size_t i = 0; i < head->field_count; i++) {
        struct smollm_text list = head->fields[i].value, element;
        if (!http_text_is(head->fields[i].name, "accept-encoding"))
            continue;
        while (next_element(&list, &element)) {
            const char *semicolon = element.size > 0 ? memchr(element.data, ';', element.size) : NULL;
            size_t size = semicolon ? (size_t)(semicolon - element.data) : element.size;
            struct smollm_text parameters = {element.data + size, element.size - size};
            while (size > 0 && is_blank(element.data[size - 1]))
                size--;
            struct smollm_text coding = {element.data, size};
            if (http_text_is(coding, "gzip") || http_text_is(coding, "x-gzip"))
                return has_weight(parameters);
            any = any || (http_text_is(coding, "*") && has_weight(parameters));
        }
    }
    return any;
}

bool page_etag_matches(const struct http_head *head, const char *etag)
{
    for (size_t i = 0; i < head->field_count; i++) {
        struct smollm_text list = head->fields[i].value, element;
        if (!http_text_is(head->fields[i].name, "if-none-match"))
            continue;
        while (next_element(&list, &element)) {
            if (text_starts_with(element, "W/"))
                element = (struct smollm_text){element.data + 2, element.size - 2};
            if (text_is(element, "*") || text_is(element, etag))
                return true;
        }
    }
    return false;
}

struct page page_for(const struct http_head *head)
{
    const char *plain = smollm_page_begin, *packed = smollm_packed_page_begin;
    struct page page = {.html = {plain, (size_t)(smollm_page_end - plain)}, .etag = PAGE_ETAG};
    if (page_accepts_gzip(head))
        page = (struct page){
            .html = {packed, (size_t)(smollm_packed_page_end - packed)}, .encoding = "gzip", .etag = PAGE_GZIP_ETAG};
    page.is_cached = page_etag_matches(head, page.etag);
    return page;
}

struct smollm_text page_policy(void)
{
    size_t size = (size_t)(smollm_policy_end - smollm_policy_begin);
    while (size > 0 && smollm_policy_begin[size - 1] == '\n')
        size--;
    return (struct smollm_text){smollm_policy_begin, size};
}
