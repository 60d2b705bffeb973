// The signature server among what it depends on: key devices, files of other makers, authorities, its own certificates, and days when it does not answer.
import assert from 'node:assert/strict'
import { after } from 'node:test'
import { connect } from 'node:tls'
import { Keeper } from '../people/keeper.mjs'
import { PATIENCE_MS, until } from '../world/bench.mjs'
import { at, outsideAuthority, PINS, startSignd } from '../world/signd.mjs'
import { application, inside, keyEnvelope, keyFiles, startAuthority } from '../world/trust.mjs'
import { story } from '../world/story.mjs'

const PASSWORD = 'Sheng-Yin-2026'

/** Whose certificate an interface shows. */
function served(address) {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(address)
    const socket = connect({ host: hostname, port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().subject.CN)
      socket.destroy()
    }).on('error', reject)
  })
}

export function theTrust(world) {
  let signd
  let admin
  let operator
  let auditor
  let outside
  let authority
  let his
  let names
  let other
  let there

  after(async () => {
    his?.close()
    await signd?.stop()
    await other?.stop()
    await authority?.stop()
    await outside?.remove()
  })

  story('The signature server and what it depends on', world, (step) => {
    step('a token whose PIN nobody wrote down waits for the administrator, and keys of devices become server keys', async () => {
      signd = await startSignd({ devices: true, outside: true, name: '一号机' })
      const here = at(world, signd)
      admin = await Keeper.arrive(here, 'trust-admin')
      await admin.calls('POST', 'setup', { code: await signd.setupCode(), name: 'zhang.guan', person: '张管理', password: PASSWORD })
      await admin.takesSeat('zhang.guan', PASSWORD)
      names = { operator: 'li.cao', auditor: 'wang.shen' }
      const seated = async (role, person) => {
        const { said } = await admin.calls('POST', 'accounts', { name: names[role], person, role })
        const keeper = await Keeper.arrive(here, `trust-${role}`)
        await keeper.takesSeat(names[role], said.password, `Own-Words-${role}-1`)
        return keeper
      }
      operator = await seated('operator', '李操作')
      auditor = await seated('auditor', '王审计')
      await admin.go('/keys')
      const sdf = admin.one('device', 'name', 'sdf1')
      await admin.page.locator('[data-testid="device"][data-name="sdf1"][data-state="ready"]').waitFor()
      assert.match(await sdf.innerText(), /SM1/)
      await admin.shots('signd-devices')
      await admin.click('device-keys', sdf)
      await admin.sees('device-key')
      await admin.click('adopt-sign')
      assert.match(await admin.reads('adopt-label-fault'), /名称/)
      await admin.fill('adopt-label', 'HIS 处方签名')
      await admin.click('adopt-sign')
      assert.match(await admin.reads('error-text', admin.find('device-keys-dialog')), /口令/)
      await admin.shots('signd-device-keys')
      await admin.click('device-keys-close')
      await admin.sees('device-locked', sdf)
      await admin.click('device-pin', sdf)
      await admin.shot('signd-device-pin')
      await admin.fill('pin', PINS.sdf1)
      await admin.click('pin-save-ok')
      await admin.find('pin-dialog').waitFor({ state: 'hidden' })
      await admin.find('device-locked', sdf).waitFor({ state: 'hidden' })
      await admin.click('device-keys', sdf)
      await admin.fill('adopt-label', 'HIS 处方签名')
      await admin.click('adopt-sign')
      await admin.find('device-keys-dialog').waitFor({ state: 'hidden' })
      await admin.one('key', 'index', 1).getByText('密码设备 sdf1').waitFor()
      const hsm = admin.one('device', 'name', 'hsm1')
      await admin.click('device-pin', hsm)
      await admin.fill('pin', PINS.hsm1)
      await admin.click('pin-save-ok')
      await admin.page.locator('[data-testid="device"][data-name="hsm1"][data-state="ready"]').waitFor()
      await admin.click('key-new')
      await admin.fill('key-label', '令牌中的密钥')
      await admin.click('key-algorithm-p256')
      await admin.page.locator('[data-testid="key-device"]').selectOption('hsm1')
      await admin.shot('signd-key-new-in-device')
      await admin.click('key-make-ok')
      await admin.one('key', 'index', 2).getByText('密码设备 hsm1').waitFor()
    })

    step('a device that goes away is shown with its reason, and is back when it is tried again', async () => {
      const sdf = admin.one('device', 'name', 'sdf1')
      await signd.sdf('fail SDF_GetDeviceInfo 0x01000005\nfail SDF_OpenDevice 0x01000005')
      await admin.click('device-retry', sdf)
      await admin.agrees()
      await admin.page.locator('[data-testid="device"][data-name="sdf1"][data-state="down"]').waitFor()
      await admin.says(/sdf1 仍然不可用/)
      await admin.shots('signd-device-down')
      await admin.fits()
      await signd.sdf('')
      await admin.click('device-retry', sdf)
      await admin.page.locator('[data-testid="device"][data-name="sdf1"][data-state="ready"]').waitFor()
    })

    step('a doctor whose key the province keeps is bound to it, and a certificate that changes there stops until it is accepted', async () => {
      const doctor = { index: 7, name: 'wang', subject: '/C=CN/O=示范医院/CN=王医生', password: 'sheng-ping' }
      await signd.province('keys', doctor)
      await admin.go('/keys')
      const server = admin.one('outside', 'name', 'province')
      await admin.page.locator('[data-testid="outside"][data-state="ready"]').waitFor()
      assert.match(await server.innerText(), /0 \/ 40000/)
      await admin.click('outside-bind')
      await admin.fill('outside-identification', 'nobody')
      await admin.click('outside-save-ok')
      assert.match(await admin.reads('error-text', admin.find('outside-dialog')), /没有这个证书标识/)
      await admin.fill('outside-identification', 'wang')
      await admin.click('outside-save-ok')
      assert.match(await admin.reads('outside-found'), /王医生[^]*示范医院/)
      await admin.fill('outside-signer-id', 'sta_wang')
      await admin.fill('outside-index', '7')
      await admin.fill('outside-password', doctor.password)
      await admin.shots('signd-outside-bind')
      await admin.click('outside-save-ok')
      await admin.find('outside-dialog').waitFor({ state: 'hidden' })
      const bound = (state) => admin.page.locator(`[data-testid="outside-signer"][data-signer="sta_wang"][data-state="${state}"]`).waitFor()
      await bound('waiting')
      assert.equal(await (await admin.sees('outside-signers')).getAttribute('data-used'), '1')
      await signd.province('renew', { name: 'wang', subject: doctor.subject })
      await admin.click('outside-retry')
      await bound('changed')
      await admin.fits()
      await admin.shots('signd-outside')
      await admin.click('outside-accept')
      await admin.agrees()
      await bound('waiting')
      assert.equal(await admin.page.content().then((page) => page.includes(doctor.password)), false)
      await admin.click('outside-unbind')
      await admin.agrees()
      await until('nobody bound', async () => (await (await admin.sees('outside-signers')).getAttribute('data-used')) === '0')
    })

    step('key pairs of other makers are imported: PKCS#12 with its certificate, encrypted PKCS#8, the envelope of an authority', async () => {
      outside = await outsideAuthority('Test CA')
      const files = await keyFiles(outside)
      await admin.click('key-file')
      await admin.click('import-save-ok')
      assert.match(await admin.reads('import-label-fault'), /请填写/)
      await admin.fill('import-label', '医院公章')
      await admin.drags('import-file', [files.pfx])
      await admin.fill('import-password', 'not this')
      await admin.click('import-save-ok')
      assert.match(await admin.reads('error-text', admin.find('key-import-dialog')), /口令错误/)
      await admin.shots('signd-key-import')
      await admin.fill('import-password', files.password)
      await admin.click('import-save-ok')
      await admin.page.locator('[data-testid="key"][data-index="3"][data-state="certified"]').waitFor()
      await admin.click('key-file')
      await admin.fill('import-label', '旧系统密钥')
      await admin.drags('import-file', [files.pkcs8])
      await admin.fill('import-password', files.password)
      await admin.click('import-save-ok')
      await admin.page.locator('[data-testid="key"][data-index="4"][data-state="generated"]').waitFor()
      // The authority makes its envelope for a signing key that lies here.
      const { said } = await admin.calls('POST', 'keys', { label: '处方签名', algorithm: 'sm2' })
      const request = await admin.calls('POST', `keys/${said.index}/request`, { organization: '示范医院', unit: '', common_name: '处方签名' })
      await admin.go('/keys')
      await admin.click('key-file')
      await admin.fill('import-label', '处方加密')
      await admin.drags('import-file', [await keyEnvelope(outside, request.said.pem)])
      await admin.click('import-purpose-encrypt')
      await admin.page.locator('[data-testid="import-envelope"]').selectOption(String(said.index))
      await admin.shot('signd-key-envelope')
      await admin.click('import-save-ok')
      await admin.one('key', 'index', 6).getByText('加密密钥').waitFor()
      await admin.fits()
    })

    step('a key is certified for time stamps and designated for them; another kind is refused', async () => {
      const card = (index) => admin.one('key', 'index', index)
      for (const [index, stamps] of [[1, false], [5, true]]) {
        await admin.click('key-certify', card(index))
        await admin.fill('certify-organization', '示范医院')
        await admin.fill('certify-name', stamps ? '示范医院时间戳' : '示范医院处方签名')
        if (stamps) await admin.click('certify-stamps')
        await admin.click('certify-ok')
        await admin.page.locator(`[data-testid="key"][data-index="${index}"][data-state="certified"]`).waitFor()
        await admin.click('key-activate', card(index))
        await admin.agrees()
        await admin.page.locator(`[data-testid="key"][data-index="${index}"][data-state="active"]`).waitFor()
      }
      await admin.click('stamping-edit')
      await admin.click('stamping-key-1')
      await admin.fill('stamping-policy', '甲')
      await admin.click('stamping-save-ok')
      assert.match(await admin.reads('error-text', admin.find('stamping-dialog')), /用点分隔的数字/)
      await admin.fill('stamping-policy', '1.2.3.4.1')
      await admin.click('stamping-save-ok')
      await admin.find('error-text', admin.find('stamping-dialog')).getByText(/时间戳/).waitFor()
      await admin.shots('signd-stamping')
      await admin.click('stamping-key-1')
      await admin.click('stamping-key-5')
      await admin.click('stamping-save-ok')
      await admin.find('stamping-dialog').waitFor({ state: 'hidden' })
      await admin.find('stamping').getByText('5 处方签名').waitFor()
      await admin.shot('signd-keys-all', { fullPage: true })
      await admin.page.setViewportSize({ width: 360, height: 740 })
      await admin.fits()
      await admin.shot('signd-keys-all', { fullPage: true })
      await admin.page.setViewportSize({ width: 1440, height: 900 })
    })

    // Rows: AP-232, AP-233, AP-239, AP-240, AP-252
    step('lists of an authority are fetched and imported, and what is revoked is refused from then on, without a restart', async () => {
      authority = await startAuthority()
      await operator.go('/revocation')
      await operator.sees('page-title')
      await operator.says('还没有下载地址')
      await operator.shots('signd-revocation-empty')
      await operator.opens('chains')
      for (const [name, root] of [['试验认证机构', await authority.root()], ['测试 CA', await outside.root()]]) {
        await operator.drags('chain-drop', [root])
        await operator.fill('chain-name', name)
        await operator.click('chain-make-ok')
        await operator.find('chain').getByText(name, { exact: true }).waitFor()
      }
      await operator.click('chain-new')
      await operator.click('chain-own')
      await operator.fill('chain-organization', '示范医院')
      await operator.shot('signd-chain-own')
      await operator.click('chain-make-ok')
      await operator.find('chain').getByText('示范医院', { exact: true }).waitFor()
      const chains = (await operator.calls('GET', 'chains')).said
      const policy = { keys: [1, 5], chains: chains.map((chain) => chain.id), revocation: 'none', revocation_must_be_known: true, formats: ['pkcs1', 'stamp'], rate_per_second: 0 }
      await operator.calls('POST', 'applications', { id: 'app_his', name: '门诊 HIS', policy })
      const card = await outside.person('门诊 HIS', 'his')
      await operator.calls('POST', 'applications/app_his/certificates', { file: card.buffer.toString('base64') })
      his = await application(signd, card)
      const [wang, li] = [await authority.person('wang'), await authority.person('li')]
      assert.deepEqual([await his.judges(wang), await his.judges(inside(card))], ['good', 'good'], 'certificates of two authorities')
      await operator.calls('PUT', 'applications/app_his', { name: '门诊 HIS', enabled: true, policy: { ...policy, revocation: 'crl' } })
      const old = await authority.list()
      // The certificate names the list: nobody told the address.
      await until('the list that the certificate names', async () => (await his.judges(wang)) === 'good')
      await operator.opens('revocation')
      await operator.one('list-source', 'failures', '0').getByText('正常').waitFor()
      await authority.revoke('wang')
      await authority.publish()
      await operator.click('lists-fetch')
      await operator.says(/已更新 \d 个列表，立即生效/)
      assert.deepEqual([await his.judges(wang), await his.judges(li)], ['certificate_revoked', 'good'])
      await operator.drags('list-import', [old])
      assert.match(await operator.reads('error-text'), /旧/)
      await authority.revoke('li')
      await authority.publish()
      await operator.drags('list-import', [await authority.list()])
      await operator.says('吊销列表已导入，立即生效')
      assert.equal(await his.judges(li), 'certificate_revoked')
      await authority.fault({ op: 'full', kind: 'error', status: 503 })
      await operator.click('lists-fetch')
      await operator.one('list-source', 'failures', '1').waitFor()
      await operator.shots('signd-revocation')
      await operator.fits()
    })

    // Rows: AP-241
    step('and by OCSP, asked at the moment, where the chain says so', async () => {
      const chain = operator.page.locator('[data-testid="chain-sources"]', { hasText: '试验认证机构' })
      await operator.click('chain-sources-edit', chain)
      await operator.fill('sources-responder', 'ldap://nowhere')
      await operator.click('sourcesave-ok')
      await operator.sees('error-text', operator.find('sources-dialog'))
      await operator.shots('signd-chain-sources')
      await operator.fill('sources-responder', authority.url('/ocsp'))
      await operator.fill('sources-minutes', '30')
      await operator.click('sourcesave-ok')
      await operator.find('sources-dialog').waitFor({ state: 'hidden' })
      await chain.getByText(authority.url('/ocsp')).waitFor()
      const applications = (await operator.calls('GET', 'applications')).said
      const { name, enabled, policy } = applications.find((one) => one.id === 'app_his')
      await operator.calls('PUT', 'applications/app_his', { name, enabled, policy: { ...policy, revocation: 'ocsp' } })
      const zhao = await authority.person('zhao')
      await until('an answer of the responder', async () => (await his.judges(zhao)) === 'good')
      const qian = await authority.person('qian')
      await authority.revoke('qian')
      // No list says so yet.
      await until('the responder’s word', async () => (await his.judges(qian)) === 'certificate_revoked')
    })

    step('where the hospital’s own lists are published is said on the page', async () => {
      await admin.opens('revocation')
      await admin.find('own-lists').getByText('还没有填写').waitFor()
      await admin.click('own-lists-edit')
      await admin.fill('own-lists-address', 'sign.hospital.cn')
      await admin.click('own-lists-save-ok')
      await admin.sees('error-text', admin.find('own-lists-dialog'))
      await admin.shots('signd-own-lists')
      await admin.fill('own-lists-address', 'http://sign.hospital.cn:8480/')
      await admin.click('own-lists-save-ok')
      await admin.find('own-lists').getByText('http://sign.hospital.cn:8480').waitFor()
      await admin.find('own-lists').scrollIntoViewIfNeeded()
      await admin.shots('signd-own-lists-said')
      await admin.fits()
    })

    step('a certificate of the hospital’s own authority is revoked by typing whose it is', async () => {
      await admin.opens('revocation')
      const own = admin.page.locator('[data-testid="own"]', { hasText: '示范医院时间戳' })
      await admin.click('own-revoke', own)
      await admin.page.locator('[data-testid="revoke-reason"]').selectOption('key-compromise')
      await admin.shots('signd-own-revoke')
      assert.equal(await admin.find('revoke-ok').isDisabled(), true, 'nothing is revoked before its holder is typed')
      await admin.fill('revoke-confirm', '示范医院时间戳')
      await admin.click('revoke-ok')
      await admin.page.locator('[data-testid="own"][data-revoked="true"]').waitFor()
      await admin.page.locator('[data-testid="list"]', { hasText: '吊销 1 张' }).waitFor()
      await admin.fits()
      await admin.shot('signd-own-revoked', { fullPage: true })
      await admin.opens('keys')
      await admin.sees('key-revoked', admin.one('key', 'index', 5))
      await admin.opens('overview')
      await admin.find('notice-row').getByText('密钥 5').waitFor()
      await admin.shots('signd-overview-revoked')
    })

    step('a client certificate that is kept no more is removed by its serial number', async () => {
      await operator.opens('certificates')
      await operator.sees('empty')
      await operator.shot('signd-certificates-empty')
      const person = await outside.person('医生甲', 'leaver')
      await operator.drags('import-files', [person])
      await operator.waits('certificates', 'count', '1')
      await operator.click('certificate-remove')
      await operator.shot('signd-certificate-remove')
      await operator.confirmsByTyping('certificate-removing', (await operator.find('certificate-row').getAttribute('data-serial')))
      await operator.waits('certificates', 'count', '0')
    })

    step('the interface of the applications gets a certificate of the hospital’s choice, and one of its own again', async () => {
      await admin.opens('tls')
      const card = () => admin.one('tls', 'interface', 'service')
      const [mine, other] = [await outside.person('sign.hospital.test', 'tls'), await outside.person('other', 'other')]
      const key = async (one) => ({ name: 'tls.key', mimeType: 'application/octet-stream', buffer: await outside.read(one.key) })
      await admin.click('tls-import', card())
      await admin.drags('tls-files', [mine])
      await admin.drags('tls-key', [await key(other)])
      await admin.click('tls-save-ok')
      await admin.sees('error-text', admin.find('tls-dialog'))
      await admin.shots('signd-tls-import')
      await admin.drags('tls-key', [await key(mine)])
      await admin.click('tls-save-ok')
      await admin.page.locator('[data-testid="tls"][data-interface="service"][data-source="imported"]').waitFor()
      await until('the hospital’s certificate', async () => (await served(signd.service)) === 'sign.hospital.test')
      await admin.shot('signd-tls-imported')
      // The same in one file with a password, as authorities hand it out.
      outside.openssl('pkcs12', '-export', '-in', mine.path, '-inkey', mine.key, '-certfile', outside.at('ca.pem'), '-passout', 'pass:mi-ma-2026', '-out', outside.at('tls.pfx'))
      await admin.click('tls-import', card())
      await admin.drags('tls-key', [{ name: 'tls.pfx', mimeType: 'application/octet-stream', buffer: await outside.read(outside.at('tls.pfx')) }])
      await admin.fill('tls-password', 'mi-ma-2026')
      await admin.shots('signd-tls-pfx')
      await admin.click('tls-save-ok')
      await admin.find('tls-dialog').waitFor({ state: 'hidden' })
      await admin.click('tls-renew', card())
      await admin.shot('signd-tls-renew')
      await admin.agrees()
      await admin.page.locator('[data-testid="tls"][data-interface="service"][data-source="own"]').waitFor()
      await until('its own certificate again', async () => (await served(signd.service)) !== 'sign.hospital.test')
      await admin.fits()
    })

    step('two appliances are paired: each takes the other’s card, and another administrator compares the fingerprint', async () => {
      other = await startSignd({ name: '二号机' })
      const world2 = at(world, other)
      const second = async (first, name) => {
        const { said } = await first.calls('POST', 'accounts', { name, person: '陈复核', role: 'administrator' })
        const keeper = await Keeper.arrive(first.world, `trust-${name}`)
        await keeper.takesSeat(name, said.password, `${PASSWORD}-2`)
        return keeper
      }
      there = await Keeper.arrive(world2, 'trust-there')
      await there.calls('POST', 'setup', { code: await other.setupCode(), name: 'zhao.guan', person: '赵管理', password: PASSWORD })
      await there.takesSeat('zhao.guan', PASSWORD)
      const [approver, approverThere] = [await second(admin, 'chen.fu'), await second(there, 'qian.fu')]
      await there.go('/replica')
      await there.sees('fingerprint')
      await there.shots('signd-replica-none')
      await admin.go('/replica')
      const card = async (keeper) => keeper.saves(() => keeper.click('introduction'))
      const [cardHere, cardThere] = [await card(admin), await card(there)]
      const propose = async (keeper, file, role, url) => {
        await keeper.click('peer-new')
        await keeper.drags('peer-file', [file])
        await keeper.click(`peer-role-${role}`)
        if (url) await keeper.fill('peer-url', url)
        await keeper.shots(`signd-replica-propose-${role}`)
        await keeper.click('peer-save-ok')
        await keeper.waits('peer', 'state', 'proposed')
      }
      const approve = async (keeper, print) => {
        await keeper.go('/replica')
        await keeper.click('peer-approve')
        await keeper.fill('approve-fingerprint', print)
        await keeper.click('approve-ok')
      }
      const [printHere, printThere] = [await admin.reads('fingerprint'), await there.reads('fingerprint')]
      assert.notEqual(printHere, printThere)
      await propose(there, cardHere, 'source')
      // Who proposed does not approve; who reads the wrong page is told.
      await there.click('peer-approve')
      await there.fill('approve-fingerprint', printHere)
      await there.click('approve-ok')
      await there.sees('error-text', there.find('approve-dialog'))
      await approve(approverThere, printThere)
      await approverThere.sees('error-text', approverThere.find('approve-dialog'))
      await approverThere.shots('signd-replica-wrong-fingerprint')
      await approverThere.fill('approve-fingerprint', printHere)
      await approverThere.click('approve-ok')
      await approverThere.waits('peer', 'state', 'approved')
      await propose(admin, cardThere, 'follower', other.address)
      await approve(approver, printThere)
      await approver.waits('peer', 'state', 'approved')
    })

    step('the follower gets the keys by itself, and says who leads', async () => {
      await admin.go('/replica')
      await admin.page.locator('[data-testid="peer"][data-fresh="true"]').waitFor({ timeout: 2 * PATIENCE_MS })
      await admin.shots('signd-replica-source')
      await there.go('/replica')
      await there.sees('follows')
      await there.shots('signd-replica-follower')
      await until('the keys', async () => {
        await there.go('/keys')
        await there.page.locator('[data-testid="key"]:visible, [data-testid="empty"]:visible').first().waitFor()
        return (await there.find('key').count()) > 0
      })
      await there.shots('signd-replica-keys')
    })

    step('a follower that is away is shown with its reason, and a package is carried there by hand', async () => {
      await other.away()
      const { said: apps } = await operator.calls('GET', 'applications')
      const { policy } = apps[0]
      const { status, said } = await operator.calls('POST', 'applications', { id: 'app_lis', name: '检验系统', policy })
      assert.equal(status, 200, said.text)
      await admin.go('/replica')
      await admin.sees('peer-trouble')
      await admin.shots('signd-replica-away')
      const file = await admin.saves(() => admin.click('peer-package'))
      assert.match(file.name, /\.yqreplica$/)
      await other.again()
      await there.go('/replica')
      await there.signsIn()
      await there.go('/replica')
      // By the line or by hand, whichever comes first; what came twice is refused in words.
      await there.drags('replica-file', [file])
      await until('the package is taken, or was', async () => (await there.find('notice').count()) + (await there.find('error-text').count()) > 0)
      await there.shots('signd-replica-carried')
      await until('the follower has the new application', async () => (await there.calls('GET', 'applications')).said.some((one) => one.id === 'app_lis'), 2 * PATIENCE_MS)
      await admin.page.locator('[data-testid="peer"][data-fresh="true"]').waitFor({ timeout: 2 * PATIENCE_MS })
    })

    step('the pairing is ended on both sides, and the follower stands by itself', async () => {
      for (const keeper of [there, admin]) {
        await keeper.go('/replica')
        await keeper.click('peer-end')
        await keeper.agrees()
        await keeper.find('peer').waitFor({ state: 'hidden' })
      }
      await there.find('follows').waitFor({ state: 'hidden' })
      await there.fits()
    })

    step('the auditor says how long the log is kept, and sees how far it is protected', async () => {
      await auditor.go('/log')
      await auditor.sees('log-row')
      await auditor.sees('log-checkpoint')
      await auditor.fill('log-keep', '30')
      assert.match(await auditor.reads('log-keep-fault'), /180/)
      await auditor.shots('signd-log-keeping')
      await auditor.fill('log-keep', '1825')
      await auditor.click('log-keep-save')
      await auditor.sees('dialog')
      await auditor.shot('signd-log-shorter')
      await auditor.agrees()
      await auditor.waits('log-kept', 'days', '1825')
      await auditor.fits()
    })

    // Rows: AP-253, AP-254, AP-255
    step('each role is shown its own acts alone, and asked directly the server refuses the others and writes it down', async () => {
      const { said: [before] } = await operator.calls('GET', 'applications')
      const { name, enabled, policy } = before
      const denied = [
        [admin, 'PUT', 'applications/app_his', { name, enabled, policy: { ...policy, keys: [] } }], [auditor, 'PUT', 'applications/app_his', { name, enabled, policy: { ...policy, revocation: 'none' } }],
        [auditor, 'PUT', 'settings/web-service', { enabled: true }], [operator, 'POST', 'keys', { label: '越权', algorithm: 'sm2' }], [operator, 'GET', 'log'], [admin, 'PUT', 'settings/log', { keep_days: 0 }],
      ]
      for (const [keeper, method, path, data] of denied) {
        const { status, said } = await keeper.calls(method, path, data)
        assert.deepEqual([status, said.code], [403, 'forbidden'], `${keeper.name} ${method} ${path}`)
      }
      assert.deepEqual((await operator.calls('GET', 'applications')).said[0], before)
      for (const keeper of [admin, auditor]) {
        await keeper.go('/applications/app_his')
        await keeper.sees('policy')
        assert.equal(await keeper.find('policy-save').count(), 0, 'the policy is the operator’s')
        assert.equal(await keeper.find('policy-key-1').isDisabled(), true)
        assert.match(await keeper.reads('only-for'), /由操作员修改/)
        await keeper.go('/interfaces')
        await keeper.sees('web-service')
        assert.equal(await keeper.find('web-service-switch').count(), 0)
      }
      await auditor.shot('signd-interfaces-auditor')
      await auditor.go('/applications/app_his')
      await auditor.shot('signd-application-auditor')
      await operator.go('/log')
      await operator.says('不能查看此页')
      await operator.shot('signd-barred')
      await auditor.go('/log?act=manage.')
      await auditor.page.locator('[data-testid="log-row"][data-act="manage.refused"]').nth(denied.length - 1).waitFor()
    })

    step('under load the overview shows rate and latency as they are', async () => {
      await admin.go('/')
      await admin.find('live').getByText('1 分钟').click()
      let made = 0
      let loaded = true
      const load = Promise.all(Array.from({ length: 6 }, async () => {
        while (loaded) if ((await his.signs(1)) === 200) made += 1
      }))
      try {
        await until('some signatures', () => made > 20, 3 * PATIENCE_MS)
        await admin.find('chart-rate').getByText(/(0\.\d*[1-9]|[1-9][\d.]*) 次\/秒/).first().waitFor()
        await admin.shots('signd-overview-load')
        await admin.find('live').screenshot({ path: new URL('../shots/signd-charts-load.png', import.meta.url).pathname })
      } finally {
        loaded = false
        await load
      }
    })

    step('a server that is slow, or away, is said to be so, and the page finds it again by itself', async () => {
      // From slow to lost it is seconds: looked for while it comes.
      const slow = admin.waits('reach', 'state', 'slow')
      signd.frozen()
      await slow
      await admin.shot('signd-slow')
      signd.thawed()
      await admin.find('reach').waitFor({ state: 'hidden' })
      await signd.away()
      await admin.waits('reach', 'state', 'lost')
      await admin.click('nav-keys')
      await admin.shots('signd-away')
      await admin.fits()
      await signd.again()
      // After a restart everybody signs in again, and finds the page asked for.
      await admin.sees('ended')
      await admin.find('reach').waitFor({ state: 'hidden' })
      await admin.shot('signd-back')
      await admin.signsIn()
      await admin.sees('key')
    })
  })
}
