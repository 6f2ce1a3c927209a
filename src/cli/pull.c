/* smollm pull NAME|URL */
#include "base/error.h"
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
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

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

/* A page that says "log in first" must not be kept as a model. */
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

/* Where a NAME or URL comes from and goes to. */
static int target_find(const char *argument, const char **url, struct buffer *path, struct smollm_error *error)
{
    const struct known_model *known = known_model_find(argument);
    struct buffer name = {0};
    char *directory = NULL;
    int code = 0;
    *url = known ? known->url : argument;
    if (!known && !is_url(argument))
        code = error_set(error, SMOLLM_ENOTFOUND, "%s is neither an http address nor a known name (%s)", argument,
                         known_model_names());
    else if (known)
        buffer_append_string(&name, known->file);
    else
        code = file_name_choose(argument, &name, error);
    if (code == 0)
        code = cache_directory(&directory, error);
    if (code == 0)
        code = cache_directory_create(directory, error);
    if (code == 0)
        buffer_printf(path, "%s/%s", directory, name.data);
    if (code == 0 && (name.failed || path->failed))
        code = error_set(error, SMOLLM_ENOMEM, "out of memory");
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

static int pull_run(const struct pull_options *options, struct buffer *path, struct smollm_error *error)
{
    const char *url;
    int code = target_find(options->what, &url, path, error);
    if (code != 0)
        return code;
    struct stat status;
    if (stat(path->data, &status) == 0)
        return 0; /* complete: it only gets its name then */
    RETURN_ERROR_IF(errno != ENOENT, error, SMOLLM_EIO, "cannot read the cache: %s: %s", path->data, strerror(errno));
    RETURN_ERROR_IF(!url, error, SMOLLM_ENOTFOUND,
                    "%s comes from the package index, not from an address: make run "
                    "fetches it",
                    options->what);
    struct pull pull = {.checking = false};
    struct download download = {
        .url = url,
        .path = path->data,
        .attempts = options->attempts,
        .pause_seconds = options->pause_seconds,
        .stall_seconds = options->stall_seconds,
        .progress = on_progress,
        .check = on_check,
        .user = &pull,
    };
    progress_begin(&pull.progress, "downloading");
    pull.progress.counts_bytes = true;
    code = download_run(&download, error);
    progress_end(&pull.progress);
    return code;
}

int command_pull(int argc, char **argv)
{
    char description[200];
    snprintf(description, sizeof description,
             "It is printed where it lies. An interrupted download goes on where it stopped. Names: %s.",
             known_model_names());
    const struct command_help help = {
        COMMAND_PULL, "pull", "NAME|URL", "Downloads a model into ${XDG_CACHE_HOME:-~/.cache}/smollm",
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
    struct buffer path = {0};
    interrupt_hold();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int code = pull_run(&options, &path, &error);
    curl_global_cleanup();
    if (code == 0)
        printf("%s\n", path.data);
    buffer_free(&path);
    return code == 0 ? EXIT_DONE : print_error(&error);
}
