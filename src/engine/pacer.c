#include "engine/pacer.h"

void pacer_begin(struct pacer *pacer)
{
    *pacer = (struct pacer){.room = PACER_FIRST};
}

uint32_t pacer_room(const struct pacer *pacer, uint32_t streams, uint32_t max)
{
    return streams == 0 || pacer->room >= max ? max : (uint32_t)pacer->room;
}

void pacer_note(struct pacer *pacer, uint32_t streams, uint32_t prompt_tokens, double seconds)
{
    if (streams == 0)
        return;
    if (prompt_tokens == 0) {
        pacer->quiet = pacer->quiet > 0 ? pacer->quiet + 0.2 * (seconds - pacer->quiet) : seconds;
        return;
    }
    /* Single passes vary on a shared machine, so the room changes in small steps, and in smaller ones upwards. A pass
     * with fewer tokens than allowed is no reason to allow fewer. */
    double ratio = pacer->quiet > 0 && seconds > 0 ? PACER_STRETCH * pacer->quiet / seconds : 1.0;
    ratio = ratio < 0.7 ? 0.7 : ratio > 1.15 ? 1.15 : ratio;
    if (ratio > 1.0 && prompt_tokens + 1 < pacer->room)
        return;
    pacer->room *= ratio;
    pacer->room = pacer->room < 1.0 ? 1.0 : pacer->room > 65536.0 ? 65536.0 : pacer->room;
}
