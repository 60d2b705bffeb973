// The hospital's office: every visit with its trail, the appliance's health, the money, the audit.
import assert from 'node:assert/strict'
import { isFree } from '../people/patient.mjs'
import { Admin } from '../people/staff.mjs'
import { PATIENCE_MS, until } from '../world/bench.mjs'
import { story } from '../world/story.mjs'

/** The audit's word for a sign-in. */
const SIGN_IN = 'session.open'

export function theOffice(world) {
  let admin
  story('The office', world, (step) => {
    step('the administrator signs in with password and one-time code', async () => {
      admin = world.admin = await Admin.arrive(world, 'admin')
      await admin.signsIn(world.site.addresses.demo.admin_login)
      await admin.sees('visit-row')
      await admin.shots('admin-visits')
    })

    // Rows: AP-026, FT-200, HZ-087, YZ-A-089, YZ-A-091
    step('finds visits by number, state, department and day', async () => {
      await admin.fill('search-q', world.visit.id)
      await admin.click('search')
      await admin.one('visit-row', 'id', world.visit.id).waitFor()
      await until('the one visit', async () => (await admin.find('visit-row').count()) === 1)
      await admin.click('search-reset')
      await admin.find('search-state').selectOption('refunded')
      await admin.click('search')
      await until('the refunded visits', async () => (await admin.find('visit-row').count()) === 4)
      await admin.find('search-department').selectOption('K08')
      await admin.click('search')
      await until('no visit of another department', async () => (await admin.find('visit-row').count()) === 0)
      await admin.click('search-reset')
    })

    step('turns the pages of a long list', async () => {
      const { patient, site: { addresses: { demo } } } = world
      const [me] = await patient.asks('GET', 'patients')
      const all = await patient.asks('GET', `slots?department_code=K01&doctor_code=D0001&from=${demo.first_day}&to=${demo.last_day}`)
      // Nobody may have two visits with one doctor in one session.
      const mine = (await patient.asks('GET', 'visits?size=100')).items
      const seen = new Set(mine.map((v) => v.slot.work_id))
      const sessions = all.filter((s) => isFree(s) && !seen.has(s.work_id) && seen.add(s.work_id)).slice(-20)
      let last
      world.unpaid = []
      for (const slot of sessions) world.unpaid.push((last = await patient.hasBooked({ patient: me.id, department: 'K01', doctor: 'D0001', slot, complaint: '复诊续方', paid: false })).id)
      const rows = () => admin.find('visit-row').evaluateAll((found) => found.map((e) => e.getAttribute('data-id')))
      const first = await until('twenty visits on the first page, the newest on top', async () => {
        const now = await rows()
        return now.length === 20 && now[0] === last.id && now
      })
      await admin.shots('admin-visits-many')
      await admin.find('paging').locator('.btn-next').click()
      await until('the others on the second page', async () => {
        const second = await rows()
        return second.length > 0 && second.every((id) => !first.includes(id))
      })
    })

    // Rows: YZ-A-090
    step('takes the list home as a table', async () => {
      const link = await admin.sees('export-csv')
      const { bytes } = await admin.downloads(await link.getAttribute('href'))
      assert.ok(bytes.toString('utf8').includes(world.visit.id))
    })

    // Rows: AP-027, BJ-163
    step('sees the whole way of the visit: who did what and when, money, prescriptions, orders to the hospital', async () => {
      await admin.fill('search-q', world.visit.id)
      await admin.click('search')
      await admin.one('visit-row', 'id', world.visit.id).click()
      await admin.waits('visit-detail', 'state', 'finished')
      for (const state of ['awaiting_payment', 'confirming', 'waiting', 'checked_in', 'in_progress', 'finished']) await admin.one('trail-step', 'to', state).first().waitFor()
      await admin.one('payment-row', 'state', 'done').first().waitFor()
      await until('both prescriptions', async () => (await admin.find('prescription-row').count()) >= 2)
      await admin.one('command-row', 'method', 'registration.confirm_payment').first().waitFor()
      await admin.shots('admin-visit', undefined)
    })

    step('sees the appliance well, and the printer without paper', async () => {
      await admin.click('nav-appliances')
      await admin.waits('appliance', 'link', 'online')
      for (const part of ['appliance-tpm', 'appliance-signd']) await until(`${part} well`, async () => /正常/.test(await admin.reads(part)))
      await admin.shots('admin-appliance')
      await world.bench.printer({ paper: 'out' })
      try {
        await until('the printer out of paper on the page', async () => {
          await admin.click('refresh')
          return /缺纸/.test(await admin.reads('printer'))
        }, 2 * PATIENCE_MS)
        await admin.sees('appliance-advice')
        await admin.shots('admin-out-of-paper')
      } finally {
        await world.bench.printer({ paper: 'ok' })
      }
    })

    step('prints a test page, once, and sees it in the queue', async () => {
      await admin.click('nav-printers')
      await admin.waits('queue-printer', 'state', 'ready')
      const before = await admin.one('print-job', 'state', 'printed').count()
      await admin.find('test-page').first().click()
      await until('the test page on paper', async () => {
        await admin.click('refresh')
        return (await admin.one('print-job', 'state', 'printed').count()) > before
      }, 2 * PATIENCE_MS)
      await admin.shots('admin-printers')
      await admin.fits()
    })

    step('changes how the pick-up slip looks and sees it before it is printed; what cannot be is told at its place', async () => {
      await admin.click('nav-templates')
      await admin.one('template', 'kind', 'pickup_slip').waitFor()
      await admin.shots('admin-templates')
      await admin.one('template', 'kind', 'pickup_slip').click()
      await admin.sees('preview')
      const pieces = () => admin.find('piece').count()
      const before = await until('the pieces of the slip', pieces)
      await admin.find('add-type').selectOption('barcode')
      await admin.click('add')
      await until('one piece more', async () => (await pieces()) === before + 1)
      await admin.fill('piece-height_mm', '2')
      await admin.sees('preview-wrong')
      await admin.fill('piece-height_mm', '12')
      await admin.find('preview-wrong').waitFor({ state: 'hidden' })
      await admin.shots('admin-template')
      await admin.fits()
      await admin.click('save')
      await admin.says('已保存并下发')
      await admin.click('restore')
      await admin.agrees()
      await admin.says('已恢复默认版式并下发')
      await until('as many pieces as before', async () => (await pieces()) === before)
    })

    // Rows: AP-034, FT-202
    step('looks through payments and refunds', async () => {
      await admin.click('nav-payments')
      await admin.sees('payment-row')
      await admin.shots('admin-payments')
      await admin.find('search-state').selectOption('reversed')
      await admin.click('search')
      await until('the four refunds', async () => (await admin.find('payment-row').count()) === 4 && (await admin.one('payment-row', 'state', 'reversed').count()) === 4)
      await admin.find('search-state').selectOption('')
      const one = (await world.patient.asks('GET', `visits/${world.visit.id}`)).payment
      await admin.fill('search-q', one.id)
      await admin.click('search')
      await until('the one payment', async () => (await admin.find('payment-row').count()) === 1)
    })

    // Rows: HZ-037, HZ-093, YZ-A-172
    step('reads the audit: who looked at and changed this visit', async () => {
      await admin.click('nav-audit')
      await admin.sees('audit-row')
      await admin.fill('search-subject', world.visit.id)
      await admin.click('search')
      await admin.one('audit-row', 'action', 'visit.accept').first().waitFor()
      await admin.one('audit-row', 'action', 'history.read').first().waitFor()
      await admin.shots('admin-audit')
      await admin.click('search-reset')
      await admin.fill('search-action', SIGN_IN)
      await admin.click('search')
      await until('sign-ins', async () => (await admin.page.getByText(SIGN_IN).count()) >= 3)
    })

    step('searches the audit by any word, by person and by day, and takes what was found home as a table', async () => {
      const { demo } = world.site.addresses
      const total = async () => Number(await (await admin.sees('audit-list')).getAttribute('data-total'))
      const acts = () => admin.find('audit-row').evaluateAll((all) => all.map((e) => e.getAttribute('data-action')))
      await admin.click('search-reset')
      await until('everything', async () => (await admin.find('audit-list').count()) === 1 && (await total()) > 50)
      await admin.find('paging').locator('.btn-next').click()
      await until('the second page', async () => (await admin.find('audit-row').count()) > 0 && !admin.page.url().endsWith('/audit') && /page=2/.test(admin.page.url()))
      await admin.fill('search-actor', demo.admin_login)
      await admin.fill('search-q', 'export')
      await admin.click('search')
      await until('only exports by this person', async () => {
        const seen = await acts()
        return seen.length > 0 && seen.every((act) => act.endsWith('.export'))
      })
      const listed = await total()
      const { bytes, type } = await admin.downloads(await (await admin.sees('export-csv')).getAttribute('href'))
      assert.match(type, /text\/csv/)
      const lines = bytes.toString('utf8').trim().split(/\r?\n/)
      assert.equal(lines.length, 1 + listed)
      assert.ok(lines.slice(1).every((line) => line.includes('.export')))
      // A day on which nothing has happened yet; the wrong way round it is said before anybody asks the server.
      await admin.click('search-reset')
      const day = (testid, text) => admin.find(testid).locator('input').fill(text).then(() => admin.page.keyboard.press('Enter'))
      await day('search-from', '2020-01-02')
      await day('search-to', '2020-01-01')
      await admin.click('search')
      assert.match(await admin.reads('search-fault'), /结束日期不能早于开始日期/)
      await day('search-to', '2020-01-02')
      await admin.click('search')
      await admin.says('没有符合条件的记录')
      await admin.shots('admin-audit-empty')
      await admin.click('search-reset')
      await admin.sees('audit-row')
    })

    step('verifies the chain: every row is as it was written, and the new checkpoint vouches for them', async () => {
      await admin.find('checkpoints').locator('summary').click()
      await admin.click('checkpoint-sign')
      await admin.agrees()
      await admin.sees('checkpoint-row')
      await admin.click('audit-verify')
      await admin.waits('audit-verified', 'whole', 'true')
      assert.match(await admin.reads('audit-verified'), /链条完整/)
      const rows = Number(await (await admin.sees('audit-verified')).getAttribute('data-rows'))
      const newest = Number(await (await admin.sees('checkpoint-row')).getAttribute('data-seq'))
      assert.ok(newest > 50 && rows > newest, `${rows} rows, checkpoint at ${newest}`)
      await admin.fits()
      await admin.shots('admin-audit-verified')
    })

    step('settles two charges of another amount than ordered: one is taken as paid, one goes back', async () => {
      const { patient, bench } = world
      const [accepted, refused] = world.unpaid
      const payments = {}
      for (const id of [accepted, refused]) {
        const started = await patient.asks('POST', `visits/${id}/pay`, { method: 'wechat_h5' })
        payments[id] = started.payment_id
        await bench.paysElsewhere(started.payment_id, 100)
      }
      await admin.click('nav-manual')
      for (const id of [accepted, refused]) await admin.one('manual-row', 'id', payments[id]).waitFor()
      await admin.says('渠道实收1.00元')
      await admin.shots('admin-manual-amounts')
      const asked = async (id, button) => {
        await admin.one('manual-row', 'id', payments[id]).getByTestId(button).click()
        await admin.sees('dialog')
        assert.ok(await admin.find('dialog-ok').isDisabled(), 'no settlement without its reason')
      }
      await asked(accepted, 'manual-accept')
      await admin.agrees('渠道立减活动，财务同意')
      await admin.one('manual-row', 'id', payments[accepted]).waitFor({ state: 'detached' })
      await until('the registration of the accepted', async () => (await patient.asks('GET', `visits/${accepted}`)).state === 'waiting')
      await asked(refused, 'manual-refund')
      assert.match(await admin.reads('dialog'), /¥1\.00 将原路退回患者/)
      await admin.shots('admin-manual-refund')
      await admin.agrees('渠道账单有误，退款')
      await admin.says('已提交退款')
      await admin.one('manual-row', 'id', payments[refused]).waitFor({ state: 'detached' })
      await until('one yuan back', async () => (await bench.channelLedger()).refunds.some((r) => r.out_trade_no === payments[refused] && r.amount_fen === 100 && r.status === 'SUCCESS'))
      const { state } = await patient.asks('GET', `visits/${refused}`)
      assert.ok(!['waiting', 'awaiting_payment'].includes(state), state)
      await patient.opens(refused)
      await patient.shots('patient-amount-refused')
    })

    // Rows: BJ-153
    step('shortens the time within which a follow-up is possible: the patient is told so at once', async () => {
      const { patient, site: { addresses: { demo } } } = world
      await admin.click('nav-settings')
      const days = await admin.sees('setting-follow_up_days')
      const before = await days.inputValue()
      const saves = async (text) => {
        await days.fill(text)
        await admin.click('settings-save-care.consultation')
        await admin.says('设置已保存')
      }
      await admin.shots('admin-settings')
      await saves('20')
      try {
        await patient.startsBooking('start-follow-up', demo.patient_name)
        const now = await patient.asksDepartment(demo.department_code)
        assert.equal(now.eligible, false, now.words)
        assert.match(await patient.reads('eligibility-reason'), /20/)
      } finally {
        await saves(before)
      }
      await patient.click('eligibility-back')
      await until('the old rule', async () => {
        const { eligible } = await patient.asksDepartment(demo.department_code)
        // What covers the list is put away before it is asked again.
        if (!eligible) await patient.click('eligibility-back')
        return eligible
      })
    })

    step('has nothing left to settle by hand', async () => {
      await admin.click('nav-manual')
      await admin.sees('page-title')
      assert.equal(await admin.find('manual-row').count(), 0)
      await admin.shots('admin-manual')
    })
  })
}
