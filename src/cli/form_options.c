#include "cli/form_options.h"

#include "base/error.h"
#include "base/file.h"

#include <stdlib.h>
#include <string.h>

void form_memory_free(struct form_memory *memory)
{
    buffer_free(&memory->text);
    free(memory->choices);
    *memory = (struct form_memory){0};
}

/* "yes,no": the texts between the commas. */
static int split(const char *list, struct form_memory *memory, struct smollm_form *form, struct smollm_error *error)
{
    size_t count = 1;
    for (const char *c = list; *c; c++)
        count += *c == ',';
    memory->choices = calloc(count, sizeof *memory->choices);
    RETURN_ERROR_IF(!memory->choices, error, SMOLLM_ENOMEM, "out of memory for --choice");
    for (const char *at = list; form->choice_count < count; form->choice_count++) {
        const size_t size = strcspn(at, ",");
        RETURN_ERROR_IF(size == 0, error, SMOLLM_EINVAL, "--choice '%s' has an empty text between its commas", list);
        memory->choices[form->choice_count] = (struct smollm_text){at, size};
        at += size + 1;
    }
    form->choices = memory->choices;
    return 0;
}

int form_from_options(const struct options *options, struct form_memory *memory, struct smollm_form *form,
                      const struct smollm_form **wanted, struct smollm_error *error)
{
    const int count =
        (options->schema != NULL) + (options->grammar != NULL) + (options->regex != NULL) + (options->choice != NULL);
    *wanted = NULL;
    if (count == 0)
        return 0;
    RETURN_ERROR_IF(count > 1, error, SMOLLM_EINVAL,
                    "only one of --schema, --grammar, --regex and --choice can be given");
    *form = (struct smollm_form)SMOLLM_FORM_INIT;
    int status = 0;
    if (options->schema || options->grammar) {
        form->kind = options->schema ? SMOLLM_FORM_SCHEMA : SMOLLM_FORM_GRAMMAR;
        status = file_read(options->schema ? options->schema : options->grammar, &memory->text, error);
        form->text = buffer_text(&memory->text);
    } else if (options->regex) {
        form->kind = SMOLLM_FORM_REGEX;
        form->text = text_of(options->regex);
    } else {
        form->kind = SMOLLM_FORM_CHOICE;
        status = split(options->choice, memory, form, error);
    }
    if (status == 0)
        status = smollm_check_form(form, error);
    if (status == 0)
        *wanted = form;
    return status;
}
