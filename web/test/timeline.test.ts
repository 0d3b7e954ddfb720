// A recording's time axis.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Call, CallEvent, Recording } from '../src/api.ts';
import { bars, clusters, holds, markers, pointsFor, positionOf, silences, skipTo, tickStep, union } from '../src/timeline.ts';

const START = Date.UTC(2026, 10, 20, 10);
const recording = { started_at: new Date(START).toISOString(), duration_ms: 60_000 } as Recording;
const at = (ms: number): string => new Date(START + ms).toISOString();
const event = (kind: string, ms: number, leg: number | null = 0): CallEvent => ({ at: at(ms), kind, leg, stream: null, by: null, detail: null });
const callWith = (events: CallEvent[]): Call => ({ events }) as unknown as Call;

test('an instant lies in the recording, at its edge, or outside', () => {
  assert.equal(positionOf(at(5000), recording), 5000);
  assert.equal(positionOf(at(-400), recording), 0);
  assert.equal(positionOf(at(60_400), recording), 60_000);
  assert.equal(positionOf(at(-5000), recording), null);
  assert.equal(positionOf(at(70_000), recording), null);
});

test('a hold without an end lasts to the end, and holds of both parties join', () => {
  const two = callWith([event('hold', 10_000, 0), event('hold', 12_000, 1), event('resume', 20_000, 0), event('resume', 25_000, 1)]);
  assert.deepEqual(holds(two, recording), [{ from: 10_000, to: 25_000 }]);
  assert.deepEqual(holds(callWith([event('hold', 50_000)]), recording), [{ from: 50_000, to: 60_000 }]);
  assert.deepEqual(holds(callWith([event('hold', -9000), event('resume', 4000)]), recording), [{ from: 0, to: 4000 }]);
  assert.deepEqual(holds(callWith([event('resume', 4000)]), recording), []);
});

test('a hold that is repeated by a session refresh begins once', () => {
  const events = [event('hold', 10_000), event('hold', 30_000), event('resume', 40_000)];
  assert.deepEqual(holds(callWith(events), recording), [{ from: 10_000, to: 40_000 }]);
});

test('only what deserves a mark gets one, and marks on one another become one', () => {
  const call = callWith([event('ring', 0), event('dtmf', 9000), event('dtmf', 9600), event('dtmf', 30_000), event('dtmf', 99_000)]);
  const marks = markers(call, recording);
  assert.deepEqual(marks.map((mark) => mark.at), [9000, 9600, 30_000]);
  assert.deepEqual(clusters(marks, 1500).map((cluster) => [cluster.at, cluster.marks.length]), [[9000, 2], [30_000, 1]]);
});

test('stretches are joined, sorted, and none is empty', () => {
  const joined = union([{ from: 5, to: 9 }, { from: 1, to: 3 }, { from: 3, to: 4 }, { from: 7, to: 7 }]);
  assert.deepEqual(joined, [{ from: 1, to: 4 }, { from: 5, to: 9 }]);
});

test('silence is where no channel is heard, for longer than a pause, its edges kept', () => {
  const quiet = Array.from({ length: 100 }, () => 0.005);
  const left = quiet.map((peak, point) => (point < 20 ? 0.5 : peak));
  const right = quiet.map((peak, point) => (point >= 60 ? 0.5 : peak));
  assert.deepEqual(silences([left, right], 10_000), [{ from: 2300, to: 5700 }]);
  const shortPause = left.map((peak, point) => (point >= 34 ? 0.5 : peak));
  assert.deepEqual(silences([shortPause], 10_000), [], '1.4 s is a pause of speech');
  assert.deepEqual(silences([], 10_000), []);
  assert.deepEqual(silences([quiet], 10_000), [{ from: 300, to: 9700 }], 'a silence that lasts to the end');
});

test('playback leaves a silence at its end and is let alone outside', () => {
  const spans = [{ from: 10, to: 20 }, { from: 40, to: 50 }];
  const to = [0, 10, 19, 20, 39, 45, 50].map((position) => skipTo(position, spans));
  assert.deepEqual(to, [null, 20, 20, null, null, 50, null]);
});

test('no peak is lost when bars are fewer, and each bar has one when they are more', () => {
  assert.deepEqual(bars([0, 0.9, 0.1, 0.2], 2), [0.9, 0.2]);
  assert.deepEqual(bars([0.3, 0.6], 4), [0.3, 0.3, 0.6, 0.6]);
  assert.deepEqual(bars([], 2), [0, 0]);
});

test('points and labels are bounded, however long the call', () => {
  assert.equal(pointsFor(1000), 200);
  assert.equal(pointsFor(60_000), 1200);
  assert.equal(pointsFor(8 * 3_600_000), 8000);
  assert.equal(tickStep(60_000, 12), 5000);
  assert.equal(tickStep(3_600_000, 12), 300_000);
  assert.equal(tickStep(200 * 3_600_000, 4), 14_400_000);
});
