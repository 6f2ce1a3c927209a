/* For the tests in Python: the bytes of a vocabulary's ordinary tokens, in hexadecimal, and its end tokens, as JSON. */
#include "tokenizer/tokenizer_gguf.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    struct gguf_file *file;
    struct tokenizer *tokenizer;
    if (argc != 2 || gguf_open(argv[1], &file, NULL) < 0 || tokenizer_from_gguf(file, &tokenizer, NULL) < 0)
        return 1;
    const int32_t count = (int32_t)tokenizer_token_count(tokenizer);
    printf("{\"tokens\":[");
    for (int32_t id = 0; id < count; id++) {
        const struct smollm_text text = tokenizer_token_text(tokenizer, id);
        printf("%s\"", id > 0 ? "," : "");
        for (size_t i = 0; i < text.size && !tokenizer_is_special(tokenizer, id); i++)
            printf("%02x", (unsigned char)text.data[i]);
        putchar('"');
    }
    printf("],\"ends\":[");
    const char *comma = "";
    for (int32_t id = 0; id < count; id++)
        if (tokenizer_is_end(tokenizer, id)) {
            printf("%s%d", comma, id);
            comma = ",";
        }
    puts("]}");
    tokenizer_free(tokenizer);
    gguf_close(file);
    return 0;
}
