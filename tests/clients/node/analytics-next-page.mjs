// The script of the page that analytics-next.mjs opens. The page has already loaded the
// library, as AnalyticsNext.

import { event } from './events.mjs'

let analytics
let waitsForAnswers

/** Starts the library with these settings. It neither fetches settings nor reports its own metrics. */
window.load = ({ writeKey, segment, options, inFlight }) => {
  const cdnSettings = { integrations: { 'Segment.io': segment }, metrics: { sampleRate: 0 } }
  waitsForAnswers = !inFlight
  analytics = window.AnalyticsNext.AnalyticsBrowser.load({ writeKey, cdnSettings }, options)
}

/**
 * Passes the events `start` to `end` - 1 to the library, and waits until it has sent or queued them. With the setting
 * `inFlight`, waits only until it has started a request for each of them.
 */
window.send = async (start, end) => {
  const inFlight = requestsFor(end - start)
  const sent = []
  for (let i = start; i < end; i++) {
    sent.push(send(i))
  }
  await (waitsForAnswers ? Promise.all(sent) : inFlight)
}

/** Resolves when the library has started requests for `count` events that no earlier page has tried to send. */
function requestsFor(count) {
  const tried = new Set(JSON.parse(localStorage.tried ?? '[]'))
  const { fetch } = window
  return new Promise((resolve) => {
    window.fetch = (url, request) => {
      const { messageId } = JSON.parse(request.body)
      if (messageId && !tried.has(messageId)) {
        localStorage.tried = JSON.stringify([...tried.add(messageId)])
        count--
      }
      const answer = fetch(url, request)
      if (count === 0) {
        resolve()
      }
      return answer
    }
  })
}

function send(i) {
  const [type, message] = event(i)
  const { messageId, timestamp, context, integrations } = message
  // The library keeps one current user. Without explicit IDs, an event that is sent again could have another user.
  const { userId = `user ${i % 101} é`, anonymousId = `browser-${i % 97}` } = message
  const options = { messageId, timestamp, context, integrations, userId, anonymousId }
  switch (type) {
    case 'track':
      return analytics.track(message.event, message.properties, options)
    case 'identify':
      return analytics.identify(userId, message.traits, options)
    case 'page':
      return analytics.page(message.category, message.name, message.properties, options)
    case 'screen':
      return analytics.screen(message.name, message.properties, options)
    case 'group':
      return analytics.group(message.groupId, message.traits, options)
    default:
      return analytics.alias(userId, message.previousId, options)
  }
}
