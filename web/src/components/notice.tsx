// What went wrong, in words for a person: what happened, and what to do.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Chat, Phase } from '../chat';
import type { AssistantTurn } from '../conversation';
import type { Problem } from '../problem';
import { useStore } from '../store';

function Notice({ kind, title, children, actions }: { kind: string; title: string; children?: ComponentChildren; actions?: ComponentChildren }) {
    return (
        <div class={`notice notice-${kind}`} role="alert">
            <div>
                <strong>{title}</strong>
                {children && <p>{children}</p>}
            </div>
            {actions && <div class="notice-actions">{actions}</div>}
        </div>
    );
}

export function WaitingNotice({ chat, phase }: { chat: Chat; phase: Extract<Phase, { name: 'waiting' }> }) {
    const left = () => Math.max(0, Math.ceil((phase.until - Date.now()) / 1000));
    const [seconds, setSeconds] = useState(left);
    useEffect(() => {
        setSeconds(left());
        const timer = window.setInterval(() => setSeconds(left()), 250);
        return () => window.clearInterval(timer);
    }, [phase.until]);
    return (
        <div class="notice notice-wait">
            <div>
                <strong>The server is busy.</strong>
                <p>{phase.message && `${phase.message} `}<span class="countdown">Trying again in {seconds} s.</span></p>
            </div>
            <div class="notice-actions">
                <button type="button" class="button" onClick={() => chat.tryNow()}>Try now</button>
                <button type="button" class="button" onClick={() => chat.stop()}>Cancel</button>
            </div>
        </div>
    );
}

function contextText(problem: Extract<Problem, { kind: 'context' }>): string {
    if (problem.used === null || problem.limit === null) return problem.message;
    const [used, limit] = [problem.used.toLocaleString('en'), problem.limit.toLocaleString('en')];
    return `It has ${used} tokens; the model reads at most ${limit}. Edit an earlier message to go on from there, shorten the ` +
        'system prompt, or begin a new conversation. Whoever runs the server can give it a larger context (--ctx-size).';
}

function ProblemNotice({ chat, turn, problem }: { chat: Chat; turn: AssistantTurn; problem: Problem }) {
    const retry = <button type="button" class="button" onClick={() => chat.regenerate(turn.id)}>Try again</button>;
    switch (problem.kind) {
        case 'busy':
            return <Notice kind="wait" title="The server is still busy." actions={retry}>{problem.message}</Notice>;
        case 'unreachable':
            return <Notice kind="error" title="The server cannot be reached." actions={retry}>Is smollm still running? Your message is kept.</Notice>;
        case 'lost':
            return (
                <Notice kind="error" title="The connection was lost." actions={retry}>
                    {turn.text || turn.thinking ? 'What had arrived is kept above.' : 'Nothing had arrived yet.'}
                </Notice>
            );
        case 'context':
            return (
                <Notice kind="error" title="This conversation is too long for the model."
                    actions={<button type="button" class="button" onClick={() => chat.create()}>New conversation</button>}>
                    {contextText(problem)}
                </Notice>
            );
        case 'key':
            return (
                <Notice kind="error" title="The server asks for a key."
                    actions={<button type="button" class="button" onClick={() => chat.askKey()}>Enter key</button>} />
            );
        case 'refused':
            return (
                <Notice kind="error" title={problem.status >= 500 ? 'The server failed.' : 'The server refused this message.'} actions={retry}>
                    {problem.message || `It answered with status ${problem.status}.`}
                </Notice>
            );
    }
}

function LengthNotice({ chat, turn }: { chat: Chat; turn: AssistantTurn }) {
    const context = useStore(chat.store, (state) => (state.server.status === 'ready' ? state.server.info.contextTokens : null));
    const used = (turn.statistics?.promptTokens ?? 0) + (turn.statistics?.answerTokens ?? 0);
    const isFull = context !== null && used >= context;
    return (
        <p class="aside">
            {isFull
                ? `Cut off: the context of ${context.toLocaleString('en')} tokens is full. Edit an earlier message or begin a new conversation.`
                : `Cut off at ${turn.statistics?.answerTokens.toLocaleString('en') ?? 'the most'} tokens, the most that an answer may have. Settings can raise it.`}
        </p>
    );
}

/** What is to be said below an answer about how it ended. */
export function EndingNotice({ chat, turn }: { chat: Chat; turn: AssistantTurn }) {
    if (turn.problem) return <ProblemNotice chat={chat} turn={turn} problem={turn.problem} />;
    switch (turn.ending) {
        case 'stopped': return <p class="aside">Stopped.</p>;
        case 'length': return <LengthNotice chat={chat} turn={turn} />;
        case 'reloaded':
            return (
                <Notice kind="wait" title="The page was closed while this answer was arriving."
                    actions={<button type="button" class="button" onClick={() => chat.regenerate(turn.id)}>Try again</button>} />
            );
        default: return null;
    }
}
