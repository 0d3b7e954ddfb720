// A call's parties and times, and where it was seen.
import type { ComponentChildren } from 'preact';
import type { Call, Leg } from '../api.ts';
import { isLive } from '../callOrder.ts';
import { useNow } from '../ticking.ts';
import { clock, dateTime, machineDuration, timeOfDay, words, zone } from '../time.ts';
import { directionName, markName, partyTitle, protocolName, relationName, roleName } from '../words.ts';

export function Parties({ call }: { call: Call }) {
  return (
    <section class="card" aria-labelledby="parties">
      <h2 id="parties">Parties</h2>
      <ul class="parties">
        {legsOf(call).map((leg, index) => (
          <Party key={index} call={call} leg={leg} channel={channelOf(call, index)} />
        ))}
      </ul>
      {call.dialled.number && call.dialled.number !== call.to.number && (
        <p class="aside">
          Dialled <b>{call.dialled.number}</b>
        </p>
      )}
      {call.diversions.map((diversion, index) => (
        <p class="aside" key={index}>
          Forwarded by <b>{diversion.number ?? diversion.uri ?? 'unknown'}</b>
          {diversion.reason && ` (${diversion.reason})`}
        </p>
      ))}
    </section>
  );
}

/** The legs; where none was written, what the row says of its two parties. */
function legsOf(call: Call): Leg[] {
  if (call.legs.length > 0) return call.legs;
  const unseen = { asserted_uri: null, device: null, address: null, joined_at: null, left_at: null };
  return [
    { ...call.from, ...unseen, role: 'caller' },
    { ...call.to, ...unseen, role: 'callee' },
  ];
}

function Party({ call, leg, channel }: { call: Call; leg: Leg; channel: number | null }) {
  const whole = leg.name || leg.number || leg.uri ? leg : leg.role === 'caller' ? { ...leg, ...call.from } : leg;
  const title = partyTitle(whole);
  const joined = leg.joined_at ? timeOfDay(new Date(leg.joined_at)) : null;
  const left = leg.left_at ? timeOfDay(new Date(leg.left_at)) : null;
  return (
    <li class={channel === null ? 'party-card' : `party-card channel-${channel % 2}`}>
      <span class="role">{roleName(leg.role)}</span>
      <b class="party-name">{title}</b>
      {whole.number && whole.number !== title && <span class="number">{whole.number}</span>}
      {whole.uri && whole.uri !== title && <code>{whole.uri}</code>}
      <span class="detail">
        {[leg.device, leg.address, joined && left ? `${joined} – ${left}` : joined && `since ${joined}`].filter(Boolean).join(' · ')}
      </span>
    </li>
  );
}

/** The channel that a leg is heard on, when there are several. */
function channelOf(call: Call, leg: number): number | null {
  const recording = call.recordings.find((candidate) => candidate.kind === 'audio');
  if (!recording || (recording.channels ?? 1) < 2) return null;
  const channel = recording.channel_legs.findIndex((legs) => legs.includes(leg));
  return channel < 0 ? null : channel;
}

export function Facts({ call }: { call: Call }) {
  const started = new Date(call.started_at);
  return (
    <section class="card" aria-labelledby="facts">
      <h2 id="facts">Times</h2>
      <dl class="facts">
        <Fact name="Started">
          <Instant at={call.started_at} />
        </Fact>
        {call.answered_at && (
          <Fact name="Answered">
            <Instant at={call.answered_at} />
            <Since from={call.started_at} to={call.answered_at} what="after" />
          </Fact>
        )}
        {call.ended_at && (
          <Fact name="Ended">
            <Instant at={call.ended_at} />
          </Fact>
        )}
        <Fact name="Duration">
          <Duration call={call} />
        </Fact>
        <Fact name="Zone">{zone(started)}</Fact>
      </dl>
      <h2>Source</h2>
      <dl class="facts">
        <Fact name="Protocol">
          {protocolName(call.protocol)}
          {call.status !== null && ` · final answer ${call.status}`}
        </Fact>
        {directionName(call.direction) && <Fact name="Direction">{directionName(call.direction)}</Fact>}
        <Fact name="Sensor">
          {call.source.sensor}
          {call.source.interfaces.length > 0 && ` · ${call.source.interfaces.join(', ')}`}
          {call.source.realm !== 0 && ` · realm ${call.source.realm}`}
        </Fact>
        {call.begun_before_capture && <Fact name="Note">The call was on before it was first seen.</Fact>}
        {call.decision.rule && <Fact name="Rule">{call.decision.rule}</Fact>}
        {call.marks.length > 0 && <Fact name="Marks">{call.marks.map(markName).join(', ')}</Fact>}
        {call.call_ids.length > 0 && (
          <Fact name={call.call_ids.length > 1 ? 'Call-IDs' : 'Call-ID'}>
            {call.call_ids.map((id) => (
              <code key={id}>{id}</code>
            ))}
          </Fact>
        )}
        {call.correlation.map(({ kind, value }) => (
          <Fact key={kind + value} name={kind.replaceAll('_', ' ')}>
            <code>{value}</code>
          </Fact>
        ))}
        {call.links.map((link) => (
          <Fact key={link.relation + link.call} name={relationName(link.relation)}>
            <a href={`/calls/${encodeURIComponent(link.call)}`}>another call</a>
          </Fact>
        ))}
      </dl>
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Instant({ at }: { at: string }) {
  return <time dateTime={at}>{dateTime(new Date(at))}</time>;
}

function Since({ from, to, what }: { from: string; to: string; what: string }) {
  const ms = Date.parse(to) - Date.parse(from);
  return ms > 0 ? (
    <span class="detail">
      {' '}
      {what} {words(ms)}
    </span>
  ) : null;
}

function Duration({ call }: { call: Call }) {
  const from = call.answered_at ?? call.started_at;
  if (isLive(call)) return <Running from={from} />;
  if (!call.ended_at) return <>unknown</>;
  const ms = Date.parse(call.ended_at) - Date.parse(from);
  return (
    <>
      <time dateTime={machineDuration(ms)}>{words(ms)}</time>
      <span class="detail">{call.answered_at ? ' in conversation' : ' not answered'}</span>
    </>
  );
}

function Running({ from }: { from: string }) {
  return <time>{clock(useNow() - Date.parse(from))}</time>;
}
