// The keyboard: input methods, the list as one stop, and a focus that is never lost.
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

const focused = (page) => page.evaluate(() => document.activeElement.ariaLabel ?? document.activeElement.textContent.trim());
const focusIs = (page, name) => until(async () => (await focused(page)) === name, `the focus on ${name}`, 3000).catch(async (error) => {
    throw new Error(`${error.message}; it is on ${await focused(page)}`);
});

/** The Enter that confirms a word of an input method, as Chromium and as Safari have it. */
const confirmations = [{ isComposing: true, keyCode: 229 }, { isComposing: true, keyCode: 13 }, { isComposing: false, keyCode: 229 }];

const press = (locator, key, init) => locator.evaluate((element, [key, init]) => {
    element.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...init }));
}, [key, init]);

test('Enter that confirms a word of an input method sends nothing', () => withPage(async (page) => {
    const count = server.requests.length;
    const composer = page.getByPlaceholder('Message');
    await composer.fill('にほんご');
    for (const init of confirmations) await press(composer, 'Enter', init);
    await page.waitForTimeout(100);
    assert.equal(server.requests.length, count);
    await press(composer, 'Enter', { keyCode: 13 });
    await page.getByText('You said: にほんご').waitFor();
    await ended(page);

    await page.locator('.question').hover();
    await page.getByRole('button', { name: 'Edit message' }).click();
    const field = page.locator('.edit textarea');
    for (const key of ['Enter', 'Escape']) for (const init of confirmations) await press(field, key, init);
    await page.waitForTimeout(100);
    assert.equal(await field.isVisible(), true);
    assert.equal(server.requests.length, count + 1);
    await field.press('Escape');

    await page.locator('.entry-title').focus();
    await page.keyboard.press('F2');
    const name = page.locator('.rename');
    for (const key of ['Enter', 'Escape']) for (const init of confirmations) await press(name, key, init);
    await page.waitForTimeout(100);
    assert.equal(await name.isVisible(), true);
}));

test('the list is one stop; arrows, Home, End, F2 and Delete work in it', () => withPage(async (page) => {
    for (const text of ['one', 'two', 'three']) {
        await page.getByRole('button', { name: 'New conversation' }).click();
        await ask(page, text);
    }
    await page.getByRole('button', { name: 'New conversation' }).focus();
    await page.keyboard.press('Tab');
    await focusIs(page, 'three');
    await page.keyboard.press('Tab');
    await focusIs(page, 'Settings');
    await page.keyboard.press('Shift+Tab');
    await focusIs(page, 'three');
    await page.keyboard.press('ArrowDown');
    await focusIs(page, 'two');
    await page.keyboard.press('End');
    await focusIs(page, 'one');
    await page.keyboard.press('ArrowDown');
    await focusIs(page, 'one');
    await page.keyboard.press('Home');
    await focusIs(page, 'three');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Tab');
    await focusIs(page, 'two');
    await page.keyboard.press('ArrowRight');
    await focusIs(page, 'Rename “two”');
    await page.keyboard.press('ArrowRight');
    await focusIs(page, 'Delete “two”');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    await focusIs(page, 'two');

    await page.keyboard.press('F2');
    await page.keyboard.type('zwei');
    await page.keyboard.press('Enter');
    await focusIs(page, 'zwei');
    await page.keyboard.press('F2');
    await page.keyboard.type('nothing');
    await page.keyboard.press('Escape');
    await focusIs(page, 'zwei');

    await page.keyboard.press('Delete');
    await focusIs(page, 'one');
    await page.keyboard.press('Delete');
    await focusIs(page, 'three');
    await page.keyboard.press('Control+z');
    await page.locator('.entry', { hasText: 'one' }).waitFor();
    assert.equal(await page.locator('.entry').count(), 2);
    await page.getByRole('button', { name: 'New conversation' }).focus();
    for (let left = 2; left > 0; left--) {
        await page.keyboard.press('Tab');
        await page.keyboard.press('Delete');
        await until(async () => (await page.locator('.entry').count()) === left - 1, 'one less');
        if (left === 1) await focusIs(page, 'New conversation');
        else await page.getByRole('button', { name: 'New conversation' }).focus();
    }
}));

test('after each action the focus is where the next one is', () => withPage(async (page) => {
    await ask(page, 'one');
    await ask(page, 'two');
    const edit = page.getByRole('button', { name: 'Edit message' }).first();
    await edit.focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Escape');
    await focusIs(page, 'Edit message');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Cancel' }).click();
    await focusIs(page, 'Edit message');
    await page.keyboard.press('Enter');
    await page.keyboard.type('!');
    await page.keyboard.press('Enter');
    await page.getByText('You said: one!').waitFor();
    await focusIs(page, 'Message');
    await ended(page);
    await page.getByRole('button', { name: 'Answer again' }).focus();
    await page.keyboard.press('Enter');
    await page.locator('.answer').getByText('2/2').waitFor();
    await focusIs(page, 'Message');
    await page.locator('.entry').hover();
    await page.getByRole('button', { name: 'Delete “one!”' }).click();
    await focusIs(page, 'Message');
}));

test('Undo is in reach, and waits for those who are about to use it', () => withPage(async (page) => {
    await page.clock.install();
    await ask(page, 'precious');
    await page.locator('.entry-title').focus();
    await page.keyboard.press('Delete');
    const undo = page.getByRole('button', { name: 'Undo' });
    await undo.waitFor();
    let tabs = 0;
    while ((await focused(page)) !== 'Undo' && tabs < 10) {
        await page.keyboard.press('Tab');
        tabs++;
    }
    assert.ok(tabs <= 3, `${tabs} Tabs from the list to Undo`);
    await page.clock.runFor(60_000);
    assert.equal(await undo.isVisible(), true, 'while it has the focus');
    await page.keyboard.press('Shift+Tab');
    await undo.hover();
    await page.clock.runFor(60_000);
    assert.equal(await undo.isVisible(), true, 'while the pointer is on it');
    await undo.click();
    await page.getByText('You said: precious').waitFor();

    await page.locator('.entry').hover();
    await page.getByRole('button', { name: 'Delete “precious”' }).click();
    await undo.waitFor();
    await page.mouse.move(500, 300);
    await page.clock.runFor(30_000);
    assert.equal(await undo.count(), 0, 'and is gone in the end');
}));

test('Ctrl+Z in a field with text is the field’s own', () => withPage(async (page) => {
    await ask(page, 'kept');
    await page.locator('.entry').hover();
    await page.getByRole('button', { name: 'Delete “kept”' }).click();
    await page.getByPlaceholder('Message').focus();
    await page.keyboard.type('abc');
    await page.keyboard.press('Control+z');
    assert.equal(await page.locator('.entry').count(), 0);
    await page.getByRole('button', { name: 'Undo' }).waitFor();
}));

test('a skip link leads past the list', () => withPage(async (page) => {
    await ask(page, 'one');
    const url = page.url();
    await page.getByRole('button', { name: 'New conversation' }).focus();
    await page.keyboard.press('Shift+Tab');
    await focusIs(page, 'Skip to the message field');
    assert.ok(await page.locator('.skip').evaluate((link) => link.getBoundingClientRect().top >= 0), 'seen while it has the focus');
    await page.keyboard.press('Enter');
    await focusIs(page, 'Message');
    assert.equal(page.url(), url, 'the conversation stays');
    assert.equal(await page.locator('.skip').evaluate((link) => document.querySelector(link.getAttribute('href')).ariaLabel), 'Message');
}));

test('on touch the composer is not focused unasked', () => withPage(async (page) => {
    await page.getByPlaceholder('Message').fill('one');
    await page.getByRole('button', { name: 'Send' }).tap();
    await ended(page);
    await page.getByRole('button', { name: 'Answer again' }).tap();
    await page.locator('.answer').getByText('2/2').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.className), 'thread');
}, { viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true }));

test('Esc that ends a composition stops no answer', () => withPage(async (page) => {
    await send(page, 'slow');
    await page.locator('.answer').getByText('word2').waitFor();
    for (const init of confirmations) await press(page.getByPlaceholder('Message'), 'Escape', init);
    await page.locator('.answer').getByText('word20').waitFor();
    assert.equal(await page.locator('.answer').getAttribute('aria-busy'), 'true');
    await page.keyboard.press('Escape');
    await ended(page);
}));

test('buttons that go away when pressed leave the focus somewhere', () => withPage(async (page) => {
    await page.getByPlaceholder('Message').fill('slow');
    await page.getByRole('button', { name: 'Send' }).focus();
    await page.keyboard.press('Enter');
    await page.locator('.answer').getByText('word2').waitFor();
    await focusIs(page, 'Message');
    await page.getByRole('button', { name: 'Stop' }).focus();
    await page.keyboard.press('Enter');
    await ended(page);
    await focusIs(page, 'Message');
    await ask(page, 'long');
    await page.locator('.thread').evaluate((thread) => (thread.scrollTop = 0));
    await page.getByRole('button', { name: 'Go to the latest message' }).focus();
    await page.keyboard.press('Enter');
    await until(() => page.evaluate(() => document.activeElement.className === 'thread'), 'the focus in the thread');
    await send(page, 'busy for focus');
    await page.getByRole('button', { name: 'Cancel' }).focus();
    await page.keyboard.press('Enter');
    await focusIs(page, 'Message');
}, { expected: /Failed to load resource/ }));

test('a drawer that closes gives the focus back', () => withPage(async (page) => {
    const menu = page.getByRole('button', { name: 'Show conversations' });
    await menu.focus();
    await page.keyboard.press('Enter');
    await focusIs(page, 'Hide conversations');
    await page.keyboard.press('Escape');
    await focusIs(page, 'Show conversations');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Hide conversations' }).press('Enter');
    await focusIs(page, 'Show conversations');
}, { viewport: { width: 500, height: 700 } }));
