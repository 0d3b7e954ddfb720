// The call's RTP streams and what the network did to them.
import type { Call, Stream } from '../api.ts';
import { words } from '../time.ts';
import { lossPercent, partyTitle, percent, roleName, useName } from '../words.ts';

/** From here on, loss is heard, and then heard badly, per cent; and jitter that phones' buffers may not hide, ms. */
const LOSS = { warn: 1, bad: 5 };
const JITTER_WARN_MS = 30;

export function Streams({ call }: { call: Call }) {
  if (call.streams.length === 0) return null;
  return (
    <section class="card" aria-labelledby="streams">
      <h2 id="streams">Streams</h2>
      <div class="table-frame" role="region" aria-labelledby="streams" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Speaker</th>
              <th scope="col">Codec</th>
              <th scope="col" class="n">Packets</th>
              <th scope="col" class="n">Lost</th>
              <th scope="col" class="n">Jitter</th>
              <th scope="col" class="n">Duration</th>
              <th scope="col">Way</th>
              <th scope="col">Use</th>
            </tr>
          </thead>
          <tbody>
            {call.streams.map((stream, index) => (
              <Row key={index} call={call} stream={stream} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Row({ call, stream }: { call: Call; stream: Stream }) {
  const loss = lossPercent(stream);
  return (
    <tr>
      <th scope="row" data-label="Speaker">
        {speaker(call, stream)}
      </th>
      <td data-label="Codec" class="codec" title={stream.payload_type === null ? undefined : `Payload type ${stream.payload_type}`}>
        {stream.codec ?? 'unknown'}
        {stream.clock_rate !== null && <span class="detail"> {stream.clock_rate / 1000} kHz</span>}
      </td>
      <td data-label="Packets" class="n">
        {stream.packets.toLocaleString('en-GB')}
        <Extra stream={stream} />
      </td>
      <td data-label="Lost" class={`n ${lossClass(loss)}`}>
        {loss === null ? '–' : percent(loss)}
        {stream.lost > 0 && (
          <span class="detail">
            {' '}
            {stream.lost.toLocaleString('en-GB')}
            {stream.lost_ours > 0 && `, ${stream.lost_ours.toLocaleString('en-GB')} by us`}
          </span>
        )}
      </td>
      <td data-label="Jitter" class={stream.jitter_ms !== null && stream.jitter_ms >= JITTER_WARN_MS ? 'n warn' : 'n'}>
        {stream.jitter_ms === null ? '–' : `${stream.jitter_ms.toFixed(1)} ms`}
      </td>
      <td data-label="Duration" class="n">
        {words(stream.duration_ms)}
      </td>
      <td data-label="Way" class="way">
        <code>
          {stream.src} → {stream.dst}
        </code>
        <span class="detail">SSRC {stream.ssrc}</span>
      </td>
      <td data-label="Use">
        {useName(stream)}
        {stream.reason && <span class="detail"> {stream.reason}</span>}
      </td>
    </tr>
  );
}

function Extra({ stream }: { stream: Stream }) {
  const parts = [
    stream.duplicates > 0 && `${stream.duplicates.toLocaleString('en-GB')} twice`,
    stream.reordered > 0 && `${stream.reordered.toLocaleString('en-GB')} out of order`,
  ].filter(Boolean);
  return parts.length > 0 ? <span class="detail"> {parts.join(', ')}</span> : null;
}

function lossClass(loss: number | null): string {
  if (loss === null || loss < LOSS.warn) return '';
  return loss < LOSS.bad ? 'warn' : 'bad';
}

function speaker(call: Call, stream: Stream): string {
  const leg = stream.leg === null ? undefined : call.legs[stream.leg];
  if (!leg) return 'Unknown';
  const title = partyTitle(leg);
  return title === 'Unknown' ? roleName(leg.role) : title;
}
