import type { Chat } from '../chat';
import { titleOf } from '../conversation';
import type { ServerState } from '../server_info';
import { useStore } from '../store';
import { MenuIcon, NewIcon } from './icons';

function describe(server: ServerState): string {
    switch (server.status) {
        case 'ready': return server.info.model;
        case 'offline': return 'Server not reachable';
        case 'locked': return 'Key needed';
        case 'loading': return 'Loading the model';
        case 'unknown': return '';
    }
}

export function Header({ chat, openDrawer }: { chat: Chat; openDrawer: () => void }) {
    const server = useStore(chat.store, (state) => state.server);
    const title = useStore(chat.store, (state) => titleOf(state.current));
    const isNew = useStore(chat.store, (state) => !state.current.turns.length);
    return (
        <header class={isNew ? 'header is-new' : 'header'}>
            <button type="button" class="icon-button only-narrow" aria-label="Show conversations" onClick={openDrawer}>
                <MenuIcon />
            </button>
            <h1 class="header-title" dir="auto"><span class={isNew ? 'unseen' : ''}>{title}</span></h1>
            <span class={`server server-${server.status}`} title={server.status === 'ready' ? 'The model that answers' : ''}>
                {describe(server)}
            </span>
            <button type="button" class="icon-button only-narrow" aria-label="New conversation" onClick={() => chat.create()}>
                <NewIcon />
            </button>
        </header>
    );
}
