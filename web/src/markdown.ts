// Markdown to HTML, block by block, so that a growing answer changes only its last block.
// What a model writes is text: no HTML passes, no image is fetched, and a link leads to http or https or is not one.
import MarkdownIt from 'markdown-it';
import { highlight } from './highlight';
import { mathPlugin } from './markdown_math';

const markdown = new MarkdownIt({ html: false, linkify: true, breaks: true }).use(mathPlugin);
const { escapeHtml } = markdown.utils;
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
markdown.validateLink = (url) => /^https?:\/\//i.test(url.trim());

markdown.renderer.rules.image = (tokens, index) => {
    const token = tokens[index]!;
    const name = escapeHtml(token.content || 'image');
    return `<a href="${escapeHtml(token.attrGet('src') ?? '')}">${name} (image)</a>`;
};

function codeBlock(code: string, language: string): string {
    const coloured = highlight(code, language.toLowerCase()) ?? escapeHtml(code);
    const name = language ? escapeHtml(language) : 'text';
    return (
        `<div class="code"><div class="code-head"><span>${name}</span>` +
        `<button type="button" class="code-copy">Copy</button></div>` +
        `<pre tabindex="0"><code>${coloured}</code></pre></div>\n`
    );
}

markdown.renderer.rules.fence = (tokens, index) => {
    const token = tokens[index]!;
    return codeBlock(token.content, token.info.trim().split(/\s/)[0]?.slice(0, 30) ?? '');
};
markdown.renderer.rules.code_block = (tokens, index) => codeBlock(tokens[index]!.content, '');
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

/** One HTML string for each block of the outermost level. They are not yet sanitised: sanitize.ts does that. */
export function renderBlocks(text: string): string[] {
    const environment = {};
    const tokens = markdown.parse(visible(text), environment);
    const blocks: string[] = [];
    let first = 0;
    tokens.forEach((token, index) => {
        if (token.level > 0 || token.nesting > 0) return;
        blocks.push(markdown.renderer.render(tokens.slice(first, index + 1), markdown.options, environment));
        first = index + 1;
    });
    return blocks;
}
