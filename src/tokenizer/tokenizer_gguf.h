/* The tokenizer of a model file: the keys tokenizer.ggml.* of GGUF. */
#ifndef TOKENIZER_TOKENIZER_GGUF_H
#define TOKENIZER_TOKENIZER_GGUF_H

#include "gguf/gguf.h"
#include "tokenizer/tokenizer.h"

/* The file may be closed afterwards. SMOLLM_EUNSUPPORTED for another kind of tokenizer than byte-level BPE ("gpt2") and
 * for an unknown pre-tokenizer; SMOLLM_EFORMAT for keys that are missing, of a wrong type, or contradict each other. */
int tokenizer_from_gguf(const struct gguf_file *file, struct tokenizer **tokenizer, struct smollm_error *error);

#endif
