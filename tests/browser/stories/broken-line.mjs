// The line breaks: words and a way on, never a spinner without end.
import assert from 'node:assert/strict'
import { story } from '../world/story.mjs'

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
      for (let round = 0; round < 20 && await doctor.find('history-exam').count() === 0; round += 1) {
        await doctor.find('retry', doctor.find('history')).click({ timeout: 3_000 }).catch(() => undefined)
        await doctor.page.waitForTimeout(800)
      }
      await doctor.sees('history-exam')
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
      await patient.page.context().setOffline(false)
      await patient.click('chat-resend')
      await patient.find('chat-outgoing').waitFor({ state: 'hidden' })
      const there = doctor.page.locator('[data-testid="chat-message"]', { hasText: '刚才断线了，药已下单' })
      await there.waitFor()
      assert.equal(await there.count(), 1)
    })
  })
}
