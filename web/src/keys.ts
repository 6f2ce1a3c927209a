/**
 * Whether a key belongs to an input method, which turns several keys into one character: its Enter confirms a word and
 * sends nothing. Safari ends the composition before that key, which then has the code 229 alone to tell.
 */
export function isComposing(event: KeyboardEvent): boolean {
    return event.isComposing || event.keyCode === 229;
}
