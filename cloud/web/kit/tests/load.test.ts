import { effectScope, ref } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ApiError } from '../src/http'
import type { LiveEvent } from '../src/live'
import { useAct, useLoad, type LoadOptions } from '../src/load'

const handlers = vi.hoisted(() => [] as ((event: LiveEvent | undefined) => void)[])
vi.mock('../src/live', () => ({ useLive: (handler: (event: LiveEvent | undefined) => void) => { handlers.push(handler) } }))

/** A server that answers when the test says so, in any order. */
function server() {
  const asked: { answers: (what: string) => void; fails: () => void }[] = []
  const read = () => new Promise<string>((resolve, reject) => {
    asked.push({ answers: resolve, fails: () => reject(new ApiError('unreachable', '连接服务器失败')) })
  })
  return { asked, read }
}
const scope = effectScope()
const page = (read: () => Promise<string>, options: LoadOptions = {}) => {
  const loaded = scope.run(() => useLoad(read, options))
  if (!loaded) throw new Error('the scope is gone')
  return loaded
}
const news = () => handlers.at(-1)?.({ kind: 'visit.changed', id: 'vis_1' })
const passes = (ms: number) => vi.advanceTimersByTimeAsync(ms)

beforeEach(() => { vi.useFakeTimers() })
afterEach(() => { vi.useRealTimers() })

describe('what a page reads', () => {
  it('is the newest question’s answer, whichever comes last', async () => {
    const { asked, read } = server()
    const list = page(read)
    void list.reload(true)
    asked[1]?.answers('new')
    await passes(0)
    asked[0]?.answers('old')
    await passes(0)
    expect(list.data.value).toBe('new')
    expect(list.pending.value).toBe(false)
  })

  it('is read once more when news came while it was being read, also at the first load', async () => {
    const { asked, read } = server()
    const list = page(read, { live: true })
    news()
    await passes(100)
    expect(asked).toHaveLength(1)
    asked[0]?.answers('before the news')
    await passes(0)
    expect(list.data.value).toBe('before the news')
    expect(asked).toHaveLength(2)
    asked[1]?.answers('after the news')
    await passes(0)
    expect(list.data.value).toBe('after the news')
    expect(asked).toHaveLength(2)
  })

  it('is shown though news never ends', async () => {
    const { asked, read } = server()
    const list = page(read, { live: true })
    asked[0]?.answers('0')
    await passes(0)
    for (let round = 1; round <= 5; round += 1) {
      news()
      await passes(100)
      news()
      await passes(100)
      asked[round]?.answers(String(round))
      await passes(0)
      expect(list.data.value).toBe(String(round))
    }
  })

  it('is not what was read before an act whose answer is already there; it is read again', async () => {
    const { asked, read } = server()
    const visit = page(read, { live: true })
    asked[0]?.answers('waiting')
    await passes(0)
    news()
    await passes(100)
    visit.data.value = 'checked in'
    asked[1]?.answers('waiting')
    await passes(0)
    expect(visit.data.value).toBe('checked in')
    asked[2]?.answers('in progress')
    await passes(0)
    expect(visit.data.value).toBe('in progress')
  })

  it('of a choice that was changed is not shown under the next one', async () => {
    const { asked, read } = server()
    const choice = ref('a')
    const list = page(read, { on: choice })
    choice.value = 'b'
    await passes(0)
    asked[0]?.answers('of a')
    await passes(0)
    expect(list.data.value).toBeUndefined()
    expect(list.pending.value).toBe(true)
    asked[1]?.answers('of b')
    await passes(0)
    expect(list.data.value).toBe('of b')
  })

  it('has come when reload ends, also where a newer question overtook it', async () => {
    const { asked, read } = server()
    const list = page(read)
    asked[0]?.answers('first')
    await passes(0)
    let ended = false
    void list.reload(true).then(() => { ended = true })
    void list.reload(true)
    asked[1]?.answers('overtaken')
    await passes(0)
    expect(ended).toBe(false)
    asked[2]?.answers('newest')
    await passes(0)
    expect([ended, list.data.value]).toEqual([true, 'newest'])
  })

  it('is forgotten when the page is left', async () => {
    const { asked, read } = server()
    const own = effectScope()
    const list = own.run(() => useLoad(read))
    const reading = list?.reload()
    own.stop()
    asked[1]?.answers('too late')
    await expect(reading).resolves.toBeUndefined()
    expect(list?.data.value).toBeUndefined()
  })

  it('stays on the page when a quiet question fails', async () => {
    const { asked, read } = server()
    const list = page(read)
    asked[0]?.answers('there')
    await passes(0)
    void list.reload(true)
    asked[1]?.fails()
    await passes(0)
    expect([list.data.value, list.error.value]).toEqual(['there', undefined])
  })
})

describe('an act', () => {
  it('is done once however often it is asked for while it runs', async () => {
    const { asked, read } = server()
    const act = useAct(read)
    const first = act.run()
    expect(await act.run()).toBeUndefined()
    asked[0]?.answers('done')
    expect(await first).toBe('done')
    expect(asked).toHaveLength(1)
  })
})
