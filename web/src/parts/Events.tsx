// What happened during the call, in order.
import type { Call, CallEvent, Recording } from '../api.ts';
import { positionOf } from '../timeline.ts';
import { timeOfDay } from '../time.ts';
import { eventName, partyTitle } from '../words.ts';
import { Moment } from './Gaps.tsx';

/** Longer lists are cut. */
const SHOWN = 200;

interface EventsProps {
  call: Call;
  recording: Recording | null;
  onSeek: ((ms: number) => void) | null;
}

export function Events({ call, recording, onSeek }: EventsProps) {
  if (call.events.length === 0) return null;
  return (
    <section class="card" aria-labelledby="events">
      <h2 id="events">Events</h2>
      <ol class="moments">
        {call.events.slice(0, SHOWN).map((event, index) => (
          <Event key={index} call={call} event={event} recording={recording} onSeek={onSeek} />
        ))}
      </ol>
      {call.events.length > SHOWN && <p class="aside">And {call.events.length - SHOWN} more.</p>}
    </section>
  );
}

function Event({ call, event, recording, onSeek }: { call: Call; event: CallEvent } & Omit<EventsProps, 'call'>) {
  const at = recording ? positionOf(event.at, recording) : null;
  const leg = event.leg === null ? undefined : call.legs[event.leg];
  return (
    <li>
      {at === null ? <span class="moment outside">{timeOfDay(new Date(event.at))}</span> : <Moment at={at} onSeek={onSeek} />}
      <span class="what">
        {eventName(event)}
        {event.detail && <b class="event-detail"> {event.detail}</b>}
      </span>
      <span class="detail">{[leg && partyTitle(leg), event.by].filter(Boolean).join(' · ')}</span>
    </li>
  );
}
