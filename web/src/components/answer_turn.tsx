// One answer of the model, while it is made and after.
import type { Chat } from '../chat';
import type { Phase } from '../chat_state';
import type { AssistantTurn, Statistics, ToolCall } from '../conversation';
import { focusComposer } from '../focus';
import { visible } from '../markdown';
import { placeText } from '../place';
import { CopyButton } from './copy_button';
import { AgainIcon } from './icons';
import { MarkdownView } from './markdown_view';
import { EndingNotice, offersRetry, WaitingNotice } from './notice';
import { Thinking } from './thinking';
import { unchanging } from './unchanging';
import { Versions, type VersionProps } from './versions';

interface Props extends VersionProps {
    chat: Chat;
    turn: AssistantTurn;
    phase: Phase | undefined;
    /** Another tab receives it. */
    isElsewhere: boolean;
    isLast: boolean;
}

export const AnswerTurn = unchanging(({ chat, turn, phase, isElsewhere, isLast, ...versions }: Props) => {
    const streams = turn.ending === 'streaming';
    const again = () => void chat.regenerate(turn.id).then((begun) => { if (begun) focusComposer(); });
    return (
        <article class={isLast ? 'answer last' : 'answer'} aria-label="Answer" aria-busy={streams}>
            {turn.thinking && <Thinking key={turn.id} turn={turn} />}
            {turn.text && <MarkdownView key={turn.id} text={turn.text} streams={streams} />}
            {turn.toolCalls.map((call, index) => <ToolCallView key={index} call={call} />)}
            {phase && <Progress chat={chat} phase={phase} />}
            {streams && isElsewhere && <p class="aside"><Dots /> Answering in another tab</p>}
            {!streams && <EndingNotice chat={chat} turn={turn} again={again} />}
            {!streams && (
                <div class={versions.versions > 1 ? 'tools has-versions' : 'tools'}>
                    <Versions chat={chat} of="answer" {...versions} />
                    {turn.text && <CopyButton text={turn.text} label="Copy answer" />}
                    {!offersRetry(turn) && (
                        <button type="button" class="icon-button" aria-label="Answer again" title="Answer again" onClick={again}>
                            <AgainIcon />
                        </button>
                    )}
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
            {answerTokens.toLocaleString('en')} {answerTokens === 1 ? 'token' : 'tokens'}{tokensPerSecond !== null && ` · ${tokensPerSecond.toFixed(1)}/s`}
        </span>
    );
}
