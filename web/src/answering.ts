// Answers that arrive: from the request to the last word, with the waits before it.
import { turnsTo, withTurns } from './branches';
import { streamChat, type ChatRequest } from './chat_stream';
import type { ChatState, Phase } from './chat_state';
import { messagesOf, newAssistantTurn, withTurn, type AssistantTurn, type Conversation } from './conversation';
import type { Conversations } from './conversations';
import { placeText } from './place';
import { problemTitle, ProblemError, type Problem } from './problem';
import type { Store } from './store';

const MAX_WAITS = 20;
/** A disk that takes longer keeps nobody from the next message. */
const KEEP_MS = 5000;

/** What is to be answered: the conversation as it should be, and the question in it. */
export interface Question {
    conversation: Conversation;
    id: string;
}

interface Run {
    abort: AbortController;
    wake: (() => void) | null;
    turn: AssistantTurn;
    /** Calls off the frame that would show the turn. */
    frame: (() => void) | null;
    /** Lets other tabs answer in this conversation. */
    release: () => void;
}

interface Host {
    key: () => string | null;
    /** An answer has ended: what went wrong, if anything did. */
    ended: (problem: Problem | null) => void;
    /** The server is too busy, or not ready. */
    refused: () => void;
}

export class Answering {
    private readonly runs = new Map<string, Run>();
    private readonly starting = new Set<string>();
    /** Answers that have ended and are being kept; until then they hold their conversation. */
    private readonly ending = new Map<string, Promise<void>>();

    constructor(private readonly store: Store<ChatState>, private readonly conversations: Conversations, private readonly host: Host) {}

    /** The conversation with the newest text of its answer, or null if none arrives here. */
    running(conversation: Conversation): Conversation | null {
        const run = this.runs.get(conversation.id);
        return run ? withTurn(conversation, run.turn) : null;
    }

    isRunning(id: string): boolean {
        return this.runs.has(id) || this.starting.has(id);
    }

    /**
     * Answers what `ask` makes of the conversation as it is then, after what is kept of it has been read once more.
     * An answer that arrives in it is stopped. False where another tab answers in it, or there is nothing to ask.
     */
    async start(id: string, ask: (conversation: Conversation) => Question | null): Promise<boolean> {
        if (this.starting.has(id)) return false;
        this.starting.add(id);
        try {
            let release = this.interrupt(id);
            if (!release) {
                await this.ending.get(id);
                release = await this.conversations.locks.take(id);
                if (!release) {
                    void this.conversations.lookElsewhere();
                    return false;
                }
                await this.conversations.refresh(id);
            }
            const found = this.conversations.find(id);
            const question = found ? ask(found) : null;
            if (question) this.run(question, release);
            else release();
            return question !== null;
        } finally {
            this.starting.delete(id);
        }
    }

    stop(id: string): void {
        this.runs.get(id)?.abort.abort();
    }

    /** Ends the wait for a busy server early. */
    wake(id: string): void {
        this.runs.get(id)?.wake?.();
    }

    wakeAll(): void {
        for (const run of [...this.runs.values()]) run.wake?.();
    }

    announce(announcement: string): void {
        this.store.set({ announcement });
    }

    private get state(): ChatState {
        return this.store.get();
    }

    private run({ conversation, id: question }: Question, release: () => void): void {
        const { settings, server } = this.state;
        const { id, system, thinking } = conversation;
        const turn = newAssistantTurn(question);
        const request: ChatRequest = {
            messages: messagesOf(system, turnsTo(conversation, question)), temperature: settings.temperature, maxTokens: settings.maxTokens,
            ...(server.status === 'ready' && server.info.canThink ? { thinking } : {}),
        };
        const run: Run = { abort: new AbortController(), wake: null, turn, frame: null, release };
        this.runs.set(id, run);
        this.setPhase(id, { name: 'sending' });
        this.conversations.put(withTurns(conversation, [turn]), Date.now());
        this.conversations.keepDirty();
        void this.receive(id, request, run);
    }

    /** Ends a running answer here and now, and returns its hold on the conversation. */
    private interrupt(id: string): (() => void) | null {
        const run = this.runs.get(id);
        if (!run) return null;
        run.abort.abort();
        run.turn = { ...run.turn, ending: 'stopped' };
        this.close(id, run);
        return run.release;
    }

    private close(id: string, run: Run): void {
        run.frame?.();
        this.runs.delete(id);
        const conversation = this.conversations.find(id);
        if (conversation && this.conversations.has(id)) this.conversations.put(withTurn(conversation, run.turn));
        const { [id]: _, ...answers } = this.state.answers;
        this.store.set({ answers });
        this.setPhase(id, null);
    }

    private async receive(id: string, request: ChatRequest, run: Run): Promise<void> {
        const isOurs = () => this.runs.get(id) === run;
        const show = () => {
            run.frame?.();
            run.frame = null;
            if (!isOurs() || !this.conversations.has(id)) return;
            this.store.set({ answers: { ...this.state.answers, [id]: run.turn } });
            this.conversations.touch(id);
        };
        const change = (part: Partial<AssistantTurn>) => {
            if (!isOurs()) return;
            run.turn = { ...run.turn, ...part };
            run.frame ??= nextFrame(show);
        };
        try {
            await this.receiveEvents(id, request, run, change);
        } catch (error) {
            if (run.abort.signal.aborted) change({ ending: 'stopped' });
            else change({ ending: 'failed', problem: error instanceof ProblemError ? error.problem : { kind: 'lost' } });
        }
        if (!isOurs()) return;
        this.close(id, run);
        const kept = Promise.race([this.conversations.keep(id), later(KEEP_MS)]).then(() => {
            this.ending.delete(id);
            run.release();
        });
        this.ending.set(id, kept);
        const { ending, problem } = run.turn;
        this.announce(ending === 'stopped' ? 'Answer stopped.' : problem ? problemTitle(problem) : 'Answer finished.');
        this.host.ended(problem);
        await kept;
    }

    private async receiveEvents(id: string, request: ChatRequest, run: Run, change: (part: Partial<AssistantTurn>) => void): Promise<void> {
        let thoughtFrom = 0;
        let ending: AssistantTurn['ending'] = 'complete';
        for await (const event of this.streamWhenFree(id, request, run)) {
            const isBefore = event.type === 'queued' || event.type === 'reading';
            if (event.type !== 'thinking' && !isBefore && thoughtFrom && run.turn.thinkingSeconds === null) {
                change({ thinkingSeconds: (performance.now() - thoughtFrom) / 1000 });
            }
            switch (event.type) {
                case 'open':
                    this.announce('The model is answering.');
                    break;
                case 'queued':
                    this.setQueued(id, event.ahead, event.seconds);
                    break;
                case 'reading':
                    if (this.state.phases[id]?.name === 'queued') this.announce('The model is answering.');
                    this.setPhase(id, { name: 'reading', done: event.done, total: event.total });
                    break;
                case 'thinking':
                    thoughtFrom ||= performance.now();
                    this.setAnswering(id);
                    change({ thinking: run.turn.thinking + event.text });
                    break;
                case 'text':
                    this.setAnswering(id);
                    change({ text: run.turn.text + event.text });
                    break;
                case 'tool':
                    this.setAnswering(id);
                    change({ toolCalls: withToolDelta(run.turn.toolCalls, event.index, event.name, event.arguments) });
                    break;
                case 'statistics':
                    change({ statistics: event.statistics });
                    break;
                case 'finish':
                    if (event.reason === 'length') ending = 'length';
                    break;
            }
        }
        change({ ending });
    }

    private setPhase(id: string, phase: Phase | null): void {
        const { [id]: _, ...others } = this.state.phases;
        this.store.set({ phases: phase ? { ...others, [id]: phase } : others });
    }

    /** Said aloud only when the place changes: the seconds alone would interrupt too often. */
    private setQueued(id: string, ahead: number, seconds: number | null): void {
        const before = this.state.phases[id];
        if (before?.name !== 'queued' || before.ahead !== ahead) this.announce(placeText(ahead, seconds));
        this.setPhase(id, { name: 'queued', ahead, seconds });
    }

    private setAnswering(id: string): void {
        if (this.state.phases[id]?.name !== 'answering') this.setPhase(id, { name: 'answering' });
    }

    /** A busy server is asked again after the time that it names; a person sees the seconds and may give up. */
    private async *streamWhenFree(id: string, request: ChatRequest, run: Run) {
        for (let waits = 0; ; waits++) {
            try {
                yield* streamChat(request, this.host.key(), run.abort.signal);
                return;
            } catch (error) {
                const problem = error instanceof ProblemError ? error.problem : null;
                const begun = this.state.phases[id]?.name === 'answering';
                if (problem?.kind !== 'busy' || begun || waits === MAX_WAITS) throw error;
                this.host.refused();
                this.setPhase(id, { name: 'waiting', until: Date.now() + problem.retryAfter * 1000, message: problem.message });
                this.announce(`The server is busy. Trying again in ${problem.retryAfter} seconds.`);
                await waitFor(problem.retryAfter * 1000, run);
                if (this.state.server.status === 'loading') waits = -1; // However long that takes.
                this.setPhase(id, { name: 'sending' });
            }
        }
    }
}

function withToolDelta(calls: AssistantTurn['toolCalls'], index: number, name: string, text: string): AssistantTurn['toolCalls'] {
    const changed = [...calls];
    const call = changed[index] ?? { name: '', arguments: '' };
    changed[index] = { name: call.name + name, arguments: call.arguments + text };
    return changed;
}

function later(milliseconds: number): Promise<void> {
    return new Promise((resolve) => window.setTimeout(resolve, milliseconds));
}

function waitFor(milliseconds: number, run: Run): Promise<void> {
    return new Promise((resolve, reject) => {
        const { signal } = run.abort;
        const end = (finish: () => void) => () => {
            window.clearTimeout(timer);
            run.wake = null;
            finish();
        };
        const timer = window.setTimeout(end(resolve), milliseconds);
        run.wake = end(resolve);
        signal.addEventListener('abort', end(() => reject(signal.reason as Error)), { once: true });
    });
}

/** The next frame, or a tenth of a second where the tab is hidden and has no frames. Returns how to call it off. */
function nextFrame(callback: () => void): () => void {
    const frame = requestAnimationFrame(callback);
    const timer = window.setTimeout(callback, 100);
    return () => {
        cancelAnimationFrame(frame);
        window.clearTimeout(timer);
    };
}
