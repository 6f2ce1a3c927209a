// Hostile output and failing servers: nothing runs, nothing leaves, and the message says what to do.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { ask, ended, launch, openPage, send, until } from './browser.mjs';
import { startFakeServer } from './fake_server.mjs';

let browser, server;
before(async () => {
    [browser, server] = await Promise.all([launch(), startFakeServer()]);
});
after(() => Promise.all([browser.close(), server.close()]));

const status = /Failed to load resource/;

test('hostile output stays text: nothing runs, nothing is fetched, no policy is violated', async () => {
    const opened = await openPage(browser, server.url);
    const { page } = opened;
    const answer = await ask(page, 'hostile');
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.equal(await page.locator('.answer :is(script, img, iframe, style, svg:not(.icon), object, embed, form, input, base, meta)').count(), 0);
    const attributes = await answer.evaluate((element) =>
        [...element.querySelectorAll('*')].flatMap((each) => [...each.attributes].map((attribute) => `${attribute.name}=${attribute.value}`)));
    assert.deepEqual(attributes.filter((attribute) => /^on|^src=|^(?:xlink:)?href=(?!https?:\/\/)|^(?:id|name)=/i.test(attribute)), []);
    assert.equal(await answer.locator('a[href]:not([rel="noopener noreferrer nofollow"])').count(), 0);
    assert.match(await answer.innerText(), /<script>window\.hacked = 1<\/script>[^]*␛\[31mred/);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'no horizontal scroll');
    await page.reload();
    await page.locator('.answer .block').first().waitFor();
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    await opened.close();
});

test('what a person types is text too', async () => {
    const opened = await openPage(browser, server.url);
    await ask(opened.page, '<img src=x onerror="window.hacked=1"> **bold**');
    assert.equal(await opened.page.locator('.bubble').innerText(), '<img src=x onerror="window.hacked=1"> **bold**');
    assert.equal(await opened.page.evaluate(() => window.hacked), undefined);
    assert.equal(await opened.page.title(), '<img src=x onerror="window.hacked=1"> **bold** · smollm');
    await opened.close();
});

test('the policy stops what would get past the page', async () => {
    const opened = await openPage(browser, server.url, { expected: /Content Security Policy|policy violated|violates/ });
    const ran = await opened.page.evaluate(async () => {
        const script = document.createElement('script');
        script.textContent = 'window.hacked = 1';
        document.body.append(script);
        const picture = document.createElement('div');
        picture.innerHTML = '<img src="data:," onerror="window.hacked = 2"><p style="color: red">';
        document.body.append(picture);
        await new Promise((resolve) => setTimeout(resolve, 200));
        const fetched = await fetch('https://evil.example/').then(() => true, () => false);
        return [window.hacked, picture.querySelector('p').style.color, fetched];
    });
    assert.deepEqual(ran, [undefined, '', false]);
    await opened.close();
});

test('busy: says so, counts down, tries again by itself', async () => {
    const opened = await openPage(browser, server.url, { expected: status });
    const { page } = opened;
    await send(page, 'busy 1');
    await page.getByText('8 requests are waiting. Trying again in 2 s.').waitFor();
    await page.getByText('Trying again in 1 s.').waitFor();
    await page.getByText('Trying again in 2 s.').waitFor();
    await page.getByRole('button', { name: 'Try now' }).click();
    assert.match(await (await ended(page)).innerText(), /^Now there was room\./);
    await opened.close();
});

test('busy: a person may give up', async () => {
    const opened = await openPage(browser, server.url, { expected: status });
    const { page } = opened;
    await send(page, 'busy 2');
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('Stopped.', { exact: true }).waitFor();
    const count = server.requests.length;
    await page.waitForTimeout(2300);
    assert.equal(server.requests.length, count, 'no further try');
    await opened.close();
});

test('gone in mid-answer: what had arrived is kept, and retry works', async () => {
    const opened = await openPage(browser, server.url, { expected: /ERR_/ });
    const { page } = opened;
    const answer = await ask(page, 'gone');
    assert.match(await answer.innerText(), /^The first half had arrived[^]*The connection was lost\./);
    await page.reload();
    await page.getByText('The first half had arrived').waitFor();
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('The first half had arrived and so did the second.').waitFor();
    await opened.close();
});

test('not there at all: the message is kept, and the page notices when the server is back', async () => {
    const first = await startFakeServer();
    const opened = await openPage(browser, first.url, { expected: /ERR_/ });
    const { page } = opened;
    await page.getByText('SmolLM3-3B').waitFor();
    await first.close();
    await ask(page, 'anybody?');
    await page.locator('.notice').getByText('The server cannot be reached.').waitFor();
    await page.getByText('Server not reachable').waitFor();
    const second = await startFakeServer({ port: Number(new URL(first.url).port) });
    await page.getByText('SmolLM3-3B').waitFor({ timeout: 8000 });
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('You said: anybody?').waitFor();
    await opened.close();
    await second.close();
});

test('out of context: both numbers and what to do', async () => {
    const opened = await openPage(browser, server.url, { expected: status });
    const { page } = opened;
    await ask(page, 'context');
    await page.getByText('It has 5,321 tokens; the model reads at most 4,096. Edit an earlier message').waitFor();
    await page.locator('.notice').getByRole('button', { name: 'New conversation' }).click();
    await page.locator('.greeting').waitFor();
    await opened.close();
});

test('refused and failed requests show the server’s own words', async () => {
    const opened = await openPage(browser, server.url, { expected: status });
    const { page } = opened;
    assert.match(await (await ask(page, 'refused')).innerText(), /refused this message\.\s+temperature is 9/);
    assert.match(await (await ask(page, 'midway')).innerText(), /^Something, then[^]*The server failed\.\s+out of pages/);
    assert.match(await (await ask(page, 'cut')).innerText(), /This goes on and[^]*Cut off at \d+ tokens/);
    await opened.close();
});

test('a key is asked for once, refused if wrong, and remembered as chosen', async () => {
    const locked = await startFakeServer({ key: 'open sesame' });
    const opened = await openPage(browser, locked.url, { expected: status });
    const { page } = opened;
    const dialog = page.getByRole('dialog', { name: 'This server asks for a key' });
    await dialog.waitFor();
    // The page's own closing is told just before the dialog opens again, as a busy machine does.
    await page.evaluate(() => {
        const { close, showModal } = HTMLDialogElement.prototype;
        let untold = null;
        addEventListener('close', (event) => { if (event.isTrusted) event.stopImmediatePropagation(); }, true);
        HTMLDialogElement.prototype.close = function () { untold = this; close.call(this); };
        HTMLDialogElement.prototype.showModal = function () {
            untold?.dispatchEvent(new Event('close'));
            untold = null;
            showModal.call(this);
        };
    });
    await dialog.getByLabel('Key').fill('wrong');
    await dialog.getByLabel('Key').press('Enter');
    await page.getByText('did not accept that key').waitFor();
    // And once more after that.
    await dialog.evaluate((element) => element.dispatchEvent(new Event('close')));
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    assert.equal(await dialog.count(), 1);
    await dialog.getByLabel('Key').fill('open sesame');
    await dialog.getByLabel('Remember it in this browser').check();
    await dialog.getByRole('button', { name: 'Continue' }).click();
    await page.getByText('SmolLM3-3B').waitFor();
    await ask(page, 'hello');
    await page.reload();
    await page.getByText('SmolLM3-3B').waitFor();
    assert.equal(await dialog.count(), 0);
    const other = await page.context().newPage();
    await other.goto(locked.url);
    await other.getByText('SmolLM3-3B').waitFor();
    await opened.close();
    await locked.close();
});

test('a key dismissed: the answer says what is missing, and goes on with the key', async () => {
    const locked = await startFakeServer({ key: 'open sesame' });
    const opened = await openPage(browser, locked.url, { expected: status });
    const { page } = opened;
    const dialog = page.getByRole('dialog', { name: 'This server asks for a key' });
    await dialog.getByRole('button', { name: 'Not now' }).click();
    await send(page, 'hello');
    await dialog.getByLabel('Key').fill('open sesame');
    await page.keyboard.press('Enter');
    await page.getByText('You said: hello').waitFor();
    await until(async () => (await page.locator('.question').count()) === 1, 'one question');
    const other = await page.context().newPage();
    await other.goto(locked.url);
    await other.getByRole('dialog').waitFor();
    await opened.close();
    await locked.close();
});
