// A person in front of a browser.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { PATIENCE_MS, until } from '../world/bench.mjs'

const SHOTS = new URL('../shots', import.meta.url).pathname
const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }
const DESK = { viewport: { width: 1440, height: 900 } }

function executable() {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8' }).trim()
    } catch {
      // The next name.
    }
  }
  throw new Error('no Chromium in PATH')
}

/** One Chromium for everybody; each person has cookies of their own. */
export async function openBrowser() {
  rmSync(SHOTS, { recursive: true, force: true })
  mkdirSync(SHOTS, { recursive: true })
  return chromium.launch({
    executablePath: executable(),
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', '--allow-loopback-in-peer-connection',
    ],
  })
}

/** Tells of each short notice as it appears: it goes away by itself, perhaps while nobody here looks. */
function listensToNotices() {
  new MutationObserver((all) => {
    const fresh = all.flatMap((one) => [...one.addedNodes]).filter((node) => node instanceof Element)
    const notice = '[data-testid="notice"]'
    for (const node of fresh) for (const one of [node, ...node.querySelectorAll(notice)]) if (one.matches(notice)) window.yiqiaoHears(one.textContent)
  }).observe(document, { childList: true, subtree: true })
}

/** Somebody with a browser window. */
export class Person {
  static size = DESK

  constructor(name, page, world) {
    this.name = name
    this.page = page
    this.world = world
    this.bench = world.bench
    this.base = world.site.addresses.web
    this.troubles = []
    /** Notices since the last click. */
    this.heard = []
    // What a browser throws itself has no stack.
    page.on('pageerror', (error) => this.troubles.push(`${page.url()}: ${error.stack || error}`))
  }

  static async arrive(world, name, size = this.size) {
    const context = await world.browser.newContext({ ...size, locale: 'zh-CN', timezoneId: 'Asia/Shanghai', permissions: ['camera', 'microphone'] })
    const page = await context.newPage()
    page.setDefaultTimeout(PATIENCE_MS)
    const person = new this(name, page, world)
    await page.exposeFunction('yiqiaoHears', (text) => { person.heard.push(text) })
    await page.addInitScript(listensToNotices)
    world.people.push(person)
    return person
  }

  /** The same person with another screen, signed in there as well. */
  async on(size, name) {
    return this.constructor.arrive(this.world, name, { ...size, storageState: await this.page.context().storageState() })
  }

  /** Nothing fell over in this browser's own scripts. */
  ok() {
    assert.deepEqual(this.troubles, [], `scripts failed in the browser of ${this.name}`)
  }

  go(path) {
    return this.page.goto(this.base + path)
  }

  find(testid, within = this.page) {
    return within.locator(`[data-testid="${testid}"]:visible`)
  }

  one(testid, attribute, value) {
    return this.page.locator(`[data-testid="${testid}"][data-${attribute}="${value}"]:visible`)
  }

  async click(testid, within) {
    this.heard.length = 0
    await this.find(testid, within).first().click()
  }

  async fill(testid, text, within) {
    await this.find(testid, within).first().fill(text)
  }

  async sees(testid, within) {
    await this.find(testid, within).first().waitFor()
    return this.find(testid, within).first()
  }

  async reads(testid, within) {
    return (await (await this.sees(testid, within)).innerText()).trim()
  }

  /** Waits until an element carries one of the values. */
  async waits(testid, attribute, ...values) {
    try {
      await Promise.any(values.map((value) => this.one(testid, attribute, value).first().waitFor()))
    } catch {
      const seen = await this.page.locator(`[data-testid="${testid}"]`).evaluateAll((all, a) => all.map((e) => e.getAttribute(`data-${a}`)), attribute)
      throw new Error(`${this.name} waited for ${testid} to be ${values.join(' or ')}; it is ${seen.join(', ') || 'not there'}. ${await this.complaints()}`)
    }
  }

  /** What the page complains about, for the words of a failure. */
  async complaints() {
    const said = await this.page.locator('[data-testid="error-text"]:visible, [role="alert"]:visible').allInnerTexts()
    return said.length ? `The page says: ${said.join(' | ')}` : `The page is ${this.page.url()}`
  }

  /** Words somewhere on the page, also those that went away by themselves since the last click. */
  async says(words) {
    const meant = (text) => (words instanceof RegExp ? words.test(text) : text.includes(words))
    try {
      await until(words, async () => this.heard.some(meant) || (await this.page.getByText(words).first().isVisible()))
    } catch {
      throw new Error(`${this.name} never saw ${words}. ${await this.complaints()}`)
    }
  }

  /** Answers a question of the page. */
  async agrees(text) {
    await this.sees('dialog')
    if (text) await this.fill('dialog-input', text)
    await this.click('dialog-ok')
    await this.find('dialog').waitFor({ state: 'hidden' })
  }

  /** A picture of the page for people to look at. */
  async shot(name, options = {}) {
    const size = this.page.viewportSize()
    await this.page.waitForTimeout(250)
    await this.page.screenshot({ path: join(SHOTS, `${name}-${size.width}.png`), animations: 'disabled', ...options })
  }

  /** Pictures of the page in both sizes. */
  async shots(name, other) {
    await this.shot(name)
    const before = this.page.viewportSize()
    await this.page.setViewportSize(other ?? (before.width < 900 ? DESK.viewport : PHONE.viewport))
    await this.shot(name)
    await this.page.setViewportSize(before)
  }

  /** No page is wider than the screen: nobody scrolls sideways. */
  async fits() {
    let over
    await until('a page as wide as the screen', async () => {
      over = await this.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      return over <= 0
    }, 10_000).catch(() => undefined)
    assert.ok(over <= 0, `${this.page.url()} is ${over} px wider than the screen of ${this.name}`)
  }

  /** Opens what a link opens in a tab of its own. */
  async follows(testid) {
    const [page] = await Promise.all([this.page.context().waitForEvent('page'), this.click(testid)])
    await page.waitForLoadState()
    return page
  }

  /** Whether a video shows moving pictures; a film that is over by now is begun again. */
  async watches(testid) {
    const video = await this.sees(testid)
    const seen = new Set()
    await until(`${this.name}: moving pictures in ${testid}`, async () => {
      const mark = await video.evaluate((v) => {
        if (v.ended) {
          v.currentTime = 0
          void v.play()
        }
        if (!v.videoWidth || v.readyState < 2) return undefined
        const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 48 })
        const context = canvas.getContext('2d')
        context.drawImage(v, 0, 0, 64, 48)
        const data = context.getImageData(0, 0, 64, 48).data
        let sum = 0
        for (let i = 0; i < data.length; i += 1) sum = (sum * 31 + data[i]) >>> 0
        return sum
      })
      if (mark !== undefined) seen.add(mark)
      return seen.size > 2
    }, 2 * PATIENCE_MS)
  }

  /** The bytes behind a link, fetched with this person's cookies. */
  async downloads(href) {
    const response = await this.page.context().request.get(new URL(href, this.base).href)
    assert.equal(response.status(), 200, href)
    return { bytes: await response.body(), type: response.headers()['content-type'] }
  }
}

/** A photo of a sheet of paper, as a phone takes it. */
export async function photograph(browser, words) {
  const page = await browser.newPage({ viewport: { width: 900, height: 700 } })
  await page.setContent(`<body style="margin:0;background:#7b6a55"><div style="margin:40px;padding:40px;background:#fffdf5;font:28px/1.8 sans-serif;transform:rotate(-1.5deg)">${words}</div></body>`)
  const bytes = await page.screenshot({ type: 'jpeg', quality: 85 })
  await page.close()
  return { name: 'photo.jpg', mimeType: 'image/jpeg', buffer: bytes }
}

export { PHONE, DESK }
