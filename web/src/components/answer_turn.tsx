// One answer of the model, while it is made and after.
import type { Chat, Phase } from '../chat';
import type { AssistantTurn, Statistics, ToolCall } from '../conversation';
import { visible } from '../markdown';
import { placeText } from '../place';
import { CopyButton } from './copy_button';
import { AgainIcon } from './icons';
import { MarkdownView } from './markdown_view';
import { EndingNotice, WaitingNotice } from './notice';
import { Thinking } from './thinking';
import { unchanging } from './unchanging';

interface Props {
    chat: Chat;
    turn: AssistantTurn;
    phase: Phase | undefined;
    isLast: boolean;
}

export const AnswerTurn = unchanging(({ chat, turn, phase, isLast }: Props) => {
    const streams = turn.ending === 'streaming';
    return (
        <article class={isLast ? 'answer last' : 'answer'} aria-label="Answer" aria-busy={streams}>
            {turn.thinking && <Thinking turn={turn} />}
            {turn.text && <MarkdownView text={turn.text} streams={streams} />}
            {turn.toolCalls.map((call, index) => <ToolCallView key={index} call={call} />)}
            {phase && <Progress chat={chat} phase={phase} />}
            {!streams && <EndingNotice chat={chat} turn={turn} />}
            {!streams && (turn.text || !turn.problem) && (
                <div class="tools">
                    {turn.text && <CopyButton text={turn.text} label="Copy answer" />}
                    <button type="button" class="icon-button" aria-label="Answer again" title="Answer again" onClick={() => chat.regenerate(turn.id)}>
                        <AgainIcon />
                    </button>
                    {turn.statistics && <Figures statistics={turn.statistics} />}
                </div>
            )}
        </article>
    );
});

function Progress({ chat, phase }: { chat: Chat; phase: Phase }) {
    switch (phase.name) {
        case 'sending': return <Dots />;
        case 'waiting': return <WaitingNotice chat={chat} phase={phase} />;
        case 'answering': return null;
        case 'queued': return <p class="aside"><Dots /> {placeText(phase.ahead, phase.seconds)}</p>;
        case 'reading':
            return <p class="aside"><Dots /> Reading the conversation, {Math.floor((100 * phase.done) / phase.total)} %</p>;
    }
}

function Dots() {
    return <span class="dots" role="img" aria-label="Waiting for the answer"><i /><i /><i /></span>;
}

function ToolCallView({ call }: { call: ToolCall }) {
    return (
        <div class="tool-call">
            <span>The model asks for <code>{visible(call.name)}</code>, which this page cannot run:</span>
            <pre tabindex={0}><code>{visible(call.arguments)}</code></pre>
        </div>
    );
}

function Figures({ statistics }: { statistics: Statistics }) {
    const { answerTokens, promptTokens, cachedTokens, tokensPerSecond } = statistics;
    const cached = cachedTokens ? `, ${cachedTokens.toLocaleString('en')} of them remembered` : '';
    return (
        <span class="figures" title={`${promptTokens.toLocaleString('en')} tokens read${cached}`}>
            {answerTokens.toLocaleString('en')} tokens{tokensPerSecond !== null && ` · ${tokensPerSecond.toFixed(1)}/s`}
        </span>
    );
}
