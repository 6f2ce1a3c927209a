#include "server/page.h"

#include "page_stamp.h"

/* PAGE_FOLDER is web/dist. page_stamp.h changes when what is there does, so that this file is compiled again. */
#define EMBED(name, file)                                                                                              \
    __asm__(".section .rodata\n"                                                                                       \
            ".balign 16\n"                                                                                             \
            ".hidden smollm_" name "_begin\n"                                                                          \
            ".hidden smollm_" name "_end\n"                                                                            \
            ".globl smollm_" name "_begin\n"                                                                           \
            ".globl smollm_" name "_end\n"                                                                             \
            "smollm_" name "_begin:\n"                                                                                 \
            ".incbin \"" PAGE_FOLDER "/" file "\"\n"                                                                   \
            "smollm_" name "_end:\n"                                                                                   \
            ".byte 0\n"                                                                                                \
            ".previous\n")
EMBED("page", "index.html");
EMBED("policy", "csp.txt");
extern const char smollm_page_begin[], smollm_page_end[], smollm_policy_begin[], smollm_policy_end[];

struct smollm_text page_html(void)
{
    return (struct smollm_text){smollm_page_begin, (size_t)(smollm_page_end - smollm_page_begin)};
}

struct smollm_text page_policy(void)
{
    size_t size = (size_t)(smollm_policy_end - smollm_policy_begin);
    while (size > 0 && smollm_policy_begin[size - 1] == '\n')
        size--;
    return (struct smollm_text){smollm_policy_begin, size};
}
