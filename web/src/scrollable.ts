// What is wider than the column scrolls by itself, and what scrolls must be reached by the keyboard. Code and tables always
// are; mathematics, and a block with a long formula in its text, only where they are in fact too wide.

function candidates(block: Element): HTMLElement[] {
    if (!block.querySelector('math')) return [];
    return [block as HTMLElement, ...block.querySelectorAll<HTMLElement>('math[display="block"]')];
}

export function unmarkScrollable(block: Element): void {
    for (const element of candidates(block)) element.removeAttribute('tabindex');
}

export function markScrollable(blocks: Iterable<Element>): void {
    const all = [...blocks].flatMap(candidates);
    // All is measured before anything is changed: one layout.
    const wide = all.filter((element) => element.scrollWidth > element.clientWidth + 1);
    for (const element of all) if (!wide.includes(element)) element.removeAttribute('tabindex');
    for (const element of wide) element.setAttribute('tabindex', '0');
}

let timer = 0;
if (typeof window !== 'undefined') {
    window.addEventListener('resize', () => {
        window.clearTimeout(timer);
        timer = window.setTimeout(() => markScrollable(document.querySelectorAll('.markdown .block')), 200);
    });
}
