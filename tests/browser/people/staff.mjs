// Doctor, pharmacist and administrator at their desks.
import assert from 'node:assert/strict'
import { until } from '../world/bench.mjs'
import { Person } from './browser.mjs'

export class Staff extends Person {
  app = '/doctor/'
  pin = '246810'

  async signsIn(login, wrongFirst = false) {
    const password = this.world.site.addresses.demo.staff_password
    await this.go(this.app)
    await this.fill('login-name', login)
    if (wrongFirst) {
      await this.fill('login-password', 'wrong-password')
      await this.click('login-submit')
      assert.match(await this.reads('error-text'), /账号|密码/)
    }
    await this.fill('login-password', password)
    await this.click('login-submit')
    await this.sees('totp-code')
    await this.shots(`${this.app.replaceAll('/', '')}-second-factor`)
    await this.fill('totp-code', await this.bench.oneTimeCode(login))
    await this.click('totp-submit')
    await this.sees('page-title')
  }

  /** Tries a login and password; answers what the page says, or nothing when it asks for the second factor. */
  async tries(login, password) {
    await this.go(this.app)
    await this.fill('login-name', login)
    await this.fill('login-password', password)
    await this.click('login-submit')
    await this.page.locator('[data-testid="totp-code"]:visible, [data-testid="error-text"]:visible').first().waitFor()
    return (await this.find('totp-code').count()) > 0 ? undefined : this.reads('error-text')
  }

  /** Draws a name in the box for it, with these strokes. */
  async draws(strokes = [[[0.2, 0.3], [0.35, 0.6], [0.2, 0.75]], [[0.4, 0.25], [0.42, 0.8]], [[0.55, 0.3], [0.75, 0.35], [0.6, 0.7], [0.85, 0.6]]]) {
    const pad = await this.sees('signature-pad')
    for (const stroke of strokes) {
      // Where it stands now, and stands still: words above it come and go.
      await pad.hover()
      const box = await pad.boundingBox()
      const at = ([x, y]) => [box.x + x * box.width, box.y + y * box.height]
      await this.page.mouse.move(...at(stroke[0]))
      await this.page.mouse.down()
      for (const point of stroke.slice(1)) await this.page.mouse.move(...at(point), { steps: 8 })
      await this.page.mouse.up()
    }
  }

  /** Draws the signature once and sets the PIN. */
  async setsUpSignature() {
    await this.click('nav-signature')
    await this.sees('signature-draw')
    await this.draws()
    await this.click('signature-submit')
    await this.sees('signature-picture')
    await this.fill('signature-pin', this.pin)
    await this.fill('signature-pin-again', '135790')
    await this.click('signature-save')
    await this.says('两次输入不一致')
    await this.fill('signature-pin-again', this.pin)
    await this.shot(`${this.name}-signature`)
    await this.click('signature-save')
    await this.agrees()
    await this.sees('signature-state')
  }

  async entersPin(pin = this.pin) {
    await this.fill('pin', pin)
    await this.click('pin-ok')
  }
}

export class Doctor extends Staff {
  /** Opens a visit from one of the four lists. */
  async opens(group, visit) {
    await this.go('/doctor/')
    await this.click(`group-${group}`)
    await this.one('visit-row', 'id', visit).click()
    await this.sees('visit-detail')
  }

  async writes(text) {
    await this.fill('chat-text', text)
    await this.click('chat-send')
    await this.page.locator('[data-testid="chat-message"]', { hasText: text }).waitFor()
  }

  /** Ends the call; only while they talk the page asks whether it is meant. */
  async hangsUp() {
    await this.click('video-hangup')
    await until('the question, or the end of the call', async () => (await this.find('dialog').count()) > 0 || (await this.find('video-call').count()) === 0)
    if (await this.find('dialog').count()) await this.agrees()
    await this.find('video-call').waitFor({ state: 'hidden' })
  }

  async saved() {
    await this.waits('record', 'status', 'saved')
  }

  async findsDiagnosis(query, code) {
    await this.fill('diagnosis-search', query)
    await this.page.locator(`[data-testid="diagnosis-search-option"][data-key^="${code}"]`).first().click()
    await this.page.locator(`[data-testid="diagnosis-row"][data-code^="${code}"]`).first().waitFor()
  }
}

export class Pharmacist extends Staff {
  async opensReview(prescription) {
    await this.go('/doctor/reviews')
    await this.one('review-row', 'id', prescription).click()
    await this.sees('review-detail')
  }
}

export class Admin extends Staff {
  app = '/admin/'
}
