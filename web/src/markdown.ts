// Markdown to HTML, block by block, so that a growing answer changes only its last block.
// What a model writes is text: no HTML passes, no image is fetched, and a link leads to http or https or is not one.
import MarkdownIt, { type Token } from 'markdown-it';
import cjkFriendly from 'markdown-it-cjk-friendly';
import { highlight } from './highlight';
import { mathPlugin } from './markdown_math';

export { coloured } from './highlight'; // for the tests

const markdown = new MarkdownIt({ html: false, linkify: true, breaks: true }).use(mathPlugin).use(cjkFriendly);
const { escapeHtml } = markdown.utils;
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
markdown.validateLink = (url) => /^https?:\/\//i.test(url.trim());

markdown.renderer.rules.image = (tokens, index) => {
    const token = tokens[index]!;
    const name = escapeHtml(token.content || 'image');
    return `<a href="${escapeHtml(token.attrGet('src') ?? '')}">${name} (image)</a>`;
};

/** Of code that still grows, what is coloured: the rest stays plain until its block ends. */
const COLOURED_WHILE_GROWING = 4096;

/** The lines at the beginning of growing code that are coloured. They stay the same however long it gets. */
function colouredPart(code: string): string {
    return code.length <= COLOURED_WHILE_GROWING ? code : code.slice(0, code.lastIndexOf('\n', COLOURED_WHILE_GROWING) + 1);
}

function codeBlock(code: string, language: string, grows = false): string {
    const coloured = highlight(code, language.toLowerCase(), grows) ?? escapeHtml(code);
    const name = language ? escapeHtml(language) : 'text';
    return (
        `<div class="code"><div class="code-head"><span>${name}</span>` +
        `<button type="button" class="code-copy">Copy</button></div>` +
        `<pre tabindex="0"><code>${coloured}</code></pre></div>\n`
    );
}

interface Environment {
    /** The block of code at the end of a growing text, which its fence has not closed yet. */
    open?: Token | undefined;
}

function languageOf(fence: Token): string {
    return fence.info.trim().split(/\s/)[0]?.slice(0, 30) ?? '';
}

markdown.renderer.rules.fence = (tokens, index, _options, environment: Environment) => {
    const token = tokens[index]!;
    if (token !== environment.open) return codeBlock(token.content, languageOf(token));
    if (token.level === 0) return codeBlock(colouredPart(token.content), languageOf(token), token.content.length <= COLOURED_WHILE_GROWING);
    return token.content.length > COLOURED_WHILE_GROWING ? codeBlock(token.content, '') : codeBlock(token.content, languageOf(token), true);
};
markdown.renderer.rules.code_block = (tokens, index) => codeBlock(tokens[index]!.content, '');
/** The page's own heading is the conversation's title: what an answer calls its first level comes below it. */
markdown.renderer.rules.heading_open = (tokens, index, options, _environment, renderer) => {
    const token = tokens[index]!;
    token.attrSet('aria-level', String(Math.max(2, Number(token.tag.slice(1)))));
    return renderer.renderToken(tokens, index, options);
};
markdown.renderer.rules.table_open = () => '<div class="table" tabindex="0"><table>\n';
markdown.renderer.rules.table_close = () => '</table></div>\n';

/** Columns are aligned by an attribute: the page's policy lets no style attribute through. */
markdown.core.ruler.push('table_align', (state) => {
    for (const token of state.tokens) {
        const side = /^text-align:(left|center|right)$/.exec(token.attrGet('style') ?? '')?.[1];
        if (side) token.attrs = [['align', side]];
    }
});

/** Control characters become their pictures (ESC is ␛), and what would reverse the text around it is taken out. */
export function visible(text: string): string {
    return text
        .replace(/\r\n?/g, '\n')
        .replace(/[\u0000-\u0008\u000b-\u001f]/g, (control) => String.fromCharCode(0x2400 + control.charCodeAt(0)))
        .replace(/\u007f/g, '\u2421')
        .replace(/[\u0080-\u009f\u202d\u202e]/g, '\ufffd');
}

/** The last token, if it is a block of code that goes on to the end of the text without a closing fence. */
function openFence(tokens: readonly Token[], text: string): Token | undefined {
    const last = tokens.findLast((token) => token.type === 'fence');
    if (!last?.map) return undefined;
    const lines = text.split('\n');
    if (lines.slice(last.map[1]).some((line) => line.trim())) return undefined;
    const closing = (lines[last.map[1] - 1] ?? '').replace(/^[\s>]+/, '').trim();
    const isClosed = last.map[1] - 1 > last.map[0] && closing.length >= last.markup.length && closing === last.markup.charAt(0).repeat(closing.length);
    return isClosed ? undefined : last;
}

export interface Block {
    /** Not yet sanitised: sanitize.ts does that. */
    html: string;
    /** Plain text that goes to the end of the block's code. */
    tail: string;
}

/** One block for each part of the outermost level. Of a text that grows, long code at its end costs no more than its new lines. */
export function renderParts(text: string, grows: boolean): Block[] {
    const shown = visible(text);
    const environment: Environment = {};
    const tokens = markdown.parse(shown, environment);
    if (grows) environment.open = openFence(tokens, shown);
    const blocks: Block[] = [];
    let first = 0;
    tokens.forEach((token, index) => {
        if (token.level > 0 || token.nesting > 0) return;
        const html = markdown.renderer.render(tokens.slice(first, index + 1), markdown.options, environment);
        const tail = token === environment.open ? token.content.slice(colouredPart(token.content).length) : '';
        blocks.push({ html, tail });
        first = index + 1;
    });
    return blocks;
}

export function renderBlocks(text: string): string[] {
    return renderParts(text, false).map((block) => block.html);
}
