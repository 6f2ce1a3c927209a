// Two tabs on one conversation: one answers at a time, and no message of either is lost.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { ask, ended, launch, openPage, send, until } from './browser.mjs';
import { startFakeServer } from './fake_server.mjs';

let browser, server;
before(async () => {
    [browser, server] = await Promise.all([launch(), startFakeServer()]);
});
after(() => Promise.all([browser.close(), server.close()]));

/** Two tabs on a conversation that has one answer. `locks: false` is how a browser is over plain http. */
async function twoTabs(use, { locks = true } = {}) {
    const opened = await openPage(browser, server.url);
    const { page } = opened;
    if (!locks) {
        await page.context().addInitScript(() => Object.defineProperty(navigator, 'locks', { value: undefined }));
        await page.reload();
    }
    await ask(page, 'short first');
    const other = await page.context().newPage();
    other.setDefaultTimeout(15_000);
    await other.goto(page.url());
    await other.getByText('You said: short first').waitFor();
    await use(page, other);
    await opened.close();
}

const stored = (page) => page.evaluate(async () => {
    const database = await new Promise((resolve) => (indexedDB.open('smollm', 1).onsuccess = (event) => resolve(event.target.result)));
    const store = database.transaction('conversations').objectStore('conversations');
    const [conversation] = await new Promise((resolve) => (store.getAll().onsuccess = (event) => resolve(event.target.result)));
    return [...conversation.turns, ...conversation.others].map((turn) => turn.text);
});

for (const locks of [true, false]) {
    test(`while one tab answers, the other says so and keeps what is written there (${locks ? 'with' : 'without'} locks)`, () => twoTabs(async (a, b) => {
        await send(a, 'slow from tab A');
        await a.locator('.answer').last().getByText('word2').waitFor();
        await b.locator('.composer-note').getByText('Answering in another tab').waitFor();
        await b.locator('.answer').last().getByText('word2').waitFor(); // it shows the answer all the same
        const count = server.requests.length;
        await send(b, 'short from tab B');
        await b.waitForTimeout(300);
        assert.equal(server.requests.length, count, 'nothing is sent');
        assert.equal(await b.getByPlaceholder('Message').inputValue(), 'short from tab B');
        await a.keyboard.press('Escape');
        await b.locator('.composer-note', { hasText: /^$/ }).waitFor({ state: 'attached' });
        await b.getByText('Stopped.', { exact: true }).waitFor();
        await b.getByPlaceholder('Message').press('Enter');
        await b.getByText('You said: short from tab B').waitFor();
        await ended(b);
        await a.getByText('You said: short from tab B').waitFor();
        const texts = await stored(b);
        for (const text of ['short first', 'You said: short first', 'slow from tab A', 'short from tab B', 'You said: short from tab B']) {
            assert.ok(texts.includes(text), text);
        }
        assert.ok(texts.some((text) => text.startsWith('word0 word1 word2')));
    }, { locks }));
}

test('a message sent in the moment before the other tab is heard of is not lost', () => twoTabs(async (a, b) => {
    await Promise.all([send(a, 'from tab A'), send(b, 'from tab B')]);
    await until(async () => (await stored(a)).some((text) => text === 'You said: from tab A') || (await stored(a)).some((text) => text === 'You said: from tab B'), 'an answer');
    await a.waitForTimeout(500);
    const texts = await stored(a);
    for (const [page, text] of [[a, 'from tab A'], [b, 'from tab B']]) {
        const isKept = texts.includes(text) || (await page.getByPlaceholder('Message').inputValue()) === text;
        assert.ok(isKept, `${text}: sent and stored, or still in its composer`);
    }
}));

/** Two tabs that hear nothing of each other, as when the word of a tab comes too late. */
async function deafTabs(use) {
    const opened = await openPage(browser, server.url);
    const { page } = opened;
    await page.context().addInitScript(() => { BroadcastChannel.prototype.postMessage = () => {}; });
    await page.reload();
    await ask(page, 'short first');
    const other = await page.context().newPage();
    other.setDefaultTimeout(15_000);
    await other.goto(page.url());
    await other.getByText('You said: short first').waitFor();
    await use(page, other);
    await opened.close();
}

test('tabs that hear nothing of each other: all turns are stored, whichever tab writes last', () => deafTabs(async (page, other) => {
    await ask(page, 'from tab A');
    await page.waitForTimeout(200);
    await ask(other, 'from tab B');
    await other.waitForTimeout(200);
    // A change that asks nothing: what is stored is put together with it.
    await page.locator('.entry-title').focus();
    await page.keyboard.press('F2');
    await page.keyboard.type('Renamed');
    await page.keyboard.press('Enter');
    await page.waitForTimeout(300);
    assert.ok((await stored(page)).includes('You said: from tab B'), 'after a new name in the other tab');
    await ask(page, 'again from tab A');
    await page.waitForTimeout(300);
    const texts = await stored(page);
    for (const text of ['short first', 'from tab A', 'from tab B', 'again from tab A']) assert.ok(texts.includes(`You said: ${text}`), text);
    // The second tab read what the first had kept before it asked.
    const { messages } = server.requests.findLast((request) => request.body.messages.at(-1).content === 'from tab B').body;
    assert.ok(messages.some((message) => message.content === 'from tab A'));
}));

test('tabs that hear nothing of each other: the lock alone keeps a second answer from beginning', () => deafTabs(async (page, other) => {
    await send(page, 'slow from tab A');
    await page.locator('.answer').last().getByText('word2').waitFor();
    const count = server.requests.length;
    await send(other, 'from tab B');
    await other.locator('.composer-note').getByText('Answering in another tab').waitFor();
    assert.equal(await other.getByPlaceholder('Message').inputValue(), 'from tab B');
    assert.equal(server.requests.length, count);
    await page.keyboard.press('Escape');
    await other.locator('.composer-note', { hasText: /^$/ }).waitFor({ state: 'attached' });
    await other.getByPlaceholder('Message').press('Enter');
    await other.getByText('You said: from tab B').waitFor();
}));

test('a tab that is closed in mid-answer lets the other go on, with what had arrived', () => twoTabs(async (a, b) => {
    await send(a, 'slow and closed');
    await b.locator('.answer').last().getByText('word5').waitFor();
    await a.close();
    await b.getByText('closed while this answer was arriving').waitFor();
    await b.locator('.answer').last().getByText('word5').waitFor();
    await ask(b, 'and then?');
    await b.getByText('You said: and then?').waitFor();
}));

test('a conversation is not deleted under the tab that answers in it', () => twoTabs(async (a, b) => {
    await send(a, 'slow and not deleted');
    await b.locator('.composer-note').getByText('Answering in another tab').waitFor();
    await b.locator('.entry').hover();
    await b.getByRole('button', { name: 'Delete “short first”' }).click();
    await b.locator('.toast').getByText('cannot be deleted now').waitFor();
    assert.equal(await b.locator('.entry').count(), 1);
    await a.keyboard.press('Escape');
    await ended(a);
}));

test('a tab opened in mid-answer knows of it', () => twoTabs(async (a, b) => {
    await send(a, 'slow one');
    await a.locator('.answer').last().getByText('word2').waitFor();
    await b.reload();
    await b.locator('.composer-note').getByText('Answering in another tab').waitFor();
    await b.locator('.answer').last().getByText('Answering in another tab').waitFor();
    await a.keyboard.press('Escape');
    await b.getByText('Stopped.', { exact: true }).waitFor();
}));

test('a new name given in one tab is not undone by the answer in the other', () => twoTabs(async (a, b) => {
    await send(a, 'slow while renamed');
    await a.locator('.answer').last().getByText('word2').waitFor();
    await b.locator('.entry-title').focus();
    await b.keyboard.press('F2');
    await b.keyboard.type('Bread');
    await b.keyboard.press('Enter');
    await a.locator('.entry', { hasText: 'Bread' }).waitFor();
    await a.keyboard.press('Escape');
    await ended(a);
    await b.waitForTimeout(300);
    assert.deepEqual(await b.locator('.entry-title').allInnerTexts(), ['Bread']);
    assert.ok((await stored(b)).includes('slow while renamed'));
}));

test('a setting made in one tab is not undone by one made in the other', () => twoTabs(async (a, b) => {
    await a.getByRole('button', { name: 'Settings' }).click();
    await a.getByLabel('Temperature').fill('0.3');
    await a.keyboard.press('Escape');
    await b.waitForTimeout(200);
    await b.getByRole('button', { name: 'Settings' }).click();
    await b.getByRole('radio', { name: 'Dark' }).check();
    await b.keyboard.press('Escape');
    await until(() => a.evaluate(() => document.documentElement.dataset.theme === 'dark'), 'the other tab to follow');
    await b.reload();
    await ask(b, 'hello');
    assert.equal(server.requests.at(-1).body.temperature, 0.3);
}));
