// Where a person writes. What is half written survives a reload and a change of conversation.
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Chat } from '../chat';
import { useDraft } from '../drafts';
import { focusComposer, touch } from '../focus';
import { isComposing } from '../keys';
import { useStore } from '../store';
import { readTextFile } from '../text_files';
import { SendIcon, StopIcon, ThinkIcon } from './icons';
import { fitHeight } from './text_area';

/** Say how full the context is from here on. */
const NEARLY_FULL = 0.7;

/** Files dropped anywhere on the page or pasted: the browser would otherwise open them in place of the chat. */
function useFiles(insert: (text: string) => void, tell: (text: string) => void): void {
    const latest = useRef({ insert, tell });
    latest.current = { insert, tell };
    useEffect(() => {
        const take = async (files: readonly File[]) => {
            for (const file of files) {
                const content = await readTextFile(file);
                if ('text' in content) latest.current.insert(content.text);
                else latest.current.tell(content.problem);
            }
        };
        const isField = (target: EventTarget | null) => target instanceof HTMLTextAreaElement || target instanceof HTMLInputElement;
        const bringsFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
        const isOpen = () => document.querySelector('dialog[open]') !== null;
        const dragged = (event: DragEvent) => {
            if (isField(event.target) && !bringsFiles(event)) return; // Text moved into a field.
            event.preventDefault();
            if (event.dataTransfer) event.dataTransfer.dropEffect = bringsFiles(event) && !isOpen() ? 'copy' : 'none';
        };
        const dropped = (event: DragEvent) => {
            if (isField(event.target) && !bringsFiles(event)) return;
            event.preventDefault();
            if (!isOpen()) void take([...(event.dataTransfer?.files ?? [])]);
        };
        const pasted = (event: ClipboardEvent) => {
            const files = [...(event.clipboardData?.files ?? [])];
            // What an office program copies is text with a picture of it: the text is meant.
            if (!files.length || event.clipboardData?.types.includes('text/plain') || isOpen()) return;
            event.preventDefault();
            void take(files);
        };
        window.addEventListener('dragover', dragged);
        window.addEventListener('drop', dropped);
        window.addEventListener('paste', pasted);
        return () => {
            window.removeEventListener('dragover', dragged);
            window.removeEventListener('drop', dropped);
            window.removeEventListener('paste', pasted);
        };
    }, []);
}

export function Composer({ chat }: { chat: Chat }) {
    const name = useStore(chat.store, (state) => (state.current.turns.length ? state.current.id : 'new'));
    const conversation = useStore(chat.store, (state) => state.current.id);
    const isBusy = useStore(chat.store, (state) => state.current.id in state.phases);
    const isElsewhere = useStore(chat.store, (state) => state.elsewhere.includes(state.current.id));
    const draft = useDraft(name);
    const field = useRef<HTMLTextAreaElement>(null);

    useLayoutEffect(() => fitHeight(field.current), [draft.text]);
    useLayoutEffect(() => {
        if (!touch.matches) field.current?.focus();
    }, [conversation]);

    const mayNot = isBusy || isElsewhere || !draft.text.trim();
    const send = () => {
        // What is in the field: a letter typed just before Enter is not rendered yet.
        const text = field.current?.value ?? draft.text;
        if (isBusy || isElsewhere || !text.trim()) return;
        void chat.send(text).then((sent) => {
            if (!sent) return;
            draft.sent(text);
            focusComposer();
        });
    };

    useFiles((text) => {
        const element = field.current;
        const now = element?.value ?? '';
        const [start, end] = [element?.selectionStart ?? now.length, element?.selectionEnd ?? now.length];
        const before = now.slice(0, start);
        const gap = before && !before.endsWith('\n') ? '\n\n' : '';
        draft.change(before + gap + text + now.slice(end));
        if (element) {
            element.value = before + gap + text + now.slice(end);
            element.setSelectionRange(start + gap.length + text.length, start + gap.length + text.length);
            if (!touch.matches) element.focus();
        }
    }, (problem) => chat.offer(problem));

    return (
        <form class="composer" onSubmit={(event) => { event.preventDefault(); send(); }}>
            <p class="composer-note" role="status">
                {isElsewhere && !isBusy && 'Answering in another tab. What you write here is kept until then.'}
            </p>
            <div class="composer-box">
                <textarea ref={field} id="message" rows={1} dir="auto" value={draft.text} aria-label="Message" placeholder="Message"
                    enterkeyhint={touch.matches ? 'enter' : 'send'}
                    onInput={(event) => draft.change(event.currentTarget.value)}
                    onKeyDown={(event) => {
                        if (event.key === 'Enter' && !event.shiftKey && !isComposing(event) && !touch.matches) {
                            event.preventDefault();
                            send();
                        }
                    }} />
                <div class="composer-bar">
                    <ThinkingToggle chat={chat} />
                    <ContextUse chat={chat} />
                    {isBusy
                        ? <button key="stop" type="button" class="round" aria-label="Stop (Esc)" title="Stop (Esc)" onClick={() => { chat.stop(); focusComposer(); }}><StopIcon /></button>
                        : <button key="send" type="submit" class="round" aria-label="Send" title="Send" disabled={mayNot}><SendIcon /></button>}
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
