#include "cli/answer.h"

#include "base/clock.h"
#include "base/error.h"
#include "cli/interrupt.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/word_wrap.h"

/* The wait for an event; then signals are checked. */
enum { WAIT_MS = 50 };
/* Delay of the progress bar; and how long to wait for the engine after a cancellation. */
static const double PROGRESS_SECONDS = 0.5, CANCEL_SECONDS = 0.5;

struct following {
    const struct answer_view *view;
    struct answer *answer;
    struct smollm_request *request;
    struct progress progress;
    uint32_t prompt_done;
    struct word_wrap text, thinking;
    bool is_answering, is_thinking, is_canceled;
    double canceled_at;
};

void answer_free(struct answer *answer)
{
    buffer_free(&answer->text);
    buffer_free(&answer->reasoning);
}

static void show_thinking(struct following *f, struct smollm_text text)
{
    buffer_append_text(&f->answer->reasoning, text);
    if (f->view->thinking && !f->is_thinking)
        word_wrap_begin(&f->thinking, f->view->thinking, true);
    f->is_thinking = true;
    if (f->view->thinking)
        word_wrap_text(&f->thinking, text);
}

static void end_thinking(struct following *f)
{
    word_wrap_end(&f->thinking);
    if (f->is_thinking && f->view->thinking)
        fputs("\n\n", f->view->thinking);
    f->is_thinking = false;
}

static void show_text(struct following *f, struct smollm_text text)
{
    end_thinking(f);
    buffer_append_text(&f->answer->text, text);
    if (!f->view->text)
        return;
    if (!f->is_answering)
        word_wrap_begin(&f->text, f->view->text, false);
    f->is_answering = true;
    word_wrap_text(&f->text, text);
}

/* Checks signals and whether the reader has left, and draws the progress bar. */
static void look_around(struct following *f)
{
    if (f->view->attend && f->view->attend(f->view->user))
        smollm_end_thinking(f->request);
    if (!f->is_canceled && (interrupt_pending() || output_is_lost())) {
        f->is_canceled = true;
        f->canceled_at = clock_seconds();
        smollm_cancel(f->request);
    }
    progress_update(&f->progress, f->prompt_done, smollm_request_prompt_tokens(f->request));
}

static int take_event(struct following *f, const struct smollm_event *event, bool *is_last, struct smollm_error *error)
{
    if (event->type != SMOLLM_EVENT_PROGRESS && event->type != SMOLLM_EVENT_QUEUED)
        progress_end(&f->progress);
    *is_last = event->type == SMOLLM_EVENT_FINISH || event->type == SMOLLM_EVENT_ERROR;
    switch (event->type) {
    case SMOLLM_EVENT_PROGRESS:
        f->prompt_done = event->progress.processed;
        break;
    case SMOLLM_EVENT_THINKING:
        show_thinking(f, event->text);
        break;
    case SMOLLM_EVENT_TEXT:
        show_text(f, event->text);
        break;
    case SMOLLM_EVENT_FINISH:
        f->answer->reason = event->finish.reason;
        f->answer->usage = event->finish.usage;
        f->answer->seed = event->finish.seed;
        break;
    case SMOLLM_EVENT_ERROR:
        *error = event->error;
        return event->error.code;
    default:
        break;
    }
    return 0;
}

int answer_follow(struct smollm_request *request, const struct answer_view *view, struct answer *answer,
                  struct smollm_error *error)
{
    struct following f = {.view = view, .answer = answer, .request = request};
    int status = 0;
    bool is_last = false;
    progress_begin(&f.progress, "reading");
    f.progress.delay = PROGRESS_SECONDS;
    while (status == 0 && !is_last) {
        struct smollm_event event;
        status = smollm_next_event(request, WAIT_MS, &event);
        look_around(&f);
        if (status == 0)
            status = take_event(&f, &event, &is_last, error);
        else if (status != SMOLLM_ETIMEDOUT)
            status = error_set(error, status, "the answer ended without a reason");
        else if (f.is_canceled && clock_seconds() - f.canceled_at > CANCEL_SECONDS)
            is_last = true;
        if (status == SMOLLM_ETIMEDOUT)
            status = 0;
    }
    if (f.is_canceled && status == 0) {
        answer->reason = SMOLLM_FINISH_CANCELED;
        smollm_request_get_usage(request, &answer->usage);
    }
    progress_end(&f.progress);
    end_thinking(&f);
    word_wrap_end(&f.text);
    return status;
}
