#include "cli/download.h"

#include "base/error.h"
#include "base/text.h"
#include "cli/print.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { TAG_SIZE = 256, SHA_DIGITS = 64, REDIRECTS_MAX = 10 };

/* An attempt that receives at least this much resets the count of attempts. */
static const uint64_t PROGRESS_BYTES = 1 << 20;

struct transfer {
    const struct download *download;
    CURL *curl;
    struct smollm_error *error;
    char *part_path;
    char *tag_path;
    int descriptor; /* of the part, locked */
    uint64_t have;  /* bytes in it */
    uint64_t begin; /* bytes in it when this attempt began */

    /* Announced on any response. */
    uint64_t linked_size; /* 0: not */
    char sha[SHA_DIGITS + 1];

    /* Of the response being read. */
    long status;
    char tag[TAG_SIZE];
    uint64_t content_length; /* UINT64_MAX: not said */
    uint64_t range_begin;
    uint64_t range_total; /* UINT64_MAX: not said */
    bool body_begun;

    uint64_t total; /* 0: not known */
    int failure;    /* set by a callback that stopped the transfer */
};

/* ---- Headers ---- */

static bool header_is(const char *line, size_t size, const char *name, struct smollm_text *value)
{
    size_t n = strlen(name);
    if (size <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
        return false;
    const char *begin = line + n + 1;
    const char *end = line + size;
    while (begin < end && (*begin == ' ' || *begin == '\t'))
        begin++;
    while (end > begin && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *value = (struct smollm_text){begin, (size_t)(end - begin)};
    return true;
}

/* A decimal number at the front of text; UINT64_MAX when there is none or it does not fit. */
static uint64_t number_take(struct smollm_text *text)
{
    uint64_t value = 0;
    size_t i = 0;
    for (; i < text->size && text->data[i] >= '0' && text->data[i] <= '9'; i++)
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text->data[i] - '0'), &value))
            return UINT64_MAX;
    text->data += i;
    text->size -= i;
    return i == 0 ? UINT64_MAX : value;
}

/* "bytes 100-199/200"; a star stands for an unknown total and, with 416, for the range. */
static void content_range_read(struct transfer *t, struct smollm_text value)
{
    if (value.size < 6 || strncasecmp(value.data, "bytes ", 6) != 0)
        return;
    value.data += 6;
    value.size -= 6;
    t->range_begin = number_take(&value);
    const char *slash = memchr(value.data, '/', value.size);
    if (slash) {
        struct smollm_text total = {slash + 1, value.size - (size_t)(slash + 1 - value.data)};
        t->range_total = number_take(&total);
    }
}

static void sha_read(struct transfer *t, struct smollm_text value)
{
    if (value.size == SHA_DIGITS + 2 && value.data[0] == '"' && value.data[value.size - 1] == '"') {
        value.data++;
        value.size -= 2;
    }
    if (value.size != SHA_DIGITS)
        return;
    for (size_t i = 0; i < SHA_DIGITS; i++) {
        char c = value.data[i] >= 'A' && value.data[i] <= 'F' ? (char)(value.data[i] | 0x20) : value.data[i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
            return;
    }
    for (size_t i = 0; i < SHA_DIGITS; i++)
        t->sha[i] = value.data[i] >= 'A' && value.data[i] <= 'F' ? (char)(value.data[i] | 0x20) : value.data[i];
    t->sha[SHA_DIGITS] = '\0';
}

static size_t on_header(char *line, size_t one, size_t size, void *user)
{
    struct transfer *t = user;
    struct smollm_text value;
    if (size > 5 && strncmp(line, "HTTP/", 5) == 0) {
        t->tag[0] = '\0';
        t->content_length = UINT64_MAX;
        t->range_begin = UINT64_MAX;
        t->range_total = UINT64_MAX;
        t->body_begun = false;
    } else if (header_is(line, size, "content-length", &value))
        t->content_length = number_take(&value);
    else if (header_is(line, size, "content-range", &value))
        content_range_read(t, value);
    else if (header_is(line, size, "x-linked-size", &value)) {
        uint64_t linked = number_take(&value);
        t->linked_size = linked == UINT64_MAX ? 0 : linked;
    } else if (header_is(line, size, "x-linked-etag", &value))
        sha_read(t, value);
    else if (header_is(line, size, "etag", &value) && value.size < TAG_SIZE && value.size > 2 && value.data[0] == '"') {
        /* Only a strong validator may go into If-Range (RFC 9110, 13.1.5). */
        memcpy(t->tag, value.data, value.size);
        t->tag[value.size] = '\0';
    }
    return size * one;
}

/* ---- The part file ---- */

static int disk_error(struct transfer *t, int reason)
{
    return error_set(t->error, SMOLLM_EIO, "cannot write %s: %s; %s are kept; run the command again to resume",
                     t->part_path, strerror(reason), size_text(t->have).text);
}

static int part_open(struct transfer *t)
{
    if (asprintf(&t->part_path, "%s.part", t->download->path) < 0 ||
        asprintf(&t->tag_path, "%s.part.tag", t->download->path) < 0)
        return error_set(t->error, SMOLLM_ENOMEM, "out of memory");
    t->descriptor = open(t->part_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    RETURN_ERROR_IF(t->descriptor < 0, t->error, SMOLLM_EIO, "cannot write %s: %s", t->part_path, strerror(errno));
    RETURN_ERROR_IF(flock(t->descriptor, LOCK_EX | LOCK_NB) != 0, t->error, SMOLLM_EBUSY,
                    "another smollm is downloading %s", t->download->path);
    struct stat status;
    RETURN_ERROR_IF(fstat(t->descriptor, &status) != 0, t->error, SMOLLM_EIO, "cannot read %s: %s", t->part_path,
                    strerror(errno));
    t->have = (uint64_t)status.st_size;
    return 0;
}

static int part_truncate(struct transfer *t)
{
    t->have = 0;
    return ftruncate(t->descriptor, 0) == 0 ? 0 : disk_error(t, errno);
}

static void part_remove(struct transfer *t)
{
    unlink(t->part_path);
    unlink(t->tag_path);
}

/* The validator of the bytes in the part; empty when unknown. */
static void tag_load(const struct transfer *t, char tag[TAG_SIZE])
{
    tag[0] = '\0';
    FILE *file = fopen(t->tag_path, "re");
    if (!file)
        return;
    if (!fgets(tag, TAG_SIZE, file))
        tag[0] = '\0';
    tag[strcspn(tag, "\r\n")] = '\0';
    fclose(file);
}

/* Without it a later run starts over, so a failure is ignored. */
static void tag_store(const struct transfer *t)
{
    unlink(t->tag_path);
    if (t->tag[0] == '\0')
        return;
    FILE *file = fopen(t->tag_path, "we");
    if (!file)
        return;
    fprintf(file, "%s\n", t->tag);
    fclose(file);
}

static int space_check(struct transfer *t)
{
    struct statvfs disk;
    if (t->total == 0 || fstatvfs(t->descriptor, &disk) != 0)
        return 0;
    uint64_t room = (uint64_t)disk.f_bavail * disk.f_frsize;
    uint64_t needed = t->total - t->have;
    RETURN_ERROR_IF(needed > room, t->error, SMOLLM_EIO, "%s needs %s more, its disk has %s free", t->download->path,
                    size_text(needed).text, size_text(room).text);
    return 0;
}

/* ---- The body ---- */

/* Called before the first byte of a 200 or 206, or after an empty body: decides where the bytes go and how many are
 * expected. */
static int body_begin(struct transfer *t)
{
    t->body_begun = true;
    int code = 0;
    if (t->status == 206) {
        RETURN_ERROR_IF(t->range_begin != t->have, t->error, SMOLLM_EIO,
                        "the server sent another part of the file than was asked for");
        t->total = t->range_total != UINT64_MAX ? t->range_total : 0;
        if (t->total == 0 && t->content_length != UINT64_MAX)
            t->total = t->have + t->content_length;
    } else {
        /* The whole file: nothing to resume, the file has changed, or the server does not support ranges. */
        code = part_truncate(t);
        t->total = t->content_length != UINT64_MAX ? t->content_length : 0;
    }
    t->begin = t->have;
    if (code != 0)
        return code;
    if (t->linked_size != 0 && t->total != 0 && t->total != t->linked_size)
        return error_set(t->error, SMOLLM_EFORMAT, "the server announces %llu bytes and offers %llu",
                         (unsigned long long)t->linked_size, (unsigned long long)t->total);
    if (t->linked_size != 0)
        t->total = t->linked_size;
    if (t->total != 0 && t->total < t->have)
        return error_set(t->error, SMOLLM_EFORMAT, "%s is larger than the file on the server", t->part_path);
    tag_store(t);
    return space_check(t);
}

static size_t on_body(char *data, size_t one, size_t size, void *user)
{
    struct transfer *t = user;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &t->status);
    if (t->status != 200 && t->status != 206)
        return size; /* an error page */
    if (!t->body_begun && (t->failure = body_begin(t)) != 0)
        return 0;
    if (t->total != 0 && size > t->total - t->have) {
        t->failure = error_set(t->error, SMOLLM_EFORMAT, "the server sent more than the %llu bytes it announced",
                               (unsigned long long)t->total);
        return 0;
    }
    for (size_t done = 0; done < size;) {
        ssize_t n = pwrite(t->descriptor, data + done, size - done, (off_t)t->have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            t->failure = disk_error(t, errno);
            return 0;
        }
        done += (size_t)n;
        t->have += (uint64_t)n;
    }
    return size * one;
}

static int on_progress(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    struct transfer *t = user;
    const struct download *d = t->download;
    if (!d->progress || d->progress(d->user, false, t->have, t->total))
        return 0;
    t->failure = error_set(t->error, SMOLLM_ECANCELED, "interrupted; %s are kept; run the command again to resume",
                           size_text(t->have).text);
    return 1;
}

/* ---- One attempt ---- */

static struct curl_slist *request_headers(struct transfer *t)
{
    char tag[TAG_SIZE];
    tag_load(t, tag);
    /* Bytes of an unknown version can be kept only if a hash will check the whole file. */
    if (t->have == 0 || (tag[0] == '\0' && t->sha[0] == '\0')) {
        part_truncate(t);
        return NULL;
    }
    char line[TAG_SIZE + 32];
    snprintf(line, sizeof line, "Range: bytes=%llu-", (unsigned long long)t->have);
    struct curl_slist *headers = curl_slist_append(NULL, line);
    if (headers && tag[0] != '\0') {
        snprintf(line, sizeof line, "If-Range: %s", tag);
        curl_slist_append(headers, line);
    }
    return headers;
}

static void curl_prepare(struct transfer *t, struct curl_slist *headers)
{
    const struct download *d = t->download;
    CURL *curl = t->curl;
    bool secure = strncasecmp(d->url, "https:", 6) == 0;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, d->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "smollm/" SMOLLM_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 20L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1000L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)d->stall_seconds);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
}

/* Whether another attempt may help, with the sentence for a person in *t->error. */
static bool curl_failure_passes(struct transfer *t, CURLcode result, const char *reason)
{
    int code = SMOLLM_EIO;
    error_set(t->error, code, "%s: %s", t->download->url, reason[0] ? reason : curl_easy_strerror(result));
    switch (result) {
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_OUT_OF_MEMORY:
        return false;
    default:
        return true;
    }
}

static bool status_passes(struct transfer *t, bool *again)
{
    if (t->status == 200 || t->status == 206)
        return true;
    *again = t->status >= 500 || t->status == 408 || t->status == 429;
    if (t->status == 416 && t->have > 0) {
        /* Either nothing is left to send, or the part is not a beginning of this file. */
        if (t->range_total == t->have)
            return true;
        *again = part_truncate(t) == 0;
    }
    error_set(t->error, t->status == 404 ? SMOLLM_ENOTFOUND : SMOLLM_EIO, "%s: the server answered %ld%s",
              t->download->url, t->status, t->status == 404 ? " (not found)" : "");
    return false;
}

enum attempt { ATTEMPT_DONE, ATTEMPT_AGAIN, ATTEMPT_FAILED };

static enum attempt attempt_run(struct transfer *t)
{
    struct curl_slist *headers = request_headers(t);
    char reason[CURL_ERROR_SIZE] = "";
    curl_prepare(t, headers);
    curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, reason);
    t->failure = 0;
    t->status = 0;
    t->body_begun = false;
    t->begin = t->have;
    CURLcode result = curl_easy_perform(t->curl);
    curl_slist_free_all(headers);
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &t->status);
    if (t->failure != 0)
        return ATTEMPT_FAILED;
    if (result != CURLE_OK)
        return curl_failure_passes(t, result, reason) ? ATTEMPT_AGAIN : ATTEMPT_FAILED;
    bool again = false;
    if (!status_passes(t, &again))
        return again ? ATTEMPT_AGAIN : ATTEMPT_FAILED;
    if (t->status != 416 && !t->body_begun && (t->failure = body_begin(t)) != 0)
        return ATTEMPT_FAILED;
    return ATTEMPT_DONE;
}

/* Sleeps in short steps, so that an interruption is noticed. */
static bool pause_run(struct transfer *t, double seconds)
{
    for (double slept = 0; slept < seconds; slept += 0.1) {
        if (on_progress(t, 0, 0, 0, 0) != 0)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    return true;
}

static int attempts_run(struct transfer *t)
{
    double pause = t->download->pause_seconds;
    for (uint32_t attempt = 1;; attempt++) {
        enum attempt outcome = attempt_run(t);
        if (outcome == ATTEMPT_DONE)
            return 0;
        if (outcome == ATTEMPT_FAILED)
            return t->failure != 0 ? t->failure : t->error->code;
        if (t->have > t->begin && t->have - t->begin >= PROGRESS_BYTES) {
            attempt = 1;
            pause = t->download->pause_seconds;
        }
        if (attempt >= t->download->attempts) {
            int code = t->error->code;
            if (t->have > 0 && code == SMOLLM_EIO)
                error_prefix(t->error, "gave up after %u attempts, %s are kept; run the command again to resume",
                             attempt, size_text(t->have).text);
            return code;
        }
        if (!pause_run(t, pause))
            return t->failure;
        pause *= 2;
    }
}

/* ---- Checking the complete file ---- */

static int sha_compute(struct transfer *t, EVP_MD_CTX *context, char digits[SHA_DIGITS + 1])
{
    static char const hex[] = "0123456789abcdef";
    const struct download *d = t->download;
    unsigned char digest[EVP_MAX_MD_SIZE];
    size_t piece = 1 << 20;
    unsigned char *data = malloc(piece);
    bool good = data && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    int code = good ? 0 : error_set(t->error, SMOLLM_ENOMEM, "out of memory");
    for (uint64_t at = 0; at < t->have && code == 0;) {
        ssize_t n = pread(t->descriptor, data, piece, (off_t)at);
        if (n <= 0)
            code = error_set(t->error, SMOLLM_EIO, "cannot read %s: %s", t->part_path,
                             n < 0 ? strerror(errno) : "it has become shorter");
        else if (EVP_DigestUpdate(context, data, (size_t)n) != 1)
            code = error_set(t->error, SMOLLM_ENOMEM, "out of memory");
        else if (d->progress && !d->progress(d->user, true, at += (uint64_t)n, t->have))
            code = error_set(t->error, SMOLLM_ECANCELED, "interrupted; run again to go on");
        else if (!d->progress)
            at += (uint64_t)n;
    }
    free(data);
    if (code == 0 && EVP_DigestFinal_ex(context, digest, NULL) != 1)
        code = error_set(t->error, SMOLLM_ENOMEM, "out of memory");
    for (size_t i = 0; i < SHA_DIGITS && code == 0; i++)
        digits[i] = hex[digest[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15];
    digits[SHA_DIGITS] = '\0';
    return code;
}

static int sha_check(struct transfer *t)
{
    if (t->sha[0] == '\0')
        return 0;
    char digits[SHA_DIGITS + 1] = "";
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    RETURN_ERROR_IF(!context, t->error, SMOLLM_ENOMEM, "out of memory");
    int code = sha_compute(t, context, digits);
    EVP_MD_CTX_free(context);
    if (code != 0 || strcmp(digits, t->sha) == 0)
        return code;
    part_remove(t);
    return error_set(t->error, SMOLLM_EFORMAT,
                     "the download is damaged and was removed: its SHA-256 is %.16s..., announced is %.16s...", digits,
                     t->sha);
}

static int whole_check(struct transfer *t)
{
    const struct download *d = t->download;
    if (t->total != 0 && t->have != t->total) {
        part_remove(t);
        return error_set(t->error, SMOLLM_EFORMAT,
                         "the download is damaged and was removed: it has %llu bytes, announced are %llu",
                         (unsigned long long)t->have, (unsigned long long)t->total);
    }
    int code = sha_check(t);
    if (code == 0 && d->check && (code = d->check(d->user, t->part_path, t->error)) != 0)
        part_remove(t);
    if (code != 0)
        return code;
    RETURN_ERROR_IF(fsync(t->descriptor) != 0 || rename(t->part_path, d->path) != 0, t->error, SMOLLM_EIO,
                    "cannot write %s: %s", d->path, strerror(errno));
    unlink(t->tag_path);
    return 0;
}

int download_run(const struct download *download, struct smollm_error *error)
{
    struct smollm_error unwanted;
    struct transfer t = {.download = download, .error = error ? error : &unwanted, .descriptor = -1};
    int code = part_open(&t);
    if (code == 0) {
        t.curl = curl_easy_init();
        code = t.curl ? attempts_run(&t) : error_set(t.error, SMOLLM_ENOMEM, "out of memory");
        /* A file that differs from what was announced is useless to a later run, too. */
        if (code == SMOLLM_EFORMAT)
            part_remove(&t);
        if (code == 0)
            code = whole_check(&t);
        if (code != 0 && t.have == 0)
            part_remove(&t);
    }
    curl_easy_cleanup(t.curl);
    if (t.descriptor >= 0)
        close(t.descriptor);
    free(t.part_path);
    free(t.tag_path);
    return code;
}
