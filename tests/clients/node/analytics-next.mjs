// Sends N events to HOST with Segment's library for browsers, from a page of another
// origin in headless Chromium. Fails on any answer other than 200.

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'

/** The page's origin. It is constant, because the library writes it into events. */
const ORIGIN = 'http://shop.localhost'
const PAGE = `<!doctype html>
<meta charset="utf-8">
<title>Shop</title>
<script src="/analytics.js"></script>
<script type="module" src="/page.mjs"></script>`
const SCRIPTS = {
  '/analytics.js': 'node_modules/@segment/analytics-next/dist/umd/index.js',
  '/page.mjs': 'page.mjs',
  '/events.mjs': 'events.mjs',
}

/** Ways to send: the library's settings, the last event to send with them, and the number of events per call. */
const WAYS = [
  // One request per event.
  { until: 300, atOnce: 50 },
  // The same with keepalive, for pages that the user may leave. Browsers limit such requests in flight to 64 KiB.
  { until: 600, atOnce: 10, deliveryStrategy: { config: { keepalive: true } } },
  // Many events per request. Without cookies, because accessing them takes most of the time.
  {
    until: Infinity,
    atOnce: 40,
    deliveryStrategy: { strategy: 'batching', config: { size: 40 } },
    options: { disableClientPersistence: true },
  },
]

/** Fails if there is no answer for this many milliseconds. */
const PATIENCE = 30_000

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { chromium: { type: 'string' }, 'write-key': { type: 'string' } },
})
const [host, count] = positionals
if (!host || !/^[0-9]+$/.test(count ?? '') || !values.chromium) {
  console.error('usage: analytics-next.mjs HOST N --chromium PROGRAM [--write-key KEY]')
  process.exit(64)
}

const server = createServer(serve)
await new Promise((listening) => server.listen(0, '127.0.0.1', listening))
const browser = await chromium.launch({
  executablePath: values.chromium,
  args: [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    `--host-resolver-rules=MAP ${new URL(ORIGIN).host} 127.0.0.1:${server.address().port}`,
  ],
})
try {
  const context = await browser.newContext()
  let start = 0
  for (const way of WAYS) {
    const end = Math.min(way.until, Number(count))
    if (start < end) {
      await send(await context.newPage(), way, start, end)
    }
    start = end
  }
} finally {
  await browser.close()
  server.close()
}

/** Sends the events `start` to `end` - 1, and waits until they are answered. */
async function send(page, { atOnce, deliveryStrategy, options }, start, end) {
  const { host: address, protocol } = new URL(host)
  const segment = { apiHost: `${address}/v1`, protocol: protocol.slice(0, -1), deliveryStrategy }
  // Requests contain this key, and not the key that is passed to `load`.
  segment.apiKey = values['write-key']
  await page.goto(ORIGIN)
  const { answered, failed } = listen(page)
  const sending = async () => {
    await page.evaluate((args) => window.load(...args), ['none', segment, options])
    for (let next = start; next < end; next += atOnce) {
      const last = Math.min(next + atOnce, end)
      await page.evaluate((range) => window.send(...range), [next, last])
      // So far the library has only queued them, and a long queue makes it slow.
      await answered(last - start)
    }
  }
  await Promise.race([sending(), failed])
  await page.close()
}

/** Counts the events of `page` that are answered, and fails if it asks another server than `host`. */
function listen(page) {
  let events = 0
  let wake = () => {}
  let fail
  const failed = new Promise((_, reject) => (fail = (why) => reject(new Error(why))))
  const patience = setTimeout(() => fail(`no answer for ${PATIENCE} ms, after ${events} events`), PATIENCE)
  page.once('close', () => clearTimeout(patience))
  page.on('pageerror', (error) => fail(`${error}`))
  page.on('request', (request) => {
    if (!request.url().startsWith(host)) {
      fail(`the page asks for ${request.url()}`)
    }
  })
  page.on('requestfailed', (request) => fail(`${request.url()}: ${request.failure().errorText}`))
  page.on('response', (response) => {
    if (response.status() !== 200) {
      fail(`${response.url()}: ${response.status()}`)
    }
    patience.refresh()
    events += JSON.parse(response.request().postData()).batch?.length ?? 1
    wake()
  })
  const answered = async (count) => {
    while (events < count) {
      await new Promise((woken) => (wake = woken))
    }
  }
  return { answered, failed }
}

async function serve({ url }, response) {
  if (url in SCRIPTS) {
    const script = await readFile(new URL(SCRIPTS[url], import.meta.url))
    response.setHeader('Content-Type', 'text/javascript').end(script)
  } else {
    response.setHeader('Content-Type', 'text/html').end(PAGE)
  }
}
