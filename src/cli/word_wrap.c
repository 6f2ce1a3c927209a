#include "cli/word_wrap.h"

#include "base/printable.h"
#include "base/utf8.h"
#include "cli/print.h"

#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

enum { STANDARD_WIDTH = 80, TAB = 8 };

void word_wrap_begin(struct word_wrap *wrap, FILE *out, bool is_dimmed)
{
    *wrap = (struct word_wrap){.out = out, .is_terminal = isatty(fileno(out)) == 1};
    wrap->is_dimmed = is_dimmed && print_has_colour(out);
}

/* The size of the window may change at any time. */
static void ask_width(struct word_wrap *wrap)
{
    struct winsize size;
    wrap->width = ioctl(fileno(wrap->out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : STANDARD_WIDTH;
}

static void end_line(struct word_wrap *wrap)
{
    fputc('\n', wrap->out);
    wrap->column = wrap->blanks = 0;
}

static void end_word(struct word_wrap *wrap)
{
    if (wrap->word.size == 0)
        return;
    if (wrap->column > 0 && wrap->column + wrap->blanks + wrap->word_width > wrap->width)
        end_line(wrap);
    fprintf(wrap->out, "%*s", (int)wrap->blanks, "");
    fwrite(wrap->word.data, 1, wrap->word.size, wrap->out);
    wrap->column = (wrap->column + wrap->blanks + wrap->word_width) % (wrap->width + 1);
    wrap->blanks = wrap->word_width = 0;
    buffer_clear(&wrap->word);
}

/* Takes one character; returns its bytes. Scripts with wide characters are written without blanks, so a line may break
 * at each of them. */
static size_t take_character(struct word_wrap *wrap, struct smollm_text text)
{
    char shown[PRINTABLE_MAX_BYTES];
    size_t size;
    uint32_t c = 0;
    const size_t taken = printable_next(text.data, text.size, shown, &size);
    const bool is_itself = utf8_decode(text.data, text.size, &c) == size && c >= 0x80;
    int width = is_itself ? wcwidth((wchar_t)c) : (int)size;
    width = width < 0 ? 1 : width;
    if (width == 2 && is_itself)
        end_word(wrap);
    buffer_append(&wrap->word, shown, size);
    wrap->word_width += (unsigned)width;
    if ((width == 2 && is_itself) || wrap->word_width >= wrap->width)
        end_word(wrap);
    return taken;
}

void word_wrap_text(struct word_wrap *wrap, struct smollm_text text)
{
    if (!wrap->is_terminal) {
        fwrite(text.data, 1, text.size, wrap->out);
        return;
    }
    ask_width(wrap);
    if (wrap->is_dimmed)
        fputs("\033[2m", wrap->out);
    for (size_t i = 0; i < text.size;) {
        const char c = text.data[i];
        if (c == ' ' || c == '\t' || c == '\n') {
            end_word(wrap);
            wrap->blanks += c == '\t' ? TAB - (wrap->column + wrap->blanks) % TAB : 1;
            if (c == '\n')
                end_line(wrap);
            i++;
        } else {
            i += take_character(wrap, (struct smollm_text){text.data + i, text.size - i});
        }
    }
    if (wrap->is_dimmed)
        fputs("\033[0m", wrap->out);
    fflush(wrap->out);
}

void word_wrap_end(struct word_wrap *wrap)
{
    if (!wrap->out)
        return;
    if (wrap->is_dimmed)
        fputs("\033[2m", wrap->out);
    end_word(wrap);
    if (wrap->is_dimmed)
        fputs("\033[0m", wrap->out);
    buffer_free(&wrap->word);
    fflush(wrap->out);
    *wrap = (struct word_wrap){0};
}
