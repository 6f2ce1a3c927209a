// What a growing answer costs must not grow with what is already there: work is counted here, not timed.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { ended, launch, openPage, send, until } from './browser.mjs';
import { startFakeServer } from './fake_server.mjs';
import { load } from './sources.mjs';

let browser, server;
before(async () => {
    [browser, server] = await Promise.all([launch(), startFakeServer()]);
});
after(() => Promise.all([browser.close(), server.close()]));

const line = 'def total(values: list[int]) -> int:  # adds them all up\n    return sum(value for value in values if value > 0)\n';

/** Code of markdown.ts of its own, so that its count starts at zero; highlight.ts is the one inside it. */
const { renderParts, coloured } = await load('markdown.ts');

function grow(text, step) {
    const from = coloured.characters;
    for (let size = step; size < text.length; size += step) renderParts(text.slice(0, size), true);
    return coloured.characters - from;
}

test('a long block of code is not coloured again for each token', () => {
    const code = line.repeat(180);
    assert.ok(code.length > 20_000);
    const count = grow(`Here it is:\n\n\`\`\`python\n${code}`, 24);
    // Up to 4 kB each state is coloured: 4096 * 4096 / 24 / 2. From there on nothing.
    assert.ok(count < 500_000, `${count} characters coloured`);
    assert.ok(grow(`Here it is:\n\n\`\`\`python\n${code}`, 24) < 500_000);
    assert.ok(grow(`- in a list\n\n  \`\`\`python\n${code.replaceAll('\n', '\n  ')}`, 24) < 500_000, 'in a list too');
    const from = coloured.characters;
    for (const grows of [true, false, false]) renderParts(`\`\`\`python\n${code}\`\`\`\n\nDone`, grows);
    assert.equal(coloured.characters - from, code.length, 'and once when it is whole');
});

test('growing code is the same text, coloured at its beginning and plain at its end', () => {
    const code = line.repeat(60);
    for (const end of ['', '``', '\n', '\n``']) {
        const blocks = renderParts(`one\n\n\`\`\`python\n${code}${end}`, true);
        assert.equal(blocks.length, 2);
        const { html, tail } = blocks[1];
        assert.match(html, /hljs-keyword/);
        const text = html.match(/<code>([^]*)<\/code>/)[1].replace(/<[^>]*>/g, '').replaceAll('&gt;', '>').replaceAll('&lt;', '<').replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&#x27;', "'");
        assert.ok((text + tail).startsWith(code));
        assert.ok(text.endsWith('\n') && text.length > 3000 && text.length <= 4096);
    }
    assert.equal(renderParts(`\`\`\`python\n${code}\`\`\``, true)[0].tail, '', 'closed: nothing is left over');
    assert.equal(renderParts(`\`\`\`python\n${code}`, false)[0].tail, '', 'an answer that ended without the fence');
    assert.equal(renderParts(`~~~~python\n${code}\`\`\`\n`, true)[0].tail.endsWith('```\n'), true, 'another kind of fence does not close it');
    assert.equal(renderParts(`\`\`\`python\n${'x'.repeat(9000)}`, true)[0].tail.length, 9000, 'one line that never ends');
});

test('on the page: code arrives whole, is coloured in the end, and a selection in it stays', async () => {
    const opened = await openPage(browser, server.url);
    const { page } = opened;
    await send(page, 'code');
    await until(() => page.locator('.answer code').evaluate((element) => element.textContent.length > 6000).catch(() => false), 'more than is coloured');
    const plain = await page.locator('.answer code').evaluate((element) => {
        const last = element.lastChild;
        getSelection().setBaseAndExtent(last, 10, last, 40);
        return [last.nodeType === Node.TEXT_NODE && last.length > 1000, getSelection().toString()];
    });
    assert.equal(plain[0], true, 'the end is one plain text');
    await page.waitForTimeout(300);
    assert.equal(await page.evaluate(() => getSelection().toString()), plain[1]);
    const answer = await ended(page);
    assert.equal(await answer.locator('code').evaluate((element) => element.textContent), server.code);
    assert.ok(await answer.locator('code').evaluate((element) => element.lastElementChild.matches('[class^=hljs]')), 'coloured to its end');
    await opened.close();
});

test('with 500 conversations a token renders none of their entries', async () => {
    const opened = await openPage(browser, server.url);
    const { page } = opened;
    await page.evaluate(async () => {
        const database = await new Promise((resolve) => (indexedDB.open('smollm', 1).onsuccess = (event) => resolve(event.target.result)));
        const transaction = database.transaction('conversations', 'readwrite');
        for (let index = 0; index < 500; index++) {
            transaction.objectStore('conversations').put({
                id: `c${index}`, title: `Conversation ${index}`, updated: Date.now() - index * 3_600_000, system: '', thinking: true,
                turns: [{ role: 'user', id: `q${index}`, text: 'hello' }],
            });
        }
        await new Promise((resolve) => (transaction.oncomplete = resolve));
    });
    await page.reload();
    await until(async () => (await page.locator('.entry').count()) === 500, 'the list');
    await send(page, 'slow');
    await page.locator('.answer').getByText('word2').waitFor();
    await page.evaluate(() => {
        // The list asks for the beginning of the day each time when it is rendered, and for nothing else does the page.
        const { setHours } = Date.prototype;
        window.renders = 0;
        Date.prototype.setHours = function (...all) {
            window.renders++;
            return setHours.apply(this, all);
        };
        window.mutations = 0;
        new MutationObserver((records) => (window.mutations += records.length)).observe(document.querySelector('.sidebar'), { subtree: true, childList: true, attributes: true, characterData: true });
    });
    await page.locator('.answer').getByText('word40').waitFor();
    assert.deepEqual(await page.evaluate(() => [window.renders, window.mutations]), [0, 0]);
    assert.equal(await page.locator('.entry').last().evaluate((entry) => getComputedStyle(entry).contentVisibility), 'auto');
    await page.keyboard.press('Escape');
    await ended(page);
    await opened.close();
});
