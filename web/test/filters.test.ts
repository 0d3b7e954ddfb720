// The list's filters and their two spellings.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiQuery, bounds, countNarrowing, filtersToSearch, NO_FILTERS, narrows, parseFilters, type Filters } from '../src/filters.ts';

const FULL: Filters = {
  q: 'anna & co',
  number: '+49 30',
  party: 'Reception',
  state: 'completed',
  range: '',
  from: '2026-11-20T10:00:00.000Z',
  to: '2026-11-21T10:00:00.000Z',
  minMs: 1500,
  maxMs: 90_000,
};

test('an address gives back the filters that it was made of', () => {
  for (const filters of [NO_FILTERS, FULL, { ...NO_FILTERS, range: '7d' as const }, { ...NO_FILTERS, minMs: 0 }]) {
    assert.deepEqual(parseFilters(filtersToSearch(filters)), filters);
  }
  assert.equal(filtersToSearch(NO_FILTERS), '');
});

test('what makes no sense in an address is left out', () => {
  const nonsense = '?state=dancing&range=eternity&from=soon&to=%2B027576-01-01T00:00:00Z&min=-3&max=x&colour=red';
  assert.deepEqual(parseFilters(nonsense), NO_FILTERS);
  assert.equal(parseFilters(`?q=${'x'.repeat(5000)}`).q.length, 200);
});

test('a moving range and fixed bounds do not mix: the range wins', () => {
  const filters = parseFilters('?range=today&from=2026-01-01T00:00:00Z');
  assert.equal(filters.range, 'today');
  assert.equal(filters.from, '');
});

test('control is asked for exactly what narrows', () => {
  const now = new Date(2026, 10, 20, 13, 0, 0);
  assert.equal(apiQuery(NO_FILTERS, now).toString(), '');
  assert.deepEqual(Object.fromEntries(apiQuery(FULL, now)), {
    from: FULL.from,
    to: FULL.to,
    number: '+49 30',
    party: 'Reception',
    state: 'completed',
    q: 'anna & co',
    min_duration_ms: '1500',
    max_duration_ms: '90000',
  });
});

test('days begin at the reader’s midnight', () => {
  const now = new Date(2026, 2, 1, 13, 0, 0);
  assert.deepEqual(bounds('yesterday', now), {
    from: new Date(2026, 1, 28).toISOString(),
    to: new Date(2026, 2, 1).toISOString(),
  });
  assert.equal(bounds('7d', now).from, new Date(2026, 1, 23).toISOString());
  assert.equal(bounds('1h', now).from, new Date(2026, 2, 1, 12).toISOString());
});

test('time and duration count once each', () => {
  assert.equal(countNarrowing(FULL), 5);
  assert.equal(countNarrowing({ ...NO_FILTERS, q: 'x' }), 0);
  assert.equal(narrows({ ...NO_FILTERS, q: 'x' }), true);
  assert.equal(narrows(NO_FILTERS), false);
});
