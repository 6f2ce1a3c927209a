// Files dropped anywhere or pasted: text goes into the composer, everything else is told, and the chat stays.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { ask, ended, launch, openPage, send } from './browser.mjs';
import { startFakeServer } from './fake_server.mjs';

let browser, server;
before(async () => {
    [browser, server] = await Promise.all([launch(), startFakeServer()]);
});
after(() => Promise.all([browser.close(), server.close()]));

async function withPage(use, options) {
    const opened = await openPage(browser, server.url, options);
    await use(opened.page);
    await opened.close();
}

/** Drops or pastes files made of `bytes` (a text or numbers); returns whether the page took the event. */
const give = (page, kind, files, selector = '.thread') => page.evaluate(([kind, files, selector]) => {
    const data = new DataTransfer();
    for (const { name, type = '', bytes = '', repeat = 1 } of files) {
        const content = typeof bytes === 'string' ? bytes.repeat(repeat) : new Uint8Array(bytes);
        data.items.add(new File([content], name, { type }));
    }
    const target = document.querySelector(selector);
    const init = { bubbles: true, cancelable: true, composed: true };
    if (kind === 'paste') return !target.dispatchEvent(new ClipboardEvent('paste', { ...init, clipboardData: data }));
    const over = !target.dispatchEvent(new DragEvent('dragover', { ...init, dataTransfer: data }));
    return !target.dispatchEvent(new DragEvent('drop', { ...init, dataTransfer: data })) && over;
}, [kind, files, selector]);

const draft = (page) => page.getByPlaceholder('Message').inputValue();
const told = (page, text) => page.locator('.toast').getByText(text).waitFor();

test('a text file dropped anywhere is text in the composer', () => withPage(async (page) => {
    for (const selector of ['.thread', '.sidebar', '.header', '.composer textarea', 'body']) {
        await page.getByPlaceholder('Message').fill('Look at this:');
        assert.equal(await give(page, 'drop', [{ name: 'notes.txt', type: 'text/plain', bytes: 'línea\r\none\n' }], selector), true, selector);
        await page.waitForFunction(() => document.querySelector('.composer textarea').value.includes('one'));
        assert.equal(await draft(page), 'Look at this:\n\nlínea\none\n');
    }
    await ask(page, `${await draft(page)}sent`);
    assert.match(server.requests.at(-1).body.messages.at(-1).content, /^Look at this:\n\nlínea/);
}));

test('source code without a type, UTF-16, an empty file and several files', () => withPage(async (page) => {
    await give(page, 'drop', [{ name: 'main.rs', bytes: 'fn main() {}' }, { name: 'b.csv', type: 'text/csv', bytes: 'a,b\n' }]);
    await page.waitForFunction(() => document.querySelector('.composer textarea').value.includes('a,b'));
    assert.equal(await draft(page), 'fn main() {}\n\na,b\n');
    await page.getByPlaceholder('Message').fill('');
    await give(page, 'drop', [{ name: 'wide.txt', bytes: [0xff, 0xfe, 0x68, 0, 0x69, 0] }, { name: 'empty.txt', bytes: '' }]);
    await page.waitForFunction(() => document.querySelector('.composer textarea').value === 'hi');
    await told(page, '“empty.txt” is empty.');
    assert.equal(await draft(page), 'hi');
}));

test('what is no text, or too much of it, is told and changes nothing', () => withPage(async (page) => {
    await page.getByPlaceholder('Message').fill('mine');
    const cases = [
        [{ name: 'cat.png', type: 'image/png', bytes: [0x89, 0x50] }, '“cat.png” is an image. The model reads only text.'],
        [{ name: 'song.ogg', type: 'audio/ogg', bytes: [1] }, '“song.ogg” is a recording.'],
        [{ name: 'program', bytes: [0x7f, 0x45, 0x4c, 0x46, 0, 1] }, '“program” is not a text file.'],
        [{ name: 'latin.txt', type: 'text/plain', bytes: [0x68, 0xe9] }, '“latin.txt” is not a text file.'],
        [{ name: 'big.log', type: 'text/plain', bytes: '0123456789', repeat: 30_000 }, '“big.log” has 300 kB. A file may have at most 263 kB of text.'],
    ];
    for (const [file, text] of cases) {
        assert.equal(await give(page, 'drop', [file]), true);
        await told(page, text);
        assert.equal(await draft(page), 'mine');
    }
}));

test('pasted files: text goes in, an image is told, text beside a picture is pasted as ever', () => withPage(async (page) => {
    assert.equal(await give(page, 'paste', [{ name: 'a.md', type: 'text/markdown', bytes: '# A' }], '.composer textarea'), true);
    await page.waitForFunction(() => document.querySelector('.composer textarea').value === '# A');
    assert.equal(await give(page, 'paste', [{ name: 'image.png', type: 'image/png', bytes: [1] }], '.composer textarea'), true);
    await told(page, '“image.png” is an image.');
    const taken = await page.locator('.composer textarea').evaluate((field) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array([1])], 'image.png', { type: 'image/png' }));
        data.setData('text/plain', 'cells');
        return !field.dispatchEvent(new ClipboardEvent('paste', { bubbles: true, cancelable: true, clipboardData: data }));
    });
    assert.equal(taken, false);
}));

test('a drop in mid-answer leaves the answer alone, and one beside an open dialog does nothing', () => withPage(async (page) => {
    await send(page, 'slow');
    await page.locator('.answer').getByText('word2').waitFor();
    assert.equal(await give(page, 'drop', [{ name: 'x.txt', bytes: 'x' }]), true);
    await page.locator('.answer').getByText('word20').waitFor();
    assert.equal(await draft(page), 'x');
    await page.keyboard.press('Escape');
    await ended(page);
    await page.getByRole('button', { name: 'Settings' }).click();
    assert.equal(await give(page, 'drop', [{ name: 'y.txt', bytes: 'y' }], 'dialog'), true);
    await page.waitForTimeout(100);
    assert.equal(await draft(page), 'x');
}));
