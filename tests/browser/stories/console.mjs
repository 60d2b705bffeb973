// In the machine room: the appliance's own pages, without the cloud.
import { Person, PHONE } from '../people/browser.mjs'
import { until } from '../world/bench.mjs'
import { story } from '../world/story.mjs'

export function theConsole(world) {
  let engineer
  story('In the machine room', world, (step) => {
    const opens = async (page) => {
      await engineer.page.getByRole('link', { name: page, exact: true }).click()
      await engineer.page.getByRole('heading', { name: page, level: 1 }).waitFor()
    }
    const looks = async (name) => {
      await engineer.shot(`console-${name}`)
      const phone = await engineer.on(PHONE, 'engineer with a phone')
      await phone.page.goto(engineer.page.url())
      await phone.fits()
      await phone.shot(`console-${name}`)
      await phone.page.context().close()
    }

    step('sees the appliance, its line, the hospital’s systems and the printers', async () => {
      engineer = await Person.arrive(world, 'engineer')
      await engineer.page.goto(world.site.addresses.console)
      await until('the line is up', async () => {
        await engineer.page.reload()
        return /已连接/.test(await engineer.page.innerText('main'))
      })
      for (const word of ['安全芯片', '院内系统', '字典缓存', '打印机', '记录仪采集站']) await engineer.page.locator('main', { hasText: word }).waitFor()
      await looks('overview')
    })

    step('sees what went to the hospital’s system, and finds one of them', async () => {
      await opens('院内指令')
      await engineer.page.getByLabel('只看未办结').uncheck()
      await engineer.page.getByRole('button', { name: '查询' }).click()
      // The list that was asked for, not the one before it.
      await engineer.page.waitForURL(/\?/)
      const command = engineer.page.locator('td a').first()
      const address = new URL(await command.getAttribute('href'), engineer.page.url()).href
      await command.click()
      await engineer.page.waitForURL(address)
      await engineer.page.locator('main', { hasText: '经过' }).waitFor()
      await looks('command')
    })

    step('sees the print queue', async () => {
      await opens('打印')
      await looks('printing')
    })

    step('sees dock and recorders, and is told that a wrong file is no firmware', async () => {
      await opens('采集站')
      for (const word of ['控制板', '卡位', '存储空间', '当前版本']) await engineer.page.locator('main', { hasText: word }).waitFor()
      await looks('docking')
      await engineer.page.locator('input[type=file]').setInputFiles({ name: 'dock.fw', mimeType: 'application/octet-stream', buffer: Buffer.alloc(3000, 1) })
      await engineer.page.getByRole('button', { name: '升级固件' }).click()
      await engineer.page.getByText('这不是采集坞固件包').waitFor()
      await engineer.shot('console-refused')
    })
  })
}
