// The signature server's own page: an administrator, an operator and an auditor at their desks.
import assert from 'node:assert/strict'
import { after } from 'node:test'
import { DESK } from '../people/browser.mjs'
import { Keeper } from '../people/keeper.mjs'
import { until } from '../world/bench.mjs'
import { scan } from '../world/files.mjs'
import { at, outsideAuthority, startReceiver, startSignd, startTimeServer, webService } from '../world/signd.mjs'
import { story } from '../world/story.mjs'

const ADMIN = { login: 'zhang.guan', password: 'Sheng-Yin-2026' }

export function theSignatureServer(world) {
  let admin
  let operator
  let auditor
  let authority
  let doctor
  let backup
  let time
  let receiver
  const shares = []

  after(async () => {
    await world.signd?.stop()
    await time?.stop()
    receiver?.stop()
    await authority?.remove()
  })

  story('The signature server is set up, kept and watched', world, (step) => {
    step('the first administrator is made by the code on the machine, and ties a phone to the account', async () => {
      world.signd = await startSignd()
      admin = await Keeper.arrive(world, 'signd-admin')
      await admin.go('/')
      await admin.sees('set-up')
      await admin.shots('signd-set-up')
      await admin.fill('setup-code', 'AAAABBBBCCCCDDDD')
      await admin.fill('setup-person', '张管理')
      await admin.fill('setup-name', ADMIN.login)
      await admin.fill('setup-password', 'short')
      await admin.fill('setup-again', 'short')
      await admin.click('setup-submit')
      assert.match(await admin.reads('setup-password-fault'), /至少 10/)
      await admin.fill('setup-password', ADMIN.password)
      await admin.fill('setup-again', ADMIN.password)
      await admin.click('setup-submit')
      assert.match(await admin.reads('error-text'), /初始化码不正确/)
      await admin.fill('setup-code', await world.signd.setupCode())
      await admin.click('setup-submit')
      await admin.sees('sign-in')
      await admin.types(ADMIN.login, 'Not-The-Password-1', '')
      assert.match(await admin.reads('error-text'), /用户名、密码或动态口令不正确/)
      await admin.shots('signd-sign-in')
      await admin.types(ADMIN.login, ADMIN.password, '')
      await admin.sees('enrol')
      const [scanned] = await scan(await (await admin.sees('qr')).screenshot())
      assert.match(scanned, /^otpauth:\/\/totp\//)
      await admin.shots('signd-enrol')
      await admin.enrols(ADMIN.login, ADMIN.password)
      await admin.waits('self-test-result', 'passed', 'true')
      await admin.fits()
      await admin.shots('signd-overview-new')
    })

    step('she makes accounts for an operator and an auditor, who choose passwords of their own', async () => {
      await admin.opens('accounts')
      for (const [login, person, role] of [['li.cao', '李操作', 'operator'], ['wang.shen', '王审计', 'auditor']]) {
        await admin.click('account-new')
        await admin.fill('account-person', person)
        await admin.fill('account-name', login)
        await admin.click(`account-role-${role}`)
        await admin.click('account-save-ok')
        const password = await admin.reads('handed-secret')
        if (role === 'operator') await admin.shots('signd-handed')
        await admin.click('handed-done')
        const keeper = await Keeper.arrive(world, `signd-${role}`)
        await keeper.enrols(login, password, `Own-Words-${role}-1`)
        if (role === 'operator') operator = keeper
        else auditor = keeper
      }
      await admin.go('/accounts')
      await admin.sees('account')
      await admin.shots('signd-accounts')
      await admin.fits()
      await admin.find('account-switch', admin.one('account', 'name', 'li.cao')).waitFor()
      assert.equal(await admin.find('account-switch', admin.one('account', 'name', ADMIN.login)).count(), 0, 'nobody is offered to shut themselves out')
    })

    step('she makes keys, has one certified outside and drags the certificate in', async () => {
      authority = await outsideAuthority('Test CA')
      await admin.opens('keys')
      await admin.sees('empty')
      for (const [label, algorithm] of [['处方签名', 'sm2'], ['对外签名', 'p256'], ['试验密钥', 'sm2']]) {
        await admin.click('key-new')
        await admin.fill('key-label', label)
        await admin.click(`key-algorithm-${algorithm}`)
        if (algorithm === 'p256') await admin.shot('signd-key-new')
        await admin.click('key-make-ok')
        await admin.find('key-dialog').waitFor({ state: 'hidden' })
      }
      const key = (index) => admin.one('key', 'index', index)
      await admin.click('key-certify', key(1))
      await admin.fill('certify-organization', '示范医院')
      await admin.fill('certify-name', '示范医院处方签名')
      await admin.click('certify-ok')
      await admin.waits('key', 'state', 'certified')
      await admin.click('key-activate', key(1))
      await admin.agrees()
      await admin.page.locator('[data-testid="key"][data-index="1"][data-state="active"]').waitFor()
      await admin.click('key-request', key(2))
      await admin.fill('request-organization', '示范医院')
      await admin.fill('request-name', '示范医院对外签名')
      const request = await admin.saves(() => admin.click('request-ok'))
      assert.equal(request.name, 'key-2.csr')
      const certificate = await authority.certify(request.buffer, 'key-2.pem')
      await admin.drags('key-import', [await authority.root()], key(2))
      assert.match(await admin.reads('error-text', key(2)), /公钥不一致/)
      await admin.drags('key-import', [await authority.root(), certificate], key(2))
      await admin.page.locator('[data-testid="key"][data-index="2"][data-state="certified"]').waitFor()
      await admin.click('key-activate', key(2))
      await admin.agrees()
      await admin.page.locator('[data-testid="key"][data-index="2"][data-state="active"]').waitFor()
      await admin.click('key-destroy', key(3))
      await admin.shots('signd-key-destroy')
      await admin.confirmsByTyping('key-destroying', '试验密钥')
      await admin.waits('key', 'state', 'destroyed')
      await admin.fits()
      await admin.shots('signd-keys')
    })

    step('the operator brings in the authority’s chain', async () => {
      await operator.opens('chains')
      assert.equal(await operator.find('nav-accounts').count(), 0)
      assert.equal(await operator.find('nav-log').count(), 0)
      await operator.shot('signd-chains-empty')
      await operator.drags('chain-drop', [await authority.root()])
      await operator.fill('chain-name', '测试 CA')
      await operator.click('chain-make-ok')
      await operator.sees('chain')
      await operator.shots('signd-chains')
      await operator.opens('keys')
      assert.equal(await operator.find('key-new').count(), 0, 'keys are the administrator’s')
    })

    // Rows: AP-248
    step('client certificates are dragged in, many at once, and each file is answered for', async () => {
      await operator.opens('certificates')
      const files = []
      for (const [who, as, days] of [['医生甲', 'doctor-a', 365], ['医生乙', 'doctor-b', 10], ['药师丙', 'pharmacist-c', 365]]) files.push(await authority.person(who, as, days))
      doctor = files[0]
      await operator.fill('import-note', '2026 年入职')
      await operator.drags('import-files', [...files, { name: 'holiday.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('not a certificate') }])
      for (const { name } of files) assert.equal(await operator.one('import-result', 'name', name).getAttribute('data-ok'), 'true')
      assert.equal(await operator.one('import-result', 'name', 'holiday.jpg').getAttribute('data-ok'), 'false')
      await operator.waits('certificates', 'count', '3')
      await operator.fits()
      await operator.shots('signd-certificates')
    })

    // Rows: AP-249
    step('and found by name, authority, serial number and note', async () => {
      for (const [text, count] of [['医生', '2'], ['Test CA', '3'], [doctor.serial, '1'], ['入职', '3'], ['没有这个人', '0']]) {
        await operator.fill('search-text', text)
        await operator.click('search')
        await operator.waits('certificates', 'count', count)
      }
      await operator.fill('search-text', doctor.serial)
      await operator.click('search')
      await operator.waits('certificates', 'count', '1')
      await operator.click('certificate-row')
      await operator.sees('certificate-detail')
      await operator.says('属于证书链：测试 CA')
      await operator.shots('signd-certificate')
      const exported = await operator.saves(() => operator.click('export-pem'))
      assert.equal(exported.buffer.toString().replace(/\s/g, ''), doctor.buffer.toString().replace(/\s/g, ''))
      await operator.click('detail-close')
    })

    // Rows: AP-253, AP-254, AP-255
    step('an application gets its policy: server certificates, chains, how revocation is looked at', async () => {
      await operator.opens('applications')
      await operator.click('application-new')
      await operator.fill('application-name', '门诊 HIS')
      await operator.fill('application-id', 'app_his')
      await operator.click('policy-key-1')
      await operator.click('policy-key-2')
      await operator.find('policy-chains').first().getByText('测试 CA').click()
      await operator.click('policy-revocation-crl')
      await operator.click('policy-format-cipher')
      await operator.fill('policy-rate', '500')
      await operator.shots('signd-application-new')
      await operator.click('application-make-ok')
      await operator.sees('policy')
      await operator.click('secret-renew')
      const secret = await operator.reads('secret-secret')
      assert.equal(Buffer.from(secret, 'base64').length, 32)
      await operator.shots('signd-secret')
      await operator.click('secret-done')
      await operator.go('/applications/app_his')
      await operator.sees('policy')
      assert.doesNotMatch(await operator.page.content(), new RegExp(secret.slice(0, 20).replace(/[+/]/g, '.')), 'shown once')
      const ticked = async (testid) => (await operator.sees(testid)).isChecked()
      assert.deepEqual(await Promise.all(['policy-key-1', 'policy-key-2', 'policy-revocation-crl', 'policy-must-be-known', 'policy-format-cipher', 'policy-format-xml'].map(ticked)), [true, true, true, true, false, true])
      await operator.drags('application-certificate-file', [await authority.person('门诊 HIS', 'his')])
      await operator.sees('cert')
      await operator.click('policy-must-be-known')
      await operator.shots('signd-application')
      await operator.fits()
      await operator.click('policy-save')
      await operator.says('已保存，立即生效')
      await operator.go('/applications/app_his')
      assert.equal(await ticked('policy-must-be-known'), false)
    })

    // Rows: AP-234, AP-235, AP-256, AP-257
    step('the sources and the policy of the time are set, synchronisation is switched on and off, and the clock is put right by them', async () => {
      time = await startTimeServer(250)
      await operator.opens('time')
      await operator.waits('time-state', 'enabled', 'false')
      await operator.click('time-switch')
      assert.match(await operator.reads('error-text'), /至少添加一个时间源/)
      await operator.click('source-add')
      await operator.fill('source-host', '127.0.0.1')
      await operator.fill('source-port', time.port)
      await operator.fill('schedule-minutes', '10')
      await operator.shots('signd-time-off')
      await operator.click('time-switch')
      await operator.waits('time-state', 'enabled', 'true')
      await operator.waits('time-status', 'state', 'trusted')
      await operator.waits('time-row', 'ok', 'true')
      // An answer that lay about on a busy machine measures worse: the source is asked again.
      await until('the page saying that the source is 250 ms ahead', async () => {
        const ms = Number(/^([\d.]+) 毫秒/.exec(await operator.reads('time-offset'))?.[1])
        if (Math.abs(ms - 250) < 60) return true
        await operator.click('time-poll')
        return false
      })
      await operator.click('time-poll')
      await operator.sees('time-graph')
      await operator.fits()
      await operator.shot('signd-time', { fullPage: true })
      await operator.click('schedule-daily')
      await operator.fill('schedule-at', '03:00 25:00')
      await operator.click('time-save')
      assert.match(await operator.reads('error-text'), /25:00/)
      await operator.fill('schedule-at', '03:00 12:30')
      await operator.click('time-save')
      await operator.says('校时策略已保存')
      await operator.go('/time')
      assert.equal(await (await operator.sees('schedule-at')).inputValue(), '03:00 12:30')
      assert.equal(await (await operator.sees('source-host')).inputValue(), '127.0.0.1')
      await operator.click('time-switch')
      await operator.agrees()
      await operator.waits('time-state', 'enabled', 'false')
      await operator.waits('time-status', 'state', 'off')
      await operator.click('time-switch')
      await operator.waits('time-status', 'state', 'trusted')
    })

    // Rows: AP-237
    step('the web service is switched on and off, and answers accordingly', async () => {
      await operator.opens('interfaces')
      await operator.waits('web-service', 'enabled', 'false')
      assert.doesNotMatch(await webService(world.signd), /definitions/)
      await operator.click('web-service-switch')
      await operator.waits('web-service', 'enabled', 'true')
      assert.match(await webService(world.signd), /definitions/)
      await operator.click('web-service-switch')
      await operator.agrees()
      await operator.waits('web-service', 'enabled', 'false')
      assert.doesNotMatch(await webService(world.signd), /definitions/)
    })

    // Rows: AP-261
    step('the log is sent by syslog to the server that is named', async () => {
      receiver = await startReceiver()
      await operator.click('syslog-save')
      assert.match(await operator.reads('syslog-host-fault'), /请填写/)
      await operator.fill('syslog-host', '127.0.0.1')
      await operator.fill('syslog-port', receiver.port)
      await operator.click('syslog-tcp')
      await operator.click('syslog-save')
      await operator.waits('syslog', 'enabled', 'true')
      await operator.waits('syslog-sending', 'connected', 'true')
      await until('what was done here in the receiver', () => /application\.registered[^]*app_his/.test(receiver.text()))
      await operator.shots('signd-interfaces')
      await operator.fits()
    })

    step('a session that ends leaves what was typed, for the same person to go on', async () => {
      await operator.opens('applications')
      await operator.click('application-new')
      await operator.fill('application-name', '还没有写完')
      await operator.fill('application-id', 'app_half')
      await operator.page.context().clearCookies()
      // The page may hear of it before it is asked for anything.
      await operator.find('application-make-ok').click({ timeout: 5_000 }).catch(() => undefined)
      await operator.sees('ended')
      assert.equal(await operator.find('application-name').count(), 0)
      await operator.shots('signd-session-ended')
      await operator.signsIn()
      assert.equal(await (await operator.sees('application-name')).inputValue(), '还没有写完')
      await operator.click('application-make-cancel')
    })

    // Rows: AP-258
    step('the configuration is backed up to the administrator’s PC as one encrypted file', async () => {
      await admin.opens('backup')
      await admin.shots('signd-backup-none')
      await admin.click('custodians-new')
      await admin.fill('custodians-names', '赵一\n钱二\n孙三')
      await admin.fill('custodians-needed', '2')
      await admin.click('custodians-save-ok')
      await admin.waits('custodians', 'needed', '2')
      for (const number of [1, 3]) {
        await admin.click('share-take', admin.one('custodian', 'number', number))
        await admin.agrees()
        shares.push(await admin.reads('share-secret'))
        if (number === 1) await admin.shots('signd-share')
        await admin.click('share-done')
        await admin.page.locator(`[data-testid="custodian"][data-number="${number}"][data-taken="true"]`).waitFor()
      }
      backup = await admin.saves(() => admin.click('backup'))
      assert.ok(backup.buffer.length > 1000)
      for (const plain of ['app_his', 'zhang.guan', '处方签名']) assert.equal(backup.buffer.includes(plain), false, `${plain} is not to be read in a backup`)
      await admin.sees('backup-done')
      await admin.shots('signd-backup')
      await admin.fits()
    })

    step('a damaged file is refused; a good one is shown before it is restored', async () => {
      await operator.go('/applications/app_his')
      await operator.click('application-switch')
      await operator.agrees()
      await operator.waits('application-state', 'enabled', 'false')
      const broken = Buffer.from(backup.buffer)
      broken[broken.length >> 1] ^= 1
      await admin.drags('restore-file', [{ ...backup, buffer: broken }])
      assert.match(await admin.reads('error-text'), /已损坏/)
      await admin.shot('signd-restore-damaged')
      await admin.click('restore-drop')
      await admin.drags('restore-file', [backup])
      await admin.sees('restore-preview')
      await admin.says('门诊 HIS')
      await admin.shots('signd-restore-preview')
      await admin.click('restore')
      await admin.confirmsByTyping('restore-confirm', '恢复')
      await admin.sees('ended')
      await admin.signsIn()
      await admin.go('/applications/app_his')
      await admin.waits('application-state', 'enabled', 'true')
    })

    // Rows: AP-259
    step('another device takes the backup only with its custodians, and is the first one’s likeness then', async () => {
      const other = await startSignd()
      try {
        const keeper = await Keeper.arrive(at(world, other), 'signd-other')
        await keeper.go('/')
        for (const [field, text] of [['code', await other.setupCode()], ['person', '新管理'], ['name', 'xin.guan'], ['password', 'Brand-New-2026'], ['again', 'Brand-New-2026']]) await keeper.fill(`setup-${field}`, text)
        await keeper.click('setup-submit')
        await keeper.sees('sign-in')
        await keeper.enrols('xin.guan', 'Brand-New-2026')
        await keeper.opens('backup')
        await keeper.drags('restore-file', [backup])
        await keeper.sees('restore-share-0')
        await keeper.shots('signd-restore-elsewhere')
        await keeper.fill('restore-share-0', shares[0])
        await keeper.click('restore-open')
        assert.match(await keeper.reads('error-text'), /2/, 'one share is too few, and how many are needed is said')
        await keeper.fill('restore-share-1', `${shares[1].slice(0, -1)}${shares[1].endsWith('0') ? '1' : '0'}`)
        await keeper.click('restore-open')
        await keeper.says('校验码不符')
        await keeper.fill('restore-share-1', shares[1])
        await keeper.click('restore-open')
        await keeper.sees('restore-preview')
        await keeper.shots('signd-restore-elsewhere-preview')
        await keeper.click('restore')
        await keeper.confirmsByTyping('restore-confirm', '恢复')
        Object.assign(keeper, { login: admin.login, password: admin.password, secret: admin.secret, lastCode: admin.lastCode })
        await keeper.sees('ended')
        await keeper.signsIn()
        admin.lastCode = keeper.lastCode
        assert.equal(await keeper.reads('who'), '张管理')
        await keeper.opens('keys')
        await keeper.page.locator('[data-testid="key"][data-index="1"][data-state="active"]').waitFor()
        await keeper.opens('applications')
        await keeper.says('门诊 HIS')
      } finally {
        await other.stop()
      }
    })

    // Rows: AP-260
    step('the auditor finds it all in the log, takes it away and checks the chain', async () => {
      await auditor.go('/')
      await auditor.signsIn()
      await auditor.opens('log')
      await auditor.sees('log-row')
      await auditor.shots('signd-log')
      await auditor.fits()
      await auditor.page.locator('[data-testid="search-act"]').selectOption('key.')
      await auditor.click('search')
      await auditor.page.waitForFunction(() => [...document.querySelectorAll('[data-testid="log-row"]')].every((row) => row.getAttribute('data-act').startsWith('key.')) && document.querySelector('[data-act="key.destroyed"]'))
      await auditor.click('search-reset')
      await auditor.fill('search-subject', ADMIN.login)
      await auditor.fill('search-text', 'li.cao')
      await auditor.click('search')
      await auditor.one('log-row', 'act', 'account.created').first().waitFor()
      const table = await auditor.saves(() => auditor.click('export-csv'))
      assert.match(table.buffer.toString(), /account\.created,zhang\.guan/)
      await auditor.click('log-check')
      await auditor.waits('log-check-result', 'whole', 'true')
      await auditor.shots('signd-log-checked')
    })

    step('who has a certificate signs in by it', async () => {
      await admin.opens('accounts')
      const row = admin.one('account', 'name', 'li.cao')
      await row.locator('summary').click()
      await admin.drags('account-certificate', [doctor], row)
      await admin.sees('cert', row)
      const size = { ...DESK, ignoreHTTPSErrors: true, clientCertificates: [{ origin: world.signd.address, certPath: doctor.path, keyPath: doctor.key }] }
      const holder = await Keeper.arrive(world, 'signd-holder', size)
      await holder.go('/')
      await holder.click('login-certificate')
      assert.equal(await holder.reads('who'), '李操作')
    })

    step('everything is at hand on the overview, and on a phone', async () => {
      await admin.opens('tls')
      await admin.sees('tls')
      await admin.shots('signd-tls')
      await admin.opens('overview')
      await admin.sees('live')
      await admin.click('self-test')
      await admin.waits('self-test-result', 'passed', 'true')
      await admin.shot('signd-overview', { fullPage: true })
      const phone = await admin.on({ viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, ignoreHTTPSErrors: true }, 'signd-phone')
      for (const path of ['/', '/keys', '/applications', '/applications/app_his', '/chains', '/certificates', '/time', '/interfaces', '/backup', '/accounts', '/tls', '/me']) {
        await phone.go(path)
        await phone.page.locator('main [data-testid="loading"]').first().waitFor({ state: 'detached' })
        await phone.fits()
        await phone.shot(`signd-phone${path.replaceAll('/', '-')}`, { fullPage: true })
      }
      await phone.click('menu')
      await phone.shot('signd-phone-menu')
    })
  })
}
