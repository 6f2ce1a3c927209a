/* The classes of characters in the patterns of the pre-tokenizers.
 *
 * They are probed from HF tokenizers (make_unicode_classes.py), code point by code point, because its regular
 * expression engine and its digit splitter each know their own version of Unicode. */
#ifndef TOKENIZER_UNICODE_CLASSES_H
#define TOKENIZER_UNICODE_CLASSES_H

#include <stdint.h>

enum unicode_class {
    UNICODE_LETTER = 1, /* \p{L} */
    UNICODE_NUMBER = 2, /* \p{N} */
    UNICODE_SPACE = 4,  /* \s */
    UNICODE_DIGIT = 8   /* what the Digits pre-tokenizer splits off; nearly \p{N} */
};

/* A set of enum unicode_class; 0 for everything else and beyond U+10FFFF. */
unsigned unicode_classes(uint32_t code_point);

#endif
