// The built page as it lies in the tree: one file that names no other host and runs what its policy says.
import test from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const web = new URL('../../web/', import.meta.url);
const page = readFileSync(new URL('dist/index.html', web), 'utf8');
const policy = readFileSync(new URL('dist/csp.txt', web), 'utf8').trim();

test('the policy holds the hashes of the one script and the one style sheet', () => {
    const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
    const [, style] = /<style>([^]*?)<\/style>/.exec(page);
    const [, script] = /<script>([^]*?)<\/script>/.exec(page);
    assert.ok(policy.includes(`script-src ${hash(script)};`));
    assert.ok(policy.includes(`style-src ${hash(style)};`));
    assert.equal(page.match(/<\/script>/g).length, 1);
    assert.ok(page.includes(`content="${policy.replace("; frame-ancestors 'none'", '')}"`));
    assert.doesNotMatch(policy, /unsafe|\*|https?:/);
});

test('nothing is loaded from elsewhere, nothing is evaluated', () => {
    assert.doesNotMatch(page, /(?:src|href)="?https?:/);
    assert.doesNotMatch(page, /@import|\beval\(|new Function\(/);
    assert.ok(page.length < 700_000, `${page.length} bytes`);
});

test('the lock file names no registry', () => {
    assert.doesNotMatch(readFileSync(new URL('package-lock.json', web), 'utf8'), /"resolved"|registry\./);
});
