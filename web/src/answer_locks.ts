// One tab answers in a conversation at a time. A Web Lock says which: it ends with its tab, however that ends.
// Over plain http from another machine browsers have no such locks; there the tab that answers says so every second,
// and is believed to have stopped after a silence.

const PREFIX = 'smollm.answer.';
const SAY_MS = 1000;
const SILENCE_MS = 4000;

interface Word {
    id: string;
    answers: boolean;
}

export class AnswerLocks {
    private readonly channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel('smollm.answers');
    private readonly own = new Set<string>();
    /** What other tabs have said without locks: until when it is believed. */
    private readonly heard = new Map<string, number>();

    /** `changed` is called whenever another tab begins or ends an answer. */
    constructor(changed: () => void) {
        this.channel?.addEventListener('message', (event: MessageEvent<Word>) => {
            if (event.data.answers) this.heard.set(event.data.id, Date.now() + SILENCE_MS);
            else this.heard.delete(event.data.id);
            changed();
        });
    }

    /** Returns how to give the conversation back, or null while another tab answers in it. */
    async take(id: string): Promise<(() => void) | null> {
        this.own.add(id);
        const free = navigator.locks ? await takeLock(PREFIX + id) : this.heardOf(id) ? null : () => undefined;
        if (!free) {
            this.own.delete(id);
            return null;
        }
        this.say(id, true);
        const timer = navigator.locks ? 0 : window.setInterval(() => this.say(id, true), SAY_MS);
        return () => {
            window.clearInterval(timer);
            this.own.delete(id);
            free();
            this.say(id, false);
        };
    }

    /** The conversations that other tabs answer in now. */
    async elsewhere(): Promise<string[]> {
        if (!navigator.locks) return [...this.heard.keys()].filter((id) => this.heardOf(id));
        const { held = [] } = await navigator.locks.query();
        return held.map((lock) => lock.name ?? '').filter((name) => name.startsWith(PREFIX))
            .map((name) => name.slice(PREFIX.length)).filter((id) => !this.own.has(id));
    }

    private heardOf(id: string): boolean {
        return (this.heard.get(id) ?? 0) > Date.now();
    }

    private say(id: string, answers: boolean): void {
        this.channel?.postMessage({ id, answers } satisfies Word);
    }
}

function takeLock(name: string): Promise<(() => void) | null> {
    return new Promise((resolve) => {
        void navigator.locks.request(name, { ifAvailable: true }, (lock) => {
            if (!lock) return resolve(null);
            return new Promise<void>((free) => resolve(free));
        }).catch(() => resolve(() => undefined)); // A browser that refuses locks here: turns are still put together by their ids.
    });
}
