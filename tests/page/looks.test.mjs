// Phone width, keyboard, colours, scrolling, and speed with much to show.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { ask, ended, launch, openPage, send, until } from './browser.mjs';
import { startFakeServer } from './fake_server.mjs';

let browser, server;
before(async () => {
    [browser, server] = await Promise.all([launch(), startFakeServer()]);
});
after(() => Promise.all([browser.close(), server.close()]));

const phone = { viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true };

test('phone: nothing is wider than the screen, the list is a drawer, Enter is a new line', async () => {
    const opened = await openPage(browser, server.url, phone);
    const { page } = opened;
    const field = page.getByPlaceholder('Message');
    await field.tap();
    await page.keyboard.type('prose');
    await page.keyboard.press('Enter');
    assert.equal(await field.inputValue(), 'prose\n');
    await page.getByRole('button', { name: 'Send' }).tap();
    await ended(page);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 360));
    assert.ok(await page.locator('.thread').evaluate((element) => element.scrollWidth <= element.clientWidth));

    await field.fill('queued');
    await page.getByRole('button', { name: 'Send' }).tap();
    await page.locator('.answer').getByText('Waiting: 3 requests before yours').waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 360));
    assert.ok(await page.locator('.thread').evaluate((element) => element.scrollWidth <= element.clientWidth));
    await page.getByRole('button', { name: 'Stop' }).tap();
    await ended(page);

    const list = page.getByRole('navigation', { name: 'Conversations' });
    assert.equal(await list.isVisible(), false);
    await page.getByRole('button', { name: 'Show conversations' }).tap();
    await list.getByRole('button', { name: 'New conversation' }).waitFor();
    await until(() => page.evaluate(() => document.activeElement.ariaLabel === 'Hide conversations'), 'focus in the drawer');
    await page.keyboard.press('Escape');
    await list.waitFor({ state: 'hidden' });
    await page.getByRole('button', { name: 'Show conversations' }).tap();
    await list.getByRole('button', { name: 'New conversation' }).tap();
    await page.locator('.greeting').waitFor();
    await list.waitFor({ state: 'hidden' });
    await opened.close();
});

test('phone: Esc closes the drawer from the moment when it has the focus', async () => {
    const opened = await openPage(browser, server.url, phone);
    const { page } = opened;
    await page.evaluate(() => addEventListener('focusin', ({ target }) => {
        if (target.ariaLabel === 'Hide conversations')
            queueMicrotask(() => {
                target.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));
                window.wasPressed = true;
            });
    }));
    await page.getByRole('button', { name: 'Show conversations' }).tap();
    await until(() => page.evaluate(() => window.wasPressed), 'the focus in the drawer');
    await until(() => page.evaluate(() => !document.querySelector('.drawer-open')), 'a closed drawer');
    await opened.close();
});

test('phone: the composer stays in sight when the keyboard takes half the screen', async () => {
    const opened = await openPage(browser, server.url, phone);
    const { page } = opened;
    await page.getByPlaceholder('Message').fill('long prose\n'.repeat(30));
    await page.setViewportSize({ width: 360, height: 320 });
    await until(async () => {
        const box = await page.getByRole('button', { name: 'Send' }).boundingBox();
        return box && box.y + box.height <= 320 && box.y > 0;
    }, 'the send button above the keyboard');
    await opened.close();
});

test('keyboard only: every control is reached, named, and shows its focus', async () => {
    const opened = await openPage(browser, server.url);
    const { page } = opened;
    await page.keyboard.type('keys');
    await page.keyboard.press('Enter');
    await ended(page);
    const seen = new Map();
    for (let presses = 0; presses < 20; presses++) {
        await page.keyboard.press('Tab');
        const control = await page.evaluate(() => {
            const element = document.activeElement;
            const style = getComputedStyle(element);
            const box = element.closest('.composer-box');
            return {
                name: element.ariaLabel ?? element.textContent.trim(),
                shown: element.getBoundingClientRect().width > 0 && element.getBoundingClientRect().bottom > 0,
                focus: style.outlineStyle !== 'none' || Boolean(box),
            };
        });
        if (control.name) seen.set(control.name, control);
    }
    for (const name of ['Skip to the message field', 'New conversation', 'keys', 'Settings', 'Edit message', 'Copy message', 'Copy answer', 'Answer again', 'Message', 'Think']) {
        assert.ok(seen.get(name)?.shown, `${name} is reached and seen`);
        assert.ok(seen.get(name).focus, `${name} shows its focus`);
    }
    await page.keyboard.press('Control+Shift+O');
    await page.locator('.greeting').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.ariaLabel), 'Message');
    const unnamed = await page.locator('button, input, textarea').evaluateAll((controls) =>
        controls.filter((each) => !each.ariaLabel && !each.textContent.trim() && !each.labels?.length).length);
    assert.equal(unnamed, 0);
    await opened.close();
});

test('dark and light by system, and by choice against it', async () => {
    const opened = await openPage(browser, server.url, { colorScheme: 'dark' });
    const { page } = opened;
    const lightness = () => page.evaluate(() => Number(/\d+/.exec(getComputedStyle(document.body).backgroundColor)[0]));
    assert.ok((await lightness()) < 60);
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('radio', { name: 'Light' }).check();
    assert.ok((await lightness()) > 200);
    await page.reload();
    await page.locator('.greeting').waitFor();
    assert.ok((await lightness()) > 200);
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('radio', { name: 'System' }).check();
    assert.ok((await lightness()) < 60);
    await page.emulateMedia({ colorScheme: 'light' });
    assert.ok((await lightness()) > 200);
    await opened.close();
});

for (const colorScheme of ['light', 'dark']) {
    test(`text stands out from its ground: ${colorScheme}`, async () => {
        const opened = await openPage(browser, server.url, { colorScheme });
        const { page } = opened;
        await ask(page, 'prose');
        const weak = await page.evaluate(() => {
            const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
            const rgb = (colours) => {
                canvas.clearRect(0, 0, 1, 1);
                for (const colour of colours) {
                    canvas.fillStyle = colour;
                    canvas.fillRect(0, 0, 1, 1);
                }
                return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)];
            };
            const luminance = (colour) => colour.map((part) => part / 255)
                .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
                .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
            const grounds = (element) => (element ? [...grounds(element.parentElement), getComputedStyle(element).backgroundColor] : []);
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            const found = new Set();
            while (walker.nextNode()) {
                const element = walker.currentNode.parentElement;
                if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest('script, style, noscript')) continue;
                const ground = grounds(element);
                const [one, two] = [luminance(rgb(ground)), luminance(rgb([...ground, getComputedStyle(element).color]))];
                const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
                if (contrast < 4.5) found.add(`${element.className || element.tagName}: ${contrast.toFixed(2)}`);
            }
            return [...found];
        });
        assert.deepEqual(weak, []);
        await opened.close();
    });
}

test('it follows the answer, lets the reader scroll away, and leads back', async () => {
    const opened = await openPage(browser, server.url);
    const { page } = opened;
    const gap = () => page.locator('.thread').evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight);
    await send(page, 'long');
    await until(async () => (await page.locator('.answer h2').count()) > 3, 'a long answer');
    await until(async () => (await gap()) < 40, 'follows', 500);
    await page.locator('.thread').hover();
    await page.mouse.wheel(0, -600);
    await page.getByRole('button', { name: 'Go to the latest message' }).waitFor();
    await page.waitForTimeout(100);
    const top = await page.locator('.thread').evaluate((element) => element.scrollTop);
    await page.waitForTimeout(500);
    assert.ok(Math.abs((await page.locator('.thread').evaluate((element) => element.scrollTop)) - top) < 2, 'stays where the reader is');
    await page.getByRole('button', { name: 'Go to the latest message' }).click();
    await until(async () => (await gap()) < 40, 'back at the end');
    await ended(page);
    assert.ok((await gap()) < 40, 'follows to the end');
    await opened.close();
});

test('a selection in an earlier block survives the stream', async () => {
    const opened = await openPage(browser, server.url);
    const { page } = opened;
    await send(page, 'long');
    await page.locator('.answer h2').first().waitFor();
    await page.locator('.answer strong').first().evaluate((element) => getSelection().selectAllChildren(element));
    await until(async () => (await page.locator('.answer h2').count()) > 3, 'more of it');
    assert.equal(await page.evaluate(() => getSelection().toString()), 'carbon dioxide');
    await page.keyboard.press('Escape');
    await opened.close();
});

test('in a conversation of 200 turns, an update costs no more than a frame or two', async () => {
    const opened = await openPage(browser, server.url);
    const { page } = opened;
    await ask(page, 'prose');
    await page.evaluate(async () => {
        const database = await new Promise((resolve) => (indexedDB.open('smollm', 1).onsuccess = (event) => resolve(event.target.result)));
        const store = database.transaction('conversations', 'readwrite').objectStore('conversations');
        const [conversation] = await new Promise((resolve) => (store.getAll().onsuccess = (event) => resolve(event.target.result)));
        conversation.turns = Array.from({ length: 100 }, (_, index) => conversation.turns.map(({ parent, ...turn }) => ({ ...turn, id: `${turn.id}${index}` }))).flat();
        await new Promise((resolve) => (store.put(conversation).onsuccess = resolve));
    });
    await page.reload();
    await until(async () => (await page.locator('.question').count()) === 100, 'all of it');
    const session = await page.context().newCDPSession(page);
    await session.send('Performance.enable');
    const work = async () => {
        const { metrics } = await session.send('Performance.getMetrics');
        const of = (name) => metrics.find((metric) => metric.name === name).value;
        return { seconds: of('ScriptDuration') + of('LayoutDuration') + of('RecalcStyleDuration'), layouts: of('LayoutCount') };
    };
    const start = await work();
    await ask(page, 'prose at the end');
    const end = await work();
    const each = (1000 * (end.seconds - start.seconds)) / (end.layouts - start.layouts);
    assert.ok(each < 40, `${each.toFixed(1)} ms of script, style and layout for each update`);
    await opened.close();
});

test('no animation for those who want none', async () => {
    const opened = await openPage(browser, server.url, { reducedMotion: 'reduce' });
    const { page } = opened;
    await send(page, 'slow');
    await page.locator('.answer').getByText('word2').waitFor();
    assert.deepEqual(await page.evaluate(() => document.getAnimations().map((each) => each.animationName)), []);
    await page.keyboard.press('Escape');
    await ended(page);
    await opened.close();
});
