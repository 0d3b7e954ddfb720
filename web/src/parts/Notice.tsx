// A page or list that has nothing to show says why, and what can be done.
import type { ComponentChildren } from 'preact';
import { Icon, type IconName } from './Icon.tsx';

export function Notice({ icon, title, children }: { icon: IconName; title: string; children?: ComponentChildren }) {
  return (
    <section class="notice">
      <span class="notice-icon">
        <Icon name={icon} size={28} />
      </span>
      <h2>{title}</h2>
      {children}
    </section>
  );
}
