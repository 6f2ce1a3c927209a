// Markdown as elements. A growing text touches only the blocks whose HTML has changed, and those node by node.
import { useEffect, useLayoutEffect, useReducer, useRef } from 'preact/hooks';
import { copyText } from '../clipboard';
import { renderParts, type Block as Part } from '../markdown';
import { morph } from '../morph';
import { markScrollable, unmarkScrollable } from '../scrollable';
import { sanitize } from '../sanitize';

/** At most this share of the time goes into rendering and laying out one growing answer, however long it gets. */
const SHARE = 0.25;

interface Rendered {
    text: string;
    streams: boolean;
    parts: Part[];
    readyAt: number;
}

/** The blocks of a text; while it streams they may lag behind, when rendering takes long. */
function useParts(text: string, streams: boolean, laidOut: () => void): Part[] {
    const rendered = useRef<Rendered>({ text: '', streams: false, parts: [], readyAt: 0 });
    const [, again] = useReducer((count: number, _: undefined) => count + 1, 0);
    const start = performance.now();
    const isOld = rendered.current.text !== text || rendered.current.streams !== streams;
    const isNew = isOld && (!streams || start >= rendered.current.readyAt);
    if (isNew) rendered.current = { text, streams, parts: renderParts(text, streams), readyAt: Infinity };
    useLayoutEffect(() => {
        if (!isNew) return;
        laidOut(); // Now, where it is counted, and not for the next frame.
        const end = performance.now();
        rendered.current.readyAt = end + (end - start) / SHARE;
    });
    const isBehind = rendered.current.text !== text;
    useEffect(() => {
        if (!isBehind) return;
        const timer = window.setTimeout(() => again(undefined), rendered.current.readyAt - performance.now());
        return () => window.clearTimeout(timer);
    }, [isBehind]);
    return rendered.current.parts;
}

function Block({ html, tail, changed }: Part & { changed: Set<Element> }) {
    const element = useRef<HTMLDivElement>(null);
    const text = useRef<Text | null>(null);
    useLayoutEffect(() => {
        if (!element.current) return;
        unmarkScrollable(element.current);
        morph(element.current, sanitize(html));
        text.current = null;
        changed.add(element.current);
    }, [html]);
    useLayoutEffect(() => {
        if (!tail) return;
        if (!text.current) {
            text.current = document.createTextNode('');
            element.current?.querySelector('code')?.append(text.current);
        }
        // Only ever appended to: a selection in it stays.
        text.current.appendData(tail.slice(text.current.length));
    }, [html, tail]);
    return <div ref={element} class="block" dir="auto" />;
}

function copyCode(event: MouseEvent): void {
    const button = (event.target as Element).closest?.('.code-copy');
    const code = button?.closest('.code')?.querySelector('code')?.textContent;
    if (!button || code === undefined || code === null) return;
    void copyText(code).then((copied) => {
        button.textContent = copied ? 'Copied' : 'Not copied';
        window.setTimeout(() => (button.textContent = 'Copy'), 1600);
    });
}

export function MarkdownView({ text, streams }: { text: string; streams: boolean }) {
    const element = useRef<HTMLDivElement>(null);
    const changed = useRef(new Set<Element>());
    const parts = useParts(text, streams, () => {
        element.current?.getBoundingClientRect();
        markScrollable(changed.current);
        changed.current.clear();
    });
    return (
        <div ref={element} class={streams ? 'markdown streams' : 'markdown'} onClick={copyCode}>
            {parts.map((part, index) => <Block key={index} {...part} changed={changed.current} />)}
        </div>
    );
}
