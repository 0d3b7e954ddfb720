// Every page, in both colour schemes and three widths: no serious fault by axe, nothing wider than the window.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { getter, launch, newPage, picture, signIn } from './chromium.mjs';
import { finishedCall, PATIENCE_MS, url } from './system.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** The serious and critical faults, a line each. */
async function faults(page) {
  // Not by a script element: control's content security policy refuses those, as it should.
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations', 'passes'] }));
  assert.ok(passes.length > 0, 'axe looked at nothing');
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ').slice(0, 400)}`);
}

async function inspect(page, name) {
  assert.deepEqual(await faults(page), [], name);
  const { wide, window } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, window: innerWidth }));
  assert.ok(wide <= window, `${name}: ${wide} px wide in a window of ${window}`);
  await picture(page, name);
}

for (const colorScheme of ['light', 'dark']) {
  for (const width of [1280, 768, 360]) {
    test(`${colorScheme}, ${width} px`, { timeout: 3 * PATIENCE_MS }, async () => {
      const page = await newPage(browser, { colorScheme, viewport: { width, height: 800 }, reducedMotion: 'reduce' });
      const inspected = (name) => inspect(page, `${name}-${colorScheme}-${width}`);
      await page.goto(url);
      await page.getByLabel('User name').waitFor();
      await inspected('sign-in');
      await signIn(page);
      const call = await finishedCall(getter(page));
      await page.locator('.row.call').first().waitFor();
      await inspected('calls');
      await page.getByRole('button', { name: 'Filters' }).click();
      await page.getByLabel('Started').selectOption('custom');
      await inspected('filters');
      await page.goto(`${url}/?q=no-call-has-this-text`);
      await page.getByRole('heading', { name: 'No call matches' }).waitFor();
      await inspected('no-match');
      await page.goto(`${url}/calls/${call.id}`);
      await page.getByRole('button', { name: 'Play' }).waitFor();
      await inspected('call');
      await page.goto(`${url}/calls/00000000-0000-7000-8000-000000000000`);
      await page.getByRole('heading', { name: 'There is no such call' }).waitFor();
      await inspected('no-such-call');
      assert.deepEqual(page.faults, []);
    });
  }
}
