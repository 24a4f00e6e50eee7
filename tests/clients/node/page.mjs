// What the page does that analytics-next.mjs opens. The library is there already, as
// AnalyticsNext.

import { event } from './events.mjs'

let analytics

/** Starts the library. It has its settings here and asks nobody for them, and tells nobody how it does. */
window.load = (writeKey, segment, options) => {
  const cdnSettings = { integrations: { 'Segment.io': segment }, metrics: { sampleRate: 0 } }
  analytics = window.AnalyticsNext.AnalyticsBrowser.load({ writeKey, cdnSettings }, options)
}

/** Hands the library the events from number `start` up to `end`. */
window.send = async (start, end) => {
  const sent = []
  for (let i = start; i < end; i++) {
    sent.push(send(i))
  }
  await Promise.all(sent)
}

function send(i) {
  const [type, message] = event(i)
  const { messageId, timestamp, context, integrations } = message
  // The library has one user at a time. Left to it, an event sent again would be of another.
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
