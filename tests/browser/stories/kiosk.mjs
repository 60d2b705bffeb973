// In the hospital's hall: the self-service terminal.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { Patient } from '../people/patient.mjs'
import { Admin } from '../people/staff.mjs'
import { Visitor } from '../people/visitor.mjs'
import { inKiosk } from '../world/kiosk.mjs'
import { roomInTheDay, until } from '../world/bench.mjs'
import { scan } from '../world/files.mjs'
import { story } from '../world/story.mjs'

const SHOTS = new URL('../shots/', import.meta.url)

/** The patient of the demo, where no other story has brought them. */
async function newcomer(world) {
  const { demo } = world.site.addresses
  const phone = await Patient.arrive(world, 'patient in the hall')
  await phone.signsIn(demo.patient_phone)
  await phone.asks('POST', 'patients', { name: demo.patient_name, id_number: demo.patient_id_number, phone: demo.patient_phone, relation: 'self' })
  return phone
}

export function theTerminal(world) {
  let visitor, one, order
  story('The terminal in the hall', world, (step) => {
    step('stands ready, with buttons nobody can miss', async () => {
      const { demo } = world.site.addresses
      const people = (await world.bench.people()).patients
      one = people.find((p) => p.id_number === demo.patients.at(-1).id_number)
      // A registration of today is none after midnight.
      await roomInTheDay(240_000)
      order = await world.bench.walkIn(one.pat_id, demo.doctor_code)
      visitor = await Visitor.arrive(world, 'visitor in the hall')
      await visitor.page.goto(world.site.addresses.kiosk)
      await visitor.view('home')
      await until('readers in order', async () => !/不可用|不能打印/.test(await visitor.text()))
      await visitor.looks('home')
      await visitor.touch('task:check_in')
      await visitor.view('identify')
      await visitor.looks('identify')
    })

    step('a card, and the visit of today: a number on the screen and on paper', async () => {
      await world.bench.card({ name: one.name, number: one.id_number })
      await visitor.view('list')
      assert.ok(!(await visitor.text()).includes(one.name), 'bystanders do not read the name')
      await visitor.looks('visits')
      const before = (await world.bench.kioskSlips()).length
      await visitor.touch('visit:0')
      await visitor.view('ticket')
      await visitor.says(/号票已打印/)
      await visitor.looks('ticket')
      const slips = await world.bench.kioskSlips()
      assert.equal(slips.length, before + 1)
      const paper = await world.bench.kioskPaper(slips.at(-1))
      await writeFile(new URL('kiosk-ticket-paper.png', SHOTS), paper)
      assert.deepEqual(await scan(paper), [order])
    })

    step('a scanner that types Enter presses nothing', async () => {
      const before = (await world.bench.kioskSlips()).length
      await visitor.scanned('8000000001')
      await visitor.page.waitForTimeout(500)
      assert.equal((await world.bench.kioskSlips()).length, before)
      await visitor.view('ticket')
    })

    step('reports: one on paper, and it says so', async () => {
      await visitor.touch('back')
      await visitor.view('menu')
      await visitor.looks('menu')
      await visitor.touch('task:reports')
      await visitor.view('list')
      await visitor.touch('print:0')
      await visitor.says('已打印')
      await visitor.looks('reports')
      const slips = await world.bench.kioskSlips()
      await writeFile(new URL('kiosk-report-paper.png', SHOTS), await world.bench.kioskPaper(slips.at(-1)))
      await visitor.touch('back')
      await visitor.touch('task:prescriptions')
      await visitor.view('list')
      await visitor.looks('prescriptions')
      await visitor.touch('back')
      await visitor.touch('task:fees')
      await visitor.view('list')
      await visitor.looks('fees')
    })

    step('who is silent is asked, and whoever leaves leaves nothing behind', async () => {
      await visitor.page.clock.install()
      await visitor.page.reload()
      await visitor.view('list')
      await visitor.page.clock.fastForward(50_000)
      await visitor.says('还在办理吗？')
      await visitor.page.locator('#away').waitFor({ state: 'hidden' })
      await visitor.shot('kiosk-idle')
      await visitor.page.locator('#idle-stay').tap()
      await visitor.page.locator('#idle').waitFor({ state: 'hidden' })
      await visitor.touch('leave')
      await visitor.view('home')
      const left = await visitor.page.evaluate(() => document.documentElement.outerHTML + JSON.stringify([{ ...localStorage }, { ...sessionStorage }]))
      assert.ok(!left.includes(one.name) && !left.includes(one.id_number) && !left.includes(order))
      await world.bench.card()
    })

    step('a card’s barcode alone takes a number and shows a sum; reports ask for what the card does not carry', async () => {
      const right = one.id_number.slice(-4)
      const wrong = right === '1111' ? '2222' : '1111'
      await visitor.touch('task:reports')
      await visitor.view('identify')
      await world.bench.code(one.card)
      await visitor.view('prove')
      const seen = await visitor.text()
      assert.ok(seen.includes(`尾号 ${one.card.slice(-4)}`) && !seen.includes(one.name[0] + '*'), 'a number shows nobody’s name')
      await visitor.looks('prove')
      await visitor.enters(wrong)
      await visitor.says(/还可以再试 2 次/)
      await visitor.looks('prove-wrong')
      const shown = await visitor.page.evaluate(() => document.documentElement.outerHTML)
      assert.ok(!shown.includes(wrong), 'what was typed is on no page')

      // A scanner that types the card's number and Enter gives no answer, nor does a fifth finger.
      await visitor.scanned(one.card)
      await visitor.page.waitForTimeout(700)
      const dots = async () => visitor.page.locator('.dot.full').count()
      assert.equal(await dots(), 0)
      for (const digit of '12345') await visitor.key(digit)
      await until('four dots', async () => (await dots()) === 4)
      for (let n = 0; n < 4; n += 1) await visitor.key('删除')
      await until('no dot', async () => (await dots()) === 0)
      assert.ok(await visitor.page.locator('.confirm').isDisabled())
      await visitor.says(/还可以再试 2 次/)

      // What harms nobody goes without it.
      await visitor.touch('back')
      await visitor.view('menu')
      await visitor.touch('task:fees')
      await visitor.view('list')
      await visitor.looks('fees-by-card')
      await visitor.touch('verify')
      await visitor.view('prove')
      await visitor.touch('back')
      await visitor.touch('task:reports')
      await visitor.view('prove')

      // By the keyboard, as well as by touch.
      await visitor.page.waitForTimeout(400)
      await visitor.page.keyboard.type('9')
      await visitor.page.keyboard.press('Backspace')
      await visitor.page.keyboard.type(right.toLowerCase())
      await visitor.page.keyboard.press('Enter')
      await visitor.view('list')
      await visitor.says(/我的报告/)
      assert.ok((await visitor.text()).includes(`${one.name[0]}*`))
      await visitor.touch('leave')
      await visitor.view('home')
    })

    step('three wrong answers lock the card in plain words, and the identity card still opens everything', async () => {
      const people = (await world.bench.people()).patients
      const owner = people.find((p) => p.id_number !== one.id_number && p.guardian === null && p.follow_up_within_90_days)
      const right = owner.id_number.slice(-4)
      const wrong = right === '1111' ? '2222' : '1111'
      await world.bench.code(owner.card)
      await visitor.view('menu')
      await visitor.touch('task:prescriptions')
      for (const left of [/还可以再试 2 次/, /还可以再试 1 次/]) {
        await visitor.view('prove')
        await visitor.enters(wrong)
        await visitor.says(left)
      }
      await visitor.enters(wrong)
      await visitor.view('problem')
      await visitor.says(/核对不一致的次数过多，请 30 分钟 后再试/)
      await visitor.looks('card-locked')
      await visitor.touch('back')
      await visitor.touch('task:prescriptions')
      await visitor.view('prove')
      await world.bench.card({ name: owner.name, number: owner.id_number })
      await visitor.view('list')
      await visitor.says(/我的处方/)
      await visitor.touch('leave')
      await visitor.view('home')
      await world.bench.card()
      let { admin } = world
      if (!admin) {
        admin = world.admin = await Admin.arrive(world, 'admin')
        await admin.signsIn(world.site.addresses.demo.admin_login)
      }
      await until('each try in the audit', async () => {
        await admin.go(`/admin/audit?q=${owner.pat_id}`)
        await admin.one('audit-row', 'action', 'terminal.card_refused').first().waitFor()
        return (await admin.one('audit-row', 'action', 'terminal.card_refused').count()) === 3
      })
      await admin.says('自助机就诊卡核对不一致')
      await admin.shots('admin-audit-card')
    })

    // Rows: HZ-124
    step('the code on a phone instead of a card: read off its screen it opens the reports, and opens nothing twice', async () => {
      const phone = world.patient ?? await newcomer(world)
      await phone.go('/patient/me')
      await phone.click('me-code')
      await phone.page.locator('[data-testid="patient-code"][data-text]').waitFor()
      await phone.shots('patient-code')
      const code = await until('the code on the phone', async () => (await scan(await phone.page.locator('[data-testid="qr"]').screenshot()))[0])
      assert.match(code, /^YQP1[0-9A-F]+$/)
      await visitor.touch('task:reports')
      await visitor.view('identify')
      await world.bench.code(code)
      await visitor.view('list')
      const before = (await world.bench.kioskSlips()).length
      await visitor.touch('print:0')
      await visitor.says('已打印')
      assert.equal((await world.bench.kioskSlips()).length, before + 1)
      await visitor.touch('leave')
      await visitor.view('home')
      await world.bench.code(code)
      await visitor.says(/已经用过/)
      await visitor.looks('used-code')
      await phone.click('code-fresh')
      await phone.page.waitForFunction((old) => { const now = document.querySelector('[data-testid="patient-code"]')?.dataset.text; return now && now !== old }, code)
      await visitor.touch('back')
      await visitor.view('home')
    })

    step('a reader pulled, a printer without paper, a strange code: plain words', async () => {
      await world.bench.plug('card', false)
      await world.bench.kioskPrinter({ paper: 'out' })
      await visitor.says(/身份证读卡器暂不可用/)
      await visitor.says(/打印机缺纸/)
      await visitor.looks('out-of-order')
      await world.bench.code('https://example.com/nothing')
      await visitor.view('identify')
      await visitor.says(/不认识这个码/)
      await visitor.looks('strange-code')
      await world.bench.plug('card', true)
      await world.bench.kioskPrinter({ paper: 'ok' })
      await visitor.touch('back')
      await until('everything in order again', async () => !/不可用|缺纸/.test(await visitor.text()))
    })

    step('the browser of the unit, as it is started there, fills the screen and says that it draws', async () => {
      const address = world.site.addresses.kiosk
      await visitor.page.goto('about:blank')
      const drew = async () => (await (await fetch(`${address}/health`)).json()).page_silent_s
      await inKiosk(`${address}/`, [1280, 800], async (page) => {
        await page.locator('body[data-view="home"]').waitFor()
        await until('a page as large as the screen', () => page.evaluate(() => innerWidth >= 1278 && innerHeight >= 798))
        await until('the page known to draw', async () => (await drew()) <= 2)
      })
    })
  })
}
