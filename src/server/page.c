#include "server/page.h"

#include <openssl/evp.h>
#include <string.h>

/* In page_html.S. */
extern const char smollm_page_begin[], smollm_page_end[];

struct smollm_text page_html(void)
{
    return (struct smollm_text){smollm_page_begin, (size_t)(smollm_page_end - smollm_page_begin)};
}

/* What stands between <script ...> and </script>, from *at on; false when there is no more. */
static bool next_script(struct smollm_text html, size_t *at, struct smollm_text *script)
{
    const char *end = html.data + html.size;
    const char *open = memmem(html.data + *at, html.size - *at, "<script", 7);
    const char *begin = open ? memchr(open, '>', (size_t)(end - open)) : NULL;
    const char *close = begin ? memmem(begin, (size_t)(end - begin), "</script>", 9) : NULL;
    if (!close)
        return false;
    *script = (struct smollm_text){begin + 1, (size_t)(close - begin - 1)};
    *at = (size_t)(close - html.data);
    return true;
}

void page_write_policy(struct smollm_text html, struct buffer *out)
{
    struct smollm_text script;
    size_t at = 0;
    buffer_append_string(out, "default-src 'none'; script-src");
    while (next_script(html, &at, &script)) {
        unsigned char digest[32], encoded[48];
        EVP_Digest(script.data, script.size, digest, NULL, EVP_sha256(), NULL);
        EVP_EncodeBlock(encoded, digest, sizeof digest);
        buffer_printf(out, " 'sha256-%s'", (const char *)encoded);
    }
    if (at == 0)
        buffer_append_string(out, " 'none'");
    buffer_append_string(out, "; style-src 'unsafe-inline'; img-src data:; font-src data:; connect-src 'self'; "
                              "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
}
