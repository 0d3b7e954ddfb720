// What is missing in a recording, and who lost it.
import type { Call, Gap } from '../api.ts';
import { clock, words } from '../time.ts';
import { gapCause, partyTitle } from '../words.ts';

/** Longer lists are cut: the waveform shows all of them. */
const SHOWN = 100;

interface GapsProps {
  call: Call;
  /** Index of the recording that the player has. */
  recording: number;
  onSeek: ((ms: number) => void) | null;
}

export function Gaps({ call, recording, onSeek }: GapsProps) {
  const gaps = call.gaps.filter((gap) => (gap.recording ?? 0) === recording);
  if (call.recordings.length === 0) return null;
  return (
    <section class="card" aria-labelledby="gaps">
      <h2 id="gaps">Gaps</h2>
      {gaps.length === 0 ? (
        <p class="aside">Nothing is missing in the recording.</p>
      ) : (
        <ul class="moments">
          {gaps.slice(0, SHOWN).map((gap, index) => (
            <li key={index}>
              <Moment at={gap.at_ms} onSeek={onSeek} />
              <span class="what">
                {words(gap.duration_ms)} missing{who(call, gap)}
              </span>
              <span class="detail">{gapCause(gap)}</span>
            </li>
          ))}
        </ul>
      )}
      {gaps.length > SHOWN && <p class="aside">And {gaps.length - SHOWN} more, all drawn on the waveform.</p>}
    </section>
  );
}

function who(call: Call, gap: Gap): string {
  const index = gap.leg ?? (gap.stream === null ? null : (call.streams[gap.stream]?.leg ?? null));
  const leg = index === null ? undefined : call.legs[index];
  return leg ? ` from ${partyTitle(leg)}` : '';
}

/** A place in the recording; pressed, the player goes there. */
export function Moment({ at, onSeek }: { at: number; onSeek: ((ms: number) => void) | null }) {
  if (!onSeek) return <span class="moment">{clock(at)}</span>;
  return (
    <button class="moment" onClick={() => onSeek(Math.max(0, at - 1000))} aria-label={`Go to ${clock(at)}`}>
      {clock(at)}
    </button>
  );
}
