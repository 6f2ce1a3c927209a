// The list of conversations: beside the chat where there is room, over it as a drawer where there is not.
// For the keyboard the list is one stop: arrows go through it, F2 renames, Delete deletes, Right leads to the buttons.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Chat } from '../chat';
import type { Entry } from '../chat_state';
import { focusComposer, focusEntry } from '../focus';
import { isComposing } from '../keys';
import { useStore } from '../store';
import { CloseIcon, DeleteIcon, EditIcon, NewIcon, SettingsIcon } from './icons';
import { unchanging } from './unchanging';

const DAY_MS = 86_400_000;

/** The conversations of each stretch of time, latest first. */
function byAge(entries: readonly Entry[]): [string, Entry[]][] {
    const today = new Date().setHours(0, 0, 0, 0);
    const groups: [string, number][] = [['Today', today], ['Yesterday', today - DAY_MS], ['Last 7 days', today - 7 * DAY_MS], ['Older', -Infinity]];
    let rest = [...entries];
    return groups.map(([name, from]): [string, Entry[]] => {
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
            <List chat={chat} close={close} />
            <button type="button" class="settings-button" onClick={openSettings}>
                <SettingsIcon /> Settings
            </button>
        </nav>
    );
}

/** The id of the entry around an element, and what a press on that element asks for. */
function asked(target: EventTarget | null): { id: string; action: string } | null {
    const button = target instanceof Element ? target.closest<HTMLElement>('[data-action]') : null;
    const id = button?.closest<HTMLElement>('[data-entry]')?.dataset.entry;
    return button && id ? { id, action: button.dataset.action ?? '' } : null;
}

function List({ chat, close }: { chat: Chat; close: () => void }) {
    const entries = useStore(chat.store, (state) => state.entries);
    const current = useStore(chat.store, (state) => state.current.id);
    const loaded = useStore(chat.store, (state) => state.loaded);
    // A text, so that the list is rendered when one begins or ends and not for each step in between.
    const busy = useStore(chat.store, (state) => [...Object.keys(state.phases), ...state.elsewhere].sort().join(' ')).split(' ');
    const [renaming, setRenaming] = useState<string | null>(null);
    const [visited, setVisited] = useState<string | null>(null);
    const list = useRef<HTMLDivElement>(null);
    const focusNext = useRef<string | undefined | null>(null); // null: nothing to do

    const has = (id: string | null) => entries.some((each) => each.id === id);
    const stop = has(visited) ? visited : has(current) ? current : entries[0]?.id;

    useLayoutEffect(() => {
        const next = focusNext.current;
        if (next === null) return;
        focusNext.current = null;
        // After the composer, which takes the focus when another conversation is shown.
        window.setTimeout(() => focusEntry(next), 0);
    });

    const remove = (id: string, byPointer: boolean) => {
        const index = entries.findIndex((each) => each.id === id);
        const next = entries[index + 1] ?? entries[index - 1];
        if (byPointer && id === current) focusComposer();
        else focusNext.current = next?.id;
        chat.remove(id);
    };

    const pressed = (event: KeyboardEvent) => {
        const row = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-entry]') : null;
        const id = row?.dataset.entry;
        if (!row || !id || event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey) return;
        const rows = [...(list.current?.querySelectorAll<HTMLElement>('[data-entry]') ?? [])];
        const at = rows.indexOf(row);
        const buttons = [...row.querySelectorAll<HTMLElement>('[data-action]')];
        const button = buttons.indexOf(event.target as HTMLElement);
        const title = (index: number) => rows[index]?.querySelector<HTMLElement>('.entry-title')?.focus();
        switch (event.key) {
            case 'ArrowDown': title(Math.min(rows.length - 1, at + 1)); break;
            case 'ArrowUp': title(Math.max(0, at - 1)); break;
            case 'Home': title(0); break;
            case 'End': title(rows.length - 1); break;
            case 'ArrowRight': buttons[Math.min(buttons.length - 1, button + 1)]?.focus(); break;
            case 'ArrowLeft': buttons[Math.max(0, button - 1)]?.focus(); break;
            case 'F2': setRenaming(id); break;
            case 'Delete': remove(id, false); break;
            default: return;
        }
        event.preventDefault();
    };

    const clicked = (event: MouseEvent) => {
        const found = asked(event.target);
        if (!found) return;
        const { id, action } = found;
        if (action === 'rename') setRenaming(id);
        else if (action === 'delete') remove(id, event.detail > 0);
        else {
            chat.open(id);
            close();
        }
    };

    const renamed = (id: string, name: string | null, returns: boolean) => {
        setRenaming(null);
        if (name !== null) chat.rename(id, name);
        if (returns) focusNext.current = id;
    };

    return (
        <div ref={list} class="conversations" onKeyDown={pressed} onClick={clicked}
            onDblClick={(event) => { const found = asked(event.target); if (found?.action === 'open') setRenaming(found.id); }}
            onFocusIn={(event) => setVisited((event.target as Element).closest<HTMLElement>('[data-entry]')?.dataset.entry ?? null)}>
            {loaded && !entries.length && <p class="hint">Conversations stay in this browser.</p>}
            {byAge(entries).map(([name, group]) => (
                <section key={name} aria-label={name}>
                    <h2>{name}</h2>
                    <ul>
                        {group.map(({ id, title }) => renaming === id
                            ? <li key={id}><Rename title={title} done={(name, returns) => renamed(id, name, returns)} /></li>
                            : <Row key={id} id={id} title={title} isCurrent={id === current} isBusy={busy.includes(id)} isStop={id === stop} />)}
                    </ul>
                </section>
            ))}
        </div>
    );
}

interface RowProps {
    id: string;
    title: string;
    isCurrent: boolean;
    isBusy: boolean;
    /** Whether the Tab key stops here. */
    isStop: boolean;
}

const Row = unchanging(({ id, title, isCurrent, isBusy, isStop }: RowProps) => (
    <li class={isCurrent ? 'entry current' : 'entry'} data-entry={id}>
        <button type="button" class="entry-title" data-id={id} data-action="open" tabindex={isStop ? 0 : -1} dir="auto"
            aria-current={isCurrent ? 'true' : undefined} aria-keyshortcuts="F2 Delete" title={title}>
            {title}
        </button>
        {isBusy && <span class="pulse" title="Answering" />}
        <span class="entry-tools">
            <button type="button" class="icon-button" data-action="rename" tabindex={-1} aria-label={`Rename “${title}”`} title="Rename (F2)">
                <EditIcon />
            </button>
            <button type="button" class="icon-button" data-action="delete" tabindex={-1} aria-label={`Delete “${title}”`} title="Delete (Del)">
                <DeleteIcon />
            </button>
        </span>
    </li>
));

/** `returns`: a key ended it, so that the focus goes back to the entry. */
function Rename({ title, done }: { title: string; done: (name: string | null, returns: boolean) => void }) {
    const field = useRef<HTMLInputElement>(null);
    const isDone = useRef(false);
    // Before the next key, not after the next frame: what is typed at once must not go elsewhere.
    useLayoutEffect(() => field.current?.select(), []);
    const end = (name: string | null, returns: boolean) => {
        if (isDone.current) return; // Removing the field blurs it once more.
        isDone.current = true;
        done(name, returns);
    };
    return (
        <input ref={field} class="rename" dir="auto" aria-label="Name of the conversation" defaultValue={title} maxLength={200}
            onBlur={(event) => end(event.currentTarget.value, false)}
            onKeyDown={(event) => {
                if (isComposing(event)) return;
                if (event.key === 'Enter') end(event.currentTarget.value, true);
                if (event.key === 'Escape') {
                    event.preventDefault();
                    end(null, true);
                }
            }} />
    );
}
