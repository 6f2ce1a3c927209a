import type { Conversation } from './conversation';

/** Saves conversations as one JSON file by way of the browser's own download. */
export function downloadConversations(conversations: readonly Conversation[]): void {
    const text = JSON.stringify({ format: 'smollm conversations', version: 1, conversations }, null, 1);
    const address = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
    const link = document.createElement('a');
    link.href = address;
    link.download = `smollm-conversations-${new Date().toISOString().slice(0, 10)}.json`;
    document.body.append(link);
    link.click();
    link.remove();
    window.setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
