// 复诊续方: from the phone code to the rating, each in front of their own browser.
import assert from 'node:assert/strict'
import { photograph } from '../people/browser.mjs'
import { Patient } from '../people/patient.mjs'
import { Doctor, Pharmacist } from '../people/staff.mjs'
import { story } from '../world/story.mjs'

const COMPLAINT = '高血压三年，规律服药，血压平稳，想续方'

export function aFollowUpVisit(world) {
  let patient, doctor, pharmacist, demo, visit
  story('A follow-up visit with a prescription', world, (step) => {
    step('the patient signs in with a code from the phone', async () => {
      demo = world.site.addresses.demo
      patient = world.patient = await Patient.arrive(world, 'patient')
      await patient.signsIn(demo.patient_phone)
      await patient.shots('patient-home')
    })

    step('a wrong identity number is refused in words, the right one is matched in the hospital', async () => {
      await patient.go('/patient/patients')
      await patient.click('patient-add')
      const last = demo.patient_id_number.at(-1) === '1' ? '2' : '1'
      const person = { name: demo.patient_name, id: demo.patient_id_number.slice(0, 17) + last, phone: demo.patient_phone }
      await patient.entersPerson(person)
      assert.match(await patient.reads('patient-id-fault'), /身份证/)
      await patient.shots('patient-add-refused')
      await patient.entersPerson({ ...person, id: demo.patient_id_number })
      await patient.sees('patient-card')
      assert.doesNotMatch(await patient.reads('patient-card'), new RegExp(demo.patient_id_number))
      await patient.shots('patient-persons')
    })

    step('a department that never saw the patient says why not; their own says yes', async () => {
      await patient.startsBooking('start-follow-up', demo.patient_name)
      const strange = await patient.asksDepartment('K08')
      assert.equal(strange.eligible, false)
      assert.ok((await patient.reads('eligibility-reason')).length > 5)
      await patient.shots('patient-not-eligible')
      await patient.click('eligibility-back')
      const own = await patient.asksDepartment(demo.department_code)
      assert.equal(own.eligible, true, own.words)
      await patient.shots('patient-eligible')
    })

    step('picks doctor and time, reads the consent, describes the illness with a photo', async () => {
      await patient.picksDoctor(demo.doctor_code)
      visit = world.visit = { slot: await patient.picksFirstSlot() }
      await patient.readsConsent()
      const photo = await photograph(world.browser, '<h1>血压记录</h1><p>11月19日 早 128/82</p><p>11月20日 早 131/84</p><p>11月21日 早 126/80</p>')
      await patient.describesIllness({ complaint: COMPLAINT, medications: '苯磺酸氨氯地平片 5mg 每日一次', photo })
      await patient.shots('patient-confirm')
    })

    step('pays at the channel’s cashier and comes back registered', async () => {
      await patient.click('submit-order')
      await patient.paysAtCashier()
      await patient.waits('visit-detail', 'state', 'waiting', 'checked_in')
      visit.id = patient.page.url().split('/').at(-1)
      await patient.shots('patient-visit-waiting')
      const registration = (await world.bench.books()).registrations
      assert.ok(JSON.stringify(registration).includes(visit.id), 'the hospital knows the order')
    })

    step('reports in', async () => {
      await patient.click('visit-check-in')
      await patient.waits('visit-detail', 'state', 'checked_in')
    })

    step('the doctor signs in with password and one-time code and sets up the signature', async () => {
      doctor = world.doctor = await Doctor.arrive(world, 'doctor')
      await doctor.signsIn(demo.doctor_login, true)
      await doctor.setsUpSignature()
      await doctor.shots('doctor-signature-set')
    })

    step('finds the visit under 待接诊, reads the statement and accepts', async () => {
      await doctor.go('/doctor/')
      await doctor.click('group-checked_in')
      await doctor.sees('visit-row')
      await doctor.shots('doctor-work')
      await doctor.opens('checked_in', visit.id)
      assert.match(await doctor.reads('statement'), new RegExp(COMPLAINT))
      await doctor.sees('statement-photo')
      await doctor.click('visit-accept')
      await doctor.waits('visit-detail', 'state', 'in_progress')
      await doctor.shots('doctor-visit')
    })

    step('reads visits, prescriptions, laboratory and examination reports from the hospital', async () => {
      await doctor.click('tab-history')
      for (const kind of ['visit', 'prescription', 'lab', 'exam']) {
        await doctor.click(`history-${kind}s`)
        await doctor.sees(`history-${kind}`)
        await doctor.shot(`doctor-history-${kind}s`)
      }
    })

    step('they chat in words, pictures and voice', async () => {
      await patient.click('enter-room')
      await doctor.writes('您好，最近血压多少？')
      await patient.says('您好，最近血压多少？')
      await patient.writes('早上 128/82，没有不舒服。')
      await doctor.says('早上 128/82，没有不舒服。')
      const box = await photograph(world.browser, '<h1>苯磺酸氨氯地平片</h1><p>5mg × 28 片</p><p>每日一次，每次一片</p>')
      await patient.page.locator('[data-testid="chat-image"]').setInputFiles(box)
      await doctor.page.locator('[data-testid="chat-message"][data-from="patient"][data-kind="image"] img').waitFor()
      await patient.speaks()
      await doctor.page.locator('[data-testid="chat-message"][data-from="patient"][data-kind="voice"]').waitFor()
      await doctor.shots('doctor-chat')
      await patient.shots('patient-room')
    })

    step('the doctor writes the record with a diagnosis found by its code', async () => {
      await doctor.click('tab-record')
      await doctor.fill('record-chief_complaint', '高血压复诊续方')
      await doctor.fill('record-present_history', '规律服药，血压平稳')
      await doctor.fill('record-past_history', '高血压 3 年')
      await doctor.fill('record-allergies', '无')
      await doctor.fill('record-examination', '自测血压 128/82 mmHg')
      await doctor.findsDiagnosis('I10', 'I10')
      await doctor.fill('record-advice', '低盐饮食，规律服药')
      await doctor.saved()
      await doctor.shots('doctor-record')
    })

    step('and signs it', async () => {
      await doctor.click('record-sign')
      await doctor.entersPin()
      await doctor.sees('record-signed')
    })

    step('a western prescription: the arithmetic is shown wrong, then right; a wrong PIN leaves tries', async () => {
      await doctor.click('tab-rx')
      await doctor.click('rx-new-western')
      await doctor.fill('drug-search', '氨氯地平')
      await doctor.page.locator('[data-testid="drug-search-option"][aria-disabled="false"]').first().click()
      await doctor.fill('rx-days', '14')
      await doctor.fill('rx-quantity', '9')
      assert.match(await doctor.reads('rx-warning'), /数量偏多/)
      await doctor.shots('doctor-prescription-arithmetic')
      await doctor.page.getByText('按天数计算').click()
      await doctor.find('rx-warning').waitFor({ state: 'hidden' })
      await doctor.click('rx-sign')
      await doctor.entersPin('111222')
      assert.match(await doctor.reads('error-text', doctor.find('pin-dialog')), /\d/)
      await doctor.shots('doctor-wrong-pin')
      await doctor.entersPin()
      await doctor.waits('rx-card', 'state', 'in_review')
      visit.western = await doctor.find('rx-card').first().getAttribute('data-id')
      await doctor.shots('doctor-prescription-in-review')
    })

    step('the pharmacist sends it back with a reason', async () => {
      pharmacist = world.pharmacist = await Pharmacist.arrive(world, 'pharmacist')
      await pharmacist.signsIn(demo.pharmacist_login)
      await pharmacist.setsUpSignature()
      await pharmacist.go('/doctor/reviews')
      await pharmacist.sees('review-row')
      await pharmacist.shots('pharmacist-reviews')
      await pharmacist.opensReview(visit.western)
      await pharmacist.shots('pharmacist-review')
      await pharmacist.click('review-reject')
      await pharmacist.find('reason-dose').check()
      await pharmacist.fill('review-comment', '请核对疗程，复诊间隔建议七天')
      await pharmacist.click('review-reject-next')
      await pharmacist.entersPin()
      await pharmacist.sees('page-title')
    })

    step('the doctor revises and signs again', async () => {
      await doctor.waits('rx-card', 'state', 'rejected')
      assert.match(await doctor.reads('rx-rejection'), /请核对疗程/)
      await doctor.shots('doctor-prescription-rejected')
      await doctor.click('rx-revise')
      await doctor.sees('rx-line')
      await doctor.fill('rx-days', '7')
      await doctor.click('rx-sign')
      await doctor.entersPin()
      await doctor.waits('rx-card', 'state', 'in_review')
      visit.western = await doctor.one('rx-card', 'state', 'in_review').getAttribute('data-id')
    })

    step('the pharmacist approves', async () => {
      await pharmacist.opensReview(visit.western)
      await pharmacist.click('review-approve')
      await pharmacist.entersPin()
      await pharmacist.find('review-detail').waitFor({ state: 'hidden' })
    })

    step('the patient chooses pick-up, pays and gets the code', async () => {
      await patient.click('room-prescription')
      await patient.waits('prescription-detail', 'state', 'awaiting_payment')
      await patient.shots('patient-prescription')
      await patient.click('fulfil-pickup')
      await patient.click('fulfil-save')
      await patient.click('prescription-pay')
      await patient.paysAtCashier()
      await patient.waits('prescription-detail', 'state', 'ready')
      visit.pickupCode = await patient.reads('pickup-code')
      assert.match(visit.pickupCode, /^\S{6,}$/)
      assert.equal(await patient.find('qr').first().getAttribute('data-text'), visit.pickupCode)
      await patient.shots('patient-pickup')
    })
  })
}

/** Both go their ways. */
export function theFarewell(world) {
  story('The end of the visit', world, (step) => {
    step('the doctor finishes; nobody can write any more', async () => {
      await world.doctor.opens('in_progress', world.visit.id)
      await world.doctor.click('visit-finish')
      await world.doctor.agrees()
      await world.doctor.waits('visit-detail', 'state', 'finished')
      await world.doctor.sees('chat-closed')
      await world.doctor.go('/doctor/')
      await world.doctor.click('group-finished')
      await world.doctor.one('visit-row', 'id', world.visit.id).waitFor()
    })

    step('the patient rates the visit', async () => {
      await world.patient.opens(world.visit.id)
      await world.patient.waits('visit-detail', 'state', 'finished')
      await world.patient.click('rate-send')
      await world.patient.says('请为三项都打分')
      for (const [what, stars] of [['attitude', 5], ['professional', 5], ['speed', 4]]) await world.patient.click(`rate-${what}-${stars}`)
      await world.patient.fill('rate-comment', '医生很耐心')
      await world.patient.shots('patient-rating')
      await world.patient.click('rate-send')
      await world.patient.page.locator('[data-testid="rating"]', { hasText: '我的评价' }).waitFor()
      assert.match(await world.patient.reads('rating'), /医生很耐心/)
    })

    step('the patient finds visit and prescriptions in the lists', async () => {
      await world.patient.go('/patient/visits')
      await world.patient.click('visits-done')
      await world.patient.one('visit-row', 'id', world.visit.id).waitFor()
      await world.patient.shots('patient-visits')
      await world.patient.go('/patient/prescriptions')
      await world.patient.one('prescription-row', 'id', world.visit.western).waitFor()
      await world.patient.shots('patient-prescriptions')
      await world.patient.go('/patient/me')
      await world.patient.shots('patient-me')
    })
  })
}
