// One day on one machine: the product, a browser, the people, their stories.
import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { openBrowser } from './people/browser.mjs'
import { accounts } from './stories/accounts.mjs'
import { aBooking } from './stories/booking.mjs'
import { aBrokenLine } from './stories/broken-line.mjs'
import { onTheDoctorsPhone } from './stories/doctors-phone.mjs'
import { theConsole } from './stories/console.mjs'
import { theFootage } from './stories/footage.mjs'
import { herbsByCourier } from './stories/herbs-by-courier.mjs'
import { theTerminal } from './stories/kiosk.mjs'
import { theFeeInTheHall } from './stories/kiosk-paper.mjs'
import { moneyBack } from './stories/money-back.mjs'
import { nursingAtHome } from './stories/nursing.mjs'
import { theOffice } from './stories/office.mjs'
import { ordersOnThePhone } from './stories/orders.mjs'
import { thePaper } from './stories/paper.mjs'
import { signedActs } from './stories/signed-acts.mjs'
import { theSignatureServer } from './stories/signature-server.mjs'
import { theTrust } from './stories/signature-trust.mjs'
import { aVisit, theFarewell } from './stories/visit.mjs'
import { Bench } from './world/bench.mjs'
import { startSite } from './world/site.mjs'

const world = { people: [] }

before(async () => {
  world.site = process.env.YIQIAO_SITE ? { addresses: JSON.parse(process.env.YIQIAO_SITE), stop: async () => undefined } : await startSite()
  world.bench = new Bench(world.site.addresses)
  world.browser = await openBrowser()
}, { timeout: 600_000 })

after(async () => {
  await world.browser?.close()
  await world.site?.stop()
})

aBooking(world)
aVisit(world)
herbsByCourier(world)
thePaper(world)
aBrokenLine(world)
theFeeInTheHall(world)
theFarewell(world)
onTheDoctorsPhone(world)
ordersOnThePhone(world)
signedActs(world)
moneyBack(world)
theOffice(world)
theTerminal(world)
theFootage(world)
theConsole(world)
nursingAtHome(world)
accounts(world)
theSignatureServer(world)
theTrust(world)

it('no script has failed in anybody’s browser', () => {
  for (const person of world.people) person.ok()
  assert.ok(world.people.length > 0)
})
