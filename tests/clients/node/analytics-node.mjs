// Sends N events to HOST with Segment's library for Node.js.

import { Analytics } from '@segment/analytics-node'
import { event } from './events.mjs'

/** Maximum number of events that the library queues, because it does not limit its concurrent requests. */
const WAITING = 1500

const [host, count] = process.argv.slice(2)
if (!host || !/^[0-9]+$/.test(count ?? '')) {
  console.error('usage: analytics-node.mjs HOST N')
  process.exit(64)
}

const analytics = new Analytics({ writeKey: 'tests', host })
analytics.on('error', ({ code, reason }) => {
  process.exitCode = 1
  console.error(`${code}: ${reason}`)
})

for (let i = 0; i < Number(count); i++) {
  const [type, message] = event(i)
  // The library also accepts times as text, and sends them unchanged.
  if (message.timestamp && i % 4 === 0) {
    message.timestamp = message.timestamp.toISOString().replace('Z', '+00:00')
  }
  analytics[type](message)
  if (i % WAITING === WAITING - 1) {
    await analytics.flush()
  }
}
await analytics.closeAndFlush()
