// What the scripts for browsers share: headless Chromium with a page of another origin than
// the sidecar, and two ways to send events from it: in a page that stays until all events
// are answered, and in pages that are left before.
//
// A library's page script defines window.load(settings), which starts the library, and
// window.send(start, end), which passes the events `start` to `end` - 1 to it.

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'

/** The page's origin. It is constant, because libraries write it into events. */
export const ORIGIN = 'http://shop.localhost'
const PAGE = `<!doctype html>
<meta charset="utf-8">
<title>Shop</title>
<script src="/library.js"></script>
<script type="module" src="/page.mjs"></script>`

/** Fails if there is no answer for this many milliseconds. */
const PATIENCE = 30_000

/** Ways to leave a page. They return the page to continue with. */
const LEAVE = [
  async (page) => {
    await page.goto(`${ORIGIN}/next`)
    return page
  },
  async (page) => {
    await page.reload()
    return page
  },
  async (page) => {
    await page.close()
    return page.context().newPage()
  },
]

/** Returns the arguments of `script` as { host, count, ...flags }; with wrong ones, exits. */
export function parse(script, flags) {
  const options = { chromium: { type: 'string' }, 'write-key': { type: 'string' }, ...flags }
  const { positionals, values } = parseArgs({ allowPositionals: true, options })
  const [host, count] = positionals
  if (!host || !/^[0-9]+$/.test(count ?? '') || !values.chromium) {
    const names = Object.keys(flags).map((name) => ` [--${name}]`)
    console.error(`usage: ${script} HOST N --chromium PROGRAM [--write-key KEY]${names.join('')}`)
    process.exit(64)
  }
  return { host, count: Number(count), ...values }
}

/**
 * Starts the program `chromium`, and calls `use` with a context of it. `files` are the paths of the page's scripts,
 * by URL path. `resources` returns the page's other resources as text, by URL path.
 */
export async function withBrowser(chromiumProgram, files, resources, use) {
  const server = createServer((request, response) => serve(files, resources, request, response))
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening))
  const browser = await chromium.launch({
    executablePath: chromiumProgram,
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
    await use(await browser.newContext())
  } finally {
    await browser.close()
    server.close()
  }
}

async function serve(files, resources, { url }, response) {
  const path = new URL(url, ORIGIN).pathname
  if (path in files) {
    const script = await readFile(new URL(files[path], import.meta.url))
    response.setHeader('Content-Type', 'text/javascript').end(script)
  } else if (path in resources) {
    response.setHeader('Content-Type', 'application/json').end(resources[path])
  } else {
    response.setHeader('Content-Type', 'text/html').end(PAGE)
  }
}

/**
 * Sends the events `start` to `end` - 1 to `host` from one page, `atOnce` per call, and waits until they are answered.
 * Fails on any answer other than 200.
 */
export async function sendAndStay(context, host, settings, { start, end, atOnce }) {
  const page = await context.newPage()
  await page.goto(ORIGIN)
  const { answered, failed } = listen(page, host)
  const sending = async () => {
    await page.evaluate((settings) => window.load(settings), settings)
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

/** Counts the events of `page` that are answered, and fails on anything unexpected. */
function listen(page, host) {
  let events = 0
  let wake = () => {}
  let fail
  const failed = new Promise((_, reject) => (fail = (why) => reject(new Error(why))))
  const patience = setTimeout(() => fail(`no answer for ${PATIENCE} ms, after ${events} events`), PATIENCE)
  page.once('close', () => clearTimeout(patience))
  page.on('pageerror', (error) => fail(`${error}`))
  page.on('request', (request) => {
    if (![host, ORIGIN].includes(new URL(request.url()).origin)) {
      fail(`the page asks for ${request.url()}`)
    }
  })
  page.on('requestfailed', (request) => fail(`${request.url()}: ${request.failure().errorText}`))
  page.on('response', (response) => {
    if (response.status() !== 200) {
      fail(`${response.url()}: ${response.status()}`)
    }
    if (response.request().method() === 'POST') {
      patience.refresh()
      events += JSON.parse(response.request().postData()).batch?.length ?? 1
      wake()
    }
  })
  const answered = async (count) => {
    while (events < count) {
      await new Promise((woken) => (wake = woken))
    }
  }
  return { answered, failed }
}

/**
 * Sends the events `start` to `end` - 1, `atOnce` from each page, and leaves the page immediately. Then opens another
 * page, in which the library can send what it has kept.
 */
export async function sendAndLeave(context, settings, { start, end, atOnce }) {
  let page = await context.newPage()
  const load = async () => {
    await page.goto(ORIGIN)
    await page.evaluate((settings) => window.load(settings), settings)
  }
  for (let next = start, pages = 0; next < end; next += atOnce, pages++) {
    await load()
    await page.evaluate((range) => window.send(...range), [next, Math.min(next + atOnce, end)])
    page = await LEAVE[pages % LEAVE.length](page)
  }
  await load()
}

/** Waits until standard input ends: this process can't see the answers to requests of pages that were left. */
export async function dismissed() {
  await new Promise((end) => process.stdin.once('end', end).resume())
}
