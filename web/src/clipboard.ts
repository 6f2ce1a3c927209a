/** navigator.clipboard exists only on https and localhost; over plain http a selection does the same. */
export async function copyText(text: string): Promise<boolean> {
    try {
        await navigator.clipboard.writeText(text);
        return true;
    } catch {
        return copySelection(text);
    }
}

function copySelection(text: string): boolean {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'unseen';
    area.setAttribute('aria-hidden', 'true');
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    const copied = document.execCommand('copy');
    area.remove();
    if (focused instanceof HTMLElement) focused.focus();
    return copied;
}
