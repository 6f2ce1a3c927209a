// Conversations in IndexedDB, one record each; other tabs of the page hear of each change.
// Where the browser refuses (private windows), `keep` and `remove` do nothing and `isKept` is false.
import { fromStorage, merge } from './branches';
import type { Conversation } from './conversation';

const STORE = 'conversations';
const LAST = 'smollm.last';

/** Tells the other tabs what a conversation is now; null: it was deleted. */
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

    /** All that is kept, with what a page that went away had no time for. Rejects where the database cannot be read. */
    async load(): Promise<Conversation[]> {
        if (!this.database) return [];
        const transaction = this.database.transaction(STORE, 'readonly');
        const records = await finished(transaction, transaction.objectStore(STORE).getAll() as IDBRequest<unknown[]>);
        const found = new Map<string, Conversation>();
        for (const record of [...records, ...takeLast()]) {
            const conversation = fromStorage(record);
            if (!conversation) continue;
            const known = found.get(conversation.id);
            found.set(conversation.id, known ? merge(known, conversation) : conversation);
        }
        return [...found.values()];
    }

    /** One conversation as it is kept now, or null. */
    async read(id: string): Promise<Conversation | null> {
        if (!this.database) return null;
        const transaction = this.database.transaction(STORE, 'readonly');
        return fromStorage(await finished(transaction, transaction.objectStore(STORE).get(id) as IDBRequest<unknown>));
    }

    /** Puts it together with what another tab has kept of it, in one step, and returns the whole. Rejects where it is not kept. */
    async keep(conversation: Conversation): Promise<Conversation> {
        if (!this.database) return conversation;
        const transaction = this.database.transaction(STORE, 'readwrite');
        const store = transaction.objectStore(STORE);
        let whole = conversation;
        const request = store.get(conversation.id) as IDBRequest<unknown>;
        request.onsuccess = () => {
            const kept = fromStorage(request.result);
            if (kept) whole = merge(conversation, kept);
            store.put(whole);
        };
        await finished(transaction, request);
        this.channel?.postMessage({ id: conversation.id, conversation: whole } satisfies Change);
        return whole;
    }

    async remove(id: string): Promise<void> {
        if (!this.database) return;
        const transaction = this.database.transaction(STORE, 'readwrite');
        await finished(transaction, transaction.objectStore(STORE).delete(id));
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

function takeLast(): unknown[] {
    try {
        const last: unknown = JSON.parse(sessionStorage.getItem(LAST) ?? '[]');
        sessionStorage.removeItem(LAST);
        return Array.isArray(last) ? last : [];
    } catch {
        return [];
    }
}

function openDatabase(): Promise<IDBDatabase> {
    const request = indexedDB.open('smollm', 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'id' });
    return new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error ?? new Error('The database cannot be opened.'));
    });
}

/** The request's result once its transaction is on the disk: a full disk aborts a transaction after all its requests have succeeded. */
function finished<T>(transaction: IDBTransaction, request: IDBRequest<T>): Promise<T> {
    return new Promise((resolve, reject) => {
        const fail = () => reject(transaction.error ?? request.error ?? new Error('The database gave up.'));
        transaction.oncomplete = () => resolve(request.result);
        transaction.onabort = fail;
        transaction.onerror = fail;
    });
}
