// What went wrong, in words for a person: what happened, and what to do.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Chat } from '../chat';
import type { Phase } from '../chat_state';
import type { AssistantTurn } from '../conversation';
import { focusComposer } from '../focus';
import { problemTitle, type Problem } from '../problem';
import { useStore } from '../store';

/** Not a live region: it would be read out again whenever its conversation is opened. What is new is announced by the chat. */
function Notice({ kind, title, children, actions }: { kind: string; title: string; children?: ComponentChildren; actions?: ComponentChildren }) {
    return (
        <div class={`notice notice-${kind}`}>
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
    const isLoading = useStore(chat.store, (state) => state.server.status === 'loading');
    const text = isLoading ? 'Your message is sent as soon as the model is ready.' : phase.message && `${phase.message} `;
    return (
        <div class="notice notice-wait">
            <div>
                <strong>{isLoading ? 'The model is still loading.' : 'The server is busy.'}</strong>
                <p>{text}{!isLoading && <span class="countdown">Trying again in {seconds} s.</span>}</p>
            </div>
            <div class="notice-actions">
                {!isLoading && <button type="button" class="button" onClick={() => { chat.tryNow(); focusComposer(); }}>Try now</button>}
                <button type="button" class="button" onClick={() => { chat.stop(); focusComposer(); }}>Cancel</button>
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

/** Whether the notice below this answer has a button that answers again. */
export function offersRetry(turn: AssistantTurn): boolean {
    if (turn.problem) return turn.problem.kind !== 'context' && turn.problem.kind !== 'key';
    return turn.ending === 'reloaded';
}

function problemText(turn: AssistantTurn, problem: Problem): string {
    switch (problem.kind) {
        case 'busy': return problem.message;
        case 'unreachable': return 'Is smollm still running? Your message is kept.';
        case 'lost': return turn.text || turn.thinking ? 'What had arrived is kept above.' : 'Nothing had arrived yet.';
        case 'context': return contextText(problem);
        case 'key': return '';
        case 'refused': return problem.message || `It answered with status ${problem.status}.`;
    }
}

interface EndingProps {
    chat: Chat;
    turn: AssistantTurn;
    again: () => void;
}

function ProblemNotice({ chat, turn, problem, again }: EndingProps & { problem: Problem }) {
    const [name, act] = problem.kind === 'context' ? ['New conversation', () => chat.create()] as const
        : problem.kind === 'key' ? ['Enter key', () => chat.askKey()] as const : ['Try again', again] as const;
    return (
        <Notice kind={problem.kind === 'busy' ? 'wait' : 'error'} title={problemTitle(problem)}
            actions={<button type="button" class="button" onClick={act}>{name}</button>}>
            {problemText(turn, problem)}
        </Notice>
    );
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
export function EndingNotice({ chat, turn, again }: EndingProps) {
    if (turn.problem) return <ProblemNotice chat={chat} turn={turn} problem={turn.problem} again={again} />;
    switch (turn.ending) {
        case 'stopped': return <p class="aside">Stopped.</p>;
        case 'length': return <LengthNotice chat={chat} turn={turn} />;
        case 'reloaded':
            return (
                <Notice kind="wait" title="The page was closed while this answer was arriving."
                    actions={<button type="button" class="button" onClick={again}>Try again</button>} />
            );
        default: return null;
    }
}
