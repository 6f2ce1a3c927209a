// Versions of questions and answers. The turns of a conversation are a tree: those with the same parent are versions of
// each other, one of them is shown, and below it what followed it. Two copies of a conversation are put together by the
// ids of their turns, so that no turn of either is lost.
import type { AssistantTurn, Choices, Conversation, Turn } from './conversation';

export function allTurns(conversation: Conversation): Turn[] {
    return [...conversation.turns, ...conversation.others];
}

function byParent(turns: readonly Turn[]): Map<string, Turn[]> {
    const children = new Map<string, Turn[]>();
    for (const turn of turns) {
        const family = children.get(turn.parent);
        if (family) family.push(turn);
        else children.set(turn.parent, [turn]);
    }
    for (const family of children.values()) {
        family.sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1));
    }
    return children;
}

function isEmpty(turn: Turn): boolean {
    return turn.role === 'assistant' && turn.ending !== 'streaming' && !turn.text && !turn.thinking && !turn.toolCalls.length;
}

/** The conversation with these turns: those that the choices lead to are shown. An answer that never began is kept only while it is shown. */
function arrange(conversation: Conversation, all: readonly Turn[], choices: Choices): Conversation {
    const children = byParent(all);
    const turns: Turn[] = [];
    const shown = new Set<string>();
    for (let parent = ''; ;) {
        const family = children.get(parent);
        const next = family?.find((turn) => turn.id === choices[parent]?.id) ?? family?.at(-1);
        if (!next || shown.has(next.id)) break;
        turns.push(next);
        shown.add(next.id);
        parent = next.id;
    }
    const others = all.filter((turn) => !shown.has(turn.id) && (!isEmpty(turn) || children.has(turn.id)));
    return { ...conversation, turns, others, choices };
}

/** The versions of a shown turn, itself among them, in the order in which they were made. */
export function versionsOf(conversation: Conversation, turn: Turn): Turn[] {
    const versions = conversation.others.filter((each) => each.parent === turn.parent);
    return versions.length ? byParent([...versions, turn]).get(turn.parent)! : [turn];
}

/** Shows this version, and below it what was last shown there. */
export function chooseVersion(conversation: Conversation, id: string): Conversation {
    const all = allTurns(conversation);
    const turn = all.find((each) => each.id === id);
    return turn ? arrange(conversation, all, { ...conversation.choices, [turn.parent]: { id, at: Date.now() } }) : conversation;
}

/** Adds turns, each below the one before it, and shows them. */
export function withTurns(conversation: Conversation, added: readonly Turn[]): Conversation {
    const all = allTurns(conversation);
    const choices = { ...conversation.choices };
    for (const turn of added) {
        if (all.some((each) => each.parent === turn.parent)) choices[turn.parent] = { id: turn.id, at: Date.now() };
    }
    return arrange(conversation, [...all, ...added], choices);
}

/** The turn with this id, shown or not. */
export function turnOf(conversation: Conversation, id: string): Turn | undefined {
    return conversation.turns.find((turn) => turn.id === id) ?? conversation.others.find((turn) => turn.id === id);
}

/** The turns that lead to this one, itself the last. */
export function turnsTo(conversation: Conversation, id: string): Turn[] {
    const all = new Map(allTurns(conversation).map((turn) => [turn.id, turn]));
    const path: Turn[] = [];
    for (let turn = all.get(id); turn && !path.includes(turn); turn = all.get(turn.parent)) path.unshift(turn);
    return path;
}

/** How far an answer has got: one that ended has got further than one that arrives, of which the longer has. */
function progress(turn: AssistantTurn): number {
    if (turn.ending !== 'streaming' && turn.ending !== 'reloaded') return Infinity;
    return turn.text.length + turn.thinking.length + turn.toolCalls.reduce((sum, call) => sum + call.arguments.length, 0)
        + (turn.ending === 'reloaded' ? 0.5 : 0);
}

function further(mine: Turn, theirs: Turn): Turn {
    if (mine.role !== 'assistant' || theirs.role !== 'assistant') return mine;
    return progress(theirs) > progress(mine) ? theirs : mine;
}

function laterChoices(mine: Choices, theirs: Choices): Choices {
    const choices = { ...mine };
    for (const [parent, choice] of Object.entries(theirs)) {
        if (choice.at > (choices[parent]?.at ?? 0)) choices[parent] = choice;
    }
    return choices;
}

/** Two copies of one conversation as one: every turn of both, and of the rest what was changed later. */
export function merge(mine: Conversation, theirs: Conversation): Conversation {
    const turns = new Map(allTurns(mine).map((turn) => [turn.id, turn]));
    for (const turn of allTurns(theirs)) {
        const known = turns.get(turn.id);
        turns.set(turn.id, known ? further(known, turn) : turn);
    }
    const { title, system, thinking, changed } = theirs.changed > mine.changed ? theirs : mine;
    const fields = { ...mine, title, system, thinking, changed, updated: Math.max(mine.updated, theirs.updated) };
    return arrange(fields, [...turns.values()], laterChoices(mine.choices, theirs.choices));
}

function isRecord(value: unknown): value is Record<string, unknown> {
    return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A record from storage, or null where it is none. Records from before there were versions hold the shown turns alone. */
export function fromStorage(value: unknown): Conversation | null {
    if (!isRecord(value) || typeof value.id !== 'string' || !Array.isArray(value.turns)) return null;
    const isTurn = (turn: unknown): turn is Turn => isRecord(turn) && typeof turn.id === 'string' && typeof turn.text === 'string';
    let parent = '';
    const turns = value.turns.filter(isTurn).map((turn): Turn => {
        const placed = { ...turn, parent: turn.parent ?? parent, created: turn.created ?? 0 };
        parent = placed.id;
        return placed;
    });
    const others = Array.isArray(value.others) ? value.others.filter(isTurn) : [];
    const conversation = value as unknown as Conversation;
    const whole: Conversation = {
        id: conversation.id, title: conversation.title ?? '', updated: conversation.updated ?? 0, changed: conversation.changed ?? 0,
        system: conversation.system ?? '', thinking: conversation.thinking ?? true, turns, others, choices: conversation.choices ?? {},
    };
    return arrange(whole, allTurns(whole), whole.choices);
}
