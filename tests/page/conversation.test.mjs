// What a person does all day: send, stop, regenerate, edit, keep, find again.
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

const lastRequest = () => server.requests.at(-1);

test('send and stream Markdown, with figures', () => withPage(async (page) => {
    await send(page, 'prose please');
    await page.locator('.answer .block').nth(1).waitFor();
    assert.equal(await page.locator('.answer').getAttribute('aria-busy'), 'true', 'Markdown shows before the end');
    const answer = await ended(page);
    assert.equal(await answer.locator('h2').innerText(), 'What to watch');
    assert.equal(await answer.locator('strong').first().innerText(), 'carbon dioxide');
    assert.equal(await answer.locator('td[align=right]').count(), 2);
    assert.equal(await answer.locator('math[display=block] mfrac').count(), 1);
    assert.ok(await answer.locator('.hljs-keyword').count());
    assert.deepEqual(
        await answer.locator('a').evaluate((link) => [link.href, link.rel, link.target]),
        ['https://example.org/wheat', 'noopener noreferrer nofollow', '_blank'],
    );
    assert.match(await answer.locator('.figures').innerText(), /^\d+ tokens · 31\.\d\/s$/);
    await page.getByRole('status').getByText('Answer finished.').waitFor();
}));

test('Shift+Enter is a new line, Enter sends, and an empty message does not', () => withPage(async (page) => {
    const count = server.requests.length;
    await page.getByPlaceholder('Message').fill('   ');
    await page.keyboard.press('Enter');
    await page.getByPlaceholder('Message').fill('one');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('two');
    await page.keyboard.press('Enter');
    await ended(page);
    assert.equal(server.requests.length, count + 1);
    assert.equal(lastRequest().body.messages.at(-1).content, 'one\ntwo');
}));

test('stop by button and by Esc: the server hears of it, what had arrived stays', () => withPage(async (page) => {
    for (const [turn, stop] of [() => page.getByRole('button', { name: 'Stop' }).click(), () => page.keyboard.press('Escape')].entries()) {
        await send(page, 'slow story');
        const answer = page.locator('.answer').nth(turn);
        await answer.getByText('word2').waitFor();
        await stop();
        await ended(page);
        assert.match(await answer.innerText(), /^word0 word1 [^]*Stopped\./);
        await until(() => lastRequest().aborted, 'abort at the server');
    }
    await ask(page, 'and now?');
    const { messages } = lastRequest().body;
    assert.deepEqual(messages.map((message) => message.role), ['user', 'assistant', 'user', 'assistant', 'user']);
    assert.match(messages[1].content, /^word0 /);
}));

test('a reload in mid-stream keeps what had arrived and offers to try again', () => withPage(async (page) => {
    await send(page, 'slow one');
    const answer = page.locator('.answer').last();
    await answer.getByText('word20').waitFor();
    await page.reload();
    await answer.getByText('word15').waitFor();
    await page.getByText('closed while this answer was arriving').waitFor();
    await until(() => lastRequest().aborted, 'abort at the server');
    const first = lastRequest();
    await page.getByRole('button', { name: 'Try again' }).click();
    await until(() => lastRequest() !== first, 'the second request');
    await answer.getByText('word2').waitFor();
    await page.keyboard.press('Escape');
    await ended(page);
    await page.reload();
    await page.getByText('Stopped.', { exact: true }).waitFor();
}));

test('answer again: the question is asked anew, without what followed it', () => withPage(async (page) => {
    await ask(page, 'first');
    await ask(page, 'second');
    await page.locator('.answer').first().hover();
    await page.getByRole('button', { name: 'Answer again' }).first().click();
    await until(async () => (await page.locator('.question').count()) === 1, 'the later turn to go');
    await ended(page);
    assert.deepEqual(lastRequest().body.messages, [{ role: 'user', content: 'first' }]);
}));

test('edit a message and send it again', () => withPage(async (page) => {
    await ask(page, 'frist');
    await ask(page, 'second');
    await page.locator('.question').first().hover();
    await page.getByRole('button', { name: 'Edit message' }).first().click();
    const field = page.locator('.edit textarea');
    assert.equal(await field.inputValue(), 'frist');
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('.question').count(), 2, 'Esc leaves all as it was');
    await page.getByRole('button', { name: 'Edit message' }).first().click();
    await field.fill('first');
    await page.keyboard.press('Enter');
    await page.getByText('You said: first').waitFor();
    await ended(page);
    assert.equal(await page.locator('.question').count(), 1);
    assert.deepEqual(lastRequest().body.messages, [{ role: 'user', content: 'first' }]);
}));

test('copy an answer as Markdown, and a code block as code', async () => {
    const opened = await openPage(browser, server.url, { permissions: ['clipboard-read', 'clipboard-write'] });
    const { page } = opened;
    await ask(page, 'prose');
    const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
    await page.getByRole('button', { name: 'Copy answer' }).click();
    await page.getByRole('button', { name: 'Copied' }).waitFor();
    assert.match(await clipboard(), /^Bread rises because yeast turns sugar into \*\*carbon/);
    await page.locator('.code-copy').click();
    await page.locator('.code-copy', { hasText: 'Copied' }).waitFor();
    assert.match(await clipboard(), /^def hydration/);
    await opened.close();
});

test('conversations: new, switch, rename, delete, undo, and all of it after a reload', () => withPage(async (page) => {
    const list = page.getByRole('navigation', { name: 'Conversations' });
    await ask(page, 'about bread');
    await page.getByRole('button', { name: 'New conversation' }).click();
    await ask(page, 'about cheese');
    await page.getByRole('button', { name: 'New conversation' }).click();
    assert.equal(await list.locator('.entry').count(), 2);
    await list.getByText('about bread').click();
    await page.getByText('You said: about bread').waitFor();

    await list.locator('.entry', { hasText: 'about cheese' }).hover();
    await page.getByRole('button', { name: 'Rename “about cheese”' }).click();
    await page.keyboard.type('Brie');
    await page.keyboard.press('Enter');
    await list.getByText('Brie').waitFor();

    await list.locator('.entry', { hasText: 'about bread' }).hover();
    await page.getByRole('button', { name: 'Delete “about bread”' }).click();
    await until(async () => (await list.locator('.entry').count()) === 1, 'the entry to go');
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByText('You said: about bread').waitFor();

    await list.locator('.entry', { hasText: 'Brie' }).hover();
    await page.getByRole('button', { name: 'Delete “Brie”' }).click();
    await page.waitForTimeout(100);
    await page.reload();
    await page.getByText('You said: about bread').waitFor();
    assert.deepEqual(await list.locator('.entry-title').allInnerTexts(), ['about bread']);
}));

test('an answer goes on while another conversation is open', () => withPage(async (page) => {
    await send(page, 'slow in the back');
    await page.locator('.answer').getByText('word2').waitFor();
    await page.getByRole('button', { name: 'New conversation' }).click();
    await ask(page, 'in front');
    await page.getByText('slow in the back').click();
    await page.locator('.answer').getByText('word40').waitFor();
    await page.keyboard.press('Escape');
    await ended(page);
}));

test('two tabs show the same conversations', () => withPage(async (page) => {
    const other = await page.context().newPage();
    await other.goto(server.url);
    await ask(page, 'from the first tab');
    await other.getByText('from the first tab').first().click();
    await other.getByText('You said: from the first tab').waitFor();
}));

test('thinking is folded, told apart, timed, and on or off', () => withPage(async (page) => {
    await send(page, 'think of a sum');
    const answer = await ended(page);
    assert.match(await answer.locator('summary').innerText(), /^Thought for /);
    assert.equal(await answer.locator('.thinking-text').isVisible(), false);
    await answer.locator('summary').click();
    assert.match(await answer.locator('.thinking-text').innerText(), /<b>Two<\/b>/);
    assert.equal(await answer.locator('.markdown').innerText(), 'It is four.');

    await page.getByRole('button', { name: 'Think', exact: true }).click();
    await ask(page, 'think again');
    assert.deepEqual(lastRequest().body.chat_template_kwargs, { enable_thinking: false });
    assert.equal(await page.locator('.thinking').count(), 1);
    assert.equal(JSON.stringify(lastRequest().body.messages).includes('Two'), false, 'thinking is not sent back');
}));

test('a model that cannot think has no such button', async () => {
    const plain = await startFakeServer({ thinks: false });
    const opened = await openPage(browser, plain.url);
    await ask(opened.page, 'hello');
    assert.equal(await opened.page.getByRole('button', { name: 'Think', exact: true }).count(), 0);
    assert.equal('chat_template_kwargs' in plain.requests[0].body, false);
    await opened.close();
    await plain.close();
});

test('settings are sent, and the system prompt is the conversation’s own', () => withPage(async (page) => {
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByLabel('System prompt').fill('Answer in Latin.');
    await page.getByLabel('Temperature').fill('0.2');
    await page.getByLabel('Longest answer').fill('64');
    await page.keyboard.press('Escape');
    await ask(page, 'salve');
    const { body } = lastRequest();
    assert.deepEqual([body.temperature, body.max_tokens], [0.2, 64]);
    assert.deepEqual(body.messages[0], { role: 'system', content: 'Answer in Latin.' });
    await page.getByRole('button', { name: 'New conversation' }).click();
    await ask(page, 'hello');
    assert.deepEqual(lastRequest().body.messages, [{ role: 'user', content: 'hello' }]);
    assert.equal(lastRequest().body.temperature, 0.2);
    await page.reload();
    await page.getByText('salve').first().click();
    await page.getByRole('button', { name: 'Settings' }).click();
    assert.equal(await page.getByLabel('System prompt').inputValue(), 'Answer in Latin.');
}));

test('a half-written message survives a reload', () => withPage(async (page) => {
    await page.getByPlaceholder('Message').fill('not yet');
    await page.reload();
    await page.locator('.greeting').waitFor();
    assert.equal(await page.getByPlaceholder('Message').inputValue(), 'not yet');
}));

test('a tool call is shown for what it is', () => withPage(async (page) => {
    const answer = await ask(page, 'tools');
    assert.match(await answer.innerText(), /get_weather[^]*\{"city": "Oslo<b>"\}/);
}));

test('waiting in the queue shows and tells the place, then the reading takes over', () => withPage(async (page) => {
    await send(page, 'queued');
    const line = page.locator('.answer .aside');
    const told = page.locator('.unseen[role=status]'); // polite, and outside what is busy
    await line.getByText('Waiting: 3 requests before yours, about 12 s').waitFor();
    assert.equal(await told.innerText(), 'Waiting: 3 requests before yours, about 12 s');
    assert.equal(await told.evaluate((element) => element.closest('[aria-busy]')), null);
    server.proceed();
    await line.getByText('Waiting: 3 requests before yours, about 4 min').waitFor();
    assert.equal(await told.innerText(), 'Waiting: 3 requests before yours, about 12 s', 'said once for each place');
    server.proceed();
    await line.getByText('Waiting: 1 request before yours, about 1 s').waitFor();
    await told.getByText('Waiting: 1 request before yours, about 1 s').waitFor();
    server.proceed();
    await line.getByText('Waiting: your request is next', { exact: true }).waitFor();
    server.proceed();
    await line.getByText('Reading the conversation, 50 %').waitFor();
    await told.getByText('The model is answering.').waitFor();
    assert.equal(await page.getByText('Waiting:').count(), 0);
    server.proceed();
    assert.match(await (await ended(page)).innerText(), /^It was your turn\./);
}));

test('a person may leave the queue', () => withPage(async (page) => {
    await send(page, 'queued');
    await page.locator('.answer').getByText('Waiting: 3 requests').waitFor();
    await page.keyboard.press('Escape');
    await page.getByText('Stopped.', { exact: true }).waitFor();
    assert.equal(await page.getByText('Waiting:').count(), 0);
    await until(() => lastRequest().aborted, 'abort at the server');
    server.proceed();
}));

test('reading a long prompt shows how far it is', () => withPage(async (page) => {
    await send(page, 'reading');
    await page.getByText(/Reading the conversation, \d0 %/).waitFor();
    assert.match(await (await ended(page)).innerText(), /^Read\./);
}));
