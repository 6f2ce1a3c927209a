// The turns of the current conversation. It follows a growing answer only while the reader is at its end.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { versionsOf } from '../branches';
import type { Chat } from '../chat';
import type { AssistantTurn, Conversation, Turn } from '../conversation';
import { useStore } from '../store';
import { AnswerTurn } from './answer_turn';
import { DownIcon } from './icons';
import { QuestionTurn } from './question_turn';
import type { VersionProps } from './versions';

const NEAR_END = 32;

function versionProps(conversation: Conversation, turn: Turn): VersionProps {
    const versions = versionsOf(conversation, turn);
    const at = versions.indexOf(turn);
    return { version: at + 1, versions: versions.length, previous: versions[at - 1]?.id ?? null, next: versions[at + 1]?.id ?? null };
}

export function Thread({ chat }: { chat: Chat }) {
    const current = useStore(chat.store, (state) => state.current);
    const loaded = useStore(chat.store, (state) => state.loaded);
    const { turns } = current;
    const { scroller, content, isAway, toEnd } = useFollow(current.id, turns.at(-1)?.id);

    return (
        <div class="thread-frame">
            <div ref={scroller} class="thread" tabindex={-1}>
                <div ref={content} class="thread-content">
                    {loaded && !turns.length && <Greeting />}
                    <ol aria-label="Messages">
                        {turns.map((turn, index) => (
                            <li key={turn.parent}>
                                {turn.role === 'user'
                                    ? <QuestionTurn chat={chat} turn={turn} {...versionProps(current, turn)} />
                                    : <Answer chat={chat} conversation={current} turn={turn} isLast={index === turns.length - 1} />}
                            </li>
                        ))}
                    </ol>
                </div>
            </div>
            {isAway && (
                <button type="button" class="to-end" aria-label="Go to the latest message" title="Latest" onClick={() => { toEnd(); scroller.current?.focus(); }}>
                    <DownIcon />
                </button>
            )}
        </div>
    );
}

/** An answer with its newest text: only this one is rendered while it arrives. */
function Answer({ chat, conversation, turn, isLast }: { chat: Chat; conversation: Conversation; turn: AssistantTurn; isLast: boolean }) {
    const { id } = conversation;
    const streams = turn.ending === 'streaming';
    const live = useStore(chat.store, (state) => (state.answers[id]?.id === turn.id ? state.answers[id] : null));
    const phase = useStore(chat.store, (state) => (streams ? state.phases[id] : undefined));
    const isElsewhere = useStore(chat.store, (state) => streams && state.elsewhere.includes(id));
    return (
        <AnswerTurn chat={chat} turn={live ?? turn} phase={phase} isElsewhere={isElsewhere} isLast={isLast} {...versionProps(conversation, turn)} />
    );
}

function Greeting() {
    return (
        <div class="greeting">
            <p>What would you like to know?</p>
            <p class="hint">The model runs on this server alone. It is small: check what matters.</p>
        </div>
    );
}

/** Keeps the end in sight until the reader scrolls up, and again once they are back at the end. */
function useFollow(conversation: string, last: string | undefined) {
    const scroller = useRef<HTMLDivElement>(null);
    const content = useRef<HTMLDivElement>(null);
    const follows = useRef(true);
    const [isAway, setAway] = useState(false);

    const toEnd = () => {
        follows.current = true;
        setAway(false);
        const element = scroller.current;
        if (element) element.scrollTop = element.scrollHeight;
    };

    // A new question, or another conversation, is looked at from its end.
    useLayoutEffect(toEnd, [conversation, last]);

    useEffect(() => {
        const element = scroller.current;
        const inner = content.current;
        if (!element || !inner) return;
        let last = element.scrollTop;
        const gap = () => element.scrollHeight - element.scrollTop - element.clientHeight;
        const scrolled = () => {
            if (gap() < NEAR_END) follows.current = true;
            else if (element.scrollTop < last - 1) follows.current = false;
            last = element.scrollTop;
            setAway(!follows.current);
        };
        const grown = new ResizeObserver(() => {
            if (follows.current) element.scrollTop = element.scrollHeight;
            else setAway(gap() >= NEAR_END);
            last = element.scrollTop; // A block that got shorter moves the end up: that was not the reader.
        });
        element.addEventListener('scroll', scrolled, { passive: true });
        grown.observe(inner);
        grown.observe(element);
        return () => {
            element.removeEventListener('scroll', scrolled);
            grown.disconnect();
        };
    }, []);

    return { scroller, content, isAway, toEnd };
}
