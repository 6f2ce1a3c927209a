/* The built page as bytes. PAGE_PATH is web/dist/index.html; page_stamp.h changes when that does, so that this file is
 * assembled again. */
#include "page_stamp.h"

        .section .rodata
        .balign 16
        .globl  smollm_page_begin
        .globl  smollm_page_end
        .hidden smollm_page_begin
        .hidden smollm_page_end
smollm_page_begin:
        .incbin PAGE_PATH
smollm_page_end:
        .byte   0

        .section .note.GNU-stack, "", %progbits
