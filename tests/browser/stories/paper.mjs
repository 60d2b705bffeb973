// What is on paper: the slip of the window, the e-prescription as a PDF, and the page on which anybody checks it.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { PHONE, Person } from '../people/browser.mjs'
import { page, pictures, scan, seals, words } from '../world/files.mjs'
import { until } from '../world/bench.mjs'
import { story } from '../world/story.mjs'

const SHOTS = new URL('../shots/', import.meta.url)

export function thePaper(world) {
  let pdf, code, visitor
  story('Paper that can be trusted', world, (step) => {
    step('the window has printed a slip with the pick-up code as a QR code', async () => {
      const { bench, visit } = world
      await until(`a slip with ${visit.pickupCode}`, async () => {
        const codes = []
        for (const [n, slip] of (await bench.slips()).entries()) {
          const picture = await bench.slipPicture(slip.id)
          await writeFile(new URL(`slip-${n}.png`, SHOTS), picture)
          codes.push(...await scan(picture))
        }
        return codes.some((text) => text.includes(visit.pickupCode))
      })
    })

    // Rows: HZ-111, HZ-152, HZ-153
    step('the patient opens the e-prescription: sealed, with Chinese text', async () => {
      const { patient, visit } = world
      await patient.go(`/patient/prescriptions/${visit.western}`)
      const link = await patient.sees('prescription-pdf')
      const { bytes, type } = await patient.downloads(await link.getAttribute('href'))
      pdf = bytes
      assert.equal(type, 'application/pdf')
      assert.match(await seals(pdf), /digest matches|Signature is Valid/i)
      const text = (await words(pdf)).replaceAll(/\s/g, '')
      for (const word of ['永州示范医院', '氨氯地平', '高血压', '张海涛']) assert.ok(text.includes(word), `${word} is on paper: ${text}`)
      assert.ok(await pictures(pdf) >= 2, 'the handwritten signatures of doctor and pharmacist')
      await writeFile(new URL('prescription.png', SHOTS), await page(pdf))
      code = (await (await patient.sees('prescription-verify')).getAttribute('href')).split('/').at(-1)
    })

    // Rows: BJ-060
    step('anybody checks it: two signatures hold, and this is the file that was issued', async () => {
      visitor = await Person.arrive(world, 'visitor', PHONE)
      await visitor.go('/verify/')
      // As a phone's keyboard writes it, and as people copy it from paper.
      await visitor.fill('verify-code', ` ${code.slice(0, 1).toUpperCase()}${code.slice(1, 8)} ${code.slice(8)}`)
      await visitor.click('verify-go')
      await visitor.waits('verdict', 'valid', 'true')
      await visitor.sees('signature-stamped')
      const roles = await visitor.one('signature', 'valid', 'true').evaluateAll((all) => all.map((e) => e.getAttribute('data-role')))
      assert.deepEqual(roles.toSorted(), ['doctor', 'pharmacist'])
      const lists = await visitor.find('signature-revocation').evaluateAll((all) => all.map((e) => e.getAttribute('data-state')))
      assert.deepEqual(lists, ['good', 'good'], 'neither certificate was revoked')
      assert.equal(await visitor.find('signature-stamped').count(), 2, 'both signatures have a proven time')
      await visitor.shots('verify')
      await visitor.page.locator('[data-testid="compare-file"]').setInputFiles({ name: '处方.pdf', mimeType: 'application/pdf', buffer: pdf })
      await visitor.waits('compare-result', 'valid', 'true')
      await visitor.waits('compare-revocation', 'state', 'good')
    })

    step('one flipped byte is found out', async () => {
      const changed = Buffer.from(pdf)
      changed[Math.floor(changed.length / 3)] ^= 1
      await visitor.page.locator('[data-testid="compare-file"]').setInputFiles({ name: '处方.pdf', mimeType: 'application/pdf', buffer: changed })
      await visitor.waits('compare-result', 'valid', 'false')
      assert.match(await visitor.reads('compare-result'), /不一致/)
      await visitor.shot('verify-changed')
    })

    // Rows: AP-080, BJ-131
    step('the signed medical record is a sealed file as well, and its paper is verified without telling what it says', async () => {
      const { patient, visit } = world
      await patient.opens(visit.id)
      const link = await patient.sees('record-pdf')
      await patient.shots('patient-visit-record')
      const { bytes, type } = await patient.downloads(await link.getAttribute('href'))
      assert.equal(type, 'application/pdf')
      assert.match(await seals(bytes), /digest matches|Signature is Valid/i)
      const text = (await words(bytes)).replaceAll(/\s/g, '')
      for (const word of ['永州示范医院', '门诊病历', '高血压', '第1页/共1页']) assert.ok(text.includes(word), `${word} is on paper: ${text}`)
      await writeFile(new URL('record.png', SHOTS), await page(bytes))
      const code = (await (await patient.sees('record-verify')).getAttribute('href')).split('/').at(-1)
      await visitor.go(`/verify/${code}`)
      await visitor.waits('verdict', 'valid', 'true')
      await visitor.says('电子病历核验')
      assert.ok(!(await visitor.page.innerText('main')).includes('高血压'), 'nothing clinical is shown to the public')
      await visitor.shots('verify-record')
      await visitor.page.locator('[data-testid="compare-file"]').setInputFiles({ name: '病历.pdf', mimeType: 'application/pdf', buffer: bytes })
      await visitor.waits('compare-result', 'valid', 'true')
    })

    step('a code nobody issued is called so', async () => {
      await visitor.go('/verify/AAAAAAAAAAAA')
      await visitor.waits('verdict', 'valid', 'false')
      assert.match(await visitor.reads('verdict'), /查无此处方/)
      await visitor.go('/verify/%E0%A4%A')
      assert.match(await visitor.reads('verdict'), /查无此处方/)
      await visitor.click('verify-again')
      await visitor.sees('verify-code')
    })
  })
}
