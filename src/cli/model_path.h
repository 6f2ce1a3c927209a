/* Finds the model file of a MODEL argument. */
#ifndef CLI_MODEL_PATH_H
#define CLI_MODEL_PATH_H

#include "smollm_error.h"

struct known_model {
    const char *name;
    const char *url; /* NULL: fetched by `make run`, not by `smollm pull` */
    const char *file;
};

/* The models that have a name; NULL for other names. */
const struct known_model *known_model_find(const char *name);
/* The one that is kept under this file name in the cache, or NULL. */
const struct known_model *known_model_of_file(const char *file);
/* "smollm3-3b, smollm2-135m" */
const char *known_model_names(void);

/* ${XDG_CACHE_HOME:-~/.cache}/smollm. All paths are freed by the caller with free(). */
int cache_directory(char **path, struct smollm_error *error);
/* Creates it with its parents. */
int cache_directory_create(const char *path, struct smollm_error *error);

/* A MODEL argument: a path of a file; a known name, or the name of a file in the cache with or without ".gguf"; NULL
 * for the only model in the cache. SMOLLM_ENOTFOUND names the models in the cache. */
int model_path_find(const char *argument, char **path, struct smollm_error *error);

#endif
