// Everything a person can do to the chat. What the components show is in `store`.
import { Answering } from './answering';
import { chooseVersion, turnOf, withTurns } from './branches';
import type { ChatState } from './chat_state';
import { Conversations } from './conversations';
import { endOf, newConversation, newUserTurn, withoutStreaming, type Conversation } from './conversation';
import { downloadConversations } from './export_file';
import type { Problem } from './problem';
import { askServer, type ServerState } from './server_info';
import { ServerWatch } from './server_watch';
import { applyTheme, loadKey, loadSettings, onSettingsElsewhere, saveKey, saveSettings, type Settings } from './settings';
import { Store } from './store';

export class Chat {
    readonly store: Store<ChatState>;
    private key = loadKey();
    private readonly conversations: Conversations;
    private readonly answering: Answering;
    private readonly watch: ServerWatch;

    constructor() {
        const settings = loadSettings();
        this.store = new Store<ChatState>({
            loaded: false, entries: [], current: newConversation(settings.thinking), answers: {}, phases: {}, elsewhere: [],
            server: { status: 'unknown' }, settings, keeping: { conversations: 'kept', settings: true },
            asksKey: 'no', offer: null, announcement: '',
        });
        this.conversations = new Conversations(this.store, (conversation) => this.answering.running(conversation));
        this.answering = new Answering(this.store, this.conversations, {
            key: () => this.key,
            ended: (problem) => this.answerEnded(problem),
            refused: () => this.refreshServer(),
        });
        this.watch = new ServerWatch(() => askServer(this.key, this.state.server), (server) => this.serverIs(server));
        applyTheme(settings.theme);
    }

    async start(): Promise<void> {
        this.watch.start();
        await this.conversations.start();
        const id = location.hash.slice(1);
        this.store.set({ loaded: true, current: this.conversations.find(id) ?? this.state.current });
        onSettingsElsewhere((settings) => {
            applyTheme(settings.theme);
            this.store.set({ settings });
        });
        window.addEventListener('hashchange', () => this.open(location.hash.slice(1)));
    }

    // The server

    refreshServer(): void {
        void this.watch.look();
    }

    useKey(key: string, remember: boolean): void {
        this.key = key;
        this.settingsKept(saveKey(key, remember));
        this.store.set({ asksKey: 'no', server: { status: 'unknown' } });
        this.refreshServer();
        const last = this.state.current.turns.at(-1);
        if (last?.role === 'assistant' && last.problem?.kind === 'key') void this.regenerate(last.id);
    }

    dismissKey(): void {
        this.store.set({ asksKey: 'no' });
    }

    askKey(): void {
        this.store.set({ asksKey: this.key === null ? 'first' : 'wrong' });
    }

    private serverIs(server: ServerState): void {
        const before = this.state.server;
        if (before === server) return;
        this.store.set({ server });
        if (server.status === before.status) return;
        if (server.status === 'locked') this.askKey();
        if (server.status === 'loading') this.answering.announce('The server is loading the model.');
        if (server.status === 'ready') {
            if (before.status === 'loading') this.answering.announce('The model is ready.');
            if (before.status !== 'unknown') this.answering.wakeAll();
        }
    }

    private answerEnded(problem: Problem | null): void {
        if (problem?.kind === 'key') this.askKey();
        if (problem?.kind === 'unreachable' || problem?.kind === 'lost' || this.state.server.status !== 'ready') this.refreshServer();
    }

    // Conversations

    create(): void {
        this.show(newConversation(this.state.settings.thinking));
    }

    open(id: string): void {
        const found = this.conversations.find(id);
        if (found && found.id !== this.state.current.id) this.show(found);
    }

    rename(id: string, title: string): void {
        const found = this.conversations.find(id);
        if (found && title.trim() !== found.title) this.conversations.put({ ...found, title: title.trim(), changed: Date.now() });
    }

    remove(id: string): void {
        const found = this.conversations.find(id);
        if (!found || !this.conversations.has(id)) return;
        if (this.state.elsewhere.includes(id)) {
            this.offer('Another tab is answering in this conversation: it cannot be deleted now.');
            return;
        }
        const whole = this.answering.running(found) ?? found;
        this.stop(id);
        this.conversations.remove(id);
        if (this.state.current.id === id) this.create();
        this.offer('Conversation deleted.', () => {
            this.conversations.put(withoutStreaming(whole));
            this.open(id);
        });
    }

    export(): void {
        downloadConversations(this.conversations.list());
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
        applyTheme(settings.theme);
        this.store.set({ settings });
        this.settingsKept(saveSettings(settings));
    }

    // Turns

    /** False where it could not be sent, so that the text is kept: another tab answers in this conversation. */
    async send(text: string): Promise<boolean> {
        const { id } = this.state.current;
        if (this.answering.isRunning(id) || !text.trim()) return false;
        void this.askToPersist();
        return this.answering.start(id, (conversation) => {
            const turn = newUserTurn(text, endOf(conversation));
            return { conversation: withTurns(conversation, [turn]), id: turn.id };
        });
    }

    /** Answers the question before this answer once more; this answer and what followed it are kept as another version. */
    regenerate(id: string): Promise<boolean> {
        return this.answering.start(this.state.current.id, (conversation) => {
            const turn = turnOf(conversation, id);
            return turn?.role === 'assistant' ? { conversation, id: turn.parent } : null;
        });
    }

    /** Sends another version of this message; the former one and what followed it are kept. */
    edit(id: string, text: string): Promise<boolean> {
        return this.answering.start(this.state.current.id, (conversation) => {
            const turn = turnOf(conversation, id);
            if (!turn || !text.trim()) return null;
            const changed = newUserTurn(text, turn.parent);
            return { conversation: withTurns(conversation, [changed]), id: changed.id };
        });
    }

    /** Shows another version of a question or an answer, with what followed it. */
    showVersion(id: string): void {
        const { current, elsewhere } = this.state;
        if (elsewhere.includes(current.id)) this.offer('Another tab is answering in this conversation: wait until it has ended.');
        else if (!this.answering.isRunning(current.id)) this.conversations.put(chooseVersion(current, id));
    }

    stop(id = this.state.current.id): void {
        this.answering.stop(id);
    }

    tryNow(id = this.state.current.id): void {
        this.answering.wake(id);
    }

    // What is said in passing: components/toast.tsx ends it.

    offer(text: string, undo: (() => void) | null = null): void {
        this.store.set({ offer: { text, undo } });
    }

    acceptOffer(): void {
        const undo = this.state.offer?.undo;
        this.store.set({ offer: null });
        undo?.();
    }

    dismissOffer(): void {
        this.store.set({ offer: null });
    }

    private get state(): ChatState {
        return this.store.get();
    }

    private show(conversation: Conversation): void {
        this.store.set({ current: conversation });
        const isKept = this.conversations.has(conversation.id);
        history.replaceState(null, '', isKept ? `#${conversation.id}` : location.pathname + location.search);
    }

    private changeCurrent(change: Partial<Conversation>): void {
        const changed = { ...this.state.current, ...change, changed: Date.now() };
        if (this.conversations.has(changed.id)) this.conversations.put(changed);
        else this.store.set({ current: changed });
    }

    private settingsKept(settings: boolean): void {
        const { keeping } = this.state;
        if (keeping.settings !== settings) this.store.set({ keeping: { ...keeping, settings } });
    }

    /** Asks the browser not to throw the conversations away when it wants room. Some browsers ask the person in turn. */
    private async askToPersist(): Promise<void> {
        try {
            if (!(await navigator.storage?.persisted?.())) await navigator.storage?.persist?.();
        } catch {
            // Then it keeps them as long as it likes.
        }
    }
}
