// Markdown as elements. A growing text touches only the blocks whose HTML has changed, and those node by node.
import { useEffect, useLayoutEffect, useReducer, useRef } from 'preact/hooks';
import { copyText } from '../clipboard';
import { renderBlocks } from '../markdown';
import { morph } from '../morph';
import { sanitize } from '../sanitize';

/** At most this share of the time goes into rendering one growing answer, however long it gets. */
const SHARE = 0.25;

interface Rendered {
    text: string;
    blocks: string[];
    readyAt: number;
}

/** The blocks of a text; while it streams they may lag behind, when rendering takes long. */
function useBlocks(text: string, streams: boolean): string[] {
    const rendered = useRef<Rendered>({ text: '', blocks: [], readyAt: 0 });
    const [, again] = useReducer((count: number, _: undefined) => count + 1, 0);
    const start = performance.now();
    if (rendered.current.text !== text && (!streams || start >= rendered.current.readyAt)) {
        const blocks = renderBlocks(text);
        const end = performance.now();
        rendered.current = { text, blocks, readyAt: end + (end - start) / SHARE };
    }
    const isBehind = rendered.current.text !== text;
    useEffect(() => {
        if (!isBehind) return;
        const timer = window.setTimeout(() => again(undefined), rendered.current.readyAt - performance.now());
        return () => window.clearTimeout(timer);
    }, [isBehind]);
    return rendered.current.blocks;
}

function Block({ html }: { html: string }) {
    const element = useRef<HTMLDivElement>(null);
    useLayoutEffect(() => {
        if (element.current) morph(element.current, sanitize(html));
    }, [html]);
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
    const blocks = useBlocks(text, streams);
    return (
        <div class={streams ? 'markdown streams' : 'markdown'} onClick={copyCode}>
            {blocks.map((html, index) => <Block key={index} html={html} />)}
        </div>
    );
}
