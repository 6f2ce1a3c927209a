// Conversations in IndexedDB, one record each; other tabs of the page hear of each change.
// Where the browser refuses (private windows), `keep` and `remove` do nothing and `isKept` is false.
import type { Conversation } from './conversation';

const STORE = 'conversations';
const LAST = 'smollm.last';

/** Tells the other tabs which conversation changed. */
export interface Change {
    id: string;
    conversation: Conversation | null;
}

export class ConversationStorage {
    private readonly channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel('smollm');

    private constructor(private readonly database: IDBDatabase | null) {}

    static async open(): Promise<ConversationStorage> {
        try {
            return new ConversationStorage(await openDatabase());
        } catch {
            return new ConversationStorage(null);
        }
    }

    get isKept(): boolean {
        return this.database !== null;
    }

    async load(): Promise<Conversation[]> {
        if (!this.database) return [];
        const store = this.database.transaction(STORE, 'readonly').objectStore(STORE);
        const kept = await settled(store.getAll() as IDBRequest<Conversation[]>);
        const last = JSON.parse(sessionStorage.getItem(LAST) ?? '[]') as Conversation[];
        this.keepAtOnce([]);
        await Promise.all(last.map((each) => this.keep(each)));
        return [...kept.filter((each) => !last.some((other) => other.id === each.id)), ...last];
    }

    async keep(conversation: Conversation): Promise<void> {
        if (!this.database) return;
        await settled(this.database.transaction(STORE, 'readwrite').objectStore(STORE).put(conversation));
        this.channel?.postMessage({ id: conversation.id, conversation } satisfies Change);
    }

    async remove(id: string): Promise<void> {
        if (!this.database) return;
        await settled(this.database.transaction(STORE, 'readwrite').objectStore(STORE).delete(id));
        this.channel?.postMessage({ id, conversation: null } satisfies Change);
    }

    /** A page that is going away cannot wait for the database; this store answers at once, and the next load takes it from there. */
    keepAtOnce(conversations: Conversation[]): void {
        try {
            if (conversations.length) sessionStorage.setItem(LAST, JSON.stringify(conversations));
            else sessionStorage.removeItem(LAST);
        } catch {
            // Too long for it: what the database has had in time remains.
        }
    }

    onChange(listener: (change: Change) => void): void {
        this.channel?.addEventListener('message', (event: MessageEvent<Change>) => listener(event.data));
    }
}

function openDatabase(): Promise<IDBDatabase> {
    const request = indexedDB.open('smollm', 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'id' });
    return settled(request);
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
    return new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
    });
}
