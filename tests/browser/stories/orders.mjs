// Examinations and tests on the doctor's phone: the signature drawn, the PIN set at the first signing, each signed.
import assert from 'node:assert/strict'
import { PHONE } from '../people/browser.mjs'
import { isFree } from '../people/patient.mjs'
import { Doctor } from '../people/staff.mjs'
import { until } from '../world/bench.mjs'
import { story } from '../world/story.mjs'

const PIN = '7392'

export function ordersOnThePhone(world) {
  let patient, doctor, visit
  const opens = async (kind) => {
    await doctor.click('tab-chat')
    await doctor.click(`tool-${kind}`)
    await doctor.waits('order-editor', 'kind', kind)
  }
  const takes = async (name) => {
    const option = doctor.page.locator('[data-testid="order-option"]:visible', { hasText: name }).first()
    await option.getByRole('button').first().click()
    await doctor.page.locator('[data-testid="order-line"]', { hasText: name }).waitFor()
  }

  story('Examinations and tests', world, (step) => {
    // Rows: YZ-D-005, YZ-D-006
    step('the doctor’s drawn signature is collected on the phone, shown, and drawn anew', async () => {
      patient = world.patient
      doctor = await Doctor.arrive(world, 'doctor2-phone', PHONE)
      doctor.pin = PIN
      await doctor.signsIn('doctor2')
      await doctor.click('nav-signature')
      await doctor.sees('signature-draw')
      await doctor.click('signature-submit')
      await doctor.says('请在框内手写姓名')
      await doctor.draws()
      await doctor.click('signature-submit')
      const first = await (await doctor.sees('signature-picture')).getAttribute('data-id')
      await doctor.fits()
      await doctor.shots('doctor-signature-drawn')
      await doctor.page.reload()
      await doctor.waits('signature-picture', 'id', first)
      await doctor.click('signature-change')
      await doctor.draws([[[0.2, 0.5], [0.8, 0.5]], [[0.5, 0.2], [0.5, 0.8]]])
      await doctor.click('signature-submit')
      await until('another picture', async () => (await (await doctor.sees('signature-picture')).getAttribute('data-id')) !== first)
      assert.equal(await doctor.find('signature-picture').locator('img').evaluate((img) => img.decode().then(() => img.naturalWidth > 100)), true)
    })

    // Rows: YZ-D-042, YZ-D-080
    step('from the bar of the consulting room an examination is chosen from all items, its department confirmed', async () => {
      const { demo } = world.site.addresses
      const [me] = await patient.asks('GET', 'patients')
      const slots = await patient.asks('GET', `slots?department_code=K01&doctor_code=D0002&from=${demo.first_day}&to=${demo.last_day}`)
      visit = await patient.hasBooked({ patient: me.id, department: 'K01', doctor: 'D0002', slot: slots.find(isFree), complaint: '胸闷一周' })
      await patient.opens(visit.id)
      await patient.click('visit-check-in')
      await doctor.opens('checked_in', visit.id)
      await doctor.click('visit-accept')
      await doctor.waits('visit-detail', 'state', 'in_progress')
      await doctor.click('tab-record')
      await doctor.fill('record-chief_complaint', '胸闷一周')
      await doctor.findsDiagnosis('I10', 'I10')
      await doctor.saved()
      await opens('exam')
      await doctor.click('order-all')
      await takes('常规十二导联心电图')
      await doctor.find('order-department').selectOption({ label: '体检中心检验室' })
      await doctor.click('order-sign')
      await doctor.says('请核对并确认执行科室')
      await doctor.find('order-departments-ok').check()
      assert.equal(await doctor.reads('order-total'), '¥25.00')
      await doctor.fits()
      await doctor.shots('doctor-order-exam')
    })

    // Rows: YZ-D-043, YZ-D-044
    step('the first signing leads to setting the PIN: twice the same four digits; a wrong PIN opens nothing', async () => {
      await doctor.click('order-sign')
      const dialog = doctor.find('pin-dialog')
      await doctor.fill('signature-pin', PIN, dialog)
      await doctor.fill('signature-pin-again', '7393', dialog)
      await doctor.click('signature-save', dialog)
      await doctor.says('两次输入不一致')
      await doctor.shot('doctor-order-first-pin')
      await doctor.fill('signature-pin-again', PIN, dialog)
      await doctor.click('signature-save', dialog)
      await doctor.entersPin('9517')
      assert.match(await doctor.reads('error-text', dialog), /还可尝试 \d 次/)
      assert.deepEqual((await world.bench.books()).applies.filter((a) => a.visit && a.doctor === 'D0002'), [])
      await doctor.entersPin()
      await doctor.waits('order-card', 'state', 'open')
      await doctor.shots('doctor-order-open')
    })

    // Rows: YZ-D-079, YZ-D-081, YZ-D-083, YZ-D-084, YZ-D-085
    step('tests are taken from all and from the usual ones, where a star puts them; examinations from the usual ones and by search', async () => {
      await opens('lab')
      await doctor.click('order-all')
      await takes('肾功能')
      await doctor.fill('order-search', 'xzsx')
      const found = doctor.page.locator('[data-testid="order-option"]:visible', { hasText: '血脂四项' })
      await found.waitFor()
      await found.getByTestId('order-star').click()
      await found.getByTestId('order-star').getByText('★').waitFor()
      await doctor.click('order-usual')
      await takes('血脂四项')
      await doctor.find('order-specimen').last().selectOption({ label: '血浆' })
      await doctor.find('order-departments-ok').check()
      await doctor.shots('doctor-order-lab')
      await doctor.click('order-sign')
      await doctor.entersPin()
      await doctor.page.locator('[data-testid="order-card"][data-kind="lab"][data-state="open"]').waitFor()
      await opens('exam')
      await doctor.click('order-usual')
      await takes('心电图')
      await doctor.fill('order-search', 'fbcs')
      await takes('腹部超声')
      await doctor.click('order-close')
      await doctor.agrees()
    })

    step('the patient reads where to go; the test is taken back with a reason', async () => {
      await patient.opens(visit.id)
      await patient.one('order-card', 'kind', 'exam').waitFor()
      assert.match(await patient.one('order-card', 'kind', 'exam').getByTestId('order-next').innerText(), /请到院.*体检中心检验室/)
      await patient.fits()
      await patient.shots('patient-orders')
      await doctor.page.locator('[data-testid="order-card"][data-kind="lab"]').getByTestId('order-revoke').click()
      await doctor.agrees('近期已查')
      await doctor.page.locator('[data-testid="order-card"][data-kind="lab"][data-state="revoked"]').waitFor()
      await patient.page.locator('[data-testid="order-card"][data-kind="lab"][data-state="revoked"]').waitFor()
      const check = await patient.follows('order-verify')
      await check.locator('[data-testid="verdict"][data-valid="true"]').waitFor()
      await check.close()
    })
  })
}
