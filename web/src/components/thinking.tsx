// What the model thought before it answered: a line while it thinks and after, open only for those who ask.
import { visible } from '../markdown';
import type { AssistantTurn } from '../conversation';
import { ChevronIcon } from './icons';

function describe(turn: AssistantTurn): string {
    if (turn.ending === 'streaming' && turn.thinkingSeconds === null) return 'Thinking';
    if (turn.thinkingSeconds === null) return 'Thought, but not to the end';
    const seconds = Math.round(turn.thinkingSeconds);
    if (seconds < 1) return 'Thought for a moment';
    if (seconds < 60) return `Thought for ${seconds} s`;
    return `Thought for ${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

export function Thinking({ turn }: { turn: AssistantTurn }) {
    const thinks = turn.ending === 'streaming' && turn.thinkingSeconds === null;
    return (
        <details class={thinks ? 'thinking thinks' : 'thinking'}>
            <summary><ChevronIcon /><span>{describe(turn)}</span></summary>
            <div class="thinking-text" dir="auto">{visible(turn.thinking.trim())}</div>
        </details>
    );
}
