// Sends N events to HOST with RudderStack's library for browsers, from a page of another
// origin in headless Chromium. With --beacon, it sends them as beacons, leaves pages before
// the library has sent their events, and then runs until standard input ends.

import { ORIGIN, dismissed, parse, sendAndLeave, sendAndStay, withBrowser } from './browser.mjs'

const FILES = {
  '/library.js': 'node_modules/@rudderstack/analytics-js/dist/npm/modern/bundled/umd/index.js',
  '/page.mjs': 'analytics-js-page.mjs',
  '/events.mjs': 'events.mjs',
}

const { host, count, chromium, 'write-key': writeKey, beacon } = parse('analytics-js.mjs', { beacon: { type: 'boolean' } })

/** What RudderStack's configuration service answers for a source without destinations. */
const SOURCE = { id: 'shop', name: 'Shop', writeKey, enabled: true, workspaceId: 'tests', config: {}, destinations: [] }
const RESOURCES = { '/sourceConfig/': JSON.stringify({ source: SOURCE, updatedAt: '2026-01-01T00:00:00.000Z' }) }

await withBrowser(chromium, FILES, RESOURCES, async (context) => {
  const settings = { writeKey, dataPlaneUrl: host, options: { configUrl: ORIGIN } }
  if (beacon) {
    // A beacon when 10 events are queued, and one with the other events when the page is left.
    settings.options.useBeacon = true
    await sendAndLeave(context, settings, { start: 0, end: count, atOnce: 15 })
    await dismissed()
    return
  }
  // One request per event.
  const half = Math.floor(count / 2)
  await sendAndStay(context, host, settings, { start: 0, end: half, atOnce: 40 })
  // Many events per request.
  settings.options.queueOptions = { batch: { enabled: true, maxItems: 20, flushInterval: 500 } }
  await sendAndStay(context, host, settings, { start: half, end: count, atOnce: 40 })
})
