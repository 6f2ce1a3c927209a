// Keeps what the page knows of the server true: asks again while the page is in sight, less and less often while nothing
// changes, and at once when the page comes back into sight or something failed.
import type { ServerState } from './server_info';

/** The first pause and the longest, in milliseconds. */
const PAUSES: Record<ServerState['status'], [number, number]> = {
    unknown: [2000, 10_000],
    offline: [2000, 10_000],
    locked: [10_000, 60_000],
    loading: [700, 1500],
    ready: [5000, 30_000],
};

export class ServerWatch {
    private timer = 0;
    private pause = 0;
    private count = 0;

    constructor(private readonly ask: () => Promise<ServerState>, private readonly told: (state: ServerState) => void) {}

    start(): void {
        document.addEventListener('visibilitychange', () => { if (document.visibilityState === 'visible') void this.look(); });
        window.addEventListener('online', () => void this.look());
        window.addEventListener('offline', () => void this.look());
        void this.look();
    }

    /** Asks now. Of several questions under way only the last one's answer counts. */
    async look(): Promise<void> {
        this.pause = 0;
        await this.again();
    }

    private last: ServerState['status'] = 'unknown';

    private async again(): Promise<void> {
        window.clearTimeout(this.timer);
        const count = ++this.count;
        const state = await this.ask();
        if (count !== this.count) return;
        this.told(state);
        const [first, longest] = PAUSES[state.status];
        this.pause = this.pause && state.status === this.last ? Math.min(longest, this.pause * 1.5) : first;
        this.last = state.status;
        if (document.visibilityState === 'visible') this.timer = window.setTimeout(() => void this.again(), this.pause);
    }
}
