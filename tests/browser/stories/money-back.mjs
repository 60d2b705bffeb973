// Visits that do not happen: the clinic is stopped, the doctor declines or withdraws, the patient steps back.
import assert from 'node:assert/strict'
import { isFree } from '../people/patient.mjs'
import { story } from '../world/story.mjs'
import { until } from '../world/bench.mjs'

/** The provider's number of our text about a stopped clinic. */
const STOPPED = '100003'

export function moneyBack(world) {
  let parent, slots
  const free = () => {
    const slot = slots.shift()
    assert.ok(slot, 'a free slot of another session')
    return slot
  }
  /** A paid visit of the parent, without the pages. */
  const booked = (complaint) => world.patient.hasBooked({ patient: parent.id, department: 'K01', doctor: 'D0001', slot: free(), complaint })
  /** The refund has reached the channel. */
  const returned = (visit) => until(`the money of ${visit.id}`, async () => {
    const { payment } = await world.patient.asks('GET', `visits/${visit.id}`)
    const { refunds } = await world.bench.channelLedger()
    return refunds.some((r) => r.out_trade_no === payment.id && r.status === 'SUCCESS')
  })

  story('Money back', world, (step) => {
    // Rows: FT-048, YZ-P-159, YZ-P-198
    step('the patient adds a parent and books for them', async () => {
      const { patient, bench } = world
      const { patients } = await bench.people()
      const known = patients.find((p) => p.pat_id === 'P000034')
      await patient.go('/patient/patients')
      await patient.click('patient-add')
      await patient.entersPerson({ name: known.name, id: known.id_number, phone: known.phone, relation: 'parent' })
      await patient.page.locator('[data-testid="patient-card"]', { hasText: '父母' }).waitFor()
      parent = (await patient.asks('GET', 'patients')).find((p) => p.relation === 'parent')
      await patient.startsBooking('start-renew', known.name)
      assert.equal((await patient.asksDepartment('K01')).eligible, true)
      await patient.picksDoctor('D0001')
      const slot = await patient.picksFirstSlot()
      await patient.readsConsent()
      await patient.fill('statement-complaint', '房颤复诊，华法林快用完了')
      await patient.click('statement-duration-3')
      await patient.fill('statement-allergies', '无')
      await patient.click('statement-next')
      await patient.says('在线续方')
      // Older people pay less here: the hospital says what when it holds the place, and the patient agrees to it first.
      const listed = await patient.reads('total')
      await patient.click('submit-order')
      const agreed = await patient.reads('dialog')
      assert.match(agreed, /减免 ¥\d+\.\d\d/)
      const [, fee] = /实际费用为 ¥(\d+\.\d\d)/.exec(agreed)
      assert.notEqual(`¥${fee}`, listed)
      await patient.shots('patient-fee-agreed')
      await patient.click('dialog-ok')
      await patient.paysAtCashier(new RegExp(fee.replace('.', '\\.')))
      await patient.waits('visit-detail', 'state', 'waiting')
      world.stopped = { id: patient.page.url().split('/').at(-1), work: slot.work }
      // One slot of each later session, for the other stories.
      const { demo } = world.site.addresses
      const all = await patient.asks('GET', `slots?department_code=K01&doctor_code=D0001&from=${demo.first_day}&to=${demo.last_day}`)
      const seen = new Set([slot.work])
      slots = all.filter((s) => isFree(s) && !seen.has(s.work_id) && seen.add(s.work_id))
    })

    // Rows: BJ-052, BJ-053, BJ-054, BJ-095
    step('the hospital stops the clinic: the patient is told on the page and by text message, and refunded', async () => {
      const { patient, bench, stopped } = world
      const phone = world.site.addresses.demo.patient_phone
      await bench.stopClinic(stopped.work, '医生临时会诊')
      await patient.waits('visit-detail', 'state', 'stopped', 'refunding', 'refunded')
      await patient.shots('patient-stopped')
      await patient.waits('visit-detail', 'state', 'refunded')
      await patient.shots('patient-refunded')
      await until('a text message about it', async () => (await bench.messages(phone)).templates.includes(STOPPED))
      const refund = (await patient.asks('GET', `visits/${stopped.id}`)).payment
      assert.equal(refund.state, 'reversed', JSON.stringify(refund))
    })

    // Rows: BJ-050, BJ-051, FT-050, YZ-P-188
    step('the patient steps back before the visit and gets the money back', async () => {
      const { patient } = world
      const visit = await booked('约错时间了')
      await patient.opens(visit.id)
      await patient.click('visit-cancel')
      await patient.sees('dialog')
      await patient.click('dialog-option-0')
      await patient.shot('patient-cancel')
      await patient.click('dialog-ok')
      await patient.waits('visit-detail', 'state', 'cancelled', 'refunding', 'refunded')
      await patient.waits('visit-detail', 'state', 'refunded')
      await returned(visit)
    })

    // Rows: FT-076, FT-080, FT-142
    step('the doctor declines a visit of the wrong department with a reason', async () => {
      const { patient, doctor } = world
      const visit = await booked('膝关节疼痛')
      await patient.opens(visit.id)
      await patient.click('visit-check-in')
      await patient.waits('visit-detail', 'state', 'checked_in')
      await doctor.opens('checked_in', visit.id)
      await doctor.click('visit-decline')
      await doctor.sees('dialog')
      await doctor.click('dialog-option-0')
      await doctor.shot('doctor-decline')
      await doctor.click('dialog-ok')
      await patient.says('不属于本科室')
      await patient.waits('visit-detail', 'state', 'refunded')
      await returned(visit)
      await patient.shot('patient-declined')
    })

    // Rows: FT-127, YZ-D-038
    step('the doctor withdraws after accepting, because the illness needs the clinic', async () => {
      const { patient, doctor } = world
      const visit = await booked('胸口疼，出冷汗')
      await patient.opens(visit.id)
      await patient.click('visit-check-in')
      await doctor.opens('checked_in', visit.id)
      await doctor.click('visit-accept')
      await doctor.waits('visit-detail', 'state', 'in_progress')
      await doctor.click('visit-withdraw')
      await doctor.sees('dialog')
      await doctor.click('dialog-option-0')
      await doctor.click('dialog-ok')
      await patient.says('病情需到院就诊')
      await patient.waits('visit-detail', 'state', 'refunded')
      await returned(visit)
    })

    step('the patient finds all of them under 取消退款; channel and hospital hold the same money', async () => {
      const { patient, stopped, bench } = world
      await patient.go('/patient/visits')
      await patient.click('visits-off')
      await patient.one('visit-row', 'id', stopped.id).waitFor()
      await until('all four', async () => (await patient.find('visit-row').count()) === 4)
      await patient.shots('patient-visits-off')
      const books = ({ paid_fen, refunded_fen, balance_fen }) => JSON.stringify({ paid_fen, refunded_fen, balance_fen })
      await until('both ledgers to agree', async () => books(await bench.channelLedger()) === books(await bench.hospitalLedger()))
      assert.ok((await bench.channelLedger()).refunded_fen > 0)
    })
  })
}
