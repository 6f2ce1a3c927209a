// Versions of turns, and two copies of a conversation put together, without a browser.
import test from 'node:test';
import assert from 'node:assert/strict';
import { load } from './sources.mjs';

const { chooseVersion, fromStorage, merge, turnsTo, versionsOf, withTurns } = await load('branches.ts');
const { messagesOf, withoutStreaming } = await load('conversation.ts');

let clock = 1;
const user = (id, parent, text = id) => ({ role: 'user', id, parent, created: clock++, text });
const answer = (id, parent, more = {}) => ({
    role: 'assistant', id, parent, created: clock++, text: id, thinking: '', thinkingSeconds: null, toolCalls: [], ending: 'complete',
    problem: null, statistics: null, ...more,
});
const empty = { id: 'c', title: '', updated: 1, changed: 1, system: '', thinking: true, turns: [], others: [], choices: {} };
const shown = (conversation) => conversation.turns.map((turn) => turn.id);
const everything = (conversation) => [...conversation.turns, ...conversation.others].map((turn) => turn.id).sort();

const two = withTurns(empty, [user('q1', ''), answer('a1', 'q1'), user('q2', 'a1'), answer('a2', 'q2')]);

test('an edited question is another version, and what followed the first is still there', () => {
    const edited = withTurns(two, [user('q1b', ''), answer('a1b', 'q1b')]);
    assert.deepEqual(shown(edited), ['q1b', 'a1b']);
    assert.deepEqual(versionsOf(edited, edited.turns[0]).map((turn) => turn.id), ['q1', 'q1b']);
    const back = chooseVersion(edited, 'q1');
    assert.deepEqual(shown(back), ['q1', 'a1', 'q2', 'a2']);
    assert.deepEqual(shown(chooseVersion(back, 'q1b')), ['q1b', 'a1b']);
    assert.deepEqual(everything(back), ['a1', 'a1b', 'a2', 'q1', 'q1b', 'q2']);
});

test('below a version is shown what was last chosen there', () => {
    let conversation = withTurns(two, [answer('a1b', 'q1'), user('q2b', 'a1b')]);
    conversation = withTurns(chooseVersion(conversation, 'a1'), [user('q2c', 'a1')]);
    conversation = chooseVersion(conversation, 'q2');
    conversation = chooseVersion(chooseVersion(conversation, 'a1b'), 'a1');
    assert.deepEqual(shown(conversation), ['q1', 'a1', 'q2', 'a2']);
});

test('an answer that never began is no version, one that got half way is', () => {
    const failed = withTurns(two, [answer('a2b', 'q2', { text: '', ending: 'failed' })]);
    assert.deepEqual(shown(failed).at(-1), 'a2b');
    const again = withTurns(failed, [answer('a2c', 'q2', { text: 'half', ending: 'stopped' })]);
    assert.deepEqual(versionsOf(again, again.turns.at(-1)).map((turn) => turn.id), ['a2', 'a2c']);
    assert.equal(everything(merge(again, failed)).includes('a2b'), false);
});

test('the model is sent the turns that lead to the question, whatever is shown', () => {
    const edited = withTurns(two, [user('q1b', '')]);
    assert.deepEqual(messagesOf('', turnsTo(edited, 'q2')).map((message) => message.content), ['q1', 'a1', 'q2']);
    assert.deepEqual(messagesOf('Be short.', turnsTo(edited, 'q1b')).map((message) => message.content), ['Be short.', 'q1b']);
});

test('no turn of either copy is lost, whichever way round they are put together', () => {
    const [mine, theirs] = [withTurns(two, [user('m', 'a2'), answer('ma', 'm')]), withTurns(two, [user('t', 'a2'), answer('ta', 't')])];
    for (const whole of [merge(mine, theirs), merge(theirs, mine), merge(merge(mine, theirs), mine)]) {
        assert.deepEqual(everything(whole), ['a1', 'a2', 'm', 'ma', 'q1', 'q2', 't', 'ta']);
    }
    assert.deepEqual(shown(merge(two, mine)), ['q1', 'a1', 'q2', 'a2', 'm', 'ma'], 'what another tab added is shown');
});

test('of one answer in two copies the one that got further is kept', () => {
    const state = (more) => withTurns(empty, [user('q', ''), answer('a', 'q', more)]);
    const text = (conversation) => conversation.turns.at(-1).text;
    const [short, long] = [state({ text: 'ab', ending: 'streaming' }), state({ text: 'abc', ending: 'streaming' })];
    const whole = state({ text: 'a', ending: 'stopped' });
    assert.equal(text(merge(short, long)), 'abc');
    assert.equal(text(merge(long, short)), 'abc');
    for (const other of [short, long, withoutStreaming(long)]) {
        assert.equal(merge(other, whole).turns.at(-1).ending, 'stopped');
        assert.equal(merge(whole, other).turns.at(-1).ending, 'stopped');
    }
    assert.equal(merge(short, withoutStreaming(long)).turns.at(-1).ending, 'reloaded');
});

test('title, system prompt and chosen versions are those that were changed later', () => {
    const renamed = { ...two, title: 'Bread', changed: 5, updated: 1 };
    const later = { ...withTurns(two, [user('q3', 'a2')]), updated: 9 };
    for (const whole of [merge(renamed, later), merge(later, renamed)]) {
        assert.deepEqual([whole.title, whole.updated, whole.turns.length], ['Bread', 9, 5]);
    }
    const edited = withTurns(two, [user('q1b', '')]);
    assert.deepEqual(shown(merge(two, edited)), ['q1b']);
});

test('records from before there were versions, and records that are none', () => {
    const old = { id: 'old', title: '', updated: 7, system: '', thinking: false, turns: two.turns.map(({ parent, created, ...turn }) => turn) };
    const loaded = fromStorage(old);
    assert.deepEqual(shown(loaded), ['q1', 'a1', 'q2', 'a2']);
    assert.deepEqual(loaded.turns.map((turn) => turn.parent), ['', 'q1', 'a1', 'q2']);
    assert.deepEqual(shown(fromStorage(structuredClone(withTurns(loaded, [user('q1b', '')])))), ['q1b']);
    for (const record of [null, undefined, 5, 'x', [], {}, { id: 'x' }, { id: 5, turns: [] }, { id: 'x', turns: {} }]) assert.equal(fromStorage(record), null);
    assert.deepEqual(fromStorage({ id: 'x', turns: [null, 5, {}, { id: 'q', role: 'user', text: 'hi' }] }).turns.map((turn) => turn.text), ['hi']);
    const circle = fromStorage({ id: 'x', turns: [{ ...user('a', 'b') }, { ...user('b', 'a') }], others: [] });
    assert.deepEqual(shown(circle), []);
});
