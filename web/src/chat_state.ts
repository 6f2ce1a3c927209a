// What the components show.
import type { AssistantTurn, Conversation } from './conversation';
import type { ServerState } from './server_info';
import type { Settings } from './settings';

/** What an answer that is being made is doing. */
export type Phase =
    | { name: 'sending' }
    | { name: 'queued'; ahead: number; seconds: number | null }
    | { name: 'reading'; done: number; total: number }
    | { name: 'answering' }
    | { name: 'waiting'; until: number; message: string };

export interface Offer {
    text: string;
    undo: (() => void) | null;
}

/** One line of the list. */
export interface Entry {
    id: string;
    title: string;
    updated: number;
}

/** What does not outlive the page, and why: the banner says so until it is over. */
export interface Keeping {
    /** temporary: the browser keeps nothing. unsaved: some do not fit. unreadable: the kept ones are there, but not for us. */
    conversations: 'kept' | 'temporary' | 'unsaved' | 'unreadable';
    settings: boolean;
}

export interface ChatState {
    loaded: boolean;
    /** Latest first. */
    entries: readonly Entry[];
    /** An id that is in no entry yet is not kept: a new one appears in the list with its first message. */
    current: Conversation;
    /** The answers that arrive now, by conversation: newer than what `current` has of them. */
    answers: Readonly<Record<string, AssistantTurn>>;
    phases: Readonly<Record<string, Phase>>;
    /** The conversations in which another tab answers. */
    elsewhere: readonly string[];
    server: ServerState;
    settings: Settings;
    keeping: Keeping;
    asksKey: 'no' | 'first' | 'wrong';
    offer: Offer | null;
    announcement: string;
}
