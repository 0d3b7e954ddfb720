// The icons, drawn on a 16-unit square with the text's colour. They never carry meaning alone: text stands beside each.

const PATHS = {
  play: 'M4.5 2.8v10.4L13 8z',
  pause: 'M4.5 3h2.6v10H4.5zM8.9 3h2.6v10H8.9z',
  back: 'M9.8 3.2 5 8l4.8 4.8',
  search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10Zm3.6-1.4L14 14',
  filter: 'M2 4h12M4.5 8h7M6.5 12h3',
  close: 'm4 4 8 8M12 4l-8 8',
  download: 'M8 2.5v7.2M4.8 6.8 8 10l3.2-3.2M2.8 13.2h10.4',
  inbound: 'M12.5 3.5 4 12M4 6v6h6',
  outbound: 'M3.5 12.5 12 4M6 4h6v6',
  internal: 'M2.5 8h11M5.5 5l-3 3 3 3M10.5 5l3 3-3 3',
  warning: 'M8 2.3 14.6 13.5H1.4zM8 6.5v3.2M8 11.3v.4',
  offline: 'M2 6.5a9 9 0 0 1 3-1.8M14 6.5a9 9 0 0 0-5.5-2.4M4.5 9.3a5.3 5.3 0 0 1 2-1.2M8 12.3v.4M2.5 2l11 12',
  audio: 'M2 6.5v3M5 4.5v7M8 2.5v11M11 5v6M14 6.5v3',
  phone: 'M5.2 2.5 3 3.3c-.6 4.7 5 10.3 9.7 9.7l.8-2.2-3-1.6-1.3 1.2A7 7 0 0 1 5.6 6.8l1.2-1.3z',
  lock: 'M4 7h8v6.5H4zM5.7 7V5a2.3 2.3 0 0 1 4.6 0v2',
  skipBack: 'M3 3v4h4M3.3 7A5.2 5.2 0 1 1 3 10',
  skipForward: 'M13 3v4H9M12.7 7A5.2 5.2 0 1 0 13 10',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
} as const;

export type IconName = keyof typeof PATHS;

const FILLED: readonly IconName[] = ['play', 'pause'];

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  const filled = FILLED.includes(name);
  return (
    <svg
      class="icon"
      width={size}
      height={size}
      viewBox="0 0 16 16"
      aria-hidden="true"
      fill={filled ? 'currentColor' : 'none'}
      stroke={filled ? 'none' : 'currentColor'}
      stroke-width="1.5"
      stroke-linecap="round"
      stroke-linejoin="round"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The product's mark: a moon whose shadow is a waveform. */
export function Mark({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <path d="M21.5 4.2a12 12 0 1 0 6.3 18A10.5 10.5 0 0 1 21.5 4.2z" fill="#f2b552" />
      <g stroke="#141b26" stroke-width="2.1" stroke-linecap="round">
        <path d="M8 14.5v4.5M12 11.5V22M16 14v5.5" />
      </g>
    </svg>
  );
}
