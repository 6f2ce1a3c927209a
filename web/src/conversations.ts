// All conversations of this browser: in memory, in the list that is shown, in storage and in step with other tabs.
import { AnswerLocks } from './answer_locks';
import { merge } from './branches';
import type { ChatState, Entry, Keeping } from './chat_state';
import { hasStreaming, titleOf, withoutStreaming, type Conversation } from './conversation';
import { ConversationStorage, type Change } from './storage';
import type { Store } from './store';

const KEEP_EVERY_MS = 300;
/** What did not fit is tried again: room may have been made. */
const RETRY_MS = 10_000;
const LOOK_ELSEWHERE_MS = 1000;

export class Conversations {
    readonly locks = new AnswerLocks(() => void this.lookElsewhere());
    private readonly all = new Map<string, Conversation>();
    private readonly dirty = new Set<string>();
    private readonly unsaved = new Set<string>();
    /** On their way to the disk: a page that goes away meanwhile may lose the write. */
    private readonly underway = new Map<string, number>();
    private storage: ConversationStorage | null = null;

    /** `running` gives a conversation whose answer arrives here the newest text of it. */
    constructor(private readonly store: Store<ChatState>, private readonly running: (conversation: Conversation) => Conversation | null) {}

    async start(): Promise<void> {
        this.storage = await ConversationStorage.open();
        let stored: Conversation[] = [];
        try {
            stored = await this.storage.load();
        } catch {
            this.tell('unreadable');
        }
        if (!this.storage.isKept) this.tell('temporary');
        const elsewhere = await this.locks.elsewhere().catch((): string[] => []);
        this.store.set({ elsewhere });
        for (const each of stored) this.all.set(each.id, elsewhere.includes(each.id) ? each : withoutStreaming(each));
        this.store.set({ entries: [...this.all.values()].map(entryOf).sort(byTime) });
        this.storage.onChange((change) => this.changedElsewhere(change));
        window.setInterval(() => this.keepDirty(), KEEP_EVERY_MS);
        window.setInterval(() => this.unsaved.forEach((id) => this.dirty.add(id)), RETRY_MS);
        window.setInterval(() => { if (this.store.get().elsewhere.length) void this.lookElsewhere(); }, LOOK_ELSEWHERE_MS);
        window.addEventListener('pagehide', () => this.storage?.keepAtOnce([...new Set([...this.dirty, ...this.unsaved, ...this.underway.keys()])].flatMap((id) => this.newest(id) ?? [])));
        window.addEventListener('pageshow', (event) => { if (event.persisted) this.storage?.keepAtOnce([]); });
    }

    /** One that is kept, or the new one that is shown. */
    find(id: string): Conversation | undefined {
        const { current } = this.store.get();
        return this.all.get(id) ?? (current.id === id ? current : undefined);
    }

    has(id: string): boolean {
        return this.all.has(id);
    }

    list(): Conversation[] {
        return [...this.all.keys()].flatMap((id) => this.newest(id) ?? []);
    }

    /** Shows and keeps a conversation, at its place in the list by time of change. */
    put(conversation: Conversation, updated = conversation.updated): void {
        this.show({ ...conversation, updated });
        this.dirty.add(conversation.id);
        if (!this.running(conversation)) this.keepDirty();
    }

    /** Marks it as changed: it is kept within a moment. */
    touch(id: string): void {
        this.dirty.add(id);
    }

    remove(id: string): void {
        this.dirty.delete(id);
        this.unsaved.delete(id);
        this.forget(id);
        this.storage?.remove(id).then(() => this.retry(), () => this.tell('unsaved'));
    }

    /** Takes in what another tab has kept since. */
    async refresh(id: string): Promise<void> {
        const kept = await this.storage?.read(id).catch(() => null);
        const mine = this.find(id);
        if (kept && mine && this.all.has(id)) this.show(merge(mine, kept));
    }

    /** Ends once the conversation is on the disk, or cannot be brought there, which the banner tells. */
    async keep(id: string): Promise<void> {
        this.dirty.delete(id);
        const conversation = this.newest(id);
        if (!conversation || !this.storage) return;
        this.underway.set(id, (this.underway.get(id) ?? 0) + 1);
        try {
            const whole = await this.storage.keep(conversation);
            this.unsaved.delete(id);
            const mine = this.all.get(id);
            if (mine && whole.turns.length + whole.others.length > mine.turns.length + mine.others.length) this.show(merge(mine, whole));
        } catch {
            if (this.all.has(id)) this.unsaved.add(id);
        }
        const left = (this.underway.get(id) ?? 1) - 1;
        if (left > 0) this.underway.set(id, left);
        else this.underway.delete(id);
        const { conversations } = this.store.get().keeping;
        if (this.unsaved.size) this.tell('unsaved');
        else if (conversations === 'unsaved') this.tell('kept');
    }

    keepDirty(): void {
        for (const id of [...this.dirty]) void this.keep(id);
    }

    tell(conversations: Keeping['conversations']): void {
        const { keeping } = this.store.get();
        if (keeping.conversations !== conversations) this.store.set({ keeping: { ...keeping, conversations } });
    }

    /** Which conversations other tabs answer in; an answer whose tab is gone has ended. */
    async lookElsewhere(): Promise<void> {
        const elsewhere = await this.locks.elsewhere().catch((): string[] => []);
        const before = this.store.get().elsewhere;
        if (elsewhere.join() === before.join()) return;
        this.store.set({ elsewhere });
        for (const id of before) if (!elsewhere.includes(id)) await this.settle(id);
    }

    private async settle(id: string): Promise<void> {
        await this.refresh(id);
        const found = this.all.get(id);
        if (found && hasStreaming(found) && !this.running(found) && !this.store.get().elsewhere.includes(id)) this.show(withoutStreaming(found));
    }

    private newest(id: string): Conversation | undefined {
        const found = this.all.get(id);
        return found && (this.running(found) ?? found);
    }

    private retry(): void {
        this.unsaved.forEach((id) => this.dirty.add(id));
        this.keepDirty();
    }

    private show(conversation: Conversation): void {
        this.all.set(conversation.id, conversation);
        const { current, entries } = this.store.get();
        const entry = entryOf(conversation);
        const shown = entries.find((each) => each.id === entry.id);
        const isSame = shown?.title === entry.title && shown.updated === entry.updated;
        this.store.set({
            ...(isSame ? {} : { entries: [...entries.filter((each) => each.id !== entry.id), entry].sort(byTime) }),
            ...(current.id === conversation.id ? { current: conversation } : {}),
        });
        if (current.id === conversation.id && location.hash !== `#${conversation.id}`) history.replaceState(null, '', `#${conversation.id}`);
    }

    private forget(id: string): void {
        this.all.delete(id);
        this.store.set({ entries: this.store.get().entries.filter((each) => each.id !== id) });
    }

    private changedElsewhere({ id, conversation }: Change): void {
        const mine = this.find(id);
        if (conversation) this.show(mine ? merge(mine, conversation) : conversation);
        else if (!mine || !this.running(mine)) this.forget(id);
    }
}

function entryOf(conversation: Conversation): Entry {
    return { id: conversation.id, title: titleOf(conversation), updated: conversation.updated };
}

function byTime(a: Entry, b: Entry): number {
    return b.updated - a.updated;
}
