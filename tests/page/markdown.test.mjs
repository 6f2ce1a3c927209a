// What Markdown becomes before DOMPurify sees it: already harmless.
import test from 'node:test';
import assert from 'node:assert/strict';
import { hostile } from './fake_server.mjs';
import { load } from './sources.mjs';

const { renderBlocks, visible } = await load('markdown.ts');
const render = (text) => renderBlocks(text).join('');

test('one block for each part of the outermost level', () => {
    const blocks = renderBlocks('# Title\n\ntext\n\n- a\n  - b\n- c\n\n```c\nint x;\n```\n\n---\n\n> quote');
    assert.equal(blocks.length, 6);
    assert.match(blocks[2], /^<ul>[^]*<\/ul>\s*$/);
});

test('a growing text leaves earlier blocks as they were', () => {
    const text = 'first **paragraph**\n\nsecond one\n\n```js\nlet a = 1;\n```\n\nend';
    const whole = renderBlocks(text);
    for (let size = 1; size <= text.length; size++) {
        const blocks = renderBlocks(text.slice(0, size));
        assert.deepEqual(blocks.slice(0, -1), whole.slice(0, blocks.length - 1), `after ${size} characters`);
    }
});

test('hostile output has no element but those of Markdown, no handler, no address but http', () => {
    const html = render(hostile);
    assert.doesNotMatch(html, /<(?:script|img|iframe|style|svg|object|embed|form|input|b)\b/i);
    for (const tag of html.match(/<[a-z][^>]*>/gi) ?? []) {
        assert.doesNotMatch(tag.replace(/"[^"]*"/g, '""'), /\son\w+=|\sstyle=|\ssrc=|[^\s\w="<>/-]/i, tag);
        for (const [, address] of tag.matchAll(/href="([^"]*)"/g)) assert.match(address, /^https?:\/\//);
    }
});

test('an image is a link to it', () => {
    assert.match(render('![a cat](https://example.org/cat.png)'), /<a href="https:\/\/example\.org\/cat\.png">a cat \(image\)<\/a>/);
});

test('code is escaped, coloured where the language is known, and named', () => {
    assert.match(render('```python\nif a < b: pass\n```'), /<span>python<\/span>[^]*hljs-keyword[^]*&lt;/);
    assert.match(render('```nonesuch\n<b>\n```'), /<span>nonesuch<\/span>[^]*&lt;b&gt;/);
    assert.match(render('```\nunclosed <i>'), /&lt;i&gt;/);
});

test('mathematics is drawn, money is not', () => {
    assert.match(render('so $x^2$ is'), /<math>[^]*<msup>/);
    assert.match(render('\\(a\\) and \\[b\\]'), /<math>[^]*<math display="block"/);
    assert.match(render('$$\n\\frac{1}{2}\n$$'), /^<math display="block"/);
    assert.doesNotMatch(render('it costs $5 and $6'), /<math/);
    assert.doesNotMatch(render('`$x$` and \\$y\\$'), /<math/);
    assert.doesNotMatch(render('costs $ 5 $ now'), /<math/);
});

test('what temml cannot read stays as it was written', () => {
    assert.match(render('$\\frac{$ <b>'), /\\frac/);
    assert.match(render('$\\nonesuch{x}$'), /<code class="math-source">\$\\nonesuch\{x\}\$<\/code>/);
    assert.match(render('$$\n<script>\n\\bad\n$$'), /&lt;script&gt;|&lt;/);
});

test('a style that temml asks for is data, which the policy lets through', () => {
    const html = render('$$\\begin{pmatrix}a&b\\\\c&d\\end{pmatrix}$$');
    assert.match(html, /data-style="padding/);
    assert.doesNotMatch(html, /\sstyle=/);
});

test('bold beside Chinese, Japanese and Korean punctuation', () => {
    assert.match(render('**重点：**要'), /<strong>重点：<\/strong>要/);
    assert.match(render('これは**「重要」**です'), /<strong>「重要」<\/strong>/);
    assert.match(render('**이것은(중요)**입니다'), /<strong>이것은\(중요\)<\/strong>/);
    assert.doesNotMatch(render('2 ** 3 ** 4 and a**(b)**c'), /<strong>3/);
});

test('headings come below the page’s own', () => {
    assert.match(render('# One\n\n## Two\n\n###### Six'), /<h1 aria-level="2">[^]*<h2 aria-level="2">[^]*<h6 aria-level="6">/);
});

test('control characters are shown, reversing ones are not obeyed', () => {
    assert.equal(visible('a\x1b[31mb\x00c\x7f\td\r\ne\u202ef\u009b'), 'a␛[31mb␀c␡\td\ne\ufffdf\ufffd');
});

test('twenty thousand characters of what is hard to parse come to an end', { timeout: 60_000 }, () => {
    for (const part of ['*', '[', '`', '> ', '- ', '$', '<', '![', '**a', '\\(', '|a', '_a ', '$$', '[a](', '~'])
        assert.ok(renderBlocks(part.repeat(Math.floor(20_000 / part.length))));
});
