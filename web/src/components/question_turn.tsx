// What a person wrote, as they wrote it; it can be changed and sent again.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Chat } from '../chat';
import type { UserTurn } from '../conversation';
import { focusComposer } from '../focus';
import { isComposing } from '../keys';
import { CopyButton } from './copy_button';
import { EditIcon } from './icons';
import { fitHeight } from './text_area';
import { unchanging } from './unchanging';
import { Versions, type VersionProps } from './versions';

/** A longer question shows only its beginning until someone asks for all of it. */
const FOLD_CHARACTERS = 2400;
const FOLD_LINES = 24;
/** What is shown of it then. */
const SHOWN_CHARACTERS = 1200;
const SHOWN_LINES = 12;

function beginning(text: string, lines: number, characters: number): string {
    let end = -1;
    for (let line = 0; line < lines; line++) {
        end = text.indexOf('\n', end + 1);
        if (end < 0) break;
    }
    const cut = Math.min(end < 0 ? text.length : end, characters);
    // Not between the two halves of a character.
    return text.slice(0, /[\ud800-\udbff]/.test(text.charAt(cut - 1)) ? cut - 1 : cut);
}

interface Props extends VersionProps {
    chat: Chat;
    turn: UserTurn;
}

export const QuestionTurn = unchanging(({ chat, turn, ...versions }: Props) => {
    const [editing, setEditing] = useState(false);
    const [unfolded, setUnfolded] = useState(false);
    const editButton = useRef<HTMLButtonElement>(null);
    const returns = useRef(false);
    useEffect(() => setUnfolded(false), [turn.id]);
    useLayoutEffect(() => {
        if (!editing && returns.current) editButton.current?.focus();
        returns.current = false;
    }, [editing]);

    if (editing) {
        const cancel = () => {
            returns.current = true;
            setEditing(false);
        };
        const send = (text: string) => void chat.edit(turn.id, text).then((begun) => {
            if (!begun) return;
            setEditing(false);
            focusComposer();
        });
        return <Edit text={turn.text} cancel={cancel} send={send} />;
    }
    const isLong = beginning(turn.text, FOLD_LINES, FOLD_CHARACTERS) !== turn.text;
    const shown = isLong ? beginning(turn.text, SHOWN_LINES, SHOWN_CHARACTERS) : turn.text;
    const rest = turn.text.slice(shown.length);
    return (
        <article class="question" aria-label="You">
            <div class="bubble" dir="auto">
                {shown}{rest && <span class={unfolded ? '' : 'folded'}>{rest}</span>}
                {isLong && (
                    <button type="button" class="fold" aria-expanded={unfolded} onClick={() => setUnfolded(!unfolded)}>
                        {unfolded ? 'Show less' : `Show all ${turn.text.length.toLocaleString('en')} characters`}
                    </button>
                )}
            </div>
            <div class={versions.versions > 1 ? 'tools has-versions' : 'tools'}>
                <button ref={editButton} type="button" class="icon-button" aria-label="Edit message" title="Edit" onClick={() => setEditing(true)}>
                    <EditIcon />
                </button>
                <CopyButton text={turn.text} label="Copy message" />
                <Versions chat={chat} of="message" {...versions} />
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
                    if (isComposing(event)) return;
                    if (event.key === 'Escape') {
                        event.preventDefault();
                        cancel();
                    }
                    if (event.key === 'Enter' && !event.shiftKey) {
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
