// Sends N events to HOST with Segment's library for Node.js, and writes the body of
// every request that the library made to RECORD, one a line.
//
// Nine in ten events have a messageId and a timestamp that depend on their number
// only: sent again, they are the same events. The others get theirs from the library.

import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import { Analytics } from '@segment/analytics-node'

/** Events that wait in the library at once: its own requests know no limit. */
const WAITING = 1500
/** When the first event happened: 2026-01-01. */
const FIRST = Date.UTC(2026, 0, 1)
/** Milliseconds between two events. */
const APART = 37

const [host, count, record] = process.argv.slice(2)
if (!host || !/^[0-9]+$/.test(count ?? '') || !record) {
  console.error('usage: send.mjs HOST N RECORD')
  process.exit(64)
}

const requests = createWriteStream(record)
const analytics = new Analytics({ writeKey: 'tests', host })
analytics.on('http_request', ({ body }) => requests.write(`${body}\n`))
analytics.on('error', ({ code, reason }) => {
  process.exitCode = 1
  console.error(`${code}: ${reason}`)
})

for (let i = 0; i < Number(count); i++) {
  send(i)
  if (i % WAITING === WAITING - 1) {
    await analytics.flush()
  }
}
await analytics.closeAndFlush()
requests.end()
await finished(requests)

function send(i) {
  const who = i % 3 === 0 ? { anonymousId: `browser-${i % 97}` } : { userId: `user ${i % 101} é` }
  const common = { ...who, ...identified(i) }
  switch (i % 6) {
    case 0:
      return analytics.track({ ...common, event: `Order ${i % 7} – “paid”`, properties: properties(i) })
    case 1:
      return analytics.identify({ ...common, traits: properties(i) })
    case 2:
      return analytics.page({ ...common, category: 'Docs', name: 'Größe', properties: properties(i) })
    case 3:
      return analytics.screen({ ...common, name: 'Home', properties: properties(i) })
    case 4:
      return analytics.group({ ...common, groupId: `group-${i % 11}`, traits: properties(i) })
    default:
      return analytics.alias({ ...identified(i), userId: `user-${i}`, previousId: `browser-${i}` })
  }
}

/** The event's own messageId and timestamp, if it has them. */
function identified(i) {
  if (i % 10 === 0) {
    return {}
  }
  const time = new Date(FIRST + i * APART)
  const timestamp = i % 4 === 0 ? time.toISOString().replace('Z', '+00:00') : time
  return { messageId: messageId(i), timestamp, context: context(i), integrations: { All: i % 2 === 0 } }
}

/** Mostly plain; some with what a key can't hold as it is, some as long as they may be. */
function messageId(i) {
  switch (i % 50) {
    case 1:
      return `node/${i} 100%~ü🚀`
    case 2:
      return `node-${i}-`.padEnd(100, 'é')
    default:
      return `node-${i}`
  }
}

function context(i) {
  return { ip: '203.0.113.7', locale: 'de-CH', page: { path: `/p/${i}`, referrer: null, search: '?a=1&b="2"' } }
}

function properties(i) {
  return {
    number: i,
    price: i / 7,
    large: 9007199254740991,
    huge: 1.7976931348623157e308,
    tiny: 5e-324,
    negative: -0.1,
    nothing: null,
    empty: ['', {}, []],
    list: [1, 'two', null, [3.5, { four: 4 }], false],
    nested: { a: { b: { c: { d: [{ e: `level ${i}` }] } } } },
    text: 'ünïcödé 🚀 日本語 עברית e\u0301 \u2028 \u0000 \\ " </script>',
    half: '\ud83d',
    'key with "quotes" and 🗝': true,
    long: 'x'.repeat(i % 700),
    when: new Date(FIRST + i),
  }
}
