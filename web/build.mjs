// Bundles src/ into dist/index.html: one file, the same bytes on every build, with no address of another host in it.
// The hashes of its one script and one style sheet are the whole of what its Content-Security-Policy lets run;
// dist/csp.txt is that policy for the server's header (frame-ancestors works only there).
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));

async function bundle(entry) {
    const result = await build({
        absWorkingDir: root,
        entryPoints: [entry],
        bundle: true,
        minify: true,
        write: false,
        format: 'iife',
        target: ['es2022'],
        jsx: 'automatic',
        jsxImportSource: 'preact',
        legalComments: 'none',
        charset: 'utf8',
    });
    return result.outputFiles[0].text.trim();
}

function sha256(text) {
    return `'sha256-${createHash('sha256').update(text, 'utf8').digest('base64')}'`;
}

// Inside <script>, "<!--" would start the parser's escaped state; the escape means the same within a literal.
const script = (await bundle('src/main.tsx')).replaceAll('<!--', '\\x3C!--');
const style = await bundle('src/styles/page.css');
if (/<\/script/i.test(script) || /<\/style/i.test(style)) throw new Error('a bundle would close its own element');

const policy = [
    "default-src 'none'",
    `script-src ${sha256(script)}`,
    `style-src ${sha256(style)}`,
    'img-src data:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
].join('; ');

const page = readFileSync(`${root}src/index.html`, 'utf8')
    .replace('%POLICY%', () => policy)
    .replace('%STYLE%', () => style)
    .replace('%SCRIPT%', () => script);

mkdirSync(`${root}dist`, { recursive: true });
writeFileSync(`${root}dist/index.html`, page);
writeFileSync(`${root}dist/csp.txt`, `${policy}; frame-ancestors 'none'\n`);
console.log(`dist/index.html ${Buffer.byteLength(page)} bytes`);
