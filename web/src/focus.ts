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

/** The button that shows the list, where the list is a drawer. What has the focus outside the drawer keeps it. */
export function focusMenu(): void {
    const { activeElement } = document;
    if (activeElement === document.body || activeElement?.closest('.sidebar')) focus('.header .only-narrow');
}

/** The entry of this conversation in the list; without one, the button above the list. */
export function focusEntry(id: string | undefined): void {
    if (!id || !focus(`.entry-title[data-id="${CSS.escape(id)}"]`)) focus('.new-button');
}
