// The chat itself: the state that the components show, and everything a person can do to it.
import { streamChat, type ChatRequest } from './chat_stream';
import {
    messagesOf, newAssistantTurn, newConversation, newUserTurn, turnsBefore, withoutStreaming, withTurn,
    type AssistantTurn, type Conversation, type Turn,
} from './conversation';
import { placeText } from './place';
import { ProblemError, type Problem } from './problem';
import { askServer, type ServerState } from './server_info';
import { applyTheme, loadKey, loadSettings, saveKey, saveSettings, type Settings } from './settings';
import { ConversationStorage } from './storage';
import { Store } from './store';

/** What an answer that is being made is doing. */
export type Phase =
    | { name: 'sending' }
    | { name: 'queued'; ahead: number; seconds: number | null }
    | { name: 'reading'; done: number; total: number }
    | { name: 'answering' }
    | { name: 'waiting'; until: number; message: string };

export interface Offer {
    text: string;
    undo: (() => void) | null;
}

export interface ChatState {
    loaded: boolean;
    conversations: readonly Conversation[];
    /** An id that is in no conversation yet is not kept: a new one appears in the list with its first message. */
    current: Conversation;
    phases: Readonly<Record<string, Phase>>;
    server: ServerState;
    settings: Settings;
    asksKey: 'no' | 'first' | 'wrong';
    offer: Offer | null;
    announcement: string;
}

const KEEP_EVERY_MS = 300;
const OFFER_MS = 8000;
const MAX_WAITS = 20;

interface Run {
    abort: AbortController;
    wake: (() => void) | null;
}

export class Chat {
    readonly store: Store<ChatState>;
    private storage: ConversationStorage | null = null;
    private key = loadKey();
    private readonly runs = new Map<string, Run>();
    private readonly dirty = new Set<string>();
    private offerTimer = 0;

    constructor() {
        const settings = loadSettings();
        this.store = new Store<ChatState>({
            loaded: false, conversations: [], current: newConversation(settings.thinking), phases: {},
            server: { status: 'unknown' }, settings, asksKey: 'no', offer: null, announcement: '',
        });
        applyTheme(settings.theme);
    }

    async start(): Promise<void> {
        void this.refreshServer();
        this.storage = await ConversationStorage.open();
        const stored = (await this.storage.load().catch(() => [])).map(withoutStreaming);
        const conversations = stored.sort((a, b) => b.updated - a.updated);
        const id = location.hash.slice(1);
        this.store.set({ loaded: true, conversations, current: conversations.find((each) => each.id === id) ?? this.state.current });
        this.storage.onChange(({ id, conversation }) => this.changedElsewhere(id, conversation));
        if (!this.storage.isKept) this.offer('This browser keeps nothing: conversations end when the page is closed.');
        window.setInterval(() => this.keepDirty(), KEEP_EVERY_MS);
        window.addEventListener('pagehide', () => this.storage?.keepAtOnce(this.state.conversations.filter((each) => this.dirty.has(each.id))));
        window.addEventListener('pageshow', (event) => { if (event.persisted) this.storage?.keepAtOnce([]); });
        window.addEventListener('hashchange', () => this.open(location.hash.slice(1)));
    }

    // The server

    async refreshServer(): Promise<void> {
        const key = this.key;
        const server = await askServer(key);
        if (key !== this.key) return; // the answer to another key, asked for since
        this.store.set({ server });
        if (server.status === 'locked') this.askKey();
    }

    useKey(key: string, remember: boolean): void {
        this.key = key;
        saveKey(key, remember);
        this.store.set({ asksKey: 'no' });
        void this.refreshServer();
        const last = this.state.current.turns.at(-1);
        if (last?.role === 'assistant' && last.problem?.kind === 'key') this.regenerate(last.id);
    }

    dismissKey(): void {
        this.store.set({ asksKey: 'no' });
    }

    askKey(): void {
        this.store.set({ asksKey: this.key === null ? 'first' : 'wrong' });
    }

    // Conversations

    create(): void {
        this.show(newConversation(this.state.settings.thinking));
    }

    open(id: string): void {
        const found = this.state.conversations.find((each) => each.id === id);
        if (found && found.id !== this.state.current.id) this.show(found);
    }

    rename(id: string, title: string): void {
        const found = this.state.conversations.find((each) => each.id === id);
        if (found) this.put({ ...found, title: title.trim() });
    }

    remove(id: string): void {
        const found = this.state.conversations.find((each) => each.id === id);
        if (!found) return;
        this.stop(id);
        this.dirty.delete(id);
        this.store.set({ conversations: this.state.conversations.filter((each) => each.id !== id) });
        if (this.state.current.id === id) this.create();
        void this.storage?.remove(id).catch(() => this.storageFailed());
        this.offer('Conversation deleted.', () => {
            this.put(withoutStreaming(found), found.updated);
            this.open(id);
        });
    }

    setSystem(system: string): void {
        this.changeCurrent({ system });
    }

    setThinking(thinking: boolean): void {
        this.setSettings({ thinking });
        this.changeCurrent({ thinking });
    }

    setSettings(change: Partial<Settings>): void {
        const settings = { ...this.state.settings, ...change };
        saveSettings(settings);
        applyTheme(settings.theme);
        this.store.set({ settings });
    }

    // Turns

    send(text: string): void {
        const conversation = this.state.current;
        if (this.runs.has(conversation.id) || !text.trim()) return;
        this.answer({ ...conversation, turns: [...conversation.turns, newUserTurn(text)] });
    }

    /** Answers anew the question before this answer; what followed it goes, and can be had back. */
    regenerate(id: string): void {
        this.replaceFrom(id, []);
    }

    edit(id: string, text: string): void {
        if (text.trim()) this.replaceFrom(id, [newUserTurn(text)]);
    }

    stop(id = this.state.current.id): void {
        this.runs.get(id)?.abort.abort();
    }

    /** Ends the wait for a busy server early. */
    tryNow(id = this.state.current.id): void {
        this.runs.get(id)?.wake?.();
    }

    offer(text: string, undo: (() => void) | null = null): void {
        window.clearTimeout(this.offerTimer);
        this.store.set({ offer: { text, undo } });
        this.offerTimer = window.setTimeout(() => this.store.set({ offer: null }), OFFER_MS);
    }

    acceptOffer(): void {
        const undo = this.state.offer?.undo;
        this.store.set({ offer: null });
        undo?.();
    }

    private get state(): ChatState {
        return this.store.get();
    }

    private replaceFrom(id: string, turns: Turn[]): void {
        const before = this.state.current;
        this.stop(before.id);
        this.runs.delete(before.id);
        const kept = turnsBefore(before, id);
        const lost = before.turns.slice(kept.length).some((turn) => turn.role === 'user' || turn.text || turn.thinking);
        this.answer({ ...before, turns: [...kept, ...turns] });
        if (!lost) return;
        this.offer(turns.length ? 'Message changed; what followed it is gone.' : 'Answering again.', () => {
            this.stop(before.id);
            this.runs.delete(before.id);
            this.put(withoutStreaming(before));
        });
    }

    private show(conversation: Conversation): void {
        const kept = this.state.conversations.some((each) => each.id === conversation.id);
        this.store.set({ current: conversation });
        history.replaceState(null, '', kept ? `#${conversation.id}` : location.pathname + location.search);
    }

    private changeCurrent(change: Partial<Conversation>): void {
        const changed = { ...this.state.current, ...change };
        if (this.state.conversations.some((each) => each.id === changed.id)) this.put(changed, changed.updated);
        else this.store.set({ current: changed });
    }

    /** Shows and keeps a conversation, at its place in the list by time of change. */
    private put(conversation: Conversation, updated = Date.now()): void {
        const changed = { ...conversation, updated };
        const others = this.state.conversations.filter((each) => each.id !== changed.id);
        const isCurrent = this.state.current.id === changed.id;
        this.store.set({
            conversations: [...others, changed].sort((a, b) => b.updated - a.updated),
            ...(isCurrent ? { current: changed } : {}),
        });
        if (isCurrent && location.hash !== `#${changed.id}`) history.replaceState(null, '', `#${changed.id}`);
        this.dirty.add(changed.id);
        if (!this.runs.has(changed.id)) this.keepDirty();
    }

    private keepDirty(): void {
        for (const id of this.dirty) {
            const found = this.state.conversations.find((each) => each.id === id);
            if (found) void this.storage?.keep(found).catch(() => this.storageFailed());
        }
        this.dirty.clear();
    }

    private storageFailed(): void {
        this.offer('The browser could not keep this conversation: its storage may be full.');
    }

    private changedElsewhere(id: string, conversation: Conversation | null): void {
        if (this.runs.has(id)) return;
        const others = this.state.conversations.filter((each) => each.id !== id);
        const conversations = conversation ? [...others, conversation].sort((a, b) => b.updated - a.updated) : others;
        this.store.set({ conversations, ...(conversation && this.state.current.id === id ? { current: conversation } : {}) });
    }

    private setPhase(id: string, phase: Phase | null): void {
        const { [id]: _, ...others } = this.state.phases;
        this.store.set({ phases: phase ? { ...others, [id]: phase } : others });
    }

    private announce(announcement: string): void {
        this.store.set({ announcement });
    }

    // One answer

    private answer(conversation: Conversation): void {
        const { settings, server } = this.state;
        const turn = newAssistantTurn();
        const request: ChatRequest = {
            messages: messagesOf(conversation), temperature: settings.temperature, maxTokens: settings.maxTokens,
            ...(server.status === 'ready' && server.info.canThink ? { thinking: conversation.thinking } : {}),
        };
        const run: Run = { abort: new AbortController(), wake: null };
        this.runs.set(conversation.id, run);
        this.setPhase(conversation.id, { name: 'sending' });
        this.put({ ...conversation, turns: [...conversation.turns, turn] });
        this.keepDirty();
        void this.receive(conversation.id, turn, request, run);
    }

    private async receive(id: string, first: AssistantTurn, request: ChatRequest, run: Run): Promise<void> {
        let turn = first;
        let frame: (() => void) | null = null;
        const isOurs = () => this.runs.get(id) === run;
        const show = () => {
            frame?.();
            frame = null;
            const conversation = this.state.conversations.find((each) => each.id === id);
            if (conversation && isOurs()) this.put(withTurn(conversation, turn), conversation.updated);
        };
        const change = (part: Partial<AssistantTurn>) => {
            turn = { ...turn, ...part };
            frame ??= nextFrame(show);
        };
        try {
            await this.receiveEvents(id, request, run, () => turn, change);
        } catch (error) {
            if (run.abort.signal.aborted) change({ ending: 'stopped' });
            else change({ ending: 'failed', problem: error instanceof ProblemError ? error.problem : { kind: 'lost' } });
        }
        if (!isOurs()) return;
        show();
        this.runs.delete(id);
        this.setPhase(id, null);
        this.keepDirty();
        this.announce(turn.ending === 'stopped' ? 'Answer stopped.' : turn.problem ? 'No answer: there was a problem.' : 'Answer finished.');
        this.afterwards(turn.problem);
    }

    private afterwards(problem: Problem | null): void {
        if (problem?.kind === 'key') this.askKey();
        if (problem?.kind === 'unreachable' || problem?.kind === 'lost' || this.state.server.status !== 'ready') void this.refreshServer();
    }

    private async receiveEvents(
        id: string, request: ChatRequest, run: Run, turn: () => AssistantTurn, change: (part: Partial<AssistantTurn>) => void,
    ): Promise<void> {
        let thoughtFrom = 0;
        let ending: AssistantTurn['ending'] = 'complete';
        for await (const event of this.streamWhenFree(id, request, run)) {
            const isBefore = event.type === 'queued' || event.type === 'reading';
            if (event.type !== 'thinking' && !isBefore && thoughtFrom && turn().thinkingSeconds === null) {
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
                    change({ thinking: turn().thinking + event.text });
                    break;
                case 'text':
                    this.setAnswering(id);
                    change({ text: turn().text + event.text });
                    break;
                case 'tool':
                    this.setAnswering(id);
                    change({ toolCalls: withToolDelta(turn().toolCalls, event.index, event.name, event.arguments) });
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
                yield* streamChat(request, this.key, run.abort.signal);
                return;
            } catch (error) {
                const problem = error instanceof ProblemError ? error.problem : null;
                const begun = this.state.phases[id]?.name === 'answering';
                if (problem?.kind !== 'busy' || begun || waits === MAX_WAITS) throw error;
                this.setPhase(id, { name: 'waiting', until: Date.now() + problem.retryAfter * 1000, message: problem.message });
                this.announce(`The server is busy. Trying again in ${problem.retryAfter} seconds.`);
                await waitFor(problem.retryAfter * 1000, run);
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
