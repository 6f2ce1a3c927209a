#include "cli/model_path.h"

#include "base/error.h"
#include "base/text.h"
#include "smollm.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* name, address, file in the cache */
#define KNOWN_MODEL_MAP(X)                                                                                             \
    X("smollm3-3b", "https://huggingface.co/ggml-org/SmolLM3-3B-GGUF/resolve/main/SmolLM3-Q4_K_M.gguf",                \
      "SmolLM3-Q4_K_M.gguf")                                                                                           \
    X("smollm2-135m", NULL, "SmolLM2-135M-Instruct.Q4_1.gguf")

static const struct known_model known_models[] = {
#define KNOWN_MODEL(name, url, file) {name, url, file},
    KNOWN_MODEL_MAP(KNOWN_MODEL)
#undef KNOWN_MODEL
};

const struct known_model *known_model_find(const char *name)
{
    for (size_t i = 0; i < sizeof known_models / sizeof known_models[0]; i++)
        if (strcmp(known_models[i].name, name) == 0)
            return &known_models[i];
    return NULL;
}

const struct known_model *known_model_of_file(const char *file)
{
    for (size_t i = 0; i < sizeof known_models / sizeof known_models[0]; i++)
        if (strcmp(known_models[i].file, file) == 0)
            return &known_models[i];
    return NULL;
}

const char *known_model_names(void)
{
    /* The first separator is skipped. */
#define KNOWN_MODEL_NAME(name, url, file) ", " name
    return &(KNOWN_MODEL_MAP(KNOWN_MODEL_NAME))[2];
#undef KNOWN_MODEL_NAME
}

static int path_join(const char *directory, const char *name, const char *ending, char **path,
                     struct smollm_error *error)
{
    if (asprintf(path, "%s/%s%s", directory, name, ending) >= 0)
        return 0;
    *path = NULL;
    return error_set(error, SMOLLM_ENOMEM, "out of memory");
}

int cache_directory(char **path, struct smollm_error *error)
{
    *path = NULL;
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    /* The XDG base directory specification: relative paths are to be ignored. */
    if (cache && cache[0] == '/')
        return path_join(cache, "smollm", "", path, error);
    RETURN_ERROR_IF(!home || home[0] != '/', error, SMOLLM_ENOTFOUND,
                    "no cache directory: neither XDG_CACHE_HOME nor HOME is set to an absolute path");
    return path_join(home, ".cache/smollm", "", path, error);
}

int cache_directory_create(const char *path, struct smollm_error *error)
{
    char *copy = strdup(path);
    RETURN_ERROR_IF(!copy, error, SMOLLM_ENOMEM, "out of memory");
    int code = 0;
    for (char *end = copy + 1; code == 0; end++) {
        if (*end != '/' && *end != '\0')
            continue;
        bool last = *end == '\0';
        *end = '\0';
        if (mkdir(copy, 0755) != 0 && errno != EEXIST)
            code = error_set(error, SMOLLM_EIO, "cannot create the cache directory %s: %s", copy, strerror(errno));
        if (last)
            break;
        *end = '/';
    }
    free(copy);
    struct stat status;
    if (code == 0 && stat(path, &status) == 0 && !S_ISDIR(status.st_mode))
        code = error_set(error, SMOLLM_EIO, "the cache directory %s is not a directory", path);
    return code;
}

static bool is_model_name(const char *name)
{
    size_t size = strlen(name);
    uint32_t part;
    smollm_model_parts(name, &part); /* a model in several files is listed by its first */
    return part == 1 && size > 5 && name[0] != '.' && strcmp(name + size - 5, ".gguf") == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the models in the cache, sorted; each and the array are freed by the caller. A directory that does not
 * exist is empty. */
static int cache_list(const char *directory, char ***names, size_t *count, struct smollm_error *error)
{
    *names = NULL;
    *count = 0;
    DIR *stream = opendir(directory);
    if (!stream && errno == ENOENT)
        return 0;
    RETURN_ERROR_IF(!stream, error, SMOLLM_EIO, "cannot read the cache directory %s: %s", directory, strerror(errno));
    int code = 0;
    struct dirent *entry;
    while (code == 0 && (entry = readdir(stream)) != NULL) {
        if (!is_model_name(entry->d_name))
            continue;
        char **grown = realloc(*names, (*count + 1) * sizeof *grown);
        char *name = strdup(entry->d_name);
        if (grown)
            *names = grown;
        if (grown && name)
            grown[(*count)++] = name;
        else {
            free(name);
            code = error_set(error, SMOLLM_ENOMEM, "out of memory");
        }
    }
    closedir(stream);
    if (*count > 1)
        qsort(*names, *count, sizeof **names, compare_names);
    return code;
}

static int only_model_find(const char *directory, char **path, struct smollm_error *error)
{
    char **names;
    size_t count;
    int code = cache_list(directory, &names, &count, error);
    if (code == 0 && count == 1)
        code = path_join(directory, names[0], "", path, error);
    else if (code == 0 && count == 0)
        code = error_set(error, SMOLLM_ENOTFOUND, "no model given, and none in %s (get one with: smollm pull %s)",
                         directory, known_models[0].name);
    else if (code == 0) {
        struct buffer list = {0};
        for (size_t i = 0; i < count; i++)
            buffer_printf(&list, "%s%s", i > 0 ? ", " : "", names[i]);
        code = error_set(error, SMOLLM_ENOTFOUND, "no model given, and %s has %zu; name one of them: %s", directory,
                         count, list.data ? list.data : "");
        buffer_free(&list);
    }
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return code;
}

/* Whether directory/name+ending is there; *path is set when it is. */
static int cached_find(const char *directory, const char *name, const char *ending, char **path,
                       struct smollm_error *error)
{
    int code = path_join(directory, name, ending, path, error);
    if (code != 0)
        return code;
    struct stat status;
    if (stat(*path, &status) == 0)
        return 0;
    int reason = errno;
    if (reason == ENOENT)
        error_set(error, SMOLLM_ENOTFOUND, "not in the cache");
    else
        error_set(error, SMOLLM_EIO, "cannot read the cache: %s: %s", *path, strerror(reason));
    free(*path);
    *path = NULL;
    return reason == ENOENT ? SMOLLM_ENOTFOUND : SMOLLM_EIO;
}

int model_path_find(const char *argument, char **path, struct smollm_error *error)
{
    *path = NULL;
    struct stat status;
    if (argument && stat(argument, &status) == 0) {
        *path = strdup(argument);
        return *path ? 0 : error_set(error, SMOLLM_ENOMEM, "out of memory");
    }
    int reason = errno;
    RETURN_ERROR_IF(argument && (strchr(argument, '/') || reason != ENOENT), error,
                    reason == ENOENT ? SMOLLM_ENOTFOUND : SMOLLM_EIO, "%s: cannot open: %s", argument,
                    strerror(reason));
    char *directory;
    int code = cache_directory(&directory, error);
    if (code != 0)
        return code;
    const struct known_model *known = argument ? known_model_find(argument) : NULL;
    if (!argument)
        code = only_model_find(directory, path, error);
    else if (known) {
        code = cached_find(directory, known->file, "", path, error);
        if (code == SMOLLM_ENOTFOUND)
            error_set(error, code, "%s is not in %s (get it with: %s%s)", known->name, directory,
                      known->url ? "smollm pull " : "make run", known->url ? known->name : "");
    } else {
        code = cached_find(directory, argument, "", path, error);
        if (code == SMOLLM_ENOTFOUND)
            code = cached_find(directory, argument, ".gguf", path, error);
        if (code == SMOLLM_ENOTFOUND)
            error_set(error, code,
                      "%s: no such file, no model of that name in %s, and none that smollm pull knows (%s)", argument,
                      directory, known_model_names());
    }
    free(directory);
    return code;
}
