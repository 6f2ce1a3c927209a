// What can be seen, told apart, reached and printed.
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

const phone = { viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true };

/** Contrast of one of an element's colours (`borderTopColor`, …) with the ground around it, or with its own (`backgroundColor`). */
const contrast = (locator, property) => locator.evaluate((element, property) => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const luminance = (colours) => {
        canvas.clearRect(0, 0, 1, 1);
        for (const colour of colours) {
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
        }
        return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)].map((part) => part / 255)
            .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
            .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
    };
    const grounds = (each) => (each ? [...grounds(each.parentElement), getComputedStyle(each).backgroundColor] : []);
    const around = grounds(element.parentElement);
    const [one, two] = [luminance(around), luminance([...around, getComputedStyle(element)[property]])];
    return (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
}, property);

for (const colorScheme of ['light', 'dark']) {
    test(`fields end where one can see it, and so does the focus: ${colorScheme}`, () => withPage(async (page) => {
        const box = page.locator('.composer-box');
        assert.ok((await contrast(box, 'outlineColor')) >= 3, 'the composer has a ring');
        assert.notEqual(await box.evaluate((element) => getComputedStyle(element).outlineStyle), 'none');
        await page.getByRole('button', { name: 'Settings' }).focus();
        assert.equal(await box.evaluate((element) => getComputedStyle(element).outlineStyle), 'none');
        assert.ok((await contrast(box, 'borderTopColor')) >= 3, `composer ${await contrast(box, 'borderTopColor')}`);
        await page.keyboard.press('Enter');
        for (const field of await page.locator('dialog :is(textarea, input[type=number])').all()) {
            assert.ok((await contrast(field, 'borderTopColor')) >= 3, `field ${await contrast(field, 'borderTopColor')}`);
        }
        const [chosen, other] = [page.locator('.segments input:checked + span'), page.locator('.segments input:not(:checked) + span').first()];
        assert.ok((await contrast(chosen, 'backgroundColor')) > (await contrast(other, 'backgroundColor')), 'the chosen segment stands out');
        const lightness = (locator) => locator.evaluate((element) => Number(/[\d.]+/.exec(getComputedStyle(element).backgroundColor)[0]));
        assert.ok((await lightness(chosen)) > (await lightness(page.locator('.segments'))), 'and is the lighter one');
    }, { colorScheme }));
}

test('the words of a thought in progress do not fade', () => withPage(async (page) => {
    await send(page, 'ponder a sum');
    await page.locator('.thinking.thinks').waitFor();
    const faded = await page.evaluate(() => document.getAnimations().map((each) => each.effect.target).filter((target) => target.matches('summary, summary span, .thinking')).length);
    assert.equal(faded, 0);
    server.proceed();
    await ended(page);
}, { reducedMotion: 'no-preference' }));

test('where the system chooses the colours, what is pressed, current or a bubble is still told apart', () => withPage(async (page) => {
    await ask(page, 'hello');
    const style = (selector, property) => page.locator(selector).first().evaluate((element, property) => getComputedStyle(element)[property], property);
    assert.equal(await style('.bubble', 'borderTopStyle'), 'solid');
    assert.equal(await style('.entry.current', 'outlineStyle'), 'solid');
    const pressed = await style('.toggle', 'backgroundColor');
    await page.locator('.toggle').click();
    assert.notEqual(await style('.toggle', 'backgroundColor'), pressed);
    await page.getByRole('button', { name: 'Settings' }).click();
    const [ground, ink] = [await style('.segments input:checked + span', 'backgroundColor'), await style('.segments input:checked + span', 'color')];
    assert.notEqual(ground, ink);
    assert.notEqual(ground, await style('.segments input:not(:checked) + span', 'backgroundColor'));
}, { forcedColors: 'active' }));

test('the page has one heading of its own, which is never empty', () => withPage(async (page) => {
    assert.equal(await page.locator('h1').innerText(), 'New conversation');
    await ask(page, 'hello');
    assert.equal(await page.locator('h1').innerText(), 'hello');
    assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1);
}));

test('mathematics wider than the column scrolls by itself and is reached by keyboard; narrow is no stop', async () => {
    for (const options of [{}, phone]) {
        await withPage(async (page) => {
            await page.getByPlaceholder('Message').fill('mathwide');
            await page.getByRole('button', { name: 'Send' }).click();
            const answer = await ended(page);
            assert.ok(await page.locator('.thread').evaluate((thread) => thread.scrollWidth <= thread.clientWidth));
            const stops = answer.locator('[tabindex="0"]');
            await until(async () => (await stops.count()) === 3, 'one in a line, one in a list, one displayed');
            for (const stop of await stops.all()) {
                assert.ok(await stop.evaluate((element) => {
                    element.focus();
                    element.scrollLeft = 10_000;
                    return element.scrollLeft > 100 && document.activeElement === element;
                }));
            }
            await page.getByPlaceholder('Message').fill('$x$ and $y$');
            await page.getByRole('button', { name: 'Send' }).click();
            await page.locator('.question').nth(1).waitFor();
            await ended(page);
            assert.equal(await page.locator('.answer').last().locator('[tabindex="0"]').count(), 0);
        }, options);
    }
    await withPage(async (page) => {
        await ask(page, 'prose');
        const display = page.locator('math[display=block]');
        assert.equal(await display.getAttribute('tabindex'), null);
        await page.setViewportSize({ width: 140, height: 700 });
        await until(async () => (await display.getAttribute('tabindex')) === '0', 'a stop once the window is narrow');
    });
});

test('lists have a full dot, then a ring, then a square', () => withPage(async (page) => {
    const answer = await ask(page, 'mathwide');
    const marks = await answer.locator('ul').evaluateAll((lists) => lists.slice(0, 3).map((list) => getComputedStyle(list).listStyleType));
    assert.deepEqual(marks, ['disc', 'circle', 'square']);
}));

test('headings are nearer to what follows than to what comes before', () => withPage(async (page) => {
    await ask(page, 'prose');
    const [above, below] = await page.locator('.answer h2').evaluate((heading) => {
        const block = heading.parentElement;
        const box = (element) => element.getBoundingClientRect();
        return [box(heading).top - box(block.previousElementSibling).bottom, box(block.nextElementSibling).top - box(heading).bottom];
    });
    assert.ok(above > 3 * below && below >= 4, `${above} above, ${below} below`);
}));

test('text fades at the edges of the thread', () => withPage(async (page) => {
    assert.match(await page.locator('.thread').evaluate((thread) => getComputedStyle(thread).maskImage), /gradient/);
}));

test('a long question is folded, its buttons are in sight, and it is sent, copied and edited whole', () => withPage(async (page) => {
    const text = 'A line of a long question.\n'.repeat(400);
    await ask(page, text);
    const question = page.locator('.question').last();
    assert.ok((await question.boundingBox()).height < 500);
    await question.scrollIntoViewIfNeeded();
    const button = await question.getByRole('button', { name: 'Edit message' }).boundingBox();
    assert.ok(button.y - (await question.boundingBox()).y < 60);
    assert.equal(server.requests.at(-1).body.messages[0].content, text);
    await question.getByRole('button', { name: /^Show all/ }).click();
    assert.ok((await question.boundingBox()).height > 5000);
    const opened = await question.getByRole('button', { name: 'Edit message' }).boundingBox();
    assert.ok(opened.y - (await question.boundingBox()).y < 60, 'at its beginning');
    await question.getByRole('button', { name: 'Show less' }).click();
    await question.hover();
    await question.getByRole('button', { name: 'Edit message' }).click();
    assert.equal(await page.locator('.edit textarea').inputValue(), text);
}));

test('paper gets the whole conversation and no buttons', () => withPage(async (page) => {
    await ask(page, 'long');
    await ask(page, 'A line of a long question.\n'.repeat(60) + 'its end');
    const pages = (await page.pdf({ format: 'A4' })).toString('latin1').match(/\/Type\s*\/Page\b/g).length;
    assert.ok(pages > 4, `${pages} pages`);
    await page.emulateMedia({ media: 'print' });
    for (const selector of ['.sidebar', '.composer', '.tools', '.code-copy', '.fold']) {
        assert.equal(await page.locator(selector).first().isVisible(), false, selector);
    }
    assert.match(await page.locator('.bubble').last().innerText(), /its end/);
    assert.ok(await page.locator('.thread').evaluate((thread) => thread.scrollHeight <= thread.clientHeight + 1));
}, { colorScheme: 'dark' }));

test('titles from right to left begin at the right', () => withPage(async (page) => {
    await ask(page, 'ما هو أفضل خبز للمبتدئين؟ من فضلك اشرح لي كل شيء عن الخبز');
    for (const selector of ['.entry-title', 'h1']) {
        assert.equal(await page.locator(selector).evaluate((element) => getComputedStyle(element).direction), 'rtl', selector);
    }
}));

test('a setting out of its range is told, and the former one stays', () => withPage(async (page) => {
    await page.getByRole('button', { name: 'Settings' }).click();
    const field = page.getByLabel('Temperature');
    await field.fill('0.7');
    await field.fill('5');
    await page.getByText('This must be a number from 0 to 2. 0.7 is still used.').waitFor();
    assert.equal(await field.getAttribute('aria-invalid'), 'true');
    await page.getByLabel('Longest answer').fill('1.5');
    await page.getByText('This must be a whole number from 1 to 1,000,000. The server’s own is still used.').waitFor();
    await page.keyboard.press('Escape');
    await ask(page, 'hello');
    assert.equal(server.requests.at(-1).body.temperature, 0.7);
    assert.equal('max_tokens' in server.requests.at(-1).body, false);
    await page.getByRole('button', { name: 'Settings' }).click();
    await field.fill('');
    await page.getByText('0 is always the likeliest word').waitFor();
}));

test('on touch every conversation can be renamed and deleted, with room for a finger', () => withPage(async (page) => {
    for (const text of ['one', 'two']) {
        await page.getByPlaceholder('Message').fill(text);
        await page.getByRole('button', { name: 'Send' }).tap();
        await ended(page);
        await page.getByRole('button', { name: 'New conversation' }).last().tap();
    }
    await page.getByRole('button', { name: 'Show conversations' }).tap();
    await page.locator('.sidebar').getByRole('button', { name: 'New conversation' }).waitFor();
    for (const name of ['Rename “one”', 'Delete “one”', 'Rename “two”', 'Delete “two”']) {
        const box = await page.getByRole('button', { name }).boundingBox();
        assert.ok(box.width >= 40 && box.height >= 40, name);
    }
    await page.getByRole('button', { name: 'Delete “one”' }).tap();
    await until(async () => (await page.locator('.entry').count()) === 1, 'one less');
    await page.getByRole('button', { name: 'Rename “two”' }).tap();
    await page.keyboard.type('zwei');
    await page.keyboard.press('Enter');
    await page.locator('.entry', { hasText: 'zwei' }).waitFor();
}, phone));

test('a problem is read out when it happens, not when its conversation is opened again', () => withPage(async (page) => {
    await ask(page, 'refused');
    await page.locator('.unseen[role=status]').getByText('The server refused this message.').waitFor();
    assert.equal(await page.locator('.answer').locator('[role=alert], [role=status], [aria-live]').count(), 0);
    await page.getByRole('button', { name: 'New conversation' }).click();
    await ask(page, 'fine');
    await page.locator('.entry', { hasText: 'refused' }).click();
    await page.locator('.notice').waitFor();
    assert.equal(await page.locator('.unseen[role=status]').innerText(), 'Answer finished.');
    assert.equal(await page.locator('[role=alert]').count(), 0);
}, { expected: /Failed to load resource/ }));
