// The line breaks: words and a way on, never a spinner without end.
import assert from 'node:assert/strict'
import { Patient } from '../people/patient.mjs'
import { PATIENCE_MS, until } from '../world/bench.mjs'
import { story } from '../world/story.mjs'

/** The page knows that its network is back. */
async function online(person) {
  await person.page.context().setOffline(false)
  await person.find('offline').waitFor({ state: 'hidden' })
}

export function aBrokenLine(world) {
  story('The line breaks', world, (step) => {
    step('the hospital cannot be reached: the doctor reads so, and 重试 works once the line is whole', async () => {
      const { doctor, bench, visit } = world
      await doctor.opens('in_progress', visit.id)
      await bench.line({ cut: true })
      try {
        await doctor.click('tab-history')
        await doctor.click('history-exams')
        assert.match(await doctor.reads('error-text', doctor.find('history')), /医院|网络|连接|稍后/)
        await doctor.sees('retry', doctor.find('history'))
        await doctor.shots('doctor-history-offline')
      } finally {
        await bench.line({})
      }
      await until('the examinations', async () => {
        if (await doctor.find('history-exam').count()) return true
        await doctor.find('retry', doctor.find('history')).click({ timeout: 3_000 }).catch(() => undefined)
        return false
      }, 3 * PATIENCE_MS)
    })

    step('the patient’s phone loses the network: the message waits and is sent again, once', async () => {
      const { doctor, patient, visit } = world
      await patient.go(`/patient/visits/${visit.id}/room`)
      await patient.sees('chat-text')
      await patient.page.context().setOffline(true)
      await patient.sees('offline')
      await patient.fill('chat-text', '刚才断线了，药已下单')
      await patient.click('chat-send')
      await patient.sees('chat-resend')
      await patient.shot('patient-offline')
      await online(patient)
      await patient.click('chat-resend')
      await patient.find('chat-outgoing').waitFor({ state: 'hidden' })
      const there = doctor.page.locator('[data-testid="chat-message"]', { hasText: '刚才断线了，药已下单' })
      await there.waitFor()
      assert.equal(await there.count(), 1)
    })

    step('leaving the room loses no words: half a sentence and the message that did not go are there again', async () => {
      const { patient } = world
      await patient.page.context().setOffline(true)
      await patient.fill('chat-text', '昨晚胸口闷了一会儿')
      await patient.click('chat-send')
      await patient.sees('chat-resend')
      await patient.fill('chat-text', '现在已经')
      await online(patient)
      await patient.page.getByRole('link', { name: '问诊详情' }).click()
      await patient.sees('visit-detail')
      await patient.click('enter-room')
      assert.match(await patient.reads('chat-outgoing'), /昨晚胸口闷了一会儿/)
      assert.equal(await (await patient.sees('chat-text')).inputValue(), '现在已经')
      await patient.click('chat-resend')
      await patient.find('chat-outgoing').waitFor({ state: 'hidden' })
      await patient.page.locator('[data-testid="chat-message"]', { hasText: '昨晚胸口闷了一会儿' }).waitFor()
      await patient.fill('chat-text', '')
    })

    step('the doctor has ten tabs open: each loads, each hears of news', async () => {
      const { doctor, patient, visit } = world
      const tabs = []
      try {
        for (let n = 0; n < 10; n += 1) {
          const tab = await doctor.page.context().newPage()
          tabs.push(tab)
          await tab.goto(`${doctor.base}/doctor/visits/${visit.id}`, { timeout: PATIENCE_MS })
          await tab.locator('[data-testid="visit-detail"]:visible').first().waitFor({ timeout: PATIENCE_MS })
        }
        await patient.writes('十个页面都收到了吗')
        await Promise.all(tabs.map((tab) => tab.locator('[data-testid="chat-message"]', { hasText: '十个页面都收到了吗' }).waitFor({ timeout: PATIENCE_MS })))
      } finally {
        for (const tab of tabs) await tab.close()
      }
    })

    step('the next person at the same phone finds nothing of the last one’s booking', async () => {
      const { demo } = world.site.addresses
      const [one, other] = demo.patients.slice(-2)
      const phone = await Patient.arrive(world, 'shared')
      await phone.signsIn(one.phone)
      await phone.go('/patient/patients/add')
      await phone.entersPerson({ name: one.name, id: one.id_number, phone: one.phone })
      await phone.sees('patient-card')
      await phone.startsBooking('start-follow-up', one.name)
      assert.ok((await phone.asksDepartment(demo.department_code)).eligible)
      await phone.picksDoctor(demo.doctor_code)
      await phone.picksFirstSlot()
      await phone.readsConsent()
      await phone.fill('statement-complaint', '只想告诉医生的话')
      await phone.page.reload()
      assert.equal(await (await phone.sees('statement-complaint')).inputValue(), '只想告诉医生的话', 'a reload keeps it')
      await phone.go('/patient/me')
      await phone.click('sign-out')
      await phone.agrees()
      await phone.sees('home-login')
      await phone.signsIn(other.phone)
      assert.doesNotMatch(await phone.page.evaluate(() => JSON.stringify(sessionStorage)), /只想告诉医生的话/)
      await phone.go('/patient/book/statement')
      await phone.sees('patient-add').catch(() => undefined)
      assert.equal(await phone.find('statement-complaint').count(), 0, 'the other person begins anew')
      phone.ok()
    })
  })
}
