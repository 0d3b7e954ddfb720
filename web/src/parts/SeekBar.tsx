// The time axis under the waveforms: the slider that keyboards and screen readers use, holds and keys pressed, the scale.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Playback, PlaybackView } from '../playback.ts';
import { tickStep, type Marker, type Span } from '../timeline.ts';
import { clock, words } from '../time.ts';
import { eventName } from '../words.ts';

interface SeekBarProps {
  playback: Playback;
  view: PlaybackView;
  marks: readonly Marker[];
  held: readonly Span[];
}

export function SeekBar({ playback, view, marks, held }: SeekBarProps) {
  const duration = playback.durationMs;
  const percent = (ms: number): string => `${duration > 0 ? (100 * ms) / duration : 0}%`;
  const bar = useRef<HTMLDivElement>(null);
  const width = useWidth(bar);
  const seek = (event: PointerEvent): void => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    playback.seek(((event.clientX - box.left) / box.width) * duration);
  };
  return (
    <div class="axis">
      {(marks.length > 0 || held.length > 0) && (
        <div class="marks" aria-hidden="true">
          {held.map((span) => (
            <span key={span.from} class="hold" style={{ left: percent(span.from), width: percent(span.to - span.from) }} title={`On hold for ${words(span.to - span.from)}`}>
              Hold
            </span>
          ))}
          {marks.map((mark, index) => (
            <span key={index} class={`mark ${mark.event.kind}`} style={{ left: percent(mark.at) }} title={`${eventName(mark.event)} at ${clock(mark.at)}`}>
              {mark.event.kind === 'dtmf' ? (mark.event.detail ?? '#') : '•'}
            </span>
          ))}
        </div>
      )}
      <div
        ref={bar}
        class="seek"
        role="slider"
        tabIndex={0}
        aria-label="Position"
        aria-valuemin={0}
        aria-valuemax={Math.round(duration / 1000)}
        aria-valuenow={Math.round(view.at / 1000)}
        aria-valuetext={`${words(Math.floor(view.at / 1000) * 1000)} of ${words(duration)}`}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          seek(event);
        }}
        onPointerMove={(event) => {
          if (event.currentTarget.hasPointerCapture(event.pointerId)) seek(event);
        }}
      >
        <span class="seek-track">
          <span class="seek-done" style={{ width: percent(view.at) }} />
        </span>
        <span class="seek-thumb" style={{ left: percent(view.at) }} />
      </div>
      <Scale duration={duration} width={width} />
    </div>
  );
}

function Scale({ duration, width }: { duration: number; width: number }) {
  if (duration <= 0) return null;
  const step = tickStep(duration, Math.max(2, Math.floor(width / 72)));
  const ticks = Array.from({ length: Math.floor(duration / step) + 1 }, (_, tick) => tick * step);
  return (
    <div class="scale" aria-hidden="true">
      {ticks.map((at) => (
        <span key={at} style={{ left: `${(100 * at) / duration}%` }}>
          {clock(at)}
        </span>
      ))}
    </div>
  );
}

function useWidth(element: { current: HTMLElement | null }): number {
  const [width, setWidth] = useState(800);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => entry && setWidth(entry.contentRect.width));
    if (element.current) observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return width;
}
