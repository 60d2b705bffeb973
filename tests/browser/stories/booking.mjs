// From the start page to a paid registration, on the patient's phone.
import assert from 'node:assert/strict'
import { PHONE, photograph } from '../people/browser.mjs'
import { Patient } from '../people/patient.mjs'
import { until } from '../world/bench.mjs'
import { story } from '../world/story.mjs'

/** The provider's number of our text about a registration. */
const REGISTERED = '100002'

export const COMPLAINT = '高血压三年，规律服药，血压平稳，想续方'

export function aBooking(world) {
  let patient, demo
  story('A follow-up is booked', world, (step) => {
    // Rows: YZ-P-039, BJ-096
    step('the patient agrees to the terms and signs in with a code from the phone', async () => {
      demo = world.site.addresses.demo
      patient = world.patient = await Patient.arrive(world, 'patient')
      await patient.signsIn(demo.patient_phone)
      await patient.shots('patient-home')
    })

    // Rows: BJ-092
    step('a wrong identity number is refused in words', async () => {
      await patient.go('/patient/patients')
      await patient.click('patient-add')
      const last = demo.patient_id_number.at(-1) === '1' ? '2' : '1'
      await patient.entersPerson({ name: demo.patient_name, id: demo.patient_id_number.slice(0, 17) + last, phone: demo.patient_phone })
      assert.match(await patient.reads('patient-id-fault'), /身份证号有误/)
      await patient.shots('patient-add-refused')
      await patient.fits()
    })

    step('the right one is matched with the file the hospital has; numbers are masked', async () => {
      await patient.fill('patient-id', demo.patient_id_number)
      await patient.click('patient-save')
      const card = await patient.reads('patient-card')
      assert.match(card, /已关联医院档案/)
      assert.doesNotMatch(card, new RegExp(demo.patient_id_number))
      await patient.shots('patient-persons')
    })

    // Rows: YZ-P-015, YZ-P-024, BJ-080, FT-047
    step('a second person is added, and removed again', async () => {
      const { patients } = await world.bench.people()
      const other = patients.find((p) => p.pat_id === 'P000003')
      await patient.click('patient-add')
      await patient.entersPerson({ name: other.name, id: other.id_number, phone: other.phone, relation: 'spouse' })
      const card = patient.page.locator('[data-testid="patient-card"]', { hasText: '配偶' })
      await card.waitFor()
      await until('two persons', async () => (await patient.find('patient-card').count()) === 2)
      await card.getByTestId('patient-remove').click()
      await patient.agrees()
      await card.waitFor({ state: 'hidden' })
      await until('one person', async () => (await patient.find('patient-card').count()) === 1)
    })

    // Rows: BJ-032, BJ-034, BJ-055, YZ-P-180
    step('a department that never saw the patient says why not; their own says yes', async () => {
      await patient.startsBooking('start-follow-up', demo.patient_name)
      const strange = await patient.asksDepartment('K08')
      assert.equal(strange.eligible, false)
      assert.match(await patient.reads('eligibility-reason'), /就诊/)
      await patient.shots('patient-not-eligible')
      await patient.click('eligibility-back')
      const own = await patient.asksDepartment(demo.department_code)
      assert.equal(own.eligible, true, own.words)
      assert.match(own.words, /上次就诊/)
      // Who merely knows a name and a number learns no diagnosis from the hospital's files.
      assert.doesNotMatch(own.words, /高血压/)
      await patient.shots('patient-eligible')
    })

    // Rows: AP-088, BJ-037, FT-140, YZ-P-181, YZ-P-195
    step('picks doctor and time among the hospital’s live slots', async () => {
      await patient.picksDoctor(demo.doctor_code)
      world.visit = { slot: await patient.picksFirstSlot() }
      assert.match(world.visit.slot.words, /余 \d+/)
    })

    step('who leaves the page open over midnight is shown the new day as today', async () => {
      const late = await patient.on(PHONE, 'patient over midnight')
      await late.startsBooking('start-follow-up', demo.patient_name)
      await late.asksDepartment(demo.department_code)
      const [evening] = new Date(Date.now() + 8 * 3600_000).toISOString().split('T')
      // The clock stands, however long the machine takes; what runs by seconds runs on.
      const midnight = new Date(`${evening}T24:00:00+08:00`).getTime()
      await late.page.clock.setFixedTime(midnight - 30_000)
      await late.picksDoctor(demo.doctor_code)
      const first = async () => ((await late.find('slot-day').count()) ? (await late.find('slot-day').first().innerText()).split('\n') : [])
      await until('the old day', async () => (await first()).includes(evening.slice(5)))
      assert.ok((await first()).includes('今天'))
      await late.page.clock.setFixedTime(midnight + 30_000)
      await until('the new day', async () => (await first()).includes('今天') && !(await first()).includes(evening.slice(5)))
      const [chosen] = await late.find('slot-day').evaluateAll((all) => all.filter((e) => e.ariaSelected === 'true').map((e) => e.dataset.day))
      assert.ok(chosen > evening, `${chosen} is chosen`)
      await late.page.context().close()
    })

    // Rows: BJ-036, BJ-071, FT-045
    step('reads the informed consent to its end and accepts it', async () => {
      await patient.readsConsent()
    })

    // Rows: AP-090, BJ-041, BJ-042, YZ-P-182
    step('describes the illness with a photo before anything is paid', async () => {
      const photo = await photograph(world.browser, '<h1>血压记录</h1><p>11月19日 早 128/82</p><p>11月20日 早 131/84</p><p>11月21日 早 126/80</p>')
      await patient.describesIllness({ complaint: COMPLAINT, medications: '苯磺酸氨氯地平片 5mg 每日一次', photo })
      assert.match(await patient.reads('total'), /¥\d+\.\d\d/)
      await patient.says('线上复诊')
      await patient.shots('patient-confirm')
    })

    // Rows: AP-110, YZ-P-158, YZ-P-162, YZ-P-183, YZ-P-197, YZ-P-201, BJ-039, BJ-068, BJ-199, BJ-200, FT-036, HZ-163
    step('pays at the channel’s cashier and comes back registered', async () => {
      await patient.click('submit-order')
      await patient.paysAtCashier()
      await patient.waits('visit-detail', 'state', 'waiting')
      assert.match(await patient.reads('visit-head'), /现在就可以点“报到”/)
      world.visit.id = patient.page.url().split('/').at(-1)
      await patient.shots('patient-visit-waiting')
      const { registrations } = await world.bench.books()
      assert.ok(JSON.stringify(registrations).includes(world.visit.id), 'the hospital knows the order')
      await until('a text message about the registration', async () => (await world.bench.messages(demo.patient_phone)).templates.includes(REGISTERED))
    })
  })
}
