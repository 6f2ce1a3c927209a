// What a person wrote, as they wrote it; it can be changed and sent again.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Chat } from '../chat';
import type { UserTurn } from '../conversation';
import { CopyButton } from './copy_button';
import { EditIcon } from './icons';
import { fitHeight } from './text_area';
import { unchanging } from './unchanging';

export const QuestionTurn = unchanging(({ chat, turn }: { chat: Chat; turn: UserTurn }) => {
    const [editing, setEditing] = useState(false);
    if (editing) {
        return <Edit text={turn.text} cancel={() => setEditing(false)} send={(text) => { setEditing(false); chat.edit(turn.id, text); }} />;
    }
    return (
        <article class="question" aria-label="You">
            <div class="bubble" dir="auto">{turn.text}</div>
            <div class="tools">
                <button type="button" class="icon-button" aria-label="Edit message" title="Edit" onClick={() => setEditing(true)}>
                    <EditIcon />
                </button>
                <CopyButton text={turn.text} label="Copy message" />
            </div>
        </article>
    );
});

function Edit({ text, cancel, send }: { text: string; cancel: () => void; send: (text: string) => void }) {
    const field = useRef<HTMLTextAreaElement>(null);
    const [draft, setDraft] = useState(text);
    useLayoutEffect(() => {
        field.current?.focus();
        field.current?.setSelectionRange(text.length, text.length);
    }, []);
    useLayoutEffect(() => fitHeight(field.current), [draft]);
    return (
        <form class="edit" onSubmit={(event) => { event.preventDefault(); send(draft); }}>
            <textarea ref={field} aria-label="Message" dir="auto" rows={1} value={draft} onInput={(event) => setDraft(event.currentTarget.value)}
                onKeyDown={(event) => {
                    if (event.key === 'Escape') {
                        event.preventDefault();
                        cancel();
                    }
                    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
                        event.preventDefault();
                        send(draft);
                    }
                }} />
            <div class="edit-buttons">
                <button type="button" class="button" onClick={cancel}>Cancel</button>
                <button type="submit" class="button primary" disabled={!draft.trim()}>Send</button>
            </div>
        </form>
    );
}
