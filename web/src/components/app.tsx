import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Chat } from '../chat';
import { titleOf } from '../conversation';
import { isComposing } from '../keys';
import { useStore } from '../store';
import { focusComposer, focusMenu } from '../focus';
import { KeepingBanner, LoadingBanner } from './banner';
import { Composer } from './composer';
import { Header } from './header';
import { KeyDialog } from './key_dialog';
import { SettingsDialog } from './settings_dialog';
import { Sidebar } from './sidebar';
import { Thread } from './thread';
import { Toast } from './toast';

export function App({ chat }: { chat: Chat }) {
    const [drawer, setDrawer] = useState(false);
    const wasOpen = useRef(false);
    const [settings, setSettings] = useState(false);
    const title = useStore(chat.store, (state) => titleOf(state.current));
    const announcement = useStore(chat.store, (state) => state.announcement);

    useEffect(() => {
        document.title = `${title} · smollm`;
    }, [title]);

    // The focus was in the drawer, where nothing can be seen any more.
    useLayoutEffect(() => {
        if (wasOpen.current && !drawer) focusMenu();
        wasOpen.current = drawer;
    }, [drawer]);

    // Before the next key: an Esc right after the drawer opened is meant for the drawer.
    useLayoutEffect(() => {
        const pressed = (event: KeyboardEvent) => {
            if (event.defaultPrevented || isComposing(event) || document.querySelector('dialog[open]')) return;
            if (event.key === 'Escape') {
                if (drawer) setDrawer(false);
                else chat.stop();
            }
            if (event.key.toLowerCase() === 'o' && event.shiftKey && (event.ctrlKey || event.metaKey)) {
                event.preventDefault();
                chat.create();
            }
        };
        window.addEventListener('keydown', pressed);
        return () => window.removeEventListener('keydown', pressed);
    }, [chat, drawer]);

    return (
        <div class={drawer ? 'layout drawer-open' : 'layout'}>
            <a class="skip" href="#message" onClick={(event) => { event.preventDefault(); focusComposer(); }}>Skip to the message field</a>
            <Sidebar chat={chat} isDrawerOpen={drawer} close={() => setDrawer(false)} openSettings={() => setSettings(true)} />
            <Toast chat={chat} />
            <div class="scrim" onClick={() => setDrawer(false)} />
            <main class="main" inert={drawer}>
                <Header chat={chat} openDrawer={() => setDrawer(true)} />
                <LoadingBanner chat={chat} />
                <KeepingBanner chat={chat} />
                <Thread chat={chat} />
                <Composer chat={chat} />
            </main>
            <SettingsDialog chat={chat} isOpen={settings} close={() => setSettings(false)} />
            <KeyDialog chat={chat} />
            <div class="unseen" role="status">{announcement}</div>
        </div>
    );
}
