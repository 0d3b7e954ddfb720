// The player's keys, wherever the focus is, except where a key has a meaning of its own.
import { useEffect } from 'preact/hooks';
import type { Playback } from '../playback.ts';

/** What the page says about the keys. */
export const KEY_HELP: readonly (readonly [string, string])[] = [
  ['Space', 'play or pause'],
  ['← →', '5 seconds back or on'],
  ['Shift ← →', '15 seconds'],
  ['< >', 'slower, faster'],
  ['1 2', 'hear one party alone'],
  ['M', 'mute the first party'],
  ['Home End', 'start, end'],
];

export function usePlayerKeys(playback: Playback | null, channels: number): void {
  useEffect(() => {
    if (!playback) return;
    const key = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (belongsElsewhere(event)) return;
      if (act(playback, channels, event)) event.preventDefault();
    };
    window.addEventListener('keydown', key);
    return () => window.removeEventListener('keydown', key);
  }, [playback, channels]);
}

/** A field takes every key; a button and a link take the key that presses them. */
function belongsElsewhere(event: KeyboardEvent): boolean {
  const target = event.target as Element | null;
  if (target?.closest('input:not([type=checkbox]), select, textarea')) return true;
  return (event.key === ' ' || event.key === 'Enter') && target?.closest('button, a, summary, input') !== null;
}

function act(playback: Playback, channels: number, event: KeyboardEvent): boolean {
  const long = event.shiftKey ? 15_000 : 5000;
  switch (event.key) {
    case ' ':
    case 'k':
      playback.toggle();
      return true;
    case 'ArrowLeft':
      playback.skip(-long);
      return true;
    case 'ArrowRight':
      playback.skip(long);
      return true;
    case '<':
      playback.changeRate(-1);
      return true;
    case '>':
      playback.changeRate(1);
      return true;
    case 'm':
    case 'M':
      playback.toggleMute(0);
      return true;
    default:
      return jumpOrSolo(playback, channels, event);
  }
}

function jumpOrSolo(playback: Playback, channels: number, event: KeyboardEvent): boolean {
  const onSeekBar = (event.target as Element | null)?.getAttribute('role') === 'slider';
  if (onSeekBar && (event.key === 'Home' || event.key === 'End')) {
    playback.seek(event.key === 'Home' ? 0 : playback.durationMs);
    return true;
  }
  const channel = Number(event.key) - 1;
  if (!Number.isInteger(channel) || channel < 0 || channel >= channels || channels < 2) return false;
  playback.toggleSolo(channel);
  return true;
}
