/* Models in several files: NAME-00001-of-00003.gguf and so on, as llama.cpp's gguf-split writes them. The first part
 * has the metadata; each has split.no, split.count and its own tensors. For gguf.c and for code that downloads such
 * files. */
#ifndef GGUF_SPLIT_H
#define GGUF_SPLIT_H

#include "smollm_error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gguf_file;

enum { GGUF_SPLIT_MAX = 1000, GGUF_SPLIT_ENDING = sizeof "-00001-of-00003.gguf" - 1 };

/* Whether a path ends as a part's name does; *part from 1. */
bool gguf_split_name(const char *path, uint32_t *part, uint32_t *count);
/* Writes the path of another part over the ending of a copy of the path. */
void gguf_split_rename(char *path, uint32_t part, uint32_t count);

/* The file is one of several: opens the others beside it and takes their tensors. SMOLLM_EFORMAT for another part than
 * the first, whose name the message has, and for parts that do not belong together; SMOLLM_ENOTFOUND for one that is
 * missing. */
int gguf_split_join(struct gguf_file *first, const char *path, struct smollm_error *error);

#endif
