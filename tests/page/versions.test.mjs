// Changing a message or answering again destroys nothing: what was there before is a version that can be had back.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { ask, ended, launch, openPage, send, until } from './browser.mjs';
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

const questions = (page) => page.locator('.question .bubble').allInnerTexts();
const previous = (page, of) => page.getByRole('button', { name: `Previous version of the ${of}` });
const next = (page, of) => page.getByRole('button', { name: `Next version of the ${of}` });

async function edit(page, from, to) {
    await page.locator('.question', { hasText: from }).hover();
    await page.locator('.question', { hasText: from }).getByRole('button', { name: 'Edit message' }).click();
    await page.locator('.edit textarea').fill(to);
    await page.keyboard.press('Enter');
    await page.getByText(`You said: ${to}`).waitFor();
    await ended(page);
}

test('an edited message keeps the former one and all that followed, after a reload too', () => withPage(async (page) => {
    for (const text of ['one', 'two', 'three']) await ask(page, text);
    await edit(page, 'one', 'uno');
    assert.deepEqual(await questions(page), ['uno']);
    await page.getByText('2/2', { exact: true }).waitFor();
    await previous(page, 'message').click();
    assert.deepEqual(await questions(page), ['one', 'two', 'three']);
    await page.getByText('You said: three').waitFor();
    await page.waitForTimeout(300);
    await page.reload();
    await page.getByText('You said: three').waitFor();
    assert.deepEqual(await questions(page), ['one', 'two', 'three']);
    await next(page, 'message').click();
    await page.getByText('You said: uno').waitFor();
    assert.deepEqual(await questions(page), ['uno']);
    await ask(page, 'due');
    assert.deepEqual(server.requests.at(-1).body.messages.map((message) => message.content), ['uno', 'You said: uno', 'due']);
}));

test('answering again keeps the former answer and what followed it', () => withPage(async (page) => {
    await ask(page, 'first');
    await ask(page, 'second');
    await page.locator('.answer').first().hover();
    await page.getByRole('button', { name: 'Answer again' }).first().click();
    await until(async () => (await page.locator('.question').count()) === 1, 'the later turn to be put away');
    await ended(page);
    await page.locator('.answer').getByText('2/2').waitFor();
    await previous(page, 'answer').click();
    assert.deepEqual(await questions(page), ['first', 'second']);
    assert.equal(await previous(page, 'answer').evaluate((button) => button === document.activeElement), true, 'the focus stays on the switch');
    assert.equal(await previous(page, 'answer').getAttribute('aria-disabled'), 'true');
}));

test('“Try again” keeps what a lost answer had', async () => {
    const opened = await openPage(browser, server.url, { expected: /ERR_/ });
    const { page } = opened;
    await ask(page, 'gone for versions');
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('and so did the second.').waitFor();
    await ended(page);
    await page.locator('.answer').getByText('2/2').waitFor();
    await previous(page, 'answer').click();
    await page.locator('.notice').getByText('The connection was lost.').waitFor();
    assert.match(await page.locator('.answer').innerText(), /^The first half had arrived\n/);
    await opened.close();
});

test('“Try again” keeps what had arrived before a reload, and nothing of an answer that never began', () => withPage(async (page) => {
    await send(page, 'slow to be reloaded');
    await page.locator('.answer').getByText('word20').waitFor();
    await page.reload();
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.locator('.answer').getByText('word2').waitFor();
    await page.keyboard.press('Escape');
    await ended(page);
    await previous(page, 'answer').click();
    await page.getByText('closed while this answer was arriving').waitFor();
    await page.locator('.answer').getByText('word15').waitFor();
}));

test('an answer that never began is replaced', async () => {
    const opened = await openPage(browser, server.url, { expected: /Failed to load resource/ });
    await ask(opened.page, 'refused at first');
    await opened.page.getByRole('button', { name: 'Try again' }).click();
    await until(() => server.requests.filter((request) => request.body.messages.at(-1).content === 'refused at first').length === 2, 'another try');
    await ended(opened.page);
    assert.equal(await opened.page.locator('.versions').count(), 0);
    assert.equal(await opened.page.getByRole('button', { name: /Try again|Answer again/ }).count(), 1, 'one way to answer again');
    await opened.close();
});

test('changing an earlier message stops the answer that arrives, and keeps it', () => withPage(async (page) => {
    await ask(page, 'one');
    await send(page, 'slow two');
    await page.locator('.answer').getByText('word2').waitFor();
    await edit(page, 'one', 'uno');
    await until(() => server.requests.at(-2).aborted, 'the former answer to be called off');
    await previous(page, 'message').click();
    await page.getByText('Stopped.', { exact: true }).waitFor();
    await page.locator('.answer').getByText('word2').waitFor();
}));

test('conversations kept before there were versions are there, and can be changed', () => withPage(async (page) => {
    await ask(page, 'old one');
    await ask(page, 'old two');
    await page.evaluate(async () => {
        const database = await new Promise((resolve) => (indexedDB.open('smollm', 1).onsuccess = (event) => resolve(event.target.result)));
        const transaction = database.transaction('conversations', 'readwrite');
        const store = transaction.objectStore('conversations');
        store.getAll().onsuccess = (event) => {
            const [{ others, choices, changed, ...old }] = event.target.result;
            store.put({ ...old, turns: old.turns.map(({ parent, created, ...turn }) => turn) });
        };
        await new Promise((resolve) => (transaction.oncomplete = resolve));
    });
    await page.reload();
    await page.getByText('You said: old two').waitFor();
    await edit(page, 'old one', 'new one');
    await previous(page, 'message').click();
    assert.deepEqual(await questions(page), ['old one', 'old two']);
}));

test('the moment an answer ends, the next message can be sent', () => withPage(async (page) => {
    // The disk takes its time.
    await page.evaluate(() => {
        const { get } = IDBObjectStore.prototype;
        IDBObjectStore.prototype.get = function (key) {
            const request = get.call(this, key);
            let left = 400;
            const wait = () => { if (left-- > 0) get.call(this, key).onsuccess = wait; };
            wait();
            return request;
        };
    });
    await ask(page, 'first');
    for (let times = 2; times < 5; times++) {
        await page.getByRole('button', { name: 'Answer again' }).click();
        await page.locator('.answer').getByText(`${times}/${times}`).waitFor();
        await ended(page);
    }
    await ask(page, 'second');
    await page.getByText('You said: second').waitFor();
}));
