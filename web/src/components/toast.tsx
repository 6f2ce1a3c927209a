// What is said in passing, with a way back where there is one. Its clock stands still while someone is about to use it.
import { useEffect, useState } from 'preact/hooks';
import type { Chat } from '../chat';
import { useStore } from '../store';

const SHOWN_MS = 8000;
const UNDO_MS = 20_000;

export function Toast({ chat }: { chat: Chat }) {
    const offer = useStore(chat.store, (state) => state.offer);
    const [hovered, setHovered] = useState(false);
    const [focused, setFocused] = useState(false);
    const isHeld = hovered || focused;

    useEffect(() => {
        setHovered(false);
        setFocused(false);
    }, [offer]);

    useEffect(() => {
        if (!offer || isHeld) return;
        const timer = window.setTimeout(() => chat.dismissOffer(), offer.undo ? UNDO_MS : SHOWN_MS);
        return () => window.clearTimeout(timer);
    }, [chat, offer, isHeld]);

    useEffect(() => {
        if (!offer?.undo) return;
        const pressed = (event: KeyboardEvent) => {
            const isUndo = event.key.toLowerCase() === 'z' && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey;
            const field = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement ? event.target : null;
            // A field with text in it has an undo of its own.
            if (!isUndo || field?.value || document.querySelector('dialog[open]')) return;
            event.preventDefault();
            chat.acceptOffer();
        };
        window.addEventListener('keydown', pressed);
        return () => window.removeEventListener('keydown', pressed);
    }, [chat, offer]);

    return (
        <div class="toasts" role="status">
            {offer && (
                <div class="toast" onMouseEnter={() => setHovered(true)} onMouseLeave={() => setHovered(false)}
                    onFocusIn={() => setFocused(true)} onFocusOut={() => setFocused(false)}>
                    <span>{offer.text}</span>
                    {offer.undo && (
                        <button type="button" aria-keyshortcuts="Control+Z" title="Undo (Ctrl+Z)" onClick={() => chat.acceptOffer()}>Undo</button>
                    )}
                </div>
            )}
        </div>
    );
}
