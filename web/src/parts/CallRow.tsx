// One call as a line of the list: a link that covers the line, and what one needs to know before following it.
import type { CallSummary, Party } from '../api.ts';
import { isLive } from '../callOrder.ts';
import { useNow } from '../ticking.ts';
import { clock, dateTime, dayDate, isoDay, machineDuration, timeOfDay } from '../time.ts';
import { directionName, liveName, markName, partyDetail, partyTitle, stateName, statusWords } from '../words.ts';
import { Icon, type IconName } from './Icon.tsx';

interface CallRowProps {
  call: CallSummary;
  top: number;
  rowIndex: number;
  /** This is the line that Tab reaches. */
  current: boolean;
  /** The reader's date. */
  today: string;
  onFocus: () => void;
}

export function CallRow({ call, top, rowIndex, current, today, onFocus }: CallRowProps) {
  const started = new Date(call.started_at);
  return (
    <div class="row call" role="row" aria-rowindex={rowIndex} style={{ transform: `translateY(${top}px)` }}>
      <span class="cell state" role="gridcell">
        <StateBadge call={call} />
      </span>
      <span class="cell started" role="gridcell">
        <time dateTime={call.started_at} title={dateTime(started)}>
          {isoDay(started) !== today && <span class="day">{dayDate(started)} </span>}
          {timeOfDay(started)}
        </time>
      </span>
      <span class="cell from" role="gridcell">
        <a href={`/calls/${encodeURIComponent(call.id)}`} tabIndex={current ? 0 : -1} onFocus={onFocus}>
          <span class="unseen">Call from </span>
          <PartyText party={call.from} />
          <span class="unseen"> to {partyTitle(call.to)}</span>
        </a>
      </span>
      <span class="cell to" role="gridcell">
        <Direction direction={call.direction} />
        <PartyText party={call.to} />
      </span>
      <span class="cell duration" role="gridcell">
        {isLive(call) ? <Running call={call} /> : <Length ms={call.duration_ms} />}
      </span>
      <span class="cell notes" role="gridcell">
        <Notes call={call} />
      </span>
    </div>
  );
}

export function StateBadge({ call }: { call: Pick<CallSummary, 'state' | 'answered_at' | 'protocol' | 'status'> }) {
  if (call.state === 'active') {
    const name = liveName(call);
    return <span class={name === 'Live' ? 'badge live' : 'badge ringing'}>{name}</span>;
  }
  const meaning = call.status !== null && call.status >= 300 ? statusWords(call.status) : null;
  const title = meaning ? `${call.status}: ${meaning}` : undefined;
  return (
    <span class={`badge ${call.state}`} title={title}>
      {stateName(call.state)}
    </span>
  );
}

function PartyText({ party }: { party: Party }) {
  const detail = partyDetail(party);
  return (
    <span class="party" title={party.uri ?? undefined}>
      <b>{partyTitle(party)}</b>
      {detail && <span class="detail"> {detail}</span>}
    </span>
  );
}

const ARROWS: Readonly<Record<string, IconName>> = { inbound: 'inbound', outbound: 'outbound', internal: 'internal' };

function Direction({ direction }: { direction: string }) {
  const icon = ARROWS[direction];
  return (
    <span class="direction" title={directionName(direction) ?? 'Direction unknown'}>
      {icon ? <Icon name={icon} size={14} /> : '→'}
    </span>
  );
}

function Running({ call }: { call: CallSummary }) {
  const ms = useNow() - Date.parse(call.answered_at ?? call.started_at);
  return <time class="running">{clock(ms)}</time>;
}

function Length({ ms }: { ms: number | null }) {
  if (ms === null) return <span class="none">–</span>;
  return <time dateTime={machineDuration(ms)}>{clock(ms)}</time>;
}

function Notes({ call }: { call: CallSummary }) {
  const gaps = call.gaps === 1 ? '1 gap' : `${call.gaps} gaps`;
  return (
    <>
      {call.has_audio && (
        <span class="note audio" title="Has a recording">
          <Icon name="audio" size={14} />
          <span class="unseen">Recorded</span>
        </span>
      )}
      {call.gaps > 0 && <span class="note warn gaps">{gaps}</span>}
      {call.marks.map((mark) => (
        <span key={mark} class="note warn" title={markName(mark)}>
          {markName(mark)}
        </span>
      ))}
    </>
  );
}
