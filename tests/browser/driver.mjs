// Browser windows for the Rust tests: one JSON request a line on stdin, one JSON reply a line on stdout.
//
// The tests hold every expectation; this file only does what they ask. Every window is a Chromium of its own with
// devices of its own: two pages of one Chromium share its one fake camera, and who starts it anew takes it from the
// other. Beside real sites it serves a page that speaks LiveKit without the web app, so that SFU and web app can fail
// separately; over a real socket, as Chromium lets only loopback pages reach loopback servers.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { deviceArguments, faces } from './devices.mjs';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const probe = `(${readFileSync(here('probe.js'), 'utf8')})(${JSON.stringify(faces)})`;
const axe = readFileSync(here('node_modules/axe-core/axe.min.js'), 'utf8');
const files = {
  '/favicon.ico': ['image/x-icon', '/dev/null'],
  '/': ['text/html', here('protocol.html')],
  '/protocol.js': ['text/javascript', here('protocol.js')],
  '/livekit-client.js': ['text/javascript', here('node_modules/livekit-client/dist/livekit-client.umd.js')],
};

const server = createServer((request, response) => {
  const found = files[request.url];
  response.writeHead(found ? 200 : 404, { 'content-type': found?.[0] ?? 'text/plain' });
  response.end(found ? readFileSync(found[1]) : 'not found');
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

const launch = (face, microphone) =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      ...deviceArguments(face, microphone),
      '--autoplay-policy=no-user-gesture-required',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
    ],
  });

const windows = new Map();
let nextWindow = 1;

const methods = {
  // A fresh browser with one page. `face` (tests/faces.json) says what its devices show and sound like, `microphone` a
  // WAV file to speak instead; `storage` fills localStorage of every origin; `phone` emulates one; addresses that match
  // `blocked` cannot be fetched.
  async open({ name = 'window', face, microphone, storage = {}, phone = false, dark = false, blocked = [] }) {
    const browser = await launch(face, microphone);
    const context = await browser.newContext({
      permissions: ['camera', 'microphone', 'clipboard-read', 'clipboard-write'],
      viewport: phone ? { width: 390, height: 844 } : { width: 1280, height: 800 },
      colorScheme: dark ? 'dark' : 'light',
      acceptDownloads: true,
    });
    await context.addInitScript({ content: probe });
    for (const pattern of blocked) await context.route(pattern, (route) => route.abort());
    await context.addInitScript((entries) => {
      for (const [name, value] of Object.entries(entries)) {
        if (globalThis.localStorage) localStorage.setItem(name, value);
      }
    }, storage);
    const page = await context.newPage();
    // The test prints the end of standard error when it fails.
    const note = (line) => {
      const short = line.replace(/(access_token|join_request)=[^&\s'"]*/g, '$1=…').slice(0, 500);
      console.error(`${new Date().toISOString().slice(11, 23)} [${name}] ${short}`);
    };
    page.on('console', (message) => note(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => note(`uncaught: ${error.stack ?? error}`));
    page.on('requestfailed', (request) => note(`failed: ${request.url()} ${request.failure()?.errorText}`));
    page.on('websocket', (socket) => {
      note(`websocket open: ${socket.url().split('?')[0]}`);
      socket.on('socketerror', (error) => note(`websocket error: ${error}`));
      socket.on('close', () => note('websocket closed'));
    });
    const requests = [];
    page.on('request', (request) => requests.push(request.url()));
    const id = nextWindow++;
    windows.set(id, { browser, page, requests });
    return id;
  },
  async close({ window, entry }) {
    windows.delete(window);
    await entry.browser.close();
  },
  protocolPage: () => `http://localhost:${server.address().port}/`,
  goto: ({ page, url }) => page.goto(url).then(() => null),
  reload: ({ page }) => page.reload().then(() => null),
  url: ({ page }) => page.url(),
  // `source` is a function expression, called in the page with `argument`.
  evaluate: ({ page, source, argument }) => page.evaluate(`(${source})(${JSON.stringify(argument ?? null)})`),
  click: ({ page, selector }) => page.click(selector).then(() => null),
  fill: ({ page, selector, text }) => page.fill(selector, text).then(() => null),
  press: ({ page, selector, key }) =>
    (selector ? page.press(selector, key) : page.keyboard.press(key)).then(() => null),
  type: ({ page, text }) => page.keyboard.type(text).then(() => null),
  upload: ({ page, selector, path }) => page.setInputFiles(selector, path).then(() => null),
  // Waits until the selector is visible (or `state`: hidden, attached, detached).
  see: ({ page, selector, state, timeout }) =>
    page.waitForSelector(selector, { state: state ?? 'visible', timeout }).then(() => null),
  text: ({ page, selector }) => page.innerText(selector),
  count: ({ page, selector }) => page.locator(selector).count(),
  // What axe finds fault with on the page as it is, one line each.
  async audit({ page }) {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
    return violations.flatMap((violation) =>
      violation.nodes.map((node) => `${violation.id}: ${node.target.join(' ')}: ${node.failureSummary}`));
  },
  screenshot: ({ page, path }) => page.screenshot({ path, fullPage: true }).then(() => null),
  requests: ({ entry }) => entry.requests,
};

const reply = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

async function handle({ id, method, params = {} }) {
  try {
    const entry = windows.get(params.window);
    if (params.window !== undefined && !entry) throw new Error(`no window ${params.window}`);
    entry?.page.setDefaultTimeout(params.timeout ?? 20_000);
    const result = await methods[method]({ ...params, entry, page: entry?.page });
    reply({ id, result: result ?? null });
  } catch (error) {
    reply({ id, error: String(error?.message ?? error) });
  }
}

reply({ id: 0, result: 'ready' });
for await (const line of createInterface({ input: process.stdin })) void handle(JSON.parse(line));
await Promise.all([...windows.values()].map(({ browser }) => browser.close()));
server.close();
