// What the list is narrowed to, and its two spellings: the page's address (short, to be shared) and control's query.

/** A time range that moves with the clock, or none. */
export type Range = '' | '1h' | 'today' | 'yesterday' | '7d' | '30d';

/** The list's filters; an empty string or null narrows nothing. */
export interface Filters {
  q: string;
  number: string;
  party: string;
  state: string;
  range: Range;
  /** Absolute bounds of the start, RFC 3339 UTC; they hold when `range` is empty. */
  from: string;
  to: string;
  minMs: number | null;
  maxMs: number | null;
}

export const NO_FILTERS: Filters = {
  q: '',
  number: '',
  party: '',
  state: '',
  range: '',
  from: '',
  to: '',
  minMs: null,
  maxMs: null,
};

const RANGES: readonly Range[] = ['1h', 'today', 'yesterday', '7d', '30d'];

/** The states that control can narrow the list to, in the order of the menu. */
export const STATES = ['active', 'completed', 'incomplete', 'cancelled', 'rejected', 'failed'] as const;

/** Longest text that goes into the address: a pasted page must not. */
const MAX_TEXT = 200;

/** Reads the address's query; what makes no sense is left out. */
export function parseFilters(search: string): Filters {
  const query = new URLSearchParams(search);
  const text = (key: string): string => (query.get(key) ?? '').trim().slice(0, MAX_TEXT);
  const range = RANGES.find((known) => known === query.get('range')) ?? '';
  return {
    q: text('q'),
    number: text('number'),
    party: text('party'),
    state: STATES.find((known) => known === query.get('state')) ?? '',
    range,
    from: range ? '' : instant(text('from')),
    to: range ? '' : instant(text('to')),
    minMs: seconds(query.get('min')),
    maxMs: seconds(query.get('max')),
  };
}

function instant(text: string): string {
  const at = Date.parse(text);
  // Control reads years of four digits, as RFC 3339 has them.
  return Number.isNaN(at) ? '' : new Date(at).toISOString().replace(/^[+-].*/, '');
}

function seconds(text: string | null): number | null {
  if (text === null || text === '') return null;
  const value = Number(text);
  return Number.isFinite(value) && value >= 0 ? Math.round(value * 1000) : null;
}

/** The address's query, `''` or `?…`; the same filters always give the same text. */
export function filtersToSearch(filters: Filters): string {
  const query = new URLSearchParams();
  const put = (key: string, value: string): void => {
    if (value) query.set(key, value);
  };
  put('q', filters.q);
  put('state', filters.state);
  put('number', filters.number);
  put('party', filters.party);
  put('range', filters.range);
  put('from', filters.range ? '' : filters.from);
  put('to', filters.range ? '' : filters.to);
  put('min', filters.minMs === null ? '' : String(filters.minMs / 1000));
  put('max', filters.maxMs === null ? '' : String(filters.maxMs / 1000));
  const text = query.toString();
  return text ? `?${text}` : '';
}

/** Control's query for these filters; a moving range is fixed at `now`. */
export function apiQuery(filters: Filters, now: Date): URLSearchParams {
  const query = new URLSearchParams();
  const put = (key: string, value: string): void => {
    if (value) query.set(key, value);
  };
  const { from, to } = filters.range ? bounds(filters.range, now) : filters;
  put('from', from);
  put('to', to);
  put('number', filters.number);
  put('party', filters.party);
  put('state', filters.state);
  put('q', filters.q);
  put('min_duration_ms', filters.minMs === null ? '' : String(filters.minMs));
  put('max_duration_ms', filters.maxMs === null ? '' : String(filters.maxMs));
  return query;
}

/** A moving range's bounds at `now`; days are the reader's own, from midnight to midnight. */
export function bounds(range: Range, now: Date): { from: string; to: string } {
  const midnight = (daysAgo: number): string =>
    new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysAgo).toISOString();
  switch (range) {
    case '1h':
      return { from: new Date(now.getTime() - 3_600_000).toISOString(), to: '' };
    case 'today':
      return { from: midnight(0), to: '' };
    case 'yesterday':
      return { from: midnight(1), to: midnight(0) };
    case '7d':
      return { from: midnight(6), to: '' };
    case '30d':
      return { from: midnight(29), to: '' };
    case '':
      return { from: '', to: '' };
  }
}

/** How many filters beside the search box narrow the list. */
export function countNarrowing(filters: Filters): number {
  const time = filters.range || filters.from || filters.to ? 1 : 0;
  const duration = filters.minMs !== null || filters.maxMs !== null ? 1 : 0;
  return time + duration + (filters.number ? 1 : 0) + (filters.party ? 1 : 0) + (filters.state ? 1 : 0);
}

/** Whether anything at all narrows the list. */
export function narrows(filters: Filters): boolean {
  return filters.q !== '' || countNarrowing(filters) > 0;
}
