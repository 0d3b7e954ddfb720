// The list's order, what newer words change in it, and where a reader's line stays.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallSummary } from '../src/api.ts';
import { anchorShift, compareInstants, firstVisible, merge, newer, order, withHeadings, withoutStaleLive, type Item, type Layout } from '../src/callOrder.ts';

function call(id: string, minute: number, change: Partial<CallSummary> = {}): CallSummary {
  const party = { uri: null, number: null, name: null };
  return {
    id,
    protocol: 'sip',
    direction: 'inbound',
    state: 'completed',
    status: 200,
    started_at: new Date(Date.UTC(2026, 10, 20, 10, minute)).toISOString(),
    answered_at: null,
    ended_at: null,
    duration_ms: null,
    from: party,
    to: party,
    marks: [],
    has_audio: false,
    recording_id: null,
    gaps: 0,
    sensor: 's',
    ...change,
  };
}

const live = (id: string, minute: number): CallSummary => call(id, minute, { state: 'active', status: null });
const ids = (calls: readonly CallSummary[]): string => calls.map(({ id }) => id).join('');

test('live calls come first, each group newest first, equal instants by id', () => {
  const calls = merge(new Map(), [call('a', 5), live('b', 1), call('c', 7), live('d', 2), call('e', 5)]);
  assert.equal(ids(order(calls, null)), 'dbcea');
});

test('a finished call that began before the loaded pages waits for its page', () => {
  const frontier = call('x', 5).started_at;
  const calls = merge(new Map(), [call('a', 4), call('b', 5), live('c', 1)]);
  assert.equal(ids(order(calls, frontier)), 'cb');
});

test('instants are ordered beyond the millisecond', () => {
  assert.ok(compareInstants('2026-01-01T00:00:00.000002Z', '2026-01-01T00:00:00.000001Z') > 0);
  assert.ok(compareInstants('2026-01-01T00:00:00.000002Z', '2026-01-01T00:00:00.001000Z') < 0);
});

test('a page that was asked for before an event does not undo it', () => {
  const ended = call('a', 1);
  const recorded = call('a', 1, { has_audio: true, recording_id: 'r' });
  const answered = call('a', 1, { state: 'active', answered_at: ended.started_at });
  assert.equal(newer(ended, live('a', 1)), ended);
  assert.equal(newer(recorded, ended), recorded);
  assert.equal(newer(answered, live('a', 1)), answered);
  assert.equal(newer(answered, ended), ended);
  assert.equal(newer(ended, recorded), recorded);
});

test('what changes nothing gives back the same map, so that nothing is drawn again', () => {
  const known = merge(new Map(), [call('a', 1)]);
  assert.equal(merge(known, [call('a', 1)]), known);
  assert.notEqual(merge(known, [call('a', 1, { gaps: 2 })]), known);
  assert.equal(known.get('a')?.gaps, 0);
});

test('live calls that control does not count any more are forgotten, finished ones are kept', () => {
  const known = merge(new Map(), [live('a', 1), live('b', 2), call('c', 3)]);
  assert.equal(ids(order(withoutStaleLive(known, new Set(['b'])), null)), 'bc');
  assert.equal(withoutStaleLive(known, new Set(['a', 'b'])), known);
});

test('headings stand over live calls and over each day', () => {
  const now = new Date(2026, 10, 20, 12);
  const at = (day: number): string => new Date(2026, 10, day, 9).toISOString();
  const calls = [live('a', 1), live('b', 1), call('c', 0, { started_at: at(20) }), call('d', 0, { started_at: at(19) })];
  const shown = withHeadings(calls, now).map((item) => (item.kind === 'call' ? item.key : `${item.title} ${item.count ?? ''}`.trim()));
  assert.deepEqual(shown, ['Live now 2', 'a', 'b', 'Today', 'c', 'Yesterday', 'd']);
});

const item = (one: CallSummary): Item => ({ kind: 'call', key: one.id, call: one });
const tops = (items: readonly Item[]): number[] => items.reduce<number[]>((all) => [...all, (all.at(-1) ?? 0) + 40], [0]);

test('the first line in view is found by its end', () => {
  assert.equal(firstVisible([0, 40, 80, 120], 0), 0);
  assert.equal(firstVisible([0, 40, 80, 120], 39), 0);
  assert.equal(firstVisible([0, 40, 80, 120], 40), 1);
  assert.equal(firstVisible([0, 40, 80, 120], 999), 2);
  assert.equal(firstVisible([0], 5), 0);
});

const layout = (calls: readonly CallSummary[]): Layout => {
  const items = calls.map(item);
  return { items, tops: tops(items) };
};
const from = (top: number): { from: number; to: number } => ({ from: top, to: top + 200 });

test('lines that come or go above the reader do not move what is being read', () => {
  const before = layout([call('a', 5), call('b', 4), call('c', 3)]);
  const after = layout([call('x', 7), call('y', 6), call('a', 5), call('b', 4), call('c', 3)]);
  assert.equal(anchorShift(before, after, from(50), null), 80);
  assert.equal(anchorShift(after, before, from(130), null), -80);
  assert.equal(anchorShift(before, after, from(0), null), 0, 'at the top new calls are to be seen');
});

test('a call that ends in view is no anchor: it moves, the lines around it stay', () => {
  const before = layout([live('a', 1), live('b', 2), call('c', 3), call('d', 2)]);
  const after = layout([live('b', 2), call('c', 3), call('d', 2), call('a', 1)]);
  assert.equal(anchorShift(before, after, from(10), null), -40);
});

test('the line that has the focus is the anchor while it is in view', () => {
  const before = layout([live('a', 1), live('b', 2), call('c', 3), call('d', 2)]);
  const after = layout([live('a', 1), call('c', 3), call('b', 2), call('d', 2)]);
  assert.equal(anchorShift(before, after, from(10), null), 0, 'the first live call stays');
  assert.equal(anchorShift(before, after, from(10), 'c'), -40);
  assert.equal(anchorShift(before, after, { from: 10, to: 60 }, 'c'), 0, 'below the window it is not seen');
});
