// Sends N events to HOST with Segment's library for browsers, from a page of another origin
// in headless Chromium. With --leave, it leaves pages before the library has sent their
// events, and then runs until standard input ends.

import { dismissed, parse, sendAndLeave, sendAndStay, withBrowser } from './browser.mjs'

const FILES = {
  '/library.js': 'node_modules/@segment/analytics-next/dist/umd/index.js',
  '/page.mjs': 'analytics-next-page.mjs',
  '/events.mjs': 'events.mjs',
}

/** Ways to send: the library's settings, the last event to send with them, and the number of events per call. */
const STAYING = [
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

/** Ways to send from pages that are left. Each page sends at most the 64 KiB that browsers allow. */
const LEAVING = [
  // The library sends its queue, as one request, when the page is left.
  { until: 180, atOnce: 20, deliveryStrategy: { strategy: 'batching', config: { size: 1000, timeout: 600_000 } } },
  // The page is left while a request per event is in flight. The next page sends these events again.
  { until: Infinity, atOnce: 20, deliveryStrategy: { config: { keepalive: true } }, inFlight: true },
]

const { host, count, chromium, 'write-key': writeKey, leave } = parse('analytics-next.mjs', { leave: { type: 'boolean' } })
const { host: address, protocol } = new URL(host)

await withBrowser(chromium, FILES, {}, async (context) => {
  let start = 0
  for (const { until, atOnce, ...way } of leave ? LEAVING : STAYING) {
    const end = Math.min(until, count)
    // Requests contain this key, and not the key that is passed to `load`.
    const segment = { apiHost: `${address}/v1`, protocol: protocol.slice(0, -1), apiKey: writeKey, ...way }
    const settings = { writeKey: 'none', segment, options: way.options, inFlight: way.inFlight }
    if (start < end && leave) {
      await sendAndLeave(context, settings, { start, end, atOnce })
    } else if (start < end) {
      await sendAndStay(context, host, settings, { start, end, atOnce })
    }
    start = end
  }
  if (leave) {
    await dismissed()
  }
})
