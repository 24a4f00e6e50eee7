// The events that the tests send with libraries for JavaScript, in Node.js and in a page.
//
// Nine in ten events have a messageId and a timestamp that depend only on their number,
// so they are the same events when they are sent again. The library sets those of the
// other events.

/** When the first event happened: 2026-01-01. */
const FIRST = Date.UTC(2026, 0, 1)
/** Milliseconds between two events. */
const APART = 37

/** Returns the type and the other members of event number `i`. */
export function event(i) {
  const who = i % 3 === 0 ? { anonymousId: `browser-${i % 97}` } : { userId: `user ${i % 101} é` }
  const common = { ...who, ...identified(i) }
  switch (i % 6) {
    case 0:
      return ['track', { ...common, event: `Order ${i % 7} – “paid”`, properties: properties(i) }]
    case 1:
      return ['identify', { ...common, traits: properties(i) }]
    case 2:
      return ['page', { ...common, category: 'Docs', name: 'Größe', properties: properties(i) }]
    case 3:
      return ['screen', { ...common, name: 'Home', properties: properties(i) }]
    case 4:
      return ['group', { ...common, groupId: `group-${i % 11}`, traits: properties(i) }]
    default:
      return ['alias', { ...identified(i), userId: `user-${i}`, previousId: `browser-${i}` }]
  }
}

/** Returns the members that make an event the same when it is sent again; none for one in ten events. */
function identified(i) {
  if (i % 10 === 0) {
    return {}
  }
  const timestamp = new Date(FIRST + i * APART)
  return { messageId: messageId(i), timestamp, context: context(i), integrations: { All: i % 2 === 0 } }
}

/** Most are plain; some have characters that an object key can't contain unescaped, and some the maximum length. */
function messageId(i) {
  switch (i % 50) {
    case 1:
      return `js/${i} 100%~ü🚀`
    case 2:
      return `js-${i}-`.padEnd(100, 'é')
    default:
      return `js-${i}`
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
