// One chat completion over HTTP, as a stream of events. Throws ProblemError for everything but an abort.
import { createParser } from 'eventsource-parser';
import type { Statistics, WireMessage } from './conversation';
import { ProblemError, problemOf } from './problem';

export interface ChatRequest {
    messages: WireMessage[];
    /** Left out where the model cannot think. */
    thinking?: boolean;
    temperature: number | null;
    maxTokens: number | null;
}

export type ChatEvent =
    | { type: 'open' }
    | { type: 'queued'; ahead: number; seconds: number | null }
    | { type: 'reading'; done: number; total: number }
    | { type: 'thinking'; text: string }
    | { type: 'text'; text: string }
    | { type: 'tool'; index: number; name: string; arguments: string }
    | { type: 'statistics'; statistics: Statistics }
    | { type: 'finish'; reason: string };

interface Chunk {
    error?: unknown;
    choices?: {
        delta?: {
            content?: string | null;
            reasoning_content?: string | null;
            tool_calls?: { index?: number; function?: { name?: string; arguments?: string } }[];
        };
        finish_reason?: string | null;
    }[];
    usage?: { prompt_tokens?: number; completion_tokens?: number; prompt_tokens_details?: { cached_tokens?: number } } | null;
    timings?: { prompt_n?: number; cache_n?: number; predicted_n?: number; predicted_per_second?: number };
    queue?: { ahead?: number; seconds?: number | null };
    prompt_progress?: { total?: number; cache?: number; processed?: number };
}

export function requestBody(request: ChatRequest): Record<string, unknown> {
    return {
        messages: request.messages,
        stream: true,
        stream_options: { include_usage: true },
        return_progress: true,
        ...(request.thinking === undefined ? {} : { chat_template_kwargs: { enable_thinking: request.thinking } }),
        ...(request.temperature === null ? {} : { temperature: request.temperature }),
        ...(request.maxTokens === null ? {} : { max_tokens: request.maxTokens }),
    };
}

/** Turns the chunks of one stream into events; keeps the figures that arrive in several of them. */
class ChunkReader {
    finished = false;
    private statistics: Statistics = { promptTokens: 0, cachedTokens: 0, answerTokens: 0, tokensPerSecond: null };

    *read(data: string): Generator<ChatEvent> {
        if (data === '[DONE]') {
            this.finished = true;
            return;
        }
        let chunk: Chunk;
        try {
            chunk = JSON.parse(data) as Chunk;
        } catch {
            throw new ProblemError({ kind: 'refused', status: 200, message: 'The server sent an event that is not JSON.' });
        }
        if (chunk.error) {
            const code = (chunk.error as { code?: unknown }).code;
            throw new ProblemError(problemOf(typeof code === 'number' ? code : 500, chunk, null));
        }
        if (chunk.queue) yield { type: 'queued', ahead: chunk.queue.ahead ?? 0, seconds: chunk.queue.seconds ?? null };
        const progress = chunk.prompt_progress;
        if (progress?.total) yield { type: 'reading', done: progress.processed ?? 0, total: progress.total };
        const choice = chunk.choices?.[0];
        if (choice?.delta?.reasoning_content) yield { type: 'thinking', text: choice.delta.reasoning_content };
        if (choice?.delta?.content) yield { type: 'text', text: choice.delta.content };
        for (const call of choice?.delta?.tool_calls ?? []) {
            yield {
                type: 'tool', index: call.index ?? 0, name: call.function?.name ?? '', arguments: call.function?.arguments ?? '',
            };
        }
        if (chunk.usage || chunk.timings) {
            this.count(chunk);
            yield { type: 'statistics', statistics: { ...this.statistics } };
        }
        if (choice?.finish_reason) yield { type: 'finish', reason: choice.finish_reason };
    }

    private count(chunk: Chunk): void {
        const figures = this.statistics;
        if (chunk.timings) {
            figures.answerTokens = chunk.timings.predicted_n ?? figures.answerTokens;
            figures.cachedTokens = chunk.timings.cache_n ?? figures.cachedTokens;
            figures.promptTokens = (chunk.timings.prompt_n ?? 0) + figures.cachedTokens;
            figures.tokensPerSecond = chunk.timings.predicted_per_second ?? figures.tokensPerSecond;
        }
        if (chunk.usage) {
            figures.answerTokens = chunk.usage.completion_tokens ?? figures.answerTokens;
            figures.promptTokens = chunk.usage.prompt_tokens ?? figures.promptTokens;
            figures.cachedTokens = chunk.usage.prompt_tokens_details?.cached_tokens ?? figures.cachedTokens;
        }
    }
}

async function open(base: string, request: ChatRequest, key: string | null, signal: AbortSignal): Promise<Response> {
    let response: Response;
    try {
        response = await fetch(`${base}v1/chat/completions`, {
            method: 'POST',
            headers: { 'Content-Type': 'application/json', ...(key ? { Authorization: `Bearer ${key}` } : {}) },
            body: JSON.stringify(requestBody(request)),
            signal,
            credentials: 'omit',
        });
    } catch (error) {
        if (signal.aborted) throw error;
        throw new ProblemError({ kind: 'unreachable' });
    }
    if (!response.ok) {
        const body: unknown = await response.json().catch(() => null);
        throw new ProblemError(problemOf(response.status, body, response.headers.get('Retry-After')));
    }
    return response;
}

/** `base` is '' in the page: addresses are relative, so that the page works below a path too. */
export async function* streamChat(
    request: ChatRequest, key: string | null, signal: AbortSignal, base = '',
): AsyncGenerator<ChatEvent> {
    const response = await open(base, request, key, signal);
    yield { type: 'open' };
    if (!response.body) throw new ProblemError({ kind: 'lost' });

    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    const chunks = new ChunkReader();
    const waiting: string[] = [];
    const parser = createParser({ onEvent: (event) => waiting.push(event.data) });
    try {
        while (!chunks.finished) {
            const { done, value } = await reader.read();
            if (done) throw new ProblemError({ kind: 'lost' });
            parser.feed(decoder.decode(value, { stream: true }));
            for (const data of waiting.splice(0)) yield* chunks.read(data);
        }
    } catch (error) {
        if (signal.aborted || error instanceof ProblemError) throw error;
        throw new ProblemError({ kind: 'lost' });
    } finally {
        reader.cancel().catch(() => undefined);
    }
}
