// Where the focus goes when the control that had it is gone.

/** On a touch keyboard the composer is not focused unasked: that would bring up the keyboard. */
export const touch = window.matchMedia('(pointer: coarse)');

function focus(selector: string): boolean {
    const element = document.querySelector<HTMLElement>(selector);
    element?.focus();
    return element !== null && element === document.activeElement;
}

export function focusComposer(): void {
    if (touch.matches || !focus('.composer textarea')) focus('.thread');
}

/** The entry of this conversation in the list; without one, the button above the list. */
export function focusEntry(id: string | undefined): void {
    if (!id || !focus(`.entry-title[data-id="${CSS.escape(id)}"]`)) focus('.new-button');
}
