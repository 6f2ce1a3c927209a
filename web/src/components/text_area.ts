/** As tall as its text; the style sheet sets the most. */
export function fitHeight(field: HTMLTextAreaElement | null): void {
    if (!field) return;
    field.style.height = 'auto';
    field.style.height = `${field.scrollHeight}px`;
}
