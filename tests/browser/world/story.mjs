// A day at the hospital: steps that build on one another. When one fails, the rest of its story is not told.
import { join } from 'node:path'
import { describe, it } from 'node:test'

const SHOTS = new URL('../shots', import.meta.url).pathname

/** A story; `tell(step)` names its steps in order. */
export function story(title, world, tell) {
  describe(title, () => {
    let broken
    // The clock ends what hangs; each thing waited for has its own patience and says what was missing.
    tell((name, act) => it(name, { timeout: 600_000 }, async (t) => {
      if (broken) return t.skip(`after: ${broken}`)
      try {
        await act()
      } catch (error) {
        broken = name
        for (const person of world.people) {
          if (person.page.isClosed()) continue
          await person.page.screenshot({ path: join(SHOTS, `failed-${person.name}.png`) }).catch(() => undefined)
          if (person.troubles.length) console.error(`scripts in the browser of ${person.name}:\n${person.troubles.join('\n')}`)
        }
        throw error
      }
    }))
  })
}
