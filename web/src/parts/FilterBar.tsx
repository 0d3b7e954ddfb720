// The search box and the filters. What is typed goes into the address after a short pause, so that a link keeps it.
import { useEffect, useRef, useState } from 'preact/hooks';
import { countNarrowing, NO_FILTERS, STATES, type Filters, type Range } from '../filters.ts';
import { clock, inputTime, parseDuration, zone } from '../time.ts';
import { stateName } from '../words.ts';
import { Icon } from './Icon.tsx';

const PAUSE_MS = 300;

type Change = (next: Filters, how: 'push' | 'replace') => void;

export function FilterBar({ filters, onChange }: { filters: Filters; onChange: Change }) {
  const narrowing = countNarrowing(filters);
  const [open, setOpen] = useState(narrowing > 0);
  const box = useRef<HTMLInputElement>(null);

  // `/` goes to the search box, as on most lists.
  useEffect(() => {
    const key = (event: KeyboardEvent): void => {
      const typing = (event.target as Element | null)?.closest('input, select, textarea');
      if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      box.current?.focus();
    };
    window.addEventListener('keydown', key);
    return () => window.removeEventListener('keydown', key);
  }, []);

  return (
    <form class="filters" role="search" aria-label="Calls" onSubmit={(event) => event.preventDefault()}>
      <div class="search-line">
        <div class="search-box">
          <Icon name="search" />
          <TypedInput
            inputRef={box}
            keys="search"
            label="Search calls"
            placeholder="Search number, name, address…"
            value={filters.q}
            onValue={(q) => onChange({ ...filters, q }, 'replace')}
          />
        </div>
        <button class="button" type="button" aria-expanded={open} aria-controls="filters" onClick={() => setOpen(!open)}>
          <Icon name="filter" /> Filters
          {narrowing > 0 && <span class="count">{narrowing}</span>}
        </button>
      </div>
      {open && <Fields filters={filters} onChange={onChange} />}
    </form>
  );
}

function Fields({ filters, onChange }: { filters: Filters; onChange: Change }) {
  const set = (part: Partial<Filters>, how: 'push' | 'replace' = 'push'): void => onChange({ ...filters, ...part }, how);
  return (
    <div class="fields" id="filters">
      <label class="field">
        <span>State</span>
        <select value={filters.state} onChange={(event) => set({ state: event.currentTarget.value })}>
          <option value="">Any</option>
          {STATES.map((state) => (
            <option key={state} value={state}>
              {stateName(state)}
            </option>
          ))}
        </select>
      </label>
      <label class="field">
        <span>Number</span>
        <TypedInput keys="tel" label="Number of a party, or its last three digits or more" placeholder="or last digits" value={filters.number} onValue={(number) => set({ number }, 'replace')} />
      </label>
      <label class="field">
        <span>Party</span>
        <TypedInput keys="text" label="Name or address of either party" placeholder="any" value={filters.party} onValue={(party) => set({ party }, 'replace')} />
      </label>
      <TimeFields filters={filters} set={set} />
      <fieldset class="field pair">
        <legend>Duration</legend>
        <DurationInput label="At least" placeholder="min 0:00" value={filters.minMs} onValue={(minMs) => set({ minMs }, 'replace')} />
        <span aria-hidden="true">–</span>
        <DurationInput label="At most" placeholder="max" value={filters.maxMs} onValue={(maxMs) => set({ maxMs }, 'replace')} />
      </fieldset>
      {countNarrowing(filters) > 0 && (
        <button class="button quiet" type="button" onClick={() => set({ ...NO_FILTERS, q: filters.q })}>
          <Icon name="close" /> Clear filters
        </button>
      )}
    </div>
  );
}

function TimeFields({ filters, set }: { filters: Filters; set: (part: Partial<Filters>) => void }) {
  const absolute = filters.from !== '' || filters.to !== '';
  const [custom, setCustom] = useState(absolute);
  const choose = (value: string): void => {
    setCustom(value === 'custom');
    if (value !== 'custom') set({ range: value as Range, from: '', to: '' });
    else set({ range: '' });
  };
  const shown = filters.range || (custom || absolute ? 'custom' : '');
  return (
    <>
      <label class="field">
        <span>Started</span>
        <select value={shown} onChange={(event) => choose(event.currentTarget.value)}>
          <option value="">Any time</option>
          <option value="1h">Last hour</option>
          <option value="today">Today</option>
          <option value="yesterday">Yesterday</option>
          <option value="7d">Last 7 days</option>
          <option value="30d">Last 30 days</option>
          <option value="custom">Between…</option>
        </select>
      </label>
      {shown === 'custom' && (
        <fieldset class="field pair times">
          <legend>From – to ({zone(new Date())})</legend>
          <InstantInput label="From" value={filters.from} onValue={(from) => set({ range: '', from })} />
          <span aria-hidden="true">–</span>
          <InstantInput label="To" value={filters.to} onValue={(to) => set({ range: '', to })} />
        </fieldset>
      )}
    </>
  );
}

interface TypedProps {
  /** Which keys a telephone's keyboard offers. */
  keys: 'search' | 'tel' | 'text';
  label: string;
  placeholder: string;
  value: string;
  onValue: (value: string) => void;
  /** How `value` spells what was typed, where people may write it in several ways. */
  spelling?: (typed: string) => string;
  inputRef?: { current: HTMLInputElement | null };
  invalid?: boolean;
}

const asTyped = (typed: string): string => typed;

/** A text field whose value is taken over after a pause in typing, or at once with Enter. */
function TypedInput({ keys, label, placeholder, value, onValue, spelling = asTyped, inputRef, invalid }: TypedProps) {
  const [text, setText] = useState(value);
  const timer = useRef(0);
  const latest = useRef(onValue);
  latest.current = onValue;
  // The address changed from elsewhere (back, a link, "clear"): show that, unless it is what was typed.
  useEffect(() => {
    setText((typed) => (spelling(typed.trim()) === value ? typed : value));
    window.clearTimeout(timer.current);
  }, [value]);
  useEffect(() => () => window.clearTimeout(timer.current), []);

  const take = (typed: string, afterMs: number): void => {
    setText(typed);
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(() => latest.current(typed.trim()), afterMs);
  };
  return (
    <input
      ref={inputRef ?? null}
      type="search"
      inputMode={keys}
      aria-label={label}
      aria-invalid={invalid ?? false}
      placeholder={placeholder}
      value={text}
      maxLength={200}
      autocomplete="off"
      spellcheck={false}
      onInput={(event) => take(event.currentTarget.value, PAUSE_MS)}
      onKeyDown={(event) => event.key === 'Enter' && take(event.currentTarget.value, 0)}
    />
  );
}

interface DurationProps {
  label: string;
  placeholder: string;
  value: number | null;
  onValue: (ms: number | null) => void;
}

/** `90` on its way to `900` is not to turn into `1:30` under the fingers. */
const asClock = (typed: string): string => {
  const ms = parseDuration(typed);
  return ms === null ? typed : clock(ms);
};

function DurationInput({ label, placeholder, value, onValue }: DurationProps) {
  const [invalid, setInvalid] = useState(false);
  const take = (text: string): void => {
    const ms = text === '' ? null : parseDuration(text);
    setInvalid(text !== '' && ms === null);
    if (text === '' || ms !== null) onValue(ms);
  };
  return (
    <TypedInput
      keys="text"
      label={`${label} (minutes:seconds)`}
      placeholder={placeholder}
      value={value === null ? '' : clock(value)}
      onValue={take}
      spelling={asClock}
      invalid={invalid}
    />
  );
}

/** A local date and time; the filter holds it in UTC, so that a link means the same everywhere. */
function InstantInput({ label, value, onValue }: { label: string; value: string; onValue: (value: string) => void }) {
  const take = (text: string): void => onValue(text ? new Date(text).toISOString() : '');
  return <input type="datetime-local" aria-label={label} value={value ? inputTime(new Date(value)) : ''} max="9999-12-31T23:59" onChange={(event) => take(event.currentTarget.value)} />;
}
