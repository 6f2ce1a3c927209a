/* smollm pull NAME|URL */
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/download.h"
#include "cli/interrupt.h"
#include "cli/model_path.h"
#include "cli/options.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "smollm.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

struct pull {
    struct progress progress;
    bool checking;
};

static bool on_progress(void *user, bool checking, uint64_t done, uint64_t total)
{
    struct pull *pull = user;
    if (checking && !pull->checking) {
        progress_end(&pull->progress);
        progress_begin(&pull->progress, "checking");
    }
    pull->checking = checking;
    if (done > 0)
        progress_update(&pull->progress, done, total);
    return !interrupt_pending();
}

/* A login page in place of the file must not be kept as a model. */
static int on_check(void *user, const char *path, struct smollm_error *error)
{
    if (smollm_check_file(path, error) < 0)
        return error_prefix(error, "what the server sent is no model that smollm reads");
    return 0;
}

/* The last part of the address's path, made safe: letters, digits, '-', '_', '.'; it ends in ".gguf". */
static int file_name_choose(const char *url, struct buffer *name, struct smollm_error *error)
{
    CURLU *parsed = curl_url();
    char *path = NULL;
    bool good = parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl_url_get(parsed, CURLUPART_PATH, &path, CURLU_URLDECODE) == CURLUE_OK;
    const char *slash = good ? strrchr(path, '/') : NULL;
    const char *last = slash ? slash + 1 : "";
    while (*last == '.')
        last++;
    for (; *last != '\0' && name->size < 200; last++) {
        bool plain = (*last >= 'a' && *last <= 'z') || (*last >= 'A' && *last <= 'Z') ||
                     (*last >= '0' && *last <= '9') || strchr("-_.", *last);
        buffer_append_char(name, plain ? *last : '_');
    }
    curl_free(path);
    curl_url_cleanup(parsed);
    RETURN_ERROR_IF(name->size == 0 || name->failed, error, SMOLLM_EINVAL, "%s does not name a file", url);
    if (name->size < 5 || memcmp(name->data + name->size - 5, ".gguf", 5) != 0)
        buffer_append_string(name, ".gguf");
    return 0;
}

static bool is_url(const char *argument)
{
    return strncasecmp(argument, "http://", 7) == 0 || strncasecmp(argument, "https://", 8) == 0;
}

/* ---- Where a file in the cache came from: NAME.gguf.url beside it ---- */

/* An address without user and password, fragment, and the query parameters of model hubs that do not change the file.
 */
static int address_clean(const char *url, struct buffer *clean, struct smollm_error *error)
{
    CURLU *parsed = curl_url();
    char *text = NULL;
    const bool good = parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
                      curl_url_set(parsed, CURLUPART_USER, NULL, 0) == CURLUE_OK &&
                      curl_url_set(parsed, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK &&
                      curl_url_set(parsed, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK &&
                      curl_url_get(parsed, CURLUPART_URL, &text, 0) == CURLUE_OK;
    char *query = good ? strstr(text, "?download=true") : NULL;
    if (query && strlen(query) == strlen("?download=true"))
        *query = '\0';
    if (good)
        buffer_append_string(clean, text);
    curl_free(text);
    curl_url_cleanup(parsed);
    RETURN_ERROR_IF(!good, error, SMOLLM_EINVAL, "the address cannot be read as one");
    RETURN_ERROR_IF(clean->failed, error, SMOLLM_ENOMEM, "out of memory");
    return 0;
}

/* Whether a note says that a file came from this address; without a note, `unknown`. */
static bool origin_is(const char *path, const char *address, bool unknown)
{
    struct buffer note_path = {0}, note = {0};
    struct smollm_error ignored;
    buffer_printf(&note_path, "%s.url", path);
    bool is_same = unknown;
    if (!note_path.failed && file_read(note_path.data, &note, &ignored) == 0 && note.data)
        is_same = strcspn(note.data, "\n") == strlen(address) && strncmp(note.data, address, strlen(address)) == 0;
    buffer_free(&note_path);
    buffer_free(&note);
    return is_same;
}

static int origin_note(const char *path, const char *address, struct smollm_error *error)
{
    struct buffer note_path = {0};
    buffer_printf(&note_path, "%s.url", path);
    if (note_path.data)
        unlink(note_path.data); /* an existing file or link is replaced, never written into */
    FILE *file = note_path.data ? fopen(note_path.data, "wxe") : NULL;
    bool written = file && fprintf(file, "%s\n", address) >= 0;
    written = file && fclose(file) == 0 && written;
    buffer_free(&note_path);
    RETURN_ERROR_IF(!written, error, SMOLLM_EIO, "cannot note where %s came from: %s", path, strerror(errno));
    return 0;
}

/* ---- Where a download goes ---- */

/* The file of a known model is kept for that model. */
static bool is_kept_for_another(const char *name, const struct known_model *known)
{
    const struct known_model *key = known_model_of_file(name);
    return key && key != known;
}

/* NAME.gguf becomes NAME-1f2e3d4c.gguf, the same for the same address; the number of a part stays at the end. */
static void name_tell_apart(struct buffer *name, const char *address)
{
    char ending[sizeof "-00001-of-00003.gguf"];
    const size_t size = smollm_model_parts(name->data, NULL) > 1 ? sizeof ending - 1 : 5;
    snprintf(ending, sizeof ending, "%s", name->data + name->size - size);
    name->size -= size;
    buffer_printf(name, "-%08" PRIx32 "%s", (uint32_t)hash_bytes(address, strlen(address), 0), ending);
}

struct target {
    const char *url;       /* NULL: the known model has no address */
    struct buffer address; /* url without secrets */
    struct buffer path;
    bool is_there;
};

static void target_free(struct target *target)
{
    buffer_free(&target->address);
    buffer_free(&target->path);
}

static int target_place(struct target *target, const char *directory, struct buffer *name,
                        const struct known_model *known, struct smollm_error *error)
{
    struct stat status;
    const char *address = target->address.data ? target->address.data : "";
    bool is_other = is_kept_for_another(name->data, known);
    for (int attempt = 0;; attempt++) {
        if (is_other)
            name_tell_apart(name, address);
        buffer_clear(&target->path);
        buffer_printf(&target->path, "%s/%s", directory, name->data);
        RETURN_ERROR_IF(name->failed || target->path.failed, error, SMOLLM_ENOMEM, "out of memory");
        target->is_there = stat(target->path.data, &status) == 0;
        RETURN_ERROR_IF(!target->is_there && errno != ENOENT, error, SMOLLM_EIO, "cannot read the cache: %s: %s",
                        target->path.data, strerror(errno));
        /* A known model may have come from a package, and then there is no note. */
        if (!target->is_there || attempt > 0 || is_other || origin_is(target->path.data, address, known != NULL))
            return 0;
        is_other = true;
    }
}

/* Where a NAME or URL comes from and goes to. */
static int target_find(const char *argument, struct target *target, struct smollm_error *error)
{
    const struct known_model *known = known_model_find(argument);
    struct buffer name = {0};
    char *directory = NULL;
    int code = 0;
    target->url = known ? known->url : argument;
    if (!known && !is_url(argument))
        code = error_set(error, SMOLLM_ENOTFOUND, "%s is neither an http address nor a known name (%s)", argument,
                         known_model_names());
    else if (known)
        buffer_append_string(&name, known->file);
    else
        code = file_name_choose(argument, &name, error);
    if (code == 0 && target->url)
        code = address_clean(target->url, &target->address, error);
    if (code == 0)
        code = cache_directory(&directory, error);
    if (code == 0)
        code = cache_directory_create(directory, error);
    if (code == 0)
        code = target_place(target, directory, &name, known, error);
    free(directory);
    buffer_free(&name);
    return code;
}

struct pull_options {
    const char *what;
    uint32_t attempts;
    double pause_seconds;
    uint32_t stall_seconds;
};

static int pull_file(const struct pull_options *options, const char *url, const char *path, const char *address,
                     struct smollm_error *error)
{
    struct pull pull = {.checking = false};
    struct download download = {
        .url = url,
        .path = path,
        .attempts = options->attempts,
        .pause_seconds = options->pause_seconds,
        .stall_seconds = options->stall_seconds,
        .progress = on_progress,
        .check = on_check,
        .user = &pull,
    };
    progress_begin(&pull.progress, "downloading");
    pull.progress.counts_bytes = true;
    int code = download_run(&download, error);
    progress_end(&pull.progress);
    return code == 0 ? origin_note(path, address, error) : code;
}

/* Writes the number of a part into an address, which may have a query behind the name. */
static void address_set_part(char *address, uint32_t part)
{
    char *end = strchr(address, '?');
    const char kept = end ? *end : '\0';
    if (end)
        *end = '\0';
    smollm_model_part_rename(address, part);
    if (end)
        *end = kept;
}

/* All files of a model, the first one last: a model whose first file is there is complete. */
static int pull_parts(const struct pull_options *options, const struct target *target, uint32_t count,
                      struct smollm_error *error)
{
    char *url = strdup(target->url), *path = strdup(target->path.data), *address = strdup(target->address.data);
    int code = url && path && address ? 0 : error_set(error, SMOLLM_ENOMEM, "out of memory");
    struct stat status;
    for (uint32_t part = count; part >= 1 && code == 0; part--) {
        address_set_part(url, part);
        address_set_part(address, part);
        smollm_model_part_rename(path, part);
        if (stat(path, &status) != 0)
            code = pull_file(options, url, path, address, error);
    }
    free(url);
    free(path);
    free(address);
    return code;
}

static int pull_run(const struct pull_options *options, struct target *target, struct smollm_error *error)
{
    int code = target_find(options->what, target, error);
    if (code != 0 || target->is_there) /* complete: it only gets its name then */
        return code;
    RETURN_ERROR_IF(!target->url, error, SMOLLM_ENOTFOUND,
                    "%s comes from the package index, not from an address: make run "
                    "fetches it",
                    options->what);
    uint32_t part;
    const uint32_t count = smollm_model_parts(target->path.data, &part);
    RETURN_ERROR_IF(part != 1, error, SMOLLM_EINVAL,
                    "this address is that of part %u of %u of a model; give that of the first part", part, count);
    return pull_parts(options, target, count, error);
}

int command_pull(int argc, char **argv)
{
    char description[200];
    snprintf(description, sizeof description,
             "Prints the path of the file. An interrupted download continues where it stopped. Names: %s.",
             known_model_names());
    const struct command_help help = {
        COMMAND_PULL, "pull", "NAME|URL", "Download a model into ${XDG_CACHE_HOME:-~/.cache}/smollm.",
        description,  1,      1};
    struct options given;
    int exit_code;
    if (!options_read(&help, argc, argv, &given, &exit_code))
        return exit_code;
    struct pull_options options = {.what = given.arguments[0],
                                   .attempts = 5,
                                   .pause_seconds = (double)given.pause_seconds,
                                   .stall_seconds = given.stall_seconds};
    struct smollm_error error = {0};
    struct target target = {0};
    interrupt_set(INTERRUPT_ASKS_ONCE);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int code = pull_run(&options, &target, &error);
    curl_global_cleanup();
    if (code == 0) {
        print_model_text(stdout, buffer_text(&target.path));
        putchar('\n');
    }
    target_free(&target);
    return code == 0 ? EXIT_DONE : print_error(&error);
}
