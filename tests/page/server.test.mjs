// One conversation with the real server: SMOLLM is the program, SMOLLM_TEST_MODEL a model file.
import test from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { ask, ended, launch, openPage, send, until } from './browser.mjs';

const { SMOLLM: binary, SMOLLM_TEST_MODEL: model } = process.env;

async function freePort() {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    server.close();
    await once(server, 'close');
    return port;
}

/** The server's process, ready to answer. It has its own key where `key` is given. */
async function startServer(port, more = []) {
    const child = spawn(binary, ['serve', model, '--port', String(port), '-t', '2', '-c', '512', '-np', '2', ...more], { stdio: ['ignore', 'ignore', 'inherit'] });
    const url = `http://127.0.0.1:${port}/`;
    await until(() => fetch(`${url}health`).then((response) => response.ok, () => false), 'the server to answer', 30_000);
    return {
        url,
        async close() {
            if (child.exitCode !== null) return;
            child.kill('SIGTERM');
            await once(child, 'exit');
        },
    };
}

async function setLongest(page, tokens) {
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByLabel('Longest answer').fill(String(tokens));
    await page.getByLabel('Temperature').fill('0');
    await page.keyboard.press('Escape');
}

const skip = !binary || !model ? 'SMOLLM and SMOLLM_TEST_MODEL are not set' : false;

test('the real server: answer, stop, out of context, gone and back', { skip, timeout: 80_000 }, async () => {
    const port = await freePort();
    let server = await startServer(port);
    const browser = await launch();
    const opened = await openPage(browser, server.url, { expected: /Failed to load resource|ERR_/ });
    const { page } = opened;
    page.setDefaultTimeout(20_000);
    try {
        const home = await fetch(server.url);
        await home.text();
        assert.match(home.headers.get('content-security-policy'), /^default-src 'none'; script-src 'sha256-/);

        await setLongest(page, 120);
        const answer = await ask(page, 'What is the capital of France? Answer in one sentence.');
        assert.ok((await answer.locator('.markdown').innerText()).length > 4);
        assert.match(await answer.locator('.figures').innerText(), /^\d+ tokens · [\d.]+\/s$/);

        await setLongest(page, 200);
        await send(page, 'Write a long story about a ship.');
        await page.locator('.answer[aria-busy=true] .block').first().waitFor();
        await page.keyboard.press('Escape');
        await page.getByText('Stopped.', { exact: true }).waitFor();
        await until(async () => {
            const slots = await (await fetch(`${server.url}slots`)).json();
            return slots.every((slot) => !slot.is_processing);
        }, 'the slot to be free');

        await page.getByRole('button', { name: 'New conversation' }).click();
        await ask(page, 'far too long '.repeat(400));
        await page.getByText(/It has 1,\d+ tokens; the model reads at most 512\./).waitFor();

        await page.getByRole('button', { name: 'New conversation', exact: true }).first().click();
        await server.close();
        await ask(page, 'Say hello.');
        await page.locator('.notice').getByText('The server cannot be reached.').waitFor();
        server = await startServer(port, ['--api-key', 'sesame']);
        /* The page asks for the key as soon as it notices the server, or when the person tries again: either may be first. */
        const retry = page.getByRole('button', { name: 'Try again' });
        await retry.click({ timeout: 2000 }).catch(() => {});
        await page.getByRole('dialog').locator('input[type=password]').fill('sesame');
        await page.getByRole('button', { name: 'Continue' }).click();
        await retry.click({ timeout: 2000 }).catch(() => {});
        await page.locator('.answer .block').waitFor();
        await ended(page);
    } finally {
        await browser.close();
        await server.close();
    }
    await opened.close();
});
