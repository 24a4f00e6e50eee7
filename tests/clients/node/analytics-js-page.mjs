// The script of the page that analytics-js.mjs opens. The page has already loaded the
// library, as rudderanalytics.

import { event } from './events.mjs'

const analytics = new window.rudderanalytics.RudderAnalytics()

/** Starts the library with these settings, and waits until it has its configuration. */
window.load = ({ writeKey, dataPlaneUrl, options }) =>
  new Promise((onLoaded) => analytics.load(writeKey, dataPlaneUrl, { ...options, onLoaded }))

/** Passes the events `start` to `end` - 1 to the library. */
window.send = (start, end) => {
  for (let i = start; i < end; i++) {
    send(i)
  }
}

/** The library sets every messageId, and has no `screen`. */
function send(i) {
  const [type, message] = event(i)
  const { userId, anonymousId, context, integrations, timestamp } = message
  const options = { anonymousId, context, integrations, originalTimestamp: timestamp?.toISOString() }
  switch (type) {
    case 'identify':
      return analytics.identify(userId ?? '', message.traits, options)
    case 'page':
      return analytics.page(message.category, message.name, message.properties, options)
    case 'group':
      return analytics.group(message.groupId, message.traits, options)
    case 'alias':
      return analytics.alias(userId, message.previousId, options)
    default:
      return analytics.track(message.event ?? message.name, message.properties, options)
  }
}
