// What a supervisor reads of a call.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Call, Stream } from '../src/api.ts';
import { earGains } from '../src/playback.ts';
import { routeOf } from '../src/route.ts';
import { bytes, howItEnded, liveName, lossPercent, markName, partyDetail, partyTitle, percent, stateName } from '../src/words.ts';

function call(change: Partial<Call>): Call {
  const legs = [{ role: 'caller' }, { role: 'callee' }];
  return { state: 'completed', status: 200, started_at: '2026-11-20T10:00:00Z', answered_at: '2026-11-20T10:00:04Z', end: null, legs, ...change } as Call;
}

test('how a call ended is said in plain words', () => {
  const end = (cause: string, leg: number | null = null, reason: string | null = null): Call['end'] => ({ cause, leg, reason });
  const none = { answered_at: null };
  assert.equal(howItEnded(call({ end: end('bye', 0) })), 'Answered after 4 s. The caller hung up.');
  assert.equal(howItEnded(call({ end: end('bye', 1) })), 'Answered after 4 s. The called party hung up.');
  assert.equal(howItEnded(call({ end: end('bye') })), 'Answered after 4 s. Ended normally.');
  assert.equal(howItEnded(call({ state: 'rejected', status: 486, ...none })), 'Not accepted: busy (486).');
  assert.equal(howItEnded(call({ state: 'rejected', status: 499, ...none, end: end('rejected', null, 'Nobody home') })), 'Not accepted: Nobody home (499).');
  assert.equal(howItEnded(call({ state: 'failed', status: null, ...none })), 'Did not get through: no final answer was seen.');
  assert.equal(howItEnded(call({ state: 'cancelled', status: 487, ...none })), 'The caller gave up before anybody answered.');
  assert.equal(howItEnded(call({ state: 'incomplete', end: end('sensor_melted') })), 'Answered after 4 s. Its end was not seen.');
  assert.match(howItEnded(call({ state: 'incomplete', end: end('media_timeout') })), /its audio stopped/);
  assert.equal(howItEnded(call({ state: 'active' })), 'In progress.');
  assert.equal(howItEnded(call({ state: 'active', ...none })), 'Ringing.');
});

test('a name that this version does not know is shown, not hidden', () => {
  assert.equal(stateName('parked_forever'), 'parked forever');
  assert.equal(markName('new_mark'), 'New mark');
});

test('a call without signalling does not ring', () => {
  assert.equal(liveName({ answered_at: null, protocol: 'sip' }), 'Ringing');
  assert.equal(liveName({ answered_at: null, protocol: 'none' }), 'Live');
});

test('a party is its name, else its number, else its address', () => {
  const whole = { uri: 'sip:a@b', number: '123', name: 'Anna' };
  assert.deepEqual([partyTitle(whole), partyDetail(whole)], ['Anna', '123']);
  assert.deepEqual([partyTitle({ ...whole, name: null }), partyDetail({ ...whole, name: null })], ['123', null]);
  assert.equal(partyTitle({ uri: null, number: null, name: '' }), 'Unknown');
});

test('loss is of what should have come: repetitions are not in it', () => {
  const stream = { packets: 110, duplicates: 20, lost: 10 } as Stream;
  assert.equal(lossPercent(stream), 10);
  assert.equal(lossPercent({ packets: 0, duplicates: 0, lost: 0 } as Stream), null);
  assert.deepEqual([0, 0.004, 0.04, 1.26, 12.4].map(percent), ['0 %', '< 0.01 %', '0.04 %', '1.3 %', '12 %']);
  assert.deepEqual([734, 12_345, 4_512_000].map(bytes), ['734 B', '12.3 kB', '4.5 MB']);
});

test('two parties are heard apart, one alone in both ears', () => {
  const both = { muted: [false, false], solo: null };
  assert.deepEqual(earGains(2, both), [[1, 0], [0, 1]]);
  assert.deepEqual(earGains(2, { ...both, solo: 1 }), [[0, 0], [1, 1]]);
  assert.deepEqual(earGains(2, { ...both, muted: [true, false] }), [[0, 0], [1, 1]]);
  assert.deepEqual(earGains(2, { ...both, muted: [true, true] }), [[0, 0], [0, 0]]);
  assert.deepEqual(earGains(1, { muted: [false], solo: null }), [[1, 1]]);
});

test('a path names its page', () => {
  assert.deepEqual(routeOf('/'), { page: 'calls' });
  assert.deepEqual(routeOf('/calls/ab%2Fc'), { page: 'call', id: 'ab/c' });
  assert.deepEqual(routeOf('/calls/'), { page: 'none' });
  assert.deepEqual(routeOf('/calls/%E0%A4%A'), { page: 'none' });
});
