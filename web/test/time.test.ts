// Times and durations as people read and type them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ago, clock, dateTime, dayName, inputTime, isoDay, machineDuration, parseDuration, words } from '../src/time.ts';

test('a clock shows whole seconds, rounded down', () => {
  const shown = [0, 999, 1000, 59_999, 60_000, 192_400, 3_599_999, 3_753_000, -5].map(clock);
  assert.deepEqual(shown, ['0:00', '0:00', '0:01', '0:59', '1:00', '3:12', '59:59', '1:02:33', '0:00']);
});

test('a length in words carries its unit and no false precision', () => {
  const shown = [0, 40, 99.6, 800, 1000, 9949, 9960, 59_400, 59_600, 60_000, 192_000, 3_599_600, 3_720_000, 7_200_000].map(words);
  assert.deepEqual(shown, ['0 ms', '40 ms', '100 ms', '0.8 s', '1 s', '9.9 s', '10 s', '59 s', '1 min', '1 min', '3 min 12 s', '1 h', '1 h 2 min', '2 h']);
});

test('a typed length is read in every form that the page shows or a person writes', () => {
  const typed = ['90', '90s', ' 1:30 ', '1:02:33', '2m', '2 min', '1h', '0.5 h', '0:07'].map(parseDuration);
  assert.deepEqual(typed, [90_000, 90_000, 90_000, 3_753_000, 120_000, 120_000, 3_600_000, 1_800_000, 7000]);
  for (const wrong of ['', 'x', '1:75', '-5', '1:2:3:4', '1 day']) assert.equal(parseDuration(wrong), null, wrong);
});

test('every clock text is read back as the length that it shows', () => {
  for (let ms = 0; ms < 40_000_000; ms += 777_000) assert.equal(parseDuration(clock(ms)), ms);
});

test('days are named from the reader’s own calendar, over the end of a month', () => {
  const now = new Date(2026, 2, 1, 0, 5);
  assert.equal(dayName(new Date(2026, 2, 1, 0, 0), now), 'Today');
  assert.equal(dayName(new Date(2026, 1, 28, 23, 59), now), 'Yesterday');
  assert.equal(dayName(new Date(2026, 1, 27, 12), now), 'Fri 27 Feb 2026');
  assert.equal(dateTime(new Date(2026, 10, 2, 3, 4, 5)), '2026-11-02 03:04:05');
  assert.equal(isoDay(new Date(2026, 0, 9)), '2026-01-09');
});

test('what a machine reads, and how long ago', () => {
  assert.equal(machineDuration(192_500), 'PT192.5S');
  const shown = [0, 40_000, 200_000, 7_300_000, 90_000_000, 500_000_000].map(ago);
  assert.deepEqual(shown, ['now', '40 s ago', '3 min ago', '2 h ago', '1 day ago', '5 days ago']);
});

test('a field for a time gets back what was typed into it, while the year is half typed as well', () => {
  const zone = process.env['TZ'];
  // Its clocks were 53 min 28 s ahead before there were zones.
  process.env['TZ'] = 'Europe/Berlin';
  try {
    for (const typed of ['2026-11-20T10:00', '0202-11-20T10:00', '0002-01-02T23:59']) assert.equal(inputTime(new Date(typed)), typed);
  } finally {
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
  }
});
