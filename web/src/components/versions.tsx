// ‹ 2/3 ›: the versions of a question or an answer.
import type { Chat } from '../chat';
import { ChevronIcon } from './icons';

/** The place of the shown version among all, from 1, and the ids of its neighbours. */
export interface VersionProps {
    version: number;
    versions: number;
    previous: string | null;
    next: string | null;
}

export function Versions({ chat, of, version, versions, previous, next }: VersionProps & { chat: Chat; of: string }) {
    if (versions < 2) return null;
    // Not `disabled`: the button that was just pressed keeps the focus at either end.
    const button = (id: string | null, name: string, side: string) => (
        <button type="button" class={`icon-button ${side}`} aria-label={name} title={name} aria-disabled={id === null}
            onClick={() => { if (id !== null) chat.showVersion(id); }}>
            <ChevronIcon />
        </button>
    );
    return (
        <span class="versions" role="group" aria-label={`Versions of the ${of}`}>
            {button(previous, `Previous version of the ${of}`, 'previous')}
            <span aria-live="polite" aria-label={`Version ${version} of ${versions}`} role="img">{version}/{versions}</span>
            {button(next, `Next version of the ${of}`, 'next')}
        </span>
    );
}
