// Where a person writes. What is half written survives a reload and a change of conversation.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Chat } from '../chat';
import { useStore } from '../store';
import { SendIcon, StopIcon, ThinkIcon } from './icons';
import { fitHeight } from './text_area';

/** On a touch keyboard, Enter is a new line and the button sends. */
const touch = window.matchMedia('(pointer: coarse)');

/** Say how full the context is from here on. */
const NEARLY_FULL = 0.7;

function useDraft(id: string): [string, (text: string) => void] {
    const name = `smollm.draft.${id}`;
    const load = () => {
        try {
            return sessionStorage.getItem(name) ?? '';
        } catch {
            return '';
        }
    };
    const [draft, setDraft] = useState({ name, text: load() });
    const shown = draft.name === name ? draft : { name, text: load() };
    const change = (text: string) => {
        setDraft({ name, text });
        try {
            if (text) sessionStorage.setItem(name, text);
            else sessionStorage.removeItem(name);
        } catch {
            // The draft then lives in the page alone.
        }
    };
    return [shown.text, change];
}

export function Composer({ chat }: { chat: Chat }) {
    const id = useStore(chat.store, (state) => (state.current.turns.length ? state.current.id : 'new'));
    const conversation = useStore(chat.store, (state) => state.current.id);
    const isBusy = useStore(chat.store, (state) => state.current.id in state.phases);
    const [draft, setDraft] = useDraft(id);
    const field = useRef<HTMLTextAreaElement>(null);

    useLayoutEffect(() => fitHeight(field.current), [draft]);
    useLayoutEffect(() => {
        if (!touch.matches) field.current?.focus();
    }, [conversation]);

    const send = () => {
        if (isBusy || !draft.trim()) return;
        setDraft('');
        chat.send(draft);
    };

    return (
        <form class="composer" onSubmit={(event) => { event.preventDefault(); send(); }}>
            <div class="composer-box">
                <textarea ref={field} rows={1} dir="auto" value={draft} aria-label="Message" placeholder="Message"
                    enterkeyhint={touch.matches ? 'enter' : 'send'}
                    onInput={(event) => setDraft(event.currentTarget.value)}
                    onKeyDown={(event) => {
                        if (event.key === 'Enter' && !event.shiftKey && !event.isComposing && !touch.matches) {
                            event.preventDefault();
                            send();
                        }
                    }} />
                <div class="composer-bar">
                    <ThinkingToggle chat={chat} />
                    <ContextUse chat={chat} />
                    {isBusy
                        ? <button key="stop" type="button" class="round" aria-label="Stop (Esc)" title="Stop (Esc)" onClick={() => chat.stop()}><StopIcon /></button>
                        : <button key="send" type="submit" class="round" aria-label="Send" title="Send" disabled={!draft.trim()}><SendIcon /></button>}
                </div>
            </div>
        </form>
    );
}

function ThinkingToggle({ chat }: { chat: Chat }) {
    const canThink = useStore(chat.store, (state) => state.server.status === 'ready' && state.server.info.canThink);
    const thinking = useStore(chat.store, (state) => state.current.thinking);
    if (!canThink) return null;
    return (
        <button type="button" class="toggle" aria-pressed={thinking} title={thinking ? 'The model thinks before it answers' : 'The model answers at once'}
            onClick={() => chat.setThinking(!thinking)}>
            <ThinkIcon /> Think
        </button>
    );
}

function ContextUse({ chat }: { chat: Chat }) {
    const share = useStore(chat.store, (state) => {
        const context = state.server.status === 'ready' ? state.server.info.contextTokens : null;
        const last = state.current.turns.findLast((turn) => turn.role === 'assistant' && turn.statistics !== null);
        if (!context || last?.role !== 'assistant' || !last.statistics) return 0;
        return (last.statistics.promptTokens + last.statistics.answerTokens) / context;
    });
    if (share < NEARLY_FULL) return null;
    return <span class="context-use" title="Past the end, the model can read no more of this conversation">Context {Math.min(100, Math.round(share * 100))} % full</span>;
}
