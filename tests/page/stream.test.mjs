// The stream client against real sockets: whatever the pieces that arrive, the events are the same.
import test from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { startFakeServer } from './fake_server.mjs';
import { load } from './sources.mjs';

const { streamChat, requestBody } = await load('chat_stream.ts');
const { problemOf, secondsToWait } = await load('problem.ts');

const request = (content, more = {}) => ({ messages: [{ role: 'user', content }], temperature: null, maxTokens: null, ...more });

async function collect(url, content, { key = null, signal = new AbortController().signal, more = {} } = {}) {
    const events = [];
    try {
        for await (const event of streamChat(request(content, more), key, signal, url)) events.push(event);
    } catch (error) {
        return { events, problem: error.problem ?? error };
    }
    return { events, problem: null };
}

const textOf = (events, type = 'text') => events.filter((event) => event.type === type).map((event) => event.text).join('');

/** A server that answers with these bytes, in pieces of this size. */
async function withBytes(bytes, size, use, status = 200) {
    const server = createServer(async (_, response) => {
        response.writeHead(status, { 'Content-Type': 'text/event-stream' });
        for (let at = 0; at < bytes.length; at += size) {
            response.write(bytes.subarray(at, at + size));
            await new Promise((resolve) => setImmediate(resolve));
        }
        response.end();
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
        return await use(`http://127.0.0.1:${server.address().port}/`);
    } finally {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
    }
}

test('the same events whatever the pieces', async () => {
    const data = (object) => `data: ${JSON.stringify(object)}\r\n\r\n`;
    const stream = Buffer.from(
        ': keep-alive\n\n' + data({ choices: [{ delta: { role: 'assistant', content: '' } }] }) +
        data({ choices: [{ delta: { reasoning_content: 'hm' } }] }) + data({ choices: [{ delta: { content: 'naïve 🧀' } }] }) +
        data({ choices: [{ delta: {}, finish_reason: 'stop' }], timings: { prompt_n: 3, cache_n: 2, predicted_n: 4, predicted_per_second: 8 } }) +
        data({ choices: [], usage: { prompt_tokens: 5, completion_tokens: 4 } }) + 'data: [DONE]\n\n');
    for (const size of [1, 2, 3, 7, 1000]) {
        const { events, problem } = await withBytes(stream, size, (url) => collect(url, 'x'));
        assert.equal(problem, null);
        assert.equal(textOf(events), 'naïve 🧀');
        assert.equal(textOf(events, 'thinking'), 'hm');
        assert.deepEqual(events.at(-1), { type: 'statistics', statistics: { promptTokens: 5, cachedTokens: 2, answerTokens: 4, tokensPerSecond: 8 } });
    }
});

test('a stream that ends without [DONE] was lost, one that is not JSON is refused', async () => {
    const cut = await withBytes(Buffer.from('data: {"choices":[{"delta":{"content":"half"}}]}\n\n'), 100, (url) => collect(url, 'x'));
    assert.equal(textOf(cut.events), 'half');
    assert.deepEqual(cut.problem, { kind: 'lost' });
    const garbage = await withBytes(Buffer.from('data: {oops\n\n'), 100, (url) => collect(url, 'x'));
    assert.equal(garbage.problem.kind, 'refused');
});

test('each kind of failure has its own name', async () => {
    const server = await startFakeServer({ key: 'secret' });
    const as = (content) => collect(server.url, content, { key: 'secret' });
    assert.deepEqual((await collect(server.url, 'hello')).problem, { kind: 'key' });
    assert.deepEqual((await as('busy')).problem, { kind: 'busy', message: '8 requests are waiting.', retryAfter: 2 });
    assert.deepEqual((await as('gone')).problem, { kind: 'lost' });
    const context = (await as('context')).problem;
    assert.deepEqual([context.kind, context.used, context.limit], ['context', 5321, 4096]);
    assert.deepEqual((await as('refused')).problem, { kind: 'refused', status: 400, message: 'temperature is 9, must be 0 to 2' });
    assert.deepEqual((await as('midway')).problem, { kind: 'refused', status: 500, message: 'out of pages' });
    await server.close();
    assert.deepEqual((await as('hello')).problem, { kind: 'unreachable' });
});

test('tool calls arrive in pieces', async () => {
    const server = await startFakeServer();
    const { events } = await collect(server.url, 'tools');
    const calls = events.filter((event) => event.type === 'tool');
    assert.equal(calls.map((call) => call.name).join(''), 'get_weather');
    assert.equal(calls.map((call) => call.arguments).join(''), '{"city": "Oslo<b>"}');
    await server.close();
});

test('an abort reaches the server', async () => {
    const server = await startFakeServer();
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 150);
    const { events, problem } = await collect(server.url, 'slow', { signal: abort.signal });
    assert.equal(problem.name, 'AbortError');
    assert.ok(textOf(events).startsWith('word0 '));
    for (let tries = 0; tries < 100 && !server.requests[0].aborted; tries++) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.ok(server.requests[0].aborted);
    await server.close();
});

test('only what was chosen is sent', () => {
    assert.deepEqual(Object.keys(requestBody(request('x'))), ['messages', 'stream', 'stream_options', 'return_progress']);
    const body = requestBody(request('x', { temperature: 0, maxTokens: 7, thinking: false }));
    assert.deepEqual([body.temperature, body.max_tokens, body.chat_template_kwargs], [0, 7, { enable_thinking: false }]);
});

test('Retry-After as seconds, as a date, missing and absurd', () => {
    const now = Date.parse('2025-01-01T00:00:00Z');
    assert.equal(secondsToWait('7', now), 7);
    assert.equal(secondsToWait('Wed, 01 Jan 2025 00:00:09 GMT', now), 9);
    assert.equal(secondsToWait('0', now), 1);
    assert.equal(secondsToWait('999999', now), 600);
    for (const header of [null, 'soon', '']) assert.equal(secondsToWait(header, now), 5);
});

test('a context error in the words of either server', () => {
    const ours = problemOf(400, { error: { message: 'the prompt has 18,031 tokens, the context is 8192', code: 'context_length_exceeded' } }, null);
    const theirs = problemOf(400, { error: { message: 'too long', type: 'exceed_context_size_error', n_prompt_tokens: 18031, n_ctx: 8192 } }, null);
    for (const problem of [ours, theirs]) assert.deepEqual([problem.used, problem.limit], [18031, 8192]);
});
