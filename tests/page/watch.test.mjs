// What the page says of the server stays true: while it loads, when it goes and comes back, when it has another model.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { ask, ended, launch, openPage, send, until } from './browser.mjs';
import { startFakeServer } from './fake_server.mjs';

let browser;
before(async () => {
    browser = await launch();
});
after(() => browser.close());

const expected = /Failed to load resource|ERR_/;

test('while the model loads the page says how far it is, and is ready by itself', async () => {
    const server = await startFakeServer({ loading: 0.42 });
    const opened = await openPage(browser, server.url, { expected });
    const { page } = opened;
    await page.getByText('Loading the model … 42 %').waitFor();
    assert.equal(await page.getByRole('progressbar').evaluate((bar) => bar.value), 0.42);
    assert.equal(await page.getByRole('dialog').count(), 0);
    await page.locator('.unseen[role=status]').getByText('The server is loading the model.').waitFor();
    server.state.loading = 0.97;
    await page.getByText('Loading the model … 97 %').waitFor();
    server.state.loading = null;
    await page.locator('.server-ready').getByText('SmolLM3-3B').waitFor();
    assert.equal(await page.getByRole('progressbar').count(), 0);
    await ask(page, 'hello');
    await page.getByText('You said: hello').waitFor();
    await opened.close();
    await server.close();
});

test('a message sent while the model loads is answered as soon as it is there', async () => {
    const server = await startFakeServer({ loading: 0.5 });
    const opened = await openPage(browser, server.url, { expected });
    const { page } = opened;
    await send(page, 'early');
    await page.locator('.notice').getByText('The model is still loading.').waitFor();
    server.state.loading = null;
    await page.getByText('You said: early').waitFor({ timeout: 4000 }); // the server said 5 seconds
    await ended(page);
    await opened.close();
    await server.close();
});

test('a server that does not tell how far it is', async () => {
    const server = await startFakeServer({ loading: 'soon' });
    const opened = await openPage(browser, server.url, { expected });
    await opened.page.getByText('Loading the model …', { exact: true }).waitFor();
    assert.equal(await opened.page.getByRole('progressbar').evaluate((bar) => bar.hasAttribute('value')), false);
    await opened.close();
    await server.close();
});

test('an idle page notices that the server is gone, that it is back, and that it has another model', async () => {
    const first = await startFakeServer();
    const opened = await openPage(browser, first.url, { expected });
    const { page } = opened;
    await page.locator('.server-ready').getByText('SmolLM3-3B').waitFor();
    await first.close();
    await page.locator('.server-offline').getByText('Server not reachable').waitFor();
    const second = await startFakeServer({ port: Number(new URL(first.url).port), model: 'SmolLM2-135M', thinks: false });
    await page.locator('.server-ready').getByText('SmolLM2-135M').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Think', exact: true }).count(), 0);
    second.state.model = 'Llama-3.2-1B';
    await page.locator('.server-ready').getByText('Llama-3.2-1B').waitFor();
    await opened.close();
    await second.close();
});

test('asking is cheap and gets rarer, and a page out of sight asks nothing', async () => {
    const server = await startFakeServer();
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.clock.install();
    await page.goto(server.url);
    await page.locator('.server-ready').waitFor();
    const asked = (path) => server.state.paths.filter((each) => each === path).length;
    assert.deepEqual([asked('/health'), asked('/v1/models'), asked('/props')], [1, 1, 1]);
    const pass = async (seconds) => {
        for (let second = 0; second < seconds; second++) {
            await page.clock.runFor(1000);
            await page.waitForTimeout(15);
        }
    };
    await pass(60);
    const inFirst = asked('/health') - 1;
    assert.ok(inFirst >= 3 && inFirst <= 8, `${inFirst} in the first minute`);
    assert.equal(asked('/props'), 1);
    await pass(120);
    const before = asked('/health');
    await pass(120);
    const later = asked('/health') - before;
    assert.ok(later >= 3 && later <= 5, `${later} in two minutes later on`);
    await page.evaluate(() => {
        Object.defineProperty(document, 'visibilityState', { configurable: true, value: 'hidden' });
        document.dispatchEvent(new Event('visibilitychange'));
    });
    await pass(35); // the one that was due
    const hidden = asked('/health');
    await pass(120);
    assert.equal(asked('/health'), hidden);
    await page.evaluate(() => {
        Object.defineProperty(document, 'visibilityState', { configurable: true, value: 'visible' });
        document.dispatchEvent(new Event('visibilitychange'));
    });
    await until(() => asked('/health') === hidden + 1, 'one at once');
    await context.close();
    await server.close();
});

test('a key that is missing is asked for once, not at every look', async () => {
    const server = await startFakeServer({ key: 'sesame' });
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.clock.install();
    await page.goto(server.url);
    await page.getByRole('button', { name: 'Not now' }).click();
    await page.clock.runFor(120_000);
    await page.waitForTimeout(300);
    assert.equal(await page.getByRole('dialog').count(), 0);
    await context.close();
    await server.close();
});
