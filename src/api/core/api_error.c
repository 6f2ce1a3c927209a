#include "api/core/api_error.h"

#include "base/utf8.h"

#include <inttypes.h>
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
    if (cause->code == SMOLLM_ECONTEXT && sscanf(cause->message, "prompt is too long: %" SCNu32 " tokens > %" SCNu32,
                                                 &error->prompt_tokens, &error->context) != 2)
        error->prompt_tokens = error->context = 0;
}

int api_refuse_memory(struct api_error *error)
{
    api_error_make(error, 503, "out_of_memory", "out of memory for the request");
    return -1;
}

int api_refuse_from(struct api_error *error, const struct smollm_error *cause)
{
    api_error_from(error, cause);
    return -1;
}
