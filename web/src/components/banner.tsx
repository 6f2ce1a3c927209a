// What stays true for a while and matters to everything below it: the model is still loading, or something is not kept.
import { useState } from 'preact/hooks';
import type { Chat } from '../chat';
import type { Keeping } from '../chat_state';
import { focusComposer } from '../focus';
import { useStore } from '../store';

export function percent(progress: number): string {
    return `${Math.floor(progress * 100)} %`;
}

export function LoadingBanner({ chat }: { chat: Chat }) {
    const server = useStore(chat.store, (state) => state.server);
    if (server.status !== 'loading') return null;
    const { progress } = server;
    return (
        <div class="banner">
            <label class="loading">
                <span>Loading the model …{progress !== null && ` ${percent(progress)}`}</span>
                {progress === null ? <progress max={1} /> : <progress max={1} value={progress} />}
            </label>
        </div>
    );
}

const texts: Record<Exclude<Keeping['conversations'], 'kept'>, string> = {
    temporary: 'This browser keeps nothing here: conversations end when the page is closed.',
    unsaved: 'The browser could not keep the latest messages: its storage is full or out of order. Export the conversations, or delete some to make room.',
    unreadable: 'The conversations kept in this browser cannot be read. They have not been changed; reloading the page may help.',
};

export function KeepingBanner({ chat }: { chat: Chat }) {
    const { conversations, settings } = useStore(chat.store, (state) => state.keeping);
    const [closed, setClosed] = useState('');
    // A failure stays in sight until it is over; what is only to be known can be put away.
    const mayClose = conversations === 'temporary' || conversations === 'kept';
    const now = `${conversations} ${settings}`;
    if ((conversations === 'kept' && settings) || (mayClose && closed === now)) return null;
    return (
        <div class="banner banner-warning" role="alert">
            <div>
                {conversations !== 'kept' && <p>{texts[conversations]}</p>}
                {!settings && <p>The browser’s storage is full: the settings hold only until the page is closed.</p>}
            </div>
            <div class="banner-actions">
                {conversations !== 'kept' && <button type="button" class="button" onClick={() => chat.export()}>Export</button>}
                {mayClose && <button type="button" class="button" onClick={() => { setClosed(now); focusComposer(); }}>Close</button>}
            </div>
        </div>
    );
}
