// In the hospital's hall: a fee found at the terminal and paid on the phone, and an e-prescription printed by its code.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { Visitor } from '../people/visitor.mjs'
import { PATIENCE_MS, until } from '../world/bench.mjs'
import { page, scan } from '../world/files.mjs'
import { story } from '../world/story.mjs'

const SHOTS = new URL('../shots/', import.meta.url)

export function theFeeInTheHall(world) {
  let visitor, phone, number, slips, address
  const fee = async () => {
    await phone.go('/patient/me')
    await phone.click('me-code')
    await phone.page.locator('[data-testid="patient-code"][data-text]').waitFor()
    const code = await until('the code on the phone', async () => (await scan(await phone.find('qr').screenshot()))[0])
    await visitor.touch('task:fees')
    await visitor.view('identify')
    await world.bench.code(code)
    await visitor.view('list')
    await visitor.touch('bill:0')
    await visitor.view('fee')
  }
  story('A fee in the hall', world, (step) => {
    step('the hospital holds a bill that nobody has paid', async () => {
      const { doctor, pharmacist, visit } = world
      phone = world.patient
      await doctor.opens('in_progress', visit.id)
      await doctor.click('tab-rx')
      await doctor.click('rx-new-western')
      await doctor.fill('drug-search', '缬沙坦胶囊')
      await doctor.page.locator('[data-testid="drug-search-option"][aria-disabled="false"]', { hasText: '缬沙坦胶囊' }).first().click()
      await doctor.fill('rx-days', '7')
      await doctor.click('rx-sign')
      await doctor.entersPin()
      await doctor.waits('rx-card', 'state', 'in_review')
      number = await doctor.one('rx-card', 'state', 'in_review').first().getAttribute('data-id')
      await pharmacist.opensReview(number)
      await pharmacist.click('review-approve')
      await pharmacist.entersPin()
      await pharmacist.find('review-detail').waitFor({ state: 'hidden' })
      await phone.go(`/patient/prescriptions/${number}`)
      await phone.waits('prescription-detail', 'state', 'awaiting_payment')
      await phone.click('fulfil-pickup')
      await phone.click('fulfil-save')
      await phone.find('fulfilment').waitFor({ state: 'hidden' })
    })

    step('the patient shows the code on the phone and reads lines and sum', async () => {
      visitor = await Visitor.arrive(world, 'visitor at the fees')
      await visitor.page.goto(world.site.addresses.kiosk)
      await visitor.view('home')
      await until('readers in order', async () => !/不可用|不能打印/.test(await visitor.text()))
      await fee()
      const seen = await visitor.text()
      const bill = (await world.bench.books()).recipes.find((r) => r.rx_no === number)
      assert.ok(seen.includes(`${(bill.total / 100).toFixed(2)} 元`), `${bill.total} fen on the screen: ${seen}`)
      assert.match(seen, /缬沙坦胶囊/)
      assert.ok(!seen.includes(world.site.addresses.demo.patient_name), 'bystanders do not read the name')
      await visitor.looks('fee')
    })

    step('the line to the cloud is cut: no code, plain words and the window; then the code again', async () => {
      await world.bench.line({ cut: true })
      try {
        await visitor.says(/网络中断，暂不能扫码支付，请到收费窗口缴纳/)
        await visitor.page.locator('canvas.qr').waitFor({ state: 'detached' })
        await visitor.looks('fee-offline')
      } finally {
        await world.bench.line({})
      }
      await visitor.page.locator('canvas.qr').waitFor({ timeout: 2 * PATIENCE_MS })
    })

    step('another program’s scanner reads the code off the screen; on the phone the patient thinks better of it', async () => {
      address = await until('the code on the screen', async () => (await scan(await visitor.page.screenshot()))[0])
      assert.ok(address.endsWith(`/patient/prescriptions/${number}`), `the code says ${address}`)
      await phone.page.goto(address)
      await phone.click('prescription-pay')
      await phone.page.locator('#cancel').click()
      await phone.page.waitForURL(/\/patient\/pay\//)
      assert.equal(await visitor.page.locator('canvas.qr').count(), 1, 'it can still be paid')
      assert.deepEqual(await scan(await visitor.page.screenshot()), [address])
    })

    step('who takes long is asked before the code is taken away', async () => {
      await visitor.page.clock.install()
      await visitor.page.reload()
      await visitor.view('fee')
      await visitor.page.clock.fastForward(170_000)
      await visitor.says('还在办理吗？')
      await visitor.page.locator('#away').waitFor({ state: 'hidden' })
      await visitor.shot('kiosk-fee-idle')
      await visitor.page.locator('#idle-stay').tap()
      await visitor.page.locator('#idle').waitFor({ state: 'hidden' })
    })

    step('paid while the printer has no paper and the hospital’s answer is lost: it says that it asks, then that it is paid', async () => {
      slips = (await world.bench.kioskSlips()).length
      await world.bench.kioskPrinter({ paper: 'out' })
      await visitor.says(/打印机缺纸/)
      // Done at the hospital, the answer lost, and nobody there to ask for a while.
      await world.bench.hospitalFails({ op: 'ackPayOrder', kind: 'result_after_commit', code: '-2', times: 1 })
      const answers = await world.bench.hospitalFails({ op: 'getMZFeeStatus', kind: 'fault', times: 100_000 })
      await phone.page.goto(address)
      await phone.click('prescription-pay')
      await phone.paysAtCashier()
      await visitor.says('已收到支付，正在与医院核对')
      assert.equal(await visitor.page.locator('canvas.qr').count(), 0, 'nobody is asked to pay twice')
      await visitor.looks('fee-asking')
      await answers()
      await visitor.page.getByText('支付成功').first().waitFor({ timeout: 3 * PATIENCE_MS })
      await visitor.says(/打印机缺纸。已支付成功，凭条可稍后在“费用查询”中打印/)
      await visitor.looks('fee-paid-no-paper')
      assert.equal((await world.bench.kioskSlips()).length, slips)
    })

    step('with paper again the receipt comes out, with the hospital’s number on it', async () => {
      await world.bench.kioskPrinter({ paper: 'ok' })
      await until('paper again', async () => !/缺纸，暂不能打印/.test(await visitor.text()))
      await visitor.touch('receipt:0')
      await visitor.says(/收费凭条已打印/)
      await visitor.looks('fee-paid')
      const papers = await world.bench.kioskSlips()
      assert.equal(papers.length, slips + 1)
      const paper = await world.bench.kioskPaper(papers.at(-1))
      await writeFile(new URL('kiosk-receipt-paper.png', SHOTS), paper)
      const [receipt] = await scan(paper)
      const { payments } = await world.bench.books()
      assert.ok(payments.some((p) => Object.values(p).includes(receipt)), `${receipt} in the hospital's books`)
      await visitor.touch('back')
      await visitor.view('list')
      await visitor.says(/没有待缴的费用/)
      await visitor.looks('fee-receipts')
      await visitor.touch('leave')
      await visitor.view('home')
    })

    step('the code on an e-prescription finds it and tells nobody anything; another’s card prints nothing', async () => {
      const { visit } = world
      const people = (await world.bench.people()).patients
      const other = people.find((p) => p.id_number === world.site.addresses.demo.patients.at(-1).id_number)
      await phone.go(`/patient/prescriptions/${visit.western}`)
      const link = await phone.sees('prescription-pdf')
      const { bytes } = await phone.downloads(await link.getAttribute('href'))
      const [printed] = await scan(await page(bytes, 200))
      address = printed
      assert.match(address ?? '', /\/verify\/[a-z0-9]{16}$/)
      slips = (await world.bench.kioskSlips()).length
      await world.bench.code(address.slice(0, -6))
      await visitor.says(/没有读全/)
      await visitor.looks('prescription-unread')
      await world.bench.code(address.replace(/\/\/[^/]+/, '//other.example').replace(/.$/, (c) => (c === '2' ? '3' : '2')))
      await visitor.says(/这不是本院的电子处方/)
      await world.bench.code(address)
      await visitor.says(/已找到处方，只打印给处方上的患者本人/)
      assert.doesNotMatch(await visitor.text(), /氨氯地平/)
      await visitor.looks('prescription-who')
      await world.bench.code(other.card)
      await visitor.view('prove')
      assert.doesNotMatch(await visitor.text(), /不是您本人的/, 'whose it is, is not told to a number')
      await visitor.enters(other.id_number.slice(-4))
      await visitor.view('problem')
      await visitor.says(/这张处方不是您本人的/)
      await visitor.looks('prescription-not-yours')
      assert.equal((await world.bench.kioskSlips()).length, slips)
      await visitor.touch('leave')
      await visitor.view('home')
    })

    step('its patient’s own identity card prints it, once; another copy is asked for', async () => {
      const { demo } = world.site.addresses
      await world.bench.code(address)
      await visitor.says(/已找到处方/)
      await world.bench.card({ name: demo.patient_name, number: demo.patient_id_number })
      await visitor.view('list')
      await visitor.page.locator('.state', { hasText: '已打印' }).waitFor()
      await visitor.looks('prescription-printed')
      const papers = await world.bench.kioskSlips()
      assert.equal(papers.length, slips + 1)
      const paper = await world.bench.kioskPaper(papers.at(-1))
      await writeFile(new URL('kiosk-prescription-paper.png', SHOTS), paper)
      const recipe = (await world.bench.books()).recipes.find((r) => r.rx_no === world.visit.western)
      assert.deepEqual(await scan(paper), [recipe.id])
      await visitor.touch('print:0')
      const again = await until('another copy', async () => {
        const all = await world.bench.kioskSlips()
        return all.length === slips + 2 && all
      })
      await writeFile(new URL('kiosk-prescription-copy.png', SHOTS), await world.bench.kioskPaper(again.at(-1)))
      await visitor.touch('leave')
      await visitor.view('home')
      await world.bench.card()
      // The next story's terminal is drawn by its own browser alone.
      await visitor.page.goto('about:blank')
    })
  })
}
