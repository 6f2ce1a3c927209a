// What can go wrong between the page and the server, as data. components/notice.tsx has the words.

export type Problem =
    | { kind: 'busy'; message: string; retryAfter: number }
    | { kind: 'unreachable' }
    | { kind: 'lost' }
    | { kind: 'context'; used: number | null; limit: number | null; message: string }
    | { kind: 'key' }
    | { kind: 'refused'; status: number; message: string };

export class ProblemError extends Error {
    constructor(readonly problem: Problem) {
        super(problem.kind);
    }
}

/** What happened, in a few words. */
export function problemTitle(problem: Problem): string {
    switch (problem.kind) {
        case 'busy': return 'The server is still busy.';
        case 'unreachable': return 'The server cannot be reached.';
        case 'lost': return 'The connection was lost.';
        case 'context': return 'This conversation is too long for the model.';
        case 'key': return 'The server asks for a key.';
        case 'refused': return problem.status >= 500 ? 'The server failed.' : 'The server refused this message.';
    }
}

interface ErrorBody {
    message: string;
    code: string;
    type: string;
    used: number | null;
    limit: number | null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
    return typeof value === 'object' && value !== null;
}

function readErrorBody(body: unknown): ErrorBody {
    const error = isRecord(body) && isRecord(body.error) ? body.error : {};
    const word = (value: unknown) => (typeof value === 'string' ? value : '');
    const count = (value: unknown) => (typeof value === 'number' ? value : null);
    return {
        message: word(error.message), code: word(error.code), type: word(error.type),
        used: count(error.n_prompt_tokens), limit: count(error.n_ctx),
    };
}

/** The first two numbers of two digits or more, the larger first: a context error names both. */
function twoNumbers(message: string): [number, number] | null {
    const found = message.match(/\d[\d,]*\d/g)?.map((digits) => Number(digits.replaceAll(',', ''))) ?? [];
    const [one, two] = found;
    return one === undefined || two === undefined ? null : [Math.max(one, two), Math.min(one, two)];
}

/** Retry-After in seconds or as a date; 5 where it is missing or unreadable, never more than 10 minutes. */
export function secondsToWait(header: string | null, now: number): number {
    if (header === null) return 5;
    const seconds = /^\d+$/.test(header.trim()) ? Number(header) : (Date.parse(header) - now) / 1000;
    return Number.isFinite(seconds) ? Math.min(600, Math.max(1, Math.ceil(seconds))) : 5;
}

/** The problem that an error object in a response or a stream stands for. */
export function problemOf(status: number, body: unknown, retryAfter: string | null): Problem {
    const error = readErrorBody(body);
    if (status === 401) return { kind: 'key' };
    if (status === 429 || status === 503) {
        return { kind: 'busy', message: error.message, retryAfter: secondsToWait(retryAfter, Date.now()) };
    }
    if (error.code === 'context_length_exceeded' || error.type === 'exceed_context_size_error') {
        const numbers = twoNumbers(error.message);
        return {
            kind: 'context', message: error.message,
            used: error.used ?? numbers?.[0] ?? null, limit: error.limit ?? numbers?.[1] ?? null,
        };
    }
    return { kind: 'refused', status, message: error.message };
}
