// What a conversation is, and the pure steps from one to the next. Nothing here is changed in place.
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

/** How an answer ended. `streaming` found in storage means that the page went away before the end. */
export type Ending = 'streaming' | 'complete' | 'stopped' | 'length' | 'reloaded' | 'failed';

export interface UserTurn {
    role: 'user';
    id: string;
    text: string;
}

export interface AssistantTurn {
    role: 'assistant';
    id: string;
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
    updated: number;
    system: string;
    thinking: boolean;
    turns: Turn[];
}

export function newConversation(thinking: boolean): Conversation {
    return { id: newIdentifier(), title: '', updated: Date.now(), system: '', thinking, turns: [] };
}

export function newUserTurn(text: string): UserTurn {
    return { role: 'user', id: newIdentifier(), text };
}

export function newAssistantTurn(): AssistantTurn {
    return {
        role: 'assistant', id: newIdentifier(), text: '', thinking: '', thinkingSeconds: null,
        toolCalls: [], ending: 'streaming', problem: null, statistics: null,
    };
}

export function titleOf(conversation: Conversation): string {
    if (conversation.title) return conversation.title;
    const first = conversation.turns.find((turn) => turn.role === 'user');
    const line = first?.text.trim().replace(/\s+/g, ' ') ?? '';
    if (!line) return 'New conversation';
    const letters = Array.from(line);
    return letters.length > 60 ? letters.slice(0, 59).join('') + '…' : line;
}

/** The turns before the one with this id, or all of them if there is none. */
export function turnsBefore(conversation: Conversation, id: string): Turn[] {
    const index = conversation.turns.findIndex((turn) => turn.id === id);
    return index < 0 ? conversation.turns : conversation.turns.slice(0, index);
}

export function withTurn(conversation: Conversation, changed: Turn): Conversation {
    return { ...conversation, turns: conversation.turns.map((turn) => (turn.id === changed.id ? changed : turn)) };
}

export interface WireMessage {
    role: 'system' | 'user' | 'assistant';
    content: string;
}

/** What the model is sent: answers without their thinking, and answers that never began not at all. */
export function messagesOf(conversation: Conversation): WireMessage[] {
    const messages: WireMessage[] = [];
    if (conversation.system.trim()) messages.push({ role: 'system', content: conversation.system });
    for (const turn of conversation.turns) {
        if (turn.role === 'user' || turn.text) messages.push({ role: turn.role, content: turn.text });
    }
    return messages;
}

/** An answer that was arriving when the page was closed keeps what it had, and says so. */
export function withoutStreaming(conversation: Conversation): Conversation {
    if (!conversation.turns.some((turn) => turn.role === 'assistant' && turn.ending === 'streaming')) return conversation;
    return {
        ...conversation,
        turns: conversation.turns.map((turn) =>
            turn.role === 'assistant' && turn.ending === 'streaming' ? { ...turn, ending: 'reloaded' as const } : turn),
    };
}
