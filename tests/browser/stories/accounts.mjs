// Accounts of staff: who may come in, and who no longer may.
import assert from 'node:assert/strict'
import { Admin, Pharmacist } from '../people/staff.mjs'
import { authenticator } from '../world/bench.mjs'
import { story } from '../world/story.mjs'

const PASSWORD = 'Xin-Yaoshi#2026'
const NEXT = 'Geng-Anquan#2027'

export function accounts(world) {
  let admin, novice
  const row = (login) => admin.one('staff-row', 'login', login)
  const pressed = (login, button) => row(login).getByTestId(button).click()
  const adds = async ({ name, login, role, title }) => {
    await admin.click('staff-add')
    await admin.fill('staff-name-input', name)
    await admin.fill('staff-login', login)
    await admin.fill('staff-password', PASSWORD)
    await admin.find(`staff-role-${role}`).check()
    await admin.fill('staff-title-input', title)
    await admin.shot('admin-staff-add')
    await admin.click('staff-save')
    const secret = await admin.reads('staff-secret')
    await admin.click('staff-enrolled-done')
    await row(login).waitFor()
    return secret
  }

  story('Accounts', world, (step) => {
    // Rows: YZ-A-161, YZ-A-162, BJ-170, BJ-172
    step('a new pharmacist gets an account and signs in with it', async () => {
      admin = world.admin
      await admin.click('nav-staff')
      await admin.fill('staff-search', '药')
      await row('pharmacist').waitFor()
      await admin.fill('staff-search', '')
      await admin.shots('admin-staff')
      const secret = await adds({ name: '何静', login: 'hejing', role: 'pharmacist', title: '药师' })
      novice = await Pharmacist.arrive(world, 'novice')
      assert.equal(await novice.tries('hejing', PASSWORD), undefined)
      await novice.fill('totp-code', authenticator(secret))
      await novice.click('totp-submit')
      await novice.sees('nav-reviews')
      assert.equal(await novice.find('nav-work').count(), 0, 'a pharmacist has no consulting room')
    })

    // Rows: YZ-A-164, HZ-082
    step('the account is changed', async () => {
      await pressed('hejing', 'staff-edit')
      await admin.fill('staff-title-input', '主管药师')
      await admin.click('staff-save')
      await row('hejing').getByText('主管药师').waitFor()
    })

    // Rows: YZ-A-163, YZ-A-165
    step('a new password ends the old one; a locked account does not come in', async () => {
      await pressed('hejing', 'staff-reset')
      await admin.agrees(NEXT)
      await admin.sees('staff-secret')
      await admin.click('staff-enrolled-done')
      await novice.page.context().clearCookies()
      assert.match(await novice.tries('hejing', PASSWORD), /密码|账号/)
      assert.equal(await novice.tries('hejing', NEXT), undefined)
      await pressed('hejing', 'staff-switch')
      await admin.agrees()
      await row('hejing').getByText('已停用').waitFor()
      assert.match(await novice.tries('hejing', NEXT), /停用|密码|账号/)
      await pressed('hejing', 'staff-switch')
      await row('hejing').getByText('已停用').waitFor({ state: 'hidden' })
      assert.equal(await novice.tries('hejing', NEXT), undefined)
    })

    // Rows: BJ-169, YZ-A-155, YZ-A-156, YZ-A-157, YZ-A-159, YZ-A-160
    step('the same for a second administrator', async () => {
      const secret = await adds({ name: '龙敏', login: 'longmin', role: 'admin', title: '科员' })
      const second = await Admin.arrive(world, 'second-admin')
      assert.equal(await second.tries('longmin', PASSWORD), undefined)
      await second.fill('totp-code', authenticator(secret))
      await second.click('totp-submit')
      await second.sees('nav-visits')
      await admin.fill('staff-search', 'longmin')
      await pressed('longmin', 'staff-edit')
      await admin.fill('staff-title-input', '副科长')
      await admin.click('staff-save')
      await row('longmin').getByText('副科长').waitFor()
      await pressed('longmin', 'staff-switch')
      await admin.agrees()
      await row('longmin').getByText('已停用').waitFor()
      await second.go('/admin/')
      await second.sees('login-name')
      await pressed('longmin', 'staff-switch')
      await row('longmin').getByText('已停用').waitFor({ state: 'hidden' })
      await pressed('longmin', 'staff-reset')
      await admin.agrees(NEXT)
      await admin.sees('staff-secret')
      assert.equal(await second.tries('longmin', NEXT), undefined)
    })
  })
}
