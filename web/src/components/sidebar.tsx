// The list of conversations: beside the chat where there is room, over it as a drawer where there is not.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Chat } from '../chat';
import { titleOf, type Conversation } from '../conversation';
import { useStore } from '../store';
import { CloseIcon, DeleteIcon, EditIcon, NewIcon, SettingsIcon } from './icons';

const DAY_MS = 86_400_000;

/** The conversations of each stretch of time, latest first. */
function byAge(conversations: readonly Conversation[]): [string, Conversation[]][] {
    const today = new Date().setHours(0, 0, 0, 0);
    const groups: [string, number][] = [['Today', today], ['Yesterday', today - DAY_MS], ['Last 7 days', today - 7 * DAY_MS], ['Older', -Infinity]];
    let rest = [...conversations];
    return groups.map(([name, from]): [string, Conversation[]] => {
        const group = rest.filter((each) => each.updated >= from);
        rest = rest.filter((each) => each.updated < from);
        return [name, group];
    }).filter(([, group]) => group.length);
}

interface SidebarProps {
    chat: Chat;
    isDrawerOpen: boolean;
    close: () => void;
    openSettings: () => void;
}

export function Sidebar({ chat, isDrawerOpen, close, openSettings }: SidebarProps) {
    const conversations = useStore(chat.store, (state) => state.conversations);
    const current = useStore(chat.store, (state) => state.current.id);
    const loaded = useStore(chat.store, (state) => state.loaded);
    const closeButton = useRef<HTMLButtonElement>(null);

    useLayoutEffect(() => {
        if (isDrawerOpen) closeButton.current?.focus();
    }, [isDrawerOpen]);

    return (
        <nav class="sidebar" aria-label="Conversations">
            <div class="sidebar-head">
                <span class="brand">smollm</span>
                <button ref={closeButton} type="button" class="icon-button only-narrow" aria-label="Hide conversations" onClick={close}>
                    <CloseIcon />
                </button>
            </div>
            <button type="button" class="new-button" onClick={() => { chat.create(); close(); }}>
                <NewIcon /> New conversation
            </button>
            <div class="conversations">
                {loaded && !conversations.length && <p class="hint">Conversations stay in this browser.</p>}
                {byAge(conversations).map(([name, group]) => (
                    <section key={name} aria-label={name}>
                        <h2>{name}</h2>
                        <ul>
                            {group.map((each) => (
                                <Entry key={each.id} chat={chat} id={each.id} title={titleOf(each)} isCurrent={each.id === current} close={close} />
                            ))}
                        </ul>
                    </section>
                ))}
            </div>
            <button type="button" class="settings-button" onClick={openSettings}>
                <SettingsIcon /> Settings
            </button>
        </nav>
    );
}

interface EntryProps {
    chat: Chat;
    id: string;
    title: string;
    isCurrent: boolean;
    close: () => void;
}

function Entry({ chat, id, title, isCurrent, close }: EntryProps) {
    const [renaming, setRenaming] = useState(false);
    const busy = useStore(chat.store, (state) => id in state.phases);
    if (renaming) {
        return <li><Rename title={title} done={(name) => { setRenaming(false); if (name !== null) chat.rename(id, name); }} /></li>;
    }
    return (
        <li class={isCurrent ? 'entry current' : 'entry'}>
            <button type="button" class="entry-title" aria-current={isCurrent ? 'true' : undefined} title={title}
                onClick={() => { chat.open(id); close(); }} onDblClick={() => setRenaming(true)}>
                {title}
            </button>
            {busy && <span class="pulse" title="Answering" />}
            <span class="entry-tools">
                <button type="button" class="icon-button" aria-label={`Rename “${title}”`} title="Rename" onClick={() => setRenaming(true)}>
                    <EditIcon />
                </button>
                <button type="button" class="icon-button" aria-label={`Delete “${title}”`} title="Delete" onClick={() => chat.remove(id)}>
                    <DeleteIcon />
                </button>
            </span>
        </li>
    );
}

function Rename({ title, done }: { title: string; done: (name: string | null) => void }) {
    const field = useRef<HTMLInputElement>(null);
    // Before the next key, not after the next frame: what is typed at once must not go elsewhere.
    useLayoutEffect(() => field.current?.select(), []);
    return (
        <input ref={field} class="rename" aria-label="Name of the conversation" defaultValue={title} maxLength={200}
            onBlur={(event) => done(event.currentTarget.value)}
            onKeyDown={(event) => {
                if (event.key === 'Enter' && !event.isComposing) event.currentTarget.blur();
                if (event.key === 'Escape') {
                    event.preventDefault();
                    event.currentTarget.value = title;
                    event.currentTarget.blur();
                }
            }} />
    );
}
