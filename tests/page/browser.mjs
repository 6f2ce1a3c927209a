// Chromium for the tests. Each page collects what must never happen: an error, a violated policy, a request to another host.
import { createRequire } from 'node:module';
import assert from 'node:assert/strict';

const require = createRequire(new URL('../../web/package.json', import.meta.url));
const { chromium } = require('playwright-core');

export function launch() {
    return chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: [
            '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync',
            '--no-first-run', '--disable-features=MediaRouter,OptimizationHints,Translate',
        ],
    });
}

/** A page of its own context, so with empty storage. `expected` filters console errors that a test provokes. */
export async function openPage(browser, url, { expected = /a^/, ...options } = {}) {
    const context = await browser.newContext({ viewport: { width: 1000, height: 700 }, reducedMotion: 'reduce', ...options });
    const faults = [];
    const origin = new URL(url).origin;
    await context.route('**/*', (route) => {
        if (new URL(route.request().url()).origin === origin) return route.continue();
        faults.push(`request to another host: ${route.request().url()}`);
        return route.abort();
    });
    await context.addInitScript(() => {
        document.addEventListener('securitypolicyviolation', (event) => {
            console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
        });
    });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    page.on('pageerror', (error) => faults.push(`exception: ${error.message}`));
    page.on('console', (message) => {
        const text = message.text();
        if (['error', 'warning'].includes(message.type()) && !expected.test(text)) faults.push(text);
    });
    await page.goto(url);
    await page.locator('.greeting, .question').first().waitFor();
    return {
        page,
        async close() {
            await context.close();
            assert.deepEqual(faults, []);
        },
    };
}

export async function send(page, text) {
    await page.getByPlaceholder('Message').fill(text);
    await page.keyboard.press('Enter');
}

/** The last answer, once it has ended. */
export async function ended(page) {
    const answer = page.locator('.answer').last();
    await answer.locator('xpath=self::*[@aria-busy="false"]').waitFor();
    return answer;
}

export async function ask(page, text) {
    await send(page, text);
    await page.locator('.question', { hasText: text.slice(0, 40) }).last().waitFor();
    return ended(page);
}

/** Polls until `check` holds: for what has no element to wait for. */
export async function until(check, what, milliseconds = 15_000) {
    const end = Date.now() + milliseconds;
    while (!(await check())) {
        assert.ok(Date.now() < end, `not in ${milliseconds} ms: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}
