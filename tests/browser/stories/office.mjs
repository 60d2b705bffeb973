// The hospital's office: every visit with its trail, the appliance's health, the money, the audit.
import assert from 'node:assert/strict'
import { Admin } from '../people/staff.mjs'
import { until } from '../world/bench.mjs'
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
      const seen = new Set()
      const sessions = all.filter((s) => s.left > 0 && !s.stopped && !seen.has(s.work_id) && seen.add(s.work_id)).slice(-20)
      let last
      for (const slot of sessions) last = await patient.hasBooked({ patient: me.id, department: 'K01', doctor: 'D0001', slot, complaint: '复诊续方', paid: false })
      const rows = () => admin.find('visit-row').evaluateAll((found) => found.map((e) => e.getAttribute('data-id')))
      const first = await until('twenty visits on the first page, the newest on top', async () => {
        const now = await rows()
        return now.length === 20 && now[0] === last.id && now
      })
      await admin.shots('admin-visits-many')
      await admin.find('paging').locator('.btn-next').click()
      await until('the others on the second page', async () => {
        const second = await rows()
        return second.length > 0 && second.length < 20 && second.every((id) => !first.includes(id))
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
      const steps = await admin.find('trail-step').evaluateAll((all) => all.map((e) => e.getAttribute('data-to')))
      for (const state of ['awaiting_payment', 'confirming', 'waiting', 'checked_in', 'in_progress', 'finished']) assert.ok(steps.includes(state), `${state} is in ${steps}`)
      await admin.one('payment-row', 'state', 'done').first().waitFor()
      assert.ok(await admin.find('prescription-row').count() >= 2)
      const orders = await admin.find('command-row').evaluateAll((all) => all.map((e) => e.getAttribute('data-method')))
      assert.ok(orders.includes('registration.confirm_payment'), `${orders}`)
      await admin.shots('admin-visit', undefined)
    })

    step('sees the appliance well, and the printer without paper', async () => {
      await admin.click('nav-appliances')
      await admin.waits('appliance', 'link', 'online')
      assert.match(await admin.reads('appliance-tpm'), /正常/)
      assert.match(await admin.reads('appliance-signd'), /正常/)
      await admin.shots('admin-appliance')
      await world.bench.printer({ paper: 'out' })
      try {
        await until('the printer out of paper on the page', async () => {
          await admin.click('refresh')
          return /缺纸/.test(await admin.reads('printer'))
        }, 40_000)
        await admin.sees('appliance-advice')
        await admin.shots('admin-out-of-paper')
      } finally {
        await world.bench.printer({ paper: 'ok' })
      }
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
      await admin.page.getByText('visit.accept').first().waitFor()
      await admin.page.getByText('history.read').first().waitFor()
      await admin.shots('admin-audit')
      await admin.fill('search-subject', '')
      await admin.fill('search-action', SIGN_IN)
      await admin.click('search')
      await until('sign-ins', async () => (await admin.page.getByText(SIGN_IN).count()) >= 3)
    })

    // Rows: BJ-153
    step('shortens the time within which a follow-up is possible: the patient is told so at once', async () => {
      const { patient, site: { addresses: { demo } } } = world
      await admin.click('nav-settings')
      const days = await admin.sees('setting-follow_up_days')
      const before = await days.inputValue()
      const save = () => admin.page.locator('form', { has: admin.page.getByTestId('setting-follow_up_days') }).locator('button[type="submit"]').click()
      await admin.shots('admin-settings')
      await days.fill('20')
      await save()
      await admin.says('设置已保存')
      try {
        await patient.startsBooking('start-follow-up', demo.patient_name)
        const now = await patient.asksDepartment(demo.department_code)
        assert.equal(now.eligible, false, now.words)
        assert.match(await patient.reads('eligibility-reason'), /20/)
      } finally {
        await days.fill(before)
        await save()
      }
      await patient.click('eligibility-back')
      await until('the old rule', async () => (await patient.asksDepartment(demo.department_code)).eligible)
    })

    step('has nothing left to settle by hand', async () => {
      await admin.click('nav-manual')
      await admin.sees('page-title')
      assert.equal(await admin.find('manual-row').count(), 0)
      await admin.shots('admin-manual')
    })
  })
}
