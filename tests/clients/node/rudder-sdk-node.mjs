// Sends N events to HOST with RudderStack's library for Node.js.

import Analytics from '@rudderstack/rudder-sdk-node'
import { event } from './events.mjs'

/** Maximum number of events that the library queues, because it measures all of them whenever one is added. */
const WAITING = 40

const [dataPlaneUrl, count] = process.argv.slice(2)
if (!dataPlaneUrl || !/^[0-9]+$/.test(count ?? '')) {
  console.error('usage: rudder-sdk-node.mjs HOST N')
  process.exit(64)
}

// Without a handler, a failed request would be an unhandled rejection.
const analytics = new Analytics('tests', { dataPlaneUrl, errorHandler: console.error })

for (let i = 0; i < Number(count); i += WAITING) {
  const sent = []
  for (let j = i; j < Math.min(i + WAITING, Number(count)); j++) {
    sent.push(send(j))
  }
  analytics.flush()
  await Promise.all(sent)
}

/** Sends event number `i`, and resolves when it was answered. */
function send(i) {
  const [type, message] = event(i)
  return new Promise((resolve, reject) => {
    analytics[type](message, (error) => (error ? reject(error) : resolve()))
  })
}
