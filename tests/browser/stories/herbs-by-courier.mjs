// A herbal prescription beside the western one: sent back, appealed, approved, and brought home by a courier.
import assert from 'node:assert/strict'
import { story } from '../world/story.mjs'

const ADDRESS = { name: '魏若兰', phone: '13807460002', region: '湖南省永州市冷水滩区', detail: '梅湾路 12 号 3 栋 402' }

export function herbsByCourier(world) {
  story('Herbs by courier', world, (step) => {
    // Rows: FT-103, FT-154, HZ-151, YZ-D-066, YZ-D-068, YZ-D-069, YZ-D-070, YZ-D-072
    step('the doctor writes a herbal prescription: grams of each herb, doses, decoction by the hospital', async () => {
      const { doctor, visit } = world
      await doctor.opens('in_progress', visit.id)
      await doctor.click('tab-rx')
      await doctor.click('rx-new-herbal')
      for (const [name, grams] of [['天麻', '10'], ['钩藤', '12'], ['菊花', '9']]) {
        await doctor.fill('herb-search', name)
        await doctor.page.locator('[data-testid="herb-search-option"][aria-disabled="false"]', { hasText: name }).first().click()
        await doctor.page.locator('[data-testid="herb-line"]', { hasText: name }).getByTestId('herb-grams').fill(grams)
      }
      await doctor.fill('herbal-doses', '7')
      await doctor.find('herbal-decoction').selectOption('1')
      await doctor.fill('herbal-usage', '每日一剂，代煎，早晚各一袋')
      assert.match(await doctor.reads('rx-sum'), /3 味，每剂 31g × 7 剂 = 217g/)
      assert.match(await doctor.reads('decoction-fee'), /¥3\.00 × 7 剂 = ¥21\.00/)
      await doctor.shots('doctor-herbal')
      await doctor.click('rx-sign')
      await doctor.entersPin()
      await doctor.find('rx-editor').waitFor({ state: 'hidden' })
      await doctor.waits('rx-card', 'state', 'in_review')
      visit.herbal = await doctor.one('rx-card', 'state', 'in_review').first().getAttribute('data-id')
    })

    // Rows: FT-114, FT-121, FT-171
    step('the pharmacist sends it back, the doctor appeals with a reason, the pharmacist approves', async () => {
      const { doctor, pharmacist, visit } = world
      await pharmacist.opensReview(visit.herbal)
      await pharmacist.click('review-reject')
      await pharmacist.find('reason-contraindication').check()
      await pharmacist.fill('review-comment', '与西药降压作用叠加，请说明')
      await pharmacist.click('review-reject-next')
      await pharmacist.entersPin()
      await pharmacist.find('review-detail').waitFor({ state: 'hidden' })
      const card = doctor.one('rx-card', 'id', visit.herbal)
      await card.getByTestId('rx-appeal').click()
      await doctor.agrees('小剂量平肝，已告知患者监测血压')
      await doctor.page.locator(`[data-testid="rx-card"][data-id="${visit.herbal}"][data-state="appealed"]`).waitFor()
      await pharmacist.go('/doctor/reviews')
      await pharmacist.click('reviews-appealed')
      await pharmacist.one('review-row', 'id', visit.herbal).click()
      await pharmacist.says('小剂量平肝，已告知患者监测血压')
      await pharmacist.shots('pharmacist-appeal')
      await pharmacist.click('review-approve')
      await pharmacist.entersPin()
      await pharmacist.find('review-detail').waitFor({ state: 'hidden' })
    })

    // Rows: AP-103, BJ-076, FT-039, HZ-143, YZ-P-232, YZ-P-234
    step('the patient has it brought home and pays', async () => {
      const { patient, visit } = world
      await patient.go(`/patient/prescriptions/${visit.herbal}`)
      await patient.waits('prescription-detail', 'state', 'awaiting_payment')
      assert.match(await patient.reads('rx-decoction'), /代煎费（7 剂）\s*¥21\.00/)
      assert.equal(await patient.find('bill-differs').count(), 0)
      await patient.click('fulfil-delivery')
      await patient.says('运费到付')
      await patient.click('fulfil-save')
      await patient.says('请填写收货人')
      for (const [field, text] of Object.entries(ADDRESS)) await patient.fill(`address-${field}`, text)
      await patient.shots('patient-delivery')
      await patient.click('fulfil-save')
      await patient.find('fulfilment').waitFor({ state: 'hidden' })
      await patient.click('prescription-pay')
      await patient.paysAtCashier()
      await patient.waits('prescription-detail', 'state', 'paid', 'dispensing', 'ready')
      await patient.says('寄出后在这里显示快递单号')
      assert.equal(await patient.find('pickup').count(), 0)
      assert.doesNotMatch(await patient.reads('prescription-head'), /取药/)
    })

    // Rows: FT-165
    step('the dispensary hands the parcel to the courier', async () => {
      const { pharmacist, patient, visit } = world
      await patient.waits('prescription-detail', 'state', 'dispensing', 'ready')
      await pharmacist.go(`/doctor/reviews/${visit.herbal}`)
      await pharmacist.sees('dispensing')
      await pharmacist.says(ADDRESS.detail)
      await pharmacist.shots('pharmacist-dispensing')
      await pharmacist.fill('courier', '顺丰速运')
      await pharmacist.fill('waybill', 'SF1402611210001')
      await pharmacist.click('dispense-ship')
      await pharmacist.waits('review-detail', 'state', 'shipped')
    })

    // Rows: AP-104, BJ-088, FT-041, FT-122, HZ-229, YZ-P-033
    step('the patient follows the parcel and confirms', async () => {
      const { patient } = world
      await patient.waits('prescription-detail', 'state', 'shipped')
      await patient.says('SF1402611210001')
      await patient.shots('patient-shipped')
      await patient.click('prescription-collected')
      await patient.agrees()
      await patient.waits('prescription-detail', 'state', 'collected')
      for (const state of ['signed', 'rejected', 'appealed', 'approved', 'paid', 'shipped', 'collected']) await patient.one('trail-step', 'state', state).first().waitFor({ state: 'attached' })
    })
  })
}
