// Mathematics for markdown-it: $…$, $$…$$, \(…\) and \[…\], drawn by temml as MathML.
// The dollar rules are pandoc's: no space inside the dollars and no digit behind them, so that "$5 and $6" stays money.
import type MarkdownIt from 'markdown-it';
import temml from 'temml';

const MAX_SOURCE = 10_000;

/** MathML, or null where the source is not mathematics. Inline styles become data-style: see markdown_view. */
export function mathToHtml(source: string, display: boolean): string | null {
    if (source.length > MAX_SOURCE) return null;
    try {
        const html = temml.renderToString(source, { displayMode: display, throwOnError: true, trust: false, maxSize: [20, 60], maxExpand: 200 });
        return html.replace(/(<[a-z][^<>]*?)\sstyle="/g, '$1 data-style="');
    } catch {
        return null;
    }
}

interface Found {
    source: string;
    end: number;
    display: boolean;
}

function closedBy(text: string, from: number, close: string, display: boolean): Found | null {
    const at = text.indexOf(close, from);
    if (at < 0 || !text.slice(from, at).trim()) return null;
    return { source: text.slice(from, at), end: at + close.length, display };
}

function dollars(text: string, start: number): Found | null {
    if (text.startsWith('$$', start)) return closedBy(text, start + 2, '$$', true);
    if (/\s|^$/.test(text.charAt(start + 1))) return null;
    for (let at = text.indexOf('$', start + 1); at >= 0; at = text.indexOf('$', at + 1)) {
        if (text[at - 1] === '\\') continue;
        if (/\s/.test(text.charAt(at - 1)) || /\d/.test(text.charAt(at + 1))) return null;
        return { source: text.slice(start + 1, at), end: at + 1, display: false };
    }
    return null;
}

function findMath(text: string, start: number): Found | null {
    if (text[start] === '$') return dollars(text, start);
    if (text.startsWith('\\(', start)) return closedBy(text, start + 2, '\\)', false);
    if (text.startsWith('\\[', start)) return closedBy(text, start + 2, '\\]', true);
    return null;
}

export function mathPlugin(markdown: MarkdownIt): void {
    markdown.inline.ruler.before('escape', 'math', (state, silent) => {
        const found = findMath(state.src.slice(0, state.posMax), state.pos);
        if (!found) return false;
        if (!silent) {
            const token = state.push('math', 'math', 0);
            token.content = found.source;
            token.markup = state.src.slice(state.pos, found.end);
            token.meta = { display: found.display };
        }
        state.pos = found.end;
        return true;
    });

    markdown.block.ruler.before('fence', 'math_block', (state, startLine, endLine, silent) => {
        const start = state.bMarks[startLine]! + state.tShift[startLine]!;
        const open = state.src.slice(start, start + 2);
        if (open !== '$$' && open !== '\\[') return false;
        const close = open === '$$' ? '$$' : '\\]';
        const end = state.eMarks[endLine - 1]!;
        const at = state.src.indexOf(close, start + 2);
        if (at < 0 || at >= end) return false;
        let line = startLine;
        while (line < endLine && state.eMarks[line]! < at + 2) {
            if (line > startLine && state.isEmpty(line)) return false;
            line++;
        }
        if (state.src.slice(at + 2, state.eMarks[line]).trim()) return false;
        if (silent) return true;
        const token = state.push('math', 'math', 0);
        token.block = true;
        token.content = state.src.slice(start + 2, at);
        token.markup = state.src.slice(start, at + 2);
        token.meta = { display: true };
        token.map = [startLine, line + 1];
        state.line = line + 1;
        return true;
    }, { alt: ['paragraph', 'reference', 'blockquote', 'list'] });

    markdown.renderer.rules.math = (tokens, index) => {
        const token = tokens[index]!;
        const display = (token.meta as { display: boolean }).display;
        return mathToHtml(token.content, display) ?? `<code class="math-source">${markdown.utils.escapeHtml(token.markup)}</code>`;
    };
}
