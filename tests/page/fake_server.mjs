// A server that speaks smollm's HTTP for the page, and does on demand what a real model cannot be made to do.
// The first word of the last message chooses: see `answers`. Alone (`node fake_server.mjs`) it is for looking at the page.
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const dist = new URL('../../web/dist/', import.meta.url);

export const prose = `Bread rises because yeast turns sugar into **carbon dioxide**, and gluten holds the gas.

## What to watch

1. *Warmth*: 24 to 27 °C suits most doughs
2. Time: the dough should about double
   - in a warm kitchen, one hour
   - in the refrigerator, overnight
3. Salt: \`2 %\` of the flour

| Flour | Protein | Use |
|---|---:|---|
| Cake | 8 % | Sponges |
| Bread | 13 % | Loaves |

The volume of a round loaf of radius $r$ is about $V = \\tfrac{2}{3}\\pi r^3$, so that

$$\\int_0^{r} 2\\pi x \\sqrt{r^2 - x^2}\\,dx = \\frac{2\\pi r^3}{3}$$

\`\`\`python
def hydration(water: float, flour: float) -> float:
    """Share of water in the dough, by the weight of its flour."""
    return water / flour  # 0.65 is a good start
\`\`\`

> Patience is the one ingredient that cannot be weighed.

More at [the wheat page](https://example.org/wheat).
`;

export const hostile = `<script>window.hacked = 1</script>
<img src=x onerror="window.hacked = 2"><svg onload="window.hacked=3"></svg>
<iframe src="https://evil.example/frame"></iframe><style>body { display: none }</style>

[click](javascript:window.hacked=4) [data](data:text/html,<script>window.hacked=5</script>) [vb](vbscript:x) [file](file:///etc/passwd)
[mixed](JaVaScRiPt:window.hacked=6) [entity](java&#115;cript:window.hacked=7) <javascript:window.hacked=8>
![tracker](https://evil.example/pixel.png) ![data](data:image/svg+xml,<svg/onload=window.hacked=9>)
[good](https://example.org/ok "a title\\" onmouseover=\\"window.hacked=10")
\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x07link\x07 \u202Eesrever \u0000null

$\\href{javascript:window.hacked=11}{x}$ $\\htmlData{onclick=1}{y}$ $\\text{<img src=x onerror=window.hacked=12>}$ $\\includegraphics{https://evil.example/a.png}$
$\\def\\a{\\a\\a}\\a$ $\\color{red}{z}$ $\\style{background:url(https://evil.example/s)}{w}$

\`\`\`html"onclick="window.hacked=13
</code></pre><script>window.hacked = 14</script>
\`\`\`

${Array.from({ length: 200 }, (_, depth) => `${'  '.repeat(depth)}- level ${depth}`).join('\n')}

${'>'.repeat(300)} deep

${'*'.repeat(2000)}${'['.repeat(2000)}

| a | b |
|---|---|
| <b onclick=alert(1)>x</b> | ${'y'.repeat(3000)} |

\`\`\`js
unclosed <script>window.hacked = 15</script>
`;

/** More code than is coloured while it grows. */
export const code = Array.from({ length: 180 }, (_, index) => `def total_${index}(values: list[int]) -> int:  # adds them all up\n    return sum(value for value in values if value > ${index})\n`).join('');

function chunk(delta, finish_reason = null, more = {}) {
    const choices = delta ? [{ index: 0, delta, finish_reason }] : [];
    return { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'fake', system_fingerprint: 'f', choices, ...more };
}

function pieces(text, size) {
    return Array.from({ length: Math.ceil(text.length / size) }, (_, index) => text.slice(index * size, (index + 1) * size));
}

class Stream {
    constructor(response) {
        this.response = response;
        this.closed = false;
        this.tokens = 0;
        response.on('close', () => (this.closed = true));
        response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
        this.send(chunk({ role: 'assistant', content: '' }));
    }

    send(object) {
        this.response.write(`data: ${JSON.stringify(object)}\n\n`);
    }

    async say(text, { field = 'content', size = 6, delay = 2 } = {}) {
        for (const piece of pieces(text, size)) {
            if (this.closed) return;
            this.tokens++;
            this.send(chunk({ [field]: piece }));
            if (delay) await sleep(delay);
        }
    }

    end(reason = 'stop') {
        const timings = { prompt_n: 21, cache_n: 5, predicted_n: this.tokens, predicted_per_second: 31.25 };
        this.send(chunk({}, reason, { timings }));
        const usage = { prompt_tokens: 26, completion_tokens: this.tokens, total_tokens: 26 + this.tokens, prompt_tokens_details: { cached_tokens: 5 } };
        this.send(chunk(null, null, { usage }));
        this.response.end('data: [DONE]\n\n');
    }
}

function refuse(response, status, error, headers = {}) {
    response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
    response.end(JSON.stringify({ error: { message: '', type: 'invalid_request_error', param: null, code: null, ...error } }));
}

/** What each first word of a message brings about; `busy` and `gone` relent when asked again. */
const answers = {
    busy(response, { times }) {
        if (times <= 2) return refuse(response, times === 1 ? 429 : 503, { message: '8 requests are waiting.', type: 'rate_limit_error' }, { 'Retry-After': '2' });
        return answers.default(response, { text: 'Now there was room.' });
    },
    async gone(response, { times }) {
        const stream = new Stream(response);
        await stream.say('The first half had arrived');
        if (times === 1) {
            /* A reset drops what the browser has not read yet. */
            await new Promise((resolve) => setTimeout(resolve, 500));
            return response.destroy();
        }
        await stream.say(' and so did the second.');
        stream.end();
    },
    context: (response) => refuse(response, 400, { message: 'the request has 5321 tokens, the context holds 4096', code: 'context_length_exceeded' }),
    refused: (response) => refuse(response, 400, { message: 'temperature is 9, must be 0 to 2', param: 'temperature' }),
    async midway(response) {
        const stream = new Stream(response);
        await stream.say('Something, then ');
        stream.send({ error: { message: 'out of pages', type: 'server_error', code: 500 } });
        response.end();
    },
    async slow(response) {
        const stream = new Stream(response);
        await stream.say(Array.from({ length: 400 }, (_, index) => `word${index} `).join(''), { delay: 20, size: 8 });
        if (!stream.closed) stream.end();
    },
    /* Each place stays until the test says `proceed`. */
    async queued(response, { proceed }) {
        const stream = new Stream(response);
        for (const queue of [{ ahead: 3, seconds: 11.2 }, { ahead: 3, seconds: 240 }, { ahead: 1, seconds: 0.2 }, { ahead: 0, seconds: null }]) {
            stream.send(chunk({}, null, { queue }));
            await proceed();
        }
        stream.send(chunk({}, null, { prompt_progress: { total: 1000, cache: 0, processed: 500, time_ms: 10 } }));
        await proceed();
        await stream.say('It was your turn.');
        stream.end();
    },
    async reading(response) {
        const stream = new Stream(response);
        for (let processed = 100; processed <= 1000; processed += 100) {
            stream.send(chunk({}, null, { prompt_progress: { total: 1000, cache: 0, processed, time_ms: processed } }));
            response.write(': keep-alive\n\n');
            await sleep(60);
        }
        await stream.say('Read.');
        stream.end();
    },
    async think(response, { body }) {
        const stream = new Stream(response);
        if (body.chat_template_kwargs?.enable_thinking) {
            await stream.say('The user asks for a sum. <b>Two</b> and two are four; let me say it shortly.', { field: 'reasoning_content', delay: 30 });
        }
        await stream.say('It is **four**.');
        stream.end();
    },
    /* Thinks until the test says `proceed`. */
    async ponder(response, { proceed }) {
        const stream = new Stream(response);
        await stream.say('Two and two.', { field: 'reasoning_content' });
        await proceed();
        await stream.say('Four.');
        stream.end();
    },
    async tools(response) {
        const stream = new Stream(response);
        const call = (part) => stream.send(chunk({ tool_calls: [{ index: 0, ...part }] }));
        call({ id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '' } });
        for (const piece of ['{"city": "', 'Oslo<b>', '"}']) call({ function: { arguments: piece } });
        stream.end('tool_calls');
    },
    async cut(response) {
        const stream = new Stream(response);
        await stream.say('This goes on and');
        stream.end('length');
    },
    async hostile(response) {
        const stream = new Stream(response);
        await stream.say(hostile, { size: 40, delay: 0 });
        stream.end();
    },
    async prose(response) {
        const stream = new Stream(response);
        await stream.say(prose);
        stream.end();
    },
    async code(response) {
        const stream = new Stream(response);
        await stream.say(`Here it is:\n\n\`\`\`python\n${code}\`\`\`\n`, { size: 20, delay: 1 });
        stream.end();
    },
    async mathwide(response) {
        const stream = new Stream(response);
        const sum = Array.from({ length: 40 }, (_, index) => `x_{${index}}`).join(' + ');
        await stream.say(`Inline $${sum}$ in a line.\n\n$$${sum}$$\n\n## Lists\n\n- one\n  - two\n    - three\n\n重点：**重要。**要\n\n- with $${sum}$ inside\n`);
        stream.end();
    },
    async long(response) {
        const stream = new Stream(response);
        await stream.say(`${prose}\n\n`.repeat(20), { size: 24, delay: 1 });
        stream.end();
    },
    async default(response, { text }) {
        const stream = new Stream(response);
        await stream.say(text);
        stream.end();
    },
};

async function readBody(request) {
    let text = '';
    for await (const part of request) text += part;
    return JSON.parse(text);
}

function servePage(response) {
    response.writeHead(200, {
        'Content-Type': 'text/html; charset=utf-8',
        'Content-Security-Policy': readFileSync(new URL('csp.txt', dist), 'utf8').trim(),
        'X-Content-Type-Options': 'nosniff',
    });
    response.end(readFileSync(new URL('index.html', dist)));
}

/**
 * `key`: asked for with 401. `alone`: the process lives as long as the server.
 * `requests`: every chat request's body, with `aborted` once its client has left.
 * `proceed`: lets an answer that waits for it go on.
 * `state`: `loading` (null, or how far the model is loaded) and `model` may be changed; `paths` is what was asked for.
 */
export async function startFakeServer({ port = 0, key = null, thinks = true, alone = false, loading = null, model = 'SmolLM3-3B-Q4_K_M' } = {}) {
    const requests = [];
    const state = { loading, model, paths: [] };
    const times = new Map();
    const held = [];
    const proceed = () => new Promise((resolve) => held.push(resolve));

    async function chat(request, response) {
        const body = await readBody(request);
        const last = body.messages.at(-1).content;
        const word = last.split(/\s/)[0];
        const entry = { body, aborted: false };
        requests.push(entry);
        response.on('close', () => (entry.aborted = !response.writableFinished));
        times.set(last, (times.get(last) ?? 0) + 1);
        const answer = Object.hasOwn(answers, word) ? answers[word] : answers.default;
        await answer(response, { body, times: times.get(last), proceed, text: `You said: ${last}` });
    }

    function answerHealth(response) {
        const isReady = state.loading === null;
        response.writeHead(isReady ? 200 : 503, { 'Content-Type': 'application/json' });
        response.end(JSON.stringify(isReady ? { status: 'ok' } : { status: 'loading', progress: state.loading }));
    }

    const server = createServer((request, response) => {
        const json = (object) => response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(object));
        const path = request.url.split('?')[0];
        state.paths.push(path);
        if (path === '/') return servePage(response);
        if (path === '/health') return answerHealth(response);
        if (state.loading !== null) return refuse(response, 503, { message: 'the model is loading', type: 'unavailable_error' }, { 'Retry-After': '5' });
        if (key && request.headers.authorization !== `Bearer ${key}`) return refuse(response, 401, { message: 'wrong key' });
        if (path === '/v1/models') return json({ object: 'list', data: [{ id: state.model, object: 'model' }] });
        if (path === '/props') {
            return json({ chat_format_has_thinking: thinks, model_alias: state.model, default_generation_settings: { n_ctx: 4096 } });
        }
        if (path === '/v1/chat/completions') return void chat(request, response).catch(() => response.destroy());
        return refuse(response, 404, { message: 'not found' });
    });
    await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
    /* A test that fails leaves its servers behind: they must not keep the test program from ending. */
    if (!alone) server.unref();
    return {
        url: `http://127.0.0.1:${server.address().port}/`,
        code,
        requests,
        state,
        proceed: () => held.shift()(),
        close: () => new Promise((resolve) => {
            server.close(resolve);
            server.closeAllConnections();
        }),
    };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const { url } = await startFakeServer({ port: Number(process.argv[2] ?? 8090), alone: true });
    console.log(url);
}
