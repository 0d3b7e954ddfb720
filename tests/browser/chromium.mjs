// Debian's Chromium, and the steps that several tests take in it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { out, password, PATIENCE_MS, url, user } from './system.mjs';

/** The session's cookies; `run` removes them. */
const SESSION = `${out}/session.json`;

/** Sound without a first click is allowed, so that a test may play; root has no sandbox. */
const ARGS = ['--autoplay-policy=no-user-gesture-required', '--no-sandbox'];

export const launch = () =>
  chromium.launch({ executablePath: process.env.NIGHTJAR_CHROMIUM ?? '/usr/bin/chromium', args: ARGS });

/** A new page of its own session; what the page reports as an error is kept in `page.faults`. */
export async function newPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(String(error)));
  page.on('console', (message) => {
    // A refused request is logged by the browser itself; the tests that provoke one look at the page.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) page.faults.push(message.text());
  });
  return page;
}

export async function signInByForm(page, path = '/') {
  await page.goto(url + path);
  await page.getByLabel('User name').fill(user);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
}

/** Opens a page signed in. One session serves all tests: control bounds how often one may sign in. */
export async function signIn(page, path = '/') {
  const context = page.context();
  if (existsSync(SESSION)) await context.addCookies(JSON.parse(readFileSync(SESSION, 'utf8')));
  if ((await context.request.get(`${url}/api/session`)).ok()) {
    await page.goto(url + path);
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    return;
  }
  await context.clearCookies();
  await signInByForm(page, path);
  writeFileSync(SESSION, JSON.stringify(await context.cookies()), { mode: 0o600 });
}

/** A request in the page's session. */
export const getter = (page) => async (path) => {
  const response = await page.context().request.get(url + path);
  if (!response.ok()) throw new Error(`${path}: status ${response.status()}`);
  return response.json();
};

export const picture = (page, name) => page.screenshot({ path: `${out}/${name}.png` });
