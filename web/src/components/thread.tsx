// The turns of the current conversation. It follows a growing answer only while the reader is at its end.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Chat } from '../chat';
import { useStore } from '../store';
import { AnswerTurn } from './answer_turn';
import { DownIcon } from './icons';
import { QuestionTurn } from './question_turn';

const NEAR_END = 32;

export function Thread({ chat }: { chat: Chat }) {
    const id = useStore(chat.store, (state) => state.current.id);
    const turns = useStore(chat.store, (state) => state.current.turns);
    const phase = useStore(chat.store, (state) => state.phases[state.current.id]);
    const loaded = useStore(chat.store, (state) => state.loaded);
    const { scroller, content, isAway, toEnd } = useFollow(id, turns.length);

    return (
        <div class="thread-frame">
            <div ref={scroller} class="thread" tabindex={-1}>
                <div ref={content} class="thread-content">
                    {loaded && !turns.length && <Greeting />}
                    <ol aria-label="Messages">
                        {turns.map((turn, index) => (
                            <li key={turn.id}>
                                {turn.role === 'user'
                                    ? <QuestionTurn chat={chat} turn={turn} />
                                    : <AnswerTurn chat={chat} turn={turn} phase={turn.ending === 'streaming' ? phase : undefined} isLast={index === turns.length - 1} />}
                            </li>
                        ))}
                    </ol>
                </div>
            </div>
            {isAway && (
                <button type="button" class="to-end" aria-label="Go to the latest message" title="Latest" onClick={toEnd}>
                    <DownIcon />
                </button>
            )}
        </div>
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
function useFollow(conversation: string, length: number) {
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
    useLayoutEffect(toEnd, [conversation, length]);

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
