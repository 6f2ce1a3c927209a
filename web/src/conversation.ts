// What a conversation is, and the pure steps from one to the next. Nothing here is changed in place.
// branches.ts has the steps that choose between versions of a question or an answer.
import { newIdentifier } from './identifier';
import type { Problem } from './problem';

export interface Statistics {
    promptTokens: number;
    cachedTokens: number;
    answerTokens: number;
    tokensPerSecond: number | null;
}

export interface ToolCall {
    name: string;
    arguments: string;
}

/** How an answer ended. `streaming` found in storage means that another tab receives it, or that the page went away before the end. */
export type Ending = 'streaming' | 'complete' | 'stopped' | 'length' | 'reloaded' | 'failed';

interface Place {
    id: string;
    /** The turn that this one follows; '' at the beginning. Turns with the same parent are versions of each other. */
    parent: string;
    /** Milliseconds since 1970: orders the versions. 0 for turns kept before there were versions. */
    created: number;
}

export interface UserTurn extends Place {
    role: 'user';
    text: string;
}

export interface AssistantTurn extends Place {
    role: 'assistant';
    text: string;
    thinking: string;
    thinkingSeconds: number | null;
    toolCalls: ToolCall[];
    ending: Ending;
    problem: Problem | null;
    statistics: Statistics | null;
}

export type Turn = UserTurn | AssistantTurn;

export interface Conversation {
    id: string;
    title: string;
    /** When the last message was sent: the order of the list. */
    updated: number;
    /** When title, system or thinking were last changed: which of two copies has the newer ones. */
    changed: number;
    system: string;
    thinking: boolean;
    /** The turns that are shown, from first to last. */
    turns: Turn[];
    /** The turns of the versions that are not shown. */
    others: Turn[];
    choices: Choices;
}

/** The version chosen below a turn, by the turn's id, and when; where none was, the latest is shown. */
export type Choices = Readonly<Record<string, { id: string; at: number }>>;

export function newConversation(thinking: boolean): Conversation {
    return {
        id: newIdentifier(), title: '', updated: Date.now(), changed: Date.now(), system: '', thinking,
        turns: [], others: [], choices: {},
    };
}

export function newUserTurn(text: string, parent: string): UserTurn {
    return { role: 'user', id: newIdentifier(), parent, created: Date.now(), text };
}

export function newAssistantTurn(parent: string): AssistantTurn {
    return {
        role: 'assistant', id: newIdentifier(), parent, created: Date.now(), text: '', thinking: '', thinkingSeconds: null,
        toolCalls: [], ending: 'streaming', problem: null, statistics: null,
    };
}

/** The id below which the next turn goes. */
export function endOf(conversation: Conversation): string {
    return conversation.turns.at(-1)?.id ?? '';
}

export function titleOf(conversation: Conversation): string {
    if (conversation.title) return conversation.title;
    const first = conversation.turns.find((turn) => turn.role === 'user');
    const line = first?.text.slice(0, 2000).trim().replace(/\s+/g, ' ') ?? '';
    if (!line) return 'New conversation';
    const letters = Array.from(line);
    return letters.length > 60 ? letters.slice(0, 59).join('') + '…' : line;
}

export function withTurn(conversation: Conversation, changed: Turn): Conversation {
    const replace = (turns: Turn[]) =>
        turns.some((turn) => turn.id === changed.id) ? turns.map((turn) => (turn.id === changed.id ? changed : turn)) : turns;
    return { ...conversation, turns: replace(conversation.turns), others: replace(conversation.others) };
}

export interface WireMessage {
    role: 'system' | 'user' | 'assistant';
    content: string;
}

/** What the model is sent: answers without their thinking, and answers that never began not at all. */
export function messagesOf(system: string, turns: readonly Turn[]): WireMessage[] {
    const messages: WireMessage[] = [];
    if (system.trim()) messages.push({ role: 'system', content: system });
    for (const turn of turns) {
        if (turn.role === 'user' || turn.text) messages.push({ role: turn.role, content: turn.text });
    }
    return messages;
}

function isStreaming(turn: Turn): boolean {
    return turn.role === 'assistant' && turn.ending === 'streaming';
}

/** Whether an answer is arriving, here or in another tab. */
export function hasStreaming(conversation: Conversation): boolean {
    return conversation.turns.some(isStreaming) || conversation.others.some(isStreaming);
}

/** An answer that was arriving when its page was closed keeps what it had, and says so. */
export function withoutStreaming(conversation: Conversation): Conversation {
    if (!hasStreaming(conversation)) return conversation;
    const end = (turn: Turn): Turn => (isStreaming(turn) ? { ...(turn as AssistantTurn), ending: 'reloaded' } : turn);
    return { ...conversation, turns: conversation.turns.map(end), others: conversation.others.map(end) };
}
