// A whole visit on phones: the doctor on the way, the pharmacist at home; this time the patient ends it.
import { DESK, PHONE } from '../people/browser.mjs'
import { isFree } from '../people/patient.mjs'
import { until } from '../world/bench.mjs'
import { story } from '../world/story.mjs'

export function onTheDoctorsPhone(world) {
  let patient, doctor, desk, pharmacist, visit, prescription
  story('A visit on the doctor’s phone', world, (step) => {
    // Rows: BJ-112, HZ-208, HZ-220
    step('the doctor finds the patient by name on the phone and accepts', async () => {
      patient = world.patient
      const { demo } = world.site.addresses
      const [me] = await patient.asks('GET', 'patients')
      const slots = await patient.asks('GET', `slots?department_code=K01&doctor_code=D0001&from=${demo.first_day}&to=${demo.last_day}`)
      const slot = slots.find((s) => isFree(s) && s.work_id !== world.visit.slot.work)
      visit = await patient.hasBooked({ patient: me.id, department: 'K01', doctor: 'D0001', slot, complaint: '血压偏高两天，想调整用药' })
      await patient.opens(visit.id)
      await patient.click('visit-check-in')
      doctor = await world.doctor.on(PHONE, 'doctor-phone')
      await doctor.go('/doctor/')
      await doctor.click('group-checked_in')
      await doctor.fill('work-search', demo.patient_name)
      await doctor.one('visit-row', 'id', visit.id).click()
      await doctor.fits()
      await doctor.click('visit-accept')
      await doctor.waits('visit-detail', 'state', 'in_progress')
    })

    // Rows: BJ-124, BJ-125
    step('looks into past prescriptions and reports on the way', async () => {
      await doctor.click('tab-history')
      for (const kind of ['prescription', 'lab', 'exam']) {
        await doctor.click(`history-${kind}s`)
        await doctor.sees(`history-${kind}`)
        await doctor.fits()
      }
    })

    // Rows: HZ-226
    step('they write to each other', async () => {
      await doctor.click('tab-chat')
      await doctor.writes('收到，先把这几天的血压发我。')
      await patient.click('enter-room')
      await patient.says('收到，先把这几天的血压发我。')
      await patient.writes('昨晚 152/96。')
      await doctor.says('昨晚 152/96。')
      await doctor.shot('phone-chat')
      await doctor.fits()
    })

    step('the doctor writes the record on the phone and goes on at the desk', async () => {
      await doctor.click('tab-record')
      await doctor.fill('record-chief_complaint', '血压升高两天')
      await doctor.fill('record-allergies', '无')
      await doctor.findsDiagnosis('gxy', 'I10')
      await doctor.saved()
      desk = await world.doctor.on(DESK, 'doctor-desk')
      await desk.opens('in_progress', visit.id)
      await desk.click('tab-record')
      await desk.fill('record-advice', '低盐饮食')
      await desk.saved()
    })

    step('the record went on at the desk: the phone writes nothing over it before the doctor has seen it', async () => {
      await doctor.fill('record-advice', '三天后复诊')
      await doctor.waits('record', 'status', 'conflict')
      await doctor.sees('record-two')
      await doctor.fits()
      await doctor.shots('doctor-record-two')
      await doctor.click('record-look-theirs')
      await until('the text of the desk', async () => (await doctor.find('record-advice').inputValue()) === '低盐饮食')
      await doctor.click('record-look-mine')
      await doctor.fill('record-advice', '低盐饮食，三天后复诊')
      await doctor.click('record-overwrite')
      await doctor.saved()
      await desk.page.reload()
      await desk.click('tab-record')
      await desk.page.waitForFunction(() => document.querySelector('[data-testid="record-advice"]')?.value === '低盐饮食，三天后复诊')
      await desk.page.close()
    })

    // Rows: BJ-117, HZ-138
    step('and prescribes on the phone and signs', async () => {
      await doctor.click('tab-rx')
      await doctor.click('rx-new-western')
      await doctor.fill('drug-search', '厄贝沙坦')
      await doctor.page.locator('[data-testid="drug-search-option"][aria-disabled="false"]').first().click()
      await doctor.shot('phone-prescription')
      await doctor.fits()
      await doctor.click('rx-sign')
      await doctor.entersPin()
      await doctor.waits('rx-card', 'state', 'in_review')
      prescription = await doctor.one('rx-card', 'state', 'in_review').getAttribute('data-id')
    })

    // Rows: YZ-D-095
    step('the pharmacist reviews on the phone', async () => {
      pharmacist = await world.pharmacist.on(PHONE, 'pharmacist-phone')
      await pharmacist.opensReview(prescription)
      await pharmacist.fits()
      await pharmacist.shot('phone-review')
      await pharmacist.click('review-approve')
      await pharmacist.entersPin()
      await pharmacist.find('review-detail').waitFor({ state: 'hidden' })
      await patient.sees('room-prescription')
    })

    // Rows: YZ-P-187
    step('the patient ends the visit and rates the doctor', async () => {
      await patient.opens(visit.id)
      await patient.click('visit-finish')
      await patient.agrees()
      await patient.waits('visit-detail', 'state', 'finished')
      for (const what of ['attitude', 'professional', 'speed']) await patient.click(`rate-${what}-4`)
      await patient.click('rate-send')
      await patient.page.locator('[data-testid="rating"]', { hasText: '我的评价' }).waitFor()
      await doctor.waits('visit-detail', 'state', 'finished')
    })
  })
}
