// Somebody at the self-service terminal in the hall: touches large buttons, shows cards and codes.
import assert from 'node:assert/strict'
import { until } from '../world/bench.mjs'
import { Person } from './browser.mjs'

const LYING = { width: 1280, height: 800 }
const STANDING = { width: 1080, height: 1920 }

export class Visitor extends Person {
  static size = { viewport: LYING, hasTouch: true }

  view(name) {
    return this.page.locator(`body[data-view="${name}"]`).waitFor()
  }

  /** At a person's pace: the page takes two taps in a third of a second for one. */
  async touch(act) {
    await this.page.locator(`[data-act="${act}"]`).first().waitFor()
    await this.page.waitForTimeout(400)
    await this.page.locator(`[data-act="${act}"]`).first().tap()
  }

  /** A key of the pad on the screen. */
  async key(label) {
    await this.page.locator('.pad button', { hasText: new RegExp(`^${label}$`) }).tap()
  }

  /** What a card does not carry, by finger. */
  async enters(text) {
    await this.page.locator('.pad').waitFor()
    await this.page.waitForTimeout(400)
    for (const letter of text) await this.key(letter)
    await this.page.locator('.confirm').tap()
  }

  /** A scanner that types what it reads, and Enter, at once as they do. */
  scanned(text) {
    return this.page.evaluate((keys) => {
      for (const key of keys) document.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }))
    }, [...text, 'Enter'])
  }

  text() {
    return this.page.locator('body').innerText()
  }

  /** Pictures of the page on both kinds of terminal; on each everything fits and can be hit. */
  async looks(name) {
    for (const size of [LYING, STANDING]) {
      await this.page.setViewportSize(size)
      await this.shot(`kiosk-${name}`)
      await this.fits()
      let small, cut
      await until('the page drawn for this screen', async () => {
        small = await this.page.locator('button:visible').evaluateAll((all) => all.filter((b) => {
          const box = b.getBoundingClientRect()
          return box.height < 64 || box.width < 64 || box.bottom > innerHeight || box.right > innerWidth
        }).map((b) => b.textContent))
        cut = await this.page.locator('main').evaluate((main) => main.scrollHeight - main.clientHeight)
        return small.length === 0 && cut <= 0
      }, 10_000).catch(() => undefined)
      assert.deepEqual(small, [], `too small or off the screen at ${size.width}`)
      assert.ok(cut <= 0, `${name} is ${cut} px too tall at ${size.width}`)
    }
    await this.page.setViewportSize(LYING)
  }
}
