#include "api/api_error.h"

#include "api/json_writer.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* snprintf may have cut a character in two. */
static void end_at_character(char *text)
{
    size_t size = strlen(text);
    text[size - utf8_incomplete_tail(text, size)] = '\0';
}

int api_refuse(struct api_error *error, const char *param, const char *format, ...)
{
    *error = (struct api_error){.status = 400};
    snprintf(error->param, sizeof error->param, "%s", param ? param : "");
    end_at_character(error->param);
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    end_at_character(error->message);
    return -1;
}

void api_error_make(struct api_error *error, int status, const char *code, const char *message)
{
    *error = (struct api_error){.status = status, .code = code};
    if (status == 429 || status == 503)
        error->retry_after = 1;
    snprintf(error->message, sizeof error->message, "%s", message);
    end_at_character(error->message);
}

void api_error_from(struct api_error *error, const struct smollm_error *cause)
{
    int status = 500;
    const char *code = NULL;
    switch (cause->code) {
    case SMOLLM_EINVAL:
    case SMOLLM_EFORMAT:
    case SMOLLM_EUNSUPPORTED:
    case SMOLLM_ELIMIT:
        status = 400;
        break;
    case SMOLLM_ECONTEXT:
        status = 400;
        code = "context_length_exceeded";
        break;
    case SMOLLM_EBUSY:
        status = 429;
        code = "queue_full";
        break;
    case SMOLLM_ECLOSED:
        status = 503;
        code = "shutting_down";
        break;
    case SMOLLM_ETIMEDOUT:
        status = 503;
        code = "deadline_exceeded";
        break;
    case SMOLLM_ENOMEM:
        status = 503;
        code = "out_of_memory";
        break;
    default:
        break;
    }
    api_error_make(error, status, code, cause->message);
}

static const char *type_of(int status)
{
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 429:
        return "rate_limit_error";
    case 503:
        return "unavailable_error";
    default:
        return status >= 500 ? "server_error" : "invalid_request_error";
    }
}

void api_error_write(const struct api_error *error, struct buffer *out)
{
    struct json_writer writer = {out, false};
    json_begin_object(&writer);
    json_key(&writer, "error");
    json_begin_object(&writer);
    json_key_word(&writer, "message", error->message);
    json_key_word(&writer, "type", type_of(error->status));
    json_key_word(&writer, "param", error->param[0] ? error->param : NULL);
    json_key_word(&writer, "code", error->code);
    json_end_object(&writer);
    json_end_object(&writer);
}
