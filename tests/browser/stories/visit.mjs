// The visit itself: both report in, talk, the doctor writes and signs, the pharmacist reviews, the patient collects.
import assert from 'node:assert/strict'
import { photograph } from '../people/browser.mjs'
import { Doctor, Pharmacist } from '../people/staff.mjs'
import { PATIENCE_MS, until } from '../world/bench.mjs'
import { story } from '../world/story.mjs'
import { COMPLAINT } from './booking.mjs'

export function aVisit(world) {
  let patient, doctor, pharmacist, demo, visit
  story('A follow-up visit with a prescription', world, (step) => {
    // Rows: AP-045, AP-079, FT-069
    step('the doctor is not let in with a wrong password; with password and one-time code, and sets up the signature', async () => {
      ({ patient, visit } = world)
      demo = world.site.addresses.demo
      doctor = world.doctor = await Doctor.arrive(world, 'doctor')
      await doctor.signsIn(demo.doctor_login, true)
      await doctor.setsUpSignature()
      await doctor.shots('doctor-signature-set')
    })

    // Rows: BJ-062, BJ-104, BJ-105, BJ-106, FT-029, FT-071
    step('the visit waits under 待报到; when the patient reports in, it moves to 待接诊 by itself', async () => {
      await doctor.go('/doctor/')
      await doctor.click('group-waiting')
      await doctor.one('visit-row', 'id', visit.id).waitFor()
      await patient.click('visit-check-in')
      await patient.waits('visit-detail', 'state', 'checked_in')
      assert.match(await patient.reads('visit-head'), /下一位就是您|前面还有/)
      await doctor.one('visit-row', 'id', visit.id).waitFor({ state: 'hidden' })
      await doctor.click('group-checked_in')
      await doctor.one('visit-row', 'id', visit.id).waitFor()
      await doctor.shots('doctor-work')
    })

    // Rows: BJ-113, BJ-114, FT-074
    step('the doctor reads statement and photo before accepting', async () => {
      await doctor.opens('checked_in', visit.id)
      assert.match(await doctor.reads('statement'), new RegExp(COMPLAINT))
      await doctor.sees('statement-photo')
      assert.equal(await doctor.page.locator('[data-testid="statement-photo"] img').first().evaluate((img) => img.decode().then(() => img.naturalWidth > 100)), true)
    })

    // Rows: BJ-129, FT-143, FT-144, HZ-209, HZ-211
    step('reads visits, prescriptions, laboratory and examination reports from the hospital', async () => {
      await doctor.click('tab-history')
      for (const kind of ['visit', 'prescription', 'lab', 'exam']) {
        await doctor.click(`history-${kind}s`)
        await doctor.sees(`history-${kind}`)
        await doctor.shot(`doctor-history-${kind}s`)
      }
    })

    step('sees the picture of an examination, fetched from the hospital', async () => {
      await doctor.click('exam-picture')
      const picture = doctor.find('picture-viewer').locator('img')
      assert.equal(await picture.evaluate((img) => img.decode().then(() => img.naturalWidth > 100)), true)
      await doctor.shots('doctor-exam-picture')
      await doctor.page.keyboard.press('Escape')
      await doctor.find('picture-viewer').waitFor({ state: 'detached' })
    })

    // Rows: AP-046, BJ-107, BJ-111, BJ-115, YZ-D-032
    step('accepts', async () => {
      await doctor.click('visit-accept')
      await doctor.waits('visit-detail', 'state', 'in_progress')
      await doctor.click('queue-in_progress')
      await doctor.one('queue-row', 'id', visit.id).waitFor()
      await doctor.shots('doctor-visit')
    })

    // Rows: AP-048, AP-049, BJ-046, BJ-056, FT-024, FT-025, FT-056, HZ-100, HZ-103
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

    // Rows: AP-047, AP-053, AP-196, BJ-045, BJ-047, BJ-057, BJ-116, FT-026, FT-057, FT-075, HZ-105, HZ-110, HZ-232
    step('the doctor calls, the patient accepts, both see each other; the doctor calls again', async () => {
      assert.equal(await patient.find('video-start').count(), 0, 'only the doctor may call')
      for (const round of [1, 2]) {
        await doctor.click('video-start')
        await patient.sees('video-invite')
        if (round === 1) await patient.shot('patient-video-invite')
        await patient.click('video-accept')
        await patient.waits('video-call', 'stage', 'talking')
        await doctor.waits('video-call', 'stage', 'talking')
        await doctor.watches('video-other')
        await patient.watches('video-other')
        if (round === 1) {
          await doctor.shots('doctor-video')
          await patient.shots('patient-video')
        }
        await doctor.hangsUp()
        await patient.find('video-call').waitFor({ state: 'hidden' })
      }
    })

    step('a doctor whose network lets no UDP out talks through the relay', async () => {
      await doctor.click('video-start')
      await doctor.waits('video-call', 'stage', 'alone')
      await doctor.click('video-relay')
      await doctor.waits('video-call', 'path', 'relay/tcp')
      await patient.click('video-accept')
      await patient.waits('video-call', 'stage', 'talking')
      await doctor.waits('video-call', 'stage', 'talking')
      await doctor.watches('video-other')
      await patient.watches('video-other')
      await doctor.waits('video-call', 'path', 'relay/tcp')
      await doctor.shot('doctor-video-relay')
      await doctor.hangsUp()
      await patient.find('video-call').waitFor({ state: 'hidden' })
    })

    step('the call can be replayed by those who were in it', async () => {
      await doctor.click('tab-statement')
      await doctor.find('recording').first().waitFor({ timeout: 2 * PATIENCE_MS })
      // This one, though others come and stand above it.
      const film = await doctor.find('recording').first().elementHandle()
      await (await film.$('summary')).click()
      const video = await film.$('video')
      await video.evaluate((v) => v.play())
      await until('the film to run', () => video.evaluate((v) => v.videoWidth > 0 && v.currentTime > 0.3))
      await doctor.shot('doctor-replay')
    })

    // Rows: AP-060, BJ-130, BJ-132, FT-092, YZ-D-091
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

    // Rows: AP-080, BJ-134, FT-084
    step('and signs it', async () => {
      await doctor.click('record-sign')
      await doctor.entersPin()
      await doctor.sees('record-signed')
      await doctor.sees('record-pdf')
      await doctor.shots('doctor-record-issued')
    })

    // Rows: AP-062, AP-081, BJ-119, BJ-135, FT-072, FT-085, FT-102, FT-168, HZ-137, HZ-147, HZ-148, HZ-150, HZ-227, HZ-231, YZ-D-074, YZ-D-076, YZ-D-078, YZ-D-098
    step('a western prescription: the arithmetic is shown wrong, then right; a wrong PIN leaves tries', async () => {
      await doctor.click('tab-rx')
      await doctor.click('rx-new-western')
      await doctor.fill('drug-search', '吗啡')
      const barred = doctor.page.locator('[data-testid="drug-search-option"]', { hasText: '吗啡' }).first()
      await barred.waitFor()
      assert.equal(await barred.getAttribute('aria-disabled'), 'true')
      assert.match(await barred.innerText(), /禁止|不得|不能/)
      await doctor.shot('doctor-barred-drug')
      await doctor.fill('drug-search', '氨氯地平')
      await doctor.page.locator('[data-testid="drug-search-option"][aria-disabled="false"]').first().click()
      await doctor.fill('rx-days', '14')
      await doctor.fill('rx-note', '早餐后服')
      await doctor.fill('rx-quantity', '9')
      assert.match(await doctor.reads('rx-warning'), /数量偏多/)
      await doctor.shots('doctor-prescription-arithmetic')
      await doctor.page.getByText('按天数计算').click()
      await doctor.find('rx-warning').waitFor({ state: 'hidden' })
      await doctor.click('rx-sign')
      await doctor.entersPin('111222')
      assert.match(await doctor.reads('error-text', doctor.find('pin-dialog')), /还可尝试 \d 次/)
      await doctor.shots('doctor-wrong-pin')
      await doctor.entersPin()
      await doctor.waits('rx-card', 'state', 'in_review')
      visit.western = await doctor.find('rx-card').first().getAttribute('data-id')
      await doctor.shots('doctor-prescription-in-review')
    })

    // Rows: BJ-122, FT-086, FT-113, FT-162, FT-164, FT-169, FT-173
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
      await pharmacist.find('review-detail').waitFor({ state: 'hidden' })
    })

    // Rows: FT-120, FT-172
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

    // Rows: FT-163, FT-170, YZ-D-096, YZ-N-028
    step('the pharmacist approves', async () => {
      await pharmacist.opensReview(visit.western)
      await pharmacist.click('review-approve')
      await pharmacist.entersPin()
      await pharmacist.find('review-detail').waitFor({ state: 'hidden' })
    })

    // Rows: BJ-059, FT-033, FT-038, FT-040, FT-058, FT-151, FT-195, HZ-144, HZ-145, HZ-165, HZ-228, YZ-P-233
    step('the patient chooses pick-up, pays and gets the code', async () => {
      await patient.click('room-prescription')
      await patient.waits('prescription-detail', 'state', 'awaiting_payment')
      assert.match(await patient.reads('prescription-detail'), /审核通过/)
      await patient.says('早餐后服')
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
      const { recipes } = await world.bench.books()
      assert.equal(recipes.filter((r) => JSON.stringify(r).includes(visit.western)).length, 1, 'the hospital has the prescription once')
    })
  })
}

/** Both go their ways. */
export function theFarewell(world) {
  story('The end of the visit', world, (step) => {
    // Rows: BJ-108, YZ-D-039
    step('the doctor finishes; nobody can write any more', async () => {
      await world.doctor.opens('in_progress', world.visit.id)
      await world.doctor.click('visit-finish')
      await world.doctor.sees('ending-paper')
      await world.doctor.click('ending-next')
      await world.doctor.waits('visit-detail', 'state', 'finished')
      await world.doctor.sees('chat-closed')
      await world.doctor.go('/doctor/')
      await world.doctor.click('group-finished')
      await world.doctor.one('visit-row', 'id', world.visit.id).waitFor()
    })

    // Rows: FT-034, FT-035, HZ-190
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

    // Rows: AP-106, BJ-084, BJ-086, BJ-087, FT-055, HZ-157, HZ-188
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
