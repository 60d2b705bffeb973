// The patient with a phone.
import assert from 'node:assert/strict'
import { until } from '../world/bench.mjs'
import { PHONE, Person } from './browser.mjs'

/** Whether a slot of the hospital can be booked at leisure: one that has begun is no longer offered. */
export const lasting = (slot) => Date.parse(`${slot.date}T${slot.begin}:00+08:00`) > Date.now() + 15 * 60_000

/** Whether it is free as well. */
export const isFree = (slot) => slot.left > 0 && !slot.stopped && lasting(slot)

export class Patient extends Person {
  static size = PHONE

  async signsIn(phone) {
    await this.go('/patient/')
    await this.shot('patient-home-signed-out')
    await this.click('home-login')
    const before = (await this.bench.messages(phone)).length
    await this.fill('phone', phone)
    await this.click('send-code')
    await this.shots('patient-login')
    await this.fill('code', await this.bench.loginCode(phone, before))
    await this.click('login')
    assert.match(await this.reads('error-text'), /用户协议/)
    await this.find('agree').check()
    await this.click('login')
    await this.sees('start-follow-up')
  }

  /** Fills in the form for a person to be treated and saves it. */
  async entersPerson({ name, id, phone, relation = 'self' }) {
    await this.click(`relation-${relation}`)
    await this.fill('patient-name', name)
    await this.fill('patient-id', id)
    await this.fill('patient-phone', phone)
    await this.click('patient-save')
  }

  /** Asks whether a follow-up in a department is possible, and answers the verdict and its words. */
  async asksDepartment(code) {
    await this.one('pick-department', 'code', code).click()
    await this.page.locator('[data-testid="eligibility"][data-eligible]').waitFor()
    const sheet = this.find('eligibility')
    return { eligible: (await sheet.getAttribute('data-eligible')) === 'true', words: await sheet.innerText() }
  }

  /** From the start page to the list of departments. */
  async startsBooking(kind, patient) {
    await this.go('/patient/')
    await this.click(kind)
    await this.page.locator('[data-testid="pick-patient"]:visible', { hasText: patient.slice(0, 1) }).first().click()
    await this.sees('department-search')
  }

  async picksDoctor(code) {
    await this.click('eligibility-next')
    await this.one('pick-doctor', 'code', code).waitFor()
    await this.shot('patient-doctors')
    await this.one('pick-doctor', 'code', code).click()
  }

  /** Takes the first free time that does not begin meanwhile; answers which. */
  async picksFirstSlot() {
    await this.page.locator('[data-testid="pick-slot"]:enabled').first().waitFor()
    const { day, work, begin } = await until('a time that is not about to begin', async () => {
      const date = await this.page.locator('[data-testid="slot-day"][aria-selected="true"]').getAttribute('data-day')
      const all = await this.page.locator('[data-testid="pick-slot"]:enabled').evaluateAll((found) => found.map((e) => ({ work: e.dataset.work, begin: e.dataset.begin })))
      const one = all.find((slot) => lasting({ date, ...slot }))
      if (one) return { day: date, ...one }
      await this.page.locator('[data-testid="slot-day"][aria-selected="true"] + [data-testid="slot-day"]').click()
      return undefined
    })
    const slot = this.page.locator(`[data-testid="pick-slot"][data-work="${work}"][data-begin="${begin}"]`)
    const chosen = { day, work, begin, words: await slot.innerText() }
    await this.shots('patient-slots')
    await slot.click()
    return chosen
  }

  async readsConsent() {
    const text = await this.sees('consent-text')
    assert.ok((await text.innerText()).length > 100, 'the consent says something')
    await text.evaluate((node) => { node.scrollTop = node.scrollHeight })
    await this.find('consent-agree').check()
    await this.shot('patient-consent')
    await this.click('consent-next')
  }

  async describesIllness({ complaint, medications, photo }) {
    await this.fill('statement-complaint', complaint)
    await this.click('statement-duration-4')
    await this.click('statement-no-allergies')
    await this.fill('statement-medications', medications)
    await this.page.locator('[data-testid="photo-input"]').setInputFiles(photo)
    await this.waits('photo', 'state', 'sent')
    await this.shots('patient-statement')
    await this.click('statement-next')
  }

  /** At the channel's own page: confirms, and is brought back. */
  async paysAtCashier(expected) {
    const confirm = this.page.locator('#confirm')
    const locking = this.page.locator('[data-testid="visit-detail"]:is([data-state="locking"], [data-state="lock_unknown"])')
    let late = false
    await until('the cashier', async () => {
      if (await confirm.isVisible()) return true
      // Whom the hospital asks for less, as from 65 on, agrees to it first.
      if (await this.find('dialog-ok').count()) await this.find('dialog-ok').click({ timeout: 3_000 }).catch(() => undefined)
      // A hospital that takes long to hold the place: it is paid from the page of the visit.
      late ||= (await locking.count()) > 0
      if (late && await this.find('visit-pay').count()) {
        late = false
        await this.click('visit-pay')
      }
      return false
    })
    if (expected) assert.match(await this.page.locator('.sum').innerText(), expected)
    await this.shot('cashier')
    await confirm.click()
    // The channel's page says what happened and leads back.
    await this.page.waitForURL(/\/patient\/pay\//)
    await this.waits('pay-result', 'state', 'paid', 'paid_channel', 'his_confirming', 'done')
    await this.shots('patient-paid')
    await this.click('pay-back')
  }

  async writes(text) {
    await this.fill('chat-text', text)
    await this.click('chat-send')
    await this.page.locator('[data-testid="chat-message"]', { hasText: text }).waitFor()
  }

  /** Holds the button, speaks and lets go. */
  async speaks() {
    await this.click('chat-voice-toggle')
    const button = await this.sees('chat-voice-hold')
    await button.hover()
    await this.page.mouse.down()
    // What is said before the microphone is open is lost.
    await this.waits('chat-voice-hold', 'recording', 'true')
    await this.page.waitForTimeout(1_600)
    await this.page.mouse.up()
    await this.page.locator('[data-testid="chat-message"][data-kind="voice"]').waitFor()
    await this.click('chat-voice-toggle')
  }

  /** What the app asks of the server, without its pages: for the days before the story. */
  asks(method, path, body) {
    return this.page.evaluate(async ([m, p, b]) => {
      const response = await fetch(`/api/v1/${p}`, { method: m, headers: { 'content-type': 'application/json', 'X-Yiqiao': '1' }, body: b && JSON.stringify(b) })
      const answer = await response.json().catch(() => undefined)
      if (!response.ok) throw new Error(`${m} ${p}: ${response.status} ${JSON.stringify(answer)}`)
      return answer
    }, [method, path, body])
  }

  /** Books a slot as the app does, and pays for it when asked. */
  async hasBooked({ patient, department, doctor, slot, complaint, paid = true }) {
    const consent = await this.asks('GET', 'consents/current')
    let visit = await this.asks('POST', 'visits', {
      key: crypto.randomUUID(), patient_id: patient, purpose: 'follow_up', department_code: department, doctor_code: doctor,
      slot: { work_id: slot.work_id, date: slot.date, begin: slot.begin, end: slot.end }, consent: { id: consent.id, version: consent.version },
      statement: { complaint, duration: '半年以上', history: '', allergies: '无', medications: '' }, photo_ids: [],
    })
    const { id } = visit
    visit = await until(`the place of ${id}`, async () => {
      const now = await this.asks('GET', `visits/${id}`)
      return ['locking', 'lock_unknown'].includes(now.state) ? undefined : now
    })
    assert.equal(visit.state, 'awaiting_payment', JSON.stringify(visit))
    if (paid) {
      const { payment_id } = await this.asks('POST', `visits/${visit.id}/pay`, { method: 'wechat_h5' })
      await this.bench.paysElsewhere(payment_id)
      visit = await until(`the registration of ${visit.id}`, async () => {
        const now = await this.asks('GET', `visits/${visit.id}`)
        return now.state === 'waiting' ? now : undefined
      })
    }
    return visit
  }

  async opens(visit) {
    await this.go(`/patient/visits/${visit}`)
    await this.sees('visit-detail')
  }
}
