// What the browser cannot keep is told, for as long as it is so, and can be exported.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { ask, launch, openPage, send, until } from './browser.mjs';
import { startFakeServer } from './fake_server.mjs';

let browser, server;
before(async () => {
    [browser, server] = await Promise.all([launch(), startFakeServer()]);
});
after(() => Promise.all([browser.close(), server.close()]));

const banner = (page) => page.locator('.banner-warning');

test('full storage: a lasting banner, an export with everything in it, and an end when there is room', async () => {
    const opened = await openPage(browser, server.url, { acceptDownloads: true });
    const { page } = opened;
    const session = await page.context().newCDPSession(page);
    const setQuota = (quotaSize) => session.send('Storage.overrideQuotaForOrigin', { origin: new URL(server.url).origin, quotaSize });
    await setQuota(100_000); // before the first message: the browser looks only now and then while there is room
    await ask(page, 'before it was full');
    const much = 'much '.repeat(60_000);
    await send(page, much);
    await banner(page).getByText('could not keep the latest messages').waitFor();
    await page.waitForTimeout(9000);
    assert.equal(await banner(page).isVisible(), true, 'still there when a passing message would be gone');
    const [download] = await Promise.all([page.waitForEvent('download'), banner(page).getByRole('button', { name: 'Export' }).click()]);
    assert.match(download.suggestedFilename(), /^smollm-conversations-\d{4}-\d\d-\d\d\.json$/);
    const exported = JSON.parse(await readFile(await download.path(), 'utf8'));
    const texts = exported.conversations.flatMap((each) => each.turns.map((turn) => turn.text));
    assert.ok(texts.includes('before it was full') && texts.some((text) => text.length === much.length));
    await setQuota(100_000_000);
    await banner(page).waitFor({ state: 'hidden', timeout: 20_000 });
    await page.reload();
    await page.locator('.question').nth(1).waitFor();
    await opened.close();
});

test('a transaction that fails at its end is a failure, not a success', async () => {
    const opened = await openPage(browser, server.url);
    const { page } = opened;
    await page.evaluate(() => {
        const { put } = IDBObjectStore.prototype;
        IDBObjectStore.prototype.put = function (value) {
            const request = put.call(this, value);
            request.addEventListener('success', () => this.transaction.abort());
            return request;
        };
        window.restore = () => (IDBObjectStore.prototype.put = put);
    });
    await ask(page, 'not kept');
    await banner(page).waitFor();
    await page.evaluate(() => window.restore());
    await ask(page, 'kept');
    await banner(page).waitFor({ state: 'hidden' });
    await opened.close();
});

test('a database that cannot be read is told, and is not taken for an empty one', async () => {
    const opened = await openPage(browser, server.url);
    const { page } = opened;
    await ask(page, 'kept before');
    await page.addInitScript(() => { IDBObjectStore.prototype.getAll = () => { throw new DOMException('broken', 'UnknownError'); }; });
    await page.reload();
    await banner(page).getByText('cannot be read').waitFor();
    assert.equal(await banner(page).getByRole('button', { name: 'Close' }).count(), 0);
    await opened.close();
});

test('a browser that keeps nothing says so until it is put away', async () => {
    const opened = await openPage(browser, server.url);
    const { page } = opened;
    await page.addInitScript(() => { IDBFactory.prototype.open = () => { throw new DOMException('private', 'SecurityError'); }; });
    await page.goto('about:blank');
    await page.goto(server.url);
    await banner(page).getByText('conversations end when the page is closed').waitFor();
    await ask(page, 'hello');
    await banner(page).getByRole('button', { name: 'Close' }).click();
    await banner(page).waitFor({ state: 'hidden' });
    await opened.close();
});

test('settings that do not fit are told where they are made and on the page', async () => {
    const opened = await openPage(browser, server.url);
    const { page } = opened;
    await page.evaluate(() => {
        const { setItem } = Storage.prototype;
        Storage.prototype.setItem = function (...all) {
            if (this === localStorage) throw new DOMException('full', 'QuotaExceededError');
            return setItem.apply(this, all);
        };
    });
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('radio', { name: 'Dark' }).check();
    await page.getByRole('dialog').getByText('these settings hold only until the page is closed').waitFor();
    await page.keyboard.press('Escape');
    await banner(page).getByText('the settings hold only until the page is closed').waitFor();
    await opened.close();
});

test('the browser is asked to keep the conversations at the first message, not before', async () => {
    const opened = await openPage(browser, server.url);
    const { page } = opened;
    await page.evaluate(() => {
        window.asked = 0;
        StorageManager.prototype.persist = async () => ((window.asked += 1), true);
    });
    assert.equal(await page.evaluate(() => window.asked), 0);
    await ask(page, 'hello');
    await until(() => page.evaluate(() => window.asked === 1), 'one question');
    await opened.close();
});

test('the message of a page that goes away at once is there afterwards', async () => {
    const opened = await openPage(browser, server.url);
    const { page } = opened;
    await send(page, 'slow and left');
    await page.locator('.answer').getByText('word3').waitFor();
    await page.reload();
    await page.locator('.question', { hasText: 'slow and left' }).waitFor();
    await page.locator('.answer').getByText('word3').waitFor();
    await opened.close();
});
