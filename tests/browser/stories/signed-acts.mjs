// What is signed besides single documents: an expert's opinion, everything left at the end of service, a record after review.
import assert from 'node:assert/strict'
import { DESK, PHONE } from '../people/browser.mjs'
import { isFree } from '../people/patient.mjs'
import { Doctor, Staff } from '../people/staff.mjs'
import { story } from '../world/story.mjs'

const QUESTION = '血压晨起偏高，是否需要联合用药？'
const OPINION = '建议加用小剂量利尿剂，两周后复查电解质。'

export function signedActs(world) {
  let patient, doctor, expert, medical, visit, name
  story('A consilium, the end of service, and the review of the record', world, (step) => {
    step('the doctor sees a patient and asks another doctor of the hospital', async () => {
      patient = world.patient
      const { demo } = world.site.addresses
      const [me] = await patient.asks('GET', 'patients')
      const slots = await patient.asks('GET', `slots?department_code=K01&doctor_code=D0001&from=${demo.first_day}&to=${demo.last_day}`)
      const slot = slots.filter(isFree).at(-1)
      visit = await patient.hasBooked({ patient: me.id, department: 'K01', doctor: 'D0001', slot, complaint: '晨起血压偏高，想请上级医生看看' })
      await patient.opens(visit.id)
      await patient.click('visit-check-in')
      expert = await Doctor.arrive(world, 'expert', PHONE)
      await expert.signsIn('doctor3')
      name = await expert.reads('staff-name')
      doctor = await world.doctor.on(DESK, 'doctor-asks')
      await doctor.opens('checked_in', visit.id)
      await doctor.click('visit-accept')
      await doctor.waits('visit-detail', 'state', 'in_progress')
      await doctor.click('tab-consilium')
      await doctor.click('consilium-new')
      await doctor.fill('expert-search', name)
      await doctor.click('expert')
      await doctor.fill('consilium-question', QUESTION)
      await doctor.shots('doctor-consilium-new')
      await doctor.click('consilium-send')
      await doctor.waits('consilium-row', 'state', 'invited')
    })

    // Rows: HZ-273
    step('the expert accepts on the phone, reads the visit and signs the opinion', async () => {
      await expert.setsUpSignature()
      assert.equal(await expert.reads('consilia-waiting'), '1')
      await expert.click('nav-consilia')
      await expert.shots('expert-consilia')
      await expert.click('consilium-row')
      assert.equal(await expert.reads('consilium-asked'), QUESTION)
      assert.equal(await expert.find('materials').count(), 0, 'nothing of the visit before acceptance')
      await expert.fits()
      await expert.click('consilium-accept')
      await expert.sees('materials')
      assert.match(await expert.reads('materials'), /晨起血压偏高/)
      await expert.fits()
      await expert.shots('expert-materials')
      await expert.fill('opinion-text', OPINION)
      await expert.click('opinion-sign')
      await expert.entersPin('111222')
      assert.match(await expert.reads('error-text', expert.find('pin-dialog')), /还可尝试 \d 次/)
      await expert.entersPin()
      await expert.waits('consilium-detail', 'state', 'concluded')
      await expert.waits('opinion', 'valid', 'true')
      // Nothing of the visit after the opinion.
      await expert.find('materials').waitFor({ state: 'hidden' })
      await expert.fits()
    })

    step('the doctor who asked reads the signed opinion and judges it', async () => {
      await doctor.waits('consilium-row', 'state', 'concluded')
      await doctor.click('consilium-row')
      await doctor.waits('opinion', 'valid', 'true')
      assert.match(await doctor.reads('opinion'), new RegExp(OPINION.slice(0, 10)))
      await doctor.click('judge-5')
      await doctor.fill('judge-comment', '意见明确')
      await doctor.shots('doctor-opinion')
      await doctor.click('judge-send')
      await doctor.agrees()
      await doctor.sees('judgement')
      await doctor.click('back')
    })

    // Rows: FT-124, FT-125
    step('at the end of service one PIN signs record and prescription and submits them', async () => {
      await doctor.click('visit-finish')
      await doctor.waits('ending-missing', 'code', 'no_record')
      await doctor.shots('doctor-ending-missing')
      await doctor.click('ending-mend')
      await doctor.fill('record-chief_complaint', '晨起血压偏高一周')
      await doctor.findsDiagnosis('gxy', 'I10')
      await doctor.saved()
      await doctor.click('tab-rx')
      await doctor.click('rx-new-western')
      await doctor.fill('drug-search', '厄贝沙坦')
      await doctor.page.locator('[data-testid="drug-search-option"][aria-disabled="false"]').first().click()
      await doctor.click('rx-save')
      await doctor.says('草稿已保存')
      await doctor.click('visit-finish')
      await doctor.one('ending-paper', 'kind', 'prescription').waitFor()
      const papers = await doctor.find('ending-paper').evaluateAll((all) => all.map((e) => `${e.dataset.kind} ${e.dataset.signed}`))
      assert.deepEqual(papers, ['record false', 'prescription false'])
      await doctor.shots('doctor-ending')
      await doctor.click('ending-next')
      await doctor.entersPin('111222')
      assert.match(await doctor.reads('error-text', doctor.find('pin-dialog')), /尚未签署任何文书/)
      await doctor.entersPin()
      await doctor.waits('visit-detail', 'state', 'finished')
      await doctor.waits('rx-card', 'state', 'in_review')
      await patient.opens(visit.id)
      await patient.waits('visit-detail', 'state', 'finished')
    })

    step('medical affairs sends the record back; the doctor signs a new version, which is approved', async () => {
      medical = await Staff.arrive(world, 'medical')
      await medical.signsIn('medical')
      await medical.one('record-review-row', 'id', visit.id).waitFor()
      await medical.shots('medical-record-reviews')
      await medical.one('record-review-row', 'id', visit.id).click()
      await medical.waits('record-signature', 'valid', 'true')
      await medical.shots('medical-record-review')
      await medical.click('record-return')
      await medical.fill('record-return-reason', '请补充现病史与用药情况')
      await medical.click('record-return-send')
      await medical.find('record-review-detail').waitFor({ state: 'hidden' })

      await doctor.go('/doctor/')
      await doctor.shots('doctor-record-returned')
      await doctor.one('returned-record', 'id', visit.id).click()
      await doctor.waits('record-review', 'state', 'returned')
      assert.match(await doctor.reads('record-review'), /请补充现病史/)
      await doctor.fill('record-present_history', '近一周晨起 140-145/90 mmHg，规律服用氨氯地平')
      await doctor.saved()
      await doctor.shots('doctor-record-again')
      await doctor.click('record-sign')
      await doctor.entersPin()
      await doctor.waits('record-review', 'state', 'in_review')

      await medical.go('/doctor/record-reviews')
      await medical.one('record-review-row', 'id', visit.id).click()
      await medical.click('record-approve')
      await medical.agrees()
      await medical.find('record-review-detail').waitFor({ state: 'hidden' })
      await doctor.waits('record-review', 'state', 'approved')
      await medical.click('record-reviews-approved')
      await medical.one('record-review-row', 'id', visit.id).waitFor()
    })
  })
}
